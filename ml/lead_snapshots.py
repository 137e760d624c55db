"""Records as they were: the only honest training data for a score."""

import pandas as pd

from ml.contracts import Column, Contract
from ml.errors import DataError

CHANGES = Contract(
    "CHANGES",
    "one row per change of a field of a record, as the event log holds them",
    (
        Column("record_id", "id", "the record"),
        Column("field", "text", "the field that changed"),
        Column("changed_at", "instant", "when", "UTC"),
    ),
)
MOMENTS = Contract(
    "MOMENTS",
    "one row per snapshot wanted",
    (Column("record_id", "id", "the record"), Column("at", "instant", "as of when", "UTC")),
    key=("record_id", "at"),
)


def snapshots(changes: pd.DataFrame, moments: pd.DataFrame) -> pd.DataFrame:
    """Rebuild records as they stood at given moments.

    Parameters
    ----------
    changes
        ``record_id, field, value, changed_at``: every field's first value and each later one. `value` may be of any
        type, and missing where a field was cleared.
    moments
        ``record_id, at``. A change at the very moment counts; later ones are invisible.

    Returns
    -------
    DataFrame
        One row per moment, in their order: ``record_id, at``, and one column per field, in alphabetical order; missing
        where nothing was known yet.

    Raises
    ------
    DataError
        A missing column, broken stamps, a repeated moment, or a field called ``record_id`` or ``at``.
    """
    if isinstance(changes, pd.DataFrame) and "value" not in changes.columns:
        raise DataError("no column value", "the column value in changes")
    log, wanted = CHANGES.check(changes), MOMENTS.check(moments)
    clash = sorted({"record_id", "at"} & set(log["field"]))
    if clash:
        raise DataError(f"a field called {clash[0]}", "field names other than record_id and at")
    wanted["_row"] = range(len(wanted))
    joined = wanted.merge(log, on="record_id", how="inner")
    seen = joined[joined["changed_at"] <= joined["at"]].sort_values("changed_at", kind="stable")
    last = seen.drop_duplicates(["_row", "field"], keep="last")
    values = last.pivot(index="_row", columns="field", values="value")
    fields = sorted(log["field"].unique())
    values = values.reindex(index=wanted["_row"], columns=fields).infer_objects()
    return pd.concat([wanted[["record_id", "at"]], values.reset_index(drop=True)], axis=1)
