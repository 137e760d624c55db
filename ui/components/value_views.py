"""Parts of the churn and value page: customers with their risk, cohorts whose cells can be chosen, and the evidence."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from crm_core.kit import numerals
from crm_core.services.analytics import cohorts, value_rows
from crm_core.services.analytics.methods.value import LEVELS, SILENCE, level_of
from crm_core.services.analytics.value_rows import Row
from ml.charts import churn as churn_charts
from ml.charts import evaluation as evaluation_charts
from ml.charts import lifetime as lifetime_charts
from ml.lifetime import HoldoutReport
from ui import format as fmt
from ui.actions import load
from ui.components import chart_words
from ui.components.analysis import Analysis
from ui.components.figure import box, chart
from ui.components.risk_list import TONES, RiskList, risk_list
from ui.components.segment_actions import segment_buttons
from ui.components.segmentation_views import money
from ui.components.table import Cell, Column

SHOWN_COHORTS, SHOWN_AGES = 18, 18
_SORTS = {
    "at_stake": "At stake", "risk": "Risk", "value": "Expected value", "revenue_12m": "Revenue, 12 months", "silent_days": "Days since last order",
}  # fmt: skip


# --- customers ----------------------------------------------------------------------------------------------------------------


def customers(shown: Analysis) -> None:
    """Who is at risk of staying away, the most money first; tasks and segments of them."""
    customer = str(shown.run.params["customer"])
    risk_list(
        shown,
        RiskList(
            "value", customer, value_rows, [name for _, name in LEVELS], "", _SORTS, _columns(customer), _cells, value_rows.notes
        ),
    )


def _columns(customer: str) -> list[Column]:
    return [
        Column("name", "Company" if customer == "account" else "Person", sortable=False),
        Column("owner", "Owner", sortable=False, muted=True),
        Column("silent", "Last order", right=True, sortable=False),
        Column("usual", "Usually every", right=True, sortable=False, muted=True),
        Column("revenue", "Revenue, 12 months", right=True, sortable=False),
        Column("risk", "Risk", sortable=False),
        Column("value", "Expected value", right=True, sortable=False),
        Column("stake", "At stake", right=True, sortable=False),
    ]


def _cells(shown: Analysis, row: Row) -> list[Cell]:
    actor = shown.actor
    usual = f"{fmt.written(row.usual_gap_days, ',.0f')} days" if row.usual_gap_days is not None else "bought once"
    late = row.usual_gap_days is not None and row.silent_days > 2 * max(row.usual_gap_days, 1)
    return [
        Cell(row.title),
        Cell(row.owner or fmt.NOTHING),
        Cell(f"{fmt.written(row.silent_days)} days ago", hot=late),
        Cell(usual),
        Cell(money(actor, row.revenue_12m)),
        Cell(f"{level_of(row.risk)} {row.risk:.0%}", tone=TONES[level_of(row.risk)]),
        Cell(money(actor, row.value)),
        Cell(money(actor, row.at_stake)),
    ]


# --- cohorts ------------------------------------------------------------------------------------------------------------------


def cohort_map(shown: Analysis) -> None:
    """How each intake fades; a cell that is clicked or chosen becomes a segment."""
    period = str(shown.run.params["cohort"])
    frame = shown.table("cohorts")
    if frame.empty or not (frame["age"] > 0).any():
        st.caption("No cohort is old enough yet: the first order must lie a whole period back.")
        return
    latest = sorted(frame["cohort"].unique())[-SHOWN_COHORTS:]
    fig = shown.figure(_cohort_figure, "cohorts", period=period, months=numerals.months(shown.actor.locale))
    outer, _ = box(
        "Who ordered again",
        f"Share of each cohort by {period}s since the first order; the {period} that is not over is left out. Click a cell",
        key="box_cohorts",
    )
    event = outer.plotly_chart(
        fig,
        key=f"cohorts_{shown.run.id}",
        config=chart_words.config(shown.actor),
        on_select="rerun",
        selection_mode="points",
        alt="Share of each cohort that ordered again",
    )
    _cell(shown, frame, [pd.Timestamp(stamp) for stamp in latest], _clicked(event))


def _cohort_figure(frame: pd.DataFrame, *, period: str, months: tuple[str, ...]) -> go.Figure:
    latest = sorted(frame["cohort"].unique())[-SHOWN_COHORTS:]
    kept = frame[frame["cohort"].isin(latest) & (frame["age"] <= SHOWN_AGES)]
    return churn_charts.retention_heatmap(kept, period=period, clickable=True, months=months)


def _clicked(event: Any) -> tuple[date, int] | None:
    """The cohort and age of the cell that was clicked."""
    points = (event or {}).get("selection", {}).get("points", []) if isinstance(event, Mapping) or hasattr(event, "get") else []
    for point in points:
        data = point.get("customdata")
        if isinstance(data, list | tuple) and len(data) == 2:
            return date.fromisoformat(str(data[0])[:10]), int(data[1])
    return None


def _largest(frame: pd.DataFrame, latest: list[pd.Timestamp]) -> int:
    """Place of the largest cohort that is at least one period old, latest first."""
    sizes = frame[frame["age"] == 1].set_index("cohort")["customers"]
    return max(range(len(latest)), key=lambda place: int(sizes.get(latest[::-1][place], 0)))


def _cell(shown: Analysis, frame: pd.DataFrame, latest: list[pd.Timestamp], clicked: tuple[date, int] | None) -> None:
    """The chosen cell in words, with its people as a segment."""
    customer, period = str(shown.run.params["customer"]), str(shown.run.params["cohort"])
    if clicked is not None and st.session_state.get("_cohort_click") != clicked:
        st.session_state["_cohort_click"] = clicked
        st.session_state["cohort_start"], st.session_state["cohort_age"] = pd.Timestamp(clicked[0]), clicked[1]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="cohort_choice"):
        start = st.selectbox(
            "Cohort",
            latest[::-1],
            index=_largest(frame, latest),
            format_func=lambda stamp: numerals.month(stamp.date(), shown.actor.locale, short=True),
            key="cohort_start",
            width=160,
        )
        ages = sorted(frame.loc[(frame["cohort"] == start) & (frame["age"] > 0), "age"].unique().tolist())
        if not ages:
            st.caption("This cohort has no whole period behind it yet.")
            return
        if st.session_state.get("cohort_age") not in ages:
            st.session_state["cohort_age"] = ages[0]
        age = st.selectbox(f"{period.capitalize()}s later", ages, key="cohort_age", width=150)
        which = st.segmented_control("Who", ["Ordered again", "Did not"], default="Did not", key="cohort_who", required=True)
    first = numerals.month(start.date(), shown.actor.locale, short=True)
    row = frame[(frame["cohort"] == start) & (frame["age"] == age)].iloc[0]
    active = which == "Ordered again"
    number = int(row["active"] if active else row["customers"] - row["active"])
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small", key="cohort_action"):
        st.markdown(
            f"Of **{fmt.written(int(row['customers']))}** who first ordered in {first}, **{fmt.written(int(row['active']))}** ordered again {int(age)} "
            f"{period}{'s' if age > 1 else ''} later ({row['retention']:.0%}, 95% range {row['low']:.0%} to {row['high']:.0%}).",
            width="stretch",
        )
        if number:
            words = f"First ordered {first}, {'again' if active else 'not again'} after {int(age)} {period}{'s' if age > 1 else ''}"
            segment_buttons(
                "cohort", entity=customer, name=words, source={"kind": "cohort", "run_id": shown.run.id, "label": words}, count=number,
                members=lambda: load(
                    cohorts.members, customer, start.date(), period=period, age=int(age), active=active, until=shown.run.as_of
                ),
            )  # fmt: skip


# --- evidence -----------------------------------------------------------------------------------------------------------------


def evidence(shown: Analysis) -> None:
    """What the model had said of the weeks that were held back, and whether its chances came true."""
    held = shown.summary.get("held")
    if not held:
        st.caption("The history is too short to hold anything back. Older orders would help; import them with their dates.")
        return
    facts = tuple(sorted((key, value) for key, value in held.items()))
    actor = shown.actor
    left, right = st.columns(2, gap="small")
    with left:
        fig = shown.figure(_held_figure, *_HELD, draw="tracking_line", facts=facts)
        chart(
            actor,
            fig,
            "Repeat purchases, happened and expected",
            "Right of the line the model saw nothing",
            key="tracking",
            png="value-tracking",
        )
        fig = shown.figure(_held_figure, *_HELD, draw="frequency_bar", facts=facts, months=numerals.months(actor.locale))
        chart(actor, fig, "By earlier purchases", "Happened, and by each model", key="frequency", png="value-frequency")
    with right:
        fig = shown.figure(_held_figure, *_HELD, draw="totals_bar", facts=facts)
        chart(actor, fig, "The total against simple rules", "The line is what happened", key="totals", png="value-totals")
        fig = shown.figure(evaluation_charts.calibration_line, "calibration")
        chart(
            actor,
            fig,
            "Did the chances come true?",
            "On the diagonal, 30% happens in 30% of the cases",
            key="calibration",
            png="value-calibration",
        )
    fig = shown.figure(lifetime_charts.value_line, "customers")
    chart(actor, fig, "How the expected value is spread", "The best customers first", key="spread", png="value-spread")
    _tables(shown)


_HELD = ("totals", "ranking", "by_frequency", "tracking")


def _held_figure(
    totals: pd.DataFrame,
    ranking: pd.DataFrame,
    by_frequency: pd.DataFrame,
    tracking: pd.DataFrame,
    *,
    draw: str,
    facts: Any,
    **more: Any,
) -> go.Figure:
    held = dict(facts)
    report = HoldoutReport(
        split_at=pd.Timestamp(held["split"]), end=pd.Timestamp(held["end"]), unit="week", periods=round(held["weeks"], 1),
        customers=held["customers"], actual=held["actual"], totals=totals, ranking=ranking, by_frequency=by_frequency, tracking=tracking,
        tracked=held["tracked"], revenue_actual=held["revenue_actual"], revenue_predicted=held["revenue_predicted"], best=held["best"], models={},
    )  # fmt: skip
    return getattr(lifetime_charts, draw)(report, **more)


def _tables(shown: Analysis) -> None:
    left, right = st.columns(2, gap="small")
    outer, _ = left.container(), None
    ranking = shown.table("ranking")
    with left:
        outer, _ = box("Which score ranks best", "Chance that it puts a buyer before a non-buyer (AUC)", key="box_ranking")
        outer.dataframe(
            ranking, hide_index=True, width="stretch",
            column_config={"score": "Score", **{key: st.column_config.NumberColumn(label, format="%.2f") for key, label in (("auc", "AUC"), ("low", "Low"), ("high", "High"))}},
        )  # fmt: skip
    with right:
        outer, _ = box("Parameters", "Of every model that was tried", key="box_parameters")
        rows = [
            {"Model": name, "Solution": "yes" if values["converged"] else "none", "Log-likelihood": fmt.written(values["loglik"], ",.1f"),
             "Parameters": ", ".join(f"{key} {fmt.written(value, '.3g')}" for key, value in values.items() if key not in ("converged", "loglik"))}
            for name, values in shown.summary["parameters"].items()
        ]  # fmt: skip
        outer.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")


def silence_words(shown: Analysis) -> str:
    """What counts as lost."""
    return f"no order for {SILENCE[str(shown.run.params['silence'])]}"
