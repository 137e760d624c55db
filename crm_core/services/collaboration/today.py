"""What waits for a person this morning: tasks, deals, tickets, leads, and what others changed on their records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select as core_select
from sqlmodel import Session

from crm_core import idleness, lists, persons
from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.filters import where
from crm_core.kit import clock
from crm_core.kit.paging import Page
from crm_core.lists import ListQuery
from crm_core.models import Task
from crm_core.services.collaboration import tasks, timeline
from crm_core.services.collaboration.timeline import LINKS
from crm_core.vocabulary import Action, LeadKind, Scope, StageKind, TicketKind

SIZE = 10
Ast = dict[str, Any]


@dataclass(frozen=True)
class TaskView:
    """An open task with the record it hangs on (the most telling one that the person may see)."""

    id: int
    version: int
    subject: str
    due_at: datetime | None
    overdue: bool
    entity: str = ""
    record_id: int = 0
    title: str = ""


@dataclass(frozen=True)
class Block:
    """Records that wait: the first rows, how many there are, and the filter of their list. ``why``: row id → reasons in words."""

    entity: str
    columns: tuple[str, ...]
    page: Page
    filter: Ast
    why: Mapping[int, tuple[str, ...]]


def my_tasks(session: Session, actor: Actor, *, limit: int = SIZE) -> tuple[list[TaskView], int]:
    """The person's open tasks, overdue ones first, and their number."""
    found = tasks.mine(session, actor, limit=limit)
    total = len(found)
    if total == limit:
        total = lists.count(
            session, actor, "task", ListQuery(filter=_all(_leaf("owner_id", "eq", "@me"), _leaf("status", "eq", "open")))
        )
    known = {key: lists.titles(session, actor, key, (getattr(task, LINKS[key]) for task in found)) for key in _telling(actor)}
    subjects = persons.subjects(session, actor, "task", {task.id: task.subject for task in found})
    return [_task(task, subjects[task.id], known) for task in found], total


def _telling(actor: Actor) -> Iterable[str]:
    return [key for key in ("ticket", "deal", "lead", "contact", "account") if actor.can(key, Action.READ)]


def _task(task: Task, subject: str, known: Mapping[str, Mapping[int, str]]) -> TaskView:
    overdue = task.due_at is not None and task.due_at < clock.utcnow()
    for key, titles in known.items():
        record_id = getattr(task, LINKS[key])
        if record_id in titles:
            return TaskView(task.id, task.version, subject, task.due_at, overdue, key, record_id, titles[record_id])
    return TaskView(task.id, task.version, subject, task.due_at, overdue)


def deals(session: Session, actor: Actor) -> Block | None:
    """Open deals of the person that have no next step, are past their closing date or stand still; None without deals."""
    if not actor.can("deal", Action.READ):
        return None
    reasons = {
        "Closing date passed": _leaf("expected_close_on", "lt", "today"),
        "Next step overdue": _leaf("next_step_on", "lt", "today"),
        "No next step": idleness.NO_NEXT_STEP,
        "Idle": idleness.IDLE,
    }
    reasons = {word: ast for word, ast in reasons.items() if not any(actor.masked("deal", key) for key in _fields_of(ast))}
    mine = (_leaf("owner_id", "eq", "@me"), _leaf("outcome", "eq", StageKind.OPEN.value))
    ast = _all(*mine, {"op": "or", "items": list(reasons.values())})
    block = _block(
        session,
        actor,
        "deal",
        ast,
        ("name", "account_id", "stage_id", "amount_minor", "expected_close_on"),
        ("expected_close_on", False),
    )
    why = _reasons(session, actor, block, reasons)
    return replace(block, why=why)


def _fields_of(ast: Ast) -> set[str]:
    return {str(ast["field"])} if "field" in ast else {key for item in ast.get("items", ()) for key in _fields_of(item)}


def _reasons(session: Session, actor: Actor, block: Block, reasons: Mapping[str, Ast]) -> dict[int, tuple[str, ...]]:
    ids = [row["id"] for row in block.page.rows]
    if not ids:
        return {}
    table = entity("deal").table
    columns = [where(session, "deal", ast, actor).label(f"r{n}") for n, ast in enumerate(reasons.values())]
    found = session.execute(core_select(table.c.id, *columns).where(table.c.id.in_(ids)))
    return {row[0]: tuple(word for word, hit in zip(reasons, row[1:], strict=True) if hit) for row in found}


def tickets(session: Session, actor: Actor) -> Block | None:
    """New and open tickets of the person, and those that are nobody's if they may take them; the longest waiting first."""
    if not actor.can("ticket", Action.READ):
        return None
    state = _leaf("status", "in", [TicketKind.NEW.value, TicketKind.OPEN.value])
    ast = _all(state, _mine_or_free(actor, "ticket"))
    return _block(session, actor, "ticket", ast, ("subject", "priority", "status", "owner_id", "opened_at"), ("opened_at", False))


def leads(session: Session, actor: Actor) -> Block | None:
    """New leads of the person, and those that are nobody's if they may take them; the newest first."""
    if not actor.can("lead", Action.READ):
        return None
    ast = _all(_leaf("status.kind", "eq", LeadKind.OPEN.value), _mine_or_free(actor, "lead"))
    return _block(session, actor, "lead", ast, ("name", "company", "source", "owner_id", "created_at"), ("created_at", True))


def changes(session: Session, actor: Actor, *, limit: int = SIZE) -> list[timeline.Item]:
    """What others did since the beginning of yesterday (by the person's own calendar) to records that the person owns."""
    yesterday = clock.today(actor.timezone) - timedelta(days=1)
    since = datetime.combine(yesterday, time(), ZoneInfo(actor.timezone))
    return timeline.on_my_records(session, actor, since, limit=limit)


BEGUN_WITH = ("account", "contact", "lead", "deal")
"""The records with which a workspace begins."""


def is_bare(session: Session, actor: Actor) -> bool:
    """True while there are none of the records with which a workspace begins, told by somebody who sees all of at least one kind."""
    if not any(Scope.ALL in actor.scopes(key, Action.READ) for key in BEGUN_WITH):
        return False
    for key in BEGUN_WITH:
        table = entity(key).table
        query = core_select(table.c.id).where(visible(actor, key, table)).limit(1)
        if actor.can(key, Action.READ) and session.execute(query).first() is not None:
            return False
    return True


def _mine_or_free(actor: Actor, entity_key: str) -> Ast:
    mine = _leaf("owner_id", "eq", "@me")
    return {"op": "or", "items": [mine, _leaf("owner_id", "empty")]} if actor.can(entity_key, Action.EDIT) else mine


def _block(session: Session, actor: Actor, key: str, ast: Ast, columns: tuple[str, ...], sort: tuple[str, bool]) -> Block:
    found = lists.find(session, actor, key, ListQuery(filter=ast, columns=columns, sort=sort, size=SIZE))
    return Block(key, columns, found, ast, {})


def _leaf(field: str, cmp: str, value: Any = None) -> Ast:
    return {"field": field, "cmp": cmp} if value is None else {"field": field, "cmp": cmp, "value": value}


def _all(*items: Ast) -> Ast:
    return {"op": "and", "items": list(items)}
