"""Parts of the drivers page: what goes with the outcome in words and with its actions, like with like, and whether the fit may be believed."""

import json
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from crm_core import lists
from crm_core.services.analytics.driver_rules import GOALS
from ml.charts import matched as matched_charts
from ml.charts import regression as charts
from ml.regression import Regression
from ui import format as fmt
from ui.actions import load
from ui.components.analysis import Analysis
from ui.components.figure import box, chart
from ui.components.list_link import list_link
from ui.components.segment_actions import segment_buttons
from ui.navigation import page_of

INFLUENTIAL = 8
_SHOWN = {
    "n": ("Rows", "{:,.0f}"),
    "loo_r2": ("Explained on rows left out", "{:.1%}"),
    "r2": ("Explained on rows fitted (R²)", "{:.1%}"),
    "loo_rmse": ("Typical error on rows left out", "{:,.4g}"),
    "cv_auc": ("AUC on rows left out", "{:.3f}"),
    "cv_auc_low": ("… at least", "{:.3f}"),
    "cv_auc_high": ("… at most", "{:.3f}"),
    "cv_brier": ("Brier score on rows left out", "{:.3f}"),
    "base_brier": ("… of the base rate", "{:.3f}"),
    "base_rate": ("Base rate", "{:.1%}"),
    "condition": ("Condition number", "{:,.1f}"),
}


def stored(coefficients: pd.DataFrame, rows: pd.DataFrame, facts: dict[str, Any]) -> Regression:
    """The fit as it was computed, from the tables of its run."""
    return Regression(
        facts["kind"], facts["y"], coefficients, {}, [], [], rows.drop(columns="record_id"), facts["level"], facts["robust"], facts["positive"]
    )  # fmt: skip


def _drawn(coefficients: pd.DataFrame, rows: pd.DataFrame, *, draw: str, facts: Any) -> go.Figure:
    return getattr(charts, draw)(stored(coefficients, rows, dict(facts)))


def figure(shown: Analysis, draw: Any) -> go.Figure:
    """A chart of ``ml.charts.regression`` over the run."""
    facts = tuple((name, shown.summary[name]) for name in ("kind", "y", "level", "robust", "positive"))
    return shown.figure(_drawn, "coefficients", "rows", draw=draw.__name__, facts=facts)


# --- what goes with it --------------------------------------------------------------------------------------------------------


def links(shown: Analysis) -> None:
    """The coefficients as a figure, the clear ones as sentences with what can be done with them."""
    st.caption(f":material/balance: {fmt.md(shown.summary['caution'])}")
    left, right = st.columns([6, 6], gap="small")
    with left:
        logistic = shown.summary["kind"] == "logistic"
        subtitle = f"{'Odds ratios' if logistic else 'Coefficients'} with {shown.summary['level']:.0%} intervals; pale: no clear link; numbers per standard deviation"
        chart(shown.actor, figure(shown, charts.coefficients_forest), "What goes with it", subtitle, key="forest", png="drivers")
    with right:
        _clear(shown)
    _alike(shown)
    _left_out(shown)


def _clear(shown: Analysis) -> None:
    table = shown.table("drivers")
    outer, _ = box("Clear links", "The strongest first, all other facts held fixed", key="box_clear")
    with outer:
        if table.empty:
            st.caption("None: every interval includes “no link”. More records or fewer facts may show one; or there is none.")
        for place, row in enumerate(table.head(8).to_dict("records")):
            st.markdown(fmt.md(fmt.as_read(row["sentence"])))
            if row["leaf"]:
                _act(shown, place, row)


def _act(shown: Analysis, place: int, row: dict[Any, Any]) -> None:
    """Where the fact can be used: the open deals or the customers that have it."""
    leaf, entity = json.loads(row["leaf"]), str(shown.summary["entity"])
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if entity == "deal":
            items = [leaf, {"field": "outcome", "cmp": "eq", "value": "open"}]
            list_link(shown.actor, "deal", "Open deals like this", {"op": "and", "items": items}, icon="filter_alt")
        elif entity == "order":
            list_link(shown.actor, "order", "Orders like this", {"op": "and", "items": [leaf]}, icon="filter_alt")
        who = "account" if str(leaf["field"]).startswith("account.") else entity
        if who in ("account", "contact"):
            rule = {"op": "and", "items": [{**leaf, "field": str(leaf["field"]).removeprefix("account.")}]}
            words = f"{row['column']} {row['value']}".strip()
            segment_buttons(
                f"driver_{place}", entity=who, name=words[:120], source={"kind": "driver", "run_id": shown.run.id, "label": words[:120]}, rule=rule
            )  # fmt: skip


