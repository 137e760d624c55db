"""Who the customers are by how they buy: for marketers and managers, to decide whom to address differently, and to make segments of them."""

from typing import Any

import streamlit as st

from crm_core.services.analytics import segmentation_rows
from crm_core.services.analytics.methods.segmentation import BEHAVIOUR
from ml.charts import clusters as cluster_charts
from ml.charts import rfm as rfm_charts
from ui import format as fmt
from ui.actions import load
from ui.components.analysis import Analysis, analysis_page
from ui.components.figure import chart
from ui.components.segment_actions import published_rule, segment_buttons
from ui.components.segmentation_views import cluster_cards, moves, rfm_rows
from ui.navigation import go, page_of

NEEDS = (
    "It needs orders of at least ten customers, better hundreds. Choose the customers and the period above and press Run; "
    "the orders come in with an import or as you win deals."
)


def buttons(actions: Any) -> None:
    if page_of(shown_actor(), "import") is not None and actions.button(
        "Import orders", icon=":material/upload:", key="import_orders"
    ):
        go("import")


def shown_actor() -> Any:
    from ui.session import current_actor

    return current_actor()


def figures(shown: Analysis) -> None:
    """The size of it in four numbers."""
    summary, actor = shown.summary, shown.actor
    with st.container(horizontal=True, gap="small", key="segmentation_figures"):
        st.metric("Customers with orders", fmt.number(actor, summary["customers"]), border=True)
        st.metric("Groups", fmt.number(actor, summary["clusters"]) if summary["clusters"] > 1 else "None", border=True)
        worst = summary["worst_jaccard"]
        st.metric(
            "Weakest group keeps", fmt.percent(actor, worst, 0), border=True,
            help="Share of its customers that it keeps when the data is redrawn. From 75% a pattern, from 85% highly stable",
        )  # fmt: skip
        st.metric(
            "Rules find", fmt.percent(actor, summary["agreement"], 0), border=True,
            help="Share of customers whom the editable rules put into their own group",
        )  # fmt: skip


def clusters(shown: Analysis) -> None:
    """Where each group lies, and a card for each with its actions."""
    table = shown.table("clusters")
    if len(table) < 2:
        st.caption("There are no groups in this run. The grid beside this tab still tells customers apart by how they bought.")
        return
    words = {int(row["segment"]): f"{row['name'].replace(', ', '<br>')}<br>{row['share']:.0%}" for row in table.to_dict("records")}
    centres = shown.table("centres").set_index("segment").rename(columns=BEHAVIOUR)
    fig = cluster_charts.profile_heatmap(centres, words)
    chart(
        shown.actor, fig, "Where each group lies", "Standard deviations from the average customer; blue is more, red is less",
        key="profile", png="customer-groups",
    )  # fmt: skip
    cluster_cards(shown, table)


def grid(shown: Analysis) -> None:
    """The grid of scores beside what each named cell is worth."""
    left, right = st.columns([6, 5], gap="small")
    with left:
        fig = shown.figure(rfm_charts.rfm_heatmap, "grid")
        chart(
            shown.actor,
            fig,
            "Recency against frequency and money",
            "Customers per cell; scores are fifths",
            key="grid",
            png="rfm-grid",
        )
    with right:
        fig = shown.figure(rfm_charts.rfm_bar, "rfm_summary")
        chart(shown.actor, fig, "Customers and revenue", "Share of each named cell", key="rfm_bar", png="rfm-shares")
    chosen = rfm_rows(shown, shown.table("rfm_summary"))
    if chosen is not None:
        name, count, advice = chosen
        with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small", key="rfm_action"):
            st.markdown(f"**{fmt.md(name)}** · {fmt.written(count)} customers. {fmt.md(advice)}", width="stretch")
            segment_buttons(
                "rfm", entity=shown.run.params["customer"], name=name, source={"kind": "rfm", "run_id": shown.run.id, "label": name},
                rule=published_rule(shown, "rfm", name), members=lambda: load(segmentation_rows.members, shown.run.id, rfm=name), count=count,
            )  # fmt: skip


def stability(shown: Analysis) -> None:
    """The evidence for the number of groups."""
    fig = shown.figure(cluster_charts.stability_curve, "stability", chosen=int(shown.summary["clusters"]))
    chart(
        shown.actor, fig, "How much stays when the data is redrawn", "Per number of groups; the line marks the one that was taken",
        key="stability", png="stability",
    )  # fmt: skip
    st.dataframe(
        shown.table("stability").drop(columns=["silhouette_sample"], errors="ignore"),
        hide_index=True,
        width="stretch",
        column_config={
            "k": "Groups",
            "ari": st.column_config.NumberColumn("All agree (Rand)", format="%.2f"),
            "jaccard": st.column_config.NumberColumn("Average overlap", format="percent"),
            "worst_jaccard": st.column_config.NumberColumn("Weakest overlap", format="percent"),
            "gap": st.column_config.NumberColumn("Gap", format="%.3f"),
            "gap_error": st.column_config.NumberColumn("± error", format="%.3f"),
            "smallest": st.column_config.NumberColumn("Smallest group", format="percent"),
        },
    )


shown = analysis_page("segmentation", caption="Whom to address differently, and who they are", nothing=NEEDS, on_nothing=buttons)
figures(shown)
names = ["Groups", "Grid of recency, frequency, money", "Evidence", "Moves"]
first, second, third, fourth = st.tabs(names, key="part", on_change="rerun", bind="query-params")
for tab, draw in ((first, clusters), (second, grid), (third, stability), (fourth, moves)):
    if tab.open:
        with tab:
            draw(shown)
shown.finish()
