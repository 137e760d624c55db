"""What stands in the sidebar on every page: search, the mark of the demo, who is signed in."""

import streamlit as st

from crm_core.access import Actor
from crm_core.services.admin import workspace
from ui.actions import load
from ui.components.global_search import global_search
from ui.format import md


def sidebar(actor: Actor) -> None:
    """Draw the sidebar's own parts around the menu."""
    space = load(workspace.summary)
    with st.sidebar:
        global_search(actor)
        if space.is_demo:
            with st.container(border=True, gap="small", key="demo_mark"):
                st.markdown(":material/science: **Demo company**")
                st.caption("Made-up people and figures.")
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="user_box"):
            with st.container(gap=None, width="content"):
                st.markdown(f"**{md(actor.name)}**")
                st.caption(md(space.name))
            if st.button("Sign out", key="sign_out", type="tertiary", icon=":material/logout:"):
                st.logout()
