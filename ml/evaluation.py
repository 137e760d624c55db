"""How far can it be trusted: rolling origins, bootstrap, calibration, lift, AUC with an interval, measured uplift."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ml.contracts import finite
from ml.errors import DataError
from ml.kpis import Rate, check_level, rate, rate_difference, wilson


@dataclass(frozen=True)
class Interval:
    """An estimate between its limits at a confidence level."""

    estimate: float
    low: float
    high: float
    level: float = 0.95

    def contains(self, value: float) -> bool:
        """Whether `value` lies within the limits."""
        return self.low <= value <= self.high

    def overlaps(self, other: "Interval") -> bool:
        """Whether the two intervals share any value."""
        return self.low <= other.high and other.low <= self.high


def rolling_origins(
    n: int, *, horizon: int, origins: int = 3, step: int | None = None, initial: int | None = None
) -> list[tuple[int, int]]:
    """Where to cut a series of `n` points to rehearse forecasting.

    Each pair ``(train_end, test_end)`` means: learn from ``[:train_end]``, judge on ``[train_end:test_end]``. The last
    window ends with the series; earlier ones lie `step` points (default: `horizon`) further back, as many as `origins`
    asks for and as `initial` training points (default: `horizon`) allow. Earliest first.

    Raises
    ------
    DataError
        Not even one window fits.
    """
    step = horizon if step is None else step
    initial = horizon if initial is None else initial
    if min(horizon, origins, step, initial) < 1:
        raise DataError(f"horizon {horizon}, origins {origins}, step {step}, initial {initial}", "all four to be at least 1")
    if n < initial + horizon:
        raise DataError(f"{n}", f"at least {initial + horizon} points ({initial} to learn from, {horizon} to judge)")
    ends = range(n - horizon, initial - 1, -step)
    return [(end, end + horizon) for end in list(ends)[:origins]][::-1]


def bootstrap_interval(
    values: object,
    statistic: Callable[..., float] = np.mean,
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of any statistic.

    Parameters
    ----------
    values
        One array of numbers, or a tuple of equally long arrays whose rows belong together and are redrawn together.
    statistic
        Takes the array (or the arrays) and returns one number.

    Raises
    ------
    DataError
        Fewer than two rows, broken numbers, or arrays of different lengths.

    Source: Efron & Tibshirani (1993), chapter 13. `scipy.stats.bootstrap` offers BCa; percentiles need no jackknife and
    stay inside the statistic's own range.
    """
    check_level(level)
    arrays = [finite(part, "values") for part in (values if isinstance(values, tuple) else (values,))]
    n = len(arrays[0])
    if any(len(array) != n for array in arrays):
        raise DataError(", ".join(str(len(array)) for array in arrays), "arrays of the same length")
    if n < 2:
        raise DataError(f"{n}", "at least 2 rows to redraw from")
    rng = np.random.default_rng(seed)
    drawn = np.empty(draws)
    for i in range(draws):
        rows = rng.integers(0, n, n)
        drawn[i] = statistic(*(array[rows] for array in arrays))
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(*arrays)), float(low), float(high), level)


def auc_interval(y: object, p: object, level: float = 0.95) -> Interval:
    """Area under the ROC curve with DeLong's interval (on the logit scale, so it stays within 0–1).

    Parameters
    ----------
    y
        Outcomes, 0 or 1.
    p
        Scores; only their order matters, ties count half.

    Raises
    ------
    DataError
        Only one outcome, or lengths that differ.

    Source: DeLong, DeLong & Clarke-Pearson (1988), in the rank form of Sun & Xu (2014).
    """
    outcome, score = _outcomes(y, p)
    positive, negative = score[outcome], score[~outcome]
    m, n = len(positive), len(negative)
    if m == 0 or n == 0:
        raise DataError(f"{m} with and {n} without the outcome", "both outcomes to tell them apart")
    ranks = stats.rankdata(score)
    v10 = (ranks[outcome] - stats.rankdata(positive)) / n
    v01 = 1 - (ranks[~outcome] - stats.rankdata(negative)) / m
    area = float(v10.mean())
    variance = (v10.var(ddof=1) / m if m > 1 else 0.25) + (v01.var(ddof=1) / n if n > 1 else 0.25)
    low, high = _logit_limits(area, float(np.sqrt(variance)), m, n, level)
    return Interval(area, low, high, level)


