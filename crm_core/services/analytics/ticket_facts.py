"""Facts of tickets: time to the first answer and to the solution, what is open now and what stood open then."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import and_, case, func, literal_column, or_, select
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.filters import Context
from crm_core.kit.counted import Counted
from crm_core.models import Ticket
from crm_core.services.analytics.metric_rules import DONE, UNDONE, Facts
from crm_core.services.analytics.metric_slots import Grouped, Slot, collect, instants_within, pieces, reach, union_rows
from crm_core.services.analytics.metric_sql import packed
from crm_core.spans import minutes_between
from crm_core.vocabulary import PromiseOutcome

_TICKET = Ticket.__table__  # type: ignore[attr-defined]


def tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets by the day they were opened: minutes to their first answer, and how their promises ended."""
    response, resolution = _TICKET.c.response_promise, _TICKET.c.resolution_promise
    columns = (
        packed(minutes_between(_TICKET.c.first_response_at, _TICKET.c.opened_at)), packed(_TICKET.c.response_minutes), func.count(response),
        func.count(case((response == PromiseOutcome.KEPT, 1))), func.count(resolution), func.count(case((resolution == PromiseOutcome.KEPT, 1))),
    )  # fmt: skip
    names = ("response_minutes", "response_work", "response_promised", "response_kept", "resolution_promised", "resolution_kept")
    return _by_day(session, actor, slot, _TICKET.c.opened_at, names, columns)


def solved_tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets by the day they were solved, with the minutes that it took. One that was merged was closed and has no day of a first solution."""
    columns = (packed(minutes_between(_TICKET.c.solved_at, _TICKET.c.opened_at)), packed(_TICKET.c.resolution_minutes))
    names = ("resolution_minutes", "resolution_work")
    solved = (_TICKET.c.status.in_(DONE), _TICKET.c.first_solved_at.is_not(None))
    return _by_day(session, actor, slot, _TICKET.c.solved_at, names, columns, *solved)


def first_solved_tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets by the day they were first solved: what came back, and what took a single answer."""
    return _by_day(session, actor, slot, _TICKET.c.first_solved_at, SOLVED_ONCE, solved_once(_TICKET))


def rated_tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets by the day on which the customer said how happy they were."""
    return _by_day(session, actor, slot, _TICKET.c.rated_at, RATED, rated(_TICKET))


SOLVED_ONCE = ("first_solved", "reopened", "answered_solved", "first_contact")
RATED = ("rated", "satisfied")
CONTENT_FROM = 4
"""Of 5: from this score on a customer is counted as happy, as on the page of a survey."""


def solved_once(table: Any) -> tuple[Any, ...]:
    """Columns of ``SOLVED_ONCE``."""
    answers, again = table.c.answer_count, table.c.reopened_count > 0
    at_once = and_(answers == 1, table.c.reopened_count == 0)
    return func.count(), func.count(case((again, 1))), func.count(case((answers >= 1, 1))), func.count(case((at_once, 1)))


def rated(table: Any) -> tuple[Any, ...]:
    """Columns of ``RATED``."""
    return func.count(), func.count(case((table.c.satisfaction >= CONTENT_FROM, 1)))


def _by_day(
    session: Session, actor: Actor, slot: Slot, at: Any, names: Sequence[str], columns: Sequence[Any], *only: Any
) -> Grouped:
    """Counts and packed numbers into the facts of ``names``, by the step of an instant or by a column."""
    kept = (reach(actor, "ticket", _TICKET, slot), *only)
    parts: list[Any]
    if slot.by:
        column = _TICKET.c[slot.by]
        parts = [select(column, *columns).where(*kept, instants_within(at, slot.period, actor)).group_by(column)]
    else:
        days = pieces(at, slot, Context(actor).start_of)
        parts = [select(literal_column(str(n)), *columns).where(*kept, inside) for n, inside in days]

    def put(facts: Facts, row: Any) -> None:
        for name, value in zip(names, row[1:], strict=True):
            setattr(facts, name, int(value or 0) if isinstance(getattr(facts, name), int) else Counted.read(value))

    return collect(union_rows(session, parts), put)


def open_tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets that are open at this moment."""
    columns = [_TICKET.c[slot.by]] if slot.by else []
    statement = select(*columns, func.count()).where(reach(actor, "ticket", _TICKET, slot), _TICKET.c.status.in_(UNDONE))
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
