"""Like with like: the difference a factor goes with among rows that agree in other columns, beside the plain difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ml.contracts import finite
from ml.errors import DataError
from ml.kpis import check_level

PARTS = 3  # numbers are cut into thirds before rows are compared
FEWEST = 10


@dataclass(frozen=True)
class Matched:
    """A difference in the mean outcome between rows with and without something.

    Attributes
    ----------
    plain, plain_low, plain_high
        Between all rows.
    estimate, low, high
        Between rows that agree in every column matched on (thirds of numbers), weighted to the rows *with* it; missing
        when fewer than ten of them have a counterpart.
    treated, control
        Rows with and without.
    matched
        Share of the rows with it that have a counterpart.
    """

    plain: float
    plain_low: float
    plain_high: float
    estimate: float
    low: float
    high: float
    treated: int
    control: int
    matched: float


def compare_alike(frame: pd.DataFrame, *, outcome: str, treated: object, alike: Sequence[str], level: float = 0.95) -> Matched:
    """Compare rows with and without something, all and among their likes.

    Parameters
    ----------
    frame
        One row per case.
    outcome
        Numeric column (0/1 for shares).
    treated
        One truth value per row.
    alike
        Columns in which compared rows must agree: numbers by thirds, everything else as it is.

    Raises
    ------
    DataError
        Missing columns, different lengths, or nobody on one side.

    Notes
    -----
    Exact matching on coarsened columns (Iacus, King & Porro 2012), difference of means per cell weighted by its treated
    rows. It removes what the columns explain and nothing else: an unseen reason stays.
    """
    z = float(stats.norm.ppf(0.5 + check_level(level) / 2))
    missing = [name for name in (outcome, *alike) if name not in frame.columns]
    flags = np.asarray(treated, dtype=bool)
    if missing or len(flags) != len(frame):
        raise DataError(
            f"no {', '.join(missing)}" if missing else f"{len(flags)} flags for {len(frame)} rows",
            "the columns, and one flag per row",
        )
    y = finite(frame[outcome], outcome)
    if flags.all() or not flags.any():
        raise DataError("one side only", "rows with and rows without it")
    plain, error = _difference(y[flags], y[~flags])
    cells = _cells(frame, alike)
    work = pd.DataFrame({"cell": cells, "y": y, "treated": flags})
    sums: Any = work.groupby(["cell", "treated"])["y"].agg(["size", "mean", "var"]).unstack("treated")
    both = sums.dropna(subset=[("size", True), ("size", False)])
    n1, n0 = both[("size", True)].to_numpy(float), both[("size", False)].to_numpy(float)
    share = float(n1.sum() / flags.sum())
    if n1.sum() < FEWEST:
        return Matched(
            plain, plain - z * error, plain + z * error, np.nan, np.nan, np.nan, int(flags.sum()), int((~flags).sum()), share
        )
    weight = n1 / n1.sum()
    estimate = float((weight * (both[("mean", True)] - both[("mean", False)]).to_numpy()).sum())
    pooled = _pooled(work[work["cell"].isin(both.index)])
    variance = float((weight**2 * pooled * (1 / n1 + 1 / n0)).sum())
    half = z * np.sqrt(variance)
    return Matched(
        plain, plain - z * error, plain + z * error, estimate, estimate - half, estimate + half, int(flags.sum()),
        int((~flags).sum()), share,
    )  # fmt: skip


def _difference(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    spread = [part.var(ddof=1) / len(part) if len(part) > 1 else part.var() for part in (one, other)]
    return float(one.mean() - other.mean()), float(np.sqrt(sum(spread)))


def _cells(frame: pd.DataFrame, alike: Sequence[str]) -> np.ndarray:
    if not alike:
        return np.zeros(len(frame), dtype=int)
    parts = [_coarse(frame[name]) for name in alike]
    return pd.MultiIndex.from_arrays(parts).factorize()[0]


def _coarse(values: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and values.nunique() > PARTS:
        edges = values.quantile(np.arange(1, PARTS) / PARTS).to_numpy()
        return np.where(values.isna(), -1, np.searchsorted(edges, values.fillna(0).to_numpy(), side="left"))
    return pd.factorize(values.astype(object))[0]


def _pooled(work: pd.DataFrame) -> float:
    """Variance within cells and sides: single rows have none of their own."""
    groups = work.groupby(["cell", "treated"])["y"]
    freedom = len(work) - groups.ngroups
    within = float(((work["y"] - groups.transform("mean")) ** 2).sum())
    return within / freedom if freedom > 0 else float(work["y"].var(ddof=0))