def _logit_limits(area: float, error: float, m: int, n: int, level: float) -> tuple[float, float]:
    z = stats.norm.ppf(0.5 + check_level(level) / 2)
    if area in (0.0, 1.0) or error == 0:
        # A perfect order has no variance; the rule of three bounds what the smaller group can promise.
        slack = float(-np.log(1 - level) / min(m, n))
        return max(0.0, area - slack), min(1.0, area + slack)
    logit, width = np.log(area / (1 - area)), z * error / (area * (1 - area))
    limits = 1 / (1 + np.exp(-(logit + np.array([-width, width]))))
    return float(limits[0]), float(limits[1])


def calibration_table(y: object, p: object, bins: int = 10, level: float = 0.95) -> pd.DataFrame:
    """Predicted against observed, by bins of equally many rows.

    Returns
    -------
    DataFrame
        One row per bin: ``bin, n, predicted, observed, low, high`` (Wilson), lowest scores first; equal scores share a
        bin, so there may be fewer bins than asked for. ``attrs["ece"]`` is the expected calibration error,
        ``attrs["brier"]`` the Brier score.
    """
    outcome, score = _outcomes(y, p)
    if score.min() < 0 or score.max() > 1:
        raise DataError(f"scores from {score.min():g} to {score.max():g}", "probabilities between 0 and 1")
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    which = np.searchsorted(edges, score, side="left")
    counts = np.bincount(which, minlength=len(edges) + 1)
    keep = counts > 0
    n, hits = counts[keep], np.bincount(which, weights=outcome, minlength=len(counts))[keep]
    predicted = np.bincount(which, weights=score, minlength=len(counts))[keep] / n
    low, high = wilson(hits, n, level)
    table = pd.DataFrame(
        {
            "bin": np.arange(1, len(n) + 1),
            "n": n,
            "predicted": predicted,
            "observed": hits / n,
            "low": low,
            "high": high,
        }
    )
    table.attrs["ece"] = float(np.sum(n * np.abs(predicted - hits / n)) / n.sum())
    table.attrs["brier"] = float(np.mean((score - outcome) ** 2))
    return table


def lift_table(y: object, p: object, bins: int = 10) -> pd.DataFrame:
    """What contacting the best-scored first would have gained.

    Returns
    -------
    DataFrame
        One row per part (default: tenths), best scores first: ``part, n, hits, rate, lift, cumulative_share,
        cumulative_gain, cumulative_lift``. Rows with equal scores share their hits evenly: row order changes nothing.
    """
    outcome, score = _outcomes(y, p)
    n, total = len(score), float(outcome.sum())
    if total == 0:
        raise DataError("none", "at least one row with the outcome")
    bins = min(bins, n)
    order = np.argsort(-score, kind="stable")
    groups, group = np.unique(-score[order], return_inverse=True)
    mean = np.bincount(group, weights=outcome[order]) / np.bincount(group, minlength=len(groups))
    cumulative = np.concatenate([[0.0], np.cumsum(mean[group])])
    ends = np.linspace(0, n, bins + 1).round().astype(int)
    sizes, hits = np.diff(ends), np.diff(cumulative[ends])
    base = total / n
    return pd.DataFrame(
        {
            "part": np.arange(1, bins + 1),
            "n": sizes,
            "hits": hits,
            "rate": hits / sizes,
            "lift": hits / sizes / base,
            "cumulative_share": ends[1:] / n,
            "cumulative_gain": cumulative[ends[1:]] / cumulative[-1],
            "cumulative_lift": cumulative[ends[1:]] / ends[1:] / base,
        }
    )


@dataclass(frozen=True)
class Uplift:
    """What a treatment changed, measured against a random control group.

    Attributes
    ----------
    treated, control
        Mean outcome of each group (a share for yes/no outcomes).
    difference, low, high
        treated − control and its interval.
    relative
        difference / control, or NaN when the control mean is 0.
    p_value
        Two-sided, for no difference.
    n_treated, n_control
        Sizes.
    n_needed
        Size *per group* that would detect `effect` with the asked power.
    effect
        The difference that `n_needed` speaks of.
    conclusive
        Whether the interval leaves out zero.
    verdict
        One sentence.
    """

    treated: float
    control: float
    difference: float
    low: float
    high: float
    relative: float
    p_value: float
    n_treated: int
    n_control: int
    n_needed: int
    effect: float
    level: float
    conclusive: bool
    verdict: str


