"""What is bought together, what is dearer, what to offer next: for sales and marketing, to make call lists and to suggest products on deals."""

import pandas as pd
import streamlit as st

from ml.charts import basket as charts
from ui import format as fmt
from ui.components.analysis import Analysis, analysis_page
from ui.components.basket_views import acceptance_table, named_rules, names, rule_table, upsell_table
from ui.components.figure import chart

NEEDS = "It needs orders with products: a hundred baskets to say anything, thousands to say much. They come in with an import, or as you win deals."
METHODS = {
    "ease": "All products at once (ease)",
    "confidence": "Goes with",
    "cosine": "Goes with, popular ones damped",
    "popularity": "The same for everybody",
}


def together(shown: Analysis) -> None:
    """Rules: the first ones with the lift they kept, and all of them to choose from."""
    rules = shown.table("rules")
    if rules.empty:
        st.caption("No rule reaches these limits. Lower the least share or confidence under Settings, or take a longer period.")
        return
    known = names()
    holding = rules[rules["verdict"] == "holds"]
    fig = charts.rules_holdout_dots(named_rules((holding if len(holding) else rules).head(12), known), top=12)
    if rules["holdout_lift"].notna().any():
        chart(
            shown.actor,
            fig,
            "What the surest rules are worth",
            "Grey: when mined. Dot: on later baskets, with 95% interval. 1: no connection",
            key="rules",
            png="rules",
        )
    rule_table(shown, rules, known)


def dearer(shown: Analysis) -> None:
    """Upsell: dearer products of the same category that buyers chose."""
    offers = shown.table("upsell")
    if offers.empty:
        st.caption("No product has a dearer alternative in its category (up to 2.5 times the price) that enough buyers chose.")
        return
    known = names()
    offers = offers.sort_values("expected_extra", ascending=False, kind="stable")
    labelled = offers.assign(product_id=offers["product_id"].map(known), offer_id=offers["offer_id"].map(known))
    chart(
        shown.actor, charts.upsell_bar(labelled.dropna(subset=["product_id", "offer_id"]), top=10), "What a dearer offer is worth at least",
        "Lower end of the share who chose it times the difference in price", key="upsell", png="upsell",
    )  # fmt: skip
    upsell_table(shown, offers, known)
    st.caption("The shares say what buyers chose between the two, not what an offer changes: keep a hold-out to measure that.")


def ways(shown: Analysis) -> None:
    """Which way of suggesting is right, and what came of suggestions."""
    judged = shown.table("methods")
    if judged.empty:
        st.caption("Ways of suggesting could not be compared on this data; the notes at the top say why.")
    else:
        chart(
            shown.actor, shown.figure(_ways, "methods"), "Which way of suggesting is right",
            "One product is taken out of each later basket: how often is it among the first five suggestions?", key="ways", png="suggesting",
        )  # fmt: skip
    st.markdown("**What suggestions led to**")
    acceptance_table(names())


def _ways(judged: pd.DataFrame):  # type: ignore[no-untyped-def]
    return charts.recommenders_bar(judged.assign(method=judged["method"].map(lambda key: METHODS.get(key, key))))


shown = analysis_page("basket", caption="What to offer to whom, and what to put on the next deal", nothing=NEEDS)
summary = shown.summary
with st.container(horizontal=True, gap="small", key="basket_figures"):
    st.metric("Baskets", fmt.number(shown.actor, summary["baskets"]), border=True)
    st.metric("Products", fmt.number(shown.actor, summary["products"]), border=True)
    st.metric("Rules", fmt.number(shown.actor, summary["rules"]), border=True)
    st.metric(
        "Hold later",
        fmt.number(shown.actor, summary["holding"]),
        border=True,
        help="The whole interval of their lift on later baskets lies above 1",
    )
    st.metric("Customers with an offer", fmt.number(shown.actor, summary["customers"]), border=True)
first, second, third = st.tabs(
    ["Bought together", "Dearer alternatives", "Suggesting"], key="part", on_change="rerun", bind="query-params"
)
for tab, draw in ((first, together), (second, dearer), (third, ways)):
    if tab.open:
        with tab:
            draw(shown)
shown.finish()
