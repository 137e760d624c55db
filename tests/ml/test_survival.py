"""Survival and retention: textbook tables, hand-counted cohorts, properties, refusals."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.churn import cohort_retention, kaplan_meier, log_rank, median_survival, spells
from ml.errors import DataError
from ml.synthetic import company

# Freireich et al. (1963): weeks of remission under 6-MP and placebo, the textbook example.
TREATED = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
TREATED_ENDED = [1] * 9 + [0] * 12
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def test_the_textbook_curve():
    curve = kaplan_meier(TREATED, TREATED_ENDED)
    assert curve["age"].tolist() == [0, 6, 7, 10, 13, 16, 22, 23]
    assert curve["at_risk"].tolist() == [21, 21, 17, 15, 12, 11, 7, 6]
    published = [1, 0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
    assert np.allclose(curve["survival"], published, atol=5e-5)
    assert median_survival(curve) == 23


def test_the_textbook_log_rank_test():
    """Chi-square 16.79 on one degree of freedom."""
    durations, ended = TREATED + PLACEBO, TREATED_ENDED + [1] * 21
    result = log_rank(durations, ended, ["treated"] * 21 + ["placebo"] * 21)
    assert round(result.statistic, 2) == 16.79
    assert result.freedom == 1 and result.p_value < 1e-4


def test_the_log_rank_statistic_of_three_groups_is_that_of_statsmodels():
    from statsmodels.duration.survfunc import survdiff

    rng = np.random.default_rng(0)
    age, ended, group = rng.exponential(10, 300).round(1), rng.integers(0, 2, 300), rng.integers(0, 3, 300)
    statistic, p_value = survdiff(age, ended, group)
    ours = log_rank(age, ended, group)
    assert ours.statistic == pytest.approx(statistic) and ours.p_value == pytest.approx(p_value)


def test_equal_groups_do_not_differ():
    rng = np.random.default_rng(1)
    age = rng.exponential(10, 2_000)
    assert log_rank(age, np.ones(2_000), rng.integers(0, 2, 2_000)).p_value > 0.05


def test_groups_get_a_curve_each():
    both = kaplan_meier(TREATED + PLACEBO, TREATED_ENDED + [1] * 21, groups=["t"] * 21 + ["p"] * 21)
    assert both["group"].unique().tolist() == ["p", "t"]
    alone = kaplan_meier(TREATED, TREATED_ENDED)
    pd.testing.assert_frame_equal(both[both["group"] == "t"].drop(columns="group").reset_index(drop=True), alone)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=1, max_size=40))
def test_curves_fall_from_one_and_stay_within_their_limits(rows):
    age, ended = zip(*rows, strict=True)
    curve = kaplan_meier(age, ended)
    assert curve["survival"].is_monotonic_decreasing
    assert curve[["survival", "low", "high"]].stack().between(0, 1).all()
    assert (curve["low"] <= curve["survival"] + 1e-12).all() and (curve["survival"] <= curve["high"] + 1e-12).all()
    assert curve["age"].is_unique


def test_without_censoring_survival_is_the_share_that_is_older():
    age = np.array([1, 2, 2, 3, 5, 8, 8, 9])
    curve = kaplan_meier(age, np.ones(8))
    assert all(row["survival"] == pytest.approx((age > row["age"]).mean()) for _, row in curve.iterrows())


def test_nobody_who_left_gives_a_flat_curve_and_no_median():
    curve = kaplan_meier([3, 4, 5], [0, 0, 0])
    assert curve["survival"].tolist() == [1.0]
    assert median_survival(curve) is None


@pytest.mark.parametrize(
    ("durations", "ended", "words"),
    [
        ([], [], "at least one"),
        ([1, 2], [1], "one end"),
        ([-1], [1], "at least 0"),
        ([1], [2], "0 .still there"),
        ([np.nan], [1], "value in every row"),
        ([np.inf], [1], "finite"),
    ],
)
def test_spells_without_sense_are_refused(durations, ended, words):
    with pytest.raises(DataError, match=words):
        kaplan_meier(durations, ended)


def test_one_group_cannot_be_compared():
    with pytest.raises(DataError, match="at least 2 groups"):
        log_rank([1, 2], [1, 1], ["a", "a"])
    with pytest.raises(DataError, match="a group for every row"):
        kaplan_meier([1, 2], [1, 1], groups=["a"])


def contracts(**over):
    base = {
        "customer_id": [1, 2, 3],
        "started_at": pd.to_datetime(["2024-01-01", "2024-01-11", "2024-03-01"], utc=True),
        "ended_at": pd.to_datetime(["2024-01-21", None, "2024-05-01"], utc=True),
    }
    return pd.DataFrame(base | over)


def test_spells_know_only_what_had_happened():
    early = spells(contracts(), as_of="2024-01-31")
    assert early["age_days"].tolist() == [20, 20] and early["ended"].tolist() == [1, 0]
    later = spells(contracts(), as_of="2024-04-30")
    assert later["ended"].tolist() == [1, 0, 0] and later["age_days"].iloc[2] == 60


def test_spells_that_end_before_they_start_are_refused():
    with pytest.raises(DataError, match="ends after starts"):
        spells(contracts(ended_at=pd.Timestamp("2023-01-01", tz="UTC")), as_of="2025-01-01")
    with pytest.raises(DataError, match="no column ended_at"):
        spells(contracts().drop(columns="ended_at"), as_of="2025-01-01")
    with pytest.raises(DataError, match="on or before"):
        spells(contracts(), as_of="2020-01-01")


def activity(*rows):
    return pd.DataFrame(rows, columns=["customer_id", "at"]).assign(at=lambda f: pd.to_datetime(f["at"], utc=True))


VISITS = activity(
    ("a", "2024-01-05"), ("a", "2024-02-07"), ("a", "2024-02-09"), ("b", "2024-01-31"), ("b", "2024-03-01"),
    ("c", "2024-02-02"), ("d", "2024-04-02"),
)  # fmt: skip


def test_cohorts_are_counted_as_by_hand():
    table = cohort_retention(VISITS, as_of="2024-04-15")
    got = {
        (c.strftime("%m"), a): (n, k)
        for c, a, n, k in zip(*(table[x] for x in ("cohort", "age", "customers", "active")), strict=True)
    }
    assert got == {("01", 0): (2, 2), ("01", 1): (2, 1), ("01", 2): (2, 1), ("02", 0): (1, 1), ("02", 1): (1, 0)}
    assert (table["low"] <= table["retention"]).all() and (table["retention"] <= table["high"]).all()


def test_the_month_that_is_not_over_is_left_out_until_its_last_moment():
    assert cohort_retention(VISITS, as_of="2024-04-30")["cohort"].max() == pd.Timestamp("2024-02-01")
    assert cohort_retention(VISITS, as_of="2024-04-30 23:59:59.999999")["cohort"].max() == pd.Timestamp("2024-04-01")


def test_later_activity_changes_nothing():
    shown = VISITS[VISITS["at"] <= "2024-03-15"]
    pd.testing.assert_frame_equal(cohort_retention(shown, as_of="2024-03-15"), cohort_retention(VISITS, as_of="2024-03-15"))


def test_orders_are_taken_as_they_are():
    orders = company("small").orders
    table = cohort_retention(orders, as_of="2025-01-01", at="ordered_at", period="quarter")
    assert table[table["age"] == 0]["retention"].eq(1).all()
    assert table["age"].max() == 11


@pytest.mark.parametrize(
    ("frame", "options", "words"),
    [
        (VISITS, {"period": "decade"}, "a period among"),
        (VISITS, {"as_of": "2024-01-20"}, "whole month"),
        (VISITS, {"as_of": "2020-01-20"}, "on or before"),
        (VISITS.head(0), {}, "at least one row"),
        (VISITS.drop(columns="at"), {}, "columns at"),
    ],
)
def test_activity_that_forms_no_cohort_is_refused(frame, options, words):
    with pytest.raises(DataError, match=words):
        cohort_retention(frame, **({"as_of": "2024-04-15"} | options))
