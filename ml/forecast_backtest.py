"""Rehearsing a forecast on the past: errors, coverage, and intervals widened to what was really seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.errors import DataError
from ml.evaluation import rolling_origins
from ml.forecast_models import Path
from ml.forecast_series import LEAST, PERIODS_A_YEAR, Prepared

Array = np.ndarray
ORIGINS = 6
BACKTEST = ["method", "origin", "mase", "wape", "coverage", "coverage_calibrated", "n"]


@dataclass(frozen=True)
class Plan:
    """Where to rehearse: how much each origin sees, and how far ahead it is judged (open periods)."""

    ends: list[int]
    horizon: int
    note: str = ""


def plan(data: Prepared, horizon: int, origins: int | Sequence[object] | None) -> Plan:
    """Six origins spread over about the last year, or those asked for (a number, or the last stamps to be seen).

    Each sees two seasons at least, where there are that many. A history too short for a full rehearsal is judged over
    a shorter horizon, and says so.

    Raises
    ------
    DataError
        A number below 1, or stamps that leave nothing to learn from or to judge.
    """
    if origins is not None and not isinstance(origins, int):
        return _given(data, horizon, origins)
    count = ORIGINS if origins is None else origins
    if count < 1:
        raise DataError(f"{count}", "at least 1 origin to rehearse from")
    initial, judged, note = 2 * data.season, horizon, ""
    if data.n < initial + max(2, horizon // 2) or initial < LEAST - 2:
        initial = max(LEAST - 2, data.n - min(horizon, data.n // 3)) if data.n < initial + horizon else LEAST - 2
    if data.n < initial + horizon:
        judged = max(1, data.n - initial)
        note = f"The history allows a rehearsal of only {judged} of the {horizon} periods ahead."
    wanted = max(judged // 2, int(PERIODS_A_YEAR[data.kind]) // ORIGINS, 1)
    step = max(1, min(wanted, (data.n - judged - initial) // max(count - 1, 1)))
    windows = rolling_origins(data.n, horizon=judged, origins=count, step=step, initial=initial)
    return Plan([end for end, _ in windows], judged, note)


def _given(data: Prepared, horizon: int, origins: Sequence[object]) -> Plan:
    stamps = pd.DatetimeIndex(pd.to_datetime(list(origins), errors="coerce"))  # type: ignore[call-overload]
    if len(stamps) == 0 or stamps.isna().any():
        raise DataError("something that is no date" if len(stamps) else "none", "origins as a number or as dates")
    ends = sorted({int(end) for end in data.ds.searchsorted(stamps.tz_localize(None), side="right")})
    if ends[0] < LEAST - 2 or ends[-1] >= data.n:
        raise DataError(
            f"origins from {stamps.min():%Y-%m-%d} to {stamps.max():%Y-%m-%d}",
            f"origins with {LEAST - 2} periods before and one after them",
        )
    return Plan(ends, horizon)


def rehearse(data: Prepared, ends: Sequence[int], paths: Sequence[Path], method: str, floor: float | None) -> pd.DataFrame:
    """One row per origin and observed period: ``method, origin, step, ds, y, yhat, spread, scale``."""
    frames = []
    for end, path in zip(ends, paths, strict=True):
        steps = np.arange(1, min(len(path.mean), data.n - end) + 1)
        rows = end + steps - 1
        seen = data.observed[rows]
        scale = _scale(data, end)
        mean = path.mean[steps - 1] if floor is None else np.maximum(path.mean[steps - 1], floor)
        frame = pd.DataFrame(
            {
                "method": method,
                "origin": data.ds[end - 1],
                "step": steps,
                "ds": data.ds[rows],
                "y": data.y[rows],
                "yhat": mean,
                "spread": np.maximum(path.spread[steps - 1], 1e-6 * scale),
                "scale": scale,
            }
        )
        frames.append(frame[seen])
    return pd.concat(frames, ignore_index=True)


def _scale(data: Prepared, end: int) -> float:
    """What MASE divides by: the in-sample error of the seasonal naive forecast; fallbacks for flat series."""
    y = data.y[:end]
    for lag in (data.season, 1):
        if end > lag and (error := float(np.abs(y[lag:] - y[:-lag]).mean())) > 0:
            return error
    return float(np.abs(y).mean()) or 1.0


def factor(scores: Array, level: float) -> tuple[float, bool]:
    """By how many spreads an interval of this level must reach: the conformal quantile, and whether it is supported.

    With n scores the ``ceil((n + 1) · level)``-th smallest; where that is beyond the last, the largest serves and the
    level is not supported by the data. Being a quantile of one set of scores, it grows with the level: intervals nest.
    """
    n = len(scores)
    rank = int(np.ceil((n + 1) * level - 1e-9))
    return float(np.sort(scores)[min(rank, n) - 1]), rank <= n


def scores(rehearsal: pd.DataFrame) -> Array:
    """Absolute errors in spreads."""
    return (np.abs(rehearsal["y"] - rehearsal["yhat"]) / rehearsal["spread"]).to_numpy()


def judge(rehearsal: pd.DataFrame, level: float, z: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score each origin of one method.

    Returns
    -------
    (backtest, rehearsal)
        The rows of `Forecast.backtest`, and the rehearsal with its ``low`` and ``high``: the calibrated limits an
        origin would have had from the *other* origins (with one origin: from the other half of its periods).
    """
    miss = scores(rehearsal)
    fold = rehearsal["origin"].to_numpy()
    if len(np.unique(fold)) == 1:
        fold = np.arange(len(rehearsal)) % 2 if len(rehearsal) > 1 else np.zeros(1, int)
    reach = np.empty(len(rehearsal))
    for one in np.unique(fold):
        other = miss[fold != one]
        reach[fold == one] = factor(other if len(other) else miss, level)[0]
    width = reach * rehearsal["spread"]
    judged = rehearsal.assign(low=rehearsal["yhat"] - width, high=rehearsal["yhat"] + width)
    work = pd.DataFrame(
        {
            "method": rehearsal["method"],
            "origin": rehearsal["origin"],
            "error": np.abs(rehearsal["y"] - rehearsal["yhat"]),
            "size": np.abs(rehearsal["y"]),
            "scale": rehearsal["scale"],
            "own": miss <= z,
            "calibrated": miss <= reach,
        }
    )
    sums = work.groupby(["method", "origin"], sort=True)
    mean = sums[["error", "scale", "own", "calibrated", "size"]].mean()
    table = pd.DataFrame(
        {
            "mase": mean["error"] / mean["scale"],
            "wape": np.where(mean["size"] > 0, mean["error"] / mean["size"].where(mean["size"] > 0, 1), np.inf),
            "coverage": mean["own"],
            "coverage_calibrated": mean["calibrated"],
            "n": sums.size(),
        }
    )
    table.loc[mean["error"] == 0, "wape"] = 0.0
    return table.reset_index()[BACKTEST], judged
