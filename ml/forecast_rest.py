"""The rest of a running period foreseen from its daily figures, with what the same way would have said of earlier periods."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.errors import DataError
from ml.forecast import forecast
from ml.forecast_series import LEAST

METHODS = ("ets", "theta", "seasonal_naive")


@dataclass(frozen=True)
class Rest:
    """What is still to come.

    Attributes
    ----------
    estimate
        Sum of the days after the history until the end of the running period.
    past
        ``origin, end, method, forecast, actual``: one row per finished period. The method of each row was chosen by the
        *other* periods, so that the choice does not flatter itself.
    method
        The one used now.
    """

    estimate: float
    past: pd.DataFrame
    method: str


def rest_of_period(
    daily: pd.DataFrame, *, end: object, past: Sequence[tuple[object, object]], methods: Sequence[str] = METHODS
) -> Rest:
    """Foresee a sum over the days from the end of the history to `end`.

    Parameters
    ----------
    daily
        SERIES of days; a day without anything is a zero.
    end
        Last day of the running period; on or before the last day of `daily` nothing is left to come.
    past
        Finished periods as (last day that may be seen, last day of the period), all within the history. Those with too
        little history before them are left out.
    methods
        As for `ml.forecast.forecast`; the flat mean always runs along.

    Raises
    ------
    DataError
        As `ml.forecast.forecast`.
    """
    clean = daily.sort_values("ds")
    last, until = pd.Timestamp(clean["ds"].max()), pd.Timestamp(str(end))
    spans = [(pd.Timestamp(str(a)), pd.Timestamp(str(b))) for a, b in past]
    first = pd.Timestamp(clean["ds"].min()) + pd.Timedelta(days=2 * LEAST)
    spans = [(a, b) for a, b in spans if a >= first and a < b <= last]
    # A week more than the longest span: a rehearsal counts open days, and stretches of equal length hold different numbers of them.
    horizon = max([1, (until - last).days, *((b - a).days for a, b in spans)]) + 7
    floor = 0 if (clean["y"] >= 0).all() else None
    options = {"horizon": horizon, "freq": "D", "floor": floor, "methods": methods}
    trial = forecast(clean, origins=[a for a, _ in spans] if spans else 1, **options)  # type: ignore[arg-type]
    sums = _sums(trial.rehearsals, spans, clean)
    method = _best(sums, trial.chosen)
    used = trial if trial.chosen == method else forecast(clean, origins=1, choose=method, **options)  # type: ignore[arg-type]
    ahead = used.forecast[pd.to_datetime(used.forecast["ds"]) <= until]
    return Rest(float(ahead["yhat"].sum()) if until > last else 0.0, _left_out(sums, trial.chosen), method)


def _sums(rehearsals: pd.DataFrame, spans: Sequence[tuple[pd.Timestamp, pd.Timestamp]], daily: pd.DataFrame) -> pd.DataFrame:
    """``origin, end, method, forecast, actual`` over whole spans."""
    rows = []
    seen = np.sort(rehearsals["origin"].unique()) if len(rehearsals) else np.array([], dtype="datetime64[ns]")
    for origin, end in spans:
        place = int(np.searchsorted(seen, np.datetime64(origin), side="right")) - 1
        if place < 0 or (origin - pd.Timestamp(seen[place])).days > 7:
            continue
        actual = float(daily.loc[(daily["ds"] > origin) & (daily["ds"] <= end), "y"].sum())
        mine = rehearsals[(rehearsals["origin"] == seen[place]) & (rehearsals["ds"] > origin) & (rehearsals["ds"] <= end)]
        for method, part in mine.groupby("method", sort=False):
            rows.append({"origin": origin, "end": end, "method": method, "forecast": float(part["yhat"].sum()), "actual": actual})
    return pd.DataFrame(rows, columns=["origin", "end", "method", "forecast", "actual"])


def _best(sums: pd.DataFrame, fallback: str) -> str:
    if sums.empty:
        return fallback
    miss = (sums["forecast"] - sums["actual"]).abs().groupby(sums["method"]).mean()
    return str(miss.idxmin())


def _left_out(sums: pd.DataFrame, fallback: str) -> pd.DataFrame:
    """For each period the row of the method that was best over the others."""
    if sums.empty:
        return sums
    rows = []
    for end in sums["end"].unique():
        here = sums[sums["end"] == end]
        method = _best(sums[sums["end"] != end], fallback)
        rows.append(here[here["method"] == (method if method in set(here["method"]) else here["method"].iloc[0])].head(1))
    return pd.concat(rows, ignore_index=True)


__all__ = ["DataError", "Rest", "rest_of_period"]
