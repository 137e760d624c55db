"""The yardsticks, against libraries, simulation and hand-made tables."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from ml import synthetic
from ml.errors import DataError
from ml.evaluation import (
    Interval,
    auc_interval,
    bootstrap_interval,
    calibration_table,
    lift_table,
    rolling_origins,
    uplift,
)
from ml.kpis import rate


class TestRollingOrigins:
    def test_the_last_window_ends_with_the_series(self):
        assert rolling_origins(100, horizon=10, origins=3) == [(70, 80), (80, 90), (90, 100)]
        assert rolling_origins(100, horizon=10, origins=2, step=5) == [(85, 95), (90, 100)]

    def test_as_many_as_the_training_length_allows(self):
        assert rolling_origins(30, horizon=6, origins=10, initial=20) == [(24, 30)]
        assert rolling_origins(26, horizon=6, origins=10, initial=20) == [(20, 26)]

    @given(n=st.integers(2, 300), horizon=st.integers(1, 20), origins=st.integers(1, 8), step=st.integers(1, 9))
    def test_nothing_is_judged_that_was_learnt_from(self, n, horizon, origins, step):
        if n < 2 * horizon:
            with pytest.raises(DataError):
                rolling_origins(n, horizon=horizon, origins=origins, step=step)
            return
        windows = rolling_origins(n, horizon=horizon, origins=origins, step=step)
        assert 1 <= len(windows) <= origins
        assert windows == sorted(windows)
        assert all(horizon <= start and end == start + horizon <= n for start, end in windows)

    def test_a_horizon_of_zero_is_refused(self):
        with pytest.raises(DataError, match="at least 1"):
            rolling_origins(10, horizon=0)


class TestBootstrap:
    def test_the_mean_of_normal_data_is_covered_as_often_as_promised(self):
        rng = np.random.default_rng(0)
        hits = [bootstrap_interval(rng.normal(5, 2, 60), draws=300, seed=i).contains(5) for i in range(200)]
        assert 0.89 <= np.mean(hits) <= 0.98

    def test_same_seed_same_limits_and_levels_nest(self):
        values = np.random.default_rng(1).exponential(size=80)
        assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
        narrow, wide = bootstrap_interval(values, level=0.5), bootstrap_interval(values, level=0.99)
        assert wide.low < narrow.low < narrow.high < wide.high

    def test_arrays_of_a_tuple_are_redrawn_together(self):
        x = np.arange(50.0)
        found = bootstrap_interval((x, 3 * x), lambda a, b: float(np.sum(b) / np.sum(a)))
        assert (found.low, found.estimate, found.high) == pytest.approx((3, 3, 3))

    @pytest.mark.parametrize("values", [[], [1.0], [1.0, np.nan], [1.0, np.inf], (np.ones(3), np.ones(4))])
    def test_too_little_or_broken_is_refused(self, values):
        with pytest.raises(DataError):
            bootstrap_interval(values)

    def test_intervals_know_what_they_share(self):
        assert Interval(1, 0, 2).overlaps(Interval(3, 2, 4))
        assert not Interval(1, 0, 2).overlaps(Interval(3, 2.1, 4))


class TestAuc:
    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 10_000), n=st.integers(4, 200))
    def test_the_area_is_sklearns_with_ties(self, seed, n):
        rng = np.random.default_rng(seed)
        y = np.concatenate([[0, 1], rng.integers(0, 2, n)])
        p = rng.integers(0, 6, n + 2) / 5
        found = auc_interval(y, p)
        assert found.estimate == pytest.approx(roc_auc_score(y, p))
        assert 0 <= found.low <= found.estimate <= found.high <= 1

    def test_the_interval_covers_the_truth_as_often_as_promised(self):
        rng = np.random.default_rng(2)
        true_area = 0.7602  # two unit normals one apart: Φ(1/√2)
        hits = 0
        for _ in range(300):
            p = np.concatenate([rng.normal(1, 1, 40), rng.normal(0, 1, 80)])
            hits += auc_interval(np.repeat([1, 0], [40, 80]), p).contains(true_area)
        assert 0.91 <= hits / 300 <= 0.985

    def test_noise_includes_one_half(self):
        rng = np.random.default_rng(3)
        hits = [auc_interval(rng.integers(0, 2, 300), rng.random(300)).contains(0.5) for _ in range(500)]
        assert 0.92 < np.mean(hits) < 0.98

    def test_a_perfect_order_keeps_room_for_doubt(self):
        found = auc_interval([0, 0, 0, 1, 1, 1], [1, 2, 3, 4, 5, 6])
        assert found.estimate == 1
        assert found.low < 0.5

    @pytest.mark.parametrize(
        ("y", "p"), [([1, 1], [0.1, 0.2]), ([0, 1], [0.1]), ([0, 2], [0.1, 0.2]), ([0, 1], [0.1, np.nan]), ([], [])]
    )
    def test_one_sided_or_broken_input_is_refused(self, y, p):
        with pytest.raises(DataError):
            auc_interval(y, p)


class TestCalibration:
    def test_true_probabilities_are_calibrated_and_stretched_ones_are_not(self):
        rng = np.random.default_rng(0)
        p = rng.uniform(0.05, 0.6, 20_000)
        y = rng.random(20_000) < p
        good, bad = calibration_table(y, p), calibration_table(y, np.clip(1.6 * p, 0, 1))
        assert good.attrs["ece"] < 0.015
        assert bad.attrs["ece"] > 0.1
        inside = (good["low"] <= good["predicted"]) & (good["predicted"] <= good["high"])
        assert inside.sum() >= 8
        assert good.attrs["brier"] == pytest.approx(brier_score_loss(y, p))

    def test_bins_hold_all_rows_and_equal_scores_share_one(self):
        table = calibration_table([0, 1, 0, 1, 1], [0.2, 0.2, 0.2, 0.2, 0.9], bins=3)
        assert table["n"].sum() == 5
        assert 4 in set(table["n"])

    def test_scores_that_are_no_probabilities_are_refused(self):
        with pytest.raises(DataError, match="probabilities between 0 and 1"):
            calibration_table([0, 1], [0.1, 1.2])


class TestLift:
    def test_a_hand_made_table(self):
        table = lift_table([1, 1, 0, 1, 0, 0, 0, 0, 0, 0], np.linspace(1, 0, 10), bins=5)
        assert list(table["hits"]) == [2, 1, 0, 0, 0]
        assert table["lift"][0] == pytest.approx(1 / 0.3)
        assert table["cumulative_gain"].iloc[-1] == 1

    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0, 1000))
    def test_row_order_changes_nothing_even_with_ties(self, seed):
        rng = np.random.default_rng(seed)
        y, p = np.concatenate([[1], rng.integers(0, 2, 60)]), rng.integers(0, 4, 61) / 4
        order = rng.permutation(61)
        pd.testing.assert_frame_equal(lift_table(y, p), lift_table(y[order], p[order]))

    def test_constant_scores_have_no_lift(self):
        assert np.allclose(lift_table([1, 0, 0, 1, 0, 0], [0.5] * 6, bins=3)["lift"], 1)

    def test_no_outcome_at_all_is_refused(self):
        with pytest.raises(DataError, match="at least one row with the outcome"):
            lift_table([0, 0], [0.1, 0.2])


class TestUplift:
    def test_the_planted_lift_lies_in_the_interval(self):
        results = []
        for seed in range(10):
            campaign = synthetic.company(2_000, seed).campaign
            treated, control = (campaign.loc[campaign["group"] == g, "responded"] for g in ("treated", "control"))
            results.append(uplift(treated, control))
        lift = synthetic.truth().campaign_lift
        assert sum(result.low <= lift <= result.high for result in results) >= 8
        found = max(results, key=lambda result: result.low)
        assert found.conclusive
        assert found.verdict == "The treatment raised the outcome."

    def test_the_interval_covers_as_often_as_promised(self):
        rng = np.random.default_rng(0)
        hits = [uplift(rng.random(400) < 0.13, rng.random(200) < 0.08) for _ in range(300)]
        assert 0.92 <= np.mean([h.low <= 0.05 <= h.high for h in hits]) <= 0.985

    def test_nothing_planted_is_not_conclusive_and_says_what_it_would_take(self):
        rng = np.random.default_rng(1)
        found = uplift(rng.random(300) < 0.1, rng.random(300) < 0.1)
        assert not found.conclusive
        assert "Not enough data" in found.verdict
        assert found.n_needed > 300

    def test_the_sample_size_is_the_textbooks(self):
        """Fleiss without continuity correction, unpooled: 8% against 13%, power 80%: 587 per group."""
        z = 1.959964 + 0.841621
        expected = int(np.ceil(z**2 * (0.08 * 0.92 + 0.13 * 0.87) / 0.05**2))
        assert uplift(rate(13, 100), rate(8, 100), effect=0.05).n_needed == expected == 587

    def test_money_uses_welch(self):
        from scipy import stats

        rng = np.random.default_rng(2)
        a, b = rng.gamma(2, 30, 500), rng.gamma(2, 25, 300)
        found, peer = uplift(a, b), stats.ttest_ind(a, b, equal_var=False)
        interval = peer.confidence_interval(0.95)
        assert (found.low, found.high, found.p_value) == pytest.approx((interval.low, interval.high, peer.pvalue))

    def test_rates_and_rows_agree(self):
        rows = uplift([1] * 13 + [0] * 87, [1] * 8 + [0] * 92)
        counts = uplift(rate(13, 100), rate(8, 100))
        assert (rows.low, rows.high, rows.n_needed) == pytest.approx((counts.low, counts.high, counts.n_needed))

    def test_no_difference_and_no_responses_are_answers(self):
        found = uplift([0, 0, 0], [0, 0, 0])
        assert (found.difference, found.n_needed, found.conclusive) == (0, 0, False)
        assert np.isnan(found.relative)

    @pytest.mark.parametrize(("a", "b"), [([], [1, 0]), ([1], [0, 1]), ([1, np.nan], [0, 1]), ([1, 0], [np.inf, 1])])
    def test_small_or_broken_groups_are_refused(self, a, b):
        with pytest.raises(DataError):
            uplift(a, b)
