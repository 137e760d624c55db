"""The parts of the scoring page: switched on or off, how good it is on unseen records, what drives it, the ranking, what it may not see."""

import json
from typing import Any

import pandas as pd
import streamlit as st
from plotly.graph_objects import Figure
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.services.analytics import scores
from crm_core.services.analytics.scores import Live
from ml.charts import evaluation as evaluation_charts
from ml.charts import lead_score as charts
from ml.lead_frozen import thaw
from ml.lead_model import ScoreModel
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.analysis import Analysis
from ui.components.attribution_views import whole
from ui.components.figure import chart
from ui.components.filter_bar import PARAM as FILTER
from ui.components.score_card import value_words
from ui.components.table import Cell, Column, table
from ui.navigation import go, page_of

SIZE = 20
PLURAL = {"lead": "leads", "deal": "deals"}


def subject_switch(kinds: dict[str, str]) -> str:
    """Which score the page is about; a change forgets the run in the address."""
    chosen = st.segmented_control(
        "Score", list(kinds), default=next(iter(kinds)), format_func=lambda key: kinds[key], key="of", bind="query-params", required=True,
        label_visibility="collapsed", on_change=_forget_run,
    )  # fmt: skip
    return chosen if chosen in kinds else next(iter(kinds))


def _forget_run() -> None:
    for name in ("run", "with", "page", FILTER):
        st.query_params.pop(name, None)
    st.session_state.pop("page", None)


# --- on or off ---------------------------------------------------------------------------------------------------------------


def switch(shown: Analysis) -> None:
    """Whether a score is on, which one, and the button that changes it."""
    kind, noun = shown.run.kind, PLURAL[shown.summary["entity"]]
    live = load(scores.live, kind)
    may = scores.may_publish(shown.actor, kind)
    with st.container(
        border=True, horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key="score_switch"
    ):
        who = (
            ""
            if may or not shown.summary["usable"]
            else f" Somebody who sees all {noun} and manages analytics can switch it {'on' if live is None else 'off'}."
        )
        st.markdown(_state(shown, live, noun) + who, width="stretch")
        if may and shown.summary["usable"] and (live is None or live.run_id != shown.run.id):
            words = "Switch on" if live is None else "Use this one instead"
            if st.button(words, type="primary", icon=":material/toggle_on:", key="score_on"):
                _switch_on(shown, noun)
        if may and live is not None and st.button("Switch off", icon=":material/toggle_off:", key="score_off"):
            _switch_off(kind, noun)
        _list_button(shown, live)


def _state(shown: Analysis, live: Live | None, noun: str) -> str:
    if live is None:
        reason = (
            "" if shown.summary["usable"] else " It stays off: a score that knows no more than the base rate would only pretend."
        )
        return f":material/toggle_off: **Off.** No score is shown on {noun}.{reason}"
    which = "this one" if live.run_id == shown.run.id else "an earlier one"
    area = fmt.written(live.metrics["auc"], ".2f") if "auc" in live.metrics else fmt.NOTHING
    return f":material/toggle_on: **On** since {fmt.md(fmt.ago(shown.actor, live.published_at))}, with {which} (AUC {area}). New {noun} are scored within a minute."


def _list_button(shown: Analysis, live: Live | None) -> None:
    there = live is not None and shown.summary["entity"] == "lead" and page_of(shown.actor, "leads") is not None
    if there and st.button("Leads, best first", icon=":material/sort:", key="score_list"):
        go("leads", sort="-score")


@st.dialog("Switch this score on")
def _switch_on(shown: Analysis, noun: str) -> None:
    n = shown.run.marks
    st.markdown(
        f"Everybody sees it on the {fmt.written(n)} open {noun} that it scored, with its reasons, and new ones are scored as they come in. "
        "Closed ones stay as they are. It takes the place of the score that is on now, if one is."
    )
    for note in shown.run.warnings[:3]:
        st.caption(f":material/info: {fmt.md(fmt.as_read(note))}")
    if st.button("Switch on", type="primary", key="score_on_yes"):
        done = perform(scores.publish, shown.run.id)
        if done is None:
            show_problems()
            return
        st.session_state.setdefault("_toasts", []).append(
            ("ok", "The score is on." if done is True else "The worker is switching it on.")
        )
        st.rerun()


