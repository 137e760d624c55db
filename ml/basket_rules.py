"""From itemsets to rules: which rule says more than every shorter one, which could be chance, which holds up later.

All ratios are divisions of two whole numbers below 2**53, which floating point rounds correctly: equal fractions are
equal floats, and the comparison with a threshold is done in integers.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import gammaln
from scipy.stats import norm

from ml.basket_data import Baskets, exact
from ml.basket_mining import Mined

MLXTEND_COLUMNS = (
    "antecedents",
    "consequents",
    "antecedent support",
    "consequent support",
    "support",
    "confidence",
    "lift",
    "representativity",
    "leverage",
    "conviction",
    "zhangs_metric",
    "jaccard",
    "certainty",
    "kulczynski",
)
HOLDOUT_COLUMNS = ("holdout_confidence", "holdout_lift", "holdout_lift_low", "holdout_lift_high")
_ROWS = 20_000  # itemsets whose subsets are counted at once


@dataclass
class Rules:
    """Rules in columns: one entry per rule in each array; `sets` and the masks say which items stand where."""

    sets: list[np.ndarray]
    mask: np.ndarray
    both: np.ndarray
    antecedent: np.ndarray
    consequent: np.ndarray
    shorter: np.ndarray
    p_value: np.ndarray

    @property
    def confidence(self) -> np.ndarray:
        """Share of the antecedent's baskets that hold the consequent too."""
        return self.both / self.antecedent

    def take(self, rows: np.ndarray) -> "Rules":
        """The rules at these positions."""
        columns = (self.mask, self.both, self.antecedent, self.consequent, self.shorter, self.p_value)
        return Rules([self.sets[i] for i in rows], *(column[rows] for column in columns))


def derive(mined: Mined, *, multi_consequents: bool = False) -> tuple[Rules, int]:
    """Every rule the itemsets hold, and how many candidates were looked at to get them.

    A rule A → C is judged against all its generalisations: its confidence against the best confidence of S → C for
    every S ⊂ A, the empty one included; its p-value is the largest one-sided Fisher p over the generalisations with one
    item less (Webb 2007, "Discovering significant patterns", section 2.2). These tests condition on the counts that
    made the itemset a candidate, so the candidates that then failed the support count as tests with p = 1.
    """
    parts: list[Rules] = []
    for k in range(2, len(mined.levels) + 1):
        level = mined.levels[k - 1]
        for low in range(0, len(level.sets), _ROWS):
            rows = slice(low, low + _ROWS)
            counts = _subset_counts(mined, level.sets[rows], k)
            for consequent in _consequents(k, multi_consequents):
                parts.append(_rules_of(counts, level.sets[rows], k, consequent))
    tests = sum(candidates * len(_consequents(k, multi_consequents)) for k, candidates in enumerate(mined.candidates[1:], start=2))
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return Rules([], none, none, none, none, np.zeros(0), np.zeros(0)), tests
    columns = ("mask", "both", "antecedent", "consequent", "shorter", "p_value")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    return Rules([row for part in parts for row in part.sets], **joined), tests


def _consequents(k: int, multi: bool) -> list[int]:
    """Bit masks of the consequents of a k-set."""
    return list(range(1, (1 << k) - 1)) if multi else [1 << bit for bit in range(k)]


def _subset_counts(mined: Mined, sets: np.ndarray, k: int) -> np.ndarray:
    """Counts of all 2^k subsets of each set, by bit mask; the empty one stands in every basket."""
    where = np.zeros((1 << k, len(sets)), dtype=np.int64)
    counts = np.full((1 << k, len(sets)), mined.n, dtype=np.int64)
    for mask in range(1, 1 << k):
        last = mask.bit_length() - 1
        size = mask.bit_count()
        where[mask] = mined.child(size, where[mask ^ (1 << last)], sets[:, last].astype(np.int64))
        counts[mask] = mined.levels[size - 1].counts[where[mask]]
    return counts


