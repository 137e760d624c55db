"""Tiles: the same number by every way of counting, equal to the list behind it; past days; reports; what must be refused."""

from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core import lists, records
from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.models import Account, CustomField, Deal
from crm_core.services.admin import custom_fields
from crm_core.services.analytics import dimensions, metrics, tile_facts, tile_working, tiles
from crm_core.services.analytics.metric_rules import METRICS, WHOLE
from crm_core.services.analytics.tiles import Look
from crm_core.services.sales import deals
from crm_core.vocabulary import Action, FieldKind, PeriodPreset, TileKind
from tests.crm_core.services.analytics.company import NOW, fill

PEOPLE = ("root", "bob", "alice", "charlie", "dana", "sam", "ana")


@pytest.fixture
def company(cast):
    with clock.frozen(NOW):
        fill(cast, 5, size=160)
        yield cast


def everything(entity_key):
    """A filter that all records pass: the tile then takes the way by the records instead of the quick one."""
    field = {"deal": "amount_minor", "lead": "status_id", "order": "total_minor", "ticket": "opened_at", "account": "name"}.get(
        entity_key, "name"
    )
    return {"op": "and", "items": [{"op": "or", "items": [{"field": field, "cmp": "empty"}, {"field": field, "cmp": "not_empty"}]}]}


def look(session, actor, preset=PeriodPreset.MONTHS_12, **more):
    return Look(metrics.select(session, actor, preset, **more))


def figure(session, actor, metric, seen, **spec):
    return tiles.evaluate(session, actor, TileKind.FIGURE, {"metric": metric, **spec}, seen)


LOOKS = (PeriodPreset.MONTHS_12, PeriodPreset.DAYS_30, PeriodPreset.ALL)


@pytest.mark.parametrize("preset", LOOKS)
def test_counting_the_records_gives_what_the_quick_way_gives_for_every_figure_and_person(company, preset):
    """Each figure for everybody in each period, and each of its breakdowns for everybody in one of the three."""
    with read_session() as session:
        for row, who in enumerate(PEOPLE):
            actor = company[who]
            seen = look(session, actor, preset)
            for key, metric in METRICS.items():
                if not actor.can(metric.entity, Action.READ) or key in WHOLE:
                    continue
                quick = figure(session, actor, key, seen)
                slow = figure(session, actor, key, seen, filter=everything(metric.entity))
                assert slow.reason == quick.reason == "", (who, key, slow.reason)
                if quick.figure is None:
                    continue
                assert slow.figure.value == quick.figure.value, (who, key)
                assert slow.figure.cases == quick.figure.cases and slow.figure.before == quick.figure.before, (who, key)
                assert [p.value for p in slow.figure.points] == [p.value for p in quick.figure.points], (who, key)
                for by in [by for column, by in enumerate(metric.breakdowns) if (row + column) % len(LOOKS) == LOOKS.index(preset)]:
                    a = figure(session, actor, key, seen, by=by)
                    b = figure(session, actor, key, seen, by=by, filter=everything(metric.entity))
                    assert [(p.label, p.value, p.cases) for p in a.parts] == [(p.label, p.value, p.cases) for p in b.parts], (
                        who,
                        key,
                        by,
                    )


@pytest.mark.parametrize("preset", [PeriodPreset.ALL, PeriodPreset.MONTHS_12])
def test_every_group_by_every_field_has_as_many_cases_as_its_list(company, preset):
    with read_session() as session:
        actor = company["bob"]
        seen = look(session, actor, preset)
        checked = 0
        for key in ("revenue_won", "open_pipeline", "new_leads", "order_revenue", "open_tickets"):
            metric = METRICS[key]
            for path in dimensions.find(session, actor, metric.entity):
                found = figure(session, actor, key, seen, by=path, filter=everything(metric.entity))
                assert not found.reason
                for part in found.parts:
                    query = ListQuery(filter=part.filter)
                    assert lists.count(session, actor, metric.entity, query) == part.cases, (key, path, part.label)
                    checked += 1
        assert checked > 50


def test_every_figure_can_be_counted_from_its_records_or_says_why_not():
    assert set(METRICS) - set(tile_facts.COUNTED) == set(WHOLE)


# --- past days -----------------------------------------------------------------------------------------------------------


def deal(actor, **values):
    with write_session() as session:
        made = deals.create(session, actor, {"name": "D", "amount_minor": 100_000, **values})
        return made.id


def as_of(actor, key, day, by="", only=None):
    with read_session() as session:
        chosen = metrics.select(session, actor, PeriodPreset.YEAR)
        found = figure(session, actor, key, tiles.look(chosen, day, PeriodPreset.YEAR), by=by, filter=only)
    assert not found.reason, found.reason
    return found


def test_a_past_day_shows_amounts_states_and_owners_as_they_were_logged(cast):
    alice, bob = cast["alice"], cast["bob"]
    with clock.frozen(NOW - timedelta(days=10)):
        first, second = deal(alice), deal(alice)
    with clock.frozen(NOW - timedelta(days=5)), write_session() as session:
        deals.update(session, alice, first, {"amount_minor": 700_000})
    with clock.frozen(NOW - timedelta(days=2)), write_session() as session:
        deals.win(session, alice, second, closed_on=(NOW - timedelta(days=2)).date(), reason=None)
        deals.create(session, alice, {"name": "later", "amount_minor": 5})
        records.archive(session, bob, "deal", first)
    with clock.frozen(NOW):
        day = NOW.date()
        assert as_of(bob, "open_pipeline", day - timedelta(days=11)).figure.value == 0
        assert as_of(bob, "open_pipeline", day - timedelta(days=8)).figure.value == 200_000
        assert as_of(bob, "open_pipeline", day - timedelta(days=4)).figure.value == 800_000
        assert as_of(bob, "open_pipeline", day - timedelta(days=1)).figure.value == 5
        assert as_of(bob, "revenue_won", day - timedelta(days=4)).figure.value == 0
        assert as_of(bob, "revenue_won", day - timedelta(days=1)).figure.value == 100_000
        only = {"op": "and", "items": [{"field": "amount_minor", "cmp": "gt", "value": 150_000}]}
        assert as_of(bob, "open_pipeline", day - timedelta(days=8), only=only).figure.value == 0
        assert as_of(bob, "open_pipeline", day - timedelta(days=4), only=only).figure.value == 700_000
        parts = as_of(bob, "open_pipeline", day - timedelta(days=4), by="owner_id").parts
        assert [(part.key, part.value) for part in parts] == [(alice.user_id, 800_000)]
        assert as_of(cast["charlie"], "open_pipeline", day - timedelta(days=4)).figure.value == 0


