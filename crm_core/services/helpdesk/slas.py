"""The promises of service levels: kept in step with the ticket on every write, shown as they stand. ``sla_watch`` tells of them each minute."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, or_
from sqlalchemy import select as pick
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, col, select

from crm_core import records
from crm_core.access import Actor, require, visible
from crm_core.db import bump
from crm_core.entities import entity
from crm_core.filters import first_fitting
from crm_core.jobs import Job, job
from crm_core.kit.business_calendar import BusinessCalendar
from crm_core.kit.clock import utcnow
from crm_core.models import Event, SlaClock, SlaPolicy, Ticket, TicketMessage
from crm_core.services.helpdesk import sla_rules, ticket_marks
from crm_core.services.helpdesk.calendars import calendar_of
from crm_core.services.helpdesk.sla_rules import Promise
from crm_core.services.helpdesk.ticket_rules import DONE, WAITING
from crm_core.summary_marks import update_tickets
from crm_core.vocabulary import Action, Priority, SlaState, SlaTarget

_BATCH = 200


@dataclass(frozen=True)
class SlaView:
    """A promise as the ticket's page shows it. ``due_at``: None while it is paused."""

    target: SlaTarget
    state: SlaState
    due_at: datetime | None
    late: bool


def of_ticket(session: Session, actor: Actor, ticket_id: int) -> list[SlaView]:
    """The promises about a ticket as they stand now: first response, the latest next response, resolution."""
    records.get(session, actor, "ticket", ticket_id)
    now, latest = utcnow(), {}
    for clock in _clocks(session, ticket_id):
        latest[clock.target] = clock
    return [
        SlaView(
            clock.target,
            sla_rules.state_at(clock, now),
            clock.due_at if clock.paused_at is None else None,
            clock.breached_at is not None or (sla_rules.state_at(clock, now) is SlaState.BREACHED),
        )
        for clock in latest.values()
        if clock.cancelled_at is None
    ]


def standing(session: Session, actor: Actor) -> Counter[SlaState]:
    """How all promises that are neither kept nor dropped stand now, about tickets that the actor may see; no job has to run for it to be true."""
    require(actor, "ticket", Action.READ)
    tickets, clocks = entity("ticket").table, SlaClock.__table__  # type: ignore[attr-defined]
    late = or_(clocks.c.breached_at.is_not(None), and_(clocks.c.paused_at.is_(None), clocks.c.due_at <= utcnow()))
    state = case(
        (late, SlaState.BREACHED.value), (clocks.c.paused_at.is_not(None), SlaState.PAUSED.value), else_=SlaState.RUNNING.value
    )  # as sla_rules.state_at says it of one
    counted = pick(state.label("state"), func.count()).join(tickets, tickets.c.id == clocks.c.ticket_id).group_by("state")
    running = (clocks.c.met_at.is_(None), clocks.c.cancelled_at.is_(None), visible(actor, "ticket", tickets))
    return Counter({SlaState(key): many for key, many in session.execute(counted.where(*running)).tuples()})


def sync(session: Session, ticket: Ticket) -> None:
    """Bring the clocks of a ticket in step with its facts: start, pause, meet, plan anew. Called by every verb that writes a ticket.

    Also writes down what the figures read (``ticket_marks``). What was over before a service level held gets no clock.
    """
    clocks = {(clock.target, clock.seq): clock for clock in _clocks(session, ticket.id)}
    policies = _active(session)
    if not policies and not clocks:
        _write_down(session, ticket, ticket_marks.of(session, ticket, (), sla_rules.ALWAYS))
        return
    policy = first_fitting(session, "ticket", ticket.id, policies)
    calendar = calendar_of(session, policy.calendar_id if policy else None)
    now = utcnow()
    for promise in sla_rules.promises(ticket, _messages(session, ticket.id)):
        _keep_up(session, ticket, promise, clocks.get((promise.target, promise.seq)), policy, calendar, now)
    session.flush()
    standing = _clocks(session, ticket.id)
    _write_down(session, ticket, {"sla_due_at": _due(ticket, standing), **ticket_marks.of(session, ticket, standing, calendar)})


def _keep_up(
    session: Session,
    ticket: Ticket,
    promise: Promise,
    clock: SlaClock | None,
    policy: SlaPolicy | None,
    calendar: BusinessCalendar,
    now: datetime,
) -> None:
    minutes = _minutes(policy, ticket, promise.target)
    if clock is None:
        if minutes is None or promise.over:
            return
        clock = sla_rules.start(ticket.id, promise, policy.id if policy else None, minutes, calendar)
        sla_rules.hush(clock, now, calendar)
    elif promise.met_at is None and clock.met_at is not None:
        sla_rules.reopen(clock, now, calendar)
    if sla_rules.running(clock) and _held(session, clock, ticket):
        calendar = calendar_of(session, session.get_one(SlaPolicy, clock.policy_id).calendar_id)
    elif sla_rules.running(clock):
        clock.raised_to = None
        if minutes is None:
            sla_rules.cancel(clock, now)
        elif (clock.minutes, clock.policy_id) != (minutes, policy.id if policy else None) or not sla_rules.fits(clock, calendar):
            sla_rules.replan(clock, now, policy.id if policy else None, minutes, calendar)
    _settle(ticket, promise, clock, calendar, now)
    session.add(clock)


