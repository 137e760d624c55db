"""Scores of surveys that say how sure they are: satisfied share, Net Promoter Score, mean effort."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan, sqrt
from statistics import NormalDist

import numpy as np

from ml.kpis import wilson


@dataclass(frozen=True)
class Score:
    """A score with its interval. ``value``: percent for shares, −100 to 100 for NPS, points for a mean; NaN without answers."""

    value: float
    low: float
    high: float
    n: int


EMPTY = Score(nan, nan, nan, 0)


def satisfied(counts: Mapping[int, int], *, at_least: int, level: float = 0.95) -> Score:
    """Percent of answers of ``at_least`` or more, with the Wilson score interval.

    ``counts``: score → number of answers. Without answers NaN. Source: Wilson (1927), equation 9.
    """
    n, good = sum(counts.values()), sum(count for score, count in counts.items() if score >= at_least)
    if n == 0:
        return EMPTY
    low, high = wilson(np.array([good]), np.array([n]), level)
    return Score(100 * good / n, 100 * float(low[0]), 100 * float(high[0]), n)


def net_promoter(counts: Mapping[int, int], *, level: float = 0.95) -> Score:
    """Promoters (9, 10) minus detractors (0 to 6), in points, with an adjusted Wald interval.

    The score is a difference of two shares of the same answers. One answer is added to each side before the usual interval of such a
    difference is taken, which keeps its coverage at small n and at scores near ±100. The value itself is not adjusted; the limits are cut at
    ±100. Source: Bonett and Price (2012), Journal of Educational and Behavioral Statistics 37(4), equation 4.
    """
    n = sum(counts.values())
    if n == 0:
        return EMPTY
    fans = sum(count for score, count in counts.items() if score >= 9)
    critics = sum(count for score, count in counts.items() if score <= 6)
    low, high = difference(fans, critics, n, level)
    value = 100 * (fans - critics) / n
    return Score(value, min(value, 100 * low), max(value, 100 * high), n)


def difference(more: int, less: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Limits of the difference of two shares of the same ``n`` things (Bonett and Price 2012, equation 4), within −1 and 1."""
    a, b = (more + 1) / (n + 2), (less + 1) / (n + 2)
    half = NormalDist().inv_cdf(0.5 + level / 2) * sqrt(max(0.0, a + b - (a - b) ** 2) / (n + 2))
    return max(-1.0, a - b - half), min(1.0, a - b + half)


def mean_score(counts: Mapping[int, int], *, most: int, level: float = 0.95) -> Score:
    """Mean of the answers with Student's interval, cut at the ends of the scale (1 to ``most``); from a single answer the whole scale."""
    n = sum(counts.values())
    if n == 0:
        return EMPTY
    scores, weights = np.array(list(counts), dtype=float), np.array(list(counts.values()), dtype=float)
    mean = float((scores * weights).sum() / n)
    if n == 1:
        return Score(mean, 1.0, float(most), 1)
    from scipy.stats import t

    deviation = sqrt(float((weights * (scores - mean) ** 2).sum()) / (n - 1))
    half = float(t.ppf(0.5 + level / 2, n - 1)) * deviation / sqrt(n)
    return Score(mean, max(1.0, mean - half), min(float(most), mean + half), n)
