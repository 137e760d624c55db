"""The statuses of leads: what there is, one table to change it, and one question when a status goes."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pandas as pd
import streamlit as st

from crm_core.services.admin import lead_statuses as service
from crm_core.services.admin.lead_statuses import Found, StatusRow
from crm_core.vocabulary import LeadKind
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.filter_bar import PARAM
from ui.components.one_row import Part, one_row, wide
from ui.components.rows_clash import begin, grid_of, mine_stay, save_rows
from ui.components.table import Cell, Column, table
from ui.navigation import go, page_of
from ui.session import current_actor
from ui.tones import TONES

GRID = "lead_statuses"
KINDS = {kind.value: kind.label for kind in LeadKind}
PARTS = (Part("label", "Status", most=service.MAX_LENGTH), Part("kind", "Means", "choice", KINDS))
FRESH = {"id": None, "label": "", "kind": "working"}
COLUMNS = [
    Column("label", "Status", sortable=False),
    Column("kind", "Means", sortable=False),
    Column("leads", "Leads", sortable=False, right=True, named=True),
]


def lead_statuses(actions: Any, may_edit: bool) -> None:
    """Draw the statuses in their order, with the number of leads in each. ``actions``: the container of the header's buttons."""
    found: Found = load(service.find)
    if may_edit and actions.button("Retire a status", icon=":material/inventory_2:", key="status_retire"):
        retire_dialog(found)
    if may_edit and actions.button("Edit statuses", type="primary", icon=":material/edit:", key="status_edit"):
        begin(GRID, found.rows)
        edit_dialog()
    actor = current_actor()
    linked = page_of(actor, "leads") is not None
    happened = table(
        COLUMNS,
        [
            (
                row.id or 0,
                [
                    Cell(row.label),
                    Cell(row.kind.label, tone=TONES[row.kind]),
                    Cell(fmt.number(actor, found.leads.get(row.id or 0, 0))),
                ],
            )
            for row in found.rows
        ],
        key="table_lead_statuses",
        label="Lead statuses",
        hrefs={row.id or 0: f"/leads?{PARAM}={quote(_of(row.id))}" for row in found.rows} if linked else None,
    )
    st.caption(
        "Buttons such as “Qualify” set the first status of their meaning; “converted” comes only by converting. The leads of everybody are counted, those in the bin too."
    )
    if happened.opened is not None:
        go("leads", **{PARAM: _of(happened.opened)})


def _of(status_id: int | None) -> str:
    """The filter of the leads that have a status, as an address holds it."""
    return json.dumps({"field": "status_id", "cmp": "in", "value": [status_id]}, separators=(",", ":"))


@st.dialog("Lead statuses", width="large", icon=":material/flag:")
def edit_dialog() -> None:
    """All of them in one table: name, what it means, order; a new line is a new status."""
    with wide(GRID):
        rows = edited()
    st.caption("What a status with leads means can't change. To remove one, close this and choose “Retire a status”.")
    grid = grid_of(GRID)
    if mine_stay(GRID, "the lead statuses", words) or st.button("Save", type="primary", key="status_save"):
        _save(grid.pending or rows)
    plain = [{"id": row.id, "label": row.label, "kind": row.kind.value} for row in rows if row.label]
    one = one_row(f"{GRID}_{grid.turn}", "status", plain, PARTS, lambda row: f"{row['label']} · {KINDS[row['kind']]}", fresh=FRESH)
    if one is not None:
        grid.pending = [StatusRow(row["id"], str(row["label"] or ""), LeadKind(row["kind"])) for row in one]
        _save(grid.pending)
        grid.pending = None
    show_refusal()


def _save(rows: list[StatusRow]) -> None:
    save_rows(GRID, lambda base: perform(service.save, rows, base=base, success="Lead statuses saved."))


def words(rows: Sequence[StatusRow]) -> str:
    """``New (New), Contacted (Working)``."""
    return ", ".join(f"{row.label} ({row.kind.label})" for row in rows)


def edited() -> list[StatusRow]:
    """The statuses as an editable table; the numbers in front are their order."""
    grid = grid_of(GRID)
    frame = pd.DataFrame(
        [{"id": row.id, "position": n + 1, "label": row.label, "kind": row.kind.value} for n, row in enumerate(grid.seen)]
    )
    given = st.data_editor(
        frame,
        key=f"statuses_{grid.turn}",
        num_rows="add",
        hide_index=True,
        column_order=["position", "label", "kind"],
        column_config={
            "position": st.column_config.NumberColumn(
                "Order", min_value=1, step=1, width="small", required=True, default=len(frame) + 1
            ),
            "label": st.column_config.TextColumn("Status", required=True, max_chars=service.MAX_LENGTH),
            "kind": st.column_config.SelectboxColumn(
                "Means", options=list(KINDS), format_func=lambda one: KINDS[str(one)], required=True, default="working"
            ),
        },
    )
    return [
        StatusRow(None if pd.isna(row["id"]) else int(row["id"]), str(row["label"] or ""), LeadKind(row["kind"] or "working"))
        for row in given.sort_values("position", kind="stable").to_dict("records")
        if not (pd.isna(row["id"]) and not row["label"])
    ]


def retire_dialog(found: Found) -> None:
    """Which status goes, why it may not, and where its leads go."""

    @st.dialog("Retire a status", icon=":material/inventory_2:")
    def show() -> None:
        names = {row.id: row.label for row in found.rows}
        status = st.selectbox(
            "Status *",
            list(names),
            index=None,
            format_func=lambda one: names[one],
            placeholder="Which one goes?",
            key="retire_which",
        )
        if status is None:
            return
        if problem := load(service.obstacle, status):
            st.info(fmt.md(problem), icon=":material/info:")
            return
        into = _heir(status, found.leads.get(status, 0))
        if st.button("Retire", type="primary", key="retire_yes", disabled=into is None):
            done = perform(service.retire, status, into, success=fmt.md(f"“{names[status]}” is retired."))
            if done is not None:
                st.rerun()
        show_refusal()

    show()


def _heir(status: int, leads: int) -> int | None:
    fit = {row.id: row for row in load(service.heirs, status)}
    into = st.selectbox(
        "Its leads go to *",
        list(fit),
        format_func=lambda one: f"{fit[one].label} ({fit[one].kind.label})",
        key=f"retire_into_{status}",
    )
    going = f"{fmt.plural(leads, 'lead')} will go there, those in the bin too." if leads else "No lead has it now."
    st.caption(f"{going} Forms and lists offer the status no longer. This can't be undone.")
    return into
