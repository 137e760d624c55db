"""Customer segments that can be trusted: as many as stay the same when the data is redrawn, and none where there are none."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from ml.encoding import CLIP, Encoder, by_customer, fit_encoder
from ml.errors import DataError
from ml.limits import HIGHLY_STABLE, PATTERN
from ml.stability import Evidence, cluster, evidence, nearest

MIN_CUSTOMERS = 10
TOLERANCE = 0.05  # among about equally stable choices the finest says most
REFERENCES = 10
SAMPLE = 2_000
SMALL_SEGMENT = 30


@dataclass(frozen=True)
class Segmentation:
    """Frozen segments: encoder and centres stay as they were fitted, so later customers are *assigned*.

    Attributes
    ----------
    labels
        Segment (1 … k, largest first) per customer_id.
    k
        Number of segments; 1 means that there is no stable segmentation.
    stability
        One row per k tried: ``k, ari, jaccard, worst_jaccard, gap, gap_error, silhouette_sample, smallest``.
    advice
        Sentences; the first is the headline.
    profile
        One row per segment: ``segment, n, share``, then the median of each number and the commonest level of each
        category.
    centres
        Segment × encoded column, in standard deviations times weight.
    spread
        Mean squared distance of a customer to the own centre at fitting time; see `drift`.
    """

    labels: pd.Series
    k: int
    stability: pd.DataFrame
    advice: tuple[str, ...]
    profile: pd.DataFrame
    centres: pd.DataFrame
    spread: float
    encoder: Encoder

    def assign(self, features: pd.DataFrame) -> pd.Series:
        """The segment of each customer, new or old, by the frozen centres.

        Raises
        ------
        DataError
            An attribute is missing, a customer appears twice, or a number is infinite.
        """
        frame = by_customer(features)
        labels = nearest(self.encoder.encode(frame), self.centres.to_numpy()) + 1
        return pd.Series(labels, index=frame.index, name="segment")

    def drift(self, features: pd.DataFrame) -> tuple[float, str]:
        """How much farther from their centres these customers lie than those the segments were made from.

        Returns
        -------
        tuple
            The ratio of mean squared distances (1: as at fitting time), and a sentence.
        """
        points = self.encoder.encode(by_customer(features))
        centres = self.centres.to_numpy()
        distance = ((points - centres[nearest(points, centres)]) ** 2).sum(axis=1).mean()
        ratio = float(distance / self.spread) if self.spread else float("inf") if distance else 1.0
        stale = ratio > 1.25
        return ratio, f"Customers lie {ratio:.2f} times as far out as at fitting time: {'fit again' if stale else 'fine'}."

    def to_json(self) -> str:
        """Everything, labels included, as JSON text."""
        stored = {
            "k": self.k,
            "spread": self.spread,
            "advice": self.advice,
            "encoder": self.encoder.to_dict(),
            "centres": self.centres.to_numpy().tolist(),
            "stability": self.stability.to_dict("list"),
            "profile": self.profile.to_dict("list"),
            "customers": self.labels.index.tolist(),
            "labels": self.labels.tolist(),
        }
        return json.dumps(stored, ensure_ascii=False, allow_nan=False, default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The reverse of `to_json`.

        Raises
        ------
        DataError
            The text is not a stored segmentation.
        """
        try:
            stored: dict[str, Any] = json.loads(text)
            encoder = Encoder.from_dict(stored["encoder"])
            index = pd.Index(stored["customers"], name="customer_id")
            return cls(
                labels=pd.Series(stored["labels"], index=index, name="segment", dtype="int64"),
                k=stored["k"],
                stability=pd.DataFrame(stored["stability"]),
                advice=tuple(stored["advice"]),
                profile=pd.DataFrame(stored["profile"]),
                centres=_centre_frame(np.array(stored["centres"], dtype=float), encoder),
                spread=stored["spread"],
                encoder=encoder,
            )
        except (ValueError, KeyError, TypeError) as problem:
            raise DataError(f"something else ({problem})", "a segmentation stored by to_json") from None


