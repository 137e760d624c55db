"""How a list is laid out: as one table, as a board, or in groups that are opened one by one. What is chosen stands in the address."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import streamlit as st
from sqlmodel import Session

from crm_core import grouping, lists
from crm_core.access import Actor
from crm_core.entities import ENTITIES
from crm_core.fields import FieldSpec
from crm_core.grouping import Group
from crm_core.lists import ListQuery
from crm_core.services.collaboration.views import BOARD, BOARDS, GROUPS, LIST
from ui import format as fmt
from ui.actions import load
from ui.cache import behind, cached
from ui.components.filter_bar import set_filter
from ui.components.list_tools import counted
from ui.components.view_menu import set_param
from ui.session import current_actor

PARTS = {LIST: ":material/view_list: List", BOARD: ":material/view_kanban: Board", GROUPS: ":material/view_agenda: Groups"}
IN_GROUP = 10
"""Rows of a group at once: several groups are open beneath each other."""
MANY = 100_000
"""Of more records the groups are counted once in a while: with each change of one of them it would be too much."""
KEPT_MINUTES = 5
USUAL = ("status", "kind", "owner_id")


@dataclass(frozen=True)
class Asked:
    """The layout that the address asks for, as far as there is such a one; ``by``: the field of the groups; ``fields``: what they can be made by."""

    show: str
    by: str
    options: tuple[str, ...]
    fields: Mapping[str, FieldSpec]


def asked_layout(entity_key: str, has_board: bool) -> Asked:
    """Read the address; what it asks wrongly falls back to the list."""
    fields = load(grouping.groupable, entity_key)
    options = (LIST, *((BOARD,) if has_board else ()), *((GROUPS,) if fields else ()))
    show = st.query_params.get("show", LIST)
    by = st.query_params.get("group", "")
    if by not in fields:
        by = next((one for one in (BOARDS.get(entity_key, ""), *USUAL, *fields) if one in fields), "")
    return Asked(show if show in options else LIST, by if show == GROUPS else "", options, fields)


def layout_switch(entity_key: str, asked: Asked) -> None:
    """The switch between the layouts, and by what the groups are made."""
    if len(asked.options) < 2:
        return
    key = f"show_{entity_key}_{asked.show}"
    st.segmented_control(
        "Layout", asked.options, default=asked.show, format_func=lambda one: PARTS[one], required=True, key=key, label_visibility="collapsed",
        on_change=_switched, args=(key,),
    )  # fmt: skip
    if asked.show == GROUPS:
        key, fields = f"group_by_{entity_key}_{asked.by}", list(asked.fields)
        st.selectbox(
            "Group by", fields, index=fields.index(asked.by), format_func=lambda one: f"By {asked.fields[one].label.lower()}", key=key,
            label_visibility="collapsed", width=190, on_change=_grouped, args=(key,),
        )  # fmt: skip


def _switched(key: str) -> None:
    chosen = st.session_state[key]
    set_param("show", "" if chosen == LIST else chosen)
    st.session_state["page"] = 1


def _grouped(key: str) -> None:
    set_param("group", st.session_state[key])
    st.session_state["page"] = 1


Draw = Callable[[ListQuery, lists.Extent, str, str], None]
"""Draws one page of a group: its query, its count and sums, a tag for keys, its name."""


def grouped_list(entity_key: str, query: ListQuery, by: str, total: int, draw: Draw) -> None:
    """The groups as folds: name, count and sum; what lies in one is read when it is opened. The first one of the first page is open."""
    page = max(1, query.page)
    spec = load(grouping.groupable, entity_key)[by]
    plain = ListQuery(filter=query.filter, q=query.q)
    kept, at = _behind(entity_key, spec, query), fmt.clock.utcnow().replace(second=0, microsecond=0)
    if total > MANY:
        at -= timedelta(minutes=at.minute % KEPT_MINUTES)
        kept["tables"] = ()
        found = cached(_groups, entity_key, plain, by, page=page, total=MANY, at=at.isoformat(), **kept)
    else:
        found = cached(grouping.groups, entity_key, plain, by, page=page, total=total, **kept)
    for n, group in enumerate(found.rows):
        _fold(entity_key, query, by, group, draw, first=page == 1 and n == 0)
    if total > MANY:
        st.caption(
            fmt.md(
                f"With so many records the groups are counted every {KEPT_MINUTES} minutes; what lies in them is of this moment."
            )
        )
    if page > 1 or found.more:
        with st.container(horizontal=True, horizontal_alignment="center", gap="small", key="group_pages"):
            st.button(
                "Earlier groups",
                icon=":material/arrow_back:",
                key="groups_back",
                disabled=page == 1,
                on_click=_turn,
                args=(page - 1,),
            )
            st.caption(f"Page {fmt.written(page)}", width="content")
            st.button(
                "Further groups",
                icon=":material/arrow_forward:",
                key="groups_on",
                disabled=not found.more,
                on_click=_turn,
                args=(page + 1,),
            )


def _groups(
    session: Session, actor: Actor, entity_key: str, query: ListQuery, by: str, *, page: int, total: int, at: str
) -> grouping.Groups:
    return grouping.groups(session, actor, entity_key, query, by, page=page, total=total)


def _turn(page: int) -> None:
    st.session_state["page"] = page
    set_param("page", str(page) if page > 1 else "")


def _behind(entity_key: str, spec: FieldSpec, query: ListQuery) -> dict[str, Any]:
    """What the groups hang on: the records, and the names and the order of what they are grouped by."""
    kept = behind(entity_key, query.filter)
    if spec.to in ENTITIES:
        kept["entities"] = tuple(dict.fromkeys((*kept["entities"], spec.to)))
        kept["tables"] = (*kept["tables"], ENTITIES[spec.to].table.name, *(("pipeline",) if spec.to == "stage" else ()))
    else:
        kept["tables"] = (*kept["tables"], "pick_option")
    return kept


def _fold(entity_key: str, query: ListQuery, by: str, group: Group, draw: Draw, *, first: bool) -> None:
    actor = current_actor()
    tag = hashlib.sha256(f"{by}|{group.value}".encode()).hexdigest()[:10]
    sums = [fmt.money(actor, value, decimals=False) for value in group.sums.values() if value]
    notes = " · ".join([fmt.written(group.count), *sums])
    with st.expander(
        f"**{fmt.md(group.label[:80])}** :gray[{fmt.md(notes)}]", expanded=first, key=f"fold_{entity_key}_{tag}", on_change="rerun"
    ) as fold:
        if not fold.open:
            return
        key = f"fold_page_{entity_key}_{tag}"
        pages = -(-group.count // IN_GROUP)
        page = min(int(st.session_state.get(key) or 1), pages)
        narrowed = replace(grouping.within(query, by, group.value), page=page, size=IN_GROUP)
        draw(narrowed, lists.Extent(group.count, dict(group.sums)), tag, group.label)
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small", key=f"fold_foot_{tag}"
        ):
            st.button(
                f"All {counted(entity_key, group.count)} as a list", type="tertiary", icon=":material/view_list:", key=f"fold_list_{tag}",
                on_click=_as_list, args=(narrowed.filter,),
            )  # fmt: skip
            if pages > 1:
                st.pagination(pages, key=key, max_visible_pages=5)


def _as_list(ast: Mapping[str, Any] | None) -> None:
    """Leave the groups for the list of one of them. Quick pills are in the filter already."""
    set_param("show", "")
    set_param("group", "")
    for name in [str(key) for key in st.session_state if str(key).startswith("by_")]:
        st.session_state[name] = []
    set_filter(ast)
