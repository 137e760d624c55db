"""Working on a ticket: the dialog that opens one, for whom it waits, the card about the customer."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.fields import FieldSpec, registry
from crm_core.services.customers import preferences
from crm_core.services.helpdesk import ticket_rules, tickets
from crm_core.vocabulary import Action, Level, Priority, TicketKind, Verdict
from ui import format as fmt
from ui.actions import load, perform, renew, show_problems, submit_key
from ui.components.facts import facts
from ui.components.filter_bar import PARAM
from ui.components.header import Rare
from ui.components.picker import picker
from ui.components.record_page import facts_if, related
from ui.navigation import go, page_of
from ui.session import current_actor
from ui.tones import TONES


@st.dialog("New ticket", width="medium", icon=":material/confirmation_number:")
def new_ticket(contact_id: int | None = None) -> None:
    """Who asks, what about, what they said, how bad it is."""
    actor = current_actor()
    title = load(lists.titles, "contact", [contact_id]).get(contact_id or 0, "")
    contact = picker(
        "Who asks?", lambda q: load(lists.choices, "contact", q, limit=20), key="ticket_contact", value=contact_id, title=title
    )
    subject = st.text_input("Subject *", key="ticket_subject", max_chars=300)
    message = st.text_area("What did they say?", key="ticket_message", height=120, max_chars=tickets.MAX_BODY)
    impact, urgency = _levels()
    left, right = st.columns(2)
    options = load(lambda session, _actor: registry(session, "ticket")["category"]).options or {}
    category = left.selectbox("Category", list(options.values()), index=None, placeholder="–", key="ticket_category")
    people = load(lists.choices, "user", limit=500)
    mine = actor.user_id if actor.can("ticket", Action.EDIT) else None
    owner = right.selectbox(
        "Assigned to", list(people), index=list(people).index(mine) if mine in people else None, format_func=lambda one: people[one], placeholder="Nobody yet", key="ticket_owner",
    )  # fmt: skip
    left, right = st.columns(2)
    with left:
        product = picker(
            "Product", lambda q: load(lists.choices, "product", q, limit=20), key="ticket_product", value=None, title=""
        )
    serial = right.text_input("Serial number", key="ticket_serial", max_chars=80)
    if st.button("Open ticket", type="primary", key="ticket_yes", shortcut="ctrl+enter"):
        values = {
            "subject": subject,
            "contact_id": contact,
            "impact": impact,
            "urgency": urgency,
            "category": category,
            "owner_id": owner,
            "product_id": product,
            "serial_number": serial or None,
        }
        made = perform(tickets.create, values, message=message or "", submit_key=submit_key("ticket"), success="Ticket opened.")
        if made is not None:
            renew("ticket")
            go("ticket", id=made.id)
            st.rerun()
        show_problems()


def _levels() -> tuple[Level, Level]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = [
            st.segmented_control(
                label, list(Level), default=Level.MEDIUM, format_func=lambda one: one.label, required=True, key=key, help=hint
            )
            for label, key, hint in (
                ("Impact", "ticket_impact", "How many are affected, and how badly"),
                ("Urgency", "ticket_urgency", "How soon it hurts"),
            )
        ]
        impact, urgency = (one or Level.MEDIUM for one in chosen)
        priority = ticket_rules.priority_of(impact, urgency)
        with st.container(gap="xsmall", width="content"):
            st.caption("Priority")
            st.badge(priority.label, color=TONES[priority])  # type: ignore[arg-type]
    return impact, urgency


def wait_entries(row: Mapping[str, Any]) -> list[Rare]:
    """Entries of the ticket's menu: for whom it waits from now on."""
    return [
        Rare(f"wait_{status.value}", status.label, "hourglass_empty", partial(_wait, row["id"], row["version"], status))
        for status in ticket_rules.WAITING
        if status is not row["status"]
    ]


def _wait(ticket_id: int, version: int, status: TicketKind) -> None:
    perform(tickets.wait, ticket_id, status, base_version=version, success=f"{status.label}.")
    st.rerun()


def customer(actor: Actor, ticket_specs: Mapping[str, FieldSpec], row: Mapping[str, Any]) -> None:
    """Who asks: how to reach them, what else they asked, what they ordered."""
    found = load(facts_if, "contact", row["contact_id"])
    if found is not None:
        specs, person = found
        specs = {**specs, "contact_id": replace(ticket_specs["contact_id"], label="Name")}
        person = {**person, "contact_id": row["contact_id"], "contact_id.title": row["contact_id.title"]}
        facts(
            actor,
            "Customer",
            specs,
            person,
            ("contact_id", "account_id", "job_title", "email", "phone", "preferred_hours", "language", "do_not", "goals"),
            barred=_barred(row["contact_id"]),
        )
    key = "contact_id" if row["contact_id"] else "account_id"
    if row[key] is None:
        return
    here = {"field": key, "cmp": "eq", "value": row[key]}
    others = {"op": "and", "items": [here, {"field": "number", "cmp": "ne", "value": row["number"]}]}
    related(actor, "ticket", where=others, columns=("subject", "status"), title="Other tickets", list_url="tickets")
    related(actor, "order", where=here, columns=("number", "ordered_at", "total_minor"), title="Orders", list_url="orders")


def same_piece(actor: Actor, serial: Any) -> None:
    """The way to everything that was ever asked about the same piece, whoever had it."""
    page = page_of(actor, "tickets")
    if page is None or not serial or actor.masked("ticket", "serial_number"):
        return
    rule = json.dumps({"op": "and", "items": [{"field": "serial_number", "cmp": "eq", "value": serial}]}, separators=(",", ":"))
    st.page_link(page, label=f"All tickets about No. {fmt.md(serial)}", icon=":material/qr_code_2:", query_params={PARAM: rule})


def _barred(contact_id: int) -> dict[str, str]:
    """Fields of the person that must not be a link, with the reason."""
    found = load(preferences.of_some, contact_id)
    if found is None:
        return {}
    answers = {"phone": found.call, "email": found.email}
    return {key: answer.reasons[0] for key, answer in answers.items() if answer.verdict is Verdict.NO}


def priority_badges(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Status and priority for the header."""
    status, priority = row["status"], row["priority"]
    shown = [(status.label, TONES[status])]
    return shown if priority is Priority.NORMAL else [*shown, (f"{priority.label} priority", TONES[priority])]
