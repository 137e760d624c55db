"""What each frame that enters `ml` has to look like: columns, dtypes, units. ``ORDERS.check(frame)`` is the door.

The rule for instants: a value with an offset is converted to UTC; a column without any zone is read as UTC; a column
that mixes values with and without a zone is refused, since nobody can say what the bare ones mean. SERIES alone carries
calendar stamps: after the same reading the zone is dropped, as Prophet and the Nixtla libraries expect.

Every ``check`` returns a cleaned copy with a fresh index and leaves the frame it was given alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from ml.errors import DataError

Kind = Literal["id", "text", "instant", "stamp", "number", "path"]


@dataclass(frozen=True)
class Column:
    """One column of a contract: its name, kind, unit and meaning."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    required: bool = True
    minimum: float | None = None

    @property
    def help(self) -> str:
        """One line for ``--help``."""
        need = "required" if self.required else "optional"
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.name:<12} {self.kind:<8} {need:<9} {self.meaning}{unit}"


@dataclass(frozen=True)
class Contract:
    """A named frame: what one row is, its columns, and which columns together must be unique."""

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    merge_by: str = ""

    @property
    def required(self) -> list[str]:
        """Names of the columns that must be there."""
        return [column.name for column in self.columns if column.required]

    @property
    def help(self) -> str:
        """The contract as a block of text for ``--help``."""
        lines = [f"{self.name}: {self.row}", *(f"  {column.help}" for column in self.columns)]
        return "\n".join(lines)

    def check(self, frame: pd.DataFrame, *, require: tuple[str, ...] = (), allow_negative: bool = False) -> pd.DataFrame:
        """Return a cleaned copy, or say what is wrong.

        Parameters
        ----------
        frame
            The table to check; columns the contract does not know are kept as they are.
        require
            Optional columns of the contract that this caller cannot do without.
        allow_negative
            Keep numbers below the column's minimum (refunds, returns) instead of refusing them.

        Raises
        ------
        DataError
            Not a table, empty, a column missing or of the wrong kind, a missing or infinite value, a number below its
            minimum, mixed time zones, or a repeated key.
        """
        self._check_shape(frame, require)
        clean = frame.reset_index(drop=True)
        for column in self.columns:
            if column.name not in clean.columns:
                continue
            values = _READERS[column.kind](clean[column.name], f"{self.name}.{column.name}")
            if column.minimum is not None and not allow_negative:
                _refuse_below(values, column, self.name)
            clean[column.name] = values
        self._refuse_duplicates(clean)
        return self._merge(clean) if self.merge_by else clean

    def _merge(self, clean: pd.DataFrame) -> pd.DataFrame:
        """Rows that mean the same are one row with their numbers summed."""
        if not clean[self.merge_by].duplicated().any():
            return clean
        numbers = [column.name for column in self.columns if column.kind == "number"]
        return clean.groupby(self.merge_by, sort=False, as_index=False)[numbers].sum()

    def _check_shape(self, frame: pd.DataFrame, require: tuple[str, ...]) -> None:
        if not isinstance(frame, pd.DataFrame):
            raise DataError(f"a {type(frame).__name__}", f"a table of {self.name.lower()} (a DataFrame)")
        doubled = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
        if doubled:
            raise DataError(f"{', '.join(doubled)} more than once", f"each column of {self.name.lower()} once")
        missing = [name for name in (*self.required, *require) if name not in frame.columns]
        if missing:
            has = ", ".join(map(str, frame.columns[:12])) or "no columns"
            raise DataError(f"only {has}", f"the columns {', '.join(missing)} in {self.name.lower()}")
        if frame.empty:
            raise DataError("none", f"at least one row of {self.name.lower()}")

    def _refuse_duplicates(self, clean: pd.DataFrame) -> None:
        key = [name for name in self.key if name in clean.columns]
        if not key:
            return
        repeated = clean.duplicated(subset=key)
        if repeated.any():
            example = clean[key].iloc[int(repeated.to_numpy().argmax())].tolist()
            shown = ", ".join(map(str, example))
            raise DataError(
                f"{int(repeated.sum()):,} repeated (for example {shown})",
                f"each {' and '.join(key)} once in {self.name.lower()}",
            )


