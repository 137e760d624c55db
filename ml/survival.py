"""How long customers stay: Kaplan–Meier curves and cohort retention."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ml.contracts import Column, Contract, finite, instant, known_by
from ml.errors import DataError
from ml.kpis import check_level, wilson

Array = np.ndarray
SPELLS = Contract(
    "SPELLS",
    "one row per contract or subscription",
    (Column("customer_id", "id", "who"), Column("started_at", "instant", "beginning", "UTC")),
)
ACTIVITY = Contract(
    "ACTIVITY",
    "one row per sign of life: an order, a payment, a log-in",
    (Column("customer_id", "id", "who"), Column("at", "instant", "when", "UTC")),
)
PERIODS = {"week": "W-SUN", "month": "M", "quarter": "Q", "year": "Y"}


@dataclass(frozen=True)
class LogRank:
    """Whether survival differs between groups.

    Attributes
    ----------
    statistic, freedom, p_value
        Chi-square of the log-rank test.
    """

    statistic: float
    freedom: int
    p_value: float


def kaplan_meier(durations: object, ended: object, *, groups: object | None = None, level: float = 0.95) -> pd.DataFrame:
    """Share still there, by age.

    Parameters
    ----------
    durations
        Age at the end, or today for who is still there; any unit, at least 0.
    ended
        1 where it ended, 0 where it is still running (censored).
    groups
        A curve for each value.
    level
        Of the interval.

    Returns
    -------
    DataFrame
        One row per group and age at which somebody left: ``group`` (only with `groups`), ``age, at_risk, ended,
        survival, low, high``; age 0 with survival 1 comes first. Limits on the log-minus-log scale, so they stay within
        0–1; where everybody has left they are the last ones before it.

    Raises
    ------
    DataError
        Empty, different lengths, ages below 0, or values other than 0/1 in `ended`.

    Source: Kaplan & Meier (1958); Greenwood's variance.
    """
    z = float(stats.norm.ppf(0.5 + check_level(level) / 2))
    age, gone, group = _spells(durations, ended, groups)
    if group is None:
        return _curve(age, gone, z)
    tables = []
    for name in pd.unique(pd.Series(group).sort_values()):
        table = _curve(age[group == name], gone[group == name], z)
        table.insert(0, "group", name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def log_rank(durations: object, ended: object, groups: object) -> LogRank:
    """Test whether groups leave at the same pace (Mantel 1966).

    Raises
    ------
    DataError
        As `kaplan_meier`, or fewer than two groups.
    """
    age, gone, group = _spells(durations, ended, groups)
    _, code = np.unique(np.asarray(group), return_inverse=True)
    k = int(code.max()) + 1
    if k < 2:
        raise DataError("one group", "at least 2 groups to compare")
    times = np.unique(age[gone])
    members = [code == j for j in range(k)]
    at_risk = np.column_stack([m.sum() - np.searchsorted(np.sort(age[m]), times, side="left") for m in members])
    died = np.column_stack([np.bincount(np.searchsorted(times, age[m & gone]), minlength=len(times)) for m in members]).astype(
        float
    )
    total, deaths = at_risk.sum(axis=1), died.sum(axis=1)
    share = at_risk / total[:, None]
    surplus = (died - share * deaths[:, None]).sum(axis=0)
    scale = np.where(total > 1, deaths * (total - deaths) / np.maximum(total - 1, 1), 0.0)
    covariance = np.einsum("t,ti,tj->ij", -scale, share, share) + np.diag((scale[:, None] * share).sum(axis=0))
    statistic = float(surplus[:-1] @ np.linalg.pinv(covariance[:-1, :-1]) @ surplus[:-1])
    return LogRank(statistic, k - 1, float(stats.chi2.sf(statistic, k - 1)))


def median_survival(curve: pd.DataFrame) -> float | None:
    """Age by which half have left; None while more than half are still there."""
    below = curve[curve["survival"] <= 0.5]
    return None if below.empty else float(below["age"].iloc[0])


def spells(contracts: pd.DataFrame, *, as_of: object, ended_at: str = "ended_at") -> pd.DataFrame:
    """Ages of contracts as of a moment.

    Parameters
    ----------
    contracts
        ``customer_id, started_at`` and the column `ended_at` (missing while it runs).
    as_of
        Contracts begun later are left out; ends that lie later have not happened.

    Returns
    -------
    DataFrame
        The rows begun by then, with ``age_days`` (float) and ``ended`` (0/1).

    Raises
    ------
    DataError
        Missing columns, nothing by `as_of`, or an end before its start.
    """
    moment = instant(as_of)  # type: ignore[arg-type]
    if isinstance(contracts, pd.DataFrame) and ended_at not in contracts.columns:
        raise DataError(f"no column {ended_at}", f"the ends in a column {ended_at}, missing while a contract runs")
    rows = known_by(SPELLS.check(contracts), "started_at", moment)
    known = rows[ended_at].notna()
    ends = pd.Series(moment, index=rows.index)
    if known.any():
        check = Contract("SPELLS", "", (Column(ended_at, "instant", ""),)).check(rows.loc[known, [ended_at]])
        ends[known] = check[ended_at].to_numpy()
    if (ends < rows["started_at"]).any():
        raise DataError(f"{int((ends < rows['started_at']).sum()):,} that end before they start", "ends after starts")
    happened = known & (ends <= moment)
    age = (ends.where(happened, moment) - rows["started_at"]).dt.total_seconds() / 86_400
    return rows.assign(age_days=age, ended=happened.astype(int))


def cohort_retention(
    activity: pd.DataFrame, *, as_of: object, period: str = "month", at: str = "at", level: float = 0.95
) -> pd.DataFrame:
    """Share of each cohort that was active again, by periods since its first sign of life.

    Parameters
    ----------
    activity
        ``customer_id`` and the column `at` (pass ``at="ordered_at"`` for ORDERS): one row per order, payment, log-in.
    as_of
        Later rows are invisible. The period that is not over yet is left out: it would look like a slump.
    period
        ``week`` (Monday to Sunday), ``month``, ``quarter`` or ``year``, in UTC.

    Returns
    -------
    DataFrame
        One row per cohort and age: ``cohort`` (start of its first period), ``age`` (periods since, 0 is the first),
        ``customers, active, retention, low, high`` (Wilson). Cohorts by start, ages ascending, no gaps.

    Raises
    ------
    DataError
        Broken rows, an unknown period, or no period that is over.
    """
    if period not in PERIODS:
        raise DataError(repr(period), f"a period among {', '.join(PERIODS)}")
    if isinstance(activity, pd.DataFrame) and at != "at" and at in activity.columns:
        activity = activity.drop(columns="at", errors="ignore").rename(columns={at: "at"})
    moment = instant(as_of)  # type: ignore[arg-type]
    rows = known_by(ACTIVITY.check(activity), "at", moment)
    number = _period_number(rows["at"], period)
    last = _period_number(pd.Series([moment + pd.Timedelta(microseconds=1)]), period)[0] - 1
    seen = pd.DataFrame({"who": pd.factorize(rows["customer_id"])[0], "when": number}).drop_duplicates()
    seen = seen[seen["when"] <= last]
    if seen.empty:
        raise DataError("none that is over", f"at least one whole {period} of activity by {moment:%Y-%m-%d}")
    seen["cohort"] = seen.groupby("who")["when"].transform("min")
    size = seen.groupby("cohort")["who"].nunique()
    active = seen.groupby(["cohort", seen["when"] - seen["cohort"]])["who"].nunique()
    index = pd.MultiIndex.from_tuples(
        [(cohort, age) for cohort in size.index for age in range(last - cohort + 1)], names=["cohort", "age"]
    )
    table = active.rename_axis(["cohort", "age"]).reindex(index, fill_value=0).rename("active").reset_index()
    table.insert(2, "customers", table["cohort"].map(size))
    low, high = wilson(table["active"].to_numpy(dtype=float), table["customers"].to_numpy(dtype=float), level)
    starts = pd.PeriodIndex.from_ordinals(  # type: ignore[attr-defined]
        table["cohort"].to_numpy(), freq=PERIODS[period]
    ).start_time
    return table.assign(cohort=starts, retention=table["active"] / table["customers"], low=low, high=high)


def _period_number(moments: pd.Series, period: str) -> Array:
    return moments.dt.tz_localize(None).dt.to_period(PERIODS[period]).astype("int64").to_numpy()


def _spells(durations: object, ended: object, groups: object | None) -> tuple[Array, Array, Array | None]:
    age, gone = finite(durations, "durations"), finite(ended, "ended")
    if len(age) == 0 or len(age) != len(gone):
        raise DataError(f"{len(age)} durations and {len(gone)} ends", "one end (0 or 1) per duration, at least one")
    if age.min() < 0:
        raise DataError(f"{age.min():g}", "durations of at least 0")
    if not np.isin(gone, (0.0, 1.0)).all():
        raise DataError(f"{gone[~np.isin(gone, (0.0, 1.0))][0]:g} in ended", "0 (still there) or 1 (ended)")
    if groups is None:
        return age, gone.astype(bool), None
    names = pd.Series(np.asarray(groups, dtype=object))
    if len(names) != len(age) or names.isna().any():
        raise DataError(f"{int(names.notna().sum())} groups for {len(age)} rows", "a group for every row")
    return age, gone.astype(bool), names.astype(str).to_numpy()


def _curve(age: Array, gone: Array, z: float) -> pd.DataFrame:
    times, deaths = np.unique(age[gone], return_counts=True)
    at_risk = len(age) - np.searchsorted(np.sort(age), times, side="left")
    survival = np.cumprod(1 - deaths / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(deaths / (at_risk * (at_risk - deaths)))
        width = z * np.sqrt(greenwood) / np.abs(np.log(survival))
        low, high = survival ** np.exp(width), survival ** np.exp(-width)
    table = pd.DataFrame(
        {
            "age": np.r_[0.0, times],
            "at_risk": np.r_[len(age), at_risk],
            "ended": np.r_[0, deaths],
            "survival": np.r_[1.0, survival],
            "low": np.r_[1.0, low],
            "high": np.r_[1.0, high],
        }
    )
    if (times == 0).any():  # somebody left at once: age 0 stands once, with what is left
        table = table.iloc[1:].reset_index(drop=True)
    empty = table["survival"] <= 0
    table.loc[empty, "low"] = 0.0
    table["high"] = table["high"].mask(empty).ffill().fillna(1.0)
    return table
