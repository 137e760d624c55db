"""Records turned into numbers, with everything learned from the training rows only, and frozen."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ml.errors import DataError

Array = np.ndarray
MAX_LEVELS = 30
MIN_LEVEL_ROWS = 10
REACH = 4.0  # standard deviations to which a number is cut: one typing error must not decide a score
LARGEST = 1e100  # beyond it squares overflow
OTHER, MISSING = "(other)", "(missing)"


@dataclass(frozen=True)
class Numeric:
    """How one numeric field becomes a column for its slope, one for its bend, and one for being missing."""

    name: str
    fill: float
    lowest: float
    highest: float
    log: bool
    centre: float
    width: float
    bend: bool
    flag_missing: bool

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        extra = [(self.bend, f"{self.name}, bend"), (self.flag_missing, f"{self.name} is missing")]
        return [self.name, *(name for wanted, name in extra if wanted)]

    def encode(self, values: pd.Series) -> Array:
        """Rows × columns."""
        raw = as_numbers(values)
        hole = np.isnan(raw)
        sane = np.clip(np.where(hole, self.fill, raw), self.lowest, self.highest)
        z = (_maybe_log(sane, self.log) - self.centre) / self.width
        z = np.clip(z, -REACH, REACH)
        extra = [(self.bend, z * z / 2), (self.flag_missing, hole)]
        return np.column_stack([z, *(column for wanted, column in extra if wanted)])


@dataclass(frozen=True)
class Categorical:
    """How one field of words becomes a column per frequent word."""

    name: str
    levels: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [f"{self.name} = {level}" for level in self.levels]

    def encode(self, values: pd.Series) -> Array:
        """Rows × columns; words not seen in training count as ``(other)``, or as nothing where that is no column."""
        words = as_words(values)
        known = words.where(words.isin(self.levels), OTHER)
        codes = pd.Index(self.levels).get_indexer(pd.Index(known))
        matrix = np.zeros((len(words), len(self.levels)))
        rows = np.flatnonzero(codes >= 0)
        matrix[rows, codes[rows]] = 1.0
        return matrix


@dataclass(frozen=True)
class Encoder:
    """The frozen recipe: fields, their columns, and the means that contributions are measured from."""

    fields: tuple[Numeric | Categorical, ...]
    means: Array
    dropped: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return [name for part in self.fields for name in part.columns]

    @property
    def owner(self) -> Array:
        """Position of the field that each column belongs to."""
        return np.repeat(np.arange(len(self.fields)), [len(part.columns) for part in self.fields])

    def encode(self, rows: pd.DataFrame) -> Array:
        """Rows × columns, centred.

        Raises
        ------
        DataError
            A field is missing, or holds infinities or words where numbers were.
        """
        missing = [part.name for part in self.fields if part.name not in rows.columns]
        if missing:
            raise DataError(f"no {', '.join(missing)}", "the same fields as in training")
        if not self.fields:
            return np.zeros((len(rows), 0))
        return np.column_stack([part.encode(rows[part.name]) for part in self.fields]) - self.means


def fit_encoder(rows: pd.DataFrame, names: list[str]) -> Encoder:
    """Learn the recipe from training rows; fields that carry nothing are dropped, with the reason."""
    parts: list[Numeric | Categorical] = []
    dropped: dict[str, str] = {}
    for name in names:
        values = rows[name]
        part = _numeric(name, values) if is_number(values) else _categorical(name, values)
        if isinstance(part, str):
            dropped[name] = part
        else:
            parts.append(part)
    encoder = Encoder(tuple(parts), np.zeros(0), dropped)
    matrix = np.column_stack([part.encode(rows[part.name]) for part in parts]) if parts else np.zeros((len(rows), 0))
    return Encoder(encoder.fields, matrix.mean(axis=0), dropped)


def is_number(values: pd.Series) -> bool:
    """Whether a field is to be read as a quantity (yes/no included)."""
    return bool(pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values))


def as_numbers(values: pd.Series) -> Array:
    """Floats with NaN for missing.

    Raises
    ------
    DataError
        Words or infinities.
    """
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if (np.isnan(numbers) & values.notna().to_numpy()).any():
        raise DataError(f"words in {values.name}", f"numbers in {values.name}, as in training")
    if (np.abs(numbers) > LARGEST).any():
        raise DataError(f"infinite values in {values.name}", f"finite numbers below {LARGEST:g}")
    return numbers


def as_words(values: pd.Series) -> pd.Series:
    """Text, with a word of its own for missing."""
    return values.astype(object).where(values.notna(), MISSING).astype(str)


def _numeric(name: str, values: pd.Series) -> Numeric | str:
    raw = as_numbers(values)
    known = raw[~np.isnan(raw)]
    if len(known) == 0:
        return "always empty"
    holes = 1 - len(known) / len(raw)
    fill = float(np.median(known))
    if np.ptp(known) == 0 and holes == 0:
        return "the same value throughout"
    lowest, highest = _sane_range(known)
    known = np.clip(known, lowest, highest)
    log = bool(known.min() >= 0 and _skewness(known) > 2)
    spread = _maybe_log(known, log)
    width = float(spread.std()) or 1.0
    bend = len(np.unique(known[:10_000])) > 5
    return Numeric(name, fill, lowest, highest, log, float(spread.mean()), width, bend, holes > 0.01)


def _sane_range(values: Array) -> tuple[float, float]:
    """Limits that only a slip of the keyboard exceeds: three times the span of the middle 96% beyond its ends."""
    low, high = np.quantile(values, 0.02, method="higher"), np.quantile(values, 0.98, method="lower")
    span = 3 * (high - low)
    return (float(low - span), float(high + span)) if span > 0 else (float(values.min()), float(values.max()))


def _skewness(values: Array) -> float:
    centred = values - values.mean()
    width = float(centred.std())
    return float((centred**3).mean() / width**3) if width > 0 else 0.0


def _maybe_log(values: Array, log: bool) -> Array:
    return np.log1p(np.maximum(values, 0)) if log else values


def _categorical(name: str, values: pd.Series) -> Categorical | str:
    counts = as_words(values).value_counts()
    if len(counts) == 1:
        return "the same value throughout"
    least = max(MIN_LEVEL_ROWS, len(values) // 500)
    kept = counts[counts >= least].index[:MAX_LEVELS].tolist()
    if not kept:
        return f"{len(counts):,} different words, none of them frequent"
    rest = counts.drop(kept).sum()
    return Categorical(name, tuple(sorted(kept)) + ((OTHER,) if rest >= least else ()))
