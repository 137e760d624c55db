"""Tasks for the owners of customers: a look at who gets how many, one press, and the way back."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from crm_core.kit import clock
from crm_core.services import bulk
from crm_core.services.analytics import follow_ups, value_rows
from crm_core.services.analytics.follow_ups import MAX_TASKS, Created
from crm_core.services.helpdesk import calendars
from crm_core.vocabulary import Action, Priority
from ui import format as fmt
from ui.actions import load, perform, renew, show_problems, submit_key
from ui.components.day_input import day_input
from ui.session import current_actor

_SUBJECT = "Call: may stay away"
_DONE = "_follow_ups_done"


Notes = Callable[..., dict[int, str]]
"""A service that says what each task should tell: ``notes(session, actor, run_id, record_ids)``."""


def follow_up_button(
    customer: str,
    run_id: int,
    wanted: Callable[[], list[int]],
    number: int,
    *,
    chosen: bool,
    notes: Notes = value_rows.notes,
    subject: str = _SUBJECT,
) -> None:
    """The button that opens the plan, once somebody chose for whom; nothing for people who may not create tasks."""
    actor = current_actor()
    if not actor.can("task", Action.CREATE):
        return
    help = "One for each customer, for its owner" if chosen else "Select customers or choose a level of risk first"
    if st.button("Create tasks", icon=":material/add_task:", key="follow_ups", type="primary", help=help, disabled=not chosen):
        _dialog(customer, run_id, wanted()[:MAX_TASKS], number, notes, subject)


@st.dialog("Tasks for the owners", width="medium", icon=":material/add_task:")
def _dialog(customer: str, run_id: int, ids: list[int], number: int, telling: Notes, proposed: str) -> None:
    actor = current_actor()
    subject = st.text_input("Task", proposed, max_chars=200, key="follow_subject")
    with st.container(horizontal=True, gap="small"):
        due = day_input(
            "Due",
            load(calendars.proposed_day, 7),
            min_value=clock.today(actor.timezone),
            key="follow_due",
            width=170,
        )
        priority = st.selectbox(
            "Priority", list(Priority), index=1, format_func=lambda value: value.label, key="follow_priority", width=170
        )
    if not subject.strip():
        st.caption("Say what is to be done.")
        return
    plan = load(follow_ups.plan, customer, ids, subject)
    notes: dict[int, str] = load(telling, run_id, [task.record_id for task in plan.tasks])
    _say(plan, number, notes)
    if st.button(f"Create {fmt.plural(len(plan.tasks), 'task')}", type="primary", key="follow_yes", disabled=not plan.tasks):
        made = perform(
            follow_ups.create,
            customer,
            ids,
            subject=subject,
            due_on=due,
            notes=notes,
            priority=priority,
            submit_key=submit_key("follow_ups"),
        )
        if made is None:
            show_problems()
            return
        renew("follow_ups")
        st.session_state[_DONE] = made
        st.rerun()


def _say(plan: Any, number: int, notes: dict[int, str]) -> None:
    parts = [f"{name}: {count}" for name, count in list(plan.owners.items())[:8]]
    st.markdown(
        f"**{fmt.md(fmt.plural(len(plan.tasks), 'task'))}** · {fmt.md(', '.join(parts))}{' …' if len(plan.owners) > 8 else ''}"
    )
    if number > MAX_TASKS:
        st.caption(f"At most {MAX_TASKS} at once: the first {MAX_TASKS} in the order of the table.")
    if plan.waiting:
        st.caption(f"{fmt.written(plan.waiting)} have this task open already and are left alone.")
    if plan.hidden:
        st.caption(f"{fmt.written(plan.hidden)} are no longer there, or not shared with you.")
    for task in plan.tasks[:3]:
        st.caption(f"{fmt.md(task.title[:60])} → {fmt.md(task.owner)}: {fmt.md(notes.get(task.record_id, ''))}")
    if len(plan.tasks) > 3:
        st.caption(f"and {fmt.written(len(plan.tasks) - 3)} more")


def last_follow_up() -> None:
    """The tasks that were just created, with the way back."""
    made: Created | None = st.session_state.get(_DONE)
    if made is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="follow_done"):
        st.markdown(f":green[:material/check_circle:] {fmt.plural(made.done, 'task')} created", width="content")
        if made.refused:
            with st.popover(f"{fmt.written(len(made.refused))} could not be made", type="tertiary", icon=":material/warning:"):
                for title, sentence in made.refused[:50]:
                    st.markdown(f"**{fmt.md(title[:80])}**  \n{fmt.md(sentence)}")
        if made.operation_id is not None and st.button("Undo", icon=":material/undo:", key="follow_undo"):
            perform(bulk.undo, made.operation_id, success="The tasks are gone again")
            st.session_state.pop(_DONE, None)
            st.rerun()
        if st.button(icon=":material/close:", key="follow_hide", type="tertiary", **fmt.icon_only("Hide this note")):
            st.session_state.pop(_DONE, None)
            st.rerun()
