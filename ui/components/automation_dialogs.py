"""Dialogs of automations: what one would have done, and what it did."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from crm_core.services.automation import recipes, replay
from crm_core.services.automation.recipes import Recipe
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.automation_runs import runs
from ui.session import current_actor


@st.dialog("Tried on the past", width="large", icon=":material/history:")
def recipe_dialog(recipe: Recipe) -> None:
    """What a recipe would have done, and the button that switches it on."""
    st.markdown(f"**{fmt.md(recipe.name)}** · {fmt.md(recipe.words)}")
    replay_view(look_back(recipe.flow))
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


def replay_view(told: replay.Replay) -> None:
    """Figures, days and examples of a replay."""
    with st.grid(3, min_column_width=130):
        st.metric("Would have started" if not told.today_only else "Would start now", f"{told.starts:,}")
        st.metric("Records", f"{told.records:,}")
        st.metric("E-mails to customers", f"{told.mails * told.starts:,}", help="At most, before consent and limits are looked at")
    if told.over_cap:
        st.warning(
            f"Up to {told.busiest:,} starts within one hour: more than its limit, at which it pauses until somebody looks.",
            icon=":material/speed:",
        )
    if told.per_day and not told.today_only:
        st.bar_chart(pd.Series(dict(sorted(told.per_day.items())), name="Starts"), height=160)
    if not told.starts:
        words = "It would start for nobody now" if told.today_only else f"It would not have started once in {told.days} days"
        st.markdown(f":orange[:material/info: {words}. Look at *When* and *If* again, or take it as it is.]")
    actor = current_actor()
    rows = [{"When": fmt.instant(actor, at), "Record": name or "Hidden"} for at, _, name in told.examples]
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True)
    span = (
        "Records as they are now." if told.today_only else f"The last {told.days} days; conditions look at records as they are now."
    )
    st.caption(span + (" Only the newest were looked at." if told.cut else "") + " Nothing was changed.")


@st.dialog("Runs", width="large", icon=":material/list:")
def runs_dialog(automation_id: int, name: str) -> None:
    """Each run with what every step did; failed ones can be tried again, those under way stopped."""
    st.markdown(f"**{fmt.md(name)}**")
    runs(automation_id)