def _rules_of(counts: np.ndarray, sets: np.ndarray, k: int, consequent: int) -> Rules:
    full = (1 << k) - 1
    antecedent = full ^ consequent
    both, left = counts[full], counts[antecedent]
    shorter = np.zeros(len(sets))
    subset = antecedent
    while subset:  # every proper subset of the antecedent, down to the empty one
        subset = (subset - 1) & antecedent
        np.maximum(shorter, counts[subset | consequent] / counts[subset], out=shorter)
    better = np.flatnonzero(both / left > shorter)
    p_value = np.ones(len(sets))
    p = np.zeros(len(better))
    for bit in range(k):
        if antecedent >> bit & 1:
            rest = antecedent ^ (1 << bit)
            p = np.maximum(
                p,
                hypergeometric_tail(both[better], counts[rest][better], counts[rest | consequent][better], left[better]),
            )
    p_value[better] = p
    mask = np.full(len(sets), antecedent, dtype=np.int64)
    return Rules(list(sets), mask, both, left, counts[consequent], shorter, p_value)


def hypergeometric_tail(x: np.ndarray, total: np.ndarray, marked: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """P(X ≥ x) when `drawn` of `total` are drawn and `marked` of them count: Fisher's one-sided p, vectorised.

    The first term by log-gamma, the next ones by their ratio until they no longer matter; meant for x at or above the
    mean, where the terms fall. scipy's `hypergeom.sf` needs 50 µs a value.
    """
    x, total, marked, drawn = (np.asarray(v, dtype=float) for v in (x, total, marked, drawn))

    def choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
        return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)

    log_first = choose(marked, x) + choose(total - marked, drawn - x) - choose(total, drawn)
    term, tail = np.ones(len(x)), np.ones(len(x))
    active, t = np.arange(len(x)), x.copy()
    while len(active):
        m, d, n, now = marked[active], drawn[active], total[active], t[active]
        term[active] *= (m - now) * (d - now) / ((now + 1) * (n - m - d + now + 1))
        tail[active] += term[active]
        t[active] += 1
        active = active[term[active] > 1e-12 * tail[active]]
    return np.minimum(1.0, np.exp(log_first) * tail)


def benjamini_hochberg(p_value: np.ndarray, tests: int) -> np.ndarray:
    """q-values when `tests` hypotheses were looked at, the ones not listed having p = 1 (Benjamini & Hochberg 1995)."""
    order = np.argsort(p_value, kind="stable")
    ranked = p_value[order] * max(tests, len(p_value)) / np.arange(1, len(p_value) + 1)
    q = np.empty(len(p_value))
    q[order] = np.minimum(1.0, np.minimum.accumulate(ranked[::-1])[::-1])
    return q


def confident(rules: Rules, min_confidence: float) -> np.ndarray:
    """Positions of the rules at or above the confidence, compared in whole numbers."""
    limit = exact(min_confidence)
    return np.flatnonzero(rules.both * limit.denominator >= rules.antecedent * limit.numerator)


def table(rules: Rules, q_value: np.ndarray, mined: Mined, items: np.ndarray) -> pd.DataFrame:
    """The rules with mlxtend's columns, the count, and whether each is productive."""
    n = mined.n
    names = items[mined.codes].tolist()
    left = [
        frozenset(names[item] for bit, item in enumerate(row.tolist()) if mask >> bit & 1)
        for row, mask in zip(rules.sets, rules.mask.tolist(), strict=True)
    ]
    right = [
        frozenset(names[item] for bit, item in enumerate(row.tolist()) if not mask >> bit & 1)
        for row, mask in zip(rules.sets, rules.mask.tolist(), strict=True)
    ]
    frame = pd.DataFrame(_measures(rules, n))
    frame.insert(0, "antecedents", pd.Series(left, dtype=object))
    frame.insert(1, "consequents", pd.Series(right, dtype=object))
    frame["count"] = rules.both
    frame["productive"] = rules.confidence > rules.shorter
    frame["q_value"] = q_value
    return frame


