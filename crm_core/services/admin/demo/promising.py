"""Service levels of the demo company: office hours, one level for everybody, the clocks of the tickets that are open now, and how the promises of
the last months ended."""

from datetime import timedelta

from sqlalchemy import bindparam, insert, update
from sqlmodel import Session, col, select

from crm_core.kit.clock import utcnow
from crm_core.models import ServiceCalendar, SlaClock, SlaPolicy, Ticket
from crm_core.services.helpdesk import sla_rules, slas, ticket_marks
from crm_core.services.helpdesk.calendars import hours_of
from crm_core.services.helpdesk.ticket_rules import DONE

RECENT_DAYS = 30
MOST = 200
PAST_DAYS = 180
MOST_PAST = 1_500
HOURS = [[540, 720], [780, 1_050]]
TARGETS = {
    "urgent": {"first": 60, "next": 60, "resolve": 480},
    "high": {"first": 120, "next": 240, "resolve": 960},
    "normal": {"first": 240, "next": 480, "resolve": 1_920},
    "low": {"first": 480, "next": 960, "resolve": 4_800},
}


def add(session: Session, timezone: str) -> None:
    """Write the level and start the clocks of the newest open tickets."""
    hours = ServiceCalendar(name="Office hours", timezone=timezone, week=[HOURS] * 5 + [[], []])
    session.add(hours)
    session.flush()
    level = SlaPolicy(name="Standard", rank=1, calendar_id=hours.id, targets=TARGETS)
    session.add(level)
    session.flush()
    recent = utcnow() - timedelta(days=RECENT_DAYS)
    query = select(Ticket).where(col(Ticket.opened_at) >= recent, col(Ticket.status).not_in(DONE), col(Ticket.deleted_at).is_(None))
    for ticket in session.exec(query.order_by(col(Ticket.opened_at).desc(), col(Ticket.id)).limit(MOST)):
        slas.sync(session, ticket)
    _past(session, hours, level)


def _past(session: Session, hours: ServiceCalendar, level: SlaPolicy) -> None:
    """The promises about tickets that were solved in the last months, kept or broken by the instants that the tickets have."""
    since, calendar, now = utcnow() - timedelta(days=PAST_DAYS), hours_of(hours), utcnow()
    query = select(Ticket).where(
        col(Ticket.opened_at) >= since, col(Ticket.solved_at).is_not(None), col(Ticket.deleted_at).is_(None)
    )
    clocks: list[SlaClock] = []
    marks = []
    for ticket in session.exec(query.order_by(col(Ticket.opened_at).desc(), col(Ticket.id)).limit(MOST_PAST)):
        mine = []
        for promise in sla_rules.promises(ticket, ()):
            clock = sla_rules.start(ticket.id, promise, level.id, TARGETS[ticket.priority.value][promise.target.value], calendar)
            if promise.met_at is not None:
                sla_rules.meet(clock, promise.met_at, calendar)
                mine.append(clock)
        clocks += mine
        marks.append({"row": ticket.id, **ticket_marks.promised(ticket, mine, calendar)})
    if marks:
        table = Ticket.__table__  # type: ignore[attr-defined]
        stamp = {"created_at": now, "updated_at": now, "version": 1}
        rows = [{**clock.model_dump(exclude={"id", "created_at", "updated_at", "version"}), **stamp} for clock in clocks]
        session.connection().execute(insert(SlaClock.__table__), rows)  # type: ignore[attr-defined]
        change = update(table).where(table.c.id == bindparam("row"))
        session.connection().execute(change.values({name: bindparam(name) for name in marks[0] if name != "row"}), marks)
        session.flush()
        session.expire_all()
