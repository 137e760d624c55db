"""Agents side by side and the backlog by age: the same numbers as the figures, silent about a few tickets, coloured only beyond chance."""

from datetime import timedelta

from crm_core import lists
from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.models import Ticket
from crm_core.services.analytics import agent_quality, backlog, breakdowns, metrics, tiles
from crm_core.services.analytics.tiles import Look
from crm_core.vocabulary import PeriodPreset, PromiseOutcome, TicketKind, TileKind
from tests.crm_core.services.analytics.company import NOW


def tickets(owner, count, *, reopened=0, late=0, start=0, status=TicketKind.SOLVED, ago=timedelta(days=3)):
    solved = NOW - timedelta(days=1) if status is TicketKind.SOLVED else None
    return [
        Ticket(
            number=f"Q-{owner}-{start + n}", subject="t", status=status, owner_id=owner, opened_at=NOW - ago, category="Question",
            first_response_at=NOW - ago + timedelta(minutes=10 + n), solved_at=solved, first_solved_at=solved, answer_count=1,
            reopened_count=int(n < reopened), response_promise=PromiseOutcome.LATE if n < late else PromiseOutcome.KEPT,
        )
        for n in range(count)
    ]  # fmt: skip


def selection(session, actor, **more):
    return metrics.select(session, actor, PeriodPreset.DAYS_30, **more)


def test_few_tickets_say_nothing_of_a_person_and_chance_colours_nothing(any_cast):
    alice, bob, charlie, sam = (any_cast[name].user_id for name in ("alice", "bob", "charlie", "sam"))
    with clock.frozen(NOW), write_session() as session:
        session.add_all([*tickets(alice, 40, reopened=12), *tickets(bob, 40, reopened=30), *tickets(charlie, 9, reopened=9)])
        session.add_all([*tickets(sam, 40, reopened=3, late=2), *tickets(None, 12)])
    with clock.frozen(NOW), read_session() as session:
        root = any_cast["root"]
        found = agent_quality.table(session, root, selection(session, root))
        rows = {one.key: one for one in found.agents}
        assert found.columns == ("first_response", "response_kept", "reopen_rate"), (
            "no level of resolution, no survey: no empty column"
        )
        assert [one.key for one in found.agents][-1] is None and rows[alice].solved == 40
        few = rows[charlie].measures["reopen_rate"]
        assert (few.value, few.low, few.cases, few.few) == (None, None, 9, True)
        assert rows[bob].measures["reopen_rate"].apart == "worse" and rows[alice].measures["reopen_rate"].apart == ""
        assert not any(one.measures["response_kept"].apart for one in found.agents), "two late ones of forty may be chance"
        for key in found.columns:
            whole = metrics.figure(session, root, key, selection(session, root))
            assert (found.everybody.measures[key].value, found.everybody.measures[key].low) == (whole.value, whole.low)
            alone = metrics.figure(session, root, key, selection(session, root, owner_id=alice))
            assert (rows[alice].measures[key].value, rows[alice].measures[key].cases) == (alone.value, alone.cases)
            silent = metrics.figure(session, root, key, selection(session, root, owner_id=charlie))
            assert silent.value is None and "Too few" in silent.reason and not any(point.value for point in silent.points)
        for down in (False, True):
            assert agent_quality.ordered(found, "reopen_rate", down=down)[-1].key == charlie, (
                "no ranking by nine tickets, in neither order"
            )
        parts = breakdowns.breakdown(session, root, "reopen_rate", "owner_id", selection(session, root))
        assert (parts[-1].value, parts[-1].cases) == (None, 9) and "too few" in parts[-1].label
        assert lists.count(session, root, "ticket", ListQuery(filter=rows[bob].filter)) == 40
        sheet = agent_quality.file(session, root, selection(session, root), "csv").decode("utf-8-sig")
        assert sheet.splitlines()[0].startswith("Agent,Tickets solved,Median first response (seconds)") and "All together" in sheet
        seen = agent_quality.table(session, any_cast["bob"], selection(session, any_cast["bob"]))
        assert {one.key for one in seen.agents} == {alice, bob}, "a manager sees the team's tickets only"


def test_the_backlog_by_age_counts_every_open_ticket_once_and_leads_to_it(cast):
    root = cast["root"]
    ages = (0, 1, 2, 3, 6, 7, 13, 14, 27, 28, 83, 84, 400)
    with clock.frozen(NOW), write_session() as session:
        for n, days in enumerate(ages):
            session.add_all(tickets(root.user_id, 1, start=n, status=TicketKind.OPEN, ago=timedelta(days=days)))
        session.add_all(tickets(None, 3))
    with clock.frozen(NOW), read_session() as session:
        chosen = selection(session, root)
        parts = backlog.by_age(session, root, chosen)
        assert [part.value for part in parts] == [1, 2, 2, 2, 2, 2, 2]
        assert [lists.count(session, root, "ticket", ListQuery(filter=part.filter)) for part in parts] == [
            part.cases for part in parts
        ]
        spec = {
            "metric": "open_tickets",
            "by": "age",
            "chart": "bars",
            "filter": {"field": "category", "cmp": "eq", "value": "Problem"},
        }
        tile = tiles.evaluate(session, root, TileKind.FIGURE, spec, Look(chosen))
        assert (tile.title, tile.parts, tile.reason) == ("Open tickets by age", (), "")
        shown = tiles.evaluate(session, root, TileKind.FIGURE, {**spec, "filter": None}, Look(chosen))
        assert shown.parts == parts
        past = tiles.evaluate(session, root, TileKind.FIGURE, spec, tiles.look(chosen, (NOW - timedelta(days=9)).date()))
        assert "past day" in past.reason
