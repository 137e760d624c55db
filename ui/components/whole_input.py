"""An input of a whole number that keeps what was typed: Streamlit's own cuts decimals off without a word, and what is beyond its bounds is never sent."""

from typing import Any

import streamlit as st

from ui.actions import WHOLE_FIELDS, no_whole


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
    if problem := no_whole(typed, low, high):
        place.caption(f":red[{problem}]")
        return float(typed)
    return int(typed)


def whole_number(label: str, low: int, high: int, value: int, *, key: str, place: Any = st, **more: Any) -> int:
    """``whole_input`` for what is saved as it stands here: as long as the field shows anything else, ``perform`` refuses with a sentence that names it."""
    found = whole_number_or_none(label, low, high, value, key=key, place=place, **more)
    return value if found is None else min(max(found, low), high)


def whole_number_or_none(
    label: str, low: int | None, high: int | None, value: int | None, *, key: str, place: Any = st, **more: Any
) -> int | None:
    """``whole_number`` of a field that may be empty."""
    st.session_state.setdefault(WHOLE_FIELDS, {})[key] = (label, low, high)
    typed = whole_input(label, value, low=low, high=high, key=key, place=place, **more)
    return None if typed is None else int(typed)
