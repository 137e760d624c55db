"""Are these clusters real? Bootstrap agreement, the gap against a single cloud, silhouettes."""

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

RESTARTS = 3
LUMPY_VALUES = 12  # as many different values or fewer: a count, not an amount
LUMPY_SHARE = 0.2  # so many customers on one value (often zero)


@dataclass(frozen=True)
class Evidence:
    """What speaks for cutting into k clusters.

    Attributes
    ----------
    k
        Number of clusters.
    ari
        Mean adjusted Rand index between the clustering and its bootstrap refits (1: always the same).
    jaccard, worst_jaccard
        Mean and smallest of the clusters' mean Jaccard overlap with their best match in the refits. Hennig (2007): below
        .6 no cluster, from .75 a pattern, from .85 highly stable.
    gap, gap_error
        Tibshirani, Walther & Hastie (2001): mean log dispersion of structureless references minus the data's, and its
        standard error.
    silhouette_sample
        Mean silhouette; 0 for k = 1.
    smallest
        Share of the smallest cluster.
    """

    k: int
    ari: float
    jaccard: float
    worst_jaccard: float
    gap: float
    gap_error: float
    silhouette_sample: float
    smallest: float


def cluster(points: np.ndarray, k: int, seed: int, restarts: int = RESTARTS) -> tuple[np.ndarray, float]:
    """Centres and within-cluster sum of squares of the best of several k-means runs."""
    if k == 1:
        centre = points.mean(axis=0, keepdims=True)
        return centre, float(((points - centre) ** 2).sum())
    fitted = KMeans(k, n_init=restarts, random_state=seed).fit(points)
    return fitted.cluster_centers_, float(fitted.inertia_)


def nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Index of the nearest centre for each point."""
    distances = (centres**2).sum(axis=1)[None, :] - 2 * points @ centres.T
    return distances.argmin(axis=1)


def evidence(
    points: np.ndarray, k: int, *, n_numeric: int, blocks: list[slice], refits: int, references: int, seed: int
) -> Evidence:
    """All that can be said about k clusters of these points.

    Parameters
    ----------
    points
        Encoded customers (a sample of a few thousand is enough).
    n_numeric, blocks
        The first `n_numeric` columns are numbers; each block of the others is one category.
    """
    centres, dispersion = cluster(points, k, seed)
    labels = nearest(points, centres)
    gap, error = _gap(points, k, dispersion, n_numeric, blocks, references, seed)
    if k == 1:
        return Evidence(1, 1.0, 1.0, 1.0, gap, error, 0.0, 1.0)
    rng = np.random.default_rng([seed, k])
    aris, overlaps = np.empty(refits), np.empty((refits, k))
    for i in range(refits):
        drawn = points[rng.integers(0, len(points), len(points))]
        refit, _ = cluster(drawn, k, int(rng.integers(2**31)))
        aris[i], overlaps[i] = agreement(labels, nearest(points, refit), k)
    per_cluster = overlaps.mean(axis=0)
    return Evidence(
        k=k,
        ari=float(aris.mean()),
        jaccard=float(per_cluster.mean()),
        worst_jaccard=float(per_cluster.min()),
        gap=gap,
        gap_error=error,
        silhouette_sample=silhouette(points, labels, k),
        smallest=float(np.bincount(labels, minlength=k).min() / len(points)),
    )


def agreement(labels: np.ndarray, other: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """Adjusted Rand index, and for each cluster of `labels` its best Jaccard overlap in `other`."""
    table = np.bincount(labels * k + other, minlength=k * k).reshape(k, k).astype(float)
    rows, columns, n = table.sum(axis=1), table.sum(axis=0), table.sum()
    together, in_rows, in_columns = (_pairs(part).sum() for part in (table, rows, columns))
    expected = in_rows * in_columns / _pairs(np.array(n))
    ceiling = (in_rows + in_columns) / 2
    ari = 1.0 if ceiling == expected else (together - expected) / (ceiling - expected)
    union = rows[:, None] + columns[None, :] - table
    return float(ari), (table / np.maximum(union, 1)).max(axis=1)


def silhouette(points: np.ndarray, labels: np.ndarray, k: int, limit: int = 2_000) -> float:
    """Mean silhouette (Rousseeuw 1987) of the points, or of every m-th of them when there are more than `limit`."""
    step = -(-len(points) // limit)
    points, labels = points[::step], labels[::step]
    sizes = np.bincount(labels, minlength=k)
    if (sizes > 0).sum() < 2:
        return 0.0
    squares = (points**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * points @ points.T, 0))
    np.fill_diagonal(distances, 0)
    sums = distances @ np.eye(k)[labels]
    rows = np.arange(len(points))
    own = sizes[labels]
    within = sums[rows, labels] / np.maximum(own - 1, 1)
    means = np.where(sizes > 0, sums / np.maximum(sizes, 1), np.inf)
    means[rows, labels] = np.inf
    between = means.min(axis=1)
    widths = (between - within) / np.maximum(np.maximum(between, within), 1e-300)
    return float(np.where(own > 1, widths, 0.0).mean())


def _pairs(counts: np.ndarray) -> np.ndarray:
    return counts * (counts - 1) / 2


def _gap(
    points: np.ndarray, k: int, dispersion: float, n_numeric: int, blocks: list[slice], references: int, seed: int
) -> tuple[float, float]:
    """The same references for every k (the seed says so), so that gaps compare; searched as hard as the data is."""
    rng = np.random.default_rng([seed, 0])
    smooth, shuffled = _parts(points, n_numeric, blocks)
    logs = np.empty(references)
    for i in range(references):
        cloud = _structureless(points, smooth, shuffled, rng)
        logs[i] = np.log(max(cluster(cloud, k, seed + i)[1], 1e-12))
    error = float(logs.std() * np.sqrt(1 + 1 / references))
    return float(logs.mean() - np.log(max(dispersion, 1e-12))), error


def _structureless(points: np.ndarray, smooth: np.ndarray, blocks: list[slice], rng: np.random.Generator) -> np.ndarray:
    """Smooth numbers uniform in the box along their principal axes; lumpy numbers and categories shuffled, each alone.

    Counts such as 0, 1, 2 lie on a lattice, whose points k-means finds again and again; a uniform reference would call
    that lattice a set of segments.
    """
    cloud = np.empty_like(points)
    if len(smooth):
        numbers = points[:, smooth]
        centre = numbers.mean(axis=0)
        axes = np.linalg.svd(numbers - centre, full_matrices=False)[2]
        turned = (numbers - centre) @ axes.T
        cloud[:, smooth] = rng.uniform(turned.min(axis=0), turned.max(axis=0), turned.shape) @ axes + centre
    for block in blocks:
        cloud[:, block] = points[rng.permutation(len(points)), block]
    return cloud


def _parts(points: np.ndarray, n_numeric: int, blocks: list[slice]) -> tuple[np.ndarray, list[slice]]:
    """Columns of smooth numbers, and blocks to be shuffled: lumpy numbers and categories."""
    smooth: list[int] = []
    lumpy: list[int] = []
    for column in range(n_numeric):
        counts = np.unique(points[:, column], return_counts=True)[1]
        is_smooth = len(counts) > LUMPY_VALUES and counts.max() < LUMPY_SHARE * len(points)
        (smooth if is_smooth else lumpy).append(column)
    return np.array(smooth, dtype=int), [slice(column, column + 1) for column in lumpy] + blocks
