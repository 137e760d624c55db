"""An input of a whole number that keeps what was typed: Streamlit's own cuts decimals off without a word."""

from typing import Any

import streamlit as st


def whole_input(
    label: str,
    value: int | None = None,
    *,
    low: int | None = None,
    high: int | None = None,
    step: int = 1,
    place: Any = st,
    **more: Any,
) -> int | float | None:
    """The number that was typed, None for none. One with decimals stays in the field with a sentence beneath it, and is given back as it is: what
    takes it refuses it with a sentence of its own. ``place``: the column or container; ``more``: as ``st.number_input`` takes it."""
    bounds = {"min_value": None if low is None else float(low), "max_value": None if high is None else float(high)}
    typed = place.number_input(
        label, value=None if value is None else float(value), **bounds, step=float(step), format="%g", **more
    )
    if typed is None or typed == int(typed):
        return None if typed is None else int(typed)
    place.caption(f":red[{typed!r} is no whole number. Type one without decimals.]")
    return typed
