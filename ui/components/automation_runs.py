"""What an automation did: its runs by state, each with its steps; failed ones can be tried again, those under way stopped."""

import streamlit as st

from crm_core.services.automation import automations, steps
from crm_core.services.automation.automations import RunView, StepTaken
from crm_core.vocabulary import Action, AutomationState, FlowState
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.automation_draft import redraw
from ui.navigation import page_of
from ui.session import current_actor

ENDED_BADLY, UNDER_WAY = (FlowState.FAILED,), (FlowState.RUNNING, FlowState.WAITING)
COLOURS = {FlowState.FAILED: "red", FlowState.WAITING: "blue", FlowState.RUNNING: "blue", FlowState.DONE: "green"}
PAGE = 20


def runs(automation_id: int) -> None:
    """All runs, page by page. Drawn inside a fragment or a dialog."""
    rests = load(automations.get, automation_id).state is not AutomationState.ACTIVE
    counts = load(automations.run_counts, automation_id)
    if not counts:
        st.caption("It has not started yet.")
        return
    states = [state for state in FlowState if counts.get(state)]
    chosen = st.pills(
        "State", states, format_func=lambda state: f"{state.label} {fmt.written(counts[state])}", key=f"runs_state_{automation_id}",
        label_visibility="collapsed",
    )  # fmt: skip
    total = counts.get(chosen, 0) if chosen else sum(counts.values())
    pages = max(1, -(-total // PAGE))
    page = st.session_state.get(f"runs_page_{automation_id}_{chosen}", 1)
    shown, _ = load(automations.runs, automation_id, state=chosen, page=min(page, pages), size=PAGE)
    show_problems()
    failed = counts.get(FlowState.FAILED, 0)
    if failed > 1 and current_actor().can("automation", Action.MANAGE):
        st.button(
            f"Try all {fmt.written(failed)} failed ones again", icon=":material/refresh:", key=f"retry_all_{automation_id}", type="tertiary",
            on_click=_retry_all, args=(automation_id,), help="Each goes on at the step that failed",
        )  # fmt: skip
    for view in shown:
        run_card(view, rests=rests)
    if pages > 1:
        st.pagination(pages, key=f"runs_page_{automation_id}_{chosen}")


def _retry_all(automation_id: int) -> None:
    perform(automations.retry_all, automation_id)


def _record(view: RunView) -> None:
    """The record's name, leading to it."""
    page = page_of(current_actor(), view.run.entity)
    if view.title and page is not None:
        st.page_link(page, label=fmt.md(view.title), query_params={"id": str(view.run.record_id)}, width="content")
    else:
        st.markdown(fmt.md(view.title or "A record that is not shared with you"), width="content")


def _said(step: StepTaken) -> str:
    """What a step was and what came of it."""
    kind, said = steps.kinds().get(step.kind), step.message or step.outcome.label
    return f"{kind.title}: {said}" if kind is not None and not said.startswith(kind.title) else said


def standing(view: RunView, *, rests: bool = False) -> list[str]:
    """Where a run stands behind the steps it took: what it waits for and until when, or how it ended (lines of Markdown). ``rests``: its
    automation is off."""
    run = view.run
    said = [f"- {fmt.md(run.message)}"] if run.message else []
    if rests and run.state in UNDER_WAY:
        return ["- rests until the automation is switched on", *said]
    if run.state is not FlowState.WAITING or run.due_at is None:
        return said
    when = fmt.instant(current_actor(), run.due_at)
    return [f"{said[0]}; looked at again {when}"] if said else [f"- goes on {when}"]


def run_card(view: RunView, *, rests: bool = False) -> None:
    """One run with what each step did. ``rests``: its automation is off."""
    run, actor = view.run, current_actor()
    badge = f":{COLOURS.get(run.state, 'gray')}-badge[{run.state.label}]"
    with st.container(border=True, key=f"run_{run.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
                st.markdown(badge, width="content")
                _record(view)
                st.caption(f"{fmt.instant(actor, run.created_at)} · version {run.version_number}", width="content")
            if actor.can("automation", Action.MANAGE):
                if run.state in ENDED_BADLY and st.button(
                    "Try again", key=f"retry_{run.id}", type="tertiary", icon=":material/refresh:"
                ):
                    perform(automations.retry, run.id)
                    redraw()
                if run.state in UNDER_WAY and st.button(
                    "Stop", key=f"stop_{run.id}", type="tertiary", icon=":material/stop_circle:"
                ):
                    perform(automations.stop, run.id)
                    redraw()
        lines = [f"- {fmt.instant(actor, step.at)} · {fmt.md(_said(step))}" for step in view.taken]
        lines += standing(view, rests=rests)
        st.caption("\n".join(lines) or "Begins in a moment.")
