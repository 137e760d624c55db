"""Report builder: for a question that no dashboard answers yet; rows × columns × measure over any records, kept as a tile."""

import streamlit as st

from crm_core.services.analytics import dashboards
from crm_core.services.analytics.dashboards import TileRow
from crm_core.vocabulary import TileKind
from ui import format as fmt
from ui.actions import load, perform, renew, submit_key
from ui.components.dashboard_bar import dashboard_bar
from ui.components.dashboard_tile import draw, evaluated
from ui.components.header import header
from ui.components.tile_form import pivot_form, report_of
from ui.navigation import go, page_of
from ui.session import current_actor

NEW = 0

actor = current_actor()
header("Report", "Records by rows and columns; every row leads to its list", back=("Dashboards", page_of(actor, "dashboards")))
look = dashboard_bar(actor, {})
with st.container(border=True):
    spec = pivot_form(actor, {}, "report")
made = report_of(spec)
if made is None:
    st.stop()
row = TileRow(0, TileKind.PIVOT, "", made, 12, 2)
tile = evaluated([row], look)[0]
draw(actor, row, tile, look, ())

boards = {board.id: board.name for board in load(dashboards.find) if board.may_edit}
with st.container(horizontal=True, vertical_alignment="bottom", key="keep_report"):
    board = st.selectbox(
        "Keep it on", [NEW, *boards], format_func=lambda key: boards.get(key, "A new dashboard"), key="keep_on", width=280
    )
    name = st.text_input("Title", tile.title, max_chars=80, key=f"keep_title_{tile.title}", width=320)
    if st.button("Save as a tile", type="primary", icon=":material/add_chart:", key="keep"):
        kept = {"kind": "pivot", "title": name, "spec": made, "width": 12, "height": 2}
        key = submit_key("keep_report")
        if board == NEW:
            target = perform(dashboards.create, name=name or tile.title, tiles=[kept], submit_key=key)
        else:
            target = board if perform(dashboards.add_tile, board, kept, submit_key=key) is not None else None
        if target is not None:
            renew("keep_report")
            go("dashboard", id=target)
st.caption(fmt.md("Only records that you may see. The period above cuts by the day that you choose under “Period counts”."))
