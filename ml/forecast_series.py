"""A series made ready for forecasting: a regular grid, its season, its gaps, its closed days."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ml.contracts import SERIES, instant
from ml.errors import DataError

Array = np.ndarray
LEAST = 8  # fewer points than this carry no forecast of any kind
SEASONS = {"h": 24, "D": 7, "B": 5, "W": 52, "M": 12, "Q": 4, "Y": 1}
PERIODS_A_YEAR = {"h": 8766.0, "D": 365.25, "B": 261.0, "W": 52.18, "M": 12.0, "Q": 4.0, "Y": 1.0}
WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


@dataclass(frozen=True)
class Prepared:
    """The open periods of a series, evenly spaced and without holes.

    Attributes
    ----------
    ds, y
        Stamps and values of the open periods; gaps are filled (see `filled`).
    observed
        Whether each value was measured rather than filled.
    freq, kind
        The pandas frequency, and its family (``h D B W M Q Y``).
    season
        Open periods per season.
    year
        Open periods per year, rounded to whole seasons, for daily data; 0 otherwise.
    closed
        Weekdays (0 is Monday) without business.
    last
        The last period of the history, open or closed.
    notes
        What was done, in words.
    """

    ds: pd.DatetimeIndex
    y: Array
    observed: Array
    freq: str
    kind: str
    season: int
    year: int
    closed: tuple[int, ...]
    last: pd.Timestamp
    notes: list[str] = field(default_factory=list)

    @property
    def n(self) -> int:
        """Number of open periods."""
        return len(self.y)

    @property
    def seasonal(self) -> bool:
        """Whether there are two seasons to learn a season from."""
        return self.season > 1 and self.n >= 2 * self.season

    def stamps(self, end: int, count: int) -> pd.DatetimeIndex:
        """The `count` open periods that follow the first `end` ones: in the history first, then beyond it."""
        known = self.ds[end : end + count]
        missing = count - len(known)
        if missing == 0:
            return known
        after, is_open = self.future(2 * missing + 14)
        if is_open.sum() < missing:
            after, is_open = self.future(7 * missing + 14)
        return pd.DatetimeIndex(known.append(after[is_open][:missing]))

    def future(self, horizon: int) -> tuple[pd.DatetimeIndex, Array]:
        """The next `horizon` periods, and which of them are open."""
        after = pd.date_range(self.last, periods=horizon + 1, freq=self.freq)[1:]
        return after, ~np.isin(after.day_of_week, self.closed)


def prepare(series: pd.DataFrame, *, freq: str | None = None, as_of: object | None = None) -> Prepared:
    """Check a SERIES frame and lay it on a regular grid.

    Raises
    ------
    DataError
        Broken columns, several series, fewer than eight points, nothing by `as_of`, or stamps on no regular grid.
    """
    clean = SERIES.check(series)
    if "unique_id" in clean and clean["unique_id"].nunique() > 1:
        found = f"{clean['unique_id'].nunique():,} series"
        raise DataError(found, "one series (forecast_many takes several)")
    if as_of is not None:
        moment = instant(as_of).tz_localize(None)  # type: ignore[arg-type]
        clean = clean[clean["ds"] <= moment]
    if len(clean) < LEAST:
        raise DataError(f"{len(clean)}", f"at least {LEAST} periods to forecast from")
    known = clean.sort_values("ds").set_index("ds")["y"]
    freq = freq or _infer(pd.DatetimeIndex(known.index))
    grid = _grid(pd.DatetimeIndex(known.index), freq)
    return _open_periods(known.reindex(grid), freq)


def _infer(stamps: pd.DatetimeIndex) -> str:
    step = pd.Series(stamps).diff().dropna().median()
    hours = step / pd.Timedelta(hours=1)
    if abs(hours - 1) < 1e-6:
        return "h"
    days = hours / 24
    if abs(days - 1) < 1e-6:
        weekend = np.isin(stamps.day_of_week, (5, 6))
        return "D" if weekend.any() or len(stamps) < 14 else "B"
    if abs(days - 7) < 1e-6:
        return f"W-{stamps[0].day_name()[:3].upper()}"
    for low, high, start, end in ((28, 31, "MS", "ME"), (89, 93, "QS", "QE"), (365, 366, "YS", "YE")):
        if low <= days <= high:
            return _anchored(stamps, start, end)
    raise DataError(f"a typical step of {step}", "hourly, daily, weekly, monthly, quarterly or yearly periods, or freq")


def _anchored(stamps: pd.DatetimeIndex, start: str, end: str) -> str:
    """Months and longer count from their first or last day; quarters and years from the month they begin in."""
    if (stamps.day == 1).all():
        return start if start == "MS" else f"{start}-{stamps[0].month_name()[:3].upper()}"
    if stamps.is_month_end.all():
        return end if end == "ME" else f"{end}-{stamps[0].month_name()[:3].upper()}"
    raise DataError("stamps that fall on changing days", "the first or the last day of each period as ds")


def _grid(stamps: pd.DatetimeIndex, freq: str) -> pd.DatetimeIndex:
    try:
        grid = pd.date_range(stamps[0], stamps[-1], freq=freq)
    except ValueError:
        raise DataError(repr(freq), "a pandas frequency such as D, W-MON, MS or QS") from None
    stray = ~stamps.isin(grid)
    if stray.any():
        raise DataError(
            f"{int(stray.sum()):,} off it (first {stamps[stray][0]})",
            f"stamps on a regular {freq} grid; sum the rows per period first",
        )
    if len(grid) > 20 * len(stamps):
        raise DataError(f"{len(stamps):,} of {len(grid):,} periods", "a value in at least every twentieth period")
    return grid


def _open_periods(full: pd.Series, freq: str) -> Prepared:
    kind = _kind(freq)
    stamps, values = pd.DatetimeIndex(full.index), full.to_numpy(dtype=float)
    closed = _closed_weekdays(stamps, values) if kind == "D" else ()
    keep = ~np.isin(stamps.day_of_week, closed)
    ds, y = stamps[keep], values[keep]
    season = 7 - len(closed) if kind == "D" else SEASONS[kind]
    year = 52 * season if kind in "DB" else 0
    notes = []
    if closed:
        notes.append(f"Closed on {' and '.join(WEEKDAYS[day] for day in closed)}: forecast as zero there.")
    observed = ~np.isnan(y)
    missing = int((~observed).sum())
    if missing:
        notes.append(
            f"{missing:,} {'period has no row and was' if missing == 1 else 'periods have no row and were'} estimated from "
            "the neighbours; if no row means no sales, add it with a zero."
        )
    if observed.sum() < LEAST:
        raise DataError(f"{int(observed.sum())}", f"at least {LEAST} open periods to forecast from")
    prepared = Prepared(ds, _fill(y, season), observed, freq, kind, season, year, closed, stamps[-1], notes)
    if _looks_unfinished(prepared):
        notes.append("The last period is far below all recent ones: leave it out if it was not over yet.")
    return prepared


def _kind(freq: str) -> str:
    name = pd.tseries.frequencies.to_offset(freq).rule_code.upper()  # type: ignore[union-attr]
    for kind in ("h", "D", "B", "W", "M", "Q", "Y"):
        if name.startswith(kind.upper()) and not (kind == "B" and name != "B"):
            return kind
    raise DataError(repr(freq), "hourly, daily, business-day, weekly, monthly, quarterly or yearly periods")


def _closed_weekdays(stamps: pd.DatetimeIndex, values: Array) -> tuple[int, ...]:
    """Weekdays on which, over the last year, practically nothing happened: no row, or a zero.

    A trap met with shops: a model that sees a zero every Sunday learns a season that pulls the Mondays down too.
    """
    recent = slice(max(0, len(values) - 365), None)
    day, nothing = stamps.day_of_week[recent], np.nan_to_num(values[recent]) == 0
    share = np.array([nothing[day == w].mean() if (day == w).sum() >= 4 else 0.0 for w in range(7)])
    closed = tuple(int(w) for w in np.flatnonzero(share >= 0.95))
    return closed if len(closed) <= 4 and nothing[~np.isin(day, closed)].mean() < 0.5 else ()


def _fill(y: Array, season: int) -> Array:
    """Gaps: the line between the neighbours, plus the usual departure of that part of the season from it."""
    hole = np.isnan(y)
    if not hole.any():
        return y
    index = np.arange(len(y))
    line = np.interp(index, index[~hole], y[~hole])
    if season <= 1 or len(y) < 2 * season:
        return line
    smooth = pd.Series(line).rolling(season, center=True, min_periods=1).mean().to_numpy()
    usual = pd.Series(np.where(hole, np.nan, y - smooth)).groupby(index % season).transform("mean")
    return np.where(hole, smooth + usual.fillna(0).to_numpy(), y)


def _looks_unfinished(prepared: Prepared) -> bool:
    before = prepared.y[-1 - max(2 * prepared.season, LEAST) : -1]
    return bool(before.min() > 0 and prepared.y[-1] < 0.5 * before.min())
