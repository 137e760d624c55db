"""What to suggest to somebody with these products in the basket, and which way of suggesting is right most often."""

from collections.abc import Iterable, Mapping
from typing import Literal, cast

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.linalg import lapack

from ml.basket_data import Baskets, encode, split
from ml.errors import DataError

Method = Literal["ease", "confidence", "cosine", "popularity"]
METHODS: tuple[Method, ...] = ("ease", "confidence", "cosine", "popularity")
MAX_EASE_ITEMS = 5_000
_BLOCK = 512
_QUERIES = 1_024  # leave-one-out questions answered at once


class Recommender:
    """Suggestions from past baskets.

    Parameters
    ----------
    lines
        ORDER_LINES; see `ml.basket` for what is left out.
    method
        ``ease``: one ridge regression of every product on all others (Steck 2019, equation 8: B = I − P·diag(1/diag P)
        with P = (X'X + λI)⁻¹). ``confidence``: mean share of the baskets with each product at hand that held the
        suggestion too. ``cosine``: pair count over the root of both counts, summed. ``popularity``: baskets per product.
        Lift is not offered: it puts the rarest coincidences first, and `evaluate` shows what that costs.
    regularization
        λ of ease, in baskets: with few baskets it pulls towards plain pair counts.
    exclude
        Products never counted nor suggested.

    Attributes
    ----------
    products
        What can be suggested, most popular first.
    note
        What was counted and what was left out.

    Raises
    ------
    DataError
        The frame breaks its contract, the method is unknown, or there are fewer than two products.

    Notes
    -----
    Ease inverts a products × products matrix: beyond 5,000 products it keeps the 5,000 most bought, and `note` says so.
    """

    def __init__(
        self,
        lines: pd.DataFrame,
        *,
        method: Method = "ease",
        regularization: float = 300.0,
        exclude: Iterable[object] = (),
    ) -> None:
        if method not in METHODS:
            raise DataError(repr(method), f"one of {', '.join(METHODS)}")
        if not np.isfinite(regularization) or regularization <= 0:
            raise DataError(f"regularization {regularization!r}", "a number above 0")
        baskets = encode(lines, exclude=exclude)
        if len(baskets.items) < 2:
            raise DataError("1", "at least 2 different products")
        self.method, self.note = method, baskets.note
        keep = _kept(baskets, MAX_EASE_ITEMS if method == "ease" else None)
        if len(keep) < len(baskets.items):
            self.note += f" Only the {len(keep):,} most bought products are suggested."
        self._fit(baskets, keep, regularization)

    def _fit(self, baskets: Baskets, keep: np.ndarray, regularization: float) -> None:
        self.items, self.n = baskets.items[keep], baskets.n
        matrix = baskets.matrix[:, keep].tocsr().astype(np.float64)
        self._pairs = (matrix.T @ matrix).tocsr()
        self.counts = self._pairs.diagonal()
        self._weights = weights(self._pairs, self.counts, self.method, regularization)
        self._order = np.lexsort((np.arange(len(keep)), -self.counts))
        self._priority = np.empty(len(keep), dtype=np.int64)
        self._priority[self._order] = np.arange(len(keep))
        self._index = pd.Index(self.items)

    @property
    def products(self) -> list[object]:
        """What can be suggested, most popular first."""
        return list(self.items[self._order])

    def recommend(
        self,
        basket_or_baskets: Iterable[object] | Mapping[object, Iterable[object]],
        n: int = 5,
        exclude: Iterable[object] = (),
    ) -> pd.DataFrame:
        """The `n` best suggestions for one basket or for many.

        Parameters
        ----------
        basket_or_baskets
            Product ids; or a list of such lists; or a mapping from any key to such a list. Products never sold before
            are ignored; an empty basket gets the most popular products.
        n
            Most suggestions per basket.
        exclude
            Products not to suggest (out of stock, already owned). Those in the basket never are.

        Returns
        -------
        DataFrame
            ``basket`` (position or key), ``rank`` (from 1), ``product_id``, ``score`` (comparable within a basket only);
            and as explanation ``because`` (the product in the basket that goes with it most often, None when there is
            none), ``confidence`` and ``lift`` of that pair and ``count`` of baskets that held both (0 without a pair).

        Raises
        ------
        DataError
            `n` below 1.
        """
        if n < 1:
            raise DataError(f"n = {n}", "at least 1 suggestion")
        given = _baskets(basket_or_baskets)
        keys, held, banned = list(given), self._coded(list(given.values())), np.unique(self._coded([list(exclude)]).indices)
        rows: list[tuple[object, ...]] = []
        for low in range(0, len(keys), _BLOCK):
            rows += self._suggest(keys[low : low + _BLOCK], held[low : low + _BLOCK], n, banned)
        columns = ["basket", "rank", "product_id", "score", "because", "confidence", "lift", "count"]
        return pd.DataFrame(rows, columns=columns)

    def _coded(self, baskets: list[list[object]]) -> sparse.csr_matrix:
        """Baskets × items, each cell 0 or 1; products never sold before are left out."""
        wanted = [product for basket in baskets for product in basket]
        row = np.repeat(np.arange(len(baskets)), [len(basket) for basket in baskets])
        code = self._index.get_indexer(pd.Index(wanted, dtype=object)) if wanted else np.zeros(0, dtype=np.int64)
        known = code >= 0
        ones = np.ones(int(known.sum()))
        held = sparse.csr_matrix((ones, (row[known], code[known])), shape=(len(baskets), len(self.items)))
        held.sum_duplicates()
        held.data[:] = 1
        return held

    def _suggest(self, keys: list[object], held: sparse.csr_matrix, n: int, banned: np.ndarray) -> list[tuple[object, ...]]:
        """Many baskets at once: one product of matrices gives all scores, and only what can be among the first is sorted."""
        score = self._scores(held)
        score[held.nonzero()] = -np.inf
        score[:, banned] = -np.inf
        edge = np.partition(score, -min(n, score.shape[1]), axis=1)[:, -min(n, score.shape[1])]
        places: list[np.ndarray] = []
        items: list[np.ndarray] = []
        for place in range(len(keys)):
            line = score[place]
            near = np.flatnonzero((line >= edge[place]) & (line > -np.inf))
            best = near[np.lexsort((self._priority[near], -line[near]))][:n]
            places.append(np.full(len(best), place))
            items.append(best)
        who, item = np.concatenate(places), np.concatenate(items)
        rank = np.concatenate([np.arange(1, len(best) + 1) for best in items]).tolist()
        return [
            (keys[p], r, self.items[i], float(score[p, i]), *why)
            for p, r, i, why in zip(who.tolist(), rank, item.tolist(), self._reasons(held, who, item), strict=True)
        ]

    def _scores(self, held: sparse.csr_matrix) -> np.ndarray:
        sizes = np.diff(held.indptr)
        popular = self.counts / self.n
        if self.method == "popularity":
            return np.tile(popular, (held.shape[0], 1))
        score = _dense(held @ self._weights).astype(float)
        score = score / np.maximum(sizes, 1)[:, None] if self.method == "confidence" else score
        score[sizes == 0] = popular
        return score

    def _reasons(self, held: sparse.csr_matrix, place: np.ndarray, item: np.ndarray) -> list[tuple[object, float, float, int]]:
        """For each suggestion the product in its basket that goes with it most often; the first one of equals."""
        size = np.diff(held.indptr)[place]
        ends = np.cumsum(size)
        total = int(ends[-1]) if len(ends) else 0
        which = np.repeat(np.arange(len(place)), size)
        own = held.indices[np.arange(total) + np.repeat(held.indptr[place] - (ends - size), size)]
        together = np.asarray(self._pairs[own, item[which]]).ravel() if total else np.zeros(0)
        confidence = together / self.counts[own]
        order = np.lexsort((-confidence, which))  # stable: the first of equals stays first
        first = order[np.searchsorted(which[order], np.arange(len(place)))[size > 0]]
        found: list[tuple[object, float, float, int]] = [(None, 0.0, 0.0, 0)] * len(place)
        for at in first.tolist():
            if together[at]:
                of = which[at]
                lift = confidence[at] * self.n / self.counts[item[of]]
                found[of] = (self.items[own[at]], float(confidence[at]), float(lift), int(together[at]))
        return found


