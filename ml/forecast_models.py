"""The quick forecasters: flat mean, seasonal naive, Theta and exponential smoothing, vectorised over origins.

Each takes the prepared series, the origins (how many points each rehearsal may see) and a horizon, and returns one
`Path` per origin. Nothing of an origin's future enters its path: everything is computed from ``y[:end]``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from ml.forecast_ets import ets_paths
from ml.forecast_series import Prepared
from ml.forecast_shape import decompose, seasonal_strength, yearly_shape

Array = np.ndarray
THETAS = np.array([1.0, 1.25, 1.6, 2.0, 2.6, 3.5, 5.0, 8.0, 16.0])
ALPHAS = np.array([0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97])


@dataclass(frozen=True)
class Path:
    """A forecast from one origin: expected values and their standard errors, one per open period ahead."""

    mean: Array
    spread: Array


Forecaster = Callable[[Prepared, Sequence[int], int], list[Path]]


def mean_paths(data: Prepared, ends: Sequence[int], horizon: int) -> list[Path]:
    """The mean of everything so far: what a forecast has to beat to claim that there is a pattern."""
    paths = []
    for end in ends:
        y = data.y[:end]
        spread = float(y.std(ddof=1)) * np.sqrt(1 + 1 / end)
        paths.append(Path(np.full(horizon, y.mean()), np.full(horizon, spread)))
    return paths


def seasonal_naive_paths(data: Prepared, ends: Sequence[int], horizon: int) -> list[Path]:
    """The last season again; days choose between last week and the same weekday of last year, by their own past."""
    paths = []
    for end in ends:
        y = data.y[:end]
        lag = _naive_lag(y, data.season, data.year, horizon)
        ahead = np.arange(horizon)
        error = float(np.sqrt(np.mean((y[lag:] - y[:-lag]) ** 2)))
        paths.append(Path(y[end - lag + ahead % lag], error * np.sqrt(ahead // lag + 1)))
    return paths


def _naive_lag(y: Array, season: int, year: int, horizon: int) -> int:
    if len(y) <= 2 * season:
        return 1 if len(y) < 2 * season else season
    if not year or len(y) < 2 * year:
        return season
    back = -(-horizon // season) * season  # repeating a week over the horizon looks this far back at its end
    middle = max(season, back // 2 // season * season)
    week = np.abs(y[middle:] - y[:-middle])[-year:].mean()
    return year if np.abs(y[year:] - y[:-year])[-year:].mean() < week else season


def theta_paths(data: Prepared, ends: Sequence[int], horizon: int) -> list[Path]:
    """Optimised Theta: half a long-run line, half a smoothed level, after taking out season and year.

    Source: Assimakopoulos & Nikolopoulos (2000); Fiorucci et al. (2016), equations 11–15, for the optimised theta.
    """
    return [_theta(data, end, horizon) for end in ends]


def _theta(data: Prepared, end: int, horizon: int) -> Path:
    raw = data.y[:end]
    year, year_ahead = yearly_shape(data, end, horizon)
    y = raw - year
    season = decompose(y, data.season) if seasonal_strength(y, data.season) else None
    adjusted = y if season is None else season.remove(y)
    mean, spread = _theta_line(adjusted, horizon)
    if season is not None:
        factors = season.ahead(horizon)
        mean, spread = (mean * factors, spread * factors) if season.multiplicative else (mean + factors, spread)
    return Path(mean + year_ahead, np.abs(spread))


def _theta_line(y: Array, horizon: int) -> tuple[Array, Array]:
    n = len(y)
    time = np.arange(1, n + 1)
    intercept, slope = _running_line(y)
    start = float(y[: max(1, min(n, 4))].mean())
    best: tuple[float, float, float, float] = (np.inf, 0.5, 2.0, y[-1])
    burn = min(n // 3, 10)  # the first running lines swing wildly
    for alpha in ALPHAS:
        level = lfilter([alpha], [1, alpha - 1], y, zi=[(1 - alpha) * start])[0]
        decay = (1 - alpha) ** time
        drift = decay * intercept + (1 - decay * (1 - alpha)) / alpha * slope
        errors = (y[1:] - level[:-1] - np.outer(1 - 1 / THETAS, drift[:-1]))[:, burn:]
        squared = np.einsum("ij,ij->i", errors, errors) / errors.shape[1]
        k = int(squared.argmin())
        if squared[k] < best[0]:
            best = (float(squared[k]), float(alpha), float(THETAS[k]), float(level[-1]))
    squared, alpha, theta, level_end = best
    ahead = np.arange(1, horizon + 1)
    decay = (1 - alpha) ** n
    drift = decay * intercept[-1] + (ahead - 1 + (1 - decay * (1 - alpha)) / alpha) * slope[-1]
    sigma = np.sqrt(squared * n / max(n - 4, 1))
    return level_end + (1 - 1 / theta) * drift, sigma * np.sqrt(1 + (ahead - 1) * alpha**2)


def _running_line(y: Array) -> tuple[Array, Array]:
    """Intercept and slope of the least-squares line through ``y[:t]``, for every t: the dynamic Theta's drift."""
    t = np.arange(1, len(y) + 1, dtype=float)
    mean = np.cumsum(y) / t
    covered = np.cumsum(t * y) - t * (t + 1) / 2 * mean
    slope = np.divide(covered, t * (t * t - 1) / 12, out=np.zeros(len(y)), where=t > 1)
    return mean - slope * (t + 1) / 2, slope


def smoothing_paths(data: Prepared, ends: Sequence[int], horizon: int) -> list[Path]:
    """Automatic exponential smoothing (see `ml.forecast_ets`), after taking out the year of daily data."""
    shapes = [yearly_shape(data, end, horizon) for end in ends]
    adjusted = [data.y[:end] - shape for end, (shape, _) in zip(ends, shapes, strict=True)]
    fitted = ets_paths(adjusted, data.season, horizon)
    return [Path(mean + ahead, spread) for (mean, spread), (_, ahead) in zip(fitted, shapes, strict=True)]


QUICK: dict[str, Forecaster] = {
    "mean": mean_paths,
    "seasonal_naive": seasonal_naive_paths,
    "theta": theta_paths,
    "ets": smoothing_paths,
}
