"""What routing does by itself: new records, queues that drain when somebody is free, tickets of people who are away."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import exists, select
from sqlmodel import Session, col
from sqlmodel import select as fetch

from crm_core.access import system
from crm_core.entities import entity
from crm_core.errors import NotFound
from crm_core.jobs import Job, job
from crm_core.kit.clock import utcnow
from crm_core.models import Absence, Organisation, QueueItem, User, WorkQueue
from crm_core.services.collaboration import notifications
from crm_core.services.collaboration.incoming import JOB
from crm_core.services.routing import assign, standing

_BATCH = 25
_ITEMS: Any = QueueItem.__table__  # type: ignore[attr-defined]


@job(JOB, title="Assign a new record", keep_days=2)
def route_one(job: Job, entity_key: str, record_id: int) -> None:
    """Ask the rules about one new record. A second run finds its owner and does nothing."""
    with job.transaction() as session:
        try:
            assign.route(session, system(), entity_key, record_id, why="New")
        except NotFound:  # it went to the bin meanwhile
            return


def _anything_waits(session: Session) -> bool:
    return bool(session.execute(select(exists(select(_ITEMS.c.id)))).scalar_one())


@job("routing.drain", title="Hand out what waits in queues", cron="* * * * *", when=_anything_waits, keep_days=2)
def drain(job: Job) -> None:
    """Offer what waits, the oldest first, to whoever is free now. Once nobody is free for a rule and a need, the rest of that kind waits on."""
    hopeless: set[tuple[Any, ...]] = set()
    last: tuple[Any, int] | None = None
    while True:
        with job.transaction() as session:
            rows = _next(session, last)
            for row in rows:
                _offer(session, row, hopeless)
                last = (row.since, row.id)
            job.report(len(rows))
        if len(rows) < _BATCH:
            break
    with job.transaction() as session:
        _tell_of_long_waits(session)


def _next(session: Session, last: tuple[Any, int] | None) -> list[Any]:
    query = select(_ITEMS).order_by(_ITEMS.c.since, _ITEMS.c.id).limit(_BATCH)
    if last is not None:
        query = query.where((_ITEMS.c.since > last[0]) | ((_ITEMS.c.since == last[0]) & (_ITEMS.c.id > last[1])))
    return list(session.execute(query))


def _offer(session: Session, row: Any, hopeless: set[tuple[Any, ...]]) -> None:
    table = entity(row.entity).table
    wanted = (table.c.id == row.record_id) & standing.open_clause(row.entity) & table.c.owner_id.is_(None)
    if not session.execute(select(exists(select(table.c.id).where(wanted)))).scalar_one():
        session.execute(_ITEMS.delete().where(_ITEMS.c.id == row.id))
        return
    record = session.get_one(entity(row.entity).model, row.record_id)
    rule = assign.rule_for(session, row.entity, row.record_id)
    kind = (rule.id, assign.need_of(rule, record), assign.place_of(session, rule, record)) if rule is not None else ()
    if rule is None or kind in hopeless:
        return
    if assign.weigh(session, rule, record).user_id is None:  # no row in the log for each minute of waiting
        hopeless.add(kind)
        return
    assign.route(session, system(), row.entity, row.record_id, why="Somebody is free again")


def _tell_of_long_waits(session: Session) -> None:
    """Whoever works in a queue hears once of each record that waits longer than it should."""
    now = utcnow()
    for queue in session.exec(
        fetch(WorkQueue).where(col(WorkQueue.max_wait_minutes).is_not(None), col(WorkQueue.team_id).is_not(None))
    ):
        limit = now - timedelta(minutes=queue.max_wait_minutes or 0)
        late = list(
            session.exec(
                fetch(QueueItem).where(QueueItem.queue_id == queue.id, QueueItem.since <= limit, col(QueueItem.told_at).is_(None))
            )
        )
        if not late:
            continue
        for user_id in session.exec(fetch(User.id).where(User.team_id == queue.team_id, col(User.is_active))):
            notifications.notify(
                session, user_id, kind="queue.waiting", params={"count": len(late), "queue": queue.name}, dedupe_key=f"waits-{queue.id}-{late[-1].id}"
            )  # fmt: skip
        for row in late:
            row.told_at = now
            session.add(row)


def _somebody_left_today(session: Session) -> bool:
    return _begun(session).first() is not None


def _begun(session: Session) -> Any:
    day = utcnow().astimezone(ZoneInfo(session.exec(fetch(Organisation.timezone)).first() or "UTC")).date()
    due = fetch(Absence).where(
        col(Absence.hand_on), col(Absence.handed_at).is_(None), Absence.first_on <= day, Absence.last_on >= day
    )
    return session.exec(due.order_by(col(Absence.id)))


@job("routing.hand_on", title="Hand on tickets of who is away", cron="*/5 * * * *", when=_somebody_left_today, keep_days=7)
def hand_on(job: Job) -> None:
    """The open tickets that a rule gave to somebody go to others on the first day of an absence; what was given by hand stays."""
    with job.transaction() as session:
        begun = [row.id for row in _begun(session)]
    for absence_id in begun:
        with job.transaction() as session:
            absence = session.get(Absence, absence_id)
            if absence is None or absence.handed_at is not None:
                continue
            for ticket_id in assign.open_ones(session, "ticket", absence.user_id):
                assign.route(session, system(), "ticket", ticket_id, why="Away", replace_owner=True)
            absence.handed_at = utcnow()
            session.add(absence)
