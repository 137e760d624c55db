"""Customer attributes as numbers that distances make sense on, frozen so that tomorrow's customer is encoded the same."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import stats

from ml.contracts import CUSTOMERS
from ml.errors import DataError

CATEGORY_WEIGHT = 0.5  # one-hot at half weight costs 2 × 0.5² per mismatch, which is the usual gamma of k-prototypes
MAX_LEVELS = 20
MIN_LEVEL_SHARE = 0.01
CLIP = 5.0  # standard deviations; one mistyped income must not become a segment
SKEWED = 1.0
OTHER, MISSING = "(other)", "(missing)"


@dataclass(frozen=True)
class NumberColumn:
    """How one numeric attribute is encoded: log(1 + x) or x, centred, scaled, clipped, weighted."""

    name: str
    logged: bool
    centre: float
    spread: float
    fill: float
    weight: float
    clip: float | None = CLIP

    def encode(self, values: np.ndarray) -> np.ndarray:
        filled = np.where(np.isnan(values), self.fill, values)
        # log1p below zero is undefined; a later customer below the fitted range counts as zero.
        shown = np.log1p(np.maximum(filled, 0)) if self.logged else filled
        scaled = (shown - self.centre) / self.spread
        return (scaled if self.clip is None else np.clip(scaled, -self.clip, self.clip)) * self.weight


@dataclass(frozen=True)
class CategoryColumn:
    """How one category is encoded: a column per kept level, the rare ones together."""

    name: str
    levels: tuple[str, ...]
    weight: float

    def encode(self, values: np.ndarray) -> np.ndarray:
        known = np.where(np.isin(values, self.levels), values, OTHER)
        return (known[:, None] == np.array(self.levels, dtype=object)[None, :]) * self.weight


@dataclass(frozen=True)
class Encoder:
    """Frozen encoding of a CUSTOMERS frame; make one with `fit_encoder`."""

    numbers: tuple[NumberColumn, ...]
    categories: tuple[CategoryColumn, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def columns(self) -> list[str]:
        """Attributes in use."""
        return [column.name for column in self.numbers] + [column.name for column in self.categories]

    @property
    def names(self) -> list[str]:
        """Names of the encoded columns."""
        levels = [f"{column.name}={level}" for column in self.categories for level in column.levels]
        return [column.name for column in self.numbers] + levels

    def encode(self, features: pd.DataFrame) -> np.ndarray:
        """Rows as points. A level not seen before counts as rare, a missing number as the median."""
        missing = [name for name in self.columns if name not in features.columns]
        if missing:
            raise DataError(f"no {', '.join(missing)}", "the attributes that the segments were made from")
        parts = [column.encode(as_numbers(features[column.name]))[:, None] for column in self.numbers]
        parts += [column.encode(as_levels(features[column.name])) for column in self.categories]
        return np.hstack(parts).astype(float)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """The reverse of `to_dict`."""
        categories = [column | {"levels": tuple(column["levels"])} for column in stored["categories"]]
        return cls(
            numbers=tuple(NumberColumn(**column) for column in stored["numbers"]),
            categories=tuple(CategoryColumn(**column) for column in categories),
            notes=tuple(stored["notes"]),
        )


def by_customer(features: pd.DataFrame) -> pd.DataFrame:
    """Attributes indexed by customer: from the column ``customer_id`` if there is one, else the index as it is.

    Raises
    ------
    DataError
        Not a table, empty, or a customer twice.
    """
    if not isinstance(features, pd.DataFrame):
        raise DataError(f"a {type(features).__name__}", "a table of customers (a DataFrame)")
    if "customer_id" not in features.columns:
        features = features.rename_axis("customer_id").reset_index()
    frame = CUSTOMERS.check(features).set_index("customer_id")
    return frame.set_axis(frame.columns.map(str), axis=1)


def fit_encoder(
    features: pd.DataFrame,
    *,
    weights: dict[str, float] | None = None,
    log: str | bool = "auto",
    standardise: bool = True,
    clip: float | None = CLIP,
) -> Encoder:
    """Decide how each attribute is encoded.

    Parameters
    ----------
    features
        From `by_customer`. Numbers, booleans, text and categories are used; dates are not (turn them into days).
    weights
        Attribute → factor on its distances; 0 leaves it out.
    log
        "auto" takes log(1 + x) of amounts that are never negative and right-skewed; True of all that can; False of none.
    standardise
        Centre to mean 0 and scale to standard deviation 1.
    clip
        Values farther out than this many standard deviations count as that far out; None: as they are.

    Raises
    ------
    DataError
        Infinite values, weights for unknown attributes, or nothing that differs between customers.
    """
    weights = _check_weights(features, weights or {})
    numbers: list[NumberColumn] = []
    categories: list[CategoryColumn] = []
    notes: list[str] = []
    for name in features.columns:
        weight = weights.get(str(name), 1.0)
        values = features[name]
        if weight == 0:
            continue
        if not differs(values):
            notes.append(f"{name} is the same for everyone and was left out.")
        elif pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
            notes.append(f"{name} is a date and was left out; turn it into days before a date to use it.")
        elif is_number(values):
            numbers.append(_fit_number(str(name), as_numbers(values), weight, log, standardise, clip, notes))
        else:
            column = _fit_category(str(name), as_levels(values), weight, notes)
            categories += [column] if column else []
    if not numbers and not categories:
        raise DataError("none" if not notes else " ".join(notes), "at least one attribute that differs between customers")
    return Encoder(tuple(numbers), tuple(categories), tuple(notes))


def _check_weights(features: pd.DataFrame, weights: dict[str, float]) -> dict[str, float]:
    unknown = sorted(set(weights) - set(map(str, features.columns)))
    if unknown:
        raise DataError(f"weights for {', '.join(unknown)}", "weights for attributes of the table")
    if any(not np.isfinite(weight) or weight < 0 for weight in weights.values()):
        raise DataError("other ones", "weights of zero or more")
    return weights


def differs(values: pd.Series) -> bool:
    """Whether the attribute tells customers apart; of a category, being filled or empty does too."""
    category = not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)
    return bool(values.nunique(dropna=not category) > 1)


def is_number(values: pd.Series) -> bool:
    """Numbers with more than two values; yes/no in numbers is a category, or a rare yes would lie ten sigmas out."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and values.nunique() > 2


