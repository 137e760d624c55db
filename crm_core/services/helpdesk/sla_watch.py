"""The watch over promises: each minute it tells of those that are half used up, nearly over, or broken. Thousands may be at the same moment."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from crm_core import db, events, records
from crm_core.access import system
from crm_core.errors import CrmError
from crm_core.jobs import Job, enqueue, job
from crm_core.kit.business_calendar import BusinessCalendar
from crm_core.kit.clock import utcnow
from crm_core.models import Account, SlaClock, SlaPolicy, Ticket, User
from crm_core.services.collaboration import notifications
from crm_core.services.collaboration.notifications import News
from crm_core.services.helpdesk import escalation_rules, sla_rules
from crm_core.services.helpdesk.calendars import calendar_of
from crm_core.services.helpdesk.ticket_marks import PROMISED
from crm_core.summary_marks import update_tickets
from crm_core.vocabulary import PromiseOutcome, SlaTarget

log = logging.getLogger("rapport.helpdesk")

JOB = "helpdesk.sla_watch"
ESCALATE = "helpdesk.sla_escalate"
"""The job that does what a threshold calls for (``routing/escalating``): assignment stands above the service desk."""
_BATCH = 500
_CLOCKS: Any = SlaClock.__table__  # type: ignore[attr-defined]
_ACCOUNTS: Any = Account.__table__  # type: ignore[attr-defined]
_TICKETS: Any = Ticket.__table__  # type: ignore[attr-defined]
_POLICIES: Any = SlaPolicy.__table__  # type: ignore[attr-defined]
_PEOPLE: Any = User.__table__  # type: ignore[attr-defined]
_MOVED = ("warned_pct", "breached_at", "next_warn_at")
_MOVE = (
    update(_CLOCKS)
    .where(_CLOCKS.c.id == bindparam("clock_id"))
    .values({name: bindparam(name) for name in (*_MOVED, "updated_at", "version")})
)


@dataclass
class _Clock:
    """A promise as ``sla_rules`` reads and writes it."""

    id: int
    ticket_id: int
    policy_id: int | None
    target: SlaTarget
    minutes: int
    started_at: datetime
    due_at: datetime
    next_warn_at: datetime | None
    warned_pct: int
    paused_at: datetime | None
    paused_seconds: int
    met_at: datetime | None
    breached_at: datetime | None
    cancelled_at: datetime | None
    version: int


@dataclass(frozen=True)
class _Around:
    """What a batch of clocks is about, read at once."""

    tickets: Mapping[int, Any]
    policies: Mapping[int, Any]
    calendars: Mapping[int | None, BusinessCalendar]
    people: Mapping[int, Any]


@dataclass
class _Told:
    """What a batch has to say, written at once."""

    log: list[tuple[str, Any, Mapping[str, Any]]] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    called: list[list[Any]] = field(default_factory=list)


def _something_due(session: Session) -> bool:
    return bool(session.execute(select(exists(select(_CLOCKS.c.id).where(_CLOCKS.c.next_warn_at <= utcnow())))).scalar_one())


@job(JOB, title="Watch service levels", cron="* * * * *", when=_something_due, keep_days=2)
def watch(job: Job) -> None:
    """Tell about promises that are half used up, nearly over, or broken: each step once, whatever crashes.

    That a step was told stands on the clock (``warned_pct``), in the transaction that tells it.
    """
    done = 0
    while True:
        with job.transaction() as session:
            clocks = _due(session)
            if clocks:
                _look(session, clocks)
            done += len(clocks)
            job.report(done)
        if len(clocks) < _BATCH:
            return


def _due(session: Session) -> list[_Clock]:
    """The clocks to look at, the longest due first, kept from others until this transaction ends; one that a ticket is just written with is next time's."""
    columns = [_CLOCKS.c[name] for name in _Clock.__dataclass_fields__]
    due = select(*columns).where(_CLOCKS.c.next_warn_at <= utcnow()).order_by(_CLOCKS.c.next_warn_at, _CLOCKS.c.id).limit(_BATCH)
    rows = session.execute(due if db.is_sqlite(session) else due.with_for_update(skip_locked=True))
    return [_Clock(*row) for row in rows]


def _look(session: Session, clocks: Sequence[_Clock]) -> None:
    around, told, now = _around(session, clocks), _Told(), utcnow()
    for clock in clocks:
        _warn(clock, around, told, now)
    moved = [
        {**{name: getattr(clock, name) for name in _MOVED}, "clock_id": clock.id, "updated_at": now, "version": clock.version + 1}
        for clock in clocks
    ]
    session.connection().execute(_MOVE, moved)
    db.bump(session, _CLOCKS.name)
    _note_late(session, clocks)
    events.record_many(session, system(), "ticket", told.log)
    notifications.notify_many(session, told.news)
    if told.called:
        enqueue(session, ESCALATE, told.called)
    session.info[records.LINKABLE] = {("ticket", ticket_id, None) for ticket_id in around.tickets}
    try:
        _give_tasks(session, told.tasks)
    finally:
        session.info.pop(records.LINKABLE, None)


