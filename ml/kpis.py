"""Key figures that say how sure they are: Wilson rates, XmR charts, funnel limits, comparisons of equal periods."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import gammaln

from ml.contracts import SERIES, finite, instant, instants, known_by
from ml.errors import DataError

XMR_FACTOR = 2.66  # 3 / d2 for moving ranges of two points (d2 = 1.128)
MR_FACTOR = 3.268  # D4 for two points
RUN = 8  # this many in a row on one side of the centre are a shift
SOUND_BASELINE = 12  # below this many points the limits are called provisional
FREQUENCIES = {"day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}


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


def rate_difference(a: Rate, b: Rate, level: float = 0.95) -> tuple[float, float, float]:
    """Interval of a − b and the p-value for "no difference".

    Source: Newcombe (1998), method 10 (hybrid score, without continuity correction); the p-value is the pooled z-test.
    """
    low, high = wilson(np.array([a.numerator, b.numerator]), np.array([a.denominator, b.denominator]), level)
    difference = a.value - b.value
    lower = difference - np.hypot(a.value - low[0], high[1] - b.value)
    upper = difference + np.hypot(high[0] - a.value, b.value - low[1])
    pooled = (a.numerator + b.numerator) / (a.denominator + b.denominator)
    error = np.sqrt(pooled * (1 - pooled) * (1 / a.denominator + 1 / b.denominator))
    p_value = 1.0 if error == 0 else float(2 * stats.norm.sf(abs(difference) / error))
    return float(lower), float(upper), p_value


def fisher(hits: int, cases: int, other_hits: int, other_cases: int) -> float:
    """The two-sided p-value of Fisher's exact test for "both groups have the same share of hits".

    Source: the sum of the probabilities, with the margins given, of all tables that are not likelier than this one; tables within a
    ten-millionth of it count as equally likely, as R's ``fisher.test`` has it. A hundred times quicker than scipy's search for the tail.
    Without a case or without any hit (or miss) the margins leave one table, and the value is 1.
    """
    if not (0 <= hits <= cases and 0 <= other_hits <= other_cases):
        raise DataError(f"{hits} of {cases} and {other_hits} of {other_cases}", "hits between 0 and the cases")
    total, all_hits = cases + other_cases, hits + other_hits
    first, last = max(0, all_hits - other_cases), min(cases, all_hits)
    k = np.arange(first, last + 1)
    weight = -(gammaln(k + 1) + gammaln(all_hits - k + 1) + gammaln(cases - k + 1) + gammaln(total - all_hits - cases + k + 1))
    likely = np.exp(weight - weight.max())
    return min(1.0, float(likely[likely <= likely[hits - first] * (1 + 1e-7)].sum() / likely.sum()))


def rates_by(frame: pd.DataFrame, *, by: str, success: str, level: float = 0.95) -> pd.DataFrame:
    """One rate per group, best-filled first.

    Parameters
    ----------
    frame
        One row per case.
    by, success
        The grouping column, and the column that holds the outcome (0/1 or booleans). Cases without a group are counted
        under ``(none)``.

    Returns
    -------
    DataFrame
        ``group, numerator, denominator, rate, low, high``, by falling denominator.
    """
    _refuse_columns(frame, by, success)
    outcome = finite(frame[success], success)
    if not np.isin(outcome, (0.0, 1.0)).all():
        raise DataError("other values", f"0 or 1 in {success}")
    group = frame[by].astype(object).where(frame[by].notna(), "(none)").astype(str)
    counts = pd.Series(outcome).groupby(group.to_numpy()).agg(["sum", "count"])
    low, high = wilson(counts["sum"].to_numpy(), counts["count"].to_numpy(), level)
    table = pd.DataFrame(
        {
            "group": counts.index,
            "numerator": counts["sum"].to_numpy().astype(int),
            "denominator": counts["count"].to_numpy().astype(int),
            "rate": (counts["sum"] / counts["count"]).to_numpy(),
            "low": low,
            "high": high,
        }
    )
    return table.sort_values(["denominator", "group"], ascending=[False, True], ignore_index=True)


def per_period(
    frame: pd.DataFrame, *, at: str, value: str | None = None, freq: str = "month", as_of: object | None = None
) -> pd.DataFrame:
    """Counts, and sums of a value, per calendar period in UTC; periods without rows are there with zeros.

    Parameters
    ----------
    freq
        day, week (Monday to Sunday), month, quarter or year.
    as_of
        Rows after this moment are left out, and the period it falls into is marked as running.

    Returns
    -------
    DataFrame
        ``period`` (text), ``ds`` (its first day), ``n``, ``value`` (when asked for), ``complete`` (False for the period
        that `as_of` cuts short).
    """
    _refuse_columns(frame, at, *([value] if value else []))
    if freq not in FREQUENCIES:
        raise DataError(repr(freq), f"one of {', '.join(FREQUENCIES)}")
    rows = pd.DataFrame({"at": instants(frame[at].reset_index(drop=True), at)})
    rows["value"] = finite(frame[value], value) if value else 0.0
    if as_of is not None:
        rows = known_by(rows, "at", as_of)
    period = rows["at"].dt.tz_localize(None).dt.to_period(FREQUENCIES[freq])
    sums = rows.groupby(period)["value"].agg(["size", "sum"])
    last = sums.index.max() if as_of is None else instant(as_of).tz_localize(None).to_period(FREQUENCIES[freq])
    every = pd.period_range(sums.index.min(), last, freq=FREQUENCIES[freq])
    sums = sums.reindex(every, fill_value=0)
    table = pd.DataFrame({"period": every.astype(str), "ds": every.start_time, "n": sums["size"].to_numpy()})
    if value:
        table["value"] = sums["sum"].to_numpy()
    ends = every.end_time.tz_localize("UTC")
    table["complete"] = True if as_of is None else np.asarray(ends <= instant(as_of))
    return table


@dataclass(frozen=True)
class Xmr:
    """An XmR (individuals and moving range) chart.

    Attributes
    ----------
    table
        ``ds, y, moving_range, signal`` (text, empty for routine variation).
    centre, lower, upper
        Mean of the baseline and its natural process limits (mean ± 2.66 × mean moving range).
    range_limit
        Upper limit of the moving range (3.268 × mean moving range).
    verdict
        One sentence about the latest point.
    warnings
        What to keep in mind.
    """

    table: pd.DataFrame
    centre: float
    lower: float
    upper: float
    range_limit: float
    verdict: str
    warnings: tuple[str, ...] = ()


def xmr(series: pd.Series | pd.DataFrame, *, baseline: int | None = None, floor: float | None = None) -> Xmr:
    """Tell signal from noise in a key figure.

    Parameters
    ----------
    series
        A SERIES frame (one series), or a Series whose index is the period. Rows that a column ``complete`` (from
        `per_period`) marks as running are left out: half a month would always look like a signal.
    baseline
        How many of the first points set the limits; default: all.
    floor
        A value the figure cannot fall below; the lower limit is cut there.

    Notes
    -----
    A point is a signal beyond the limits, or as part of a run of eight or more on one side of the centre.
    Source: Wheeler, Understanding Variation (1993); Shewhart's limits from the average moving range.

    Raises
    ------
    DataError
        Fewer than three points, a baseline that is shorter than three or longer than the series, broken numbers.
    """
    running = isinstance(series, pd.DataFrame) and "complete" in series.columns and not series["complete"].all()
    if running:
        series = series[series["complete"].astype(bool)]
    ds, y = _points(series)
    n = len(y)
    if n < 3:
        raise DataError(f"{n}", "at least 3 periods")
    base = n if baseline is None else baseline
    if not 3 <= base <= n:
        raise DataError(f"{base}", f"a baseline of 3 to {n} periods")
    moving = np.abs(np.diff(y))
    centre, mean_range = float(y[:base].mean()), float(moving[: base - 1].mean())
    lower, upper = centre - XMR_FACTOR * mean_range, centre + XMR_FACTOR * mean_range
    lower = lower if floor is None else max(lower, floor)
    signal = _signals(y, centre, lower, upper)
    table = pd.DataFrame({"ds": ds, "y": y, "moving_range": np.concatenate([[np.nan], moving]), "signal": signal})
    return Xmr(
        table,
        centre,
        lower,
        upper,
        MR_FACTOR * mean_range,
        _xmr_verdict(signal),
        _xmr_warnings(base, mean_range, running),
    )


def _points(series: pd.Series | pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(series, pd.Series):
        series = pd.Series(series.to_numpy(), index=series.index, name="y")
        return np.asarray(series.index), finite(series, "y")
    clean = SERIES.check(series).sort_values("ds", ignore_index=True)
    if "unique_id" in clean and clean["unique_id"].nunique() > 1:
        raise DataError(f"{clean['unique_id'].nunique()} series", "one series at a time")
    return clean["ds"].to_numpy(), clean["y"].to_numpy()


def _signals(y: np.ndarray, centre: float, lower: float, upper: float) -> list[str]:
    side = np.sign(y - centre)
    starts = np.flatnonzero(np.concatenate([[True], side[1:] != side[:-1]]))
    lengths = np.diff(np.concatenate([starts, [len(y)]]))
    run = np.repeat(lengths, lengths) >= RUN
    names = []
    for value, where, long in zip(y, side, run, strict=True):
        if value > upper or value < lower:
            names.append("above the limits" if value > upper else "below the limits")
        elif long and where:
            names.append(f"run of {RUN} or more {'above' if where > 0 else 'below'} the centre")
        else:
            names.append("")
    return names


def _xmr_verdict(signal: list[str]) -> str:
    if signal[-1]:
        return f"The latest value is a signal: {signal[-1]}. Look for a cause."
    past = sum(map(bool, signal))
    routine = "The latest value is routine variation: no cause to look for."
    return f"{routine} {past} earlier {'period was a signal' if past == 1 else 'periods were signals'}." if past else routine


def _xmr_warnings(base: int, mean_range: float, running: bool) -> tuple[str, ...]:
    warnings = ["The running period was left out: it is not over yet."] if running else []
    if base < SOUND_BASELINE:
        warnings.append(f"Limits from only {base} periods are provisional; {SOUND_BASELINE} or more hold.")
    if mean_range == 0:
        warnings.append("All baseline values are equal, so any other value will look like a signal.")
    return tuple(warnings)


def funnel_limits(n: object, p: float) -> pd.DataFrame:
    """Where the shares of units of size `n` fall by chance alone when all share the rate `p`.

    Returns
    -------
    DataFrame
        ``n, low_95, high_95, low_998, high_998``: exact binomial limits, interpolated so that they are smooth in `n`.

    Source: Spiegelhalter (2005), Funnel plots for comparing institutional performance, appendix A.1.1.

    Raises
    ------
    DataError
        Sizes below one, or a rate outside 0–1.
    """
    sizes = finite(n, "n")
    if not 0 <= p <= 1:
        raise DataError(f"{p!r}", "a rate between 0 and 1")
    if len(sizes) == 0 or sizes.min() < 1:
        raise DataError("smaller ones", "sizes of at least 1")
    table = pd.DataFrame({"n": sizes.astype(int)})
    for name, level in (("95", 0.95), ("998", 0.998)):
        table[f"low_{name}"] = _binomial_limit(sizes, p, (1 - level) / 2)
        table[f"high_{name}"] = _binomial_limit(sizes, p, (1 + level) / 2)
    return table


def _binomial_limit(n: np.ndarray, p: float, tail: float) -> np.ndarray:
    if p in (0.0, 1.0):
        return np.full(len(n), p)
    r = stats.binom.ppf(tail, n, p)
    upto, below = stats.binom.cdf(r, n, p), stats.binom.cdf(r - 1, n, p)
    return np.clip((r - (upto - tail) / (upto - below)) / n, 0, 1)


@dataclass(frozen=True)
class Funnel:
    """A league table that says which places chance alone would give.

    Attributes
    ----------
    table
        ``group, numerator, denominator, rate, low, high`` (Wilson)``, low_95 … high_998`` (funnel)``, place``: within,
        above or below the 99.8% limits.
    overall
        The common rate.
    p_value
        Chi-squared test that all groups share it.
    verdict
        One sentence.
    """

    table: pd.DataFrame
    overall: Rate
    p_value: float
    verdict: str


def funnel(frame: pd.DataFrame, *, by: str, success: str, level: float = 0.95) -> Funnel:
    """Compare groups (agents, regions, campaigns) by a rate without ranking noise.

    Parameters are those of `rates_by`. Raises DataError with fewer than two groups.
    """
    table = rates_by(frame, by=by, success=success, level=level)
    if len(table) < 2:
        raise DataError(f"{len(table)}", f"at least 2 groups in {by}")
    overall = rate(int(table["numerator"].sum()), int(table["denominator"].sum()), level)
    limits = funnel_limits(table["denominator"], overall.value).drop(columns="n")
    table = pd.concat([table, limits], axis=1)
    outside = np.select([table["rate"] > table["high_998"], table["rate"] < table["low_998"]], ["above", "below"], "within")
    table["place"] = outside
    p_value = _same_rate(table, overall.value)
    return Funnel(table, overall, p_value, _funnel_verdict(table, p_value, 1 - level))


def _same_rate(table: pd.DataFrame, p: float) -> float:
    if p in (0.0, 1.0):
        return 1.0
    n = table["denominator"].to_numpy()
    statistic = float(np.sum((table["numerator"].to_numpy() - n * p) ** 2 / (n * p * (1 - p))))
    return float(stats.chi2.sf(statistic, len(table) - 1))


def _funnel_verdict(table: pd.DataFrame, p_value: float, alpha: float) -> str:
    low, high = table["rate"].min(), table["rate"].max()
    out = int((table["place"] != "within").sum())
    if p_value > alpha and out == 0:
        return f"Rates from {low:.0%} to {high:.0%} can't be told from chance (p = {p_value:.2f}): rank nobody by them."
    if out == 0:
        return f"Together the groups differ more than chance explains (p = {p_value:.2g}), but none stands out alone."
    return f"{out} of {len(table)} groups lie outside what chance explains; the order of the others means nothing."


@dataclass(frozen=True)
class Comparison:
    """Two equal periods side by side: `before` and `after` are shares, or means per sub-period.

    ``change`` is after − before with its interval; `distinguishable` says whether that leaves out zero.
    """

    before: float
    after: float
    change: float
    low: float
    high: float
    relative: float
    p_value: float
    distinguishable: bool
    verdict: str


def compare(period_a: object, period_b: object, *, level: float = 0.95) -> Comparison:
    """Has it changed? Compares an earlier period with a later one of the same length.

    Parameters
    ----------
    period_a, period_b
        Earlier and later: two `Rate`, or two sequences of the same length with a value per sub-period (days, weeks).

    Notes
    -----
    Shares: Newcombe's interval. Sequences: differences position by position (so that Mondays meet Mondays when both
    start on the same weekday), t interval, widened for the autocorrelation of the differences at lag one. A change that grows makes that interval
    wide; where every single step lies on the same side (sign test), it is told all the same.

    Raises
    ------
    DataError
        Unequal lengths, fewer than three sub-periods, a rate against a sequence, broken numbers.
    """
    if isinstance(period_a, Rate) and isinstance(period_b, Rate):
        low, high, p_value = rate_difference(period_b, period_a, level)
        return _comparison(period_a.value, period_b.value, low, high, p_value)
    if isinstance(period_a, Rate) or isinstance(period_b, Rate):
        raise DataError("a rate and a sequence", "two rates or two sequences")
    a, b = finite(period_a, "the earlier period"), finite(period_b, "the later period")
    if len(a) != len(b):
        raise DataError(f"{len(a)} and {len(b)} values", "periods of equal length")
    if len(a) < 3:
        raise DataError(f"{len(a)}", "at least 3 values per period")
    low, high, p_value = _paired(b - a, level)
    p_value = min(p_value, _one_side(b - a))
    return _comparison(float(a.mean()), float(b.mean()), low, high, p_value, sure=p_value < 1 - level)


def _one_side(difference: np.ndarray) -> float:
    """Sign test where all steps agree: how rarely chance makes that; 1 where they don't."""
    same = bool((difference > 0).all() or (difference < 0).all())
    return float(2 * 0.5 ** len(difference)) if same else 1.0


