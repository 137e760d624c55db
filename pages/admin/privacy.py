"""What people ask about their own data: for whoever answers for it, to give a copy or to erase, in time and with proof."""

import streamlit as st

from crm_core.entities import label_of
from crm_core.services.admin.privacy import requests
from ui import format as fmt
from ui.actions import load
from ui.addresses import number
from ui.components.header import header
from ui.components.privacy_cards import cards, nobody, request_table
from ui.components.table import Cell, Column, table
from ui.navigation import go, page_of
from ui.session import current_actor

TODO, DONE = "To do", "Done"
FOUND = [
    Column("name", "Name", sortable=False),
    Column("kind", "Record", sortable=False),
    Column("about", "", sortable=False, muted=True),
]


def one_person(entity_key: str, record_id: int) -> None:
    """A copy or erasure for one person, and what they asked before."""
    subject = load(requests.get, entity_key, record_id)
    records = " · ".join(f"{label_of(kind)} {one}" for kind, one, _, _ in subject.records)
    header(subject.name, records, back=("Privacy", page_of(actor, "privacy")))
    cards(actor, subject)
    if subject.requests:
        st.markdown("**Their requests**")
        request_table(actor, subject.requests, key="table_of_person", of_one=True)


def search() -> None:
    """Find the person who asked; those in the bin too."""
    q = st.text_input(
        "Who asked?", key="privacy_q", placeholder="Name, e-mail address or phone number", icon=":material/search:", live=True
    )
    if not q.strip():
        return
    found = load(requests.find_people, q)
    if not found:
        st.caption("Nobody found: neither a contact nor a lead has this name, address or number.")
        return
    rows = [
        (
            at,
            [
                Cell(one.name),
                Cell(f"{label_of(one.entity)}{', in the bin' if one.deleted else ''}"),
                Cell(one.about or fmt.NOTHING),
            ],
        )
        for at, one in enumerate(found, start=1)
    ]
    happened = table(FOUND, rows, key="table_people", label="People")
    if happened.opened:
        chosen = found[int(happened.opened) - 1]
        go("privacy", entity=chosen.entity, id=chosen.id)


def everything() -> None:
    """The search, and all requests by their day."""
    header("Privacy", "What people ask about their own data: a copy, or erasure. Each request is due within a month.")
    search()
    part = st.segmented_control(
        "Requests", [TODO, DONE], default=TODO, required=True, key="part", bind="query-params", label_visibility="collapsed"
    )
    found = load(requests.find, done=part == DONE)
    if found:
        request_table(actor, found, key="table_requests")
    elif part == TODO:
        nobody("Nothing is waiting", "Look for the person who asked, then note the request or do it at once.")
    else:
        nobody("Nothing was done yet", "Copies, erasures and declined requests stand here, as proof.")


actor = current_actor()
person_id = number("id")
if person_id is None:
    everything()
else:
    one_person(st.query_params.get("entity", "contact"), person_id)
