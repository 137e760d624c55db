"""Facts of tickets: time to the first answer and to the solution, what is open now and what stood open then."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import and_, func, literal_column, or_, select
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.filters import Context
from crm_core.models import Ticket
from crm_core.services.analytics.metric_rules import DONE, Facts
from crm_core.services.analytics.metric_slots import Grouped, Slot, collect, histogram, instants_within, pieces, reach, union_rows
from crm_core.services.analytics.metric_sql import minutes_between, packed

_TICKET = Ticket.__table__  # type: ignore[attr-defined]


def tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets by the day they were opened, with the minutes to their first answer."""
    minutes = minutes_between(_TICKET.c.first_response_at, _TICKET.c.opened_at)
    return _durations(session, actor, slot, _TICKET.c.opened_at, minutes, "response_minutes")


def solved_tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets by the day they were solved, with the minutes that it took."""
    minutes = minutes_between(_TICKET.c.solved_at, _TICKET.c.opened_at)
    return _durations(session, actor, slot, _TICKET.c.solved_at, minutes, "resolution_minutes", _TICKET.c.status.in_(DONE))


def _durations(session: Session, actor: Actor, slot: Slot, at: Any, minutes: Any, target: str, *only: Any) -> Grouped:
    values = packed(minutes)
    kept = (reach(actor, "ticket", _TICKET, slot), *only)
    parts: list[Any]
    if slot.by:
        column = _TICKET.c[slot.by]
        parts = [select(column, values).where(*kept, instants_within(at, slot.period, actor)).group_by(column)]
    else:
        days = pieces(at, slot, Context(actor).start_of)
        parts = [select(literal_column(str(n)), values).where(*kept, inside) for n, inside in days]
    return histogram(session, parts, target)


def open_tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets that are open at this moment."""
    columns = [_TICKET.c[slot.by]] if slot.by else []
    statement = select(*columns, func.count()).where(reach(actor, "ticket", _TICKET, slot), _TICKET.c.status.not_in(DONE))
    rows = session.execute(statement.group_by(*columns) if columns else statement)
    return collect(rows, lambda facts, row: setattr(facts, "open_tickets", row[-1]), lambda row: row[0] if slot.by else None)


def tickets_at(session: Session, actor: Actor, slot: Slot, now: Facts, ends: Sequence[date]) -> list[Facts]:
    """Open tickets as they stood at the end of each of some days (in rising order), walked back from now.

    A ticket closed without ever being solved was never seen leaving: it counts at no moment.
    """
    if not ends:
        return []
    context = Context(actor)
    after = [context.start_of(end + timedelta(days=1)) for end in ends]
    found = [Facts(open_tickets=now.open_tickets) for _ in ends]
    left = and_(_TICKET.c.status.in_(DONE), _TICKET.c.solved_at.is_not(None))
    for column, counted, sign in (
        (_TICKET.c.opened_at, or_(_TICKET.c.status.not_in(DONE), _TICKET.c.solved_at.is_not(None)), -1),
        (_TICKET.c.solved_at, left, 1),
    ):
        parts: list[Any] = [
            select(literal_column(str(n)), func.count()).where(
                reach(actor, "ticket", _TICKET, slot),
                counted,
                column >= start,
                *([column < after[n + 1]] if n + 1 < len(after) else []),
            )
            for n, start in enumerate(after)
        ]
        for step, count in union_rows(session, parts):
            for facts in found[: int(step) + 1]:
                facts.open_tickets += sign * count
    return found
