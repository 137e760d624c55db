"""The customers as a few people one can picture: for marketers, to decide what to say to whom, and to make audiences of them."""

import streamlit as st

from crm_core.services.analytics import persona_voices
from ml.charts import clusters as cluster_charts
from ml.charts import personas as charts
from ui import format as fmt
from ui.components.analysis import Analysis, analysis_page
from ui.components.figure import chart
from ui.components.persona_cards import persona_cards, readable

NEEDS = (
    "It needs at least ten customers, better hundreds, who differ in what they bought or in fields of theirs. Hold out what you want to predict, such as a "
    "response: it shows whether the personas are of use."
)


def cards(shown: Analysis) -> None:
    """The personas, or why there are none."""
    if not shown.summary["cards"]:
        st.caption("Bring other fields, another period, or more customers, and run again.")
        return
    persona_cards(shown)
    st.caption(
        "What customers say, complain about and buy is read as you may see it, of the last 12 months and of up to "
        f"{fmt.number(shown.actor, persona_voices.DRAWN)} customers of each persona, drawn at random; names, addresses "
        "and numbers are left out, and it is never part of a shared page. Each run is a version of its own: choose an earlier one above, or compare two."
    )


def usefulness(shown: Analysis) -> None:
    """What took no part in making them and still differs."""
    if "held_out" not in shown.run.tables or not shown.run.tables["held_out"]:
        st.caption(
            "Nothing was held out, so nothing shows whether the personas are of use. Choose a field under Settings, Held out."
        )
        return
    held = shown.table("held_out")
    names = {card["segment"]: readable(card["name"]) for card in shown.summary["cards"]}
    columns = st.columns(2, gap="small")
    for n, attribute in enumerate(held["attribute"].drop_duplicates()):
        with columns[n % 2]:
            fig = shown.figure(_points, "held_out", attribute=attribute, names=tuple(names.items()))
            chart(
                shown.actor, fig, readable(str(attribute).replace("_", " ")), "Each persona with its 95% interval beside the average",
                key=f"held_{n}", png=f"personas-{attribute}",
            )  # fmt: skip


def _points(held, attribute: str, names: tuple[tuple[int, str], ...]):  # type: ignore[no-untyped-def]
    return charts.held_out_dots(held, attribute, dict(names))


def evidence(shown: Analysis) -> None:
    """Why so many and not more."""
    fig = shown.figure(cluster_charts.stability_curve, "stability", chosen=int(shown.summary["personas"]), noun="persona")
    chart(
        shown.actor, fig, "How much stays when the data is redrawn", "Per number of personas; the line marks the one that was taken",
        key="stability", png="personas-stability",
    )  # fmt: skip


shown = analysis_page("personas", caption="What to say to whom", nothing=NEEDS)
summary = shown.summary
with st.container(horizontal=True, gap="small", key="persona_figures"):
    st.metric("Customers", fmt.number(shown.actor, summary["customers"]), border=True)
    st.metric("Personas", fmt.number(shown.actor, summary["personas"]) if summary["personas"] > 1 else "None", border=True)
    st.metric(
        "Weakest persona keeps",
        fmt.percent(shown.actor, summary["worst_jaccard"], 0),
        border=True,
        help="Share of its customers when the data is redrawn",
    )
    st.metric(
        "Rules find",
        fmt.percent(shown.actor, summary["agreement"], 0),
        border=True,
        help="Share of customers whom the rules put into their own persona",
    )
first, second, third = st.tabs(["Personas", "Are they of use?", "Evidence"], key="part", on_change="rerun", bind="query-params")
for tab, draw in ((first, cards), (second, usefulness), (third, evidence)):
    if tab.open:
        with tab:
            draw(shown)
shown.finish()