def _measures(rules: Rules, n: int) -> dict[str, np.ndarray]:
    both, left, right = rules.both, rules.antecedent, rules.consequent
    support, sl, sr = both / n, left / n, right / n
    confidence = both / left
    leverage = (both * n - left * right) / (n * n)
    with np.errstate(divide="ignore", invalid="ignore"):
        conviction = np.where(both == left, np.inf, (1 - sr) / (1 - confidence))
        span = np.maximum(support * (1 - sl), sl * (sr - support))
        zhang = np.where(span > 0, leverage / np.where(span > 0, span, 1), 0.0)
        certainty = np.where(right < n, (confidence - sr) / np.where(right < n, 1 - sr, 1), 0.0)
    return {
        "antecedent support": sl,
        "consequent support": sr,
        "support": support,
        "confidence": confidence,
        "lift": both * n / (left * right),
        "representativity": np.ones(len(both)),
        "leverage": leverage,
        "conviction": conviction,
        "zhangs_metric": zhang,
        "jaccard": both / (left + right - both),
        "certainty": certainty,
        "kulczynski": (confidence + both / right) / 2,
    }


def confirm(rules: pd.DataFrame, later: Baskets, level: float = 0.95) -> pd.DataFrame:
    """What each rule is worth on baskets it was not mined from.

    Returns
    -------
    DataFrame
        `HOLDOUT_COLUMNS`. The interval of the lift is the delta method's on the log scale, with the four cells counted
        from the later baskets (half a basket is added where a cell is empty). A rule whose antecedent never came up
        again has no confidence and no lift (NaN), and says so by an interval from 0 to infinity.
    """
    n = later.n
    bits = _bitmaps(later)
    code = {item: i for i, item in enumerate(later.items.tolist())}
    left_sets, right_sets = rules["antecedents"].tolist(), rules["consequents"].tolist()
    known: dict[frozenset[object], int] = {}

    def count(itemset: frozenset[object]) -> int:
        if itemset not in known:
            rows = [code.get(item, -1) for item in itemset]
            found = 0 if -1 in rows else int(np.bitwise_count(np.bitwise_and.reduce(bits[rows])).sum(dtype=np.int64))
            known[itemset] = found
        return known[itemset]

    left = np.array([count(a) for a in left_sets], dtype=float)
    right = np.array([count(c) for c in right_sets], dtype=float)
    both = np.array([count(a | c) for a, c in zip(left_sets, right_sets, strict=True)], dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        confidence, lift = both / left, both * n / (left * right)
    lift[(left == 0) | (right == 0)] = np.nan
    low, high = _lift_interval(both, left, right, n, level)
    return pd.DataFrame(dict(zip(HOLDOUT_COLUMNS, (confidence, lift, low, high), strict=True)))


def _lift_interval(both: np.ndarray, left: np.ndarray, right: np.ndarray, n: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """exp(log lift ± z·se), se² = 1/n₁₁ − 1/n₁ − 1/n₂ + 2·n₁₁/(n₁·n₂) − 1/n, from the multinomial delta method."""
    half = np.where(both == 0, 0.5, 0.0)
    x, a, c, m = both + half, left + 2 * half, right + 2 * half, n + 4 * half
    variance = np.maximum(1 / x - 1 / a - 1 / c + 2 * x / (a * c) - 1 / m, 1 / (m * m))
    width = norm.ppf(0.5 + level / 2) * np.sqrt(variance)
    centre = x * m / (a * c)
    low, high = centre * np.exp(-width), centre * np.exp(width)
    low = np.where(both == 0, 0.0, low)
    unseen = (left == 0) | (right == 0)
    return np.where(unseen, 0.0, low), np.where(unseen, np.inf, high)


def _bitmaps(baskets: Baskets) -> np.ndarray:
    """Items × words: in which baskets each item stands."""
    words = -(-baskets.n // 64)
    columns = baskets.matrix.tocsc()
    bits = np.zeros((len(baskets.items), words), dtype=np.uint64)
    item = np.repeat(np.arange(len(baskets.items)), np.diff(columns.indptr))
    row = columns.indices.astype(np.int64)
    np.bitwise_or.at(bits, (item, row // 64), np.uint64(1) << (row % 64).astype(np.uint64))
    return bits
