"""The entry script: who is it, which screens do they have, draw the one they opened."""

from pathlib import Path

import streamlit as st

from crm_core.db import one_connection
from ui.actions import show_messages
from ui.components.halt import banner
from ui.components.sidebar import sidebar
from ui.failure import with_closed
from ui.navigation import sections_for
from ui.session import begin_run

st.set_page_config(page_title="Rapport", page_icon=str(Path(__file__).parent / "static" / "icon.svg"), layout="wide")
st.logo(
    str(Path(__file__).parent / "static" / "logo.svg"), size="medium", icon_image=str(Path(__file__).parent / "static" / "icon.svg")
)

st.html(Path(__file__).parent / "static" / "contrast.css")
if st.context.theme.type == "dark":
    st.html(Path(__file__).parent / "static" / "print_dark.css")
with one_connection():
    actor = begin_run()
    page = st.navigation(with_closed(sections_for(actor), actor), expanded=True)
    st.session_state["_arrived"] = st.session_state.get("_at") != page.url_path  # a list opens with its default view then
    st.session_state["_at"] = page.url_path
    if st.session_state["_arrived"] and "q" not in st.query_params:
        st.session_state.pop("q", None)  # what was searched on one screen is not searched on the next
    sidebar(actor)
    show_messages()
    banner()
    page.run()
