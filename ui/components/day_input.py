"""Inputs of days and instants that are typed in the reader's own order of day, month and year."""

from typing import Any

import streamlit as st

from ui import format as fmt
from ui.session import current_actor


def day_input(label: str, *given: Any, place: Any = st, **more: Any) -> Any:
    """``st.date_input`` as the reader writes days; ``place``: the column or container it stands in."""
    return place.date_input(label, *given, format=fmt.typed_day(current_actor()), **more)


def instant_input(label: str, **more: Any) -> Any:
    """``st.datetime_input`` as the reader writes days."""
    return st.datetime_input(label, format=fmt.typed_day(current_actor()), **more)
