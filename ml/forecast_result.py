"""A forecast with its record, and what to say about it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

NAMES = {
    "prophet": "Prophet",
    "prophet+holidays": "Prophet with holidays",
    "ets": "Exponential smoothing",
    "theta": "Theta",
    "seasonal_naive": "Repeating the last season",
    "mean": "The flat mean",
}


@dataclass(frozen=True)
class Forecast:
    """A forecast with its record.

    Attributes
    ----------
    forecast
        ``ds, yhat, low, high``: one row per future period, in the unit of the series; closed days are zero.
    history
        ``ds, y`` as used: checked, sorted, gaps filled; closed days left out.
    backtest
        ``method, origin, mase, wape, coverage, coverage_calibrated, n``: one row per method and origin (the last stamp
        it saw). `mase`: error over that of the in-sample seasonal naive. `wape`: absolute error over absolute actuals,
        infinite when all of them are zero. `coverage`: share of actuals within the method's own interval;
        `coverage_calibrated`: within the interval calibrated on the other origins.
    accuracy
        The means of `backtest` per method, best first.
    rehearsals
        What was forecast from each origin: ``method, origin, step, ds, y, yhat, spread, scale, low, high``.
    chosen, forced
        The method used, and whether it was asked for rather than the best.
    level
        Nominal level of the intervals.
    has_pattern, skill
        Whether anything beats the flat mean, and by what share of its error the best method does.
    freq, season
        Frequency and open periods per season.
    advice
        Plain sentences, the most important first.
    """

    forecast: pd.DataFrame
    history: pd.DataFrame
    backtest: pd.DataFrame
    accuracy: pd.DataFrame
    rehearsals: pd.DataFrame
    chosen: str
    forced: bool
    level: float
    has_pattern: bool
    skill: float
    freq: str
    season: int
    advice: list[str] = field(default_factory=list)


def forecast_advice(result: Forecast, best: str, supported: bool) -> list[str]:
    """Plain sentences, the most important first."""
    mase = result.accuracy.set_index("method")["mase"]
    own: dict[Any, float] = result.accuracy.set_index("method").loc[result.chosen].to_dict()
    if np.ptp(result.history["y"]) == 0:
        return ["All values are equal: the forecast repeats them, and an interval without width is no promise."]
    advice = []
    if not result.has_pattern:
        advice.append("No pattern found: nothing that was tried beats the flat mean in the backtest. Do not plan on ups and downs.")
    elif not result.forced:
        advice.append(
            f"{NAMES[result.chosen]} was closest in {result.backtest['origin'].nunique()} rehearsals on the past: off by "
            f"{_percent(own['wape'])} of the total, {1 - own['mase'] / mase['mean']:.0%} less than the flat mean."
        )
    if result.forced and result.chosen != best:
        times = own["mase"] / mase[best] if mase[best] > 0 else float("inf")
        advice.append(
            f"{NAMES[result.chosen]} was asked for; {NAMES[best]} was better in the backtest. The cost: errors "
            f"{times:.1f} times as large (MASE {own['mase']:.2f} against {mase[best]:.2f})."
        )
    advice.append(
        f"The method's own {result.level:.0%} intervals held {own['coverage']:.0%} of what happened; the ones shown are "
        f"calibrated on its past errors and held {own['coverage_calibrated']:.0%}."
    )
    if not supported:
        advice.append(f"There are too few rehearsed periods for a level of {result.level:.0%}: read it as less.")
    if {"prophet", "prophet+holidays"} <= set(mase.index):
        helped = mase["prophet+holidays"] < mase["prophet"]
        advice.append(f"Holidays {'improved' if helped else 'did not improve'} Prophet in the backtest.")
    return advice


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.095 else f"{share:.1%}"
