"""An input of a whole number that keeps what was typed: Streamlit's own cuts decimals off without a word, and what is beyond its bounds is never sent."""

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
    """The number that was typed, None for none. One with decimals, below ``low`` or above ``high`` stays in the field with a sentence beneath it, and is
    given back as a float: what takes it refuses it with a sentence of its own. ``place``: the column or container; ``more``: as ``st.number_input``
    takes it."""
    typed = place.number_input(label, value=None if value is None else float(value), step=float(step), format="%.15g", **more)
    if typed is None:
        return None
    if typed != int(typed):
        place.caption(f":red[{typed!r} is no whole number. Type one without decimals.]")
    elif low is not None and typed < low:
        place.caption(f":red[{typed:.15g} is too low. Type {low} or more.]")
    elif high is not None and typed > high:
        place.caption(f":red[{typed:.15g} is too high. Type {high} or less.]")
    else:
        return int(typed)
    return float(typed)
