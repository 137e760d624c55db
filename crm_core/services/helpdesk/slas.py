"""The promises of service levels: kept in step with the ticket on every write, shown as they stand, watched by a job each minute."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, update
from sqlalchemy import select as pick
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, col, select

from crm_core import events, records
from crm_core.access import Actor, require, system, visible
from crm_core.db import bump
from crm_core.entities import entity
from crm_core.filters import where
from crm_core.jobs import Job, job
from crm_core.kit.business_calendar import BusinessCalendar
from crm_core.kit.clock import utcnow
from crm_core.models import SlaClock, SlaPolicy, Ticket, TicketMessage, User
from crm_core.services.collaboration import notifications, tasks
from crm_core.services.helpdesk import sla_rules
from crm_core.services.helpdesk.calendars import calendar_of
from crm_core.services.helpdesk.sla_rules import Promise
from crm_core.services.helpdesk.ticket_rules import DONE, WAITING
from crm_core.vocabulary import Action, SlaState, SlaTarget

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
    columns = [clocks.c[name] for name in ("cancelled_at", "met_at", "breached_at", "paused_at", "due_at")]
    mine = pick(*columns).join(tickets, tickets.c.id == clocks.c.ticket_id)
    running = (clocks.c.met_at.is_(None), clocks.c.cancelled_at.is_(None), visible(actor, "ticket", tickets))
    now = utcnow()
    return Counter(sla_rules.state_at(row, now) for row in session.execute(mine.where(*running)))


def sync(session: Session, ticket: Ticket) -> None:
    """Bring the clocks of a ticket in step with its facts: start, pause, meet, plan anew. Called by every verb that writes a ticket.

    Costs one statement while no service level is defined. What was over before a service level held gets no clock.
    """
    clocks = {(clock.target, clock.seq): clock for clock in _clocks(session, ticket.id)}
    policies = _active(session)
    if not policies and not clocks:
        return
    policy = _policy_of(session, ticket.id, policies)
    calendar = calendar_of(session, policy.calendar_id if policy else None)
    now = utcnow()
    for promise in sla_rules.promises(ticket, _messages(session, ticket.id)):
        _keep_up(session, ticket, promise, clocks.get((promise.target, promise.seq)), policy, calendar, now)
    session.flush()
    _note_due(session, ticket)


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
    if sla_rules.running(clock):
        if minutes is None:
            sla_rules.cancel(clock, now)
        elif (clock.minutes, clock.policy_id) != (minutes, policy.id if policy else None) or not sla_rules.fits(clock, calendar):
            sla_rules.replan(clock, now, policy.id if policy else None, minutes, calendar)
    _settle(ticket, promise, clock, calendar, now)
    session.add(clock)


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


def _policy_of(session: Session, ticket_id: int, policies: Sequence[SlaPolicy]) -> SlaPolicy | None:
    """The first policy whose filter the ticket matches. Filters are read as the product itself: a promise depends on nobody's rights."""
    table = entity("ticket").table
    for policy in policies:
        clause = where(session, "ticket", policy.filter, system()) if policy.filter else None
        if clause is None or session.execute(pick(exists(pick(table.c.id).where(table.c.id == ticket_id, clause)))).scalar_one():
            return policy
    return None


def _clocks(session: Session, ticket_id: int) -> list[SlaClock]:
    query = select(SlaClock).where(SlaClock.ticket_id == ticket_id).order_by(col(SlaClock.id))
    return list(session.exec(query))


def _messages(session: Session, ticket_id: int) -> list[TicketMessage]:
    query = select(TicketMessage).where(TicketMessage.ticket_id == ticket_id).order_by(col(TicketMessage.at), col(TicketMessage.id))
    return list(session.exec(query))


def _note_due(session: Session, ticket: Ticket) -> None:
    """Write the next due time on the ticket for lists to sort by; no change of the ticket that anybody made, so its version stays."""
    ahead = [clock.due_at for clock in _clocks(session, ticket.id) if sla_rules.running(clock) and clock.paused_at is None]
    due = min(ahead) if ahead and ticket.status not in DONE else None
    if due == ticket.sla_due_at:
        return
    table = entity("ticket").table
    session.execute(update(table).where(table.c.id == ticket.id).values(sla_due_at=due))
    bump(session, table.name)
    set_committed_value(ticket, "sla_due_at", due)


# --- jobs -----------------------------------------------------------------------------------------------------------------


