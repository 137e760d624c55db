"""How often records are created although something like them was here: who, and why."""

from typing import Any

import streamlit as st

from crm_core.entities import entity
from crm_core.services.customers import created_anyway
from ui import format as fmt
from ui.actions import load
from ui.components.table import Cell, Column, table
from ui.session import current_actor


def created_anyway_button(actions: Any) -> None:
    """The way to it, among the buttons of the audit page."""
    if actions.button(
        "Created anyway", icon=":material/content_copy:", key="created_anyway", help="Records that were created although something like them was here"
    ):  # fmt: skip
        created_anyway_dialog()


@st.dialog("Created although something like it was here", width="large")
def created_anyway_dialog() -> None:
    """How often people pass the duplicate check, who, and why: whether the check helps or is in the way."""
    actor = current_actor()
    found = load(created_anyway.summary)
    if not found.total:
        st.caption(
            f"Nobody did within the last {found.days} days. Who enters a lead, a contact or an account that looks known is asked for a reason."
        )
        return
    st.caption(f"{fmt.plural(found.total, 'record')} within the last {found.days} days")
    left, right = st.columns(2)
    for box, title, counted in ((left, "By whom", found.by_person), (right, "Why", found.by_reason)):
        with box:
            st.table(
                {title: [fmt.md(name) for name, _ in counted], "Records": [count for _, count in counted]}, border="horizontal"
            )
    columns = [
        Column("record", "Record", sortable=False), Column("why", "Why", sortable=False), Column("found", "Like it", right=True, sortable=False, named=True),
        Column("who", "Who", sortable=False), Column("at", "When", sortable=False, muted=True),
    ]  # fmt: skip
    rows = [
        (
            n,
            [
                Cell(f"{entity(case.entity).label} {f'“{case.title}”' if case.title else case.record_id}"),
                Cell(f"{case.reason}: {case.words}" if case.words else case.reason), Cell(str(case.found)), Cell(case.who), Cell(fmt.instant(actor, case.at)),
            ],
        )
        for n, case in enumerate(found.latest, 1)
    ]  # fmt: skip
    addresses = {n: f"/{entity(case.entity).page}?id={case.record_id}" for n, case in enumerate(found.latest, 1) if case.title}
    table(columns, rows, key="table_anyway", label="Created anyway", hrefs=addresses)