@st.dialog("Switch the score off")
def _switch_off(kind: str, noun: str) -> None:
    st.markdown(f"Open {noun} have no score afterwards. The run stays, so it can be switched on again.")
    if st.button("Switch off", type="primary", key="score_off_yes"):
        if perform(scores.switch_off, kind, success="The score is off.") is None:
            show_problems()
            return
        st.rerun()


# --- how good ----------------------------------------------------------------------------------------------------------------


def quality(shown: Analysis) -> None:
    """The evidence on records that the fit had not seen."""
    found, actor = shown.summary, shown.actor
    with st.grid(5, min_column_width=150):
        _metric(
            "AUC", fmt.written(found["auc"], ".2f"), f"{fmt.written(found['auc_low'], '.2f')} to {fmt.written(found['auc_high'], '.2f')}",
            "Of one that turned out well and one that did not, how often the score puts the right one first. A coin has .50",
        )  # fmt: skip
        _metric(
            "Base rate",
            fmt.percent(actor, found["base_rate"], 0),
            f"of {fmt.written(found['n'], ',.0f')} later ones",
            "Share of the judged ones that turned out well",
        )
        _metric(
            "Best tenth",
            f"{fmt.written(found['top_decile_lift'], '.1f')}×",
            "as good as the average",
            "How often the best-scored tenth turned out well, against the average",
        )
        _metric(
            "Brier score", fmt.written(found["brier"], ".3f"), f"base rate has {fmt.written(found['brier_base_rate'], '.3f')}",
            "Mean squared distance between chance and outcome: lower is better",
        )  # fmt: skip
        _metric(
            "Off by",
            fmt.percent(actor, found["ece"], 0),
            "on average",
            "Whether 30% means 30%: the mean gap between chance and outcome",
        )


def _metric(label: str, value: str, note: str, help_text: str) -> None:
    st.metric(label, value, delta=fmt.md(note), delta_color="off", delta_arrow="off", border=True, height="stretch", help=help_text)


# --- tabs --------------------------------------------------------------------------------------------------------------------


