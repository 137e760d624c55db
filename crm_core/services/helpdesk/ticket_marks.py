"""What the figures of service read off a ticket: when it was first solved, how many answers it took, and how its promises ended.

They follow from the conversation and the clocks, and are written down with the ticket so that lists, filters and figures of two hundred thousand
tickets read one table. ``slas.sync`` keeps them in step on every write; no person enters them.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session

from crm_core.kit.business_calendar import BusinessCalendar
from crm_core.models import SlaClock, Ticket, TicketMessage
from crm_core.vocabulary import MessageDirection, PromiseOutcome, SlaTarget

_MESSAGES: Any = TicketMessage.__table__  # type: ignore[attr-defined]
PROMISED = {
    SlaTarget.FIRST: ("response_promise", "response_minutes"),
    SlaTarget.RESOLVE: ("resolution_promise", "resolution_minutes"),
}
_NOTHING: dict[str, Any] = {name: None for names in PROMISED.values() for name in names}


def of(session: Session, ticket: Ticket, clocks: Iterable[SlaClock], calendar: BusinessCalendar) -> dict[str, Any]:
    """Column → value, as it is to stand now. A ticket that was merged into another one was neither solved nor promised anything."""
    answers = select(func.count()).where(_MESSAGES.c.ticket_id == ticket.id, _MESSAGES.c.direction == MessageDirection.OUTBOUND)
    found = {"answer_count": int(session.execute(answers).scalar_one())}
    if ticket.merged_into_id is not None:
        return {**found, **_NOTHING, "first_solved_at": None}
    first = ticket.first_solved_at if ticket.first_solved_at and ticket.reopened_count else ticket.solved_at
    return {**found, "first_solved_at": first, **promised(ticket, clocks, calendar)}


def promised(ticket: Ticket, clocks: Iterable[SlaClock], calendar: BusinessCalendar) -> dict[str, Any]:
    """How the promises about a ticket ended, and the working time that they took."""
    found = dict(_NOTHING)
    for clock in clocks:
        if clock.target in PROMISED:
            ended, minutes = PROMISED[clock.target]
            found[ended] = outcome(clock)
            found[minutes] = _worked(clock, getattr(ticket, minutes), calendar)
    return found


def outcome(clock: SlaClock) -> PromiseOutcome | None:
    """How a promise ended; None while it runs in time, and for one that fell away before it was due."""
    if clock.breached_at is not None:
        return PromiseOutcome.LATE
    return PromiseOutcome.KEPT if clock.met_at is not None else None


def _worked(clock: SlaClock, known: int | None, calendar: BusinessCalendar) -> int | None:
    """Working minutes until the promise was kept, by the hours that held at that moment: later changes of them rewrite no past."""
    if clock.met_at is None or known is not None:
        return known if clock.met_at is not None else None
    return max(0, round((calendar.between(clock.started_at, clock.met_at) - clock.paused_seconds) / 60))
