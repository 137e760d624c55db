"""Tasks for the owners of customers at risk: look first, create once, take back within a day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy import select
from sqlmodel import Session

from crm_core import events
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import CrmError, Invalid
from crm_core.kit import clock
from crm_core.kit.numerals import written
from crm_core.kit.text import clean, sort_key
from crm_core.models import BulkOperation, SubmitKey, Task, User
from crm_core.services.collaboration import tasks
from crm_core.vocabulary import Action, Priority, TaskStatus

Customer = Literal["contact", "account"]
MAX_TASKS = 500
_TASKS: Any = Task.__table__  # type: ignore[attr-defined]
_USERS: Any = User.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Planned:
    """One task as it would be: about whom, for whom. ``title`` and ``owner`` are plain text."""

    record_id: int
    title: str
    owner_id: int
    owner: str


@dataclass(frozen=True)
class Plan:
    """What creating would do. ``waiting``: customers that have such an open task already; ``hidden``: not to be seen by the actor."""

    tasks: tuple[Planned, ...]
    waiting: int
    hidden: int

    @property
    def owners(self) -> dict[str, int]:
        """Owner → number of tasks, the most first."""
        found: dict[str, int] = {}
        for task in self.tasks:
            found[task.owner] = found.get(task.owner, 0) + 1
        return dict(sorted(found.items(), key=lambda item: (-item[1], sort_key(item[0]))))


@dataclass(frozen=True)
class Created:
    """What was created. ``operation_id`` takes it back (``bulk.undo``); ``refused``: customer and sentence."""

    operation_id: int | None
    done: int
    refused: tuple[tuple[str, str], ...] = ()


def plan(session: Session, actor: Actor, customer: Customer, record_ids: Sequence[int], subject: str) -> Plan:
    """Who would get which task. A customer without an active owner falls to the actor; one with the same open task is left alone."""
    require(actor, "task", Action.CREATE)
    require(actor, customer, Action.READ)
    wanted = list(dict.fromkeys(record_ids))
    if len(wanted) > MAX_TASKS:
        raise Invalid(f"At most {MAX_TASKS} tasks can be created at once. Choose fewer customers.")
    table = entity(customer).table
    seen = session.execute(
        select(table.c.id, table.c.name, _USERS.c.id, _USERS.c.name)
        .outerjoin(_USERS, (_USERS.c.id == table.c.owner_id) & _USERS.c.is_active)
        .where(table.c.id.in_(wanted), visible(actor, customer, table))
    ).all()
    waiting = _waiting(session, customer, wanted, _subject(subject))
    rows = {row[0]: row for row in seen}
    masked = actor.masked(customer, "name")
    made = [
        Planned(key, f"No. {key}" if masked else rows[key][1], rows[key][2] or actor.user_id or 0, rows[key][3] or actor.name)
        for key in wanted
        if key in rows and key not in waiting
    ]
    return Plan(tuple(made), len(waiting & rows.keys()), len(wanted) - len(rows))


def create(
    session: Session,
    actor: Actor,
    customer: Customer,
    record_ids: Sequence[int],
    *,
    subject: str,
    due_on: date,
    notes: Mapping[int, str] | None = None,
    priority: Priority = Priority.NORMAL,
    submit_key: str | None = None,
) -> Created:
    """Create the planned tasks, each with its note. The same ``submit_key`` again creates nothing and gives the first result."""
    words = _subject(subject)
    if due_on < clock.today(actor.timezone):
        raise Invalid(fields={"due_on": "The tasks would be late from the beginning. Choose today or a later day."})
    earlier = session.get(SubmitKey, submit_key) if submit_key else None
    if earlier is not None:
        return Created(earlier.result.get("operation_id"), int(earlier.result.get("done", 0)))
    planned = plan(session, actor, customer, record_ids, words)
    if not planned.tasks:
        raise Invalid("There is nobody left to create a task for.")
    done, refused = _each(session, actor, customer, planned.tasks, words, due_on, notes or {}, priority)
    operation = BulkOperation(
        entity="task", user_id=actor.user_id, title=f"{written(len(done))} tasks: {words}"[:200], count=len(done), inverse=done
    )
    session.add(operation)
    session.flush()
    events.record(session, actor, "bulk.changed", entity="task", data={"count": len(done), "operation": operation.id})
    if submit_key:
        session.add(SubmitKey(key=submit_key, at=clock.utcnow(), result={"operation_id": operation.id, "done": len(done)}))
    return Created(operation.id, len(done), tuple(refused))


def _each(
    session: Session, actor: Actor, customer: Customer, planned: Sequence[Planned], subject: str, due_on: date,
    notes: Mapping[int, str], priority: Priority,
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:  # fmt: skip
    done: list[dict[str, Any]] = []
    refused: list[tuple[str, str]] = []
    for one in planned:
        values = {
            "subject": subject, "body": notes.get(one.record_id) or None, "due_at": due_on, "priority": priority.value,
            "owner_id": one.owner_id, f"{customer}_id": one.record_id,
        }  # fmt: skip
        try:
            with session.begin_nested():
                task = tasks.create(session, actor, values)
        except CrmError as error:
            refused.append((one.title, error.message))
        else:
            done.append({"id": task.id, "version": task.version, "created": True})
    return done, refused


def _subject(text: str) -> str:
    words = clean(text)
    if not words or len(words) > 200:
        raise Invalid(fields={"subject": "Say in up to 200 characters what is to be done."})
    return words


def _waiting(session: Session, customer: Customer, ids: Sequence[int], subject: str) -> set[int]:
    column = _TASKS.c[f"{customer}_id"]
    open_ones = select(column).where(
        column.in_(ids), _TASKS.c.subject == subject, _TASKS.c.status == TaskStatus.OPEN, _TASKS.c.deleted_at.is_(None)
    )
    return set(session.execute(open_ones).scalars())
