"""A dearer product of the same category, for what is in the basket."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ml.basket_data import Baskets, encode
from ml.contracts import finite
from ml.errors import DataError
from ml.kpis import wilson

COLUMNS = [
    "product_id",
    "offer_id",
    "category",
    "price",
    "offer_price",
    "extra",
    "buyers",
    "chose_offer",
    "share",
    "low",
    "high",
    "expected_extra",
]
_PRIOR = 20  # baskets' worth of trust in the share over all baskets when the context is thin


def upsell(
    lines: pd.DataFrame,
    products: pd.DataFrame,
    *,
    basket: Iterable[object] | None = None,
    n: int = 3,
    max_ratio: float = 2.5,
    min_count: int = 20,
) -> pd.DataFrame:
    """For each product, the dearer ones of its category that buyers like these chose instead.

    Parameters
    ----------
    lines
        ORDER_LINES.
    products
        ``product_id`` (once each), ``category``, ``unit_price`` (above 0, in one currency); further columns are ignored.
    basket
        Product ids at hand: offers for these only, judged on past baskets that share another product with it (pulled
        towards the share over all baskets by 20 baskets' worth). Default: all products, over all baskets.
    n
        Most offers per product.
    max_ratio
        An offer costs at most so many times the product's price.
    min_count
        An offer was bought in at least so many baskets.

    Returns
    -------
    DataFrame
        ``product_id, offer_id, category, price, offer_price, extra`` (the difference in price), ``buyers`` (baskets with
        either of the two), ``chose_offer`` (of those, with the offer), ``share`` and its Wilson interval ``low, high``,
        and ``expected_extra`` = low × extra, by which it is ordered, best first within each product. Empty when no
        product has a dearer alternative. ``attrs["note"]`` reminds that this is what people chose, not what an offer
        changes: that takes a hold-out.

    Raises
    ------
    DataError
        A frame breaks its contract, a price is not above 0, or a product stands twice in the catalogue.
    """
    if n < 1 or max_ratio <= 1 or min_count < 1:
        raise DataError(f"n {n}, max_ratio {max_ratio}, min_count {min_count}", "n ≥ 1, max_ratio > 1, min_count ≥ 1")
    catalogue = _catalogue(products)
    baskets = encode(lines)
    at_hand = None if basket is None else baskets.codes(basket)
    rows = [
        offer
        for _, group in catalogue.groupby("category", sort=True, observed=True)
        for offer in _offers(group, baskets, at_hand, max_ratio, min_count)
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["rank"] = table.groupby("product_id")["expected_extra"].rank(method="first", ascending=False)
    table = table[table["rank"] <= n].sort_values(["product_id", "rank"], ignore_index=True).drop(columns="rank")
    table.attrs["note"] = (
        f"{baskets.note} The shares say what buyers chose between the two, not what an offer changes: "
        "keep a hold-out to measure that."
    )
    return table


def _catalogue(products: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in ("product_id", "category", "unit_price") if name not in products.columns]
    if missing:
        raise DataError(f"no {', '.join(missing)}", "product_id, category and unit_price of each product")
    frame = products[["product_id", "category", "unit_price"]].reset_index(drop=True)
    frame["unit_price"] = finite(frame["unit_price"], "products.unit_price")
    if (frame["unit_price"] <= 0).any():
        raise DataError(f"a price of {frame['unit_price'].min():g}", "prices above 0 in products.unit_price")
    if frame["product_id"].duplicated().any():
        twice = frame.loc[frame["product_id"].duplicated(), "product_id"].iloc[0]
        raise DataError(f"{twice} more than once", "each product once in products")
    return frame.dropna(subset=["product_id", "category"])


def _offers(
    group: pd.DataFrame, baskets: Baskets, at_hand: np.ndarray | None, max_ratio: float, min_count: int
) -> list[tuple[object, ...]]:
    """All (product, dearer product) pairs of one category."""
    code = pd.Index(baskets.items).get_indexer(pd.Index(group["product_id"]))
    price = group["unit_price"].to_numpy()[code >= 0]
    code = code[code >= 0]
    order = np.lexsort((code, price))
    code, price = code[order], price[order]
    counts = baskets.counts
    category = group["category"].iloc[0]
    rows: list[tuple[object, ...]] = []
    for item, cost in zip(code.tolist(), price.tolist(), strict=True):
        if at_hand is not None and item not in at_hand:
            continue
        dearer = (price > cost) & (price <= cost * max_ratio) & (counts[code] >= min_count)
        if at_hand is not None:
            dearer &= ~np.isin(code, at_hand)
        if not dearer.any():
            continue
        rows.extend(_judge(item, code[dearer], cost, price[dearer], category, baskets, at_hand))
    return rows


def _judge(
    item: int,
    offers: np.ndarray,
    cost: float,
    prices: np.ndarray,
    category: object,
    baskets: Baskets,
    at_hand: np.ndarray | None,
) -> list[tuple[object, ...]]:
    chose, either = _choices(baskets.matrix, item, offers)
    if at_hand is not None and len(at_hand) > 1:
        base = chose / either
        alike = np.unique(baskets.matrix[:, at_hand[at_hand != item]].nonzero()[0])
        chose_here, either_here = _choices(baskets.matrix[alike], item, offers)
        chose, either = chose_here + _PRIOR * base, either_here + _PRIOR
    low, high = wilson(chose, either)
    return [
        (
            baskets.items[item],
            baskets.items[offer],
            category,
            cost,
            float(prices[i]),
            float(prices[i] - cost),
            round(float(either[i]), 3),
            round(float(chose[i]), 3),
            float(chose[i] / either[i]),
            float(low[i]),
            float(high[i]),
            float(low[i] * (prices[i] - cost)),
        )
        for i, offer in enumerate(offers.tolist())
    ]


def _choices(matrix, item: int, offers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    """Baskets with each offer, and baskets with the offer or the product."""
    with_item = matrix[:, [item]]
    with_offer = matrix[:, offers]
    chose = np.asarray(with_offer.sum(axis=0)).ravel().astype(float)
    both = np.asarray((with_item.T @ with_offer).todense()).ravel()
    return chose, chose + with_item.sum() - both
