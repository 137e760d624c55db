"""Search over all records, from any page: a button in its bar, or Ctrl+K."""

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import ENTITIES
from crm_core.services import finder
from ui.actions import load
from ui.components.every_screen import search_keys
from ui.format import md
from ui.navigation import go, screen_of


def global_search(actor: Actor) -> None:
    """The search button; its dialog lists what was found, by kind."""
    if st.button("Search", icon=":material/search:", shortcut="ctrl+k", key="open_search"):
        _dialog(actor)


@st.dialog("Search", icon=":material/search:", width="medium")
def _dialog(actor: Actor) -> None:
    query = st.text_input(
        "Search all records", type="search", live=True, placeholder="Name, e-mail, number …", label_visibility="collapsed",
        key="search_all",
    )  # fmt: skip
    if not query:
        st.caption("Type the beginning of a name, e-mail address or number. Every word must occur.")
        return
    hits = [hit for hit in load(finder.find, query) if screen_of(ENTITIES[hit.entity].page) is not None]
    if not hits:
        st.caption("Nothing found that you may see.")
    for hit in hits:
        found = ENTITIES[hit.entity]
        label = f"{md(hit.title)}  :gray[{found.label}]"
        if st.button(label, icon=f":material/{found.icon}:", key=f"hit_{hit.entity}_{hit.id}", type="tertiary", width="stretch"):
            go(found.page, id=hit.id)
    if hits:
        st.caption("Enter opens the first one, the arrow keys lead to the others.")
    search_keys(query, f"hit_{hits[0].entity}_{hits[0].id}" if hits else "")