def _paired(difference: np.ndarray, level: float) -> tuple[float, float, float]:
    n, mean, spread = len(difference), float(difference.mean()), float(difference.std(ddof=1))
    if spread == 0:
        return mean, mean, 1.0 if mean == 0 else 0.0
    centred = difference - mean
    echo = float(np.clip(np.sum(centred[1:] * centred[:-1]) / np.sum(centred**2), 0, 0.9))
    error = spread / np.sqrt(n) * np.sqrt((1 + echo) / (1 - echo))
    half = stats.t.ppf(0.5 + check_level(level) / 2, n - 1) * error
    return mean - float(half), mean + float(half), float(2 * stats.t.sf(abs(mean) / error, n - 1))


def _comparison(before: float, after: float, low: float, high: float, p_value: float, *, sure: bool = False) -> Comparison:
    change = after - before
    told = bool(low > 0 or high < 0 or sure)
    relative = change / abs(before) if before else float("nan")
    by = f" by {abs(relative):.1%}" if before else ""
    verdict = f"{'Up' if change > 0 else 'Down'}{by}: more than noise." if told else "No change that noise couldn't make."
    return Comparison(before, after, change, low, high, relative, p_value, told, verdict)


def _refuse_columns(frame: pd.DataFrame, *names: str) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"a {type(frame).__name__}", "a table (a DataFrame)")
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise DataError(f"only {', '.join(map(str, frame.columns[:12])) or 'no columns'}", f"the columns {', '.join(missing)}")
    if frame.empty:
        raise DataError("none", "at least one row")
