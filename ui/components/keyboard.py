"""What keys do on every screen beyond the browser's own: where the cursor is, to whom a key belongs, how the search is gone through."""

from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_KEYBOARD = st.components.v2.component("rapport_keyboard", html="<i></i>\n", js=(_HERE / "keyboard.js").read_text())


def keyboard() -> None:
    """Dialogs begin in their first field, a key belongs to the dialog or the box that one is in, and the cursor is not lost when what had it is
    drawn anew. Once per page."""
    with st.container(key="keyboard"):
        _KEYBOARD(key="keyboard_page", data={"query": None, "first": ""})


def search_keys(query: str, first: str) -> None:
    """In the dialog of the search, below what was found: which words were answered, and the key of the first button, empty without one."""
    with st.container(key="keyboard_search"):
        _KEYBOARD(key="keyboard_found", data={"query": query, "first": first})