def instant(value: object, name: str = "as_of") -> pd.Timestamp:
    """One moment (text, date, datetime, Timestamp) as a UTC timestamp, by the columns' rule: no zone means UTC.

    Raises
    ------
    DataError
        The value is not a date or a moment.
    """
    try:
        moment = pd.Timestamp(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        raise DataError(repr(value), f"a date or a moment for {name}") from None
    if moment is pd.NaT or pd.isna(moment):
        raise DataError("nothing", f"a date or a moment for {name}")
    return (moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")).as_unit("us")


def instants(values: pd.Series, name: str) -> pd.Series:
    """A whole column as UTC instants, by the contracts' rule; missing values are refused."""
    return _read_instant(values, name)


def known_by(frame: pd.DataFrame, column: str, as_of: object) -> pd.DataFrame:
    """The rows of a checked frame that had happened by `as_of` (inclusive): the future stays hidden.

    Raises
    ------
    DataError
        Nothing had happened yet.
    """
    moment = instant(as_of)
    past = frame[frame[column] <= moment]
    if past.empty:
        first = frame[column].min()
        raise DataError(f"the first one at {first:%Y-%m-%d}", f"at least one row on or before {moment:%Y-%m-%d}")
    return past.reset_index(drop=True)


def finite(values: object, name: str) -> np.ndarray:
    """Numbers as a float array without holes.

    Raises
    ------
    DataError
        Text that is no number, a missing value, an infinity, or a whole table where one column is meant.
    """
    if isinstance(values, pd.DataFrame):
        raise DataError(f"a table of {values.shape[1]} columns", f"one column of numbers for {name}")
    series = values if isinstance(values, pd.Series) else pd.Series(np.asarray(values).ravel())
    return _read_number(series, name).to_numpy(dtype=float)


_ISO = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:?\d{2}(?::?\d{2}(?:[.,]\d+)?)?\s?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)?)?"
_ZONE = r"(?:Z|UTC|:\d{2}\s?[+-]\d{2}(?::?\d{2})?|\.\d+\s?[+-]\d{2}(?::?\d{2})?)$"


def _read_id(values: pd.Series, name: str) -> pd.Series:
    _refuse_missing(values, name)
    if values.dtype == object and values.map(type).nunique() > 1:
        return values.astype(str)  # 7 and "7" in one column cannot be sorted or joined
    return values


def _read_text(values: pd.Series, name: str) -> pd.Series:
    _refuse_missing(values, name)
    return values if isinstance(values.dtype, pd.CategoricalDtype) else values.astype(str)


def _read_number(values: pd.Series, name: str) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
        raise DataError(f"dates in {name}", f"numbers in {name}")
    numbers = values
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_complex_dtype(values):
        numbers = pd.to_numeric(values.astype(object), errors="coerce")
        broken = numbers.isna() & values.notna()
        if broken.any():
            raise DataError(f"{values[broken].iloc[0]!r} in {name}", f"numbers in {name}")
    _refuse_missing(numbers, name)
    floats = numbers.astype(float)
    endless = np.isinf(floats.to_numpy())
    if endless.any():
        raise DataError(f"{int(endless.sum()):,} infinite values in {name}", f"finite numbers in {name}")
    return floats


def _read_instant(values: pd.Series, name: str) -> pd.Series:
    _refuse_missing(values, name)
    if pd.api.types.is_numeric_dtype(values):
        raise DataError(f"bare numbers in {name}", f"dates in {name}")
    if not pd.api.types.is_datetime64_any_dtype(values):
        values = _parse_instants(values, name)
    zoned = values.dt.tz_localize("UTC") if values.dt.tz is None else values.dt.tz_convert("UTC")
    return zoned.dt.as_unit("us")


def _parse_instants(values: pd.Series, name: str) -> pd.Series:
    """Text and Python dates become instants; bare and zoned values in one column are refused."""
    parsed = _parse_text(values, name) if pd.api.types.is_string_dtype(values) else _parse_objects(values, name)
    _refuse_missing(parsed, name)
    return parsed


def _parse_text(values: pd.Series, name: str) -> pd.Series:
    """Year-first text only: "01-03-17" would silently be read as January or March, row by row."""
    text = values.astype("str").str.strip()
    other = ~text.str.fullmatch(_ISO)
    if other.any():
        raise DataError(f"{text[other].iloc[0]!r} in {name}", "dates written year first, such as 2024-03-31 14:05")
    zoned = text.str.contains(_ZONE)
    _refuse_mixed_zones(zoned.nunique(), name)
    try:
        return pd.to_datetime(text, format="ISO8601", utc=True)
    except (ValueError, OverflowError):
        raise DataError(f"a day that does not exist in {name}", "dates of the calendar") from None


def _parse_objects(values: pd.Series, name: str) -> pd.Series:
    try:
        each = {value: instant(value, name) for value in values.unique()}
        bare = {pd.Timestamp(value).tzinfo is None for value in each}
    except DataError:
        raise DataError(f"something that is no date in {name}", f"dates in {name}") from None
    _refuse_mixed_zones(len(bare), name)
    return pd.Series(pd.DatetimeIndex([each[value] for value in values]), index=values.index)


def _refuse_mixed_zones(kinds: int, name: str) -> None:
    if kinds > 1:
        raise DataError(f"some values of {name} with a time zone and some without", "one of the two throughout")