def fit_segments(
    features: pd.DataFrame,
    *,
    k: int | Literal["auto"] = "auto",
    weights: dict[str, float] | None = None,
    min_share: float = 0.02,
    refits: int = 30,
    seed: int = 0,
    k_max: int = 8,
    log: str | bool = "auto",
    standardise: bool = True,
    clip: float | None = CLIP,
    progress: Callable[[float, str], None] | None = None,
) -> Segmentation:
    """Find segments of customers, as many as are stable.

    Parameters
    ----------
    features
        CUSTOMERS: one row per customer with ``customer_id`` as column or index; numbers, booleans, text. Row order does
        not matter.
    k
        A number of segments, or "auto": the finest cut that is highly stable (its worst cluster keeps a mean Jaccard
        of .85 in the bootstrap), or failing that the finest within .05 of the best pattern (.75); its smallest cluster
        must hold `min_share` and its gap beat one cloud by two standard errors. 1 if there is none. The silhouette has
        no vote: on raw money it adores a cut between thousands of customers and a handful.
    weights
        Attribute → factor on its distances (default 1; 0 leaves it out).
    min_share
        Smallest share of customers that a segment may hold.
    refits
        Bootstrap refits per k.
    k_max
        Largest k that "auto" tries.
    log, standardise, clip
        See `ml.encoding.fit_encoder`.
    progress
        Called with the share done and what is being done.

    Raises
    ------
    DataError
        Fewer than ten customers, a customer twice, infinite values, nothing that differs, or more segments asked for than
        there are different customers.

    Notes
    -----
    k-means (Lloyd; greedy k-means++ starts) on logged, standardised numbers and half-weight one-hot categories. Stability
    after Hennig (2007), gap after Tibshirani, Walther & Hastie (2001). Above 2,000 customers the evidence comes from a
    random 2,000, the final centres from all.
    """
    if refits < 2:
        raise DataError(f"{refits}", "at least 2 refits to judge stability by")
    given = by_customer(features)
    if len(given) < MIN_CUSTOMERS:
        raise DataError(f"{len(given)}", f"at least {MIN_CUSTOMERS} customers")
    frame = given.sort_index()[sorted(given.columns, key=str)]  # so that no order of rows or columns plays a part
    encoder = fit_encoder(frame, weights=weights, log=log, standardise=standardise, clip=clip)
    points = encoder.encode(frame)
    sample = _sample(points, seed)
    tried = _ks(k, k_max, sample)
    results = _all_evidence(sample, encoder, tried, refits, seed, progress)
    chosen = _choose(results, min_share) if k == "auto" else int(k)
    centres = _final_centres(points, sample, chosen, seed)
    labels = pd.Series(nearest(points, centres) + 1, index=frame.index, name="segment").reindex(given.index)
    spread = float(((points - centres[nearest(points, centres)]) ** 2).sum(axis=1).mean())
    return Segmentation(
        labels=labels,
        k=chosen,
        stability=pd.DataFrame([asdict(result) for result in results]),
        advice=_advice(results, chosen, k == "auto", min_share, labels, encoder),
        profile=_profile(given, labels, encoder),
        centres=_centre_frame(centres, encoder),
        spread=spread,
        encoder=encoder,
    )


def migration(before: pd.Series, after: pd.Series) -> pd.DataFrame:
    """Who moved between two assignments (from `assign` on an earlier and a later day).

    Returns
    -------
    DataFrame
        ``before, after, customers, share`` (of the segment before) for customers in both, by falling number;
        ``attrs["moved"]`` is the share that changed segment.
    """
    pairs = pd.concat([before.rename("before"), after.rename("after")], axis=1, join="inner")
    if pairs.empty:
        raise DataError("none", "at least one customer in both assignments")
    table = pairs.groupby(["before", "after"]).size().rename("customers").reset_index()
    table["share"] = table["customers"] / table.groupby("before")["customers"].transform("sum")
    table = table.sort_values(["customers", "before", "after"], ascending=[False, True, True], ignore_index=True)
    table.attrs["moved"] = float((pairs["before"] != pairs["after"]).mean())
    return table


def _sample(points: np.ndarray, seed: int) -> np.ndarray:
    if len(points) <= SAMPLE:
        return points
    return points[np.sort(np.random.default_rng(seed).choice(len(points), SAMPLE, replace=False))]


