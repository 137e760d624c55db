"""Speed of customers' mathematics: RFM, segments, personas and the made-up company.

``cases()`` yields ``(name, callable, peer, goal)``; a peer gives the same answer in the usual way (None: there is none), and
that answer has been compared before the pair is handed out. Goals are CPU seconds.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from ml import synthetic
from ml.clusters import fit_segments
from ml.personas import build_personas
from ml.rfm import rfm_segments, rfm_table

Case = tuple[str, Callable[[], object], Callable[[], object] | None, str]


def pandas_rfm(orders: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """The textbook's groupby."""
    table = orders.groupby("customer_id", as_index=False).agg(
        last_at=("ordered_at", "max"), frequency=("order_id", "size"), monetary=("revenue", "sum")
    )
    return table.assign(recency_days=(as_of - table["last_at"]).dt.days)


def cases() -> Iterator[Case]:
    """All cases; the data is made on the way, outside the callables."""
    orders = _a_million_orders()
    mine, theirs = rfm_table(orders, as_of=synthetic.END), pandas_rfm(orders, synthetic.END)
    for column in ("customer_id", "recency_days", "frequency"):
        assert mine[column].tolist() == theirs[column].tolist()
    assert np.allclose(mine["monetary"], theirs["monetary"])
    yield (
        "RFM of 1,000,000 orders with scores and segments",
        lambda: rfm_segments(rfm_table(orders, as_of=synthetic.END)),
        lambda: pandas_rfm(orders, synthetic.END),
        "under 1 s (the peer only sums, without checks and scores)",
    )
    features = _eight_features(100_000)
    yield (
        "100,000 × 8 customers clustered, k by stability (7 × 30 refits)",
        lambda: fit_segments(features),
        None,
        "under 5 s",
    )
    company = synthetic.company("medium", 1)
    planted = company.customers[["customer_id", "age", "income", "visits_per_month", "discount_share"]]
    labels = fit_segments(planted, k=4, refits=2).labels
    yield (
        "Personas of 5,000 customers, 124,000 order lines",
        lambda: build_personas(
            company.customers, labels, held_out=("complaints",), orders=company.order_lines, touchpoints=company.touchpoints
        ),
        None,
        "under 1 s",
    )
    yield "A company of 200,000 customers made", lambda: synthetic.company("large", 1), None, "under 60 s"


def _a_million_orders() -> pd.DataFrame:
    orders = synthetic.company("large", 1).orders
    more = orders.head(1_000_000 - len(orders)).assign(order_id=lambda frame: frame["order_id"] + len(orders))
    return pd.concat([orders, more], ignore_index=True).head(1_000_000)


def _eight_features(n: int) -> pd.DataFrame:
    customers = synthetic.company(n, 1).customers.set_index("customer_id")
    kept = customers[["age", "income", "visits_per_month", "discount_share", "complaints", "shoe_size"]]
    rng = np.random.default_rng(0)
    return kept.assign(noise_1=rng.normal(size=n), noise_2=rng.lognormal(size=n))
