"""The log of requests to the API."""

import streamlit as st

from crm_core.services.admin import api_keys
from ui import format as fmt
from ui.actions import load
from ui.components.header import empty_state
from ui.components.table import Cell, Column, table
from ui.session import current_actor

SIZE = 30
COLUMNS = [
    Column("path", "Request", sortable=False),
    Column("status", "Answer", sortable=False),
    Column("ms", "Took", sortable=False, right=True, muted=True),
    Column("key", "Key", sortable=False, muted=True),
    Column("at", "When", sortable=False, muted=True),
]


def log_section() -> None:
    """What was asked and how it ended, the latest first; of failures alone if wished."""
    actor = current_actor()
    failed = st.toggle("Only what was refused or failed", key="calls_failed", on_change=_first_page)
    rows, total = load(api_keys.calls, failed=failed, page=int(st.session_state.get("calls_page") or 1), size=SIZE)
    if not rows:
        words = "Nothing was refused" if failed else "No requests yet"
        empty_state(
            words, "Requests of the last 30 days appear here: what was asked and how it ended, never what was sent.", icon="dns"
        )
        return
    shown = [
        (
            row.id,
            [
                Cell(f"{row.method} {row.path}"),
                Cell(str(row.status), tone="green" if row.status < 400 else "red" if row.status >= 500 else "orange"),
                Cell(f"{fmt.written(row.ms)} ms"),
                Cell(row.key or fmt.NOTHING),
                Cell(fmt.ago(actor, row.at)),
            ],
        )
        for row in rows
    ]
    table(COLUMNS, shown, key="table_calls", label="Requests")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(fmt.plural(total, "request"))
        if total > SIZE:
            st.pagination(-(-total // SIZE), key="calls_page")


def _first_page() -> None:
    st.session_state["calls_page"] = 1
