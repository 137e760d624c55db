"""Merging tickets: choose the one that stays; and the way back on the one that stayed."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.lists import ListQuery
from crm_core.services.helpdesk import merging
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.picker import picker
from ui.navigation import go


@st.dialog("Merge into another ticket", width="medium", icon=":material/merge:")
def merge_dialog(row: Mapping[str, Any]) -> None:
    """Where everything of this ticket goes."""
    st.markdown(
        "Messages, files, tasks and activities move over, this ticket is closed, and mail to it arrives at the other one. It can be taken apart again."
    )
    near = _near(row)
    chosen = (
        st.radio(
            "Tickets of the same customer", list(near), format_func=lambda one: near[one], index=None, key=f"merge_near_{row['id']}"
        )
        if near
        else None
    )
    other = picker("Another ticket", lambda q: _others(row, q), key=f"merge_into_{row['id']}", placeholder="Number or subject")
    target = other or chosen
    ready, another = _ahead(row["id"], target) if target is not None else (False, False)
    if st.button("Merge", type="primary", key="merge_yes", shortcut="ctrl+enter", disabled=not ready):
        done = perform(
            merging.merge,
            row["id"],
            target,
            base_version=row["version"],
            another_customer=another,
            success="Merged. This is the ticket that stayed.",
        )
        if done is not None:
            go("ticket", id=done.id)
            st.rerun()
        show_problems()


def _ahead(ticket_id: int, target_id: int) -> tuple[bool, bool]:
    """Say which ticket would stay; gives whether they may be merged now, and whether somebody said that another customer's is meant."""
    found = load(merging.ahead, ticket_id, target_id)
    whose = f" of {fmt.md(found.customer)}" if found.customer else ""
    st.caption(f"It becomes part of **{fmt.md(found.number)}** “{fmt.md(found.subject)}”{whose}, {found.status.label.lower()}.")
    if found.problem:
        st.warning(fmt.md(found.problem), icon=":material/block:")
        return False, False
    if not found.another:
        return True, False
    st.warning(
        "That is another customer. Whoever answers there writes to them, and they may read what this one wrote.",
        icon=":material/warning:",
    )
    sure = st.checkbox("Both are about the same thing", key=f"merge_sure_{ticket_id}_{target_id}")
    return sure, sure


def _near(row: Mapping[str, Any]) -> dict[int, str]:
    key = "contact_id" if row["contact_id"] else "account_id"
    if row[key] is None:
        return {}
    items = [
        {"field": key, "cmp": "eq", "value": row[key]}, {"field": "status", "cmp": "in", "value": ["new", "open", "waiting_customer", "waiting_third"]},
        {"field": "number", "cmp": "ne", "value": row["number"]},
    ]  # fmt: skip
    found = load(lists.find, "ticket", ListQuery(filter={"op": "and", "items": items}, columns=("subject", "number"), size=6))
    return {one["id"]: fmt.md(f"{one['number']} · {one['subject']}") for one in found.rows}


def _others(row: Mapping[str, Any], query: str) -> dict[int, str]:
    """Tickets to choose from, told apart by number and customer: many have the same subject."""
    wanted = ListQuery(
        filter={"field": "number", "cmp": "ne", "value": row["number"]},
        q=query,
        columns=("subject", "number", "contact_id"),
        size=15,
    )
    found = load(lists.find, "ticket", wanted, sums=False)
    return {
        one["id"]: " · ".join(part for part in (one["number"], one["subject"], one.get("contact_id.title")) if part)
        for one in found.rows
    }


def merged_notes(actor: Actor, row: Mapping[str, Any], links: Mapping[str, Any]) -> None:
    """Where a ticket went, what came into it, what it follows."""
    may_edit = actor.can("ticket", Action.EDIT)
    if links["into"]:
        with st.container(horizontal=True, vertical_alignment="center", border=True, key="merged_into"):
            st.markdown(f":material/merge: Merged into **{fmt.md(links['into'][1])}**.", width="content")
            if st.button("Open it", key="open_target"):
                go("ticket", id=links["into"][0])
                st.rerun()
    if links["follows"]:
        with st.container(horizontal=True, vertical_alignment="center", border=True, key="follows"):
            st.markdown(
                f":material/history: Follows **{fmt.md(links['follows'][1])}**, which was solved too long ago to be opened again.",
                width="content",
            )
            if st.button("Open that one", key="open_before"):
                go("ticket", id=links["follows"][0])
                st.rerun()
    for merge_id, number, _ in load(merging.of, row["id"]) if may_edit else ():
        with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"merged_{merge_id}"):
            st.markdown(f":material/merge: **{fmt.md(number)}** was merged into this ticket.", width="content")
            st.button("Take apart", icon=":material/undo:", key=f"unmerge_{merge_id}", on_click=_apart, args=(merge_id,))


def _apart(merge_id: int) -> None:
    perform(merging.undo, merge_id, success="Taken apart. Each ticket has its own messages again.")
