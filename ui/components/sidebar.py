"""What stands on every page: search and bell in its bar; in the sidebar the pinned views, the mark of the demo, who is signed in."""

import streamlit as st

from crm_core.access import Actor
from crm_core.services.admin import workspace
from crm_core.vocabulary import Action
from ui.actions import perform
from ui.cache import cached
from ui.components.demo_roles import role_switcher
from ui.components.every_screen import every_screen
from ui.components.global_search import global_search
from ui.components.notes import bell
from ui.components.pinned_views import pinned_links
from ui.format import md
from ui.navigation import page_of


def _ask() -> None:
    st.session_state["_leave_demo"] = True


@st.dialog("Leave the demo?")
def _leave() -> None:
    from crm_core.services.admin import demo  # what builds the demo is much to load for a button that few press

    st.markdown("The demo company goes, with everything that you changed in it. Next you can start with your own data.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Stay", key="demo_stay"):
            st.rerun()
        if st.button("Remove the demo", type="primary", key="demo_remove"):
            with st.spinner("Removing the demo …"):
                gone = perform(demo.remove)
            if gone is not None:
                st.logout()
                st.stop()  # drawing on would find the session gone and send the browser away a second time
            st.rerun()


def sidebar(actor: Actor) -> None:
    """Draw the sidebar's own parts around the menu."""
    space = cached(workspace.summary, entities=(), tables=("organisation",))
    if st.session_state.pop("_leave_demo", False):
        _leave()
    with st.container(key="bell_box", horizontal=True, gap="small"):  # the sidebar is long, and closed on telephones
        global_search(actor)
        bell(actor)
    with st.sidebar:
        every_screen()
        pinned_links(actor)
        if space.is_demo:
            with st.container(border=True, gap="small", key="demo_mark"):
                st.markdown(":material/science: **Demo company**")
                st.caption("Made-up people and figures.")
                role_switcher(actor)
                planted = page_of(actor, "truth")
                if planted is not None:
                    st.page_link(planted, label="What was planted", icon=":material/fact_check:")
                if actor.can("organisation", Action.MANAGE):
                    st.button(
                        "Leave the demo",
                        key="leave_demo",
                        type="tertiary",
                        icon=":material/logout:",
                        on_click=_ask,
                        width="stretch",
                    )
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="user_box"):
            with st.container(gap=None, width="content"):
                st.page_link(page_of(actor, "profile"), label=f"**{md(actor.name)}**", help="Your account")  # type: ignore[arg-type]
                st.caption(md(space.name))
            bin_page = page_of(actor, "bin")
            if bin_page is not None:
                st.page_link(bin_page, label="Bin", icon=":material/delete:", help="What was deleted, and the way back")
            if st.button("Sign out", key="sign_out", type="tertiary", icon=":material/logout:"):
                st.logout()
                st.stop()
