"""Queues: where work waits until somebody is free, how long it has waited, and who takes it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlalchemy import select as pick
from sqlmodel import Session, col, select

from crm_core import events, lists
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit.text import clean
from crm_core.models import QueueItem, RoutingRule, Team, WorkQueue
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.services.routing.rules import require_all, rule_told, untold
from crm_core.services.routing.standing import KINDS
from crm_core.veil import MASK
from crm_core.vocabulary import Action

MOST_WAIT = 60 * 24 * 31
SHOWN = 200


@dataclass(frozen=True)
class QueueView:
    """A queue with how much waits in it."""

    id: int
    version: int
    name: str
    team_id: int | None
    max_wait_minutes: int | None
    waiting: int
    oldest: datetime | None


@dataclass(frozen=True)
class Waiting:
    """One record that waits. ``late``: longer than its queue allows."""

    entity: str
    record_id: int
    title: str
    queue: str
    rule: str
    since: datetime
    max_wait_minutes: int | None


def find(session: Session, actor: Actor) -> list[QueueView]:
    """All queues by name."""
    require(actor, "assignment", Action.READ)
    counted = {
        queue_id: (number, oldest)
        for queue_id, number, oldest in session.exec(select(QueueItem.queue_id, func.count(), func.min(QueueItem.since)).group_by(col(QueueItem.queue_id)))
    }  # fmt: skip
    rows = session.exec(select(WorkQueue).order_by(alphabetical(WorkQueue.name)))
    return [
        QueueView(row.id, row.version, row.name, row.team_id, row.max_wait_minutes, *counted.get(row.id, (0, None))) for row in rows
    ]


def save(
    session: Session,
    actor: Actor,
    queue_id: int | None,
    *,
    name: str,
    team_id: int | None = None,
    max_wait_minutes: int | None = None,
    base_version: int | None = None,
) -> WorkQueue:
    """Create a queue or change it; its team hears of what waits longer than it should. Events: assignment.queue_saved."""
    require_all(actor)
    row = _get(session, queue_id) if queue_id else WorkQueue(name="")
    refuse_stale(
        "this queue",
        row,
        base_version,
        lambda: QueueView(row.id, row.version, row.name, row.team_id, row.max_wait_minutes, 0, None),
    )
    wrong: dict[str, str] = {}
    if not clean(name):
        wrong["name"] = "Give the queue a name."
    if any(one.id != row.id and one.name.casefold() == clean(name).casefold() for one in session.exec(select(WorkQueue))):
        wrong["name"] = f"There is a queue called “{clean(name)}” already."
    if team_id is not None and session.get(Team, team_id) is None:
        wrong["team_id"] = "This team no longer exists."
    if max_wait_minutes is not None and not 1 <= max_wait_minutes <= MOST_WAIT:
        wrong["max_wait_minutes"] = "A wait is between one minute and a month."
    if wrong:
        raise Invalid(fields=wrong)
    row.name, row.team_id, row.max_wait_minutes = clean(name)[:80], team_id, max_wait_minutes
    session.add(row)
    session.flush()
    events.record(session, actor, "assignment.queue_saved", entity="assignment", record_id=row.id, data={"name": row.name})
    return row


def remove(session: Session, actor: Actor, queue_id: int) -> None:
    """Delete a queue that no rule uses; what waits in it waits on without its name. Events: assignment.queue_removed."""
    require_all(actor)
    row = _get(session, queue_id)
    using = session.exec(select(RoutingRule.name).where(RoutingRule.queue_id == row.id)).first()
    if using is not None:
        raise Conflict(f"The rule “{using}” uses this queue. Give it another one first.")
    for item in session.exec(select(QueueItem).where(QueueItem.queue_id == row.id)):
        item.queue_id = None
        session.add(item)
    session.flush()
    session.delete(row)
    session.flush()
    events.record(session, actor, "assignment.queue_removed", entity="assignment", record_id=queue_id, data={"name": row.name})


def waiting(session: Session, actor: Actor, *, entity_key: str | None = None) -> list[Waiting]:
    """What waits among the records that the actor may see, the oldest first. A queue tells no more than the rule that led there."""
    hidden = untold(session, actor)
    queues = {row.id: row for row in session.exec(select(WorkQueue))}
    rules = {row.id: row.name for row in session.exec(select(RoutingRule))}
    found: list[Waiting] = []
    for key in KINDS:
        if entity_key in (None, key) and actor.can(key, Action.READ):
            items = _items(session, actor, key)
            titles = lists.titles(session, actor, key, [row.record_id for row in items])
            for row in items:
                queue = queues.get(row.queue_id) if row.queue_id else None
                called = rule_told(row.rule_id, queue.name, hidden) if queue else ""
                rule = rule_told(row.rule_id, rules.get(row.rule_id or 0, ""), hidden)
                found.append(
                    Waiting(
                        key, row.record_id, titles.get(row.record_id, ""), called, "" if rule == MASK else rule, row.since,
                        queue.max_wait_minutes if queue else None,
                    )
                )  # fmt: skip
    return sorted(found, key=lambda one: (one.since, one.entity, one.record_id))


def count(session: Session, actor: Actor, entity_key: str) -> int:
    """How many records of a kind wait, among those that the actor may see."""
    if not actor.can(entity_key, Action.READ):
        return 0
    return int(session.execute(pick(func.count()).select_from(_waiting(actor, entity_key).subquery())).scalar_one())


def _waiting(actor: Actor, key: str):  # type: ignore[no-untyped-def]
    table, items = entity(key).table, QueueItem.__table__  # type: ignore[attr-defined]
    joined = pick(items).join(table, (items.c.record_id == table.c.id) & (items.c.entity == key))
    return joined.where(visible(actor, key, table), table.c.owner_id.is_(None)).order_by(items.c.since, items.c.id)


def _items(session: Session, actor: Actor, key: str):  # type: ignore[no-untyped-def]
    return list(session.execute(_waiting(actor, key).limit(SHOWN)))


def _get(session: Session, queue_id: int) -> WorkQueue:
    row = session.get(WorkQueue, queue_id)
    if row is None:
        raise NotFound("This queue no longer exists.")
    return row
