"""Key figures that say how sure they are: Wilson rates, XmR charts, funnel limits, comparisons of equal periods."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ml.errors import DataError


@dataclass(frozen=True)
class Rate:
    """A share with everything needed to judge it.

    Attributes
    ----------
    numerator, denominator
        Counts.
    value
        numerator / denominator, 0–1.
    low, high
        Wilson score interval at `level`.
    """

    numerator: int
    denominator: int
    value: float
    low: float
    high: float
    level: float

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.numerator:,} of {self.denominator:,}; {self.low:.1%} to {self.high:.1%})"


def wilson(successes: np.ndarray, n: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson score limits for many shares at once; a share of nothing (n = 0) is anything from 0 to 1.

    Source: Wilson (1927), equation 9; no continuity correction.
    """
    k, total = np.asarray(successes, dtype=float), np.asarray(n, dtype=float)
    z = stats.norm.ppf(0.5 + check_level(level) / 2)
    safe = np.where(total > 0, total, 1.0)
    share = k / safe
    centre = (share + z * z / (2 * safe)) / (1 + z * z / safe)
    half = z / (1 + z * z / safe) * np.sqrt(share * (1 - share) / safe + z * z / (4 * safe * safe))
    low = np.where(total > 0, np.where(k == 0, 0.0, centre - half), 0.0)
    high = np.where(total > 0, np.where(k == total, 1.0, centre + half), 1.0)
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


def rate(numerator: float, denominator: float, level: float = 0.95) -> Rate:
    """A share with its Wilson score interval.

    Raises
    ------
    DataError
        Nothing in the denominator, or counts that are negative, broken, or larger above than below.
    """
    for name, value in (("numerator", numerator), ("denominator", denominator)):
        if not np.isfinite(value) or value < 0 or value != int(value):
            raise DataError(f"{value!r} as {name}", "whole counts of zero or more")
    if denominator == 0:
        raise DataError("none", "at least one case in the denominator")
    if numerator > denominator:
        raise DataError(f"{numerator:,} of {denominator:,}", "a numerator no larger than the denominator")
    low, high = wilson(np.array([numerator]), np.array([denominator]), level)
    k, n = int(numerator), int(denominator)
    return Rate(k, n, k / n, float(low[0]), float(high[0]), level)


def check_level(level: float) -> float:
    """A confidence level strictly between 0 and 1."""
    if not 0 < level < 1:
        raise DataError(f"{level!r}", "a confidence level between 0 and 1, such as 0.95")
    return level