def weights(pairs: sparse.csr_matrix, counts: np.ndarray, method: str, regularization: float) -> np.ndarray | sparse.csr_matrix:
    """Products × products: how much having the row's product speaks for the column's."""
    size = len(counts)
    if method == "ease":
        return _ease(pairs, regularization)
    table = pairs.tocoo()
    off = table.row != table.col
    row, col, both = table.row[off], table.col[off], table.data[off]
    value = {
        "confidence": lambda: both / counts[row],
        "cosine": lambda: both / np.sqrt(counts[row] * counts[col]),
        "lift": lambda: both / (counts[row] * counts[col]),
        "popularity": lambda: np.zeros(len(both)),
    }[method]()
    return sparse.csr_matrix((value, (row, col)), shape=(size, size))


def _ease(pairs: sparse.csr_matrix, regularization: float) -> np.ndarray:
    """I − P·diag(1/diag P), made in the memory of X'X itself: Cholesky in place, half the work of a general inverse."""
    table = pairs.toarray(order="F")
    table[np.diag_indices(len(table))] += regularization
    table, failed = lapack.dpotrf(table, lower=1, overwrite_a=1, clean=0)
    table, broken = lapack.dpotri(table, lower=1, overwrite_c=1)
    if failed or broken:
        raise DataError(f"regularization {regularization:g}", "a larger one: the products are too dependent")
    for low in range(0, len(table), _BLOCK):  # only the lower half was filled
        rows = slice(low, low + _BLOCK)
        table[:low, rows] = table[rows, :low].T
        table[rows, rows] = np.tril(table[rows, rows]) + np.tril(table[rows, rows], -1).T
    table /= -np.diag(table)
    np.fill_diagonal(table, 0.0)
    return table