def _read_stamp(values: pd.Series, name: str) -> pd.Series:
    return _read_instant(values, name).dt.tz_localize(None)


def _read_path(values: pd.Series, name: str) -> pd.Series:
    """Journeys as tuples of channel names; ``"a > b"`` is understood too."""
    _refuse_missing(values, name)
    paths = [_as_path(value, name) for value in values]
    return pd.Series(paths, index=values.index, dtype=object)


def _as_path(value: Any, name: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(">")]
    if not isinstance(value, tuple | list | np.ndarray) or len(value) == 0 or not all(map(_is_channel, value)):
        raise DataError(f"{value!r} in {name}", "a path of at least one channel name in every row")
    return tuple(map(str, value))


def _is_channel(value: Any) -> bool:
    return isinstance(value, str | int) and str(value) != ""


def _refuse_missing(values: pd.Series, name: str) -> None:
    missing = values.isna()
    if missing.any():
        count = int(missing.sum())
        raise DataError(f"{count:,} missing {'value' if count == 1 else 'values'}", f"a value in every row of {name}")


def _refuse_below(values: pd.Series, column: Column, contract: str) -> None:
    below = values < column.minimum
    if below.any():
        raise DataError(
            f"{int(below.sum()):,} below {column.minimum:g} (lowest {values.min():g})",
            f"{column.name} of at least {column.minimum:g} in {contract.lower()} (net refunds against the order)",
        )


_READERS: dict[str, Callable[[pd.Series, str], pd.Series]] = {
    "id": _read_id,
    "text": _read_text,
    "instant": _read_instant,
    "stamp": _read_stamp,
    "number": _read_number,
    "path": _read_path,
}

_MONEY = "workspace currency, major units, net of tax"

ORDERS = Contract(
    "ORDERS",
    "one row per order",
    (
        Column("order_id", "id", "identifies the order, once"),
        Column("customer_id", "id", "who bought; leave out guests first"),
        Column("ordered_at", "instant", "when it was placed", "UTC"),
        Column("revenue", "number", "what it was worth after refunds", _MONEY, minimum=0),
    ),
    key=("order_id",),
)

ORDER_LINES = Contract(
    "ORDER_LINES",
    "one row per product line of an order; a product may appear twice in an order",
    (
        Column("order_id", "id", "the order (the basket)"),
        Column("product_id", "id", "the product"),
        Column("quantity", "number", "pieces", "units"),
        Column("revenue", "number", "the line's worth; below zero for a return", _MONEY),
        Column("customer_id", "id", "who bought", required=False),
        Column("ordered_at", "instant", "when the order was placed", "UTC", required=False),
        Column("category", "text", "the product's category", required=False),
        Column("unit_price", "number", "price of one piece", _MONEY, required=False, minimum=0),
    ),
)

TOUCHPOINTS = Contract(
    "TOUCHPOINTS",
    "one row per contact of a customer with a channel",
    (
        Column("customer_id", "id", "who was touched"),
        Column("at", "instant", "when", "UTC"),
        Column("channel", "text", "by which channel"),
        Column("campaign", "text", "in which campaign", required=False),
        Column("cost", "number", "what the touch cost", _MONEY, required=False, minimum=0),
    ),
)

CONVERSIONS = Contract(
    "CONVERSIONS",
    "one row per conversion",
    (
        Column("customer_id", "id", "who converted"),
        Column("at", "instant", "when", "UTC"),
        Column("value", "number", "what it was worth", _MONEY, minimum=0),
    ),
)

PATHS = Contract(
    "PATHS",
    "one row per distinct journey",
    (
        Column("path", "path", "channels in order, as a tuple or as 'a > b'"),
        Column("conversions", "number", "journeys of this kind that converted", "journeys", minimum=0),
        Column("value", "number", "what those were worth together", _MONEY, minimum=0),
        Column("nulls", "number", "journeys of this kind that did not convert", "journeys", minimum=0),
    ),
    merge_by="path",
)

SERIES = Contract(
    "SERIES",
    "one row per period (and series)",
    (
        Column("ds", "stamp", "start of the period", "calendar stamp, read as UTC, zone dropped"),
        Column("y", "number", "the measured value", "any"),
        Column("unique_id", "id", "which series, when there are several", required=False),
    ),
    key=("unique_id", "ds"),
)

CUSTOMERS = Contract(
    "CUSTOMERS",
    "one row per customer, with any further attributes, numeric or categorical",
    (Column("customer_id", "id", "identifies the customer, once"),),
    key=("customer_id",),
)

ALL: dict[str, Contract] = {
    contract.name: contract for contract in (ORDERS, ORDER_LINES, TOUCHPOINTS, CONVERSIONS, PATHS, SERIES, CUSTOMERS)
}
