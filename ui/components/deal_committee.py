"""The buying committee of a deal: who decides, how much they weigh, where they stand."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.models import DealContact
from crm_core.services.admin import workspace
from crm_core.services.sales import deals
from crm_core.vocabulary import Action, CommitteeRole, StageKind, Stance
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.parts_clash import Part, Values, clashing, columns_of, save_parts
from ui.components.picker import picker
from ui.components.table import Cell, Column, table
from ui.navigation import go

PARTS = {"role": Part("Role"), "influence": Part("Influence"), "stance": Part("Stance")}
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
                _dialog(deal_id)
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
                Column("influence", "Influence", sortable=False, named=True),
            ],
            [
                (
                    m.contact_id,
                    [
                        Cell(names.get(m.contact_id, "Hidden person")),
                        Cell(m.role.label, tone="violet"),
                        Cell(m.stance.label, tone=_STANCE[m.stance]),
                        Cell(f"{m.influence} of {deals.MOST_INFLUENCE}"),
                    ],
                )
                for m in members
            ],
            key="committee_table",
            label="Buying committee",
            href="/contact?id={id}",
        )
        if may_edit:
            _choose(deal_id, members, names)
    if happened.opened is not None:
        go("contact", id=happened.opened)


def _choose(deal_id: int, members: Sequence[DealContact], names: Mapping[int, str]) -> None:
    with st.popover("Change", type="tertiary", icon=":material/edit:", key="change_member"):
        for member in members:
            name = names.get(member.contact_id)
            if name is None:
                _hidden(deal_id, member)
            elif st.button(fmt.md(name), key=f"member_{member.contact_id}", type="tertiary"):
                change_dialog(deal_id, member, name)


def _hidden(deal_id: int, member: DealContact) -> None:
    """Whoever can't see a person of the committee takes them out, and changes nothing else."""
    words = f"Take out hidden person ({member.role.label}, {member.influence} of {deals.MOST_INFLUENCE})"
    if st.button(words, icon=":material/person_remove:", key=f"member_out_{member.contact_id}", type="tertiary"):
        _take_out(deal_id, member, "Hidden person")
        st.rerun()  # which says why not, where it did not work


def _take_out(deal_id: int, member: DealContact, name: str) -> None:
    removed = fmt.md(f"{name} removed.")
    out = perform(deals.remove_committee_member, deal_id, member.contact_id, base_version=member.version, success=removed)
    if out is not None:
        st.rerun()


@st.dialog("Their part in the decision")
def change_dialog(deal_id: int, member: DealContact, name: str) -> None:
    """Role, influence and stance of somebody in the committee; or out of it."""
    st.text(name)
    mine = _part(f"{member.contact_id}_{member.version}", member)
    place = f"member_{member.contact_id}_{member.version}"
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        leave = st.button("Take out", icon=":material/person_remove:", type="tertiary", key="member_out")
        pressed = st.button("Save", type="primary", key="member_save", shortcut="ctrl+enter", disabled=clashing(place))
    if leave:
        _take_out(deal_id, member, name)
    save = partial(_save, deal_id, member.contact_id)
    if save_parts(place, pressed, seen=member, mine=mine, parts=PARTS, values_of=columns_of(PARTS), save=save):
        st.rerun()
    show_refusal()


def _save(deal_id: int, contact_id: int, values: Values, base: DealContact) -> DealContact | None:
    change = partial(deals.set_committee_member, base_version=base.version, **values)
    return perform(change, deal_id, contact_id, success="Buying committee changed.")


def _part(key: str, member: DealContact | None = None) -> dict[str, Any]:
    """The inputs of a member's part, begun with what stands there."""
    roles, label = list(CommitteeRole), lambda one: one.label
    start = member or DealContact(deal_id=0, contact_id=0)
    role = st.selectbox("Role", roles, index=roles.index(start.role), format_func=label, key=f"member_role_{key}")
    influence = st.slider("Influence", 1, deals.MOST_INFLUENCE, start.influence, key=f"member_influence_{key}")
    stance = st.segmented_control(
        "Stance", list(Stance), default=start.stance, format_func=label, required=True, key=f"member_stance_{key}"
    )
    return {"role": role, "influence": influence, "stance": stance or start.stance}


@st.dialog("Add to the buying committee")
def _dialog(deal_id: int) -> None:
    contact_id = picker("Person", lambda q: load(lists.choices, "contact", q, limit=20), key="member_who")
    part = _part("new")
    if st.button("Add", type="primary", key="member_add", shortcut="ctrl+enter"):
        if contact_id is None:
            st.error("Choose a person first.")
            return
        done = perform(deals.set_committee_member, deal_id, contact_id, **part, base_version=0, success="Buying committee changed.")
        if done is not None:
            st.rerun()
        show_refusal()
