"""A link to a list with a filter already set: how a number leads to the records behind it."""

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import entity
from ui.components.filter_bar import PARAM
from ui.navigation import page_of


def list_link(
    actor: Actor,
    entity_key: str,
    label: str,
    ast: Mapping[str, Any],
    *,
    icon: str | None = None,
    sort: str = "",
    help: str | None = None,
) -> None:
    """Draw the link (``label`` is Markdown: escape names with ``md``); plain text for a list that this person does not have."""
    page = page_of(actor, entity(entity_key).plural.lower())
    if page is None:
        st.caption(f":material/{icon}: {label}" if icon else label)
        return
    params = {PARAM: json.dumps(ast, separators=(",", ":"), default=str)} | ({"sort": sort} if sort else {})
    st.page_link(page, label=label, icon=f":material/{icon}:" if icon else None, query_params=params, help=help)
