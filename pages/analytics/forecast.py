"""What will come of orders, deals, leads and tickets: for managers, to plan with a range that was measured, not wished."""

import streamlit as st

from crm_core.services.analytics.methods.forecast import GRAINS
from ml.charts import forecast as charts
from ml.forecast_result import NAMES
from ui import format as fmt
from ui.components.analysis import Analysis, analysis_page
from ui.components.figure import chart
from ui.components.forecast_views import ahead, amount, axis, evidence, figure, methods, step_words
from ui.navigation import page_of

NEEDS = (
    "It needs at least eight days, weeks or months of records that are over, and two full years of months (or weeks) to learn a season. "
    "Choose what to look at and press Run."
)


def figures(shown: Analysis) -> None:
    """The answer in four numbers."""
    actor, summary = shown.actor, shown.summary
    table, grain = shown.table("accuracy").set_index("method"), GRAINS[shown.run.params["grain"]].lower()
    own = table.loc[summary["chosen"]]
    first = shown.table("forecast").iloc[0]
    with st.container(horizontal=True, gap="small", key="forecast_figures"):
        st.metric(
            f"Next {shown.run.params['horizon']} {grain}s",
            amount(shown, summary["total"]),
            border=True,
            height="stretch",
            help="Expected in all; the range of a sum is not the sum of ranges",
        )
        st.metric(
            step_words(shown.run.params["grain"], first["ds"], actor), amount(shown, first["yhat"]), border=True, height="stretch", delta=f"{amount(shown, first['low'])} to {amount(shown, first['high'])}",
            delta_color="off", delta_arrow="off",
        )  # fmt: skip
        st.metric(
            "Off by, in rehearsals",
            fmt.percent(actor, float(own["wape"]), 0),
            border=True,
            height="stretch",
            help="All errors over all actual values (WAPE)",
        )
        st.metric(
            f"{summary['level']:.0%} range held", fmt.percent(actor, float(own["coverage_calibrated"]), 0), border=True, height="stretch",
            help="Share of what happened inside the range shown, measured on days that it had not seen",
        )  # fmt: skip


def expected(shown: Analysis) -> None:
    """The line with its range, the periods beside it, the methods below."""
    subtitle = f"{NAMES[shown.summary['chosen']]}; shaded is the {shown.summary['level']:.0%} range, stretched to its past errors"
    chart(
        shown.actor, figure(shown, charts.forecast_line, y=axis(shown)), "Seen and expected", subtitle, key="line", png="forecast"
    )
    left, right = st.columns(2, gap="small")
    with left:
        ahead(shown)
    with right:
        methods(shown)


shown = analysis_page("forecast", caption="What will come, and how far to believe it", nothing=NEEDS)
figures(shown)
first, second = st.tabs(["Expected", "Evidence"], key="part", on_change="rerun", bind="query-params")
for tab, draw in ((first, expected), (second, evidence)):
    if tab.open:
        with tab:
            draw(shown)
outlook = page_of(shown.actor, "outlook")
if outlook is not None:
    st.page_link(
        outlook,
        label="Quota, pipeline and commit beside it",
        icon=":material/flag:",
    )
shown.finish()
