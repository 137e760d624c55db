"""Forecasts that were rehearsed: several methods compete on the past, the winner is used, its intervals are measured.

``forecast`` is the door. Prophet is one of the methods, not the answer: on US retail sales its defaults lose to
repeating last year, and their 80% intervals cover a third of what happens. Hence every method is backtested from the
same origins, and the intervals of the chosen one are widened (or narrowed) to the errors it really made.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ml.contracts import SERIES, finite
from ml.errors import DataError
from ml.forecast_backtest import factor, judge, plan, rehearse, scores
from ml.forecast_models import QUICK, Forecaster, Path
from ml.forecast_prophet import check_holidays, country_holidays, prophet_paths
from ml.forecast_reconcile import reconcile
from ml.forecast_result import NAMES, Forecast, forecast_advice
from ml.forecast_series import Prepared, prepare
from ml.kpis import check_level

__all__ = ["METHODS", "Forecast", "forecast", "forecast_many", "reconcile"]

Array = np.ndarray
Progress = Callable[[int, int, str], None]
METHODS = ("prophet", "ets", "theta", "seasonal_naive")
SIMPLEST = ("mean", "seasonal_naive", "theta", "ets", "prophet", "prophet+holidays")  # ties go to the earlier one
LARGEST = 1e100
PATTERN = 0.05  # a pattern must beat the flat mean by a twentieth of its error
TIE = 1.01


def forecast(
    series: pd.DataFrame,
    *,
    horizon: int,
    freq: str | None = None,
    methods: Sequence[str] = METHODS,
    level: float = 0.8,
    holidays: str | pd.DataFrame | None = None,
    floor: float | None = 0,
    choose: str = "best",
    origins: int | Sequence[object] | None = None,
    seed: int = 0,
    as_of: object | None = None,
    prophet_options: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Forecast:
    """Forecast one series.

    Parameters
    ----------
    series
        SERIES: ``ds`` (period starts or ends on a regular grid) and ``y``. Missing periods are estimated, weekdays
        without business found and left out.
    horizon
        Periods ahead.
    freq
        pandas frequency; default: read off the stamps.
    methods
        Any of ``prophet, ets, theta, seasonal_naive``. The flat mean always runs along as the benchmark.
    level
        Of the intervals, between 0 and 1.
    holidays
        Country code or a table ``ds, holiday``: Prophet then runs with and without them, and they are used only if
        the backtest improves.
    floor
        Nothing is forecast below it; None for series that may be negative.
    choose
        ``best`` by backtest (smallest mean MASE), or the name of a method to force; `advice` states what that costs.
    origins
        How many rehearsals (default 6), or their last visible stamps.
    seed
        For Prophet's optimiser; same seed, same result.
    as_of
        Hide everything later.
    prophet_options
        Passed to Prophet, for example ``{"seasonality_mode": "multiplicative"}``.
    progress
        Called with (done, total, what) before each method.

    Returns
    -------
    Forecast

    Raises
    ------
    DataError
        Fewer than eight periods, an irregular grid, broken values, values below `floor`, an unknown or (below two
        seasons) unusable method.

    Notes
    -----
    Below two seasons only methods without a season remain and `advice` says so. Sources: Hyndman & Athanasopoulos,
    "Forecasting: principles and practice" (3rd edition), 5.8–5.10; split conformal intervals after Lei et al. (2018),
    on errors divided by each method's own spread.
    """
    check_level(level)
    horizon = _whole(horizon)
    data = prepare(series, freq=freq, as_of=as_of)
    _check_values(data, floor)
    runners, notes = _runners(data, _names(methods, choose), holidays, seed, prophet_options or {}, horizon)
    future, is_open = data.future(horizon)
    ahead = max(1, int(is_open.sum()))
    rehearsal = plan(data, ahead, origins)
    ends = [*rehearsal.ends, data.n]
    z = float(stats.norm.ppf(0.5 + level / 2))
    tables, rehearsals, last = [], [], {}
    for done, (name, runner) in enumerate(runners.items()):
        if progress:
            progress(done, len(runners), NAMES.get(name, name))
        try:
            paths = runner(data, ends, ahead)
        except RuntimeError:  # Stan found no optimum: the others still answer
            notes.append(f"{NAMES[name]} could not be fitted to this series and was left out.")
            continue
        trial = [Path(p.mean[: rehearsal.horizon], p.spread[: rehearsal.horizon]) for p in paths[:-1]]
        table, judged = judge(rehearse(data, rehearsal.ends, trial, name, floor), level, z)
        tables.append(table)
        rehearsals.append(judged)
        last[name] = paths[-1]
    backtest = pd.concat(tables, ignore_index=True)
    accuracy = _accuracy(backtest)
    best, skill, has_pattern = _best(accuracy, backtest)
    chosen = best if choose == "best" else _forced(choose, accuracy)
    trials = pd.concat(rehearsals, ignore_index=True)
    reach, supported = _reach(trials[trials["method"] == chosen], level, z)
    result = Forecast(
        forecast=_frame(future, is_open, last[chosen], reach, floor),
        history=pd.DataFrame({"ds": data.ds, "y": data.y}),
        backtest=backtest,
        accuracy=accuracy,
        rehearsals=trials,
        chosen=chosen,
        forced=choose != "best",
        level=level,
        has_pattern=has_pattern,
        skill=skill,
        freq=data.freq,
        season=data.season,
    )
    result.advice.extend(forecast_advice(result, best, supported))
    result.advice.extend([note for note in (rehearsal.note, *notes, *data.notes) if note])
    return result


def forecast_many(series: pd.DataFrame, **options: Any) -> dict[Any, Forecast]:
    """Forecast each series of a frame with ``unique_id``; `options` as for `forecast`.

    Raises
    ------
    DataError
        As `forecast`, naming the series that failed.
    """
    clean = SERIES.check(series, require=("unique_id",))
    results = {}
    for name, part in clean.groupby("unique_id", sort=True):
        try:
            results[name] = forecast(part[["ds", "y"]], **options)
        except DataError as error:
            raise DataError(f"{error.found} (series {name})", error.needed) from None
    return results


def _whole(horizon: int) -> int:
    value = float(finite([horizon], "horizon")[0])
    if value < 1 or value != int(value):
        raise DataError(f"{horizon}", "a horizon of at least 1 whole period")
    return int(value)


def _check_values(data: Prepared, floor: float | None) -> None:
    lowest = float(data.y[data.observed].min())
    if floor is not None and lowest < floor:
        raise DataError(f"{lowest:g} in y", f"values of at least {floor:g}, or floor=None for a series that may be lower")
    if float(np.abs(data.y).max()) > LARGEST:
        raise DataError(f"{np.abs(data.y).max():g}", f"values below {LARGEST:g}")


def _names(methods: Sequence[str], choose: str) -> list[str]:
    names = [methods] if isinstance(methods, str) else list(methods)
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names:
        raise DataError(", ".join(map(str, unknown)) or "none", f"methods among {', '.join(METHODS)}")
    if choose not in ("best", "mean", *METHODS):
        raise DataError(repr(choose), f"choose as best or one of {', '.join(METHODS)}")
    if choose in METHODS and choose not in names:
        names.append(choose)
    return [name for name in METHODS if name in names]


def _runners(
    data: Prepared, names: list[str], holidays: Any, seed: int, options: dict[str, Any], horizon: int
) -> tuple[dict[str, Forecaster], list[str]]:
    """Method name → function, simplest first; what two seasons are needed for is left out below them."""
    notes = []
    if data.season > 1 and not data.seasonal:
        without = [name for name in names if name in ("prophet", "seasonal_naive")]
        names = [name for name in names if name not in without]
        found = f"{data.n} periods, less than two seasons of {data.season}"
        if not names:
            raise DataError(found, f"two seasons for {' and '.join(NAMES[n] for n in without)} (or theta or ets)")
        notes.append(f"Only {found}: no season can be learned, so the forecast is a level or a line at best.")
    runners: dict[str, Forecaster] = {"mean": QUICK["mean"]}
    runners |= {name: QUICK[name] for name in reversed(names) if name in QUICK}
    if "prophet" in names:
        plain = partial(prophet_paths, seed=seed, options=options)
        runners["prophet"] = plain
        special = _holidays(holidays, data, horizon)
        if special is not None:
            runners["prophet+holidays"] = partial(plain, holidays=special)
    return runners, notes


def _holidays(holidays: str | pd.DataFrame | None, data: Prepared, horizon: int) -> pd.DataFrame | None:
    if holidays is None:
        return None
    if isinstance(holidays, pd.DataFrame):
        return check_holidays(holidays)
    return country_holidays(holidays, pd.DatetimeIndex(data.ds.append(data.future(horizon)[0])))


def _accuracy(backtest: pd.DataFrame) -> pd.DataFrame:
    columns = ["mase", "wape", "coverage", "coverage_calibrated"]
    means = backtest.groupby("method")[columns].mean().reset_index()
    order = means["method"].map(SIMPLEST.index)
    return means.iloc[np.lexsort((order, means["mase"].round(12)))].reset_index(drop=True)


def _best(accuracy: pd.DataFrame, backtest: pd.DataFrame) -> tuple[str, float, bool]:
    """The winner (the simplest within one percent of the smallest MASE), its skill, and whether there is a pattern."""
    mase = accuracy.set_index("method")["mase"]
    flat, others = float(mase["mean"]), mase.drop("mean")
    near = others[others <= others.min() * TIE + 1e-12]
    best = min(near.index, key=SIMPLEST.index)
    skill = 1 - float(others[best]) / flat if flat > 0 else 0.0
    each = backtest.pivot(index="origin", columns="method", values="mase")
    wins = float((each[best] < each["mean"]).mean())
    has_pattern = skill >= PATTERN and wins >= 0.5
    return (best if has_pattern else "mean"), skill, has_pattern


def _forced(choose: str, accuracy: pd.DataFrame) -> str:
    tried = accuracy["method"].tolist()
    if choose == "prophet" and "prophet+holidays" in tried:
        return next(name for name in tried if name.startswith("prophet"))
    if choose not in tried:
        raise DataError(f"a series that {NAMES[choose]} cannot use", "two full seasons and a fit that succeeds")
    return choose


def _reach(trial: pd.DataFrame, level: float, z: float) -> tuple[float, bool]:
    """The calibrated half width in spreads; with fewer than three origins never less than the method's own."""
    reach, supported = factor(scores(trial), level)
    few = trial["origin"].nunique() < 3
    return (max(reach, z) if few and reach > 0 else reach), supported


def _frame(future: pd.DatetimeIndex, is_open: Array, path: Path, reach: float, floor: float | None) -> pd.DataFrame:
    count = int(is_open.sum())
    columns = {}
    for name, sign in (("yhat", 0), ("low", -1), ("high", 1)):
        values = np.zeros(len(future))
        values[is_open] = (path.mean + sign * reach * path.spread)[:count]
        columns[name] = values if floor is None else np.where(is_open, np.maximum(values, floor), values)
    return pd.DataFrame({"ds": future} | columns)