def evaluate(
    lines: pd.DataFrame,
    *,
    split_at: float | str | pd.Timestamp,
    k: int = 5,
    methods: Iterable[str] = (*METHODS, "lift"),
    regularization: float = 300.0,
    max_baskets: int = 20_000,
    exclude: Iterable[object] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """How often each method names the product that was taken out of a later basket.

    Parameters
    ----------
    lines
        ORDER_LINES.
    split_at
        Learn before, judge after: a share of the orders or an instant, as for `ml.basket.split`.
    k
        How many suggestions are made.
    methods
        Any of `METHODS`, and ``lift`` to see why it is not offered.
    max_baskets
        Judge on at most so many later baskets, drawn by `seed`.

    Returns
    -------
    DataFrame
        One row per method, best first: ``method``, ``hit@<k>`` (share of questions with the product among the first k)
        with ``low`` and ``high`` (95%, baskets as clusters), ``mrr`` (mean of 1/rank), ``questions``, ``baskets``.

    Raises
    ------
    DataError
        No later basket holds two products that were sold before, or the split leaves a side empty.
    """
    methods, exclude = tuple(methods), list(exclude)
    unknown = [name for name in methods if name not in (*METHODS, "lift")]
    if unknown or not methods or k < 1:
        raise DataError(f"methods {', '.join(unknown) or 'none'}, k = {k}", f"some of {', '.join(METHODS)}, lift; k ≥ 1")
    earlier, later = split(lines, split_at)
    model = Recommender(earlier, method="popularity", exclude=exclude)
    judged = _judged(encode(later, exclude=exclude), model, max_baskets, seed)
    keep = _kept_codes(model.counts, MAX_EASE_ITEMS)
    rows = []
    for name in methods:
        if name == "ease" and len(keep) < len(model.items):
            raise DataError(f"{len(model.items):,} products", f"at most {MAX_EASE_ITEMS:,} for ease; exclude rare ones")
        rank = _ranks(judged, model, name, regularization)
        hits = (rank <= k).astype(float)
        low, high = _clustered(hits, judged)
        rows.append((name, hits.mean(), low, high, (1 / rank).mean(), len(rank), judged.shape[0]))
    columns = ["method", f"hit@{k}", "low", "high", "mrr", "questions", "baskets"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values([f"hit@{k}", "method"], ascending=[False, True], ignore_index=True)


def _judged(later: Baskets, model: Recommender, max_baskets: int, seed: int) -> sparse.csr_matrix:
    """Later baskets over the earlier products, those with two or more."""
    code = pd.Index(model.items).get_indexer(pd.Index(later.items))
    table = later.matrix.tocoo()
    known = code[table.col] >= 0
    shape = (later.n, len(model.items))
    row, col = table.row[known], code[table.col[known]]
    matrix = sparse.csr_matrix((np.ones(len(row)), (row, col)), shape=shape)
    rows = np.flatnonzero(np.diff(matrix.indptr) >= 2)
    if not len(rows):
        raise DataError("none", "at least one later basket with two products that were sold before")
    if len(rows) > max_baskets:
        rows = np.sort(np.random.default_rng(seed).choice(rows, max_baskets, replace=False))
    return matrix[rows]


def _ranks(judged: sparse.csr_matrix, model: Recommender, method: str, regularization: float) -> np.ndarray:
    """Rank of each product among those not in the rest of its basket, by score, then popularity, then name."""
    table = weights(model._pairs, model.counts, method, regularization)
    ends = judged.indptr
    ranks, start = [], 0
    while start < judged.shape[0]:
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + _QUERIES, side="right")) - 1)
        ranks.append(_ranks_of(judged[start:stop], table, model._priority))
        start = stop
    return np.concatenate(ranks)


