"""Frequent itemsets by exact counting: pair counts item by item, then bitmaps along the frequent pairs only.

The search is the one of Eclat (Zaki 2000) with the rarest item first. For one item, the later entries of its baskets
give one row of X'X (all its pair counts) in a single pass; the frequent partners become bitmaps over that item's own
baskets, so a rare item costs a few words. Deeper sets are intersections of two siblings, thousands per numpy call.
Everything is counted in integers: a rule that stands at exactly 16 of 20 is not lost to a rounded 0.7999….
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from ml.basket_data import Baskets
from ml.errors import DataError

Progress = Callable[[float, str], None]
"""Called now and then with the share done (0–1) and what is being done."""

MAX_ITEMSETS = 3_000_000
_CHUNK_BYTES = 1 << 17  # stays in the processor's cache
_DENSE_PAIRS = 6_000  # up to here a square table of frequent pairs prunes the candidates (36 MB at most)


@dataclass
class Level:
    """All frequent itemsets of one size: rows of ranks (0 = rarest item), ascending, with their counts."""

    sets: np.ndarray
    counts: np.ndarray


@dataclass
class Mined:
    """Frequent itemsets, level by level.

    Attributes
    ----------
    n
        Baskets.
    codes
        Item code of each rank.
    levels
        ``levels[k - 1]`` holds the sets of k items.
    candidates
        How many sets of each size were counted to find them.
    """

    n: int
    codes: np.ndarray
    levels: list[Level]
    candidates: list[int]
    _keys: list[np.ndarray] = field(default_factory=list)

    def child(self, k: int, parent: np.ndarray, rank: np.ndarray) -> np.ndarray:
        """Row among the sets of `k` items of "set `parent` of k − 1 items, then `rank`" (each must be frequent)."""
        if k == 1:
            return rank
        if not self._keys:
            self._index()
        return np.searchsorted(self._keys[k - 1], parent * len(self.codes) + rank)

    def _index(self) -> None:
        """A trie in sorted arrays: a set is its prefix's row times the number of items, plus its last item."""
        for k, level in enumerate(self.levels, start=1):
            if k == 1:
                self._keys.append(level.sets[:, 0].astype(np.int64))
                continue
            parent = np.zeros(len(level.sets), dtype=np.int64)
            for size in range(1, k):
                parent = self.child(size, parent, level.sets[:, size - 1].astype(np.int64))
            self._keys.append(parent * len(self.codes) + level.sets[:, -1])


def mine(baskets: Baskets, min_count: int, max_len: int | None = None, progress: Progress | None = None) -> Mined:
    """Every itemset that stands in at least `min_count` baskets.

    Raises
    ------
    DataError
        More than `MAX_ITEMSETS` of them: the limits are too low for a list that anybody could use.
    """
    if max_len is not None and max_len < 1:
        raise DataError(f"max_len {max_len}", "at least 1 item per set")
    counts = baskets.counts
    order = np.argsort(counts, kind="stable")
    codes = order[counts[order] >= min_count]
    search = _Search(baskets.matrix, codes, min_count, max_len, progress)
    search.run()
    search.found.insert(0, [(np.arange(len(codes))[:, None], counts[codes])])
    levels = [_level(parts, k) for k, parts in enumerate(search.found, start=1) if parts]
    return Mined(baskets.n, codes, levels, [len(counts), *search.candidates][: len(levels) + 1])


def _level(parts: list[tuple[np.ndarray, np.ndarray]], k: int) -> Level:
    sets = np.concatenate([part[0] for part in parts])
    counts = np.concatenate([part[1] for part in parts])
    order = np.lexsort(sets.T[::-1]) if k > 1 else np.arange(len(sets))
    return Level(sets[order].astype(np.int32), counts[order].astype(np.int64))


