"""From columns to a design matrix that stays exact: centred and scaled inside, reported in the user's own units."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import linalg

from ml.contracts import finite
from ml.errors import DataError

MAX_LEVELS = 50
_RANK_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Variable:
    """One column of the frame: numeric (`levels` empty) or categorical (the first level is the base)."""

    name: str
    levels: tuple[object, ...] = ()

    def columns(self, values: pd.Series) -> tuple[list[str], np.ndarray]:
        """Names and numbers of the design columns of these values."""
        if not self.levels:
            return [self.name], finite(values, self.name)[:, None]
        unknown = sorted({str(v) for v in values.unique()} - {str(v) for v in self.levels})
        if unknown:
            raise DataError(f"{self.name} = {', '.join(unknown[:5])}", f"one of {', '.join(map(str, self.levels))}")
        text = values.astype(str).to_numpy()
        names = [f"{self.name} = {level}" for level in self.levels[1:]]
        return names, np.column_stack([text == str(level) for level in self.levels[1:]]).astype(float)


@dataclass(frozen=True)
class Design:
    """How terms become columns; frozen, so that new rows are coded as the old ones were.

    Attributes
    ----------
    variables
        The columns used, by name.
    terms
        Each a tuple of variables: one, or several for an interaction.
    names
        Names of the design columns, the intercept first.
    centre, scale
        Per design column (0 and 1 for the intercept).
    """

    variables: dict[str, Variable]
    terms: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray

    def matrix(self, frame: pd.DataFrame) -> np.ndarray:
        """The columns in the user's units, the intercept first."""
        names, matrix = _expand(self.variables, self.terms, frame)
        keep = [names.index(name) for name in self.names]
        return matrix[:, keep]

    def scaled(self, matrix: np.ndarray) -> np.ndarray:
        """Centred and scaled: digits are not lost to a year of 1950 beside a price of 0.2."""
        return (matrix - self.centre) / self.scale

    @property
    def back(self) -> np.ndarray:
        """Matrix that turns coefficients of the scaled columns into those of the user's units."""
        turn = np.diag(1 / self.scale)
        turn[0] = -self.centre / self.scale
        turn[0, 0] = 1.0
        return turn


@dataclass(frozen=True)
class Prepared:
    """Rows ready for fitting, and what had to be left out."""

    design: Design
    frame: pd.DataFrame
    matrix: np.ndarray
    warnings: list[str]


def prepare(frame: pd.DataFrame, y: str, x: list[str]) -> Prepared:
    """Choose rows and columns.

    Raises
    ------
    DataError
        A column is missing, a date, infinite, has too many categories or repeats another; or too few rows are left.
    """
    if isinstance(x, str) or not x:
        raise DataError(f"x = {x!r}", "a list of column names")
    terms = tuple(dict.fromkeys(tuple(part.strip() for part in term.split(":")) for term in x))
    used = list(dict.fromkeys(name for term in terms for name in term))
    _refuse_names(frame, y, used)
    rows = frame[[y, *used]].replace({None: np.nan})
    full = rows.notna().all(axis=1)
    warnings = _missing(rows, full)
    rows = rows[full]
    if len(rows) < 3:
        raise DataError(f"{len(rows)}", "at least 3 rows without a missing value")
    variables = {name: _variable(rows[name]) for name in used}
    names, matrix = _expand(variables, terms, rows)
    names, matrix = _drop_constant(names, matrix, warnings)
    if len(rows) < len(names) + 1:
        raise DataError(f"{len(rows):,} rows", f"at least {len(names) + 1:,} for {len(names) - 1:,} coefficients")
    centre = np.concatenate([[0.0], matrix[:, 1:].mean(axis=0)])
    scale = np.concatenate([[1.0], matrix[:, 1:].std(axis=0)])
    design = Design(variables, terms, tuple(names), centre, scale)
    _refuse_repeated(names, design.scaled(matrix))
    return Prepared(design, rows, matrix, warnings)


