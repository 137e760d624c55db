"""Dialogs of automations: what one would have done, and what it did."""

import pandas as pd
import streamlit as st

from crm_core.services.automation import automations, recipes, replay
from crm_core.services.automation.automations import RunView
from crm_core.services.automation.recipes import Recipe
from crm_core.vocabulary import Action, FlowState
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.session import current_actor

ENDED_BADLY, UNDER_WAY = (FlowState.FAILED,), (FlowState.RUNNING, FlowState.WAITING)
COLOURS = {FlowState.FAILED: "red", FlowState.WAITING: "blue", FlowState.RUNNING: "blue", FlowState.DONE: "green"}


@st.dialog("Tried on the past", width="large", icon=":material/history:")
def recipe_dialog(recipe: Recipe) -> None:
    """What a recipe would have done, and the button that switches it on."""
    st.markdown(f"**{fmt.md(recipe.name)}** · {fmt.md(recipe.words)}")
    with st.spinner("Looking at the last 90 days …"):
        told = load(replay.run, recipe.flow)
    replay_view(told)
    if current_actor().can("automation", Action.MANAGE) and st.button("Switch on", type="primary", key=f"on_{recipe.key}"):
        done = perform(recipes.switch_on, recipe.key, success=f"{fmt.md(recipe.name)} is on. It acts with your rights.")
        if done is not None:
            st.rerun()
        show_problems()


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
    shown, total = load(automations.runs, automation_id, size=20)
    if not shown:
        st.caption("It has not started yet.")
    for view in shown:
        _run(view)
    if total > len(shown):
        st.caption(f"The latest {len(shown)} of {total:,} runs.")
    show_problems()


def _run(view: RunView) -> None:
    run, actor = view.run, current_actor()
    badge = f":{COLOURS.get(run.state, 'gray')}-badge[{run.state.label}]"
    with st.container(border=True, key=f"run_{run.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(
                f"{badge} {fmt.md(view.title or 'A record that is not shared with you')} · {fmt.instant(actor, run.created_at)}"
            )
            if actor.can("automation", Action.MANAGE):
                if run.state in ENDED_BADLY and st.button("Try again", key=f"retry_{run.id}", type="tertiary"):
                    perform(automations.retry, run.id)
                    st.rerun(scope="fragment")
                if run.state in UNDER_WAY and st.button("Stop", key=f"stop_{run.id}", type="tertiary"):
                    perform(automations.stop, run.id)
                    st.rerun(scope="fragment")
        lines = [f"- {fmt.instant(actor, step.at)}: {fmt.md(step.message or step.outcome.label)}" for step in view.taken]
        if run.due_at and run.state is FlowState.WAITING:
            lines.append(f"- goes on {fmt.instant(actor, run.due_at)}")
        if run.message:
            lines.append(f"- {fmt.md(run.message)}")
        st.caption("\n".join(lines) or "Begins in a moment.")