def as_numbers(values: pd.Series) -> np.ndarray:
    """Numbers as floats, NaN where missing; text and infinities are refused."""
    numbers = pd.to_numeric(values, errors="coerce").astype(float).to_numpy(dtype=float)
    lost = np.isnan(numbers) & values.notna().to_numpy()
    if lost.any():
        raise DataError(f"{values[lost].iloc[0]!r} in {values.name}", f"numbers in {values.name}")
    if np.isinf(numbers).any():
        raise DataError(f"infinite values in {values.name}", f"finite numbers in {values.name}")
    return numbers


def as_levels(values: pd.Series) -> np.ndarray:
    """Category levels as text, ``(missing)`` where there is none."""
    if pd.api.types.is_numeric_dtype(values):
        as_numbers(values)  # refuses infinities
        texts = values.map(lambda value: f"{value:g}" if not isinstance(value, bool) else str(value), na_action="ignore")
    else:
        texts = values.astype(object).map(str, na_action="ignore")
    return texts.astype(object).where(values.notna(), MISSING).to_numpy(dtype=object)


def _fit_number(
    name: str,
    values: np.ndarray,
    weight: float,
    log: str | bool,
    standardise: bool,
    clip: float | None,
    notes: list[str],
) -> NumberColumn:
    known = values[~np.isnan(values)]
    fill = float(np.median(known))
    if len(known) < len(values):
        notes.append(f"{name}: missing values ({len(values) - len(known):,}) count as {fill:g}, the median.")
    filled = np.where(np.isnan(values), fill, values)
    logged = bool(known.min() >= 0 and (log is True or (log == "auto" and log_helps(filled))))
    shown = np.log1p(filled) if logged else filled
    centre, spread = (float(shown.mean()), float(shown.std())) if standardise else (0.0, 1.0)
    if not standardise:
        return NumberColumn(name, logged, centre, spread, fill, weight, clip=None)
    far = 0 if clip is None else int(np.sum(np.abs(shown - centre) > clip * spread))
    if far:
        notes.append(f"{name}: {far:,} extreme values count as {clip:g} standard deviations from the mean.")
    return NumberColumn(name, logged, centre, spread, fill, weight, clip)


def log_helps(values: np.ndarray) -> bool:
    """Whether these non-negative amounts are right-skewed, and less so after log(1 + x).

    Judged without the outermost half percent on each side: one mistyped income makes any column look skewed.
    """
    core = np.clip(values, *np.quantile(values, [0.005, 0.995]))
    if core.min() == core.max():
        return False
    skew = float(stats.skew(core))
    return skew > SKEWED and abs(float(stats.skew(np.log1p(core)))) < skew


def _fit_category(name: str, values: np.ndarray, weight: float, notes: list[str]) -> CategoryColumn | None:
    levels, counts = np.unique(values.astype(str), return_counts=True)
    order = np.lexsort((levels, -counts))
    kept = [str(levels[i]) for i in order[:MAX_LEVELS] if counts[i] >= MIN_LEVEL_SHARE * len(values)]
    if not kept:
        notes.append(f"{name} has {len(levels):,} different values, none of them common, and was left out.")
        return None
    if len(kept) < len(levels):
        notes.append(f"{name}: rare values ({len(levels) - len(kept):,}) count as one.")
        kept.append(OTHER)
    return CategoryColumn(name, tuple(kept), weight * CATEGORY_WEIGHT)
