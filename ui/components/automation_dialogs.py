"""Dialogs of automations: what one would have done, and what it did."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.entities import entity
from crm_core.services.automation import recipes, replay
from crm_core.services.automation.recipes import Recipe
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.automation_runs import runs
from ui.components.table import Cell, Column, table
from ui.navigation import go
from ui.session import current_actor

SHOWN = 6


@st.dialog("Tried on the past", width="large", icon=":material/history:")
def recipe_dialog(recipe: Recipe) -> None:
    """What a recipe would have done, and the button that switches it on."""
    st.markdown(f"**{fmt.md(recipe.name)}** · {fmt.md(recipe.words)}")
    replay_view(look_back(recipe.flow), str(recipe.flow["entity"]))
    if current_actor().can("automation", Action.MANAGE) and st.button("Switch on", type="primary", key=f"on_{recipe.key}"):
        done = perform(recipes.switch_on, recipe.key, success=f"{fmt.md(recipe.name)} is on. It acts with your rights.")
        if done is not None:
            st.rerun()
        show_problems()


def look_back(flow: Mapping[str, Any], cap: int = 200) -> replay.Replay:
    """Try a flow on the past and show how far that is."""
    bar = st.progress(0.0, "Looking at the last 90 days …")
    told = load(
        replay.run, flow, hourly_cap=cap, report=lambda share: bar.progress(min(1.0, share), "Looking at the last 90 days …")
    )
    bar.empty()
    return told


def replay_view(told: replay.Replay, entity_key: str) -> None:
    """Figures, weeks and examples of a replay; a click on an example opens the record."""
    with st.grid(3, min_column_width=130):
        weeks = _weeks(told) if told.starts and not told.today_only else None
        st.metric(
            "Would start now" if told.today_only else "Would have started", fmt.written(told.starts), chart_data=weeks, chart_type="bar",
            help="The bars are the weeks" if weeks else None,
        )  # fmt: skip
        st.metric("Records", fmt.written(told.records))
        st.metric(
            "E-mails to customers",
            fmt.written(told.mails * told.starts),
            help="At most, before consent and limits are looked at",
        )
    if told.over_cap:
        st.warning(
            f"Up to {fmt.written(told.busiest)} starts within one hour: more than its limit, at which it pauses until somebody looks.",
            icon=":material/speed:",
        )
    if told.imported:
        st.caption(
            f"{fmt.written(told.imported)} of them through imports. What an import brings begins at a pace: {fmt.written(told.hourly_cap)} at once, the others behind each "
            f"other, {fmt.written(told.hourly_cap)} an hour."
        )
    if not told.starts:
        words = "It would start for nobody now" if told.today_only else f"It would not have started once in {told.days} days"
        st.markdown(f":orange[:material/info: {words}. Look at *When* and *If* again, or take it as it is.]")
    _examples(told, entity_key)
    span = (
        "Records as they are now." if told.today_only else f"The last {told.days} days; conditions look at records as they are now."
    )
    st.caption(span + (" Only the newest were looked at." if told.cut else "") + " Nothing was changed.")


def _weeks(told: replay.Replay) -> list[int]:
    """Starts per week, the oldest first."""
    last = max(told.per_day)
    count = -(-told.days // 7)
    weeks = [0] * count
    for day, starts in told.per_day.items():
        weeks[max(0, count - 1 - (last - day).days // 7)] += starts
    return weeks


def _examples(told: replay.Replay, entity_key: str) -> None:
    if not told.examples:
        return
    actor, named = current_actor(), dict(enumerate(told.examples[:SHOWN]))
    columns = [Column("record", entity(entity_key).label, sortable=False)]
    columns += [] if told.today_only else [Column("when", "When", sortable=False, muted=True)]
    rows = [
        (n, [Cell(name or "Hidden"), *([] if told.today_only else [Cell(fmt.ago(actor, at))])])
        for n, (at, _, name) in named.items()
    ]
    links = {n: f"/{entity_key}?id={record_id}" for n, (_, record_id, name) in named.items() if name}
    done = table(columns, rows, key=f"replay_{entity_key}", label="Examples", hrefs=links)
    if done.opened is not None and done.opened in links:
        go(entity_key, id=named[done.opened][1])
    if told.records > len(rows):
        st.caption(f"The latest {len(rows)}.")


@st.dialog("Runs", width="large", icon=":material/list:")
def runs_dialog(automation_id: int, name: str) -> None:
    """Each run with what every step did; failed ones can be tried again, those under way stopped."""
    st.markdown(f"**{fmt.md(name)}**")
    runs(automation_id)
