"""The members of a static segment: a page of them, take some out, add one by one."""

import streamlit as st

from crm_core import lists
from crm_core.entities import entity
from crm_core.fields import registry
from crm_core.lists import ListQuery
from crm_core.services.marketing import segment_members as keeping
from crm_core.vocabulary import FieldKind
from ui.actions import load, perform, show_problems
from ui.components.list_tools import counted
from ui.components.picker import picker
from ui.components.record_list import cell
from ui.components.table import Column, table
from ui.session import current_actor

SIZE = 15


def members(entity_key: str, segment_id: int, may_edit: bool) -> None:
    """Draw a page of the members that the person may see."""
    actor, found = current_actor(), entity(entity_key)
    turn = st.session_state.setdefault("_member_turn", 0)
    if may_edit:
        _add(entity_key, segment_id, turn)
    query = ListQuery(filter={"segment": segment_id, "cmp": "in"}, size=SIZE, page=int(st.session_state.get("member_page") or 1))
    page = load(lists.find, entity_key, query)
    if not page.rows:
        st.caption(f"No {found.plural.lower()} yet. Add them here, or select them in their list and choose “Add to segment”.")
        return
    specs = load(lambda session, _actor: registry(session, entity_key))
    shown = [specs[key] for key in found.columns[:5]]
    happened = table(
        [Column(spec.key, spec.label, right=spec.kind is FieldKind.MONEY, sortable=False) for spec in shown],
        [(row["id"], [cell(actor, spec, row, {}) for spec in shown]) for row in page.rows],
        key=f"segment_members_{segment_id}_{turn}", label="Members", href=f"/{found.page}?id={{id}}", selectable=may_edit,
    )  # fmt: skip
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        if happened.selected:
            words = f"Remove {counted(entity_key, len(happened.selected))}"
            if st.button(words, icon=":material/person_remove:", key="remove_members"):
                gone = perform(keeping.remove, segment_id, happened.selected, success="Taken out of the segment.")
                if gone is not None:
                    _again()
                show_problems()
        else:
            st.caption(counted(entity_key, page.total), width="content")
        if page.pages > 1:
            st.pagination(page.pages, key="member_page")


def _add(entity_key: str, segment_id: int, turn: int) -> None:
    found = entity(entity_key)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="add_member"):
        with st.container(width=360):
            chosen = picker(
                f"Add a {found.label.lower()}", lambda q: load(lists.choices, entity_key, q, limit=20), key=f"add_member_{turn}"
            )
        if st.button("Add", icon=":material/add:", key="add_member_yes", disabled=chosen is None) and chosen is not None:
            done = perform(keeping.add, segment_id, [chosen])
            if done is not None:
                if not done[0]:
                    st.toast("Is a member already.")
                _again()
            show_problems()


def _again() -> None:
    st.session_state["_member_turn"] += 1
    st.rerun(scope="fragment")
