"""Light or dark: as the system, or as one likes it on this browser."""

from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_LOOK = st.components.v2.component(
    "rapport_look", html='<div class="look"></div>\n', css=(_HERE / "look.css").read_text(), js=(_HERE / "look.js").read_text()
)


def look_switch(addresses: list[str]) -> None:
    """Three buttons. Streamlit keeps the choice per address in the browser, so it is written for all of them; nothing is stored by us."""
    _LOOK(key="look", data={"addresses": addresses, "choices": {"System": "As the system", "Light": "Light", "Dark": "Dark"}})
