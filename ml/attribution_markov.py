"""The absorbing Markov chain behind a set of journeys, solved exactly instead of simulated.

States are the last `order` channels of a journey. With Q the moves between states, r the chance to convert next and
N = (I − Q)⁻¹ (Kemeny & Snell 1960, theorem 3.2.4), the chance to convert is x = N r. Taking a channel out sends every
entry into its states R to the null state; the share of conversions lost is

    removal effect = p₀ᵀ N[·,R] · N[R,R]⁻¹ · x[R] / (p₀ᵀ x),

which for one state is N[s,i] / N[i,i] · x_i / x_s. One inversion serves all channels (Anderl et al. 2016 define the
effect and simulate it).
"""

from dataclasses import dataclass

import numpy as np

from ml.attribution_paths import Journeys, renumber
from ml.errors import DataError

MAX_STATES = 3_000


@dataclass(frozen=True)
class Chain:
    """Which moves the journeys make; the counts follow from the weights of the journeys.

    Attributes
    ----------
    order
        How many channels a state remembers.
    owner_channel
        The newest channel of each state.
    first, last
        First and last state of each journey.
    moves
        Distinct (from, to) pairs of states, as ``from * states + to``, ascending.
    step, step_journey
        For every step inside a journey: which move it is, and whose.
    """

    order: int
    n_channels: int
    owner_channel: np.ndarray
    first: np.ndarray
    last: np.ndarray
    moves: np.ndarray
    step: np.ndarray
    step_journey: np.ndarray

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.owner_channel)


def build(journeys: Journeys, order: int) -> Chain:
    """The chain of a given memory.

    Raises
    ------
    DataError
        An order below 1, or one whose states cannot be numbered.
    """
    if order < 1 or order != int(order):
        raise DataError(f"order {order!r}", "a whole number of remembered touches, 1 or more")
    key = journeys.codes.copy()
    width = len(journeys.channels) + 1
    if width**order > 2**62:
        raise DataError(f"order {order} with {width - 1:,} channels", "a lower order")
    for back in range(1, order):
        older = np.zeros(len(key), dtype=np.int64)
        older[back:] = journeys.codes[:-back] + 1
        key += np.where(journeys.position >= back, older, 0) * width**back
    known, state = renumber(key, width**order)
    inner = np.flatnonzero(journeys.position > 0)
    moves, step = renumber(state[inner - 1] * len(known) + state[inner], len(known) ** 2)
    ends = journeys.ends
    return Chain(
        order,
        len(journeys.channels),
        known % width,
        state[ends - journeys.lengths],
        state[ends - 1],
        moves,
        step,
        journeys.owner[inner],
    )


@dataclass(frozen=True)
class Flow:
    """Counts of a chain, with any leading dimensions (one per bootstrap draw): begins, moves, conversions, value, nulls."""

    begins: np.ndarray
    moves: np.ndarray
    wins: np.ndarray
    value: np.ndarray
    losses: np.ndarray


def flow(chain: Chain, journeys: Journeys) -> Flow:
    """The counts of the journeys as they are."""
    total = journeys.conversions + journeys.nulls

    def by_state(state: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.bincount(state, weights=weight, minlength=chain.states)

    return Flow(
        by_state(chain.first, total),
        np.bincount(chain.step, weights=total[chain.step_journey], minlength=len(chain.moves)),
        by_state(chain.last, journeys.conversions),
        by_state(chain.last, journeys.value),
        by_state(chain.last, journeys.nulls),
    )


@dataclass(frozen=True)
class Effects:
    """Removal effects per channel (share of conversions, and of value, that would be lost) and P(conversion)."""

    conversions: np.ndarray
    value: np.ndarray
    probability: np.ndarray


def solve(chain: Chain, flows: Flow) -> Effects:
    """Removal effects in closed form, for all leading dimensions at once.

    Raises
    ------
    DataError
        More states than can be inverted: with so many, most were seen once.
    """
    size = chain.states
    if size > MAX_STATES:
        raise DataError(f"{size:,} states of order {chain.order}", f"at most {MAX_STATES:,}; lower the order")
    begins, wins, losses, value = flows.begins, flows.wins, flows.losses, flows.value
    moves = np.zeros((*begins.shape[:-1], size * size))
    moves[..., chain.moves] = flows.moves
    moves = moves.reshape(*begins.shape[:-1], size, size)
    out = moves.sum(axis=-1) + wins + losses
    out = np.where(out > 0, out, 1.0)
    inverse = np.linalg.inv(np.eye(size) - moves / out[..., None])
    total = begins.sum(axis=-1, keepdims=True)
    visits = ((begins / total)[..., None, :] @ inverse)[..., 0, :]
    reward = np.stack([wins / out, value / out], axis=-1)
    worth = inverse @ reward  # states × (conversions, value) still to come
    reached = ((begins / total)[..., None, :] @ worth)[..., 0, :]
    lost = np.zeros((*begins.shape[:-1], chain.n_channels, 2))
    for channel in range(chain.n_channels):
        states = np.flatnonzero(chain.owner_channel == channel)
        block = inverse[..., states[:, None], states]
        through = np.linalg.solve(block, worth[..., states, :])
        lost[..., channel, :] = (visits[..., None, states] @ through)[..., 0, :]
    effect = np.divide(lost, reached[..., None, :], out=np.zeros_like(lost), where=reached[..., None, :] > 0)
    effect = np.clip(effect, 0.0, 1.0)
    return Effects(effect[..., 0], effect[..., 1], reached[..., 0])


def scaled(effect: np.ndarray) -> np.ndarray:
    """Effects as shares that sum to 1 (equal ones where nothing has any effect)."""
    total = effect.sum(axis=-1, keepdims=True)
    return np.where(total > 0, effect / np.where(total > 0, total, 1.0), 1.0 / effect.shape[-1])