def _ks(k: int | str, k_max: int, sample: np.ndarray) -> list[int]:
    distinct = len(np.unique(sample, axis=0))
    if k == "auto":
        return list(range(1, max(1, min(k_max, distinct - 1, len(sample) // 5)) + 1))
    if isinstance(k, str) or k != int(k) or k < 1:
        raise DataError(repr(k), 'a number of groups of at least 1, or "auto"')
    if k > distinct:
        raise DataError(f"{distinct} different customers", f"at least {k} different customers for {k} groups")
    return [1, int(k)] if k > 1 else [1]


def _all_evidence(
    sample: np.ndarray,
    encoder: Encoder,
    tried: list[int],
    refits: int,
    seed: int,
    progress: Callable[[float, str], None] | None,
) -> list[Evidence]:
    n_numeric, blocks = len(encoder.numbers), []
    start = n_numeric
    for column in encoder.categories:
        blocks.append(slice(start, start + len(column.levels)))
        start += len(column.levels)
    results = []
    for done, k in enumerate(tried):
        if progress:
            progress(done / len(tried), f"trying {k} groups")
        results.append(evidence(sample, k, n_numeric=n_numeric, blocks=blocks, refits=refits, references=REFERENCES, seed=seed))
    if progress:
        progress(1.0, "done")
    return results


def _beats_one(result: Evidence, one: Evidence) -> bool:
    return result.gap - 2 * max(result.gap_error, one.gap_error) > one.gap


def _choose(results: list[Evidence], min_share: float) -> int:
    sound = [
        result
        for result in results[1:]
        if result.worst_jaccard >= PATTERN and result.smallest >= min_share and _beats_one(result, results[0])
    ]
    best = max((result.worst_jaccard for result in sound), default=0.0)
    enough = min(HIGHLY_STABLE, best - TOLERANCE)
    return max((result.k for result in sound if result.worst_jaccard >= enough), default=1)


def _final_centres(points: np.ndarray, sample: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Centres of all customers, largest segment first; starts from the sample's when there are many."""
    centres, _ = cluster(sample, k, seed, restarts=10)
    for _ in range(0 if len(points) == len(sample) else 100):
        labels = nearest(points, centres)
        sizes = np.maximum(np.bincount(labels, minlength=k), 1)
        moved = np.column_stack([np.bincount(labels, weights=column, minlength=k) for column in points.T]) / sizes[:, None]
        if np.allclose(moved, centres, rtol=0, atol=1e-4):
            break
        centres = moved
    sizes = np.bincount(nearest(points, centres), minlength=k)
    return centres[np.lexsort((*centres.T[::-1], -sizes))]


def _centre_frame(centres: np.ndarray, encoder: Encoder) -> pd.DataFrame:
    index = pd.RangeIndex(1, len(centres) + 1, name="segment")
    return pd.DataFrame(centres, columns=encoder.names, index=index)


def _profile(frame: pd.DataFrame, labels: pd.Series, encoder: Encoder) -> pd.DataFrame:
    groups = frame.groupby(labels.to_numpy())
    profile = pd.DataFrame({"n": groups.size()})
    profile["share"] = profile["n"] / len(frame)
    for number in encoder.numbers:
        profile[number.name] = groups[number.name].median().astype(float)
    for category in encoder.categories:
        counts = frame.groupby([labels.to_numpy(), frame[category.name].astype(str)]).size()
        top = counts.groupby(level=0).idxmax()
        profile[category.name] = [f"{top[s][1]} ({counts[top[s]] / profile['n'][s]:.0%})" for s in profile.index]
    return profile.rename_axis("segment").reset_index()


def _advice(
    results: list[Evidence], k: int, automatic: bool, min_share: float, labels: pd.Series, encoder: Encoder
) -> tuple[str, ...]:
    advice = [_headline(results, k, automatic)]
    if k == 1 and automatic:
        advice += [_why_not(result, results[0], min_share) for result in results[1:3]]
    sizes = labels.value_counts()
    small = sizes[sizes < SMALL_SEGMENT]
    if k > 1 and len(small):
        advice.append(f"{len(small)} of the groups hold fewer than {SMALL_SEGMENT} customers: figures about them are shaky.")
    if k > 1 and sizes.min() < min_share * len(labels):
        advice.append(f"The smallest group holds {sizes.min() / len(labels):.1%}, less than the {min_share:.0%} asked for.")
    return (*advice, *encoder.notes)


def _headline(results: list[Evidence], k: int, automatic: bool) -> str:
    if k == 1:
        return (
            "No way to group these customers stays the same when the data is redrawn: treat them alike, or bring other attributes."
        )
    chosen = next(result for result in results if result.k == k)
    overlap = f"the weakest group keeps {chosen.worst_jaccard:.0%} of its customers when the data is redrawn"
    if not _beats_one(chosen, results[0]):
        return f"{k} groups as asked, but one cloud of customers explains the data as well ({overlap}): don't target by them."
    if chosen.worst_jaccard < PATTERN:
        return f"{k} groups as asked, but {overlap}: too little to target by."
    quality = "highly stable" if chosen.worst_jaccard >= HIGHLY_STABLE else "a pattern, not more"
    tail = " More of them would not hold." if automatic else ""
    return f"{k} groups, {quality}: {overlap}.{tail}"


def _why_not(result: Evidence, one: Evidence, min_share: float) -> str:
    reasons = []
    if result.worst_jaccard < PATTERN:
        reasons.append(f"the weakest keeps only {result.worst_jaccard:.0%} of its customers when the data is redrawn")
    if result.smallest < min_share:
        reasons.append(f"the smallest holds {result.smallest:.1%} of the customers")
    if not _beats_one(result, one):
        reasons.append("one cloud of customers explains the data as well")
    return f"{result.k} groups were refused: {' and '.join(reasons)}."
