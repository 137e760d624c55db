"""The bare address: leads on to the first screen that this person has, so that every screen keeps an address of its own."""

import streamlit as st

from crm_core.services.analytics import home_pages
from ui.actions import load
from ui.navigation import go, screens_for
from ui.session import current_actor

FIRST = ("today", "overview")

page, dashboard_id = load(home_pages.target)
if page:
    go(page, id=dashboard_id)
available = [screen.url for screen in screens_for(current_actor()) if not screen.hidden]
if available:
    go(next((url for url in FIRST if url in available), available[0]))
st.info("Your role has no screens yet. Ask an administrator for a role.", icon=":material/lock:")
