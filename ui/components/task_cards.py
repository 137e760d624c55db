"""What the pages of tasks share: fields, the default hour, and the menu that puts a task off."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from crm_core.access import Actor
from crm_core.kit import clock, week
from crm_core.services.admin import workspace
from crm_core.services.collaboration import tasks
from crm_core.vocabulary import Priority, TaskStatus
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import Rare
from ui.tones import TONES

NEW_FIELDS = ("subject", "due_at", "priority", "owner_id", "account_id", "deal_id", "body")
MORE_FIELDS = ("contact_id", "lead_id", "ticket_id")


def today_evening(actor: Actor) -> datetime:
    """The end of today's working day, where a new task is due unless somebody says otherwise."""
    return datetime.combine(clock.today(actor.timezone), tasks.END_OF_DAY, ZoneInfo(actor.timezone))


def later_menu(actor: Actor, where: Any, row: Mapping[str, Any]) -> list[Rare]:
    """Put a task off by a day, to the beginning of the next working week or by two weeks; gives the entries for the menu of phones."""
    today = clock.today(actor.timezone)
    monday = week.next_week(today, load(workspace.days_off))
    days = {
        "Tomorrow": today + timedelta(days=1),
        f"Next {week.WEEKDAYS[monday.weekday()]}": monday,
        "In two weeks": today + timedelta(days=14),
    }
    with where.container(key="later", width="content").popover("Later", icon=":material/snooze:", key=f"later_{row['version']}"):
        for words, day in days.items():
            if st.button(f"{words}  :gray[{fmt.md(fmt.short_day(actor, day))}]", key=f"later_{words}", width="stretch"):
                _put_off(actor, row, day)
    return [
        Rare(f"later:{words}", f"Later: {words[0].lower()}{words[1:]}", "snooze", partial(_put_off, actor, row, day))
        for words, day in days.items()
    ]


def _put_off(actor: Actor, row: Mapping[str, Any], day: date) -> None:
    perform(tasks.postpone, row["id"], day, base_version=row["version"], success=fmt.md(f"Due {fmt.ago(actor, day)}."))
    st.rerun()


def task_badges(actor: Actor, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """State, urgency and lateness for the header."""
    status, priority, due = row["status"], row["priority"], row["due_at"]
    shown = [(status.label, TONES[status])]
    if priority is not Priority.NORMAL:
        shown.append((f"{priority.label} priority", TONES[priority]))
    if status is TaskStatus.OPEN and due is not None and due < clock.utcnow():
        shown.append(("Overdue", "red"))
    return shown