def _ranks_of(part: sparse.csr_matrix, table: np.ndarray | sparse.csr_matrix, priority: np.ndarray) -> np.ndarray:
    """Each basket's score is the sum over its products; taking one out subtracts that product's row."""
    question = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
    target, each = part.indices, np.arange(part.nnz)
    score = _dense(part @ table)[question] - _dense(table[target])
    score = np.round(score, 12)  # sums in another order must not part what is tied
    own = score[each, target]
    score[_dense(part)[question] > 0] = -np.inf
    ahead = (score > own[:, None]).sum(axis=1)
    tied = (score == own[:, None]) & (priority[None, :] < priority[target][:, None])
    return 1 + ahead + tied.sum(axis=1)


def _dense(table: np.ndarray | sparse.csr_matrix) -> np.ndarray:
    return table if isinstance(table, np.ndarray) else table.toarray()


def _clustered(hits: np.ndarray, judged: sparse.csr_matrix) -> tuple[float, float]:
    """95% interval of the share of hits; questions of one basket count as one cluster."""
    sizes = np.diff(judged.indptr)
    basket = np.repeat(np.arange(len(sizes)), sizes)
    mean = hits.mean()
    gap = np.bincount(basket, weights=hits - mean)
    error = float(np.sqrt((gap**2).sum()) / len(hits))
    return max(0.0, float(mean - 1.96 * error)), min(1.0, float(mean + 1.96 * error))


def _kept(baskets: Baskets, limit: int | None) -> np.ndarray:
    return np.arange(len(baskets.items)) if limit is None else _kept_codes(baskets.counts, limit)


def _kept_codes(counts: np.ndarray, limit: int) -> np.ndarray:
    order = np.lexsort((np.arange(len(counts)), -counts))
    return np.sort(order[:limit])


def _baskets(given: Iterable[object] | Mapping[object, Iterable[object]]) -> dict[object, list[object]]:
    """One basket, several, or several with names."""
    if isinstance(given, str):
        raise DataError(f"the text {given!r}", "a list of product ids")
    if isinstance(given, Mapping):
        return {key: list(basket) for key, basket in given.items()}
    parts = list(given)
    several = bool(parts) and all(isinstance(part, list | tuple | set | frozenset | np.ndarray) for part in parts)
    if several:
        return {i: list(cast("Iterable[object]", part)) for i, part in enumerate(parts)}
    return {0: parts}
