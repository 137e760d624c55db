"""What goes with wins, large deals, quick ones, loyal customers: for managers and analysts, to ask better questions before changing something."""

import streamlit as st

from crm_core.services.analytics.driver_rules import GOALS
from ui import format as fmt
from ui.components.analysis import Analysis, analysis_page
from ui.components.driver_views import coefficients, evidence, links

NEEDS = (
    "It needs at least twenty closed deals, orders or customers, and about ten cases for each fact. Choose what to explain; without chosen facts "
    "it takes the first ones that are filled in. Press Run."
)


def figures(shown: Analysis) -> None:
    """What was fitted, and how good it is on rows it had not seen."""
    actor, statistics = shown.actor, shown.summary["statistics"]
    with st.container(horizontal=True, gap="small", key="driver_figures"):
        st.metric(
            GOALS[str(shown.run.params["goal"])].rows.capitalize(),
            fmt.number(actor, shown.summary["rows"]),
            border=True,
            height="stretch",
        )
        if shown.summary["kind"] == "logistic":
            st.metric("Base rate", fmt.percent(actor, statistics["base_rate"], 0), border=True, height="stretch")
            st.metric(
                "AUC on rows left out", fmt.written(statistics["cv_auc"], ".2f"), border=True, height="stretch", delta=f"{fmt.written(statistics['cv_auc_low'], '.2f')} to {fmt.written(statistics['cv_auc_high'], '.2f')}",
                delta_color="off", delta_arrow="off", help="Of two records with different outcomes, how often it ranks them rightly; 0.5 is a coin",
            )  # fmt: skip
        else:
            st.metric(
                "Explained on rows left out", fmt.percent(actor, max(0.0, statistics["loo_r2"]), 0), border=True, height="stretch"
            )
            st.metric(
                "Typical error",
                fmt.number(actor, statistics["loo_rmse"], digits=0 if statistics["loo_rmse"] >= 100 else 2),
                border=True,
                height="stretch",
            )
        st.metric("Clear links", fmt.number(actor, len(shown.table("drivers"))), border=True, height="stretch")


shown = analysis_page("drivers", caption="What goes with an outcome, all else being equal", nothing=NEEDS)
figures(shown)
first, second, third = st.tabs(["Links", "Coefficients", "Evidence"], key="part", on_change="rerun", bind="query-params")
for tab, draw in ((first, links), (second, coefficients), (third, evidence)):
    if tab.open:
        with tab:
            draw(shown)
shown.finish()
