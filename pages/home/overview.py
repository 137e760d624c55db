"""The business at a glance: for everybody, each morning, to see what moved, whether it is more than noise, and what needs somebody."""

import streamlit as st

from crm_core.services.analytics import attention, metrics
from crm_core.services.analytics.metrics import Figure, Selection
from crm_core.vocabulary import Action
from ui.cache import cached
from ui.components.agent_table import agent_table
from ui.components.attention_list import attention_list
from ui.components.figure import chart
from ui.components.header import empty_state, header
from ui.components.kpi_cards import kpi_cards
from ui.components.overview_figures import ENTITIES, TABLES, figures, groups, trend
from ui.components.overview_sections import closing_table, hint_of_another_time, split_chart
from ui.components.period_bar import period_bar
from ui.components.stage_flow import stages_section
from ui.navigation import go, page_of
from ui.session import current_actor

TREND = {"sales": "revenue_won", "marketing": "new_leads", "orders": "order_revenue", "service": "open_tickets"}
WAITS = {"sales": ("deal",), "marketing": ("lead",), "service": ("ticket", "account")}
EVERYTHING = {
    "entities": tuple(dict.fromkeys(key for keys in ENTITIES.values() for key in keys)),
    "tables": tuple(dict.fromkeys(name for names in TABLES.values() for name in names)),
}


def nothing_at_all() -> None:
    """A new workspace: say what to do."""
    may_import = page_of(actor, "import") is not None
    begin = "enter some, or bring a file in" if may_import else "each figure leads to the records behind it"
    actions = empty_state("No figures yet", f"They appear with the first records: {begin}.", icon="monitoring")
    if may_import and actions.button("Import a file", type="primary", icon=":material/upload:", key="start_import"):
        go("import")
    if page_of(actor, "deals") is not None and actions.button("Go to deals", icon=":material/handshake:", key="start_deals"):
        go("deals")


def show(area: str, selection: Selection) -> None:
    """One area: figures, trend, state of what is open, what needs somebody, a breakdown."""
    found = {figure.key: figure for figure in figures(area, selection)}
    hint_of_another_time(actor, area, found, selection)
    kpi_cards(actor, list(found.values()), selection)
    if area == "sales":
        show_sales(found, selection)
    elif area in WAITS:
        left, right = st.columns([8, 4], gap="small")
        with left:
            trend_chart(area, found, selection)
        with right:
            reminders(area, selection)
    else:
        trend_chart(area, found, selection)
    split_chart(actor, area, selection, found)
    if area == "sales":
        stages_section(actor, selection)
    if area == "service":
        agent_table(actor, selection)


def show_sales(found: dict[str, Figure], selection: Selection) -> None:
    """Trend and pipeline; below them the deals that close soon and what needs somebody."""
    left, right = st.columns([7, 5], gap="small")
    with left:
        trend_chart("sales", found, selection)
    with right:
        if not found["open_pipeline"].hidden:
            fig, behind = groups(actor, "open_pipeline", "stage_id", selection)
            chart(actor, fig, "Pipeline by stage", "Value of open deals, as of now", key="stages", behind=behind)
    left, right = st.columns([8, 4], gap="small")
    with left:
        closing_table(actor, selection)
    with right:
        reminders("sales", selection)


def trend_chart(area: str, found: dict[str, Figure], selection: Selection) -> None:
    """The area's leading figure step by step."""
    figure = found.get(TREND[area])
    if figure is not None and not figure.hidden:
        fig, subtitle, behind = trend(actor, figure, selection)
        chart(actor, fig, figure.metric.label, subtitle, key=f"trend_{area}", behind=behind)


def reminders(area: str, selection: Selection) -> None:
    """What needs somebody in this area."""
    waiting = cached(
        attention.find,
        kinds=WAITS[area],
        owner_id=selection.owner_id,
        pipeline_id=selection.pipeline_id,
        entities=WAITS[area],
        tables=(*WAITS[area], "stage", "lead_status"),
    )
    attention_list(actor, list(waiting))


def first_area(areas: dict[str, str]) -> str:
    """Where a person looks first: the agent at tickets, the marketer at leads, everybody else at sales."""
    if "sales" not in areas and "service" in areas:
        return "service"
    if actor.can("campaign", Action.EDIT) and not actor.can("deal", Action.EDIT):
        return "marketing"
    return next(iter(areas))


actor = current_actor()
header("Overview", "What moved, whether it is more than chance, and what needs somebody")
areas = metrics.areas(actor)
if not areas or not cached(metrics.has_records, **EVERYTHING):
    nothing_at_all()
    st.stop()
selection = period_bar(actor)
tabs = st.tabs(list(areas.values()), default=areas[first_area(areas)], key="area", on_change="rerun", bind="query-params")
for area, tab in zip(areas, tabs, strict=True):
    if tab.open:
        with tab:
            show(area, selection)
