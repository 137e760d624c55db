"""Remembering the pipeline: evenings, the same one twice, the past off the log, and what happened between two of them."""

import random
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlmodel import select

from crm_core import jobs
from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotPermitted
from crm_core.kit import clock
from crm_core.models import Deal, PipelineSnapshot, PipelineSnapshotDay, Stage
from crm_core.services.analytics import pipeline_history, snapshots
from crm_core.services.analytics.periods import Period
from crm_core.services.analytics.snapshot_rules import Change, StageFacts, stretches
from crm_core.services.sales import deals
from crm_core.vocabulary import ForecastCategory, StageKind
from tests.crm_core.services.analytics.company import fill

DAY = date(2026, 3, 10)
QUARTER = Period(date(2026, 1, 1), date(2026, 3, 31))
STAGES = {
    1: StageFacts(StageKind.OPEN, 1, 10, ForecastCategory.PIPELINE),
    2: StageFacts(StageKind.OPEN, 1, 75, ForecastCategory.COMMIT),
    3: StageFacts(StageKind.WON, 1, 100, ForecastCategory.CLOSED),
}
NOW = {
    "owner_id": 7,
    "amount_minor": 900,
    "expected_close_on": DAY,
    "probability_pct": 100,
    "forecast_category": None,
    "stage_id": 3,
}


def on(days):
    return DAY + timedelta(days=days)


def test_a_past_is_read_off_the_log_change_by_change_and_ends_when_the_deal_was_won():
    log = [
        Change(on(-8), "amount_minor", 500, 900),
        Change(on(-5), "stage_id", 1, 2),
        Change(on(-2), "expected_close_on", "2026-04-30", DAY.isoformat()),
        Change(on(0), "stage_id", 2, 3),
    ]
    found = stretches(NOW, on(-10), log, STAGES)
    told = [
        (s.from_on, s.until_on, s.stage_id, s.amount_minor, s.probability_pct, s.category.value, s.expected_close_on) for s in found
    ]
    assert told == [
        (on(-10), on(-8), 1, 500, 10, "pipeline", date(2026, 4, 30)),
        (on(-8), on(-5), 1, 900, 10, "pipeline", date(2026, 4, 30)),
        (on(-5), on(-2), 2, 900, 75, "commit", date(2026, 4, 30)),
        (on(-2), on(0), 2, 900, 75, "commit", DAY),
    ]


def test_two_changes_of_one_day_show_the_evening_and_a_logged_probability_is_believed():
    log = [
        Change(on(-5), "probability_pct", 10, 60),
        Change(on(-5), "stage_id", 1, 2),
        Change(on(-5), "stage_id", 2, 1),
        Change(on(-1), "probability_pct", 60, 100),
        Change(on(-1), "stage_id", 1, 3),
    ]
    found = stretches(NOW, on(-6), log, STAGES)
    assert [(s.from_on, s.stage_id, s.probability_pct) for s in found] == [(on(-6), 1, 10), (on(-5), 1, 60)]


def test_a_deal_that_was_imported_closed_never_stood_open():
    assert stretches(NOW, on(-3), [], STAGES) == []


def deal_of(actor, **values):
    with write_session() as session:
        return deals.create(session, actor, {"name": "D", "amount_minor": 100_00, "expected_close_on": "2026-03-20", **values}).id


def rows():
    with read_session() as session:
        found = session.exec(select(PipelineSnapshot).order_by(PipelineSnapshot.deal_id, PipelineSnapshot.from_on))
        return [(row.deal_id, row.from_on, row.until_on, row.amount_minor) for row in found]


def test_the_same_evening_twice_holds_the_later_look_and_an_unchanged_one_adds_nothing(cast):
    one, other = deal_of(cast["alice"]), deal_of(cast["alice"], amount_minor=5_00)
    with write_session() as session:
        assert snapshots.take(session, DAY) == 2
    with write_session() as session:
        assert snapshots.take(session, DAY) == 2
        assert snapshots.take(session, on(1)) == 2
    assert rows() == [(one, DAY, None, 100_00), (other, DAY, None, 5_00)]
    with write_session() as session:
        deals.update(session, cast["alice"], one, {"amount_minor": 120_00})
        snapshots.take(session, on(1))
        deals.update(session, cast["alice"], one, {"amount_minor": 130_00})
        deals.lose(session, cast["alice"], other, reason="Price", competitor="None")
        snapshots.take(session, on(1))
        snapshots.take(session, DAY)  # an evening before the last one is left as it was
    assert rows() == [(one, DAY, on(1), 100_00), (one, on(1), None, 130_00), (other, DAY, on(1), 5_00)]
    with read_session() as session:
        days = session.exec(select(PipelineSnapshotDay).order_by(PipelineSnapshotDay.taken_on)).all()
    assert [(day.taken_on, day.deals, day.amount_minor) for day in days] == [(DAY, 2, 105_00), (on(1), 1, 130_00)]