class _Search:
    """The depth-first part: one class of itemsets per first (rarest) item."""

    def __init__(
        self,
        matrix: sparse.csr_matrix,
        codes: np.ndarray,
        min_count: int,
        max_len: int | None,
        progress: Progress | None,
    ) -> None:
        self.size, self.min_count, self.progress = len(codes), min_count, progress
        self.max_len = max_len or self.size
        self.found: list[list[tuple[np.ndarray, np.ndarray]]] = [[]]  # from pairs on
        self.candidates = [self.size * (self.size - 1) // 2]
        self.total = self.size
        rows = matrix[:, codes].tocsr()
        rows.sort_indices()
        self.items, self.row_end = rows.indices, rows.indptr[1:]
        rows.data = np.arange(len(rows.indices), dtype=np.int64)
        columns = rows.tocsc()
        self.rows, self.places, self.start = columns.indices, columns.data, columns.indptr
        self.frequent = np.zeros((self.size, self.size), dtype=bool) if self.size <= _DENSE_PAIRS else None
        self.slot = np.full(self.size, -1, dtype=np.int32)
        self.waiting: list[tuple[int, np.ndarray, np.ndarray]] = []
        self.held, self.widest = 0, 0  # rows and words per row of what waits

    def run(self) -> None:
        """Most frequent first, so that all pairs among an item's later partners are known when it is reached."""
        if self.max_len < 2:
            self.found = []
            return
        for item in range(self.size - 2, -1, -1):
            self._class_of(item)
            if self.progress and item % 256 == 0:
                self.progress(1 - item / self.size, "counting itemsets")
        self._flush()

    def _class_of(self, item: int) -> None:
        places = self.places[self.start[item] : self.start[item + 1]]
        rest = self.row_end[self.rows[self.start[item] : self.start[item + 1]]] - places - 1
        ends = np.cumsum(rest)
        total = int(ends[-1]) if len(ends) else 0
        if total == 0:
            return
        where = np.arange(total, dtype=np.int64) + np.repeat(places + 1 - (ends - rest), rest)
        later = self.items[where]
        counts = np.bincount(later, minlength=self.size)
        partners = np.flatnonzero(counts >= self.min_count)
        if not len(partners):
            return
        self._keep(0, np.column_stack([np.full(len(partners), item), partners]), counts[partners])
        if self.frequent is not None:
            self.frequent[item, partners] = True
        if len(partners) > 1 and self.max_len > 2:
            self.slot[partners] = np.arange(len(partners))
            line = self.slot[later]
            self.slot[partners] = -1
            self._wait(item, partners, line, np.repeat(np.arange(len(rest)), rest), len(rest))

    def _wait(self, item: int, partners: np.ndarray, line: np.ndarray, row: np.ndarray, n_rows: int) -> None:
        """Pack the class into bitmaps and set it aside until enough classes of that width have come together."""
        words = -(-n_rows // 64)
        cells = np.zeros((len(partners), words * 64), dtype=bool)
        known = line >= 0
        cells[line[known], row[known]] = True
        bits = np.packbits(cells, axis=1).view(np.uint64)
        too_big = (self.held + len(partners)) * max(self.widest, words) * 8 > _CHUNK_BYTES
        if too_big or (self.widest > 8 and words * 2 < self.widest):
            self._flush()
        self.waiting.append((item, partners, bits))
        self.held, self.widest = self.held + len(partners), max(self.widest, words)

    def _flush(self) -> None:
        if not self.waiting:
            return
        sizes = [len(partners) for _, partners, _ in self.waiting]
        bits = np.zeros((self.held, self.widest), dtype=np.uint64)
        ends = np.cumsum(sizes)
        for (_, _, part), end in zip(self.waiting, ends, strict=True):
            bits[end - len(part) : end, : part.shape[1]] = part
        first = np.repeat([item for item, _, _ in self.waiting], sizes)
        sets = np.column_stack([first, np.concatenate([partners for _, partners, _ in self.waiting])])
        self.waiting, self.held, self.widest = [], 0, 0
        stack = [(sets, bits)]
        while stack:
            stack.extend(self._deeper(*stack.pop()))

    def _deeper(self, sets: np.ndarray, bits: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Join siblings (same all but the last item); the pieces returned keep siblings together."""
        left, right = _siblings(sets)
        if self.frequent is not None:
            good = self.frequent[sets[left, -1], sets[right, -1]]
            left, right = left[good], right[good]
        depth = sets.shape[1] - 1
        if len(self.found) == depth:
            self.found.append([])
            self.candidates.append(0)
        self.candidates[depth] += len(left)
        pieces = []
        step = max(1, _CHUNK_BYTES // (8 * bits.shape[1]))
        for low, high in _cuts(left, step):
            both = bits[left[low:high]] & bits[right[low:high]]
            counts = np.bitwise_count(both).sum(axis=1, dtype=np.int64)
            hit = np.flatnonzero(counts >= self.min_count)
            if not len(hit):
                continue
            grown = np.column_stack([sets[left[low:high][hit]], sets[right[low:high][hit], -1]])
            self._keep(depth, grown, counts[hit])
            if len(hit) > 1 and grown.shape[1] < self.max_len:
                pieces.append((grown, both[hit]))
        return pieces

    def _keep(self, depth: int, sets: np.ndarray, counts: np.ndarray) -> None:
        self.found[depth].append((sets, counts))
        self.total += len(sets)
        if self.total > MAX_ITEMSETS:
            raise DataError(
                f"more than {MAX_ITEMSETS:,} itemsets in at least {self.min_count:,} baskets",
                "a higher minimum support, or a max_len",
            )


def _siblings(sets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of rows a < b that share everything but the last item; rows of one family lie together."""
    n = len(sets)
    begins = np.concatenate([[True], (sets[1:, :-1] != sets[:-1, :-1]).any(axis=1)])
    family = np.cumsum(begins) - 1
    ends = np.append(np.flatnonzero(begins)[1:], n)[family]
    mates = ends - np.arange(n) - 1
    left = np.repeat(np.arange(n), mates)
    offset = np.arange(len(left)) - np.repeat(np.cumsum(mates) - mates, mates)
    return left, left + 1 + offset


def _cuts(left: np.ndarray, step: int) -> Iterable[tuple[int, int]]:
    """Ranges of about `step` candidates that never part the children of one row."""
    low = 0
    while low < len(left):
        high = min(low + step, len(left))
        if high < len(left):
            high = int(np.searchsorted(left, left[high - 1], side="right"))
        yield low, high
        low = high
