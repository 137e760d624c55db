"""The forecast of a series and the outlook of a period: whose rows, which days, refusals, and a record that is fair."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from sqlmodel import select

from crm_core.db import write_session
from crm_core.kit import clock
from crm_core.models import Deal, Lead, LeadStatus, Order, PipelineSnapshot, Stage
from crm_core.services.analytics import snapshots
from crm_core.vocabulary import ForecastCategory, OrderStatus, StageKind
from ml.errors import DataError
from tests.crm_core.services.analytics.methods.asking import ask

TODAY = date(2026, 3, 18)  # a Wednesday


@pytest.fixture(autouse=True)
def clock_stands():
    with clock.frozen(datetime(2026, 3, 18, 15, tzinfo=UTC)):
        yield


def orders(owner, weeks, amount):
    """Two orders a week on Monday night and Sunday night; busier every fourth week."""
    monday = date(2026, 3, 16)
    with write_session() as session:
        for back in range(weeks, -1, -1):
            for day, clock_time in ((0, 23), (6, 23)):
                on = monday - timedelta(weeks=back) + timedelta(days=day)
                if on <= TODAY:
                    session.add(
                        Order(
                            number=f"{owner}-{back}-{day}", owner_id=owner, status=OrderStatus.PLACED, total_minor=amount * (1 + (back % 4 == 0)),
                            ordered_at=datetime(on.year, on.month, on.day, clock_time, 30, tzinfo=UTC),
                        )
                    )  # fmt: skip


def test_a_series_holds_the_askers_own_orders_of_whole_weeks_only(cast):
    orders(cast["alice"].user_id, 30, 100_00)
    orders(cast["charlie"].user_id, 30, 900_00)
    mine = ask("forecast", cast["alice"], TODAY, series="order_revenue", grain="week", horizon=8)
    history = mine.tables["history"]
    assert history["ds"].max() == pd.Timestamp(2026, 3, 9) and len(history) == 30
    assert sorted(set(history["y"])) == [200.0, 400.0]
    assert len(mine.tables["forecast"]) == 8 and mine.summary["until"] == "2026-03-17"
    everybody = ask("forecast", cast["root"], TODAY, series="order_revenue", grain="week", horizon=8).tables["history"]
    assert sorted(set(everybody["y"])) == [2_000.0, 4_000.0]
    from_sunday = ask("forecast", replace(cast["root"], first_weekday=6), TODAY, series="orders", grain="week", horizon=8).tables[
        "history"
    ]
    assert set(from_sunday["ds"].dt.day_name()) == {"Sunday"} and from_sunday["ds"].max() == pd.Timestamp(2026, 3, 8)
    only = ask("forecast", cast["root"], TODAY, series="orders", grain="week", horizon=8, owner=cast["charlie"].user_id)
    assert set(only.tables["history"]["y"]) == {2.0}


def test_the_days_are_those_of_the_workspace(cast):
    from crm_core.models import Organisation

    with write_session() as session:
        organisation = session.exec(select(Organisation)).one()
        organisation.timezone = "Asia/Tokyo"
        session.add(organisation)
    orders(cast["alice"].user_id, 12, 100_00)
    daily = ask("forecast", cast["root"], TODAY, series="orders", grain="day", horizon=7).tables["history"]
    assert set(daily.loc[daily["y"] > 0, "ds"].dt.day_name()) == {"Monday", "Tuesday"}  # 23:30 UTC is the next morning


def test_too_short_a_series_is_refused_by_what_is_missing_and_a_short_one_is_degraded(cast):
    orders(cast["alice"].user_id, 5, 100_00)
    with pytest.raises(DataError) as refused:
        ask("forecast", cast["root"], TODAY, series="order_revenue", grain="week")
    assert "8 periods" in refused.value.needed
    with pytest.raises(DataError) as nothing:
        ask("forecast", cast["root"], TODAY, series="tickets", grain="month")
    assert "new tickets" in nothing.value.needed
    orders(cast["charlie"].user_id, 20, 100_00)
    short = ask("forecast", cast["root"], TODAY, series="order_revenue", grain="week", horizon=4)
    assert short.reliable != "yes" and "Two full seasons (104 weeks)" in short.missing[0]
    assert not set(short.tables["accuracy"]["method"]) & {"prophet", "seasonal_naive"}


def test_leads_are_counted_by_the_day_they_came_and_an_idle_choice_is_named(cast):
    with write_session() as session:
        status = session.exec(select(LeadStatus)).first().id
        for back in range(40):
            at = datetime(2026, 3, 17, 12, tzinfo=UTC) - timedelta(days=back)
            session.add_all(
                Lead(name="L", status_id=status, owner_id=cast["alice"].user_id, created_at=at) for _ in range(1 + back % 3)
            )
    found = ask("forecast", cast["dana"], TODAY, series="new_leads", grain="day", horizon=7, category=0)
    assert len(found.tables["history"]) == 40 and found.tables["history"]["y"].sum() == 79
    assert "opened" not in found.sql and "lead" in found.sql


def history_of_deals(cast, quarters=7):
    """In every quarter six deals of 100 are won, one every two weeks; each stood open, committed, since the quarter before."""
    with write_session() as session:
        stages = {stage.name: stage for stage in session.exec(select(Stage))}
        starts = [date(2024 + q // 4, 1 + 3 * (q % 4), 1) for q in range(9)][-quarters - 1 :]
        for start in starts:
            for n in range(6):
                closed = start + timedelta(days=14 * n + 5)
                done = closed < TODAY
                stage = stages["Won"] if done else stages["Negotiation"]
                deal = Deal(
                    name="D", pipeline_id=stage.pipeline_id, stage_id=stage.id, outcome=stage.kind, owner_id=cast["alice"].user_id,
                    amount_minor=100_00, probability_pct=stage.probability_pct, created_on=start - timedelta(days=30),
                    expected_close_on=closed, closed_on=closed if done else None, stage_since=clock.utcnow(),
                )  # fmt: skip
                session.add(deal)
                session.flush()
                if done:
                    session.add(
                        PipelineSnapshot(
                            deal_id=deal.id, from_on=start - timedelta(days=30), until_on=closed, owner_id=deal.owner_id,
                            pipeline_id=deal.pipeline_id, stage_id=stages["Negotiation"].id, amount_minor=100_00, expected_close_on=closed,
                            probability_pct=75, category=ForecastCategory.COMMIT, backfilled=True,
                        )
                    )  # fmt: skip
        session.flush()
        snapshots.take(session, TODAY)


def test_each_way_is_judged_by_what_it_said_of_earlier_quarters_at_the_same_distance(cast):
    history_of_deals(cast)
    found = ask("outlook", cast["alice"], TODAY, unit="quarter")
    ways = found.tables["ways"].set_index("way")
    assert found.summary["reached"] == 600.0
    assert (found.summary["start"], found.summary["end"]) == ("2026-01-01", "2026-03-31")
    assert {"weighted", "commit"} <= set(ways.index)
    past = found.tables["past"]
    commit = past[(past["way"] == "commit") & (past["actual"] > 0)]
    assert len(commit) >= 6 and (commit["actual"] == 600).all() and (commit["error"] == 0).all()
    assert ways.loc["commit", "wape"] == 0 and ways.loc["commit", "estimate"] == 600


def test_a_quarter_whose_later_wins_stood_in_no_record_is_no_rehearsal(cast):
    history_of_deals(cast)
    with write_session() as session:
        won = session.exec(select(Stage).where(Stage.kind == StageKind.WON)).first()
        session.add(
            Deal(
                name="Imported", pipeline_id=won.pipeline_id, stage_id=won.id, outcome=StageKind.WON, owner_id=cast["alice"].user_id,
                amount_minor=5_000_00, created_on=date(2025, 7, 1), closed_on=date(2025, 9, 29), stage_since=clock.utcnow(),
            )
        )  # fmt: skip
    found = ask("outlook", cast["alice"], TODAY, unit="quarter")
    left = found.tables["left_out"]
    assert left["end"].astype(str).tolist() == ["2025-09-30"] and "did not stand in the record" in left["reason"].iloc[0]
    assert any("tell nothing about weighted pipeline" in line for line in found.missing)


def test_without_any_evening_the_outlook_says_so_and_who_sees_no_deals_gets_none(cast):
    found = ask("outlook", cast["root"], TODAY, unit="month")
    assert found.reliable == "no" and "has not been remembered on any evening yet" in found.missing[0]
    assert any("no statistical forecast" in line for line in found.warnings)
    ways = found.tables["ways"]
    assert ways["estimate"].tolist() == [0.0, 0.0]