def _refuse_names(frame: pd.DataFrame, y: str, used: list[str]) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"a {type(frame).__name__}", "a table (a DataFrame)")
    missing = [name for name in (y, *used) if name not in frame.columns]
    if missing:
        raise DataError(f"only {', '.join(map(str, frame.columns[:12])) or 'no columns'}", f"the columns {', '.join(missing)}")
    doubled = [name for name in (y, *used) if isinstance(frame[name], pd.DataFrame)]
    if doubled:
        raise DataError(f"{doubled[0]} more than once", "each column once")
    if y in used:
        raise DataError(f"{y} on both sides", "an outcome that does not explain itself")
    if frame.empty:
        raise DataError("none", "at least one row")


def _missing(rows: pd.DataFrame, full: pd.Series) -> list[str]:
    if full.all():
        return []
    holes = rows.isna().sum()
    worst = ", ".join(f"{name} {count:,}" for name, count in holes[holes > 0].sort_values(ascending=False).items())
    return [f"{int((~full).sum()):,} of {len(full):,} rows were left out because a value is missing ({worst})."]


def _variable(values: pd.Series) -> Variable:
    name = str(values.name)
    if pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
        raise DataError(f"dates in {name}", f"{name} as a number, such as days before or after a fixed day")
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return Variable(name)
    if isinstance(values.dtype, pd.CategoricalDtype):
        seen = set(values.unique())
        levels = tuple(level for level in values.cat.categories if level in seen)
    else:
        levels = tuple(sorted(values.unique(), key=str))
    limit = max(2, min(MAX_LEVELS, len(values) // 2))
    if len(levels) > limit:
        raise DataError(f"{len(levels):,} different values in {name}", f"at most {limit:,}; group the rare ones")
    return Variable(name, levels)


def _expand(
    variables: dict[str, Variable], terms: tuple[tuple[str, ...], ...], frame: pd.DataFrame
) -> tuple[list[str], np.ndarray]:
    names, parts = ["intercept"], [np.ones((len(frame), 1))]
    blocks = {name: variable.columns(frame[name]) for name, variable in variables.items()}
    for term in terms:
        labels, block = blocks[term[0]]
        for other in term[1:]:
            more, columns = blocks[other]
            block = (block[:, :, None] * columns[:, None, :]).reshape(len(frame), -1)
            labels = [f"{a} : {b}" for a in labels for b in more]
        names.extend(labels)
        parts.append(block)
    return names, np.column_stack(parts)


def _drop_constant(names: list[str], matrix: np.ndarray, warnings: list[str]) -> tuple[list[str], np.ndarray]:
    spread = np.ptp(matrix, axis=0)
    size = np.abs(matrix).max(axis=0)
    flat = spread <= 1e-13 * np.maximum(size, 1e-300)
    flat[0] = False
    if flat.any():
        dropped = ", ".join(name for name, is_flat in zip(names, flat, strict=True) if is_flat)
        warnings.append(f"{dropped} never changes and explains nothing: left out.")
    keep = np.flatnonzero(~flat)
    if len(keep) < 2:
        raise DataError("columns that never change", "at least one column with different values")
    return [names[i] for i in keep], matrix[:, keep]


def _refuse_repeated(names: list[str], scaled: np.ndarray) -> None:
    """A column that the others determine exactly has no coefficient of its own."""
    triangle, order = linalg.qr(scaled, mode="r", pivoting=True, check_finite=False)
    size = np.abs(np.diag(triangle))
    spare = order[: len(size)][size < _RANK_TOLERANCE * size[0]]
    if len(spare):
        named = ", ".join(names[i] for i in sorted(spare.tolist()))
        raise DataError(f"{named}, which the other columns determine exactly", "columns that each add something: leave it out")


def inflation(scaled: np.ndarray) -> np.ndarray:
    """Variance inflation factor of each column but the intercept: the diagonal of the inverse correlation matrix."""
    rest = scaled[:, 1:]
    triangle = np.linalg.qr(rest, mode="r")
    inverse = linalg.solve_triangular(triangle, np.eye(rest.shape[1]))
    return (inverse**2).sum(axis=1) * len(rest)


def condition(scaled: np.ndarray) -> float:
    """Largest over smallest singular value of the standardised columns (without the intercept)."""
    values = np.linalg.svd(scaled[:, 1:], compute_uv=False)
    return float(values[0] / values[-1])
