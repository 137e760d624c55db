"""What is bought together: itemsets, rules that hold up on later baskets, recommendations, upsell.

Input is ORDER_LINES (`ml.contracts`): ``order_id, product_id, quantity, revenue``, one row per product line. A product
counts once per basket; lines with a quantity of zero or less (returns) and the products named in `exclude` (postage,
deposits) are left out, and ``result.attrs["note"]`` says how many of each.

The famous trap: mined on one half of the groceries data at support .001 and confidence .8, the mean confidence of the
rules falls from .90 to .50 on the other half. So mine on the earlier part, confirm on the later (`holdout`), keep the
`productive` rules with a small `q_value`, and rank by confidence; lift explains a suggestion, it does not order them.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import pandas as pd

from ml.basket_data import Baskets, encode, split, threshold
from ml.basket_mining import Progress, mine
from ml.basket_recommend import METHODS, Recommender, evaluate
from ml.basket_rules import HOLDOUT_COLUMNS, benjamini_hochberg, confident, confirm, derive, table
from ml.basket_upsell import upsell
from ml.errors import DataError

__all__ = ["METHODS", "Recommender", "association_rules", "evaluate", "frequent_itemsets", "split", "upsell"]

_AT_ONCE = 1_000  # sets turned into Python objects in one go


def frequent_itemsets(
    lines: pd.DataFrame,
    *,
    min_support: float | None = None,
    min_count: int | None = None,
    max_len: int | None = None,
    exclude: Iterable[object] = (),
    engine: Literal["own", "mlxtend"] = "own",
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Sets of products that stand together in enough baskets.

    Parameters
    ----------
    lines
        ORDER_LINES.
    min_support, min_count
        Smallest share (0–1) and smallest number of baskets; with both, the stricter holds; with neither, 20 baskets.
    max_len
        Most products per set; default: no limit.
    exclude
        Products to leave out.
    engine
        ``mlxtend`` runs that library's FP-growth instead, as a cross-check: the same sets, some twenty times slower.
    progress
        Called with the share done and a word, for long runs.

    Returns
    -------
    DataFrame
        ``support`` (share), ``count`` (baskets), ``itemsets`` (frozenset of product ids): short sets first, frequent
        ones first within a length. ``attrs``: ``n`` (baskets), ``note`` (what was counted). No set reaching the limits
        gives an empty frame, not an error.

    Raises
    ------
    DataError
        The frame breaks its contract, holds only returns, or the limits let through millions of sets.

    Source: exact counting after Eclat (Zaki 2000); same sets as mlxtend's `fpgrowth`, compared in the tests.
    """
    baskets = encode(lines, exclude=exclude)
    n, note, items = baskets.n, baskets.note, baskets.items
    least = threshold(n, min_support, min_count)
    if engine == "mlxtend":
        return _by_mlxtend(baskets, least, max_len)
    if engine != "own":
        raise DataError(f"engine {engine!r}", "own or mlxtend")
    mined = mine(baskets, least, max_len, progress)
    del baskets  # the answer is the bigger part; it need not stand beside the question
    names, levels = items[mined.codes], mined.levels
    size = [len(level.sets) for level in levels]
    sets, count = np.empty(sum(size), dtype=object), np.empty(sum(size), dtype=np.int64)
    end = 0
    while levels:  # taken off one by one, for the same reason
        level = levels.pop(0)
        order = np.argsort(-level.counts, kind="stable")
        begin, end = end, end + len(order)
        count[begin:end] = level.counts[order]
        for low in range(0, len(order), _AT_ONCE):
            rows = names[level.sets[order[low : low + _AT_ONCE]]].tolist()
            sets[begin + low : begin + low + len(rows)] = [frozenset(row) for row in rows]
    frame = pd.DataFrame({"support": count / n, "count": count})
    frame["itemsets"] = pd.Series(sets, dtype=object)
    frame.attrs = {"n": n, "note": note}
    return frame


