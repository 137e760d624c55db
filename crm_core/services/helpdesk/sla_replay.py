"""Would have: a service level tried on the tickets of the last months before it is promised to anybody."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import and_, select, true
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.filters import where
from crm_core.kit.business_calendar import BusinessCalendar
from crm_core.kit.clock import utcnow
from crm_core.models import Event
from crm_core.services.helpdesk.calendars import calendar_of
from crm_core.services.helpdesk.ticket_rules import DONE, WAITING
from crm_core.vocabulary import Action, Priority, SlaTarget

MAX_TICKETS = 5_000
_BATCH = 500
Interval = tuple[datetime, datetime]


@dataclass(frozen=True)
class ReplayRow:
    """One promise on the past. ``kept`` of ``decided`` tickets, with the Wilson interval of that share; ``median_seconds``: working time it took."""

    priority: Priority
    target: SlaTarget
    minutes: int
    decided: int
    kept: int
    low: float | None
    high: float | None
    median_seconds: float | None


@dataclass(frozen=True)
class Replay:
    """What a service level would have meant. ``undecided``: still open and within time; ``cut``: only the newest tickets were looked at."""

    since: datetime
    tickets: int
    undecided: int
    cut: bool
    rows: tuple[ReplayRow, ...]


def replay(
    session: Session,
    actor: Actor,
    *,
    targets: Mapping[str, Mapping[str, int]],
    filter: Mapping[str, Any] | None = None,
    calendar_id: int | None = None,
    days: int = 90,
) -> Replay:
    """First response and resolution of the tickets that the actor may see, opened within ``days``, against ``targets``.

    Time spent waiting for others does not count, as far as the log knows of it: imported tickets count as never waiting. The priority is the
    one that a ticket has now.
    """
    require(actor, "ticket", Action.READ)
    now = utcnow()
    since = now - timedelta(days=days)
    rows = _tickets(session, actor, filter, since)
    calendar = calendar_of(session, calendar_id)
    pauses = _pauses(session, [row.id for row in rows[:MAX_TICKETS]], now)
    taken: dict[tuple[Priority, SlaTarget], list[tuple[float, bool]]] = defaultdict(list)
    undecided = 0
    for row in rows[:MAX_TICKETS]:
        for target, end in ((SlaTarget.FIRST, row.first_response_at), (SlaTarget.RESOLVE, row.solved_at)):
            minutes = (targets.get(Priority(row.priority).value) or {}).get(target.value)
            if minutes is None or (end is None and row.status in DONE):
                continue
            seconds = _working(calendar, row.opened_at, end or now, pauses.get(row.id, ()))
            late = seconds > minutes * 60
            if end is None and not late:
                undecided += 1
                continue
            taken[Priority(row.priority), target].append((seconds, not late))
    made = tuple(_row(key, targets, found) for key, found in sorted(taken.items(), key=_in_order))
    return Replay(since, min(len(rows), MAX_TICKETS), undecided, len(rows) > MAX_TICKETS, made)


def _tickets(session: Session, actor: Actor, filter: Mapping[str, Any] | None, since: datetime) -> list[Any]:
    table = entity("ticket").table
    columns = [table.c[name] for name in ("id", "priority", "status", "opened_at", "first_response_at", "solved_at")]
    clause = and_(visible(actor, "ticket", table), table.c.opened_at >= since)
    narrowed = where(session, "ticket", filter, actor) if filter else true()
    query = select(*columns).where(clause, narrowed).order_by(table.c.opened_at.desc(), table.c.id).limit(MAX_TICKETS + 1)
    return list(session.execute(query))


def _pauses(session: Session, ids: list[int], now: datetime) -> dict[int, list[Interval]]:
    """Ticket → when it waited for somebody else, from the changes of its status in the log."""
    log = Event.__table__  # type: ignore[attr-defined]
    waiting = {kind.value for kind in WAITING}
    found: dict[int, list[Interval]] = defaultdict(list)
    for at in range(0, len(ids), _BATCH):
        mine = and_(log.c.entity == "ticket", log.c.record_id.in_(ids[at : at + _BATCH]))
        began: dict[int, datetime] = {}
        for record_id, instant, changes in session.execute(
            select(log.c.record_id, log.c.at, log.c.changes).where(mine).order_by(log.c.id)
        ):
            status = (changes or {}).get("status")
            if not status:
                continue
            if status[1] in waiting:
                began.setdefault(record_id, instant)
            elif record_id in began:
                found[record_id].append((began.pop(record_id), instant))
        for record_id, instant in began.items():
            found[record_id].append((instant, now))
    return found


def _working(calendar: BusinessCalendar, start: datetime, end: datetime, pauses: Iterable[Interval]) -> float:
    total = calendar.between(start, end)
    return total - sum(calendar.between(max(a, start), min(b, end)) for a, b in pauses if a < end and b > start)


def _row(key: tuple[Priority, SlaTarget], targets: Mapping[str, Mapping[str, int]], found: list[tuple[float, bool]]) -> ReplayRow:
    import numpy as np

    from ml.kpis import wilson  # here: pandas is only needed when somebody asks

    kept = sum(good for _, good in found)
    low, high = (float(end) for end in wilson(np.asarray(kept), np.asarray(len(found))))
    minutes = targets[key[0].value][key[1].value]
    return ReplayRow(*key, minutes, len(found), kept, low, high, median(seconds for seconds, _ in found))


def _in_order(item: tuple[tuple[Priority, SlaTarget], Any]) -> tuple[int, int]:
    (priority, target), _ = item
    return -list(Priority).index(priority), list(SlaTarget).index(target)
