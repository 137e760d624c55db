"""Who will stay away and what that costs: for managers and account owners, to call the customers with most at stake and to see cohorts fade."""

from typing import Any

import streamlit as st

from ui import format as fmt
from ui.components.analysis import Analysis, analysis_page
from ui.components.segmentation_views import money
from ui.components.value_views import cohort_map, customers, evidence, silence_words
from ui.navigation import go, page_of
from ui.session import current_actor

NEEDS = (
    "It needs orders that name their customer: at least ten customers who ordered more than once, better hundreds, over a year or more. "
    "Choose people or companies and press Run."
)


def buttons(actions: Any) -> None:
    """What gets orders in."""
    if page_of(current_actor(), "import") is not None and actions.button(
        "Import orders", icon=":material/upload:", key="import_orders"
    ):
        go("import")


def figures(shown: Analysis) -> None:
    """The size of it in four numbers."""
    actor, summary = shown.actor, shown.summary
    months = shown.run.params["months"]
    with st.container(horizontal=True, gap="small", key="value_figures"):
        st.metric(
            "Expected value", money(actor, summary["value"]), border=True, height="stretch", delta=f"of the next {months} months", delta_color="off", delta_arrow="off",
            help="Of today's customers, discounted; sums are what this is good for",
        )  # fmt: skip
        st.metric(
            "Expected purchases", fmt.number(actor, summary["expected_purchases"], digits=0), border=True, height="stretch",
            delta=fmt.plural(summary["customers"], "customer"), delta_color="off", delta_arrow="off",
        )  # fmt: skip
        st.metric(
            "At stake", money(actor, summary["at_stake"]), border=True, height="stretch", delta="risk × last 12 months", delta_color="off", delta_arrow="off",
            help="What customers brought in over twelve months, times the chance that they stay away",
        )  # fmt: skip
        st.metric(
            "At high risk", fmt.number(actor, summary["high"]), border=True, height="stretch", delta=silence_words(shown), delta_color="off", delta_arrow="off",
            help="Chance of at least 70 % that no order comes in that time",
        )  # fmt: skip


shown = analysis_page("value", caption="Who may stay away, and what is at stake", nothing=NEEDS, on_nothing=buttons)
figures(shown)
first, second, third = st.tabs(["Customers", "Cohorts", "Evidence"], key="part", on_change="rerun", bind="query-params")
for tab, draw in ((first, customers), (second, cohort_map), (third, evidence)):
    if tab.open:
        with tab:
            draw(shown)
shown.finish()
