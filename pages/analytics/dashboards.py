"""All dashboards: for everybody, to open one, or to make one for a question that comes back each week."""

import streamlit as st

from crm_core.services.analytics import dashboard_starts, dashboards
from crm_core.vocabulary import ShownTo
from ui import format as fmt
from ui.actions import load
from ui.components.dashboard_dialogs import new_dashboard
from ui.components.header import empty_state, header
from ui.components.table import Cell, Column, table
from ui.navigation import go, page_of
from ui.session import current_actor

COLUMNS = (
    Column("name", "Dashboard", sortable=False),
    Column("description", "What it answers", sortable=False, muted=True),
    Column("shown_to", "Shown to", sortable=False),
    Column("owner", "Owner", sortable=False),
    Column("tiles", "Tiles", right=True, sortable=False, named=True),
    Column("updated", "Changed", sortable=False, muted=True),
)
TONES = {ShownTo.PRIVATE: "gray", ShownTo.ROLE: "violet", ShownTo.SHARED: "blue"}


def nothing_yet() -> None:
    """No dashboard at all: offer proposals."""
    box = empty_state(
        "No dashboards yet",
        "Put key figures, charts and reports on one page. Begin with a proposal, or empty.",
        icon="dashboard_customize",
    )
    for key, name in dashboard_starts.offered(actor).items():
        if box.button(name, key=f"start_{key}", icon=":material/add_chart:"):
            new_dashboard(key)
    if box.button("Empty", key="start_empty", type="primary", icon=":material/add:"):
        new_dashboard()


actor = current_actor()
actions = header("Dashboards", "Key figures, charts and reports on one page")
if page_of(actor, "report") is not None and actions.button("Report", icon=":material/pivot_table_chart:", key="open_report"):
    go("report")
if page_of(actor, "links") is not None and actions.button("Links and reports", icon=":material/share:", key="open_links"):
    go("links")
if actions.button("New dashboard", type="primary", icon=":material/add:", shortcut="n", key="new_dashboard"):
    new_dashboard()

rows = load(dashboards.find)
if not rows:
    nothing_yet()
    st.stop()
q = st.text_input(
    "Search",
    type="search",
    live="300ms",
    placeholder="Search dashboards",
    label_visibility="collapsed",
    key="q",
    bind="query-params",
    width=300,
)
shown = [row for row in rows if (q or "").casefold() in f"{row.name} {row.description} {row.owner}".casefold()]
if not shown:
    st.caption("No dashboard matches. Search for another word.")
    st.stop()
cells = [
    (
        row.id,
        [
            Cell(row.name),
            Cell(row.description),
            Cell(row.role if row.shown_to is ShownTo.ROLE and row.role else row.shown_to.label, tone=TONES[row.shown_to]),
            Cell("You" if row.mine else row.owner),
            Cell(str(row.tiles)),
            Cell(fmt.ago(actor, row.updated_at)),
        ],
    )
    for row in shown
]
happened = table(COLUMNS, cells, key="dashboards", label="Dashboards", href="/dashboard?id={id}")
if happened.opened is not None:
    go("dashboard", id=happened.opened)