def _by_mlxtend(baskets: Baskets, least: int, max_len: int | None) -> pd.DataFrame:
    """The same table from mlxtend; half a basket below the limit, or its division would lose sets that stand on it."""
    from mlxtend.frequent_patterns import fpgrowth  # 1 s cold

    table = pd.DataFrame.sparse.from_spmatrix(baskets.matrix.astype(bool))  # type: ignore[attr-defined]
    found = fpgrowth(table, min_support=(least - 0.5) / baskets.n, max_len=max_len)
    sets = [frozenset(baskets.items[list(itemset)].tolist()) for itemset in found["itemsets"]]
    count = (found["support"] * baskets.n).round().astype(np.int64)
    frame = pd.DataFrame({"support": count / baskets.n, "count": count})
    frame["itemsets"] = pd.Series(sets, dtype=object)
    order = sorted(range(len(sets)), key=lambda i: (len(sets[i]), -count[i], sorted(map(str, sets[i]))))
    frame = frame.iloc[order].reset_index(drop=True)
    frame.attrs = {"n": baskets.n, "note": baskets.note}
    return frame


def association_rules(
    lines: pd.DataFrame,
    *,
    min_support: float,
    min_confidence: float = 0,
    max_len: int | None = None,
    holdout: float | pd.DataFrame | None = None,
    multi_consequents: bool = False,
    min_count: int | None = None,
    exclude: Iterable[object] = (),
    level: float = 0.95,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Rules "who buys A also buys C", with what is needed to see which of them will hold.

    Parameters
    ----------
    lines
        ORDER_LINES.
    min_support, min_count, max_len, exclude
        As for `frequent_itemsets`; the support is that of A and C together.
    min_confidence
        Smallest share (0–1) of A's baskets that hold C.
    holdout
        A share (0–1): the rules are mined on the earlier baskets and confirmed on this share of latest ones, by
        ``ordered_at`` where the column is there, else in the order of the rows. Or ORDER_LINES of their own.
    multi_consequents
        Let C be several products (default: one).
    level
        Confidence level of the hold-out's interval.

    Returns
    -------
    DataFrame
        mlxtend's columns (``antecedents, consequents, antecedent support, consequent support, support, confidence,
        lift, representativity, leverage, conviction, zhangs_metric, jaccard, certainty, kulczynski``), then ``count``;
        ``productive``: more confident than every rule with fewer conditions for the same C, the empty one included;
        ``q_value``: Benjamini–Hochberg over all candidates of the one-sided Fisher test against each rule with one
        condition less; and ``holdout_confidence, holdout_lift, holdout_lift_low, holdout_lift_high``, all missing when
        no hold-out was asked for. Most confident first. ``attrs``: ``n``, ``n_holdout``, ``note``, ``tests``.

    Raises
    ------
    DataError
        The frame breaks its contract, the limits let through millions of sets, or a share lies outside 0–1.

    Source: Agrawal & Srikant (1994); productive rules after Webb (2007).
    """
    if not 0 <= min_confidence <= 1:
        raise DataError(f"min_confidence {min_confidence!r}", "a share from 0 to 1")
    exclude = list(exclude)
    earlier, later = (lines, holdout) if not isinstance(holdout, float | int) else split(lines, 1 - holdout)
    baskets = encode(earlier, exclude=exclude)
    mined = mine(baskets, threshold(baskets.n, min_support, min_count), max_len, progress)
    rules, tests = derive(mined, multi_consequents=multi_consequents)
    keep = confident(rules, min_confidence)
    q_value = benjamini_hochberg(rules.p_value, tests)[keep]
    frame = table(rules.take(keep), q_value, mined, baskets.items)
    held = encode(later, exclude=exclude) if later is not None else None
    confirmed = confirm(frame, held, level) if held is not None else None
    for name in HOLDOUT_COLUMNS:
        frame[name] = confirmed[name] if confirmed is not None else np.nan
    frame = _ranked(frame)
    frame.attrs = {"n": baskets.n, "n_holdout": held.n if held else 0, "note": baskets.note, "tests": tests}
    return frame


def _ranked(frame: pd.DataFrame) -> pd.DataFrame:
    """By confidence, then count, then simplicity; names break ties, so that the row order of the input cannot."""
    names = [(sorted(map(str, a)), sorted(map(str, c))) for a, c in zip(frame["antecedents"], frame["consequents"], strict=True)]
    confidence, count = frame["confidence"].tolist(), frame["count"].tolist()
    order = sorted(range(len(frame)), key=lambda i: (-confidence[i], -count[i], len(names[i][0]), names[i]))
    return frame.iloc[order].reset_index(drop=True)
