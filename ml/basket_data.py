"""Order lines as coded baskets: what is counted, what is left out, which part is the earlier one."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pandas as pd
from scipy import sparse

from ml.contracts import ORDER_LINES, instant
from ml.errors import DataError


@dataclass(frozen=True)
class Baskets:
    """Order lines as coded baskets.

    Attributes
    ----------
    items
        Product ids, sorted; a code is a position in it.
    matrix
        Baskets × items, each cell 0 or 1, rows in order of first appearance.
    orders
        Order ids, in row order.
    note
        What was counted and what was left out, in one sentence.
    """

    items: np.ndarray
    matrix: sparse.csr_matrix
    orders: np.ndarray
    note: str

    @property
    def n(self) -> int:
        """Number of baskets."""
        return int(self.matrix.shape[0])

    @property
    def counts(self) -> np.ndarray:
        """Baskets per item."""
        return np.bincount(self.matrix.indices, minlength=len(self.items))

    def codes(self, products: Iterable[object]) -> np.ndarray:
        """Codes of the products that are known, each once; others are left out."""
        known = pd.Index(self.items).get_indexer(pd.Index(list(products), dtype=object))
        return np.unique(known[known >= 0])


def encode(lines: pd.DataFrame, *, exclude: Iterable[object] = ()) -> Baskets:
    """Read ORDER_LINES as baskets: returns and `exclude` are left out, a product counts once per basket.

    Raises
    ------
    DataError
        The frame breaks its contract, or nothing is left.
    """
    frame = ORDER_LINES.check(lines)
    bought = frame["quantity"].to_numpy() > 0
    unwanted = frame["product_id"].isin(list(exclude)).to_numpy()
    keep = bought & ~unwanted
    if not keep.any():
        raise DataError("only returns or products left out", "at least one bought product")
    order, orders = frame.loc[keep, "order_id"].factorize()
    item, items = frame.loc[keep, "product_id"].factorize(sort=True)
    ones = np.ones(len(order), dtype=np.int32)
    matrix = sparse.csr_matrix((ones, (order, item)), shape=(len(orders), len(items)))
    matrix.sum_duplicates()
    repeated = len(order) - matrix.nnz
    matrix.data[:] = 1
    note = (
        f"{len(orders):,} baskets and {len(items):,} products from {len(frame):,} lines; left out: "
        f"{int((~bought).sum()):,} returns, {int((bought & unwanted).sum()):,} lines of excluded products; "
        f"{repeated:,} repetitions of a product within its basket counted once."
    )
    return Baskets(np.asarray(items), matrix, np.asarray(orders), note)


def split(lines: pd.DataFrame, at: float | str | pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whole orders before and after a cut.

    Parameters
    ----------
    lines
        ORDER_LINES.
    at
        A share of the orders (0–1): the earliest ones, by ``ordered_at`` where there is one, else by first appearance.
        Or the instant at which the later part begins (then ``ordered_at`` is needed).

    Raises
    ------
    DataError
        One of the two parts would be empty, or the instant has no column to be compared with.
    """
    timed = "ordered_at" in lines.columns
    if isinstance(at, int | float) and not 0 < at < 1:
        raise DataError(f"{at!r}", "a share between 0 and 1, or a date")
    if not isinstance(at, int | float) and not timed:
        raise DataError("no ordered_at column", "ordered_at to split by date, or a share between 0 and 1")
    frame = ORDER_LINES.check(lines)
    placed = frame.groupby("order_id", sort=timed)["ordered_at"].min() if timed else None
    if isinstance(at, int | float):
        orders = placed.sort_values(kind="stable").index if placed is not None else frame["order_id"].unique()
        first = set(orders[: int(exact(at) * len(orders))])
    else:
        first = set(placed.index[placed < instant(at, "split_at")]) if placed is not None else set()
    early = frame["order_id"].isin(first)
    if early.all() or not early.any():
        raise DataError(f"{len(first):,} orders before the cut", "orders on both sides of it")
    return frame[early], frame[~early]


def threshold(n: int, min_support: float | None, min_count: int | None) -> int:
    """The count that both limits ask for; exact, so that .01 of 9,800 is 98 and not 99.

    Raises
    ------
    DataError
        A share outside 0–1 or a count below 1.
    """
    if min_support is None and min_count is None:
        min_count = 20
    if min_support is not None and not 0 < min_support <= 1:
        raise DataError(f"min_support {min_support!r}", "a share above 0 and at most 1")
    if min_count is not None and (min_count < 1 or min_count != int(min_count)):
        raise DataError(f"min_count {min_count!r}", "a whole number of baskets, 1 or more")
    share = exact(min_support) * n if min_support is not None else Fraction(0)
    return max(1, -(-share.numerator // share.denominator), int(min_count or 0))


def exact(share: float) -> Fraction:
    """The fraction somebody meant when writing .8."""
    return Fraction(str(float(share))).limit_denominator(1_000_000)
