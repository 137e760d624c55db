"""Which channel or campaign gets the credit: for marketers and managers, before they move a budget, with the models' quarrel left visible."""

from typing import Any

import streamlit as st

from ui.components.analysis import analysis_page
from ui.components.attribution_views import costs, credits, journeys, measured, totals
from ui.navigation import go, page_of
from ui.session import current_actor

NEEDS = (
    "It needs two things: touches of contacts (from campaigns, tracked links, events or an import) and won deals or orders of the same people. "
    "Choose what counts above and press Run."
)


def buttons(actions: Any) -> None:
    """Where the missing input comes from."""
    actor = current_actor()
    for url, words, icon in (("campaigns", "Open campaigns", "campaign"), ("import", "Import a file", "upload")):
        if page_of(actor, url) is not None and actions.button(words, icon=f":material/{icon}:", key=f"need_{url}"):
            go(url)


shown = analysis_page(
    "attribution", caption="Which channel or campaign gets the credit, and what it cost", nothing=NEEDS, on_nothing=buttons
)
totals(shown)
names = ["Credits", "Cost per conversion", "Measured by hold-outs", "Journeys"]
tabs = st.tabs(names, key="part", on_change="rerun", bind="query-params")
for tab, draw in zip(tabs, (credits, costs, measured, journeys), strict=True):
    if tab.open:
        with tab:
            draw(shown)
shown.finish()
