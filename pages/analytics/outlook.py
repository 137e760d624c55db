"""What a month or quarter will bring: for sales managers, to see weighted pipeline, commit and statistics beside the quota, each with its record."""

from typing import Any

import streamlit as st

from crm_core.kit import clock
from crm_core.services.analytics import outlook_now
from crm_core.services.analytics.methods.outlook import chosen, fiscal_start
from ui import format as fmt
from ui.actions import load
from ui.cache import behind, cached
from ui.components.analysis import analysis_page
from ui.components.outlook_views import changes, standing, ways
from ui.components.quota_dialog import quota_button
from ui.session import current_actor

NEEDS = (
    "It compares three ways of looking ahead by what they said of earlier periods. It needs won deals with a closing day and open ones with "
    "an expected day; the pipeline itself is remembered every evening. Press Run."
)
TABLES = ("deal", "stage", "quota", "pipeline_snapshot", "pipeline_snapshot_day", "organisation")


def quota_access(place: Any) -> None:
    """Quotas can be set before anything was computed."""
    actor = current_actor()
    with place:
        quota_button(actor, clock.today(actor.timezone), load(fiscal_start))


shown = analysis_page(
    "outlook", title="Sales outlook", caption="What the period will bring, by whose record", nothing=NEEDS, on_nothing=quota_access
)
actor, params = shown.actor, shown.run.params
only = chosen(params)
seen = behind("deal", only["rule"])
now = cached(
    outlook_now.now, params["unit"], ahead=int(params["which"]), **only, entities=(*seen["entities"], "quota"), tables=(*seen["tables"], *TABLES)
)  # fmt: skip
head = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
head.markdown(f"**{fmt.md(fmt.day(actor, now.period.start))} to {fmt.md(fmt.day(actor, now.period.end))}**", width="content")
quota_access(head)
standing(actor, now, only)
first, second = st.tabs(["Forecast", "What changed"], key="part", on_change="rerun", bind="query-params")
if first.open:
    with first:
        if shown.summary["start"] != str(now.period.start):
            st.caption(":material/history: This run is about another period than the figures above. Press Run for the present one.")
        ways(shown, now)
if second.open:
    with second:
        changes(actor, now, only)
shown.finish()
