"""Orders boiled down to one history per customer: ``(x, t_x, T)`` and the mean spend."""

import numpy as np
import pandas as pd

from ml.contracts import ORDERS, Column, Contract, instant, known_by
from ml.errors import DataError

Array = np.ndarray
UNITS = {"day": 1.0, "week": 7.0, "month": 30.4375}
SUMMARY = Contract(
    "SUMMARY",
    "one row per customer, as `ml.lifetime.summary` makes it",
    (
        Column("customer_id", "id", "who", required=False),
        Column("x", "number", "repeat purchases (days with an order, after the first)", "days with an order", minimum=0),
        Column("t_x", "number", "age at the last purchase", "unit of the summary", minimum=0),
        Column("T", "number", "age at the as-of date", "unit of the summary", minimum=0),
        Column("monetary", "number", "mean revenue of the repeat purchases", "money", required=False, minimum=0),
    ),
)


def summary(orders: pd.DataFrame, *, as_of: object, unit: str = "week") -> pd.DataFrame:
    """Each customer's history in four numbers.

    Parameters
    ----------
    orders
        ORDERS. Several orders of a customer on one day (UTC) count as one purchase.
    as_of
        The moment of looking, inclusive: a bare date means its midnight. Later orders are invisible.
    unit
        ``day``, ``week`` or ``month`` (30.4375 days): the unit of `t_x` and `T`.

    Returns
    -------
    DataFrame
        Sorted by customer: ``customer_id``, ``x`` (repeat purchases), ``t_x`` (age at the last of them; 0 without),
        ``T`` (age at `as_of`), ``monetary`` (mean revenue of a repeat purchase; 0 without). ``attrs["unit"]``.

    Raises
    ------
    DataError
        Broken orders, none by `as_of`, or an unknown unit.
    """
    length = days_per(unit)
    seen = known_by(ORDERS.check(orders), "ordered_at", as_of)
    today = whole_days(pd.Series([instant(as_of)]))[0]  # type: ignore[arg-type]
    code, customers = pd.factorize(seen["customer_id"], sort=True)
    day = whole_days(seen["ordered_at"])
    origin, span = int(day.min()), int(day.max() - day.min()) + 1
    visits, which = np.unique(code.astype(np.int64) * span + (day - origin), return_inverse=True)
    spent = np.bincount(which, weights=seen["revenue"].to_numpy(dtype=float))
    who, when = np.divmod(visits, span)
    starts = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
    ends = np.r_[starts[1:], len(who)] - 1
    x = (ends - starts).astype(float)
    repeat_spend = np.add.reduceat(spent, starts) - spent[starts]
    table = pd.DataFrame(
        {
            "customer_id": customers,
            "x": x,
            "t_x": (when[ends] - when[starts]) / length,
            "T": (today - origin - when[starts]) / length,
            "monetary": repeat_spend / np.maximum(x, 1),
        }
    )
    table.attrs["unit"] = unit
    return table


def purchases_between(orders: pd.DataFrame, customers: pd.Series, start: object, end: object) -> Array:
    """Days with an order after the day of `start` until `end`, per customer of the list."""
    clean = known_by(ORDERS.check(orders), "ordered_at", end)
    day = pd.Series(whole_days(clean["ordered_at"]), index=clean.index)
    first = whole_days(pd.Series([instant(start)]))[0]  # type: ignore[arg-type]
    later = pd.DataFrame({"customer_id": clean["customer_id"], "day": day})[day > first].drop_duplicates()
    counts = later.groupby("customer_id").size()
    return counts.reindex(customers).fillna(0).to_numpy(dtype=float)


def days_per(unit: str) -> float:
    """Length of a unit in days."""
    if unit not in UNITS:
        raise DataError(repr(unit), f"a unit among {', '.join(UNITS)}")
    return UNITS[unit]


def unit_of(table: pd.DataFrame, unit: str | None) -> str:
    """The unit of a summary: as said, or as noted in its attributes."""
    chosen = unit or table.attrs.get("unit", "week")
    days_per(chosen)
    return chosen


def whole_days(moments: pd.Series) -> Array:
    """Whole days since 1970, UTC."""
    return moments.dt.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int64)


def check_summary(table: pd.DataFrame, require: tuple[str, ...] = ()) -> pd.DataFrame:
    """A clean summary whose three numbers make sense together."""
    clean = SUMMARY.check(table, require=require)
    x, t_x, T = triple(clean)
    if (x != np.floor(x)).any():
        raise DataError("fractions in x", "whole numbers of repeat purchases")
    if (t_x > T + 1e-9).any():
        raise DataError(f"{int((t_x > T + 1e-9).sum()):,} customers whose last purchase lies after today", "t_x up to T")
    if ((x > 0) & (t_x <= 0)).any():
        raise DataError("repeat purchases at age 0", "t_x above 0 wherever x is")
    return clean


def triple(clean: pd.DataFrame) -> tuple[Array, Array, Array]:
    """``(x, t_x, T)`` as arrays."""
    return tuple(clean[name].to_numpy(dtype=float) for name in ("x", "t_x", "T"))  # type: ignore[return-value]
