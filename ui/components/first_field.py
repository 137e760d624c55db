"""A dialog opened by a key waits for words: its first field gets the focus, once."""

from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_FOCUS = st.components.v2.component("rapport_first_field", html="<i></i>\n", js=(_HERE / "first_field.js").read_text())


def first_field(key: str) -> None:
    """Put the cursor into the first text field of the open dialog."""
    with st.container(height=1, border=False, key=f"focus_{key}"):
        _FOCUS(key=f"first_field_{key}", data={})
