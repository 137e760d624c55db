"""Automations on a record's page: what they do with it and what comes next, leaving them, and starting one by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from crm_core.services.automation import automations, record_runs, steps
from crm_core.services.automation.automations import RunView
from crm_core.services.automation.record_runs import Line, OnRecord, Start
from crm_core.vocabulary import FlowState
from ui import format as fmt
from ui.actions import load, perform, renew, show_problems, submit_key, tell
from ui.components.automation_runs import standing
from ui.components.header import Rare
from ui.session import current_actor

COLOURS = {FlowState.FAILED: "red", FlowState.WAITING: "blue", FlowState.RUNNING: "blue", FlowState.DONE: "green"}


def start_entry(found: OnRecord, entity_key: str, record_id: int) -> list[Rare]:
    """The entry of the record's menu while something can be started by hand; empty otherwise."""
    if not found.starts:
        return []
    return [Rare("automate", "Start an automation", "bolt", partial(_start_dialog, found.starts, entity_key, record_id))]


@st.dialog("Start an automation", icon=":material/bolt:")
def _start_dialog(starts: tuple[Start, ...], entity_key: str, record_id: int) -> None:
    names = {one.id: one for one in starts}
    chosen = names[
        st.selectbox("Which one?", list(names), format_func=lambda one: names[one].name, key=f"start_{entity_key}_{record_id}")
    ]
    st.markdown("\n".join(f"{n}. {fmt.md(words)}" for n, words in enumerate(chosen.does, 1)))
    if st.button("Start", type="primary", key="start_yes"):
        name = f"automation_{entity_key}_{record_id}_{chosen.id}"
        why_not = perform(record_runs.start, chosen.id, record_id, submit_key=submit_key(name))
        renew(name)
        if why_not == "":
            tell(f"“{chosen.name}” has begun.", "ok")
            st.rerun()
        if why_not is not None:
            st.warning(fmt.md(why_not), icon=":material/info:")
        show_problems()


def automations_card(found: OnRecord, entity_key: str, record_id: int) -> None:
    """Draw it on a record that some automation took up; nothing elsewhere."""
    if found.lines:
        _card(entity_key, record_id)


@st.fragment
def _card(entity_key: str, record_id: int) -> None:
    found = load(record_runs.on_record, entity_key, record_id)
    actor = current_actor()
    with st.container(border=True, gap="small", key="automations_card"):
        st.markdown("**Automations**")
        for line in found.lines:
            with st.container(
                horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key=f"auto_{line.run_id}"
            ):
                st.markdown(_head(line), width="content")
                if line.may_leave:
                    _leave(line)
                if line.may_retry:
                    st.button(
                        "Try again", icon=":material/replay:", key=f"again_{line.run_id}", type="tertiary", help="At the step that failed",
                        on_click=_do, args=(automations.retry, line.run_id),
                    )  # fmt: skip
            if below := _below(actor, line):
                st.caption(fmt.md(below))
        more = "Everything they did" if found.more else "What they did"
        if st.button(more, icon=":material/list:", key="auto_all", type="tertiary"):
            _all(entity_key, record_id)
        show_problems()


def _head(line: Line) -> str:
    """State and name (Markdown)."""
    return f":{COLOURS.get(line.state, 'gray')}-badge[{line.state.label}] **{fmt.md(line.name)}**"


def _below(actor: Any, line: Line) -> str:
    """What comes next, or what came of it. Plain text."""
    when = fmt.ago(actor, line.at) if line.at else ""
    if line.rests:
        return "Rests: the automation is paused"
    if line.state is FlowState.WAITING:
        return f"{line.message}. Then: {line.next}" if line.message else f"Next, {when}: {line.next or 'it ends'}"
    if line.state is FlowState.RUNNING:
        return f"Tried again {when}: {line.message}" if line.message else f"In a moment: {line.next}"
    return " · ".join(part for part in (when, line.message) if part)


def _leave(line: Line) -> None:
    with st.popover("Leave", key=f"leave_{line.run_id}", type="tertiary", help="Take this record out of the automation"):
        st.markdown(f"End **{fmt.md(line.name)}** for this record? What it did stays.")
        st.button("Leave", type="primary", key=f"leave_yes_{line.run_id}", on_click=_do, args=(record_runs.leave, line.run_id))


def _do(verb: Callable[..., Any], run_id: int) -> None:
    perform(verb, run_id)


@st.dialog("What automations did here", width="large", icon=":material/bolt:")
def _all(entity_key: str, record_id: int) -> None:
    for view, name in load(automations.runs_of, entity_key, record_id):
        _told(view, name)


def _told(view: RunView, name: str) -> None:
    """One run with every step in a sentence."""
    run, actor = view.run, current_actor()
    lines = [
        f"- {fmt.instant(actor, step.at)}: {fmt.md(_title(step.kind))}: {fmt.md(step.message or step.outcome.label)}"
        for step in view.taken
    ]
    lines += standing(view)
    badge = f":{COLOURS.get(run.state, 'gray')}-badge[{run.state.label}]"
    with st.container(border=True, gap="small", key=f"told_{run.id}"):
        st.markdown(f"{badge} **{fmt.md(name)}** · {fmt.instant(actor, run.created_at)}")
        st.caption("\n".join(lines) or "Begins in a moment.")


def _title(kind: str) -> str:
    """What a kind of step is called; the key of one that this version does not know."""
    known = steps.kinds().get(kind)
    return known.title if known else kind
