"""A card that two people moved: mine, theirs and where it was, and whose move counts."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from ui import format as fmt


def nothing_to_ask() -> None:
    """No further question."""


@st.dialog("Somebody else moved this meanwhile", icon=":material/call_split:", on_dismiss="rerun")
def moved_twice(
    name: str, places: tuple[str, str, str], move: Callable[[Any], None], ask: Callable[[], Any] = nothing_to_ask
) -> None:
    """``places``: the names of mine, theirs and the one before; ``move`` gets what ``ask`` answers and moves the record to mine all the same."""
    mine, theirs, before = (fmt.md(place) for place in places)
    st.text(name)
    st.table({"Mine": mine, "Theirs": theirs, "Before": before}, border="horizontal")
    answer = ask()
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        if st.button(f"Leave it in {theirs}", type="tertiary", key="clash_theirs"):
            st.rerun()
        if st.button(f"Move to {mine}", type="primary", key="clash_mine"):
            move(answer)