def test_the_past_of_deals_made_in_the_app_is_filled_once_and_the_evening_goes_on_from_it(cast):
    with clock.frozen(clock.utcnow() - timedelta(days=20)):
        one = deal_of(cast["alice"], expected_close_on=None)
    with clock.frozen(clock.utcnow() - timedelta(days=12)), write_session() as session:
        deals.update(session, cast["alice"], one, {"amount_minor": 150_00})
    with write_session() as session:
        stage = session.exec(select(Stage)).first()
        imported = Deal(
            name="I",
            pipeline_id=stage.pipeline_id,
            stage_id=stage.id,
            created_on=date(2020, 1, 1),
            stage_since=clock.utcnow(),
            amount_minor=7,
        )
        session.add(imported)
        session.flush()
        made = snapshots.backfill(session, [one, imported.id])
        assert made == 2 and snapshots.backfill(session, [one, imported.id]) == 0
        snapshots.take(session)
        known = imported.id
    today = clock.today()
    found = rows()
    assert [(row[1], row[3]) for row in found if row[0] == one] == [
        (today - timedelta(days=20), 100_00),
        (today - timedelta(days=12), 150_00),
    ]
    assert [row[1] for row in found if row[0] == known] == [today]  # what it was before it came to us is unknown


@pytest.mark.parametrize("seed", [3, 4])
def test_the_steps_between_two_evenings_lead_exactly_from_one_to_the_other(cast, seed):
    rng = random.Random(seed)
    fill(cast, seed, size=120)
    with write_session() as session:
        snapshots.take(session, on(0))
        for deal in session.exec(select(Deal).order_by(Deal.id)).all():
            what = rng.randrange(8)
            if deal.outcome is StageKind.OPEN and what < 2:
                won = session.exec(
                    select(Stage).where(Stage.pipeline_id == deal.pipeline_id, Stage.kind == list(StageKind)[1 + what])
                ).one()
                deal.stage_id, deal.outcome, deal.closed_on = won.id, won.kind, on(rng.randrange(1, 6))
            elif what == 2:
                deal.expected_close_on = on(rng.randrange(-90, 90))
            elif what == 3:
                deal.amount_minor = rng.randrange(10**6)
            elif what == 4 and deal.outcome is not StageKind.OPEN:
                stage = session.exec(
                    select(Stage).where(Stage.pipeline_id == deal.pipeline_id, Stage.kind == StageKind.OPEN)
                ).first()
                deal.stage_id, deal.outcome, deal.closed_on = stage.id, StageKind.OPEN, None
            session.add(deal)
        snapshots.take(session, on(7))
    with read_session() as session:
        for who in ("root", "alice", "bob"):
            for only in ({}, {"owner_id": cast["alice"].user_id}):
                steps = pipeline_history.waterfall(session, cast[who], QUARTER, on(0), on(7), **only)
                amounts = {step.key: step.amount_minor for step in steps}
                assert amounts["start"] == pipeline_history.standing(session, cast[who], QUARTER, on(0), **only).open_minor
                assert amounts["end"] == pipeline_history.standing(session, cast[who], QUARTER, on(7), **only).open_minor
                assert amounts["start"] + sum(v for k, v in amounts.items() if k not in ("start", "end")) == amounts["end"]
        everything = {step.key for step in pipeline_history.waterfall(session, cast["root"], QUARTER, on(0), on(7))}
        assert {"new", "won", "lost", "moved_out", "moved_in"} <= everything


def test_the_standing_of_this_moment_equals_the_evening_just_taken(cast):
    fill(cast, 9, size=80)
    with write_session() as session:
        snapshots.take(session, DAY)
    with read_session() as session:
        for who in ("root", "bob", "alice", "charlie"):
            assert pipeline_history.standing(session, cast[who], QUARTER) == pipeline_history.standing(
                session, cast[who], QUARTER, DAY
            )


def test_whoever_does_not_see_deals_or_their_amounts_sees_no_history(cast):
    with read_session() as session:
        with pytest.raises(NotPermitted):
            pipeline_history.standing(session, cast["sam"], QUARTER)
        with pytest.raises(Invalid, match="after the first"):
            pipeline_history.waterfall(session, cast["root"], QUARTER, DAY, DAY)
    with read_session() as session, pytest.raises(NotPermitted, match="hides the amounts"):
        pipeline_history.standing(session, replace(cast["ana"], masks=frozenset({("deal", "amount_minor")})), QUARTER)


def test_a_look_before_the_evening_is_asked_for_once_and_only_by_those_who_manage_figures(cast):
    with write_session() as session:
        first = pipeline_history.look_now(session, cast["bob"])
    with write_session() as session:
        assert pipeline_history.look_now(session, cast["root"]) == first
        with pytest.raises(NotPermitted):
            pipeline_history.look_now(session, cast["alice"])


def test_the_job_reads_the_past_once_and_then_only_looks(cast):
    one = deal_of(cast["alice"])
    for amount in (100_00, 250_00):
        with write_session() as session:
            job_id = pipeline_history.look_now(session, cast["root"])
        jobs.execute(job_id, "pipeline.snapshot", ())
        assert [row[3] for row in rows()] == [amount]
        with write_session() as session:
            deals.update(session, cast["alice"], one, {"amount_minor": 250_00})
