"""Tasks as a list: for everybody, to plan the day and the week; for managers, to see who is drowning and hand work on."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.services.collaboration import tasks
from crm_core.vocabulary import Action, Scope, TaskStatus
from ui import format as fmt
from ui.actions import perform
from ui.components.header import empty_state, header
from ui.components.record_list import Quick, Tick, record_list
from ui.components.record_page import new_dialog
from ui.components.task_cards import MORE_FIELDS, NEW_FIELDS, today_evening
from ui.session import current_actor

DUE = {"late": "Overdue", "today": "Today", "week": "Next 7 days", "later": "Later", "undated": "No date", "done": "Done"}


def due_filters() -> dict[str, Mapping[str, Any]]:
    """What each pill means. Open tasks but for the last one."""
    return {
        key: {"op": "and", "items": [*leaves]}
        for key, leaves in {
            "late": (OPEN, leaf("due_at", "lt", "today")),
            "today": (OPEN, leaf("due_at", "eq", "today")),
            "week": (OPEN, leaf("due_at", "gt", "today"), leaf("due_at", "le", "+7d")),
            "later": (OPEN, leaf("due_at", "gt", "+7d")),
            "undated": (OPEN, leaf("due_at", "empty")),
            "done": (leaf("status", "eq", TaskStatus.DONE.value),),
        }.items()
    }


def leaf(field: str, cmp: str, value: Any = None) -> dict[str, Any]:
    """One condition of a filter."""
    return {"field": field, "cmp": cmp} if value is None else {"field": field, "cmp": cmp, "value": value}


def new_task() -> None:
    new_dialog("task", NEW_FIELDS, {"due_at": today_evening(actor)}, more=MORE_FIELDS, stay=True)


def nothing_yet() -> None:
    title = "Nothing planned for you" if mine else "No open tasks"
    box = empty_state(title, "Plan something here, or on the deal, ticket or customer that it is about.", icon="task_alt")
    if actor.can("task", Action.CREATE) and box.button("New task", icon=":material/add:", key="first_task"):
        new_task()


def round_button(row: Mapping[str, Any]) -> tuple[bool, str] | None:
    """Done or not, for whoever may change tasks; a cancelled one has no button."""
    if not actor.can("task", Action.EDIT) or row["status"] is TaskStatus.CANCELLED:
        return None
    done = row["status"] is TaskStatus.DONE
    return done, "Open again" if done else "Done"


def tick(row: Mapping[str, Any]) -> None:
    done = row["status"] is TaskStatus.DONE
    words = fmt.md(f"{row.get('subject') or 'Task'}: {'open again' if done else 'done'}.")
    perform(tasks.reopen if done else tasks.complete, row["id"], success=words)


actor = current_actor()
OPEN = leaf("status", "eq", TaskStatus.OPEN.value)
actions = header("Tasks", "What is planned, and who does it")
if actor.can("task", Action.CREATE) and actions.button(
    "New task", type="primary", icon=":material/add:", shortcut="n", key="new_task"
):
    new_task()

mine = False
if actor.scopes("task", Action.READ) - {Scope.OWN}:
    asked = {"f", "view"} & set(st.query_params)
    mine = st.toggle("Only mine", value=not asked and actor.can("task", Action.CREATE), key="mine")
record_list(
    "task",
    quick=Quick("due", "Due", DUE, asts=due_filters(), otherwise=OPEN),
    also=leaf("owner_id", "eq", "@me") if mine else None,
    tick=Tick(round_button, tick),
    on_empty=nothing_yet,
)
