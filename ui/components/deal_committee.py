"""The buying committee of a deal: who decides, how much they weigh, where they stand."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.services.admin import workspace
from crm_core.services.sales import deals
from crm_core.vocabulary import Action, CommitteeRole, StageKind, Stance
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.picker import picker
from ui.components.table import Cell, Column, table
from ui.navigation import go

_STANCE = {Stance.SUPPORTER: "green", Stance.NEUTRAL: "gray", Stance.OPPONENT: "red"}


def committee(actor: Actor, deal_id: int, row: Mapping[str, Any], may_edit: bool) -> None:
    """The card; a big open deal that hangs on one person is said so."""
    if not actor.can("contact", Action.READ):
        return
    members = load(deals.committee, deal_id)
    names = load(lists.titles, "contact", [member.contact_id for member in members])
    with st.container(border=True, gap="small", key="committee"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Buying committee**", width="content")
            if may_edit and st.button("Add", icon=":material/person_add:", type="tertiary", key="add_member"):
                _dialog(deal_id, row.get("account_id"))
        if (
            row["outcome"] is StageKind.OPEN
            and len(members) < 2
            and isinstance(row["amount_minor"], int)
            and row["amount_minor"] >= load(workspace.summary).single_threaded_minor
        ):
            st.caption(":material/warning: Single-threaded: a deal of this size should know at least two people.")
        if not members:
            st.caption("Nobody yet. Who decides, who uses it, who could stop it?")
            return
        happened = table(
            [
                Column("name", "Name", sortable=False),
                Column("role", "Role", sortable=False),
                Column("stance", "Stance", sortable=False),
            ],
            [
                (
                    m.contact_id,
                    [
                        Cell(names.get(m.contact_id, "Hidden person")),
                        Cell(m.role.label, tone="violet"),
                        Cell(m.stance.label, tone=_STANCE[m.stance]),
                    ],
                )
                for m in members
            ],
            key="committee_table",
            label="Buying committee",
            href="/contact?id={id}",
        )
        if may_edit and members:
            _remove(deal_id, {m.contact_id: names.get(m.contact_id, "Hidden person") for m in members})
    if happened.opened is not None:
        go("contact", id=happened.opened)


def _remove(deal_id: int, names: Mapping[int, str]) -> None:
    with st.popover("Remove", type="tertiary", icon=":material/person_remove:"):
        for contact_id, name in names.items():
            if st.button(fmt.md(name), key=f"member_x_{contact_id}", type="tertiary"):
                perform(deals.remove_committee_member, deal_id, contact_id, success=fmt.md(f"{name} removed."))
                st.rerun()


@st.dialog("Add to the buying committee")
def _dialog(deal_id: int, account_id: int | None) -> None:
    contact_id = picker("Person", lambda q: load(lists.choices, "contact", q, limit=20), key="member_who")
    role = st.selectbox("Role", list(CommitteeRole), format_func=lambda one: one.label, key="member_role")
    influence = st.slider("Influence", 1, 5, 3, key="member_influence")
    stance = st.segmented_control(
        "Stance", list(Stance), default=Stance.NEUTRAL, format_func=lambda one: one.label, required=True, key="member_stance"
    )
    if st.button("Add", type="primary", key="member_add"):
        if contact_id is None:
            st.error("Choose a person first.")
            return
        done = perform(
            deals.set_committee_member,
            deal_id,
            contact_id,
            role=role,
            influence=influence,
            stance=stance or Stance.NEUTRAL,
            success="Buying committee changed.",
        )
        if done is not None:
            st.rerun()
        show_refusal()
