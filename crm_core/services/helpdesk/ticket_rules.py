"""What a ticket may do, decided on the loaded row alone."""

from datetime import datetime, timedelta

from crm_core.errors import Conflict
from crm_core.models import Ticket
from crm_core.vocabulary import DONE as DONE
from crm_core.vocabulary import Level, Priority, TicketKind

_RANK = {Level.LOW: 0, Level.MEDIUM: 1, Level.HIGH: 2}
_ABOVE = {Level.LOW: Level.MEDIUM, Level.MEDIUM: Level.HIGH}
_PRIORITY = {0: Priority.LOW, 1: Priority.LOW, 2: Priority.NORMAL, 3: Priority.HIGH, 4: Priority.URGENT}
WAITING = (TicketKind.WAITING_CUSTOMER, TicketKind.WAITING_THIRD)
REOPEN_DAYS = 14
"""A solved ticket re-opens under its number for so long; afterwards a new one is opened."""


def refuse_stale(ticket: Ticket, base_version: int | None) -> None:
    """Raise Conflict when somebody worked on the ticket since it was drawn with ``base_version``; None for whoever does not say it."""
    if base_version is not None and base_version != ticket.version:
        raise Conflict("Somebody else worked on this ticket meanwhile. Look at the new state first.")


def priority_of(impact: Level, urgency: Level) -> Priority:
    """Priority from impact × urgency: both high is urgent, both low is low (the ITIL matrix)."""
    return _PRIORITY[_RANK[impact] + _RANK[urgency]]


def raised(impact: Level, urgency: Level) -> tuple[Level, Level]:
    """Impact and urgency whose priority is one step higher: the urgency rises first. What is urgent already stays."""
    before = priority_of(impact, urgency)
    for _ in range(2):
        if priority_of(impact, urgency) is not before:
            break
        if urgency is not Level.HIGH:
            urgency = _ABOVE[urgency]
        elif impact is not Level.HIGH:
            impact = _ABOVE[impact]
    return impact, urgency


def check_open(ticket: Ticket) -> None:
    """Only a ticket that is not done can be worked on."""
    if ticket.status in DONE:
        raise Conflict(f"This ticket is {ticket.status.label.lower()}. Re-open it first.")


def check_can_reopen(ticket: Ticket, now: datetime) -> None:
    """Within the term, and only when it is done; one that was merged goes on where it went."""
    if ticket.status not in DONE:
        raise Conflict("This ticket is open.")
    if ticket.merged_into_id is not None:
        raise Conflict("This ticket was merged into another one. Go on there, or take the merge apart there first.")
    done_at = ticket.solved_at or ticket.closed_at
    if done_at is not None and now - done_at > timedelta(days=REOPEN_DAYS):
        raise Conflict(f"This ticket was solved more than {REOPEN_DAYS} days ago. Open a new one and mention this one.")
