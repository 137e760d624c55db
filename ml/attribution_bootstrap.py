"""How far the shares would move with other customers: a bootstrap that costs the same for a thousand or a million.

Journeys are dealt at random into groups (each alone while there are no more than `GROUPS`), and whole groups are drawn
with replacement. All sums that the models need are linear in the journeys, so they are added up per group once; a draw
is then one row of a small matrix product. With G groups the width of an interval is itself known to about 1/√(2G).
"""

from dataclasses import dataclass

import numpy as np

from ml.attribution_credits import Splitter
from ml.attribution_markov import Chain, Flow, scaled, solve
from ml.attribution_paths import Journeys, ragged

GROUPS = 2_000
_CELLS = 8_000_000  # groups × sums held at once
_MARKOV_WORK = 4e10  # floating point operations that all draws of the chain may cost


class Resampler:
    """Draws of the conversions and nulls of a set of journeys."""

    def __init__(self, journeys: Journeys, draws: int, seed: int, sums: int) -> None:
        rng = np.random.default_rng(seed)
        total = int(journeys.conversions.sum() + journeys.nulls.sum())
        self.groups = max(100, min(GROUPS, total, _CELLS // max(1, sums)))
        self.wins = _Dealt(journeys.conversions, self.groups, rng)
        self.losses = _Dealt(journeys.nulls, self.groups, rng)
        self.cells: _Cells | None = None
        self.drawn = rng.multinomial(self.groups, np.full(self.groups, 1 / self.groups), size=draws).astype(float)

    def credits(self, splitter: Splitter, model: str) -> np.ndarray:
        """Draws × channels: share of the conversions by a model that shares out journey by journey."""
        if self.cells is None:  # the same for all models, and the dear part
            self.cells = self.wins.cells(splitter.start, splitter.column, splitter.shape[1])
        return scaled(self.drawn @ self.cells.add_up(splitter[model].data))

    def flows(self, chain: Chain, journeys: Journeys, draws: int) -> Flow:
        """The chain's counts in the first `draws` draws."""
        each = np.arange(len(chain.first) + 1)
        inside = np.concatenate([[0], np.cumsum(np.bincount(chain.step_journey, minlength=len(chain.first)))])
        worth = np.divide(journeys.value, journeys.conversions, out=np.zeros_like(journeys.value), where=journeys.conversions > 0)
        drawn, states, moves = self.drawn[:draws], chain.states, len(chain.moves)

        first, last = (self.losses.cells(each, state, states) for state in (chain.first, chain.last))
        won_first, won_last = (self.wins.cells(each, state, states) for state in (chain.first, chain.last))
        steps, won_steps = (dealt.cells(inside, chain.step, moves) for dealt in (self.losses, self.wins))
        return Flow(
            drawn @ (first.add_up() + won_first.add_up()),
            drawn @ (steps.add_up() + won_steps.add_up()),
            drawn @ won_last.add_up(),
            drawn @ won_last.add_up(worth),
            drawn @ last.add_up(),
        )

    def markov(self, chain: Chain, journeys: Journeys) -> np.ndarray | None:
        """Draws × channels: shares by the chain; None where so many states would take minutes."""
        draws = min(len(self.drawn), int(_MARKOV_WORK / max(1.0, 4.0 * chain.states**3)))
        if draws < 50:
            return None
        batch = max(1, int(_CELLS / (4 * chain.states**2)))
        flows = self.flows(chain, journeys, draws)
        parts = [
            solve(chain, Flow(*(part[low : low + batch] for part in _columns(flows)))).conversions for low in range(0, draws, batch)
        ]
        return scaled(np.concatenate(parts))


def _columns(flows: Flow) -> tuple[np.ndarray, ...]:
    return flows.begins, flows.moves, flows.wins, flows.value, flows.losses


class _Dealt:
    """How many journeys of each kind fell into each group, as (group, kind, count)."""

    def __init__(self, counts: np.ndarray, groups: int, rng: np.random.Generator) -> None:
        counts = counts.astype(np.int64)
        heavy = np.flatnonzero(counts > 4 * groups)
        kind = np.repeat(np.arange(len(counts)), np.where(counts > 4 * groups, 0, counts))
        group = rng.permutation(len(kind)) % groups
        spread = rng.multinomial(counts[heavy], np.full(groups, 1 / groups)) if len(heavy) else np.zeros((0, groups))
        self.groups = groups
        self.group = np.concatenate([group, np.tile(np.arange(groups), len(heavy))])
        self.kind = np.concatenate([kind, np.repeat(heavy, groups)])
        self.count = np.concatenate([np.ones(len(kind)), spread.ravel()])

    def cells(self, start: np.ndarray, column: np.ndarray, width: int) -> "_Cells":
        """Where the cells ``start[j] … start[j + 1] − 1`` of each group's journeys j count: in which column."""
        lengths = np.diff(start)[self.kind]
        cell = ragged(start[self.kind], lengths)
        where = np.repeat(self.group * width, lengths)
        where += column[cell]
        return _Cells(cell, where, np.repeat(self.count, lengths), (self.groups, width))


@dataclass(frozen=True)
class _Cells:
    cell: np.ndarray
    where: np.ndarray
    count: np.ndarray
    shape: tuple[int, int]

    def add_up(self, values: np.ndarray | None = None) -> np.ndarray:
        """Groups × columns: the sum of the cells' values (default: ones)."""
        weight = self.count if values is None else self.count * values[self.cell]
        return np.bincount(self.where, weights=weight, minlength=self.shape[0] * self.shape[1]).reshape(self.shape)


def limits(drawn: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval per column."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
