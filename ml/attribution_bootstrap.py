"""How far the shares would move with other customers: a bootstrap that costs the same for a thousand or a million.

Journeys are dealt at random into groups (each alone while there are no more than `GROUPS`), and whole groups are drawn
with replacement. All sums that the models need are linear in the journeys, so they are added up per group once; a draw
is then one row of a small matrix product. With G groups the width of an interval is itself known to about 1/√(2G).
"""

import numpy as np
from scipy import sparse

from ml.attribution_markov import Chain, Flow, scaled, solve
from ml.attribution_paths import Journeys

GROUPS = 2_000
_CELLS = 8_000_000  # groups × sums held at once
_MARKOV_WORK = 4e10  # floating point operations that all draws of the chain may cost


class Resampler:
    """Draws of the conversions and nulls of a set of journeys."""

    def __init__(self, journeys: Journeys, draws: int, seed: int, sums: int) -> None:
        rng = np.random.default_rng(seed)
        total = int(journeys.conversions.sum() + journeys.nulls.sum())
        groups = max(100, min(GROUPS, total, _CELLS // max(1, sums)))
        self.groups = groups
        self.wins = _deal(journeys.conversions, groups, rng)
        self.losses = _deal(journeys.nulls, groups, rng)
        worth = np.divide(journeys.value, journeys.conversions, out=np.zeros_like(journeys.value), where=journeys.conversions > 0)
        self.value = self.wins @ sparse.diags_array(worth)
        self.drawn = rng.multinomial(groups, np.full(groups, 1 / groups), size=draws).astype(float)

    def credits(self, shares: sparse.csr_matrix) -> np.ndarray:
        """Draws × channels: share of the conversions by a model that shares out journey by journey."""
        return scaled(self.drawn @ (self.wins @ shares).toarray())

    def flows(self, chain: Chain, draws: int) -> Flow:
        """The chain's counts in the first `draws` draws."""
        total = (self.wins + self.losses).tocsr()
        drawn, n = self.drawn[:draws], total.shape[1]

        def by_state(weights: sparse.csr_matrix, state: np.ndarray) -> np.ndarray:
            onto = sparse.csr_matrix((np.ones(n), (np.arange(n), state)), shape=(n, chain.states))
            return drawn @ (weights @ onto).toarray()

        steps = sparse.csr_matrix((np.ones(len(chain.step)), (chain.step_journey, chain.step)), shape=(n, len(chain.moves)))
        return Flow(
            by_state(total, chain.first),
            drawn @ (total @ steps).toarray(),
            by_state(self.wins, chain.last),
            by_state(self.value, chain.last),
            by_state(self.losses, chain.last),
        )

    def markov(self, chain: Chain) -> np.ndarray | None:
        """Draws × channels: shares by the chain; None where so many states would take minutes."""
        draws = min(len(self.drawn), int(_MARKOV_WORK / max(1.0, 4.0 * chain.states**3)))
        if draws < 50:
            return None
        batch = max(1, int(_CELLS / (4 * chain.states**2)))
        flows = self.flows(chain, draws)
        parts = [
            solve(chain, Flow(*(part[low : low + batch] for part in _columns(flows)))).conversions for low in range(0, draws, batch)
        ]
        return scaled(np.concatenate(parts))


def _columns(flows: Flow) -> tuple[np.ndarray, ...]:
    return flows.begins, flows.moves, flows.wins, flows.value, flows.losses


def _deal(counts: np.ndarray, groups: int, rng: np.random.Generator) -> sparse.csr_matrix:
    """Groups × journeys: how many journeys of each kind fall into each group."""
    counts = counts.astype(np.int64)
    heavy = np.flatnonzero(counts > 4 * groups)
    light = np.where(counts > 4 * groups, 0, counts)
    kind = np.repeat(np.arange(len(counts)), light)
    group = rng.permutation(len(kind)) % groups
    spread = rng.multinomial(counts[heavy], np.full(groups, 1 / groups)) if len(heavy) else np.zeros((0, groups))
    rows = np.concatenate([group, np.tile(np.arange(groups), len(heavy))])
    cols = np.concatenate([kind, np.repeat(heavy, groups)])
    data = np.concatenate([np.ones(len(kind)), spread.ravel()])
    return sparse.csr_matrix((data, (rows, cols)), shape=(groups, len(counts)))


def limits(drawn: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval per column."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
