"""Reminders count what their lists show, for everyone."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core import idleness, lists
from crm_core.db import read_session, write_session
from crm_core.errors import NotFound
from crm_core.kit.clock import frozen
from crm_core.lists import ListQuery
from crm_core.models import Deal, Stage
from crm_core.services.analytics import attention
from crm_core.vocabulary import StageKind
from tests.crm_core.services.analytics.company import NOW, TODAY, fill


def waiting(actor, **only):
    with frozen(NOW), read_session() as session:
        return {found.key: found for found in attention.find(session, actor, **only)}


@pytest.mark.parametrize("seed", [21, 22])
def test_each_reminder_counts_the_records_of_its_list_for_every_role(any_cast, seed):
    fill(any_cast, seed)
    seen = set()
    for name, actor in any_cast.items():
        for found in waiting(actor).values():
            seen.add(found.key)
            with frozen(NOW), read_session() as session:
                count, sums = lists.totals(session, actor, found.entity, ListQuery(filter=found.filter))
            assert (count, sums.get("amount_minor")) == (found.count, found.amount_minor), (name, found.key)
            assert found.sentence.startswith(f"{count:,} ")
    assert seen == set(attention.REMINDERS) - {"overdue_step"}  # no deal of the random company has a dated next step


def test_idle_deals_are_those_of_the_one_rule(cast):
    fill(cast, 23)
    with read_session() as session:
        limits = idleness.limits(session, NOW)
        deals = [deal for deal in session.exec(select(Deal)) if deal.deleted_at is None and deal.outcome is StageKind.OPEN]
    idle = [deal for deal in deals if idleness.is_idle(deal, limits)]
    found = waiting(cast["root"])["idle"]
    assert found.count == len(idle) > 0
    assert found.oldest == min(deal.stage_since for deal in idle)


def test_no_next_step_and_overdue_closing_are_counted_with_the_money_at_stake(cast):
    with write_session() as session:
        stage = session.exec(select(Stage).where(Stage.kind == StageKind.OPEN)).first()
        session.add_all(
            open_deal(stage, cast["alice"], **more)
            for more in (
                {"amount_minor": 100, "next_step": "Call", "expected_close_on": TODAY},
                {"amount_minor": 200, "next_step": "", "expected_close_on": TODAY - timedelta(days=1)},
                {"amount_minor": 400, "next_step": "Call", "next_step_on": TODAY - timedelta(days=3)},
            )
        )
    found = waiting(cast["alice"])
    assert (found["no_next_step"].sentence, found["no_next_step"].amount_minor) == ("1 deal has no next step", 200)
    assert (found["overdue_close"].count, found["overdue_close"].oldest) == (1, TODAY - timedelta(days=1))
    assert (found["overdue_step"].count, found["overdue_step"].amount_minor) == (1, 400)
    assert found["no_account"].sentence == "3 open deals have no account"
    assert waiting(cast["charlie"]) == {}
    assert waiting(cast["root"], owner_id=cast["charlie"].user_id) == {}


def open_deal(stage, owner, **more):
    return Deal(
        name="d",
        pipeline_id=stage.pipeline_id,
        stage_id=stage.id,
        owner_id=owner.user_id,
        created_on=TODAY,
        stage_since=NOW,
        **more,
    )


def test_an_empty_workspace_reminds_of_nothing(any_cast):
    assert all(waiting(actor) == {} for actor in any_cast.values())


def test_a_hidden_field_takes_only_its_own_reminder_away(cast):
    fill(cast, 24)
    before = waiting(cast["ana"])
    masked = replace(cast["ana"], masks=cast["ana"].masks | {("deal", "next_step"), ("deal", "amount_minor")})
    after = waiting(masked)
    assert set(before) - set(after) == {"no_next_step"}
    assert after["idle"].amount_minor is None


def test_the_records_behind_a_reminder_come_in_pages_the_longest_waiting_first(cast):
    fill(cast, 25)
    with frozen(NOW), read_session() as session:
        first = attention.records(session, cast["root"], "idle", size=3)
        assert first.total == waiting(cast["root"])["idle"].count
        second = attention.records(session, cast["root"], "idle", page=2, size=3)
        assert not {row["id"] for row in first.rows} & {row["id"] for row in second.rows}
        with pytest.raises(NotFound):
            attention.records(session, cast["root"], "weather")


def test_closing_this_month_holds_open_deals_of_the_calendar_month_by_day(cast):
    fill(cast, 26)
    with frozen(NOW), read_session() as session:
        page, ast = attention.closing(session, cast["root"], size=100)
        assert lists.count(session, cast["root"], "deal", ListQuery(filter=ast)) == page.total
    days = [row["expected_close_on"] for row in page.rows]
    assert days == sorted(days)
    assert all((day.year, day.month) == (2026, 3) for day in days)
    assert page.total > 0
