"""Several ways of foreseeing one sum (a quarter's sales), each judged by what it said of earlier periods at the same distance from their end."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ml.contracts import finite
from ml.errors import DataError
from ml.kpis import check_level

BLEND = "the blend"
FEWEST = 3  # past periods below which neither a range nor a weight is given


@dataclass(frozen=True)
class Ways:
    """The ways with their record.

    Attributes
    ----------
    ways
        ``way, estimate, low, high, n, wape, bias, weight``: one row per way, the blend last. ``wape``: all absolute errors
        over all actual values; ``bias``: all signed errors over them (above 0: says too much); ``low, high`` by the split
        conformal rule on the absolute errors; missing where fewer than three periods were rehearsed.
    past
        ``period, way, forecast, actual, error``; the blend is weighted without the period that it is judged on.
    level
        Nominal share of periods within the range. With n periods at most n/(n+1) can be promised: `supported`.
    supported
        Whether the rehearsed periods are enough for the level.
    advice
        Plain sentences.
    """

    ways: pd.DataFrame
    past: pd.DataFrame
    level: float
    supported: bool
    advice: list[str] = field(default_factory=list)


def judge_ways(now: dict[str, float], past: pd.DataFrame, *, level: float = 0.8, floor: float = 0.0) -> Ways:
    """Judge each way, and blend those with a record by the inverse square of their error.

    Parameters
    ----------
    now
        Way → its estimate of the running period.
    past
        ``period, way, forecast, actual``: what each way said of finished periods, at the same distance from their end.
    level
        Of the ranges.
    floor
        What has been reached already: no range lies below it.

    Raises
    ------
    DataError
        No way, missing columns, or numbers that are none.

    Notes
    -----
    Ranges: split conformal prediction (Lei et al. 2018) with absolute errors; with eight periods and 80% that is the
    largest but one. Weights: inverse mean squared error (Bates & Granger 1969, without covariances), leave-one-out.
    """
    check_level(level)
    if not now:
        raise DataError("none", "at least one way of forecasting")
    clean = _check(past)
    judged = [name for name in now if (clean["way"] == name).sum() >= FEWEST]
    common = _wide(clean, judged)
    weights = _weights(common)
    if len(weights) > 1:
        clean = pd.concat([clean, _blended(common, clean)], ignore_index=True)
        now = {**now, BLEND: float(sum(weights[name] * now[name] for name in weights))}
    clean["error"] = clean["forecast"] - clean["actual"]
    rows = [_row(name, estimate, clean[clean["way"] == name], level, floor) for name, estimate in now.items()]
    table = pd.DataFrame(rows)
    table["weight"] = table["way"].map(weights)
    most = int(table["n"].max())
    result = Ways(table, clean, level, bool(most) and most / (most + 1) >= level)
    result.advice.extend(_advice(result))
    return result


def _check(past: pd.DataFrame) -> pd.DataFrame:
    needed = ["period", "way", "forecast", "actual"]
    missing = [name for name in needed if name not in past.columns]
    if missing:
        raise DataError(f"no {', '.join(missing)}", f"the columns {', '.join(needed)}")
    clean = past[needed].reset_index(drop=True).copy()
    for name in ("forecast", "actual"):
        clean[name] = finite(clean[name], name) if len(clean) else clean[name].astype(float)
    return clean


def _wide(clean: pd.DataFrame, judged: list[str]) -> pd.DataFrame:
    """Errors by period and way, periods in which every judged way spoke."""
    part = clean[clean["way"].isin(judged)].assign(error=lambda frame: frame["forecast"] - frame["actual"])
    if part.empty:
        return pd.DataFrame(columns=judged, dtype=float)
    return part.pivot_table(index="period", columns="way", values="error", sort=False)[judged].dropna()


def _weights(errors: pd.DataFrame) -> dict[str, float]:
    if len(errors) < FEWEST or errors.shape[1] < 2:
        return {}
    squared = (errors**2).mean()
    inverse = 1 / np.maximum(squared, 1e-9 * max(float(squared.max()), 1e-300))
    return (inverse / inverse.sum()).to_dict()


def _blended(errors: pd.DataFrame, clean: pd.DataFrame) -> pd.DataFrame:
    actual = clean.drop_duplicates("period").set_index("period")["actual"]
    rows = []
    for period in errors.index:
        rest = _weights(errors.drop(index=period))
        weights = rest or dict.fromkeys(errors.columns, 1 / errors.shape[1])
        said = float(sum(weights[name] * errors.loc[period, name] for name in weights)) + float(actual[period])
        rows.append({"period": period, "way": BLEND, "forecast": said, "actual": float(actual[period])})
    return pd.DataFrame(rows)


def _row(name: str, estimate: float, own: pd.DataFrame, level: float, floor: float) -> dict[str, object]:
    n, total = len(own), float(own["actual"].sum())
    row: dict[str, object] = {
        "way": name,
        "estimate": estimate,
        "low": np.nan,
        "high": np.nan,
        "n": n,
        "wape": np.nan,
        "bias": np.nan,
    }
    if n < FEWEST:
        return row
    errors = own["error"].to_numpy(dtype=float)
    if total > 0:
        row |= {"wape": float(np.abs(errors).sum() / total), "bias": float(errors.sum() / total)}
    rank = min(n, int(np.ceil((n + 1) * level - 1e-9)))
    reach = float(np.sort(np.abs(errors))[rank - 1])
    return row | {"low": max(min(floor, estimate), estimate - reach), "high": estimate + reach}


def _advice(result: Ways) -> list[str]:
    judged = result.ways[result.ways["wape"].notna()]
    if judged.empty:
        return ["There is no record yet by which these forecasts could be judged: read them as opinions."]
    n = int(judged["n"].max())
    best = judged.sort_values("wape", kind="stable").iloc[0]
    advice = [f"Over {n} past periods, {best['way']} was closest: off by {best['wape']:.0%} of what was won."]
    for way, bias, wape in judged.loc[judged["way"] != BLEND, ["way", "bias", "wape"]].to_numpy().tolist():
        if abs(bias) > max(0.1, 0.6 * wape):
            side = "too much" if bias > 0 else "too little"
            advice.append(f"{_start(way)} said {side} nearly every time ({bias:+.0%} over all of them).")
    if not result.supported:
        promised = n / (n + 1)
        advice.append(f"{n} past periods allow no more than a range of about {promised:.0%}; read the ranges as that.")
    return advice


def _start(name: str) -> str:
    return name[:1].upper() + name[1:]