def uplift(treated: object, control: object, *, level: float = 0.95, power: float = 0.8, effect: float | None = None) -> Uplift:
    """Difference between a treated group and its random hold-out.

    Parameters
    ----------
    treated, control
        Outcomes per customer: 0/1 for responses, amounts for money; or two `ml.kpis.Rate`.
    effect
        The smallest difference worth finding, in the outcome's unit; default: the difference seen.

    Notes
    -----
    Shares use Newcombe's hybrid score interval (1998, method 10) and the pooled z-test; amounts use Welch's interval
    and test. The groups must have been drawn at random; otherwise this compares two kinds of people.

    Raises
    ------
    DataError
        A group with fewer than two customers, or broken numbers.
    """
    check_level(level)
    a, b = _group(treated, "treated"), _group(control, "control")
    shares = a.binary and b.binary
    difference = a.mean - b.mean
    if shares:
        low, high, p_value = rate_difference(a.rate, b.rate, level)
    else:
        low, high, p_value = _welch(a, b, level)
    target = difference if effect is None else effect
    needed = _n_needed(a, b, target, level, power, shares)
    conclusive = bool(low > 0 or high < 0)
    return Uplift(
        treated=a.mean,
        control=b.mean,
        difference=difference,
        low=low,
        high=high,
        relative=difference / b.mean if b.mean else float("nan"),
        p_value=p_value,
        n_treated=a.n,
        n_control=b.n,
        n_needed=needed,
        effect=target,
        level=level,
        conclusive=conclusive,
        verdict=_verdict(conclusive, difference, needed, a.n, b.n),
    )


@dataclass(frozen=True)
class _Group:
    n: int
    mean: float
    variance: float
    binary: bool

    @property
    def rate(self) -> Rate:
        return rate(round(self.mean * self.n), self.n)


def _group(values: object, name: str) -> _Group:
    if isinstance(values, Rate):
        share = values.value
        n = values.denominator
        result = _Group(n, share, share * (1 - share) * n / max(n - 1, 1), True)
    else:
        array = finite(values, name)
        binary = bool(np.isin(array, (0.0, 1.0)).all())
        n = len(array)
        result = _Group(n, float(array.mean()) if n else 0.0, float(array.var(ddof=1)) if n > 1 else 0.0, binary)
    if result.n < 2:
        raise DataError(f"{result.n} in the {name} group", "at least 2 customers in each group")
    return result


def _welch(a: _Group, b: _Group, level: float) -> tuple[float, float, float]:
    va, vb = a.variance / a.n, b.variance / b.n
    error = np.sqrt(va + vb)
    difference = a.mean - b.mean
    if error == 0:
        return difference, difference, 1.0 if difference == 0 else 0.0
    freedom = (va + vb) ** 2 / (va**2 / (a.n - 1) + vb**2 / (b.n - 1))
    half = stats.t.ppf(0.5 + level / 2, freedom) * error
    return float(difference - half), float(difference + half), float(2 * stats.t.sf(abs(difference) / error, freedom))


def _n_needed(a: _Group, b: _Group, effect: float, level: float, power: float, shares: bool) -> int:
    """Per group, normal approximation; 0 stands for "no size would do", since there is no difference to find."""
    if effect == 0:
        return 0
    z = stats.norm.ppf(0.5 + level / 2) + stats.norm.ppf(check_level(power))
    if shares:
        other = float(np.clip(b.mean + effect, 0, 1))
        spread = b.mean * (1 - b.mean) + other * (1 - other)
    else:
        spread = a.variance + b.variance
    return max(2, int(np.ceil(z * z * spread / effect**2)))


def _verdict(conclusive: bool, difference: float, needed: int, n_treated: int, n_control: int) -> str:
    if conclusive:
        return f"The treatment {'raised' if difference > 0 else 'lowered'} the outcome."
    if needed == 0:
        return "No difference seen."
    smaller = min(n_treated, n_control)
    return (
        f"Not enough data to tell the difference from chance: {needed:,} customers per group would be needed, "
        f"the smaller group has {smaller:,}."
    )


def _outcomes(y: object, p: object) -> tuple[np.ndarray, np.ndarray]:
    outcome, score = finite(y, "outcomes"), finite(p, "scores")
    if len(outcome) != len(score):
        raise DataError(f"{len(outcome)} outcomes and {len(score)} scores", "one score per outcome")
    if len(outcome) == 0:
        raise DataError("none", "at least one outcome")
    if not np.isin(outcome, (0.0, 1.0)).all():
        raise DataError(f"{outcome[~np.isin(outcome, (0.0, 1.0))][0]:g}", "outcomes of 0 or 1")
    return outcome.astype(bool), score
