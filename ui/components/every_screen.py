"""What holds on every screen beyond the browser's own ways: where the cursor is, to whom a key belongs, how the search is gone through, where Back leads."""

from pathlib import Path

import streamlit as st

from crm_core.kit import numerals

_HERE = Path(__file__).parent
_EVERY_SCREEN = st.components.v2.component("rapport_every_screen", html="<i></i>\n", js=(_HERE / "every_screen.js").read_text())


def every_screen() -> None:
    """Dialogs begin in their first field, a key belongs to the dialog or the box that one is in, the cursor is not lost when what had it is drawn
    anew, and Back leads to the screen from which one came. Once per page."""
    with st.container(key="every_screen"):
        _EVERY_SCREEN(
            key="every_screen_page", data={"query": None, "first": "", "decimal": numerals.decimal_sign(numerals.reader())}
        )


def search_keys(query: str, first: str) -> None:
    """In the dialog of the search, below what was found: which words were answered, and the key of the first button, empty without one."""
    with st.container(key="every_screen_search"):
        _EVERY_SCREEN(key="every_screen_found", data={"query": query, "first": first})
