"""The checklists of hand-overs: what each edge asks for, and one table to change it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from crm_core.services.customers import checklists as service
from crm_core.services.customers.checklists import Checklist
from crm_core.services.customers.handover_rules import MAX_LABEL
from crm_core.vocabulary import HandoverCheck, HandoverEdge
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.rows_clash import begin, grid_of, mine_stay, save_rows
from ui.components.table import Cell, Column, table

GRID = "checklist"
CHECKS = HandoverCheck.options()
COLUMNS = [
    Column("label", "Item", sortable=False),
    Column("looks_at", "How it is ticked", sortable=False, muted=True, named=True),
    Column("required", "Required", sortable=False, named=True),
]


def checklists(may_edit: bool) -> None:
    """Draw the list of every edge, with the way to change it."""
    st.caption(
        "Hand-overs start with these items; those that run already keep theirs. Whoever hands over may add items, and leave out what is not required."
    )
    for edge, found in load(service.find).items():
        with st.container(border=True, gap="small", key=f"checklist_{edge.value}"):
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                st.markdown(f"**{fmt.md(edge.label)}**", width="content")
                if may_edit and st.button("Edit", icon=":material/edit:", type="tertiary", key=f"checklist_edit_{edge.value}"):
                    begin(GRID, found.rows)
                    edit_dialog(edge, found)
            rows = [
                (n, [Cell(item.label), Cell(item.looks_at.label), Cell("Required", tone="orange") if item.required else Cell("")])
                for n, item in enumerate(found.items, 1)
            ]
            table(COLUMNS, rows, key=f"table_checklist_{edge.value}", label=f"Checklist {edge.label}")


@st.dialog("Checklist", width="large", icon=":material/checklist:")
def edit_dialog(edge: HandoverEdge, found: Checklist) -> None:
    """The items of an edge in one table: words, how each is ticked, whether nobody can accept without it."""
    st.markdown(f"**{fmt.md(edge.label)}**")
    rows = edited()
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        pressed = st.button("Save", type="primary", key="checklist_save", disabled=grid_of(GRID).theirs is not None)
        anew = found.own and st.button("Back to the usual list", type="tertiary", key="checklist_reset", icon=":material/undo:")
    if mine_stay(GRID, "this checklist", words) or pressed:
        save_rows(GRID, lambda base: perform(service.save, edge, rows, base=base, success="Checklist saved."))
    elif anew:
        save_rows(GRID, lambda base: perform(service.reset, edge, base=base, success="The usual list holds again."))
    show_refusal()


def words(rows: Sequence[Mapping[str, Any]]) -> str:
    """The items in one line."""
    return "; ".join(f"{row['label']}{' (required)' if row['required'] else ''}" for row in rows)


def edited() -> list[dict[str, Any]]:
    """The items as an editable table; the numbers in front are their order."""
    grid = grid_of(GRID)
    frame = pd.DataFrame([{"position": n + 1, **row} for n, row in enumerate(grid.seen)])
    changed = st.data_editor(
        frame,
        key=f"checklist_editor_{grid.turn}",
        num_rows="dynamic",
        hide_index=True,
        placeholder=fmt.NOTHING,
        column_config={
            "position": st.column_config.NumberColumn(
                "Order", min_value=1, step=1, width="small", required=True, default=len(frame) + 1
            ),
            "label": st.column_config.TextColumn("Item", required=True, max_chars=MAX_LABEL, width="large"),
            "required": st.column_config.CheckboxColumn("Required", default=False, help="Without it nobody can accept"),
            "looks_at": st.column_config.SelectboxColumn(
                "How it is ticked", options=list(CHECKS), format_func=lambda one: CHECKS[str(one)], required=True, default="manual"
            ),
        },
    )
    rows = changed.sort_values("position", kind="stable").to_dict("records")
    return [
        {
            "label": str(row["label"]),
            "required": bool(row["required"]) and not pd.isna(row["required"]),
            "looks_at": str(row["looks_at"]),
        }
        for row in rows
        if row.get("label") and not pd.isna(row["label"])
    ]
