"""Forecasts of parts that add up."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ml.errors import DataError

Array = np.ndarray


def reconcile(parts: Mapping[Any, Any], *, total: Any = None, floor: float | None = 0) -> pd.DataFrame:
    """Make the parts add up to the total, period by period.

    Parameters
    ----------
    parts
        Name → `Forecast` (or a table ``ds, yhat, low, high``), all over the same periods.
    total
        A forecast of the total made on its own. Without it the total is the sum of the parts. With it, the gap between
        the two is shared out by how uncertain each side is (the width of its interval, squared): weighted least
        squares with independent errors, Hyndman et al. (2016).
    floor
        No part goes below it; what is cut off is taken from the others.

    Returns
    -------
    DataFrame
        ``unique_id, ds, yhat, low, high``: the parts, then the total under the name ``total``, whose ``yhat`` is the
        exact sum. Intervals keep their widths and move along; the one of a total without its own forecast is the sum of
        the parts' limits: cautious, since the parts need not err together.

    Raises
    ------
    DataError
        No parts, a part called ``total``, missing columns, or different periods.
    """
    if not parts or "total" in parts:
        raise DataError("none" if not parts else "a part called total", "parts by name (total is kept for the sum)")
    frames = {name: _frame(part, str(name)) for name, part in parts.items()}
    stamps = next(iter(frames.values()))["ds"]
    whole = None if total is None else _frame(total, "total")
    for name, frame in {**frames, **({} if whole is None else {"total": whole})}.items():
        if len(frame) != len(stamps) or (frame["ds"].to_numpy() != stamps.to_numpy()).any():
            raise DataError(f"{name} over other periods", "parts and total over the same periods")
    before = np.column_stack([frame["yhat"].to_numpy(dtype=float) for frame in frames.values()])
    low = np.column_stack([frame["low"].to_numpy(dtype=float) for frame in frames.values()])
    high = np.column_stack([frame["high"].to_numpy(dtype=float) for frame in frames.values()])
    after = before if whole is None else _share_out(before, low, high, whole, floor)
    shift = after - before
    rows = [_rows(name, stamps, after[:, k], (low + shift)[:, k], (high + shift)[:, k], floor) for k, name in enumerate(frames)]
    summed = after.sum(axis=1)
    if whole is None:
        rows.append(_rows("total", stamps, summed, low.sum(axis=1), high.sum(axis=1), floor))
    else:
        move = summed - whole["yhat"].to_numpy(dtype=float)
        lower, upper = (whole[side].to_numpy(dtype=float) + move for side in ("low", "high"))
        rows.append(_rows("total", stamps, summed, lower, upper, floor))
    return pd.concat(rows, ignore_index=True)


def _frame(part: Any, name: str) -> pd.DataFrame:
    frame = getattr(part, "forecast", part)
    missing = [c for c in ("ds", "yhat", "low", "high") if c not in getattr(frame, "columns", ())]
    if missing:
        raise DataError(f"no {', '.join(missing)} in {name}", "a Forecast or a table with ds, yhat, low, high")
    if frame[["yhat", "low", "high"]].isna().any().any():
        raise DataError(f"missing values in {name}", "a number in every row of yhat, low and high")
    return frame


def _share_out(before: Array, low: Array, high: Array, whole: pd.DataFrame, floor: float | None) -> Array:
    variance = ((high - low) / 2) ** 2
    of_total = ((whole["high"] - whole["low"]).to_numpy(dtype=float) / 2) ** 2
    gap = whole["yhat"].to_numpy(dtype=float) - before.sum(axis=1)
    room = variance.sum(axis=1) + of_total
    certain = room <= 0  # nobody claims any doubt: meet in the middle, in equal steps
    weight = np.where(certain[:, None], 0.5 / before.shape[1], variance / np.where(certain, 1, room)[:, None])
    after = before + weight * gap[:, None]
    return after if floor is None else _lift(after, floor)


def _lift(values: Array, floor: float) -> Array:
    """Raise what is below the floor and take it from the others in proportion to what they have above it."""
    above = np.maximum(values - floor, 0)
    lacking = np.maximum(floor - values, 0).sum(axis=1)
    have = above.sum(axis=1)
    keep = np.where(have > 0, np.maximum(1 - lacking / np.where(have > 0, have, 1), 0), 0)
    return floor + above * keep[:, None]


def _rows(name: Any, stamps: pd.Series, yhat: Array, low: Array, high: Array, floor: float | None) -> pd.DataFrame:
    if floor is not None:
        low, high = np.maximum(low, floor), np.maximum(high, floor)
    return pd.DataFrame({"unique_id": name, "ds": stamps.to_numpy(), "yhat": yhat, "low": low, "high": high})
