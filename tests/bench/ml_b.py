"""Speed of baskets, attribution and regression, against the libraries one would otherwise take.

``cases()`` yields ``(name, callable, peer, goal)``; a peer's answer has been compared with ours before the pair is handed
out. Peers that are not installed (see `requirements-bench.txt`) leave their case without a peer, and say so in its name.

What is inside the clock: ours starts from order lines or journeys as they come from the database, checks included; the
peers start from what they need, prepared outside the clock (a dense table of booleans, lists of lists, text).
"""

import contextlib
import importlib.util
import io
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd

from ml.attribution import attribute, paths_from_touches
from ml.basket import Recommender, association_rules, evaluate, frequent_itemsets
from ml.basket_data import encode
from ml.regression import fit_linear
from ml.synthetic import company
from tests.conftest import reference_path
from tests.ml.baskets_help import groceries

Case = tuple[str, Callable[[], object], Callable[[], object] | None, str]
CHANNELS = [f"channel {i:02d}" for i in range(12)]


def cases() -> Iterator[Case]:
    """All cases; the data is made on the way, outside the callables."""
    yield from itemset_cases()
    yield from basket_cases()
    yield from attribution_cases()
    yield from regression_cases()


def itemset_cases() -> Iterator[Case]:
    """Counting itemsets, with the peers that do."""
    yield from _itemsets("groceries (9,835 × 169), support .001", groceries(reference_path("groceries.csv")), 10)
    yield from _itemsets("100,000 baskets × 5,000 products, support .001", generated_baskets(), 100)


def basket_cases() -> Iterator[Case]:
    """What stands on the itemsets."""
    lines = groceries(reference_path("groceries.csv"))
    yield (
        "410 rules with q-values, groceries",
        partial(association_rules, lines, min_support=0.001, min_confidence=0.8),
        None,
        "under 1 s",
    )
    yield "Recommenders compared, groceries (5 methods)", partial(evaluate, lines, split_at=0.8), None, "under 2 s"
    yield "EASE fitted on 100,000 baskets × 5,000 products", partial(Recommender, generated_baskets()), None, "under 30 s"


def generated_baskets(n: int = 100_000, products: int = 5_000, seed: int = 0) -> pd.DataFrame:
    """ORDER_LINES with 2,000 hidden patterns over popular and rare products, as the Quest generator of IBM made them."""
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, products + 1) ** 0.8
    popularity /= popularity.sum()
    patterns = [rng.choice(products, rng.poisson(3) + 2, replace=False, p=popularity) for _ in range(2_000)]
    size = np.array([len(pattern) for pattern in patterns])
    weight = rng.exponential(size=2_000)
    per_basket = rng.poisson(1.5, n) + 1
    drawn = rng.choice(2_000, per_basket.sum(), p=weight / weight.sum())
    order = np.repeat(np.repeat(np.arange(n), per_basket), size[drawn])
    item = np.concatenate([patterns[k] for k in drawn])
    kept = rng.random(len(item)) < 0.7
    extra = rng.poisson(4, n)
    order = np.concatenate([order[kept], np.repeat(np.arange(n), extra)])
    item = np.concatenate([item[kept], rng.choice(products, extra.sum(), p=popularity)])
    return pd.DataFrame({"order_id": order, "product_id": item, "quantity": 1.0, "revenue": 1.0})


def _itemsets(what: str, lines: pd.DataFrame, count: int) -> Iterator[Case]:
    baskets = encode(lines)
    ours = partial(frequent_itemsets, lines, min_count=count)
    table = ours()
    answer = dict(zip(table["itemsets"], table["count"], strict=True))
    dense = pd.DataFrame(baskets.matrix.toarray().astype(bool), columns=baskets.items)
    share = (count - 0.5) / baskets.n  # half a basket below, or floating point would lose some
    from mlxtend.frequent_patterns import fpgrowth

    theirs = fpgrowth(dense, min_support=share, use_colnames=True)
    assert answer == dict(zip(theirs["itemsets"], (theirs["support"] * baskets.n).round().astype(int), strict=True))
    yield (
        f"Itemsets: {what}, mlxtend fpgrowth",
        ours,
        partial(fpgrowth, dense, min_support=share, use_colnames=True),
        "at least 15× the peer, memory under a quarter",
    )
    del dense
    rows = np.split(baskets.items[baskets.matrix.indices], baskets.matrix.indptr[1:-1])
    lists = [row.tolist() for row in rows]
    yield from _pyfim(what, ours, answer, lists, count)
    yield from _efficient_apriori(what, ours, answer, lists, share)


def _pyfim(what: str, ours: Callable[[], object], answer: dict, lists: list, count: int) -> Iterator[Case]:
    if not importlib.util.find_spec("fim"):
        yield f"Itemsets: {what} (pyfim is not installed)", ours, None, ""
        return
    import fim

    theirs = partial(fim.eclat, lists, target="s", supp=-count, zmin=1, report="a")
    assert {frozenset(items): n for items, n in theirs()} == answer
    yield f"Itemsets: {what}, pyfim eclat (C)", ours, theirs, "within 3× of the peer"


