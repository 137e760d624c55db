"""Download what a list shows."""

from functools import partial

import streamlit as st

from crm_core.access import Actor
from crm_core.db import read_session, write_session
from crm_core.entities import entity
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.services import exports
from crm_core.vocabulary import Action
from ui.downloads import asker, table_buttons
from ui.session import current_actor


def export_button(entity_key: str, query: ListQuery) -> None:
    """A small menu with CSV and XLSX; the file is made when it is asked for."""
    actor = current_actor()
    name = f"{entity(entity_key).plural.lower()}-{clock.today().isoformat()}"
    with st.popover("Export", icon=":material/download:", type="tertiary"):
        table_buttons(partial(_make, actor, entity_key, query), name, key="export")
        if actor.scopes(entity_key, Action.EXPORT) != actor.scopes(entity_key, Action.READ):
            st.caption("The file holds those of them that your role may export.")


def _make(actor: Actor, entity_key: str, query: ListQuery, form: str) -> bytes:
    with read_session() as session:
        now = asker(session, actor)
        made = exports.build(session, now, entity_key, query, form=form)
    with write_session() as session:
        exports.log(session, now, entity_key, made, form=form)
    return made.data