# --- reports ---------------------------------------------------------------------------------------------------------------


def report(actor, **spec):
    with read_session() as session:
        seen = look(session, actor, PeriodPreset.ALL)
        found = tiles.evaluate(session, actor, TileKind.PIVOT, spec, seen)
        if found.pivot is not None:
            cells = [cell for row in found.pivot.cells for cell in row] + list(found.pivot.row_totals)
            for cell in cells:
                assert lists.count(session, actor, spec["entity"], ListQuery(filter=cell.filter)) == cell.cases
        return found


@pytest.mark.parametrize("who", ["root", "alice", "ana"])
def test_a_report_adds_up_and_every_cell_has_as_many_records_as_its_list(company, who):
    actor = company[who]
    found = report(
        actor, entity="deal", rows={"field": "source"}, columns={"field": "outcome"}, measure="sum", field="amount_minor"
    )
    assert not found.reason
    assert sum(cell.value for cell in found.pivot.row_totals) == found.pivot.whole.value
    for row, total in zip(found.pivot.cells, found.pivot.row_totals, strict=True):
        assert sum(cell.value or 0 for cell in row) == total.value
    for grain in ("month", "quarter", "year"):
        assert not report(
            actor, entity="ticket", rows={"field": "opened_at", "grain": grain}, columns={"field": "priority"}, measure="count"
        ).reason


@pytest.mark.parametrize("who", ["root", "alice", "bob"])
def test_a_report_by_a_field_of_a_linked_record_says_what_its_lists_say(any_cast, who):
    with clock.frozen(NOW):
        fill(any_cast, 5, size=160)
        with write_session() as session:  # some deals without an account, some whose account is in the bin
            accounts = session.exec(select(Account).order_by(Account.id)).all()
            for n, account in enumerate(accounts):
                account.industry = (None, "Retail", "retail", "Steel")[n % 4]
            for n, deal in enumerate(session.exec(select(Deal).order_by(Deal.id)).all()):
                deal.account_id = accounts[n % len(accounts)].id if n % 7 else None
            accounts[3].deleted_at = NOW
        actor = any_cast[who]
        found = report(
            actor,
            entity="deal",
            rows={"field": "account.industry"},
            columns={"field": "outcome"},
            measure="sum",
            field="probability_pct",
        )
        pivot = found.pivot
        assert type(pivot.whole.value) is int and pivot.whole.cases > 20 and len(pivot.rows) > 1
        for row in pivot.cells:
            for cell in row:
                with read_session() as session:
                    behind = lists.condition(session, actor, "deal", ListQuery(filter=cell.filter))
                    listed = session.exec(select(Deal.probability_pct).where(behind)).all()
                assert (cell.cases, cell.value or 0) == (len(listed), sum(listed))


def test_a_report_over_hidden_or_missing_fields_is_refused_in_words(company):
    ana, root = company["ana"], company["root"]
    assert "can't be split" in report(ana, entity="lead", rows={"field": "email"}, measure="count").reason
    assert "can't be split" in report(root, entity="deal", rows={"field": "no_such"}, measure="count").reason
    assert report(root, entity="nonsense", rows={"field": "x"}, measure="count").reason
    assert report(root, entity="deal", rows={"field": "source"}, measure="sum", field="name").reason
    assert report(company["dana"], entity="ticket", rows={"field": "category"}, measure="count").reason


def test_fields_of_ones_own_split_and_filter_figures(company):
    root = company["root"]
    with write_session() as session:
        custom_fields.create(session, root, "deal", label="Region", kind=FieldKind.CHOICE, options=["North", "South"])
        key = session.exec(select(CustomField.key)).one()
        for n, row in enumerate(session.exec(select(Deal))):
            row.extra = {key: "North" if n % 3 else "South"}
    with read_session() as session:
        found = figure(session, root, "open_pipeline", look(session, root), by=key)
        assert [part.label for part in found.parts] and {part.label for part in found.parts} <= {"North", "South"}
        north = next(part for part in found.parts if part.label == "North")
        only = {"op": "and", "items": [{"field": key, "cmp": "eq", "value": "North"}]}
        assert figure(session, root, "open_pipeline", look(session, root), filter=only).figure.value == north.value


def test_the_working_of_a_tile_is_the_statement_within_what_its_reader_may_see(company):
    alice = company["alice"]
    with read_session() as session:
        seen = look(session, alice)
        statement = tile_working.sql(session, alice, TileKind.FIGURE, {"metric": "revenue_won", "by": "source"}, seen)
        assert "FROM deal" in statement and f"deal.owner_id = {alice.user_id}" in statement
        compile(tile_working.python(statement, "Revenue\nwon"), "script", "exec")
        spec = {"entity": "deal", "rows": {"field": "source"}, "measure": "count"}
        assert "GROUP BY" in tile_working.sql(session, alice, TileKind.PIVOT, spec, seen)