def _efficient_apriori(what: str, ours: Callable[[], object], answer: dict, lists: list, share: float) -> Iterator[Case]:
    if not importlib.util.find_spec("efficient_apriori"):
        yield f"Itemsets: {what} (efficient-apriori is not installed)", ours, None, ""
        return
    from efficient_apriori import itemsets_from_transactions

    limit = share if len(lists) < 20_000 else 0.01  # at .001 it counts millions of candidate pairs for hours
    names = what if len(lists) < 20_000 else what.replace("support .001", "support .01")
    lists = [tuple(row) for row in lists]
    theirs = partial(itemsets_from_transactions, lists, limit)
    found = {frozenset(items): n for level in theirs()[0].values() for items, n in level.items()}
    if limit == share:
        assert found == answer
        mine = ours
    else:
        mine = partial(frequent_itemsets, ours.args[0], min_support=limit)  # type: ignore[attr-defined]
        table = mine()
        assert found == dict(zip(table["itemsets"], table["count"], strict=True))
    yield f"Itemsets: {names}, efficient-apriori", mine, theirs, "faster than the peer"


def million_journeys(n: int = 1_000_000, seed: int = 0) -> pd.DataFrame:
    """One row per journey, unaggregated: 3.3 touches on average over twelve channels, one in five converts."""
    rng = np.random.default_rng(seed)
    length = rng.geometric(0.3, n)
    weight = 1 / np.arange(1, len(CHANNELS) + 1)
    flat = [CHANNELS[i] for i in rng.choice(len(CHANNELS), length.sum(), p=weight / weight.sum()).tolist()]
    ends = np.cumsum(length).tolist()
    paths = [tuple(flat[low:high]) for low, high in zip([0, *ends[:-1]], ends, strict=True)]
    won = (rng.random(n) < 0.2).astype(float)
    return pd.DataFrame({"path": pd.Series(paths, dtype=object), "conversions": won, "value": 10 * won, "nulls": 1 - won})


def attribution_cases() -> Iterator[Case]:
    """A million journeys."""
    journeys = million_journeys()
    yield "1,000,000 journeys by nine models, with intervals", partial(attribute, journeys), None, "under 2 s"
    yield "1,000,000 journeys by nine models", partial(attribute, journeys, bootstrap=0), None, "under 2 s"
    ours = partial(attribute, journeys, models=["first", "last", "linear", "markov"], bootstrap=0)
    if importlib.util.find_spec("ChannelAttribution"):
        theirs = partial(_channel_attribution, journeys.assign(path=[" > ".join(p) for p in journeys["path"]]))
        _assert_same_credits(ours(), *theirs())
        yield "1,000,000 journeys by four models, ChannelAttribution (simulates)", ours, theirs, "faster than the peer"
    else:
        yield "1,000,000 journeys by four models (ChannelAttribution is not installed)", ours, None, ""
    made = company(100_000, 1)
    yield (
        f"Journeys cut from {len(made.touchpoints):,} touches",
        partial(paths_from_touches, made.touchpoints, made.conversions, lookback_days=30),
        None,
        "under 3 s",
    )


def _channel_attribution(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    with contextlib.redirect_stdout(io.StringIO()):
        import ChannelAttribution

        rules = ChannelAttribution.heuristic_models(frame, "path", "conversions", "value")
        chain = ChannelAttribution.markov_model(frame, "path", "conversions", "value", "nulls", order=1, seed=1, verbose=False)
    return rules, chain


def _assert_same_credits(ours: pd.DataFrame, rules: pd.DataFrame, chain: pd.DataFrame) -> None:
    """The rules of thumb to the last conversion; the simulated chain to its own accuracy."""
    mine = ours.pivot(index="channel", columns="model", values="conversions")
    rules = rules.set_index("channel_name").loc[mine.index]
    for model in ("first", "last", "linear"):
        column = next(c for c in rules.columns if c.startswith(model) and "value" not in c)
        np.testing.assert_allclose(mine[model], rules[column], rtol=1e-6)
    simulated = chain.set_index("channel_name").loc[mine.index, "total_conversions"]
    np.testing.assert_allclose(mine["markov"], simulated, rtol=0.15)


def regression_cases() -> Iterator[Case]:
    """Against the library underneath."""
    import statsmodels.formula.api as smf

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200_000, 6)), columns=[f"x{i}" for i in range(6)])
    frame["city"] = rng.choice(["a", "b", "c"], len(frame))
    frame["y"] = frame["x0"] - frame["x1"] + (frame["city"] == "b") + rng.normal(size=len(frame))
    x = [f"x{i}" for i in range(6)] + ["city"]
    ours = partial(fit_linear, frame, y="y", x=x)

    def theirs() -> object:
        return smf.ols("y ~ " + " + ".join(x), frame).fit(cov_type="HC3")

    np.testing.assert_allclose(np.sort(ours().coefficients["se"]), np.sort(theirs().bse), rtol=1e-8)  # type: ignore[attr-defined]
    yield (
        "Linear regression, 200,000 × 8, robust, with diagnostics, statsmodels by formula",
        ours,
        theirs,
        "within 3× of the peer",
    )