def hold(session: Session, ticket_id: int, priority: Priority) -> None:
    """Before the watch raises the priority of a ticket: the promises that run keep their time, as they were made. When a person changes the
    priority, they are planned anew."""
    for clock in _clocks(session, ticket_id):
        if sla_rules.running(clock):
            clock.raised_to = priority
            session.add(clock)
    session.flush()


def _held(session: Session, clock: SlaClock, ticket: Ticket) -> bool:
    """Whether a clock keeps its time although the ticket has another priority than it was planned for."""
    return clock.raised_to is not None and clock.raised_to is ticket.priority and clock.policy_id is not None


@dataclass(frozen=True)
class Escalated:
    """Something that happened by itself because a promise ran out. ``what``: "raised the priority to high"."""

    at: datetime
    what: str
    why: str


def escalations(session: Session, actor: Actor, ticket_id: int) -> list[Escalated]:
    """What was done by itself with a ticket because a promise ran out, the latest first."""
    records.get(session, actor, "ticket", ticket_id)
    log: Any = Event.__table__  # type: ignore[attr-defined]
    mine = (log.c.entity == "ticket", log.c.record_id == ticket_id, log.c.type == "ticket.escalated")
    rows = session.execute(pick(log.c.at, log.c.data).where(*mine).order_by(log.c.id.desc()).limit(5))
    return [
        Escalated(at, str(data["what"]), f"{data['pct']}% of the time for the {data['target']} was used up")
        for at, data in rows.tuples()
    ]


def _settle(ticket: Ticket, promise: Promise, clock: SlaClock, calendar: BusinessCalendar, now: datetime) -> None:
    """Kept, dropped, waiting or running: what the ticket's facts say."""
    if not sla_rules.running(clock):
        return
    if promise.met_at is not None:
        sla_rules.meet(clock, promise.met_at, calendar)
    elif promise.cancelled_at is not None:
        sla_rules.cancel(clock, promise.cancelled_at)
    elif ticket.status in WAITING:
        sla_rules.pause(clock, now)
    else:
        sla_rules.resume(clock, now, calendar)


def _minutes(policy: SlaPolicy | None, ticket: Ticket, target: SlaTarget) -> int | None:
    return (policy.targets.get(ticket.priority.value) or {}).get(target.value) if policy else None


def _active(session: Session) -> list[SlaPolicy]:
    return list(session.exec(select(SlaPolicy).where(SlaPolicy.is_active).order_by(col(SlaPolicy.rank), col(SlaPolicy.id))))


def _clocks(session: Session, ticket_id: int) -> list[SlaClock]:
    query = select(SlaClock).where(SlaClock.ticket_id == ticket_id).order_by(col(SlaClock.id))
    return list(session.exec(query))


def _messages(session: Session, ticket_id: int) -> list[TicketMessage]:
    query = select(TicketMessage).where(TicketMessage.ticket_id == ticket_id).order_by(col(TicketMessage.at), col(TicketMessage.id))
    return list(session.exec(query))


def _due(ticket: Ticket, clocks: Iterable[SlaClock]) -> datetime | None:
    """The next due time, for lists to sort by."""
    ahead = [clock.due_at for clock in clocks if sla_rules.running(clock) and clock.paused_at is None]
    return min(ahead) if ahead and ticket.status not in DONE else None


def _write_down(session: Session, ticket: Ticket, values: Mapping[str, Any]) -> None:
    """Write what follows from clocks and messages on the ticket; no change of it that anybody made, so its version stays."""
    changed = {name: value for name, value in values.items() if getattr(ticket, name) != value}
    if not changed:
        return
    update_tickets(session, [ticket.id], changed)
    bump(session, entity("ticket").table.name)
    for name, value in changed.items():
        set_committed_value(ticket, name, value)


# --- jobs -----------------------------------------------------------------------------------------------------------------


@job("helpdesk.sla_sweep", title="Apply service levels to open tickets")
def sweep(job: Job) -> None:
    """After a service level changed: bring every open ticket in step, and those with clocks that still run."""
    table = entity("ticket").table
    while True:
        with job.transaction() as session:
            last = job.cursor.get("last", 0)
            open_ones = pick(table.c.id).where(table.c.id > last, table.c.deleted_at.is_(None), table.c.status.not_in(DONE))
            ids = list(session.execute(open_ones.order_by(table.c.id).limit(_BATCH)).scalars())
            _sync_all(session, ids)
            job.cursor = {"last": ids[-1] if ids else last, "done": job.cursor.get("done", 0) + len(ids)}
            job.report(job.cursor["done"])
        if len(ids) < _BATCH:
            return


def _sync_all(session: Session, ids: Iterable[int]) -> None:
    for ticket in session.exec(select(Ticket).where(col(Ticket.id).in_(list(ids)))):
        sync(session, ticket)
