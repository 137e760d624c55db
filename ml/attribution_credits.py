"""The rules of thumb and Shapley: each shares out one conversion over the channels of its own journey."""

from collections.abc import Callable

import numpy as np
from scipy import sparse

from ml.attribution_paths import Journeys, renumber

HEURISTICS = ("first", "last", "linear", "position", "time_decay", "w", "full_path")
_STEP_DECAY = 0.5  # without times: each touch weighs half of the one after it


class Splitter:
    """Journeys × channels matrices, one per model, over one shared pattern of cells."""

    def __init__(self, journeys: Journeys) -> None:
        self.journeys = journeys
        n, width = len(journeys.lengths), len(journeys.channels)
        cells, self.cell = renumber(journeys.owner * width + journeys.codes, n * width)
        self.shape, self.column = (n, width), cells % width
        self.distinct = np.bincount(cells // width, minlength=n)
        self.start = np.concatenate([[0], np.cumsum(self.distinct)])
        self._made: dict[str, sparse.csr_matrix] = {}

    def __getitem__(self, model: str) -> sparse.csr_matrix:
        """How one conversion of each journey is shared out; each row sums to 1."""
        if model not in self._made:
            self._made[model] = self._matrix(self._values(model))
        return self._made[model]

    def touched(self) -> np.ndarray:
        """Conversions per channel whose journey holds it."""
        return self.journeys.conversions @ self._matrix(np.ones(len(self.column)))

    def _values(self, model: str) -> np.ndarray:
        if model == "shapley":
            # With v(S) = conversions of journeys that need channels of S only, a sum of unanimity games, the exact
            # Shapley value shares each journey evenly among its distinct channels (Shapley 1953; Zhao et al. 2018).
            return np.repeat(1 / self.distinct, self.distinct)
        journeys = self.journeys
        raw = _RAW[model](journeys.position, journeys.size, journeys)
        values = np.bincount(self.cell, weights=raw, minlength=len(self.column))
        return values / np.repeat(np.add.reduceat(values, self.start[:-1]), self.distinct)

    def _matrix(self, values: np.ndarray) -> sparse.csr_matrix:
        return sparse.csr_matrix((values, self.column, self.start), shape=self.shape)


def _first(at: np.ndarray, n: np.ndarray, journeys: Journeys) -> np.ndarray:
    return (at == 0).astype(float)


def _last(at: np.ndarray, n: np.ndarray, journeys: Journeys) -> np.ndarray:
    return (at == n - 1).astype(float)


def _linear(at: np.ndarray, n: np.ndarray, journeys: Journeys) -> np.ndarray:
    return np.ones(len(at))


def _position(at: np.ndarray, n: np.ndarray, journeys: Journeys) -> np.ndarray:
    """40/20/40; with two touches 50/50."""
    middle = np.where(n > 2, 0.2 / np.maximum(n - 2, 1), 0.0)
    return np.where((at == 0) | (at == n - 1), 0.4, middle)


def _time_decay(at: np.ndarray, n: np.ndarray, journeys: Journeys) -> np.ndarray:
    """By the clock where the journeys carry it, else by steps."""
    if journeys.decay is not None:
        return journeys.decay
    return np.maximum(_STEP_DECAY ** (n - 1 - at).astype(float), 1e-300)


def _w(at: np.ndarray, n: np.ndarray, journeys: Journeys) -> np.ndarray:
    """30 for the first, the middle and the last touch, 10 for the others together; with two touches 50/50."""
    named = (at == 0) * 0.3 + (at == n - 1) * 0.3 + (at == n // 2) * (n > 2) * 0.3
    return named + _others(named, journeys)


def _full_path(at: np.ndarray, n: np.ndarray, journeys: Journeys) -> np.ndarray:
    """22.5 for the first touch, those at one and at two thirds, and the last; 10 for the others together."""
    third, two_thirds = np.rint((n - 1) / 3), np.rint(2 * (n - 1) / 3)
    named = 0.225 * ((at == 0).astype(float) + (at == third) + (at == two_thirds) + (at == n - 1))
    return named + _others(named, journeys)


def _others(named: np.ndarray, journeys: Journeys) -> np.ndarray:
    """Ten per cent, split over the touches that have no name yet."""
    free = named == 0
    count = np.bincount(journeys.owner, weights=free)[journeys.owner]
    return np.where(free, 0.1 / np.maximum(count, 1), 0.0)


_RAW: dict[str, Callable[[np.ndarray, np.ndarray, Journeys], np.ndarray]] = {
    "first": _first,
    "last": _last,
    "linear": _linear,
    "position": _position,
    "time_decay": _time_decay,
    "w": _w,
    "full_path": _full_path,
}
