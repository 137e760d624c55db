"""What the runs of the command line share: reading a file, naming a column."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from ml.errors import DataError

Tell = Callable[[float, str], None]
Result = dict[str, Any]
"""Name → table, mapping, list of sentences or single value, in the order to be shown."""


def read(path: str) -> pd.DataFrame:
    """A CSV, TSV or parquet file as a table.

    Raises
    ------
    DataError
        No such file, or nothing that can be read as a table.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"no file {path}", "a CSV or parquet file")
    try:
        if file.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(file)
        return pd.read_csv(file, sep="\t" if file.suffix.lower() == ".tsv" else ",")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError, ValueError) as broken:
        raise DataError(f"{file.name}: {str(broken).splitlines()[0]}", "a CSV or parquet file with a header") from None


def column(data: pd.DataFrame, name: str) -> pd.Series:
    if name not in data.columns:
        raise DataError(f"only {', '.join(map(str, data.columns[:12]))}", f"the column {name}")
    return data[name]


def whole(text: str) -> int:
    if not text.isdigit():
        raise DataError(repr(text), "auto or a whole number")
    return int(text)


def share_or_date(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def like(example: Any, text: str) -> Any:
    """Text from the command line as the kind of value that stands in the column (ids 7 and "7" are not equal)."""
    if isinstance(example, str):
        return text
    try:
        return type(example)({"True": 1, "False": 0}.get(text, text)) if isinstance(example, bool) else type(example)(text)
    except (TypeError, ValueError):
        return text
