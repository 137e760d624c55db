"""The hold-out: the published figures of the CDNOW sample, and what it hides."""

import pandas as pd
import pytest

from ml import lifetime
from ml.errors import DataError
from tests.ml.reference_help import cdnow_orders


@pytest.fixture(scope="module")
def cdnow(reference):
    return cdnow_orders(reference("cdnow/CDNOW_sample.txt"))


@pytest.fixture(scope="module")
def report(cdnow):
    return lifetime.holdout_report(cdnow, "1997-09-30", as_of="1998-06-30")


def test_in_39_weeks_1882_repeat_purchases_happened_and_bgnbd_says_1653(report):
    totals = report.totals.set_index("method")
    assert report.periods == 39
    assert report.actual == 1_882
    assert round(totals.loc["BG/NBD", "predicted"]) == 1_653
    assert totals.loc["rate × time", "predicted"] / report.actual == pytest.approx(3, abs=0.15)


def test_alive_ranks_the_wrong_way_round_and_recency_as_well_as_the_model(report):
    auc = report.ranking.set_index("score")["auc"]
    assert round(auc["BG/NBD: P(alive)"], 2) == 0.32
    assert round(auc["BG/NBD: expected purchases"], 2) == 0.77
    assert round(auc["recency"], 2) == 0.77
    assert any("date of the last order" in sentence for sentence in report.advice)


def test_the_models_beat_the_simple_rules_on_totals(report):
    error = report.totals.set_index("method")["error"].abs()
    assert error[["BG/NBD", "Pareto/NBD"]].max() < 0.2 < error["repeat rate × time"] < error["rate × time"]


def test_the_tracking_curve_ends_at_all_repeat_purchases(report, cdnow):
    days = cdnow.assign(day=cdnow["ordered_at"].dt.floor("D")).drop_duplicates(["customer_id", "day"])
    assert report.tracking["actual"].iloc[-1] <= len(days) - cdnow["customer_id"].nunique()
    assert report.tracking["actual"].is_monotonic_increasing
    assert report.tracking["expected"].is_monotonic_increasing
    seen = report.tracking[~report.tracking["held_out"]].iloc[-1]
    assert seen["expected"] == pytest.approx(seen["actual"], rel=0.1)


def test_by_frequency_adds_up(report):
    table = report.by_frequency
    assert table["customers"].sum() == report.customers
    assert (table["customers"] * table["actual"]).sum() == pytest.approx(report.actual)


def test_revenue_is_set_against_what_was_taken(report):
    assert report.revenue_actual > 0
    assert report.revenue_predicted == pytest.approx(report.revenue_actual, rel=0.25)


def test_orders_after_the_end_change_nothing(cdnow, report):
    late = cdnow.head(50).assign(order_id=range(10**6, 10**6 + 50), ordered_at=pd.Timestamp("1999-01-01", tz="UTC"))
    again = lifetime.holdout_report(pd.concat([cdnow, late]), "1997-09-30", as_of="1998-06-30")
    pd.testing.assert_frame_equal(again.totals, report.totals)
    pd.testing.assert_frame_equal(again.tracking, report.tracking)


def test_a_past_long_enough_to_rehearse_on_adds_the_regression(cdnow):
    report = lifetime.holdout_report(cdnow, "1998-01-31", as_of="1998-06-30")
    assert "RFM regression" in report.totals["method"].tolist()


def test_a_split_after_the_last_order_is_refused(cdnow):
    with pytest.raises(DataError, match="orders after the split"):
        lifetime.holdout_report(cdnow, "1999-01-01")


def test_a_hold_out_in_which_nobody_bought_says_so(cdnow):
    early = cdnow[cdnow["ordered_at"] <= "1997-09-30"]
    report = lifetime.holdout_report(early, "1997-09-30", as_of="1997-10-31")
    assert report.actual == 0
    assert "nothing to judge by" in report.advice[0]
    assert report.ranking.empty
