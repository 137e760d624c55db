"""The rows a score may learn from: checked, with a known outcome, oldest first, split by time."""

import numpy as np
import pandas as pd

from ml.contracts import Column, Contract, instant
from ml.errors import DataError

Array = np.ndarray
MIN_EACH = 30
TEST_SHARE = 0.25


def training_rows(
    table: pd.DataFrame,
    outcome: str,
    at: str | None,
    outcome_at: str | None,
    edited: dict[str, str],
    as_of: object | None,
    time_split: bool,
) -> tuple[pd.DataFrame, Array, list[str]]:
    """Checked rows with a known outcome, oldest first, the outcome as 0/1, and what to tell about the others."""
    if at is None and time_split:
        raise DataError("no column at", "the column of scoring moments for a split by time (or time_split=False)")
    columns = [Column(name, "instant", "scoring moment") for name in [at] if name]
    if isinstance(table, pd.DataFrame) and outcome not in table.columns:
        raise DataError(f"no column {outcome}", f"the outcome in a column {outcome}")
    rows = Contract("SNAPSHOTS", "one row per record at its scoring moment", tuple(columns)).check(table)
    dates = [str(name) for name in rows.columns if pd.api.types.is_datetime64_any_dtype(rows[name]) and name != at]
    for name in {outcome_at, *edited.values(), *dates} - {None}:
        rows[name] = _optional_instants(rows, str(name))
    if as_of is not None and at is None:
        raise DataError("as_of without at", "the column of scoring moments to hide later ones")
    known = rows[outcome].notna()
    if as_of is not None:
        moment = instant(as_of)  # type: ignore[arg-type]
        past = rows[at] <= moment
        if outcome_at is not None:
            known &= rows[outcome_at].isna() | (rows[outcome_at] <= moment)
        rows, known = rows[past], known[past]
    open_rows = int((~known).sum())
    rows = rows[known]
    y = _zero_one(rows[outcome], outcome)
    positives = int(y.sum())
    if min(positives, len(y) - positives) < MIN_EACH:
        raise DataError(
            f"{positives} with and {len(y) - positives} without", f"at least {MIN_EACH} rows with and without {outcome}"
        )
    if at is not None:
        order = np.argsort(rows[at].to_numpy(), kind="stable")
        rows, y = rows.iloc[order], y[order]
    notes = [f"{open_rows:,} rows without an outcome yet were left out of the training."] if open_rows else []
    return rows.reset_index(drop=True), y, notes


def _optional_instants(rows: pd.DataFrame, name: str) -> pd.Series:
    if name not in rows.columns:
        raise DataError(f"no column {name}", f"the moments in a column {name}")
    known = rows[name].notna()
    contract = Contract("SNAPSHOTS", "", (Column(name, "instant", ""),))
    result = pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us, UTC]")
    if known.any():
        result[known] = contract.check(rows.loc[known, [name]])[name].to_numpy()
    return result


def _zero_one(values: pd.Series, name: str) -> Array:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if not np.isin(numbers, (0.0, 1.0)).all():
        odd = values[~np.isin(numbers, (0.0, 1.0))].iloc[0]
        raise DataError(f"{odd!r} in {name}", f"0 or 1 (or True and False) in {name}")
    return numbers


def field_names(rows: pd.DataFrame, features: list[str] | None, special: set[str | None]) -> list[str]:
    if features is None:
        return [str(name) for name in rows.columns if name not in special]
    missing = [name for name in features if name not in rows.columns]
    if missing:
        raise DataError(f"no {', '.join(missing)}", "every field named in features")
    return [name for name in features if name not in special]


def split_by_time(moments: pd.Series | None, time_split: bool, y: Array) -> tuple[Array, Array | None]:
    """Earlier and later rows; rows of one moment stay on one side."""
    everything = np.arange(len(y))
    if not time_split or moments is None:
        return everything, None
    cut = moments.iloc[int(len(y) * (1 - TEST_SHARE))]
    late = (moments >= cut).to_numpy()
    if late.all() or not late.any():
        raise DataError("one scoring moment", "scoring moments on different days to split by time (or time_split=False)")
    early, later = everything[~late], everything[late]
    for part, when in ((early, "earlier"), (later, "later")):
        positives = int(y[part].sum())
        if min(positives, len(part) - positives) < 5:
            found = f"{positives} with and {len(part) - positives} without among the {when} rows"
            raise DataError(found, "at least 5 rows of both outcomes before and after the split (or time_split=False)")
    return early, later
