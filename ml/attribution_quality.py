"""How well the chain knows a journey that will convert: hardly, and that is worth showing."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml import attribution_markov as markov
from ml.attribution_paths import read_paths
from ml.errors import DataError

FOLDS = 5
DRAWS = 200


@dataclass(frozen=True)
class PathAuc:
    """How the chain ranks journeys that converted against those that did not.

    Attributes
    ----------
    auc, low, high
        On journeys it was not fitted to (five folds): .5 is a coin, 1 is perfect; 95% interval.
    in_sample
        The same on the journeys it was fitted to.
    order
        How many touches a state remembers.
    verdict
        One sentence.
    """

    auc: float
    low: float
    high: float
    in_sample: float
    order: int
    verdict: str


def path_auc(paths: pd.DataFrame, order: int = 1, *, seed: int = 0) -> PathAuc:
    """Area under the ROC curve of the chain's own forecast: the chance to convert from the state a journey ended in.

    Raises
    ------
    DataError
        As for `attribute`; or fewer than 10 journeys with or without conversion.

    Source: the check by Anderl et al. (2016), section 4.4.
    """
    journeys = read_paths(paths)
    wins, losses = journeys.conversions, journeys.nulls
    if min(wins.sum(), losses.sum()) < 2 * FOLDS:
        raise DataError(f"{wins.sum():,.0f} converting and {losses.sum():,.0f} other journeys", f"at least {2 * FOLDS} of each")
    chain = markov.build(journeys, order)
    won = np.bincount(chain.last, weights=wins, minlength=chain.states)
    lost = np.bincount(chain.last, weights=losses, minlength=chain.states)
    rng = np.random.default_rng(seed)
    auc = _out_of_fold(_deal(won, rng), _deal(lost, rng))
    # Redrawn as a whole, folds and all: the order of the states is learnt from noise too, which formulas for a given
    # score leave out (they covered .5 in 87 % of noise instead of 95 %).
    shape = (DRAWS, FOLDS, chain.states)
    redrawn = zip(rng.poisson(won / FOLDS, shape), rng.poisson(lost / FOLDS, shape), strict=True)
    half = 1.96 * float(np.std([_out_of_fold(a.astype(float), b.astype(float)) for a, b in redrawn]))
    low, high = max(0.0, auc - half), min(1.0, auc + half)
    return PathAuc(auc, low, high, area(_rate(won, lost), won, lost), order, _verdict(auc, low))


def _out_of_fold(won: np.ndarray, lost: np.ndarray) -> float:
    """Mean AUC over the folds (folds × states), each scored by the others."""
    areas = []
    for fold in range(FOLDS):
        if won[fold].sum() and lost[fold].sum():
            score = _rate(won.sum(axis=0) - won[fold], lost.sum(axis=0) - lost[fold])
            areas.append(area(score, won[fold], lost[fold]))
    return float(np.mean(areas)) if areas else 0.5


def _deal(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Folds × states; each fold gets the same number of journeys, give or take one."""
    state = np.repeat(np.arange(len(counts)), counts.astype(np.int64))
    fold = rng.permutation(len(state)) % FOLDS
    return np.stack([np.bincount(state[fold == f], minlength=len(counts)) for f in range(FOLDS)]).astype(float)


def _rate(won: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Share that converted from each state, one journey's worth pulled towards the mean so that rare states stay calm."""
    base = won.sum() / (won.sum() + lost.sum())
    return (won + base) / (won + lost + 1)


def area(score: np.ndarray, wins: np.ndarray, losses: np.ndarray) -> float:
    """AUC of scores with counts; ties count half."""
    _, rank = np.unique(score, return_inverse=True)
    w, v = np.bincount(rank, weights=wins), np.bincount(rank, weights=losses)
    below = np.cumsum(v) - v
    return float((w * (below + v / 2)).sum() / (w.sum() * v.sum()))


def _verdict(auc: float, low: float) -> str:
    if low <= 0.5:
        return "The chain cannot tell journeys that convert from others: read its credits as a description, not a cause."
    strength = "hardly" if auc < 0.6 else "partly" if auc < 0.75 else "well"
    return (
        f"The chain {strength} tells journeys that convert from others (AUC {auc:.2f}, a coin has .50): "
        "its credits describe; a hold-out measures."
    )
