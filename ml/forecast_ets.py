"""Automatic exponential smoothing, fitted by searching many parameter sets at once.

One pass over time updates the states of hundreds of candidates for all origins together, so that five rehearsals and
the final fit of three years of days take a fraction of a second without a compiler. The forms are none, linear and damped trend × none, additive and
multiplicative season, each with additive or multiplicative errors: eighteen models, compared by the corrected AIC.

Source: Hyndman, Koehler, Ord & Snyder (2008), "Forecasting with exponential smoothing"; initial states by their
section 2.6.1, kept as they are instead of being optimised.
"""

from dataclasses import dataclass

import numpy as np

from ml.forecast_shape import Season, decompose, seasonal_strength

Array = np.ndarray
LONGEST = 1_500  # points; what lies further back no longer moves a smoothed level
GRID = {
    "alpha": (0.02, 0.08, 0.2, 0.4, 0.65, 0.9),
    "share": (0.01, 0.06, 0.25),  # beta / alpha
    "phi": (0.85, 0.96),
    "gamma": (0.0, 0.05, 0.25),  # share of 1 - alpha
}
ROUNDS, DRAWS = 2, 48


@dataclass
class Candidates:
    """One column per parameter set: what it belongs to, its parameters, and how it fared."""

    origin: Array
    trend: Array  # 0 none, 1 linear, 2 damped
    alpha: Array
    share: Array
    phi: Array
    gamma: Array

    def __len__(self) -> int:
        return len(self.origin)

    def take(self, rows: Array) -> "Candidates":
        return Candidates(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass
class Run:
    """States at the end of each column's series, and its two sums of squares."""

    level: Array
    slope: Array
    season: Array
    squares: Array
    relative: Array
    log_fit: Array


def ets_paths(series: list[Array], season: int, horizon: int) -> list[tuple[Array, Array]]:
    """Forecast each series (prefixes of one series, in any length) from its own best model.

    Returns
    -------
    list of (mean, spread)
        Expected values and one standard error, `horizon` of each.
    """
    tails = [_tail(y, season) for y in series]
    best: list[tuple[float, Array, Array] | None] = [None] * len(tails)
    kinds: list[bool | None] = [None]
    if any(seasonal_strength(y, season) for y in tails):
        kinds += [False, True]
    for kind in kinds:
        rows = [i for i, y in enumerate(tails) if _allowed(y, season, kind)]
        if not rows:
            continue
        shapes = [decompose(tails[i], season, kind) if kind is not None else None for i in rows]
        for i, found in zip(rows, _best_of([tails[i] for i in rows], shapes, horizon), strict=True):
            if best[i] is None or found[0] < best[i][0]:  # type: ignore[index]
                best[i] = found
    return [(found[1], found[2]) for found in best if found is not None]


def _tail(y: Array, season: int) -> Array:
    return y[-max(LONGEST, 6 * season) :]


def _allowed(y: Array, season: int, kind: bool | None) -> bool:
    if kind is None:
        return True
    return seasonal_strength(y, season) and (not kind or bool(y.min() > 0))


def _best_of(tails: list[Array], shapes: list[Season | None], horizon: int) -> list[tuple[float, Array, Array]]:
    """The best model of one seasonal kind for each series: a grid, then draws around the best of each trend."""
    rng = np.random.default_rng(0)
    starts = _Starts.of(tails, shapes)
    tried = _grid(len(tails), shapes[0] is not None)
    scores = _score(starts.run(tried), tried, starts)
    for width in (1.0, 0.35)[:ROUNDS]:
        winners = _winners(tried, scores[0])
        more = _around(tried.take(winners), width, rng)
        fresh = _score(starts.run(more), more, starts)
        tried = Candidates(*(np.r_[getattr(tried, f), getattr(more, f)] for f in tried.__dataclass_fields__))
        scores = tuple(np.r_[a, b] for a, b in zip(scores, fresh, strict=True))  # type: ignore[assignment]
    chosen = np.array([_first_best(scores[0], tried.origin == k) for k in range(len(tails))])
    final = tried.take(chosen)
    run = starts.run(final)
    return [(float(scores[0][row]), *_ahead(run, final, k, starts, horizon, bool(scores[1][row]))) for k, row in enumerate(chosen)]


@dataclass
class _Starts:
    """Series of different lengths side by side, aligned at their *ends*, with their initial states."""

    y: Array  # time × series; NaN before a series begins
    first: Array
    level: Array
    slope: Array
    season: Array  # position × series, position 0 at the first row of `y`
    multiplicative: bool

    @classmethod
    def of(cls, tails: list[Array], shapes: list[Season | None]) -> "_Starts":
        longest = max(map(len, tails))
        y = np.full((longest, len(tails)), np.nan)
        period = len(shapes[0].index) if shapes[0] is not None else 1
        season = np.zeros((period, len(tails)))
        level, slope = np.zeros(len(tails)), np.zeros(len(tails))
        first = np.array([longest - len(tail) for tail in tails])
        for k, (tail, shape) in enumerate(zip(tails, shapes, strict=True)):
            y[first[k] :, k] = tail
            adjusted = tail if shape is None else shape.remove(tail)
            early = adjusted[: max(10, 2 * period)]
            slope[k], level[k] = np.polyfit(np.arange(1, len(early) + 1), early, 1)
            if shape is not None:
                season[:, k] = np.roll(shape.index, first[k] % period)
        return cls(y, first, level, slope, season, bool(shapes[0] is not None and shapes[0].multiplicative))

    def run(self, c: Candidates) -> Run:
        """All columns through time. The sums of squares leave nothing out: a bad start is part of the judgement."""
        k, size = c.origin, len(c)
        level = np.where(c.trend == 0, self.level[k] + self.slope[k] * len(self.season) / 2, self.level[k])
        slope = np.where(c.trend == 0, 0.0, self.slope[k])
        phi = np.where(c.trend == 2, c.phi, 1.0)
        beta = np.where(c.trend == 0, 0.0, c.alpha * c.share)
        gamma = c.gamma * (1 - c.alpha)
        season = self.season[:, k].copy()
        squares, relative, log_fit = np.zeros(size), np.zeros(size), np.zeros(size)
        step = self._multiply if self.multiplicative else self._add
        with np.errstate(all="ignore"):  # a candidate may run away; it then scores infinity and is dropped
            for t in range(len(self.y)):
                y = self.y[t, k]
                live = t >= self.first[k]
                base = level + phi * slope
                fit, error, per_season, per_level = step(y, base, season[t % len(season)])
                if live.all():
                    level, slope = base + c.alpha * per_season, phi * slope + beta * per_season
                    season[t % len(season)] += gamma * per_level
                    squares += error * error
                    relative += (error / fit) ** 2
                    log_fit += np.log(np.abs(fit))
                else:
                    level = np.where(live, base + c.alpha * per_season, level)
                    slope = np.where(live, phi * slope + beta * per_season, slope)
                    season[t % len(season)] += np.where(live, gamma * per_level, 0.0)
                    squares += np.where(live, error * error, 0.0)
                    relative += np.where(live, (error / fit) ** 2, 0.0)
                    log_fit += np.where(live, np.log(np.abs(fit)), 0.0)
        return Run(level, slope, season, squares, relative, log_fit)

    @staticmethod
    def _add(y: Array, base: Array, season: Array) -> tuple[Array, Array, Array, Array]:
        fit = base + season
        error = y - fit
        return fit, error, error, error

    @staticmethod
    def _multiply(y: Array, base: Array, season: Array) -> tuple[Array, Array, Array, Array]:
        fit = base * season
        error = y - fit
        return fit, error, error / season, error / base


def _grid(origins: int, seasonal: bool) -> Candidates:
    gammas = GRID["gamma"] if seasonal else (0.0,)
    none = [(0, a, 0.0, 1.0, g) for a in GRID["alpha"] for g in gammas]
    line = [(1, a, s, 1.0, g) for a in GRID["alpha"] for s in GRID["share"] for g in gammas]
    damped = [(2, a, s, p, g) for a in GRID["alpha"] for s in GRID["share"] for p in GRID["phi"] for g in gammas]
    table = np.array(none + line + damped)
    origin = np.repeat(np.arange(origins), len(table))
    trend, alpha, share, phi, gamma = np.tile(table, (origins, 1)).T
    return Candidates(origin, trend.astype(int), alpha, share, phi, gamma)


def _around(c: Candidates, width: float, rng: np.random.Generator) -> Candidates:
    """Draws around each winner, on the logistic scale on which the parameters live; all origins share the draws."""
    rows = np.repeat(np.arange(len(c)), DRAWS)
    noise = np.tile(rng.normal(size=(4, DRAWS)), len(c)) * width

    def move(values: Array, low: float, high: float, draw: Array) -> Array:
        inside = np.clip((values - low) / (high - low), 0.003, 0.997)
        return low + (high - low) / (1 + np.exp(-(np.log(inside / (1 - inside)) + draw)))

    return Candidates(
        c.origin[rows],
        c.trend[rows],
        move(c.alpha[rows], 0.0, 1.0, noise[0]),
        np.where(c.trend[rows] == 0, 0.0, move(c.share[rows], 0.0, 1.0, noise[1])),
        np.where(c.trend[rows] == 2, move(c.phi[rows], 0.8, 0.995, noise[2]), 1.0),
        np.where(c.gamma[rows] == 0, 0.0, move(c.gamma[rows], 0.0, 1.0, noise[3])),
    )


def _score(run: Run, c: Candidates, starts: _Starts) -> tuple[Array, Array]:
    """Corrected AIC of each column with the better of the two error kinds, and whether that is the multiplicative."""
    n = (len(starts.y) - starts.first)[c.origin].astype(float)
    seasonal = len(starts.season) > 1
    k = 2 + np.array([0, 2, 3])[c.trend] + (len(starts.season) - 1 if seasonal else 0) + (c.gamma > 0) + 1
    positive = np.nanmin(starts.y, axis=0)[c.origin] > 0
    floor = 1e-12 * np.nanmean(starts.y**2, axis=0)[c.origin] + 1e-300  # a perfect fit must not reach minus infinity
    with np.errstate(all="ignore"):
        added = n * np.log(run.squares / n + floor)
        scaled = n * np.log(run.relative / n + 1e-12) + 2 * run.log_fit
    added = np.where(np.isfinite(added), added, np.inf)
    scaled = np.where(np.isfinite(scaled) & positive, scaled, np.inf)
    room = n - k - 1
    penalty = 2 * k + np.where(room > 0, 2 * k * (k + 1) / np.maximum(room, 1), np.inf)
    return np.minimum(added, scaled) + penalty, scaled < added


def _first_best(score: Array, among: Array) -> int:
    return int(np.where(among, score, np.inf).argmin())


def _winners(c: Candidates, score: Array) -> Array:
    """The best column of each origin and trend, with and without a moving season."""
    rows = []
    for k in range(int(c.origin.max()) + 1):
        for trend in range(3):
            among = (c.origin == k) & (c.trend == trend)
            rows.append(_first_best(score, among & (c.gamma == 0)))
            if (c.gamma[among] > 0).any():
                rows.append(_first_best(score, among & (c.gamma > 0)))
    return np.array(rows)


def _ahead(run: Run, c: Candidates, k: int, starts: _Starts, horizon: int, scaled: bool) -> tuple[Array, Array]:
    """Expected values and standard errors of the chosen model of series `k` (class 1 formula; relative for scaled)."""
    steps = np.arange(1, horizon + 1)
    phi = float(c.phi[k]) if c.trend[k] == 2 else 1.0
    damp = np.cumsum(phi**steps)
    base = run.level[k] + damp * run.slope[k]
    period = len(starts.season)
    factors = run.season[(len(starts.y) + steps - 1) % period, k]
    mean = base * factors if starts.multiplicative else base + factors
    n = float(len(starts.y) - starts.first[k])
    alpha, beta = float(c.alpha[k]), float(c.alpha[k] * c.share[k]) if c.trend[k] else 0.0
    gamma = float(c.gamma[k] * (1 - c.alpha[k])) if period > 1 else 0.0
    ripple = alpha + beta * damp + gamma * (steps % period == 0)
    growth = np.sqrt(1 + np.r_[0.0, np.cumsum(ripple[:-1] ** 2)])
    room = max(n - 4, 1.0)
    if scaled:
        return mean, np.sqrt(run.relative[k] / room) * np.abs(mean) * growth
    size = np.abs(factors) if starts.multiplicative else np.ones(horizon)
    return mean, np.sqrt(run.squares[k] / room) * growth * size
