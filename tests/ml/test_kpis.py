"""Rates, XmR, funnels and comparisons: published figures, known truth, refusals."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact
from statsmodels.stats.proportion import proportion_confint

from ml import kpis, synthetic
from ml.errors import DataError
from ml.kpis import compare, funnel, funnel_limits, per_period, rate, rates_by, xmr


@pytest.mark.parametrize(("k", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)])
def test_wilson_gives_the_published_limits(k, n, low, high):
    found = rate(k, n)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(n=st.integers(1, 5000), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.998]))
def test_wilson_agrees_with_statsmodels(n, share, level):
    k = round(n * share)
    found = rate(k, n, level)
    assert (found.low, found.high) == pytest.approx(proportion_confint(k, n, 1 - level, "wilson"), abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_fisher_gives_the_published_value_of_the_lady_tasting_tea():
    assert kpis.fisher(3, 4, 1, 4) == pytest.approx(34 / 70)


@given(st.data())
def test_fisher_agrees_with_scipy(data):
    n, m = data.draw(st.integers(0, 400)), data.draw(st.integers(0, 4_000))
    k, other = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    theirs = fisher_exact([[k, n - k], [other, m - other]]).pvalue
    assert kpis.fisher(k, n, other, m) == pytest.approx(theirs, rel=1e-6, abs=1e-300)


def test_fisher_refuses_more_hits_than_cases():
    with pytest.raises(DataError):
        kpis.fisher(3, 2, 1, 4)


@given(n=st.integers(1, 500), share=st.floats(0, 1))
def test_a_higher_level_gives_a_wider_interval(n, share):
    k = round(n * share)
    narrow, wide = rate(k, n, 0.8), rate(k, n, 0.99)
    assert wide.low <= narrow.low <= narrow.high <= wide.high


def test_a_rate_reads_as_a_sentence():
    assert str(rate(81, 263)) == "30.8% (81 of 263; 25.5% to 36.6%)"


@pytest.mark.parametrize(("k", "n"), [(1, 0), (0, 0), (3, 2), (-1, 5), (1.5, 3), (float("nan"), 3), (1, float("inf"))])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(DataError):
        rate(k, n)


@pytest.mark.parametrize("level", [0, 1, 95, -0.1])
def test_a_level_outside_zero_to_one_is_refused(level):
    with pytest.raises(DataError, match="confidence level"):
        rate(1, 2, level)


class TestMaven:
    @pytest.fixture(scope="class")
    def closed(self, reference):
        deals = pd.read_csv(reference("maven_crm/sales_pipeline.csv"))
        deals = deals[deals["deal_stage"].isin(["Won", "Lost"])]
        closed_at = pd.to_datetime(deals["close_date"], format="%d-%m-%y")
        return deals.assign(won=deals["deal_stage"] == "Won", closed_at=closed_at)

    def test_the_win_rate_is_the_published_one(self, closed):
        found = rate(int(closed["won"].sum()), len(closed))
        assert (found.numerator, found.denominator - found.numerator) == (4_238, 2_473)
        assert round(found.value, 4) == 0.6315

    def test_quarters_add_up_to_the_published_total_and_agree_with_the_files_own_quarters(self, closed):
        won = closed[closed["won"]]
        table = per_period(won, at="closed_at", value="close_value", freq="quarter")
        assert table["value"].sum() == 10_005_534
        own = won.groupby("close_quarter")["close_value"].sum()
        assert dict(zip(table["period"], table["value"], strict=True)) == {
            f"{name[-4:]}{name[:2]}": value for name, value in own.items()
        }

    def test_the_published_quarters_come_from_reading_ambiguous_days_month_first(self, closed):
        """1,575,290 … 2,677,788 need 01-03-17 to be the third of January, which the file's own close_quarter denies.
        The contract refuses such text, so nobody repeats that here."""
        won = closed[closed["won"]]
        parts = won["close_date"].str.split("-", expand=True).astype(int)
        swapped = parts[0] <= 12
        month, day = np.where(swapped, parts[0], parts[1]), np.where(swapped, parts[1], parts[0])
        misread = won.assign(closed_at=pd.to_datetime({"year": 2000 + parts[2], "month": month, "day": day}))
        table = per_period(misread, at="closed_at", value="close_value", freq="quarter")
        assert list(table["value"]) == [1_575_290, 2_902_036, 2_850_420, 2_677_788]
        with pytest.raises(DataError, match="year first"):
            per_period(won, at="close_date", freq="quarter")

    def test_the_agents_cannot_be_told_from_chance(self, closed):
        found = funnel(closed, by="sales_agent", success="won")
        assert round(found.p_value, 2) == 0.26
        assert (round(found.table["rate"].min(), 2), round(found.table["rate"].max(), 2)) == (0.55, 0.70)
        assert set(found.table["place"]) == {"within"}
        assert "can't be told from chance" in found.verdict


class TestRatesBy:
    def test_each_group_is_counted_and_rows_without_one_are_named(self):
        frame = pd.DataFrame({"team": ["x", "x", None, "y", "x"], "won": [1, 0, 1, 1, 1]})
        table = rates_by(frame, by="team", success="won")
        assert table[["group", "numerator", "denominator"]].to_numpy().tolist() == [["x", 2, 3], ["(none)", 1, 1], ["y", 1, 1]]

    def test_other_outcomes_than_yes_and_no_are_refused(self):
        with pytest.raises(DataError, match="0 or 1 in won"):
            rates_by(pd.DataFrame({"team": ["x"], "won": [2]}), by="team", success="won")

    def test_missing_columns_are_named(self):
        with pytest.raises(DataError, match="the columns won"):
            rates_by(pd.DataFrame({"team": ["x"]}), by="team", success="won")


class TestPerPeriod:
    frame = pd.DataFrame({"at": ["2024-01-31T23:30-02:00", "2024-03-01T00:00Z"], "value": [5.0, 7.0]})

    def test_periods_are_utc_and_empty_ones_are_there(self):
        table = per_period(self.frame, at="at", value="value", freq="month")
        assert table[["period", "n", "value"]].to_numpy().tolist() == [["2024-02", 1, 5.0], ["2024-03", 1, 7.0]]
        earlier = pd.concat([self.frame, pd.DataFrame({"at": ["2023-12-31T00:00Z"], "value": [1.0]})])
        assert list(per_period(earlier, at="at", value="value")["n"]) == [1, 0, 1, 1]

    def test_the_running_period_is_marked_and_the_future_is_hidden(self):
        table = per_period(self.frame, at="at", value="value", as_of="2024-02-20")
        assert table[["period", "n", "complete"]].to_numpy().tolist() == [["2024-02", 1, False]]

    def test_an_unknown_period_is_refused(self):
        with pytest.raises(DataError, match="one of day, week, month"):
            per_period(self.frame, at="at", freq="fortnight")


class TestXmr:
    def test_hand_computed_limits(self):
        chart = xmr(pd.Series([10.0, 12.0, 11.0, 13.0]))
        assert chart.centre == 11.5
        assert chart.upper == pytest.approx(11.5 + 2.66 * 5 / 3)
        assert chart.lower == pytest.approx(11.5 - 2.66 * 5 / 3)
        assert chart.range_limit == pytest.approx(3.268 * 5 / 3)

    def test_noise_is_called_routine(self):
        signals = [(xmr(synthetic.white_noise(100, seed)).table["signal"] != "").mean() for seed in range(20)]
        assert np.mean(signals) < 0.05

    def test_a_jump_is_a_signal(self):
        y = synthetic.white_noise(60, 1)
        y.loc[59, "y"] += 60
        chart = xmr(y, baseline=50)
        assert chart.table["signal"].iloc[-1] == "above the limits"
        assert "Look for a cause" in chart.verdict

    def test_a_small_lasting_shift_is_a_run(self):
        rng = np.random.default_rng(0)
        y = np.concatenate([rng.normal(0, 1, 30), rng.normal(1.3, 0.3, 10)])
        chart = xmr(pd.Series(y), baseline=30)
        assert chart.table["signal"].iloc[-1] == "run of 8 or more above the centre"

    def test_the_lower_limit_stops_at_the_floor(self):
        assert xmr(pd.Series([0.0, 5, 1, 6]), floor=0).lower == 0

    def test_few_and_equal_values_are_warned_about(self):
        warnings = " ".join(xmr(pd.Series([3.0, 3, 3])).warnings)
        assert "only 3 periods" in warnings
        assert "All baseline values are equal" in warnings

    @pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [1.0, np.nan, 2.0], [1.0, np.inf, 2.0]])
    def test_too_few_or_broken_values_are_refused(self, values):
        with pytest.raises(DataError):
            xmr(pd.Series(values, dtype=float))

    def test_later_points_do_not_move_the_limits_of_a_baseline(self):
        y = synthetic.white_noise(60, 3)["y"]
        early, late = xmr(y[:40], baseline=30), xmr(y, baseline=30)
        assert (early.centre, early.lower, early.upper) == (late.centre, late.lower, late.upper)

    def test_the_running_period_is_left_out_and_that_is_said(self):
        orders = synthetic.company("small", 1).orders
        weeks = per_period(orders, at="ordered_at", value="revenue", freq="month", as_of="2024-06-03")
        chart = xmr(weeks.rename(columns={"value": "y"}))
        assert len(chart.table) == len(weeks) - 1
        assert "running period" in chart.warnings[0]

    def test_several_series_are_refused(self):
        frame = pd.DataFrame({"ds": ["2024-01-01"] * 2, "y": [1, 2], "unique_id": ["a", "b"]})
        with pytest.raises(DataError, match="one series at a time"):
            xmr(frame)


class TestFunnel:
    def test_limits_hold_their_share_of_chance(self):
        n, p = 400, 0.3
        limits = funnel_limits([n], p).iloc[0]
        shares = np.random.default_rng(0).binomial(n, p, 200_000) / n
        assert np.mean((shares < limits["low_95"]) | (shares > limits["high_95"])) == pytest.approx(0.05, abs=0.012)
        assert np.mean((shares < limits["low_998"]) | (shares > limits["high_998"])) == pytest.approx(0.002, abs=0.001)

    def test_limits_narrow_with_size_and_nest(self):
        table = funnel_limits([20, 200, 2000], 0.5)
        assert (table["high_95"] < table["high_998"]).all()
        assert table["high_95"].is_monotonic_decreasing
        assert table["low_95"].is_monotonic_increasing

    def test_a_group_that_really_differs_is_found_and_the_others_are_not(self):
        rng = np.random.default_rng(4)
        team = np.repeat([f"t{i}" for i in range(10)], 500)
        won = rng.random(5000) < np.where(team == "t3", 0.45, 0.30)
        found = funnel(pd.DataFrame({"team": team, "won": won}), by="team", success="won")
        assert list(found.table.loc[found.table["place"] != "within", "group"]) == ["t3"]
        assert found.p_value < 1e-4

    def test_all_won_is_no_difference(self):
        found = funnel(pd.DataFrame({"team": ["a", "b"] * 5, "won": [1] * 10}), by="team", success="won")
        assert found.p_value == 1

    @pytest.mark.parametrize(("n", "p"), [([0], 0.5), ([], 0.5), ([5], 1.5), ([np.nan], 0.5)])
    def test_broken_sizes_and_rates_are_refused(self, n, p):
        with pytest.raises(DataError):
            funnel_limits(n, p)

    def test_one_group_is_refused(self):
        with pytest.raises(DataError, match="at least 2 groups"):
            funnel(pd.DataFrame({"team": ["a"], "won": [1]}), by="team", success="won")


class TestCompare:
    def test_rates_use_newcombes_interval(self):
        """Newcombe (1998), table II, method 10: 56/70 − 48/80 lies between .0524 and .3339."""
        found = compare(rate(48, 80), rate(56, 70))
        assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)
        assert found.distinguishable

    def test_noise_is_not_called_a_change(self):
        rng = np.random.default_rng(0)
        told = [compare(rng.normal(100, 10, 28), rng.normal(100, 10, 28)).distinguishable for _ in range(300)]
        assert 0.02 < np.mean(told) < 0.09

    def test_weekly_rhythm_cancels_when_positions_meet(self):
        week = np.tile([1.0, 1, 1, 1, 2, 3, 0.5], 4) * 100
        noise = np.random.default_rng(1).normal(0, 3, (2, 28))
        assert compare(week + noise[0], week * 1.05 + noise[1]).distinguishable

    def test_growth_on_every_step_is_a_change_however_uneven_it_is(self):
        before, after = [0, 2, 3, 5, 1, 2, 0, 3, 5, 2, 7, 19], [21, 23, 17, 26, 31, 23, 21, 15, 21, 27, 139, 186]
        found = compare(before, after)
        assert found.low < 0 and found.distinguishable and found.p_value < 0.001
        assert not compare([0, 0, 0, 0, 0], [1, 50, 2, 1, 60]).distinguishable, "of five steps one can not be as sure"

    def test_equal_periods_of_equal_values_have_not_changed(self):
        found = compare([5, 5, 5], [5, 5, 5])
        assert (found.change, found.p_value, found.distinguishable) == (0, 1, False)

    def test_a_change_from_nothing_has_no_percentage(self):
        found = compare([0, 0, 0], [5, 5, 5])
        assert np.isnan(found.relative)
        assert found.verdict == "Up: more than noise."

    @pytest.mark.parametrize(
        ("a", "b"), [([1, 2, 3], [1, 2]), ([1, 2], [1, 2]), (rate(1, 2), [1, 2, 3]), ([1, np.nan, 2], [1, 2, 3])]
    )
    def test_unequal_or_broken_periods_are_refused(self, a, b):
        with pytest.raises(DataError):
            compare(a, b)


def test_the_planted_campaign_shows_in_the_difference_of_rates():
    responses = synthetic.company("medium", 3).campaign.groupby("group")["responded"].agg(["sum", "count"])
    treated, control = (rate(*map(int, responses.loc[name])) for name in ("treated", "control"))
    low, high, p_value = kpis.rate_difference(treated, control)
    assert low <= synthetic.truth().campaign_lift <= high
    assert p_value < 0.001
