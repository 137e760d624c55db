"""What lists of records have in common, those of the bin too: the search box, the page that is asked for, how many there are."""

import streamlit as st

from crm_core.entities import entity
from ui import format as fmt
from ui.addresses import number


def search_box(what: str) -> str:
    """What is searched for, as typed or as the address says; empty when nothing is. ``what``: the words in the empty box."""
    q = st.text_input(
        "Search",
        type="search",
        live=True,
        placeholder=f"Search {what}",
        label_visibility="collapsed",
        key="q",
        bind="query-params",
        width=220,
        on_change=first_page,
    )
    return q or ""


def first_page() -> None:
    """Back to the first page: another list is asked for."""
    st.session_state["page"] = 1


def page_asked() -> int:
    """The page that is asked for, from 1: chosen below the list, or in the address."""
    return int(st.session_state.get("page") or number("page") or 1)


def counted(entity_key: str, count: int) -> str:
    """``3 deals``."""
    found = entity(entity_key)
    return fmt.plural(count, found.label.lower(), found.plural.lower())
