"""What becomes of the deals of a stage, how long they stay, and what the pipeline brings in per month: against cases worked out by hand."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlmodel import select

from crm_core import lists, records
from crm_core.db import read_session, write_session
from crm_core.errors import NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.kit.counted import Counted
from crm_core.lists import ListQuery
from crm_core.models import Deal, Stage, StageEvent
from crm_core.services.analytics import metrics, stage_flow, velocity
from crm_core.services.analytics.metric_rules import Facts
from crm_core.services.analytics.periods import Period
from crm_core.services.sales import deals, stage_times
from crm_core.vocabulary import Against, PeriodPreset, StageKind
from tests.verbs import do

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def after(days):
    return clock.frozen(AT + timedelta(days=days))


def ids():
    with read_session() as session:
        return {row.name: row.id for row in session.exec(select(Stage))}


def open_at(actor, day, name="A"):
    with after(day):
        return do(deals.create, actor, {"name": name, "amount_minor": 100_00}).id


def step(actor, deal_id, day, stage):
    with after(day):
        do(deals.move, actor, deal_id, ids()[stage])


def seen(actor, period=Period(), day=40, **only):
    with after(day), read_session() as session:
        pipeline = session.exec(select(Stage.pipeline_id)).first()
        return {row.stage: row for row in stage_flow.flow(session, actor, pipeline, period, **only)}


def told(row):
    return row.entered, row.went_on, row.lost, row.elsewhere, row.standing


def test_each_stay_that_began_in_the_period_is_told_by_what_became_of_it(any_cast):
    alice, charlie, root = (any_cast[name] for name in ("alice", "charlie", "root"))
    on, lost, back, stands = (open_at(alice, 0, name) for name in "ABCD")
    early = open_at(charlie, -20)
    step(alice, on, 3, "Proposal")
    step(alice, back, 2, "Qualified")
    step(alice, back, 4, "Prospecting")
    with after(5):
        do(deals.lose, alice, lost, reason="Price", competitor="None", closed_on=clock.today())
        do(deals.win, alice, on, closed_on=clock.today())
    step(charlie, early, 6, "Qualified")
    march = Period(AT.date(), (AT + timedelta(days=30)).date())
    mine = seen(alice, march)
    assert told(mine["Prospecting"]) == (5, 2, 1, 0, 2)  # of five stays two are of the deal that came back
    assert told(mine["Qualified"]) == (1, 0, 0, 1, 0)
    assert told(mine["Proposal"]) == (1, 1, 0, 0, 0)
    assert mine["Prospecting"].few and mine["Prospecting"].median_days is None
    # The deal of somebody else is not seen; who sees all counts its stay of the period, and the one before only over all time.
    everything = seen(root, march)
    assert (told(everything["Prospecting"]), told(everything["Qualified"])) == ((5, 2, 1, 0, 2), (2, 0, 0, 1, 1))
    assert told(seen(root)["Prospecting"]) == (6, 3, 1, 0, 2)
    assert told(seen(root, owner_id=charlie.user_id)["Prospecting"]) == (1, 1, 0, 0, 0)
    ended = Period(AT.date(), (AT + timedelta(days=1)).date())
    assert told(seen(root, ended)["Qualified"]) == (0, 0, 0, 0, 0)
    # The list behind what still stands there holds exactly these.
    with after(40), read_session() as session:
        found = lists.find(session, root, "deal", ListQuery(filter=everything["Prospecting"].filter))
    assert {row["id"] for row in found.rows} == {back, stands}
    # In the bin a deal counts for nothing.
    with after(7), write_session() as session:
        records.archive(session, root, "deal", lost)
    assert told(seen(root, march)["Prospecting"]) == (4, 2, 0, 0, 2)
    file = do(stage_flow.file, root, 1, march).decode("utf-8-sig")
    assert file.splitlines()[1] == "Prospecting,4,2,0,0,2,,,2"


def test_a_stay_that_began_with_an_import_stands_there_without_a_length(any_cast):
    alice = any_cast["alice"]
    deal_id = open_at(alice, 0)
    with after(20), write_session() as session:  # as an import writes it: the day long before it was written down
        session.execute(update(StageEvent.__table__).values(created_at=clock.utcnow()))
    stays = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage_flow, "quantiles", lambda ended, lasting, _shares: stays.append((ended, lasting)) or (1.0, 2.0))
        patch.setattr(stage_flow, "FEW", 0)
        assert told(seen(alice)["Prospecting"]) == (1, 0, 0, 0, 1)
    assert not any(lasting for _, lasting in stays)
    step(alice, deal_id, 22, "Proposal")
    step(alice, deal_id, 30, "Qualified")
    found = seen(alice)
    assert (told(found["Prospecting"]), told(found["Proposal"])) == ((0, 0, 0, 0, 0), (1, 0, 0, 1, 0))


def test_figures_of_stages_ask_who_wants_them(cast):
    sam = cast["sam"]
    with read_session() as session:
        for ask in (
            lambda: stage_flow.flow(session, sam, 1, Period()),
            lambda: velocity.velocity(session, sam, metrics.Selection(Period(), None, clock.today())),
        ):
            with pytest.raises(NotPermitted):
                ask()
        with pytest.raises(NotFound):
            stage_flow.flow(session, cast["root"], 999, Period())


def test_who_still_stands_there_counts_for_as_long_as_they_were_seen():
    ended = Counter({10: 1, 20: 1, 30: 1})  # left after 1, 2 and 3 days
    assert stage_flow.quantiles(ended, Counter(), (0.5, 0.9)) == (2.0, 3.0)
    # One seen for half a day says nothing; three seen for 2.5 days bring the share down: 5/6, 4/6, and after three days 0 of what is left.
    assert stage_flow.quantiles(ended, Counter({25: 3}), (0.5, 0.9)) == (3.0, 3.0)
    # Ten that have stood longer than any that left: the half is not known yet.
    assert stage_flow.quantiles(ended, Counter({90: 10}), (0.5, 0.9)) == (None, None)


def test_a_pace_multiplies_its_parts_and_is_refused_for_few():
    facts = Facts(won=12, lost=8, won_minor=1_200_00, cycle_days=Counted([30, 50] * 6))
    pace = velocity.pace_of(facts, 40)
    # 40 open × 60 % × 100.00 ÷ 40 days × 30.4375 days
    assert pace.monthly_minor == round(40 * 0.6 * 100_00 / 40 * 30.4375)
    assert (pace.win_rate, pace.average_minor, pace.cycle_days) == (0.6, 100_00, 40.0)
    assert velocity.pace_of(Facts(won=9, won_minor=1, cycle_days=Counted([3] * 9)), 5).monthly_minor is None
    assert velocity.pace_of(Facts(won=12, won_minor=1, cycle_days=Counted([0] * 12)), 5).monthly_minor is None


def test_the_velocity_of_a_workspace_is_that_of_its_figures(cast):
    root, today = cast["root"], clock.today()
    with write_session() as session:
        kinds = {row.kind: row for row in session.exec(select(Stage))}
        for n in range(30):
            kind = (StageKind.WON, StageKind.LOST, StageKind.OPEN)[n % 3] if n < 29 else StageKind.WON
            closed = today - timedelta(days=n % 9) if kind is not StageKind.OPEN else None
            session.add(Deal(name="d", pipeline_id=1, stage_id=kinds[kind].id, outcome=kind, owner_id=root.user_id, amount_minor=100_00, created_on=today - timedelta(days=29), closed_on=closed, stage_since=clock.utcnow()))  # fmt: skip
    with read_session() as session:
        chosen = metrics.select(session, root, PeriodPreset.DAYS_30, Against.PREVIOUS)
        found = velocity.velocity(session, root, chosen)
        rate, won = (metrics.figure(session, root, key, chosen) for key in ("win_rate", "average_deal"))
        counts = [lists.count(session, root, "deal", ListQuery(filter=ast)) for ast in (found.open_filter, found.won_filter, found.decided_filter)]  # fmt: skip
    assert counts == [found.pace.open_deals, found.pace.won, found.pace.decided] == [9, 11, 21]
    assert (found.pace.win_rate, found.pace.average_minor) == (rate.value, won.value)
    assert found.pace.monthly_minor and found.relative is None and not found.reason
    with read_session() as session:
        few = velocity.velocity(session, cast["alice"], chosen)
    assert few.pace.monthly_minor is None and "0 of the 10 won deals" in few.reason


def test_the_way_of_a_deal_tells_each_stay(cast):
    alice = cast["alice"]
    deal_id = open_at(alice, 0)
    step(alice, deal_id, 3, "Proposal")
    with after(10), read_session() as session:
        first, second = stage_times.path(session, alice, deal_id)
    assert (first.stage, first.seconds, second.stage, second.seconds) == ("Prospecting", 3 * 86_400, "Proposal", 7 * 86_400)
    assert first.left_at == second.entered_at and second.left_at is None and first.by
    with after(12):
        do(deals.win, alice, deal_id, closed_on=clock.today())
    with after(20), read_session() as session:
        *_, proposal, won = stage_times.path(session, alice, deal_id)
    assert (proposal.seconds, won.kind, won.seconds) == (9 * 86_400, StageKind.WON, None)
    with read_session() as session, pytest.raises(NotFound):
        stage_times.path(session, cast["charlie"], deal_id)
    with write_session() as session:  # somebody set the stage without a move: the way ends where the deal stands
        session.execute(update(Deal.__table__).values(stage_id=ids()["Qualified"], outcome=StageKind.OPEN))
    with read_session() as session:
        assert stage_times.path(session, alice, deal_id)[-1].stage == "Qualified"