def ranking(shown: Analysis) -> None:
    """Open records, best first: whom to call, with the chance, its range and the first reasons."""
    found = shown.table("scores")
    key = shown.summary["entity"]
    noun = PLURAL[key]
    if not shown.summary["usable"]:
        st.info(
            f"There is no ranking: the score was refused, so every open one has the base rate of "
            f"{shown.summary['base_rate']:.0%} ({shown.summary['base'][1]:.0%} to {shown.summary['base'][2]:.0%}).",
            icon=":material/do_not_disturb_on:",
        )
        return
    if found.empty:
        st.info(f"There are no open {noun} to score.", icon=":material/inbox:")
        return
    pages = -(-len(found) // SIZE)
    at = min(max(int(st.session_state.get("rank_page") or 1), 1), pages)
    part = found.iloc[(at - 1) * SIZE : at * SIZE]
    rank_table(shown, part, key)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        by = "expected value" if "expected_value" in found else "chance"
        st.caption(f"{fmt.plural(len(found), 'open ' + noun[:-1], 'open ' + noun)}, ordered by {by}.", width="content")
        if pages > 1:
            st.pagination(pages, key="rank_page")


def _titles(session: Session, actor: Actor, key: str, ids: tuple[int, ...]) -> dict[int, str]:
    return lists.titles(session, actor, key, ids)


def rank_table(shown: Analysis, part: pd.DataFrame, key: str) -> None:
    """Names come through the reader's own eyes: the run holds ids only."""
    names = load(_titles, key, tuple(int(each) for each in part["id"]))
    money = "expected_value" in part and not shown.actor.masked("deal", "amount_minor")
    rows = []
    for row in part.to_dict("records"):
        if int(row["id"]) in names:
            span = f"{100 * row['p_low']:.0f}–{100 * row['p_high']:.0f}%"
            amounts = [Cell(whole(shown, row["expected_value"])), Cell(whole(shown, row["expected_spend"]))] if money else []
            reasons = Cell(_in_short(json.loads(row["reasons"])))
            cells = [
                Cell(names[int(row["id"])]),
                Cell(f"{100 * row['p']:.0f}%", share=100 * row["p"]),
                Cell(span),
                *amounts,
                reasons,
            ]
            rows.append((int(row["id"]), cells))
    worth = (
        [
            Column("v", "Expected value", right=True, sortable=False, named=True),
            Column("s", "If won" if key == "deal" else "If converted", right=True, sortable=False, named=True),
        ]
        if money
        else []
    )
    columns = [
        Column("name", entity(key).label, sortable=False), Column("p", "Chance", right=True, sortable=False, named=True),
        Column("span", "Range", right=True, sortable=False, muted=True, named=True), *worth, Column("why", "Because", sortable=False, muted=True),
    ]  # fmt: skip
    happened = table(
        columns, rows, key=f"rank_{key}", label=f"Open {PLURAL[key]}, best first", href=f"/{entity(key).page}?id={{id}}"
    )
    if happened.opened is not None:
        go(entity(key).page, id=happened.opened)


def _in_short(reasons: list[dict[str, Any]]) -> str:
    return ", ".join(f"{'+' if one['log_odds'] > 0 else '−'} {reason_words(one)}" for one in reasons[:1])


def reason_words(reason: dict[str, Any]) -> str:
    """One contribution in words: ``Source: Referral``; yes and no as a plain statement."""
    label, value = str(reason["label"]), reason.get("value")
    if str(reason["field"]).startswith(("has_", "touch_")):
        return label if value else f"not {label[0].lower()}{label[1:]}"
    return f"{label}: {value_words(value)}"


def drivers(shown: Analysis) -> None:
    """What raises and lowers the score, and whether its chances come true."""
    if not shown.summary["usable"]:
        st.info("A refused score has no drivers: its coefficients would be noise.", icon=":material/do_not_disturb_on:")
        return
    fig = shown.figure(_coefficients, "model", "coefficients")
    chart(
        shown.actor, fig, "What raises and what lowers it", "Log-odds: +0.7 doubles the odds. A reason is no lever: it need not be a cause",
        key="drivers", png="score-drivers",
    )  # fmt: skip


def _coefficients(model: pd.DataFrame, coefficients: pd.DataFrame) -> Figure:
    found: ScoreModel = thaw(json.loads(model["json"].iloc[0]), coefficients=coefficients)
    return charts.coefficients_bar(found)


def evidence(shown: Analysis) -> None:
    """Calibration and gain on the later quarter."""
    left, right = st.columns(2, gap="small")
    with left:
        fig = shown.figure(evaluation_charts.calibration_line, "calibration")
        chart(
            shown.actor,
            fig,
            "Do the chances come true?",
            "On later records; on the dotted line 30% means 30%",
            key="calibration",
            png="calibration",
        )
    with right:
        fig = shown.figure(evaluation_charts.gain_line, "lift")
        chart(shown.actor, fig, "What the order gains", "Outcomes reached when the best come first", key="gain", png="gain")
    st.caption(
        f"Learned from {fmt.written(shown.summary['n_train'], ',.0f')} earlier ones, judged on {fmt.written(shown.summary['n'], ',.0f')} later ones."
    )


def left_out(shown: Analysis) -> None:
    """Fields that leak the answer, fields that may not be seen at all, and how far the world has moved."""
    leaks = shown.table("leaks")
    if len(leaks):
        st.markdown("**Found to know the answer**")
        st.dataframe(
            leaks.rename(columns={"field": "Field", "kind": "What it does", "evidence": "Evidence"}),
            hide_index=True,
            width="stretch",
        )
    left, right = st.columns([6, 5], gap="small")
    with left, st.container(border=True):
        st.markdown("**Not used**")
        st.dataframe(shown.table("left_out").rename(columns={"field": "Field", "why": "Why"}), hide_index=True, width="stretch")
    with right:
        fig = shown.figure(_drift, "model", "drift")
        chart(
            shown.actor,
            fig,
            "Has the world moved?",
            "Earlier against later records; beyond .25 a field has drifted",
            key="drift",
            png="drift",
        )


def _drift(model: pd.DataFrame, drift: pd.DataFrame) -> Figure:
    return charts.drift_bar(thaw(json.loads(model["json"].iloc[0]), drift=drift), top=10)
