"""What was deleted: for everybody who may delete, to look into it and to take back what should not have gone."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.entities import RECORDS, entity
from crm_core.fields import registry
from crm_core.services import deleted
from ui import format as fmt
from ui.actions import load
from ui.addresses import number
from ui.cache import cached
from ui.components.bin_views import EFFECTS, look_at, restore_bar
from ui.components.header import empty_state, header
from ui.components.list_tools import counted, first_page, page_asked, search_box
from ui.components.record_list import cell
from ui.components.table import Cell, Column, table
from ui.session import current_actor


def choose(found: Mapping[str, int]) -> str:
    """The kind that is looked at: that of the address, else the first of which something was deleted."""
    given = st.query_params.get("kind", "")
    kind = given if given in found else next((key for key, count in found.items() if count), next(iter(found)))
    chosen = st.pills(
        "Kind of record",
        list(found),
        default=kind,
        format_func=lambda key: entity(key).plural,
        required=True,
        key=f"kind_{kind}",
        label_visibility="collapsed",
    )
    if chosen and chosen != kind:
        st.query_params["kind"] = chosen
        st.query_params.pop("record", None)
        first_page()
        st.rerun()
    return kind


def nothing(kind: str, q: str) -> None:
    plural = entity(kind).plural.lower()
    if q:
        empty_state(f"No deleted {plural} match", "Try fewer words, or another kind of record.", icon="search_off")
    else:
        others = " · ".join(counted(key, count) for key, count in found.items() if count and key != kind)
        text = f"In the bin: {others}." if others else f"{entity(kind).plural} that are deleted come here, and can be restored."
        empty_state(f"No deleted {plural}", text, icon="delete")


def row_of(row: Mapping[str, Any]) -> tuple[int, list[Cell]]:
    own = [cell(actor, specs[key], row, {}) for key in shown]
    return row["id"], [*own, Cell(row["deleted_by"]), Cell(fmt.instant(actor, row["deleted_at"]))]


actor = current_actor()
header("Bin", "What was deleted. Nothing leaves it by itself: restore what should not have gone.")
found = cached(deleted.kinds, entities=RECORDS, tables=tuple(entity(key).table.name for key in RECORDS), own=True)
kind = choose(found)
with st.container(horizontal=True, vertical_alignment="center", gap="small", key="list_tools"):
    q = search_box(f"deleted {entity(kind).plural.lower()}")
    if kind in EFFECTS:
        st.caption(EFFECTS[kind], width="content")
page = load(deleted.find, kind, q=q, page=page_asked())
bar = st.container()
selected: list[int] = []
if page.total == 0:
    nothing(kind, q)
else:
    specs = load(lambda session, _actor: registry(session, kind))
    shown = deleted.columns(kind)
    columns = [Column(key, specs[key].label, sortable=False) for key in shown]
    happened = table(
        [
            *columns,
            Column("by", "Deleted by", sortable=False, named=True),
            Column("at", "Deleted", sortable=False, muted=True, named=True),
        ],
        [row_of(row) for row in page.rows],
        key=f"table_bin_{kind}_{st.session_state.get('_bin_turn', 0)}",
        label=f"Deleted {entity(kind).plural.lower()}",
        href=f"/bin?kind={kind}&record={{id}}",
        selectable=any(row["mine"] for row in page.rows),
    )
    selected = happened.selected
    if happened.opened is not None:
        st.query_params["record"] = str(happened.opened)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="list_footer"):
        st.caption(counted(kind, page.total))
        if page.pages > 1:
            st.pagination(page.pages, key="page", bind="query-params")
with bar:
    restore_bar(kind, selected)
if (record_id := number("record")) is not None:
    look_at(kind, load(deleted.get, kind, record_id))
