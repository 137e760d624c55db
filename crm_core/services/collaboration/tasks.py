"""Tasks: create, complete, open again, find what is due."""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlmodel import Session

from crm_core import persons, records
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Conflict
from crm_core.fields import parse_one
from crm_core.kit import clock
from crm_core.models import Task
from crm_core.services.collaboration import next_steps, notifications
from crm_core.services.collaboration.timeline import LINKS, hangs_on
from crm_core.vocabulary import Action, TaskStatus

END_OF_DAY = time(17, 0)
_STEP = ("subject", "due_at", "deal_id")
"""By what a deal's next step is told to be a task."""


def create(session: Session, actor: Actor, values: Mapping[str, Any], *, submit_key: str | None = None) -> Task:
    """Create a task. A due day without a time means the end of the working day. A deal without a next step takes it as that (``next_steps``)."""
    given = dict(values)
    due = given.get("due_at")
    if isinstance(due, date) and not isinstance(due, datetime):
        given["due_at"] = datetime.combine(due, END_OF_DAY, ZoneInfo(actor.timezone))
    task: Task = records.create(session, actor, "task", given, submit_key=submit_key)
    next_steps.take(session, actor, task)
    return task


def complete(session: Session, actor: Actor, task_id: int) -> Task:
    """Tick a task off. Twice is the same as once."""
    task: Task = records.get(session, actor, "task", task_id, action=Action.EDIT)
    if task.status is TaskStatus.DONE:
        return task
    if task.status is TaskStatus.CANCELLED:
        raise Conflict("This task was cancelled.")
    return _save(session, actor, task_id, {"status": TaskStatus.DONE.value}, fixed={"done_at": clock.utcnow()}).record


def _save(
    session: Session,
    actor: Actor,
    task_id: int,
    changes: Mapping[str, Any],
    *,
    fixed: Mapping[str, Any],
    base_version: int | None = None,
) -> records.Saved:
    before: dict[str, Any] = {}

    def prepare(_session: Session, _actor: Actor, task: Task, old: Mapping[str, Any]) -> None:
        before.update({key: old.get(key, getattr(task, key)) for key in ("status", *_STEP)})

    saved = records.update(session, actor, "task", task_id, changes, base_version=base_version, prepare=prepare, fixed=fixed)
    changed = set(saved.changed)
    if {"status", "due_at"} & changed:
        _hush(session, actor, task_id)
    if {"status", *_STEP} & changed and before.pop("status") is TaskStatus.OPEN:
        next_steps.follow(session, actor, saved.record, **before)
    if {"status", "deal_id"} & changed:
        next_steps.take(session, actor, saved.record)
    return saved


def _hush(session: Session, actor: Actor, task_id: int) -> None:
    """Reminders of a task that is over, or due at another time, need no longer be read."""
    notifications.withdraw(session, actor, key="task", record_id=task_id, kinds=("reminder.task", "reminder.overdue"))


def reopen(session: Session, actor: Actor, task_id: int) -> Task:
    """Take a done task back."""
    return _save(session, actor, task_id, {"status": TaskStatus.OPEN.value}, fixed={"done_at": None}).record


def update(
    session: Session, actor: Actor, task_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change a task. The instant at which it was done follows its status."""
    status = parse_one("task", "status", changes.get("status"))
    fixed = {} if status is None else {"done_at": clock.utcnow() if status is TaskStatus.DONE else None}
    return _save(session, actor, task_id, changes, fixed=fixed, base_version=base_version)


def postpone(session: Session, actor: Actor, task_id: int, day: date, *, base_version: int | None = None) -> records.Saved:
    """Move the due day; the hour stays as it was, or is the end of the working day."""
    task: Task = records.get(session, actor, "task", task_id, action=Action.EDIT)
    if task.status is not TaskStatus.OPEN:
        raise Conflict("This task is no longer open.")
    zone = ZoneInfo(actor.timezone)
    hour = task.due_at.astimezone(zone).time() if task.due_at is not None else END_OF_DAY
    due = datetime.combine(day, hour, zone)
    return _save(session, actor, task_id, {"due_at": due}, fixed={}, base_version=base_version)


def archive(session: Session, actor: Actor, task_id: int, *, base_version: int | None = None) -> Task:
    """Move a task to the bin; the deal whose next step it was has none then."""
    task: Task = records.archive(session, actor, "task", task_id, base_version=base_version)
    if task.status is TaskStatus.OPEN:
        next_steps.follow(session, actor, task, subject=task.subject, due_at=task.due_at, deal_id=task.deal_id)
    return task


def restore(session: Session, actor: Actor, task_id: int) -> Task:
    """Take a task back from the bin; its deal takes it as the next step again, where it has none."""
    task: Task = records.restore(session, actor, "task", task_id)
    next_steps.take(session, actor, task)
    return task


def assign(session: Session, actor: Actor, task_id: int, owner_id: int | None, *, base_version: int | None = None) -> records.Saved:
    """Give the task to somebody."""
    return records.update(session, actor, "task", task_id, {"owner_id": owner_id}, base_version=base_version)


def open_of(session: Session, actor: Actor, entity_key: str, record_id: int, *, limit: int = 20) -> list[Task]:
    """Open tasks of a record, the next due first, with their subjects as the actor reads them. Whoever may see the record may see what is planned
    for it."""
    records.get(session, actor, entity_key, record_id)
    if entity_key not in LINKS:
        return []
    table = entity("task").table
    query = select(Task).where(
        hangs_on(actor, "task", table, entity_key, record_id), table.c.status == TaskStatus.OPEN, table.c.deleted_at.is_(None)
    )
    found = session.execute(query.order_by(table.c.due_at.asc().nulls_last(), table.c.id).limit(limit)).scalars().all()
    subjects = persons.subjects(session, actor, "task", {task.id: task.subject for task in found})
    return [task.model_copy(update={"subject": subjects[task.id]}) for task in found]


def mine(session: Session, actor: Actor, *, limit: int = 50) -> list[Task]:
    """The actor's own open tasks, the next due first."""
    require(actor, "task", Action.READ)
    table = entity("task").table
    query = select(Task).where(visible(actor, "task", table), table.c.owner_id == actor.user_id, table.c.status == TaskStatus.OPEN)
    return list(session.execute(query.order_by(table.c.due_at.asc().nulls_last(), table.c.id).limit(limit)).scalars())