def _note_late(session: Session, clocks: Sequence[_Clock]) -> None:
    """On the tickets too, for lists and figures to read; no change of a ticket that anybody made, so its version stays."""
    for target, (name, _minutes) in PROMISED.items():
        late = {clock.ticket_id for clock in clocks if clock.target is target and clock.breached_at is not None}
        if late:
            update_tickets(session, late, {name: PromiseOutcome.LATE}, _TICKETS.c.merged_into_id.is_(None))
            db.bump(session, _TICKETS.name)


def _give_tasks(session: Session, tasks: Sequence[dict[str, Any]]) -> None:
    """All at once, or else each by itself: one that can't be made keeps neither the other tasks nor the alarm from anybody."""
    if not tasks:
        return
    try:
        with session.begin_nested():
            records.create_many(session, system(), "task", tasks)
    except (CrmError, SQLAlchemyError) as error:
        if db.busy(error):
            raise
        if len(tasks) > 1:
            for task in tasks:
                _give_tasks(session, [task])
        else:
            log.warning("no task about a broken promise of ticket %s: %s", tasks[0]["ticket_id"], type(error).__name__)


def _around(session: Session, clocks: Sequence[_Clock]) -> _Around:
    columns = [_TICKETS.c[name] for name in ("id", "number", "version", "account_id", "owner_id", "deleted_at")]
    company = (_ACCOUNTS.c.id == _TICKETS.c.account_id) & _ACCOUNTS.c.deleted_at.is_(None)  # not one in the bin
    about = select(*columns, _ACCOUNTS.c.id.label("company_id")).outerjoin_from(_TICKETS, _ACCOUNTS, company)
    tickets = session.execute(about.where(_TICKETS.c.id.in_({clock.ticket_id for clock in clocks}))).all()
    policies = session.execute(select(_POLICIES).where(_POLICIES.c.id.in_({clock.policy_id for clock in clocks} - {None}))).all()
    hours = {None, *(row.calendar_id for row in policies)}
    people = session.execute(select(_PEOPLE.c.id, _PEOPLE.c.manager_id, _PEOPLE.c.is_active)).all()
    return _Around(
        {row.id: row for row in tickets},
        {row.id: row for row in policies},
        {one: calendar_of(session, one) for one in hours},
        {row.id: row for row in people},
    )


def _warn(clock: _Clock, around: _Around, told: _Told, now: datetime) -> None:
    policy, ticket = around.policies.get(clock.policy_id or 0), around.tickets.get(clock.ticket_id)
    reached = sla_rules.warn(clock, now, around.calendars[policy.calendar_id if policy else None])
    if ticket is None or ticket.deleted_at is not None:
        return
    if policy is not None:
        told.called += [[clock.id, step] for step in escalation_rules.called_for(policy.escalation, clock.target, reached)]
    for pct in reached[-1:]:  # after a pause of the worker only the last step is news
        kind = "ticket.sla_breached" if pct >= 100 else "ticket.sla_warned"
        told.log.append((kind, ticket, {"target": clock.target.label.lower(), "pct": pct}))
        _tell(ticket, ticket.owner_id, clock, pct, told)
        if pct >= 100 and policy is not None:
            _escalate(ticket, clock, _addressee(ticket, policy, around.people), told, now)


def _tell(ticket: Any, user_id: int | None, clock: _Clock, pct: int, told: _Told) -> None:
    """The owner hears of the last quarter and of the breach; half the time is an entry in the log, no alarm."""
    if pct >= 75 and user_id is not None:
        kind, key = "sla.breached" if pct >= 100 else "sla.warning", f"sla:{clock.id}:{pct}:{clock.due_at:%Y%m%d%H%M}"
        told.news.append(News(user_id, kind, key, {"target": clock.target.label.lower(), "pct": pct}, "ticket", ticket.id))


def _escalate(ticket: Any, clock: _Clock, to: int | None, told: _Told, now: datetime) -> None:
    """A task for whoever the policy names, or the manager of the one who has the ticket, or that one."""
    if to is None:
        return
    if to != ticket.owner_id:
        _tell(ticket, to, clock, 100, told)
    told.tasks.append(
        {
            "subject": f"{ticket.number} is overdue: {clock.target.label.lower()}",
            "owner_id": to,
            "ticket_id": ticket.id,
            "account_id": ticket.company_id,
            "priority": "high",
            "due_at": now,
        }
    )


def _addressee(ticket: Any, policy: Any, people: Mapping[int, Any]) -> int | None:
    owner = people.get(ticket.owner_id or 0)
    for user_id in (policy.escalate_to_id, owner.manager_id if owner else None, ticket.owner_id):
        user = people.get(user_id or 0)
        if user is not None and user.is_active:
            return int(user.id)
    return None