def _something_due(session: Session) -> bool:
    table = SlaClock.__table__  # type: ignore[attr-defined]
    return bool(session.execute(pick(exists(pick(table.c.id).where(table.c.next_warn_at <= utcnow())))).scalar_one())


@job("helpdesk.sla_watch", title="Watch service levels", cron="* * * * *", when=_something_due, keep_days=2)
def watch(job: Job) -> None:
    """Tell about promises that are half used up, nearly over, or broken: each step once, whatever crashes."""
    done = 0
    while True:
        with job.transaction() as session:
            due = list(
                session.exec(
                    select(SlaClock)
                    .where(col(SlaClock.next_warn_at) <= utcnow())
                    .order_by(col(SlaClock.next_warn_at), col(SlaClock.id))
                    .limit(_BATCH)
                )
            )
            around = _around(session, due)
            for clock in due:
                _warn(session, clock, around)
            done += len(due)
            job.report(done)
        if len(due) < _BATCH:
            return


@dataclass(frozen=True)
class _Around:
    """What a batch of clocks is about, read at once: per ticket and level a statement each would cost more than all the rest."""

    tickets: Mapping[int, Ticket]
    policies: Mapping[int, SlaPolicy]
    calendars: Mapping[int | None, BusinessCalendar]


def _around(session: Session, clocks: Sequence[SlaClock]) -> _Around:
    tickets = session.exec(select(Ticket).where(col(Ticket.id).in_({clock.ticket_id for clock in clocks})))
    ids = {clock.policy_id for clock in clocks if clock.policy_id is not None}
    policies = {row.id: row for row in session.exec(select(SlaPolicy).where(col(SlaPolicy.id).in_(ids)))}
    hours = {row.calendar_id for row in policies.values()}
    return _Around({row.id: row for row in tickets}, policies, {one: calendar_of(session, one) for one in {None, *hours}})


def _warn(session: Session, clock: SlaClock, around: _Around) -> None:
    policy = around.policies.get(clock.policy_id or 0)
    ticket = around.tickets.get(clock.ticket_id)
    reached = sla_rules.warn(clock, utcnow(), around.calendars[policy.calendar_id if policy else None])
    session.add(clock)
    if ticket is None or ticket.deleted_at is not None:
        return
    for pct in reached[-1:]:  # after a pause of the worker only the last step is news
        kind = "ticket.sla_breached" if pct >= 100 else "ticket.sla_warned"
        events.record(session, system(), kind, ticket, data={"target": clock.target.label.lower(), "pct": pct})
        _tell(session, ticket, ticket.owner_id, clock, pct)
        if pct >= 100 and policy is not None:
            _escalate(session, ticket, clock, policy)


def _tell(session: Session, ticket: Ticket, user_id: int | None, clock: SlaClock, pct: int) -> None:
    """The owner hears of the last quarter and of the breach; half the time is an entry in the log, no alarm."""
    if pct >= 75:
        notifications.notify(
            session,
            user_id,
            kind="sla.breached" if pct >= 100 else "sla.warning",
            params={"target": clock.target.label.lower(), "pct": pct},
            entity="ticket",
            record_id=ticket.id,
            dedupe_key=f"sla:{clock.id}:{pct}:{clock.due_at:%Y%m%d%H%M}",
        )


def _escalate(session: Session, ticket: Ticket, clock: SlaClock, policy: SlaPolicy) -> None:
    """A task for whoever the policy names, or the manager of the one who has the ticket, or that one."""
    to = _addressee(session, ticket, policy)
    if to is None:
        return
    _tell(session, ticket, to, clock, 100)
    values = {
        "subject": f"{ticket.number} is overdue: {clock.target.label.lower()}",
        "owner_id": to,
        "ticket_id": ticket.id,
        "account_id": ticket.account_id,
        "priority": "high",
        "due_at": utcnow(),
    }
    tasks.create(session, system(), values, submit_key=f"sla-{clock.id}-{clock.warned_pct}")


def _addressee(session: Session, ticket: Ticket, policy: SlaPolicy) -> int | None:
    owner = session.get(User, ticket.owner_id) if ticket.owner_id else None
    for user_id in (policy.escalate_to_id, owner.manager_id if owner else None, ticket.owner_id):
        user = session.get(User, user_id) if user_id else None
        if user is not None and user.is_active:
            return user.id
    return None


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
