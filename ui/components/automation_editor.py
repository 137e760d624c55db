"""The editor of an automation: when, if, then on the left; what it means, the past and one record on the right. A fragment: typing redraws only
this."""

import streamlit as st
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.errors import NotFound
from crm_core.models import Automation
from crm_core.services.automation import automations
from ui.actions import load
from ui.components import automation_draft
from ui.components.automation_desk import desk, discard, reason_of
from ui.components.automation_draft import Draft
from ui.components.automation_runs import runs
from ui.components.automation_steps import then
from ui.components.automation_trigger import about, conditions, limits, when
from ui.components.automation_versions import versions
from ui.components.automation_words import at_length

TABS = ["Write", "Runs", "Versions"]


def row_if(session: Session, actor: Actor, automation_id: int | None) -> Automation | None:
    """The automation, None when somebody removed it."""
    try:
        return automations.get(session, actor, automation_id) if automation_id else None
    except NotFound:
        return None


def draft_of(session: Session, actor: Actor, automation_id: int) -> Draft:
    """A draft that begins with what is saved."""
    row, flow = automations.get(session, actor, automation_id), automations.flow(session, actor, automation_id)
    return Draft(
        str(automation_id),
        row.id,
        row.name,
        flow,
        row.hourly_cap,
        number=row.current,
        version=row.version,
        kept=(row.name, flow, row.hourly_cap),
    )


def _keep_up(draft: Draft, row: Automation) -> None:
    """The draft beside what is saved now, once what was typed is read. One without changes follows; one with changes keeps them, also when only the
    state changed."""
    if row.version == draft.version:
        return
    if row.current == draft.number and (row.name, row.hourly_cap) == (draft.kept[0], draft.kept[2]):
        draft.version = row.version
    elif not draft.dirty:
        discard(draft)
        automation_draft.opened(draft.mark, lambda: load(draft_of, row.id))
        automation_draft.redraw()


@st.fragment
def editor(mark: str) -> None:
    """For those who may change automations."""
    draft = automation_draft.drafts().get(mark)
    if draft is None:  # dropped or saved by the click that leads here
        st.rerun()
    row = load(row_if, draft.automation_id)
    if draft.automation_id is not None and row is None:
        st.warning(
            "Somebody removed this automation meanwhile. What you see is still here: save it as a new one.",
            icon=":material/delete:",
        )
        draft.automation_id, draft.version, draft.number = None, None, 0
    if row is None:
        _write(draft, None)
    else:
        reason_of(row)
        _tabs(draft, row)
    automation_draft.keep(draft)


def _tabs(draft: Draft, row: Automation) -> None:
    key = f"auto_tab_{row.id}"
    shown = st.tabs(TABS, key=key, on_change="rerun")
    with shown[0]:
        _write(draft, row)  # also behind another tab, so that no input forgets what was typed
    if shown[1].open:
        with shown[1]:
            runs(row.id)
    if shown[2].open:
        with shown[2]:
            versions(row, draft, key)


def _write(draft: Draft, row: Automation | None) -> None:
    draft.inputs.clear()
    left, right = st.columns([7, 5], gap="medium")
    begun = draft.dirty or draft.automation_id is not None or bool(draft.steps)
    before = load(automations.problems, draft.flow) if begun else {}  # an empty page is no mistake yet
    wrong = before | draft.refused
    with left:
        about(draft, wrong)
        when(draft, wrong)
        conditions(draft, wrong)
        then(draft, load(automations.told, draft.flow), wrong)
        limits(draft, wrong)
    if row is not None:
        _keep_up(draft, row)
    with right:
        now = load(automations.problems, draft.flow)  # the inputs on the left may have changed it
        _once_more(draft, begun and now != before)
        desk(draft, row, load(automations.told, draft.flow), now)


def _once_more(draft: Draft, stale: bool) -> None:
    """Draw again when what stands at the inputs is not wrong any more, or something else is; never twice in a row."""
    again = stale and not draft.redrawn
    draft.redrawn = again
    if again:
        automation_draft.redraw()


@st.fragment
def reader(row: Automation) -> None:
    """For those who only look."""
    reason_of(row)
    shown = st.tabs(["What it does", *TABS[1:]], key=f"auto_read_{row.id}", on_change="rerun")
    if shown[0].open:
        with shown[0]:
            st.markdown(at_length(load(automations.story, row.id)))
    if shown[1].open:
        with shown[1]:
            runs(row.id)
    if shown[2].open:
        with shown[2]:
            versions(row, None, "")
