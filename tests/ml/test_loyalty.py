"""Scores of surveys: published values, and that the interval holds what it promises."""

import math

import numpy as np
import pytest

from ml import loyalty


def test_satisfied_gives_wilsons_published_interval():
    """81 of 263: 0.2553 to 0.3662 (Newcombe 1998, Statistics in Medicine 17, table I, method 3)."""
    score = loyalty.satisfied({5: 50, 4: 31, 1: 182}, at_least=4)
    assert (round(score.low, 2), round(score.high, 2), score.n) == (25.53, 36.62, 263)


def test_the_difference_of_shares_gives_the_published_interval():
    """150 against 86 of 1,600: 0.04 with 0.02 to 0.06 (Agresti, Categorical Data Analysis, section on matched pairs)."""
    low, high = loyalty.difference(150, 86, 1600)
    assert (round(low, 2), round(high, 2)) == (0.02, 0.06)
    score = loyalty.net_promoter({10: 150, 8: 1364, 3: 86})
    assert round(score.value, 2) == 4.0 and score.low == pytest.approx(100 * low)


def test_without_answers_there_is_no_score_and_the_ends_stay_within_the_scale():
    for score in (loyalty.net_promoter({}), loyalty.satisfied({}, at_least=4), loyalty.mean_score({}, most=7)):
        assert math.isnan(score.value) and score.n == 0
    best = loyalty.net_promoter({10: 6})
    assert (best.value, best.high) == (100, 100) and best.low < 80
    assert loyalty.mean_score({7: 1}, most=7).low == 1
    assert loyalty.mean_score({2: 1, 4: 1}, most=7).value == 3


@pytest.mark.parametrize(("p", "n"), [((0.5, 0.3, 0.2), 12), ((0.9, 0.08, 0.02), 30), ((0.34, 0.33, 0.33), 200)])
def test_the_interval_of_the_net_promoter_score_covers_the_truth(p, n):
    drawn = np.random.default_rng(7).multinomial(n, p, size=4_000)
    limits = [loyalty.difference(int(up), int(down), n) for up, _, down in drawn]
    truth = p[0] - p[2]
    assert 0.93 <= np.mean([low <= truth <= high for low, high in limits]) <= 0.99