def _alike(shown: Analysis) -> None:
    table = shown.table("alike")
    if table.empty:
        return
    share = shown.summary["kind"] == "logistic"
    goal = GOALS[str(shown.run.params["goal"])]
    unit = "points of the share" if share else (shown.actor.currency if goal.unit == "money" else goal.unit)
    fig = shown.figure(matched_charts.alike_points, "alike", x=f"Difference in {goal.y.lower()} ({unit})", share=share)
    chart(
        shown.actor, fig, "Like with like", "With the fact against without it: all records, and only those that agree in other facts",
        key="alike", png="like-with-like",
    )  # fmt: skip
    notes = []
    for row in table.to_dict("records"):
        if pd.isna(row["alike"]):
            notes.append(f"{row['what']}: no records agree in {row['agreeing_in']}, so nothing is claimed.")
        else:
            notes.append(
                f"{row['what']}: compared among records that agree in {row['agreeing_in']} ({row['matched']:.0%} of them have a counterpart)."
            )
    with st.expander("What was compared", key="alike_notes"):
        for note in notes:
            st.caption(fmt.md(note))
        st.caption(
            "This removes what these other facts explain, and nothing else: only a test with a hold-out shows what a change would do."
        )


def _left_out(shown: Analysis) -> None:
    kept_out = shown.summary.get("left_out") or []
    if kept_out:
        with st.expander("Kept out because they know the outcome", icon=":material/block:", key="left_out"):
            for line in kept_out:
                st.caption(fmt.md(line))


# --- may it be believed -------------------------------------------------------------------------------------------------------


def coefficients(shown: Analysis) -> None:
    """Every coefficient with its interval, and its sentence."""
    table = shown.table("coefficients")
    columns = ["term", "coef", "low", "high", *(["odds_ratio"] if "odds_ratio" in table else []), "p", "vif", "alone"]
    st.dataframe(
        table[columns], hide_index=True, width="stretch",
        column_config={
            "term": "Fact", "coef": st.column_config.NumberColumn("Coefficient", format="%.4g"), "low": st.column_config.NumberColumn("Low", format="%.4g"),
            "high": st.column_config.NumberColumn("High", format="%.4g"), "odds_ratio": st.column_config.NumberColumn("Odds ratio", format="%.3g"),
            "p": st.column_config.NumberColumn("p", format="%.3g"),
            "vif": st.column_config.NumberColumn("VIF", format="%.1f", help="Above 10 it moves together with other facts and can't be told apart from them"),
            "alone": st.column_config.NumberColumn("Alone", format="%.4g", help="The coefficient when it is the only fact"),
        },
    )  # fmt: skip
    with st.expander("In sentences", key="sentences"):
        for sentence in table["sentence"]:
            st.markdown(f"- {fmt.md(fmt.as_read(sentence))}")
    with st.expander("Why the sign can turn: students and their cards", icon=":material/help:", key="flip"):
        st.markdown(
            "Of 10,000 holders of a credit card, students default more often: alone, the coefficient of *student* is +0.405. Among people with the same "
            "balance they default less often: −0.647. Both are true. Students owe more, and that is why they default. Which number you need depends on "
            "the question, and neither says what would happen if somebody became a student."
        )


def evidence(shown: Analysis) -> None:
    """The test on rows left out, residuals, and the records that pull."""
    statistics = shown.summary["statistics"]
    left, right = st.columns([5, 7], gap="small")
    with left:
        outer, _ = box("The test", "On rows not used for fitting, where it says so", key="box_test")
        rows = {
            label: pattern.format(statistics[key]) for key, (label, pattern) in _SHOWN.items() if statistics.get(key) is not None
        }
        outer.table({label: fmt.md(value) for label, value in rows.items()}, border="horizontal")
    with right:
        chart(
            shown.actor,
            figure(shown, charts.leverage_scatter),
            "Which records pull",
            "The larger, the more",
            key="leverage",
            png="drivers-leverage",
        )
    _residuals(shown)
    _influential(shown)


def _residuals(shown: Analysis) -> None:
    """What the model leaves over; outcomes of yes and no have no normal errors to look at."""
    linear = shown.summary["kind"] == "linear"
    left, right = st.columns(2, gap="small") if linear else (st.container(), None)
    with left:
        fig = figure(shown, charts.residuals_scatter)
        chart(
            shown.actor,
            fig,
            "What is left over",
            "A fan or a bow: the model misses something",
            key="residuals",
            png="drivers-residuals",
        )
    if right is not None:
        with right:
            fig = figure(shown, charts.residuals_quantiles)
            chart(
                shown.actor,
                fig,
                "Are the errors normal?",
                "Ends that bend away are heavy tails",
                key="quantiles",
                png="drivers-quantiles",
            )


def _influential(shown: Analysis) -> None:
    table = shown.table("rows").sort_values("cooks_distance", ascending=False).head(INFLUENTIAL)
    entity = str(shown.summary["entity"])
    titles = load(_titles, entity, [int(value) for value in table["record_id"]])
    page = page_of(shown.actor, entity)
    outer, _ = box("Records that pull most", "Look at them; a typing error shows up here", key="box_pull")
    for row in table.to_dict("records"):
        key = int(row["record_id"])
        if key not in titles:
            continue
        words = f"{fmt.md(titles[key][:70])}: Cook's distance {fmt.written(row['cooks_distance'], '.2f')}, leverage {fmt.written(row['leverage'], '.2f')}"
        if page is not None:
            outer.page_link(page, label=words, query_params={"id": str(key)})
        else:
            outer.markdown(words)


def _titles(session: Any, actor: Any, entity: str, ids: list[int]) -> dict[int, str]:
    return lists.titles(session, actor, entity, ids)
