"""Parts of the page about contracts at risk: customers with their reasons, what drives leaving, how long customers stay, the evidence."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from crm_core.services.analytics import churn_rows
from crm_core.services.analytics.churn_rows import LEVELS, SORTS, Row, reason_words
from crm_core.services.analytics.methods.churn import AHEAD
from ml.charts import churn as churn_charts
from ml.charts import evaluation as evaluation_charts
from ml.charts import style
from ui import format as fmt
from ui.components.analysis import Analysis
from ui.components.figure import box, chart
from ui.components.risk_list import TONES, RiskList, risk_list
from ui.components.segment_actions import published_rule
from ui.components.segmentation_views import money
from ui.components.table import Cell, Column

_SORTS = {
    "at_stake": "At stake", "risk": "Risk", "renews_on": "Next renewal", "revenue_12m": "Revenue, 12 months", "tenure_months": "Newest customers",
}  # fmt: skip


def figures(shown: Analysis) -> None:
    """The size of it in four numbers."""
    actor, summary = shown.actor, shown.summary
    ahead = f"within {AHEAD[str(summary['months'])]}"
    with st.grid(4, min_column_width=150):
        _metric(
            "Under contract",
            fmt.number(actor, summary["customers"]),
            f"{fmt.written(summary['left'])} have left so far",
            "Whose end is not known yet",
        )
        _metric("Expected to leave", fmt.number(actor, summary["expected"], digits=0), ahead, "The sum of all risks")
        if summary["at_stake"] > 0:
            _metric(
                "At stake",
                money(actor, summary["at_stake"]),
                "risk × last 12 months",
                "What they brought in, times the chance that they leave",
            )
        usual = f"usual is {fmt.percent(actor, summary['base'][0], 0)}"
        _metric(
            "At high risk",
            fmt.number(actor, summary["high"]),
            usual,
            "Whose risk is at least one and a half times the usual share of leavers",
        )


def _metric(label: str, value: str, note: str, help_text: str) -> None:
    st.metric(label, value, delta=fmt.md(note), delta_color="off", delta_arrow="off", border=True, height="stretch", help=help_text)


# --- customers ----------------------------------------------------------------------------------------------------------------


def customers(shown: Analysis) -> None:
    """Who may leave, the most money first, with the reasons; tasks and segments of them."""
    if not shown.summary["usable"]:
        low, high = shown.summary["base"][1:]
        st.info(
            f"There is no order of customers: the score was refused, so each has the usual risk of {low:.0%} to {high:.0%}. "
            "How long customers stay, and which groups leave more often, does not hang on it: see the next tabs.",
            icon=":material/do_not_disturb_on:",
        )
        return
    risk_list(shown, _list(shown), _about)


def _list(shown: Analysis) -> RiskList:
    return RiskList(
        "churn", "account", churn_rows, list(LEVELS), "High: at least one and a half times the usual share of leavers. Low: below it",
        {key: _SORTS[key] for key in SORTS}, _columns(), _cells, churn_rows.notes, other=("order", "ticket", "user"),
        rule=lambda level: published_rule(shown, "churn_risk", level), label=lambda level: f"{level or 'Any'} risk of leaving",
    )  # fmt: skip


def _about(rows: list[Row], selected: list[int]) -> None:
    chosen = [row for row in rows if selected == [row.id]]
    if chosen:
        _why(chosen[0])
    elif not selected:
        st.caption("Tick one customer to see everything that raises and lowers its risk.")


def _why(row: Row) -> None:
    """All reasons of one customer, the strongest first."""
    with st.container(border=True, gap="small", key="churn_why"):
        st.markdown(f"**Why {fmt.md(row.title)}: {row.risk:.0%}**")
        for raises, words in ((True, "Raises it"), (False, "Lowers it")):
            kept = [reason_words(one) for one in row.reasons if (one["log_odds"] > 0) is raises]
            st.markdown(f"{words}: {fmt.md('; '.join(kept)) if kept else 'nothing'}")


def _columns() -> list[Column]:
    return [
        Column("name", "Company", sortable=False),
        Column("owner", "Owner", sortable=False, muted=True),
        Column("renews", "Renews", sortable=False),
        Column("revenue", "Revenue, 12 months", right=True, sortable=False),
        Column("risk", "Risk", sortable=False),
        Column("range", "Range", right=True, sortable=False, muted=True),
        Column("stake", "At stake", right=True, sortable=False),
        Column("why", "Because", sortable=False, muted=True),
    ]


def _cells(shown: Analysis, row: Row) -> list[Cell]:
    actor = shown.actor
    raised = [one for one in row.reasons if one["log_odds"] > 0][:1]
    return [
        Cell(row.title),
        Cell(row.owner or fmt.NOTHING),
        Cell(fmt.day(actor, row.renews_on) if row.renews_on else fmt.NOTHING),
        Cell(money(actor, row.revenue_12m) if row.revenue_12m is not None else fmt.NOTHING),
        Cell(f"{row.level} {row.risk:.0%}", tone=TONES[row.level]),
        Cell(f"{100 * row.low:.0f}–{100 * row.high:.0f}%"),
        Cell(money(actor, row.at_stake) if row.at_stake is not None else fmt.NOTHING),
        Cell("; ".join(reason_words(one) for one in raised) or "nothing raises it"),
    ]


# --- what drives it -------------------------------------------------------------------------------------------------------------


def reasons(shown: Analysis) -> None:
    """What raises and lowers the risk over all customers, and the rate of leaving by group."""
    if shown.summary["usable"]:
        fig = shown.figure(_coefficients, "coefficients")
        chart(
            shown.actor, fig, "What goes with leaving", "Log-odds: +0.7 doubles the odds. A reason need not be a cause", key="churn_drivers", png="churn-reasons",
        )  # fmt: skip
    else:
        st.info("A refused score has no reasons: its coefficients would be noise.", icon=":material/do_not_disturb_on:")
    outer, _ = box("Not used", "Fields that were left out, and why", key="box_churn_left_out")
    names = {"field": "Field", "why": "Why"}
    outer.dataframe(shown.table("left_out").rename(columns=names), hide_index=True, width="stretch")


def _coefficients(coefficients: pd.DataFrame) -> go.Figure:
    straight = coefficients[~coefficients["term"].str.endswith(", bend")]  # a bend means nothing without its line
    kept = straight.head(12).iloc[::-1]
    colours = [style.tone("bad" if value > 0 else "accent") for value in kept["coefficient"]]
    words = [fmt.written(value, "+.2f") for value in kept["coefficient"]]
    bar = go.Bar(
        x=kept["coefficient"], y=kept["term"], orientation="h", marker={"color": colours}, text=words, textposition="outside", cliponaxis=False,
        hovertemplate="%{y}: %{x:+.2f}<extra></extra>",
    )  # fmt: skip
    fig = style.figure(bar, x="Log-odds: right raises the risk", height=90 + 28 * len(kept))
    fig.add_vline(x=0, line={"color": style.tone("line"), "width": 1})
    fig.update_yaxes(showgrid=False)
    return fig


def staying(shown: Analysis) -> None:
    """How long customers stay, with the rate of leaving beside it."""
    left, right = st.columns([3, 2], gap="small")
    with left:
        fig = shown.figure(churn_charts.survival_line, "survival")
        chart(shown.actor, fig, "How long customers stay", "Share still under contract by age, with its range", key="churn_survival", png="churn-staying")  # fmt: skip
    with right:
        outer, _ = box("Who leaves more often", "Leavers per hundred customer years, with the 95% range", key="box_churn_rates")
        rates = shown.table("groups")
        outer.dataframe(
            rates[["group", "customers", "left", "rate", "low", "high"]], hide_index=True, width="stretch",
            column_config={"group": "Group", "customers": "Customers", "left": "Left", **{key: st.column_config.NumberColumn(label, format="%.1f") for key, label in (("rate", "Rate"), ("low", "From"), ("high", "To"))}},
        )  # fmt: skip
        outer.caption(_difference(shown, rates))


def _difference(shown: Analysis, rates: pd.DataFrame) -> str:
    chance = shown.summary.get("p_groups")
    if chance is None:
        return "Choose “Compare by” under Settings for a curve and a rate of each group."
    if chance >= 0.05:
        return f"The curves can't be told from chance (log-rank p = {fmt.written(chance, '.2f')})."
    first, last = rates.iloc[0], rates.iloc[-1]
    return fmt.md(
        f"{first['group']} leave {fmt.written(first['rate'] / max(last['rate'], 1e-9), '.1f')} times as often as {last['group']} (log-rank p {'<' if chance < 0.001 else '='} {fmt.written(max(chance, 0.001), '.3f')})."
    )


# --- evidence -----------------------------------------------------------------------------------------------------------------


def evidence(shown: Analysis) -> None:
    """On later cases that the fit had not seen: beside simple rules, whether chances came true, what the order gains."""
    left, right = st.columns(2, gap="small")
    with left:
        fig = shown.figure(_compared, "compared")
        chart(shown.actor, fig, "Against simple rules", "How often a leaver is placed before one who stayed; .50 is a coin", key="churn_compared", png="churn-compared")  # fmt: skip
        fig = shown.figure(evaluation_charts.calibration_line, "calibration")
        chart(shown.actor, fig, "Did the chances come true?", "On the diagonal, 30% happens in 30% of the cases", key="churn_calibration", png="churn-calibration")  # fmt: skip
    with right:
        fig = shown.figure(evaluation_charts.gain_line, "lift")
        chart(shown.actor, fig, "What the order gains", "Leavers reached when the highest risks come first", key="churn_gain", png="churn-gain")  # fmt: skip
        outer, _ = box("Has the world moved?", "Earlier against later days; beyond .25 a field has drifted", key="box_churn_drift")
        names = {"field": "Field", "psi": "Index", "early": "Earlier", "late": "Later", "verdict": "Verdict"}
        outer.dataframe(shown.table("drift").rename(columns=names), hide_index=True, width="stretch")
    found = shown.summary
    st.caption(
        f"{fmt.written(found['cases'])} cases on {found['days']} days, each a horizon of {found['months']} months apart. Learned from {fmt.written(found['n_train'], ',.0f')} "
        f"earlier ones, judged on {fmt.written(found['n'], ',.0f')} later ones. The score says who is likely to leave, not who would stay if called: keep a hold-out."
    )


def _compared(compared: pd.DataFrame) -> go.Figure:
    rows = compared.iloc[::-1]
    colours = [style.tone("accent" if name == "This score" else "muted") for name in rows["method"]]
    dots = go.Scatter(
        x=rows["auc"], y=rows["method"], mode="markers+text", marker={"size": 10, "color": colours}, text=[fmt.written(value, ".2f") for value in rows["auc"]],
        textposition="top center", error_x=_whiskers(rows),
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )  # fmt: skip
    fig = style.figure(dots, x="AUC, with 95% interval", height=110 + 44 * len(rows))
    fig.add_vline(x=0.5, line={"color": style.tone("line"), "dash": "dot", "width": 1})
    fig.update_yaxes(showgrid=False)
    return fig


def _whiskers(rows: pd.DataFrame) -> dict[str, Any]:
    up, down = rows["high"] - rows["auc"], rows["auc"] - rows["low"]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": style.tone("muted"), "thickness": 1.5}
