"""Who will leave or stay away and what that costs: for managers and account owners, to call those with most at stake and to see why."""

from typing import Any

import streamlit as st

from crm_core.services.analytics.methods import method
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.components import churn_views
from ui.components.analysis import Analysis, analysis_page
from ui.components.renewal_list import renewal_list
from ui.components.score_views import subject_switch
from ui.components.segmentation_views import money
from ui.components.value_views import cohort_map, customers, evidence, silence_words
from ui.navigation import go, page_of
from ui.session import current_actor

NEEDS = (
    "It needs orders that name their customer: at least ten customers who ordered more than once, better hundreds, over a year or more. "
    "Choose people or companies and press Run."
)
CONTRACT_NEEDS = (
    "It needs companies with “Customer since” filled in, and at least thirty whose “Customer until” says when their contract ended. Both are "
    "fields of a company: enter them there, or import a file with these columns. Orders and tickets of theirs make it better. Then press Run."
)
KINDS = {"orders": ("value", "Without a contract"), "contracts": ("churn", "Under contract")}


def buttons(actions: Any) -> None:
    """What gets orders in."""
    if page_of(current_actor(), "import") is not None and actions.button(
        "Import orders", icon=":material/upload:", key="import_orders"
    ):
        go("import")


def contract_buttons(actions: Any) -> None:
    """Where the days of contracts are entered."""
    here = current_actor()
    if page_of(here, "import") is not None and actions.button("Import companies", icon=":material/upload:", key="import_companies"):
        go("import")
    if page_of(here, "accounts") is not None and actions.button(
        "Open companies", icon=":material/apartment:", key="open_companies"
    ):
        go("accounts")


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
            help="Chance of at least 70% that no order comes in that time",
        )  # fmt: skip


def of_buyers(head: Any) -> None:
    """Customers who just stop buying."""
    shown = analysis_page("value", caption="Who may stay away, and what is at stake", nothing=NEEDS, on_nothing=buttons, head=head)
    figures(shown)
    first, second, third = st.tabs(["Customers", "Cohorts", "Evidence"], key="part", on_change="rerun", bind="query-params")
    for tab, draw in ((first, customers), (second, cohort_map), (third, evidence)):
        if tab.open:
            with tab:
                draw(shown)
    shown.finish()


def of_contracts(head: Any) -> None:
    """Customers whose contract ends."""
    shown = analysis_page("churn", caption="Which contracts may end, why, and what is at stake", nothing=CONTRACT_NEEDS, on_nothing=contract_buttons, instead=renewal_list, head=head)  # fmt: skip
    churn_views.figures(shown)
    tabs = st.tabs(["Customers", "Coming up", "Reasons", "How long they stay", "Evidence"], key="contract_part", on_change="rerun", bind="query-params")  # fmt: skip
    drawn = (churn_views.customers, lambda _shown: renewal_list(), churn_views.reasons, churn_views.staying, churn_views.evidence)
    for tab, draw in zip(tabs, drawn, strict=True):
        if tab.open:
            with tab:
                draw(shown)
    shown.finish()


actor = current_actor()
offered = {
    key: words for key, (kind, words) in KINDS.items() if all(actor.can(needed, Action.READ) for needed in method(kind).entities)
}
head = st.container(key="analysis_head")
of = subject_switch(offered) if len(offered) > 1 else next(iter(offered), "orders")
if of == "contracts":
    of_contracts(head)
else:
    of_buyers(head)
