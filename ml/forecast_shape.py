"""The regular parts of a series: season within the week or the year, and the year of daily data."""

from dataclasses import dataclass

import numpy as np

from ml.forecast_series import Prepared

Array = np.ndarray
WAVES = 6  # pairs of sines and cosines that draw a year: enough for a Christmas peak of about a month


@dataclass(frozen=True)
class Season:
    """Seasonal indices; the first belongs to position 0 of the series."""

    index: Array
    multiplicative: bool
    n: int

    def at(self, positions: Array) -> Array:
        """The index of each position."""
        return self.index[positions % len(self.index)]

    def remove(self, y: Array) -> Array:
        """The seasonally adjusted series."""
        own = self.at(np.arange(self.n))
        return y / own if self.multiplicative else y - own

    def ahead(self, horizon: int) -> Array:
        """Indices of the next `horizon` periods."""
        return self.at(self.n + np.arange(horizon))


def seasonal_strength(y: Array, season: int, z: float = 1.645) -> bool:
    """Whether the series, once its trend is gone, resembles itself one season ago more than chance allows.

    The test of the M3 Theta entry (autocorrelation at the seasonal lag against Bartlett's bound), applied to first
    differences where the level wanders.
    """
    if season < 2 or len(y) < 2 * season or np.ptp(y) == 0:
        return False
    rest = y - _moving(y, season)
    rest = rest - rest.mean()
    total = float(rest @ rest)
    if total <= 1e-18 * float(y @ y):
        return False
    r = np.array([rest[k:] @ rest[:-k] for k in range(1, season + 1)]) / total
    return bool(r[-1] > z * np.sqrt((1 + 2 * float(r[:-1] @ r[:-1])) / len(y)))


def decompose(y: Array, season: int, multiplicative: bool | None = None) -> Season:
    """Classical decomposition; multiplicative where the swings grow with the level (and all values are positive)."""
    level = _moving(y, season)
    position = np.arange(len(y)) % season
    if multiplicative is None:
        multiplicative = bool(y.min() > 0 and level.min() > 0 and _fits_better_as_factors(y, level, position, season))
    ratio = y / level if multiplicative else y - level
    edge = season // 2
    inner = slice(edge, len(y) - edge) if len(y) - 2 * edge >= season else slice(None)
    index = np.bincount(position[inner], ratio[inner], season) / np.maximum(np.bincount(position[inner], None, season), 1)
    index = index / index.mean() if multiplicative else index - index.mean()
    return Season(index, multiplicative, len(y))


def _fits_better_as_factors(y: Array, level: Array, position: Array, season: int) -> bool:
    counts = np.maximum(np.bincount(position, minlength=season), 1)
    added = (np.bincount(position, y - level, season) / counts)[position]
    factor = (np.bincount(position, y / level, season) / counts)[position]
    return float(np.square(y - level * factor).sum()) < float(np.square(y - level - added).sum())


def _moving(y: Array, season: int) -> Array:
    """Centred moving average over one season; the ends repeat their nearest full window, following its slope."""
    if season % 2:
        kernel = np.full(season, 1 / season)
    else:
        kernel = np.r_[0.5, np.ones(season - 1), 0.5] / season
    half = len(kernel) // 2
    if len(y) < len(kernel) + 1:
        return np.full(len(y), y.mean())
    middle = np.convolve(y, kernel, mode="valid")
    reach = min(len(middle), season)
    left, right = (middle[reach - 1] - middle[0], middle[-1] - middle[-reach])
    step = max(reach - 1, 1)
    before = middle[0] - left / step * np.arange(half, 0, -1)
    after = middle[-1] + right / step * np.arange(1, half + 1)
    return np.concatenate([before, middle, after])


def yearly_shape(data: Prepared, end: int, horizon: int) -> tuple[Array, Array]:
    """The recurring shape of the year in daily data, for ``y[:end]`` and for the `horizon` after it.

    Zero unless two years have been seen and the shape explains more than chance would: a handful of waves is
    regressed on the series beside a bent trend and the weekdays, and kept by the Bayesian information criterion with
    the sample size that the autocorrelation of the residuals leaves.
    """
    nothing = np.zeros(end), np.zeros(horizon)
    if not data.year or end < 2 * data.year:
        return nothing
    y = data.y[:end]
    phase = 2 * np.pi * np.arange(end + horizon) / (data.year * 365.25 / 364)
    waves = np.column_stack([f(k * phase) for k in range(1, WAVES + 1) for f in (np.sin, np.cos)])
    base = np.column_stack([_bent_trend(end, data.year), _dummies(end, data.season)])
    plain = y - base @ np.linalg.lstsq(base, y, rcond=None)[0]
    both = np.column_stack([base, waves[:end]])
    beta = np.linalg.lstsq(both, y, rcond=None)[0]
    rest = y - both @ beta
    before, after = float(plain @ plain), float(rest @ rest)
    if before <= 0 or after <= 1e-18 * before:
        return nothing
    gain = _effective(rest) * np.log(before / after)
    if gain <= 2 * WAVES * np.log(end):
        return nothing
    shape = waves @ beta[-2 * WAVES :]
    return shape[:end], shape[end:]


def _bent_trend(n: int, year: int) -> Array:
    """A line with a knee per year: flexible enough not to leave trend to the waves."""
    time = np.arange(n) / year
    knees = np.arange(1, max(int(n / year), 1))
    return np.column_stack([np.ones(n), time, *(np.maximum(time - knee, 0) for knee in knees)])


def _dummies(n: int, season: int) -> Array:
    return np.eye(season)[np.arange(n) % season][:, 1:]


def _effective(rest: Array) -> float:
    """How many independent observations these residuals are worth (first-order autocorrelation)."""
    total = float(rest @ rest)
    rho = float(np.clip((rest[1:] @ rest[:-1]) / total, 0, 0.97)) if total else 0.0
    return len(rest) * (1 - rho) / (1 + rho)
