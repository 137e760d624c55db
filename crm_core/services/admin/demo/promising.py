"""Service levels of the demo company: office hours, one level for everybody, and the clocks of the tickets that are open now."""

from datetime import timedelta

from sqlmodel import Session, col, select

from crm_core.kit.clock import utcnow
from crm_core.models import ServiceCalendar, SlaPolicy, Ticket
from crm_core.services.helpdesk import slas
from crm_core.services.helpdesk.ticket_rules import DONE

RECENT_DAYS = 30
MOST = 200
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
    session.add(SlaPolicy(name="Standard", rank=1, calendar_id=hours.id, targets=TARGETS))
    session.flush()
    recent = utcnow() - timedelta(days=RECENT_DAYS)
    query = select(Ticket).where(col(Ticket.opened_at) >= recent, col(Ticket.status).not_in(DONE), col(Ticket.deleted_at).is_(None))
    for ticket in session.exec(query.order_by(col(Ticket.opened_at).desc(), col(Ticket.id)).limit(MOST)):
        slas.sync(session, ticket)
