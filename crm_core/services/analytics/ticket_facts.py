"""Facts of tickets: time to the first answer and to the solution, what is open now and what stood open then."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, select
from sqlmodel import Session

from crm_core import ticket_measures
from crm_core.access import Actor
from crm_core.filters import Context
from crm_core.kit.counted import Counted
from crm_core.models import Ticket
from crm_core.services.analytics.metric_rules import Facts
from crm_core.services.analytics.metric_slots import Grouped, Slot, collect, instants_within, pieces, reach, union_rows
from crm_core.services.analytics.metric_sql import step_of
from crm_core.spans import joined
from crm_core.summaries import ticket_daily_parts
from crm_core.summary_marks import zone_of
from crm_core.ticket_measures import UNDONE

_TICKET = Ticket.__table__  # type: ignore[attr-defined]


def service(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """All that is counted of tickets in a period, by step or by a column: by the day they were opened, solved, first solved and rated.

    From their daily summary where it can tell: it knows owners, and the days of the workspace.
    """
    found = _from_days(session, actor, slot)
    if found is None:
        found = {}
        for loader in (tickets, solved_tickets, first_solved_tickets, rated_tickets):
            for key, facts in loader(session, actor, slot).items():
                found.setdefault(key, Facts()).add(facts)
    return found


def tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets by the day they were opened: minutes to their first answer, and how their promises ended."""
    return _by_day(session, actor, slot, "opened_at")


def solved_tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets by the day they were solved, with the minutes that it took."""
    return _by_day(session, actor, slot, "solved_at")


def first_solved_tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets by the day they were first solved: what came back, and what took a single answer."""
    return _by_day(session, actor, slot, "first_solved_at")


def rated_tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets by the day on which the customer said how happy they were."""
    return _by_day(session, actor, slot, "rated_at")


_STOOD = ("came", "went")
"""Measures that no figure of a period is made of."""


def _by_day(session: Session, actor: Actor, slot: Slot, moment: str) -> Grouped:
    """The measures of a moment, by its step or by a column, from the records."""
    at, measures = _TICKET.c[moment], ticket_measures.MOMENTS[moment](_TICKET)
    names = [name for name in measures if name not in _STOOD]
    columns, mine = [measures[name] for name in names], reach(actor, "ticket", _TICKET, slot)
    parts: list[Any]
    if slot.by:
        column = _TICKET.c[slot.by]
        parts = [select(column, *columns).where(mine, instants_within(at, slot.period, actor)).group_by(column)]
    else:
        days = pieces(at, slot, Context(actor).start_of)
        parts = [select(literal_column(str(n)), *columns).where(mine, inside) for n, inside in days]
    return collect(union_rows(session, parts), lambda facts, row: _put(facts, names, row[1:]))


def _put(facts: Facts, names: Sequence[str], values: Sequence[Any]) -> None:
    for name, value in zip(names, values, strict=True):
        if name in ticket_measures.PACKED:
            getattr(facts, name).add(Counted.read(value))
        else:
            setattr(facts, name, getattr(facts, name) + int(value or 0))


def _from_days(session: Session, actor: Actor, slot: Slot) -> Grouped | None:
    """The same from the daily summary; None where only the records can tell."""
    if slot.by not in (None, "owner_id"):
        return None
    if slot.by is None and not slot.steps:
        return {}
    since, until = (slot.period.start, slot.period.end) if slot.by else (slot.steps[0].start, slot.steps[-1].end)
    parts = _days(session, actor, slot, *((since, until) if slot.period.bounded else (None, None)))
    if parts is None:
        return None
    found: dict[Any, Facts] = defaultdict(Facts)
    names = [name for moment in ticket_measures.MOMENTS.values() for name in moment(_TICKET) if name not in _STOOD]
    for part, mine in parts:
        key = part.c.owner_id if slot.by else step_of(part.c.day, [step.start for step in slot.steps])
        sums = [joined(part.c[name]) if name in ticket_measures.PACKED else func.sum(part.c[name]) for name in names]
        for row in session.execute(select(key.label("grp"), *sums).where(mine).group_by("grp")):
            _put(found[row[0]], names, row[1:])
    return dict(found)


def _days(
    session: Session, actor: Actor, slot: Slot, since: date | None, until: date | None
) -> list[tuple[Any, ColumnElement[bool]]] | None:
    """The parts of the daily summary with the clause of what the actor may see and chose; None where it can't tell: for a further filter, for a
    reader in another time zone than the workspace's, and while many days wait to be computed anew."""
    if slot.only is not None or Context(actor).zone.key != zone_of(session).key:
        return None
    parts = ticket_daily_parts(session, since, until)
    return None if parts is None else [(part, reach(actor, "ticket", part, slot)) for part in parts]


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
    found = [Facts(open_tickets=now.open_tickets) for _ in ends]
    for step, sign, count in _moved(session, actor, slot, ends):
        for facts in found[: step + 1]:
            facts.open_tickets += sign * count
    return found


def _moved(session: Session, actor: Actor, slot: Slot, ends: Sequence[date]) -> list[tuple[int, int, int]]:
    """What came (-1) and went (+1) after each of some days and up to the next one: number of the day, sign, count."""
    after = [end + timedelta(days=1) for end in ends]
    parts = _days(session, actor, slot, after[0], None)
    if parts is not None:
        rows: list[Any] = []
        for part, mine in parts:
            sums = (func.coalesce(func.sum(part.c[name]), 0) for name in _STOOD)
            rows += session.execute(select(step_of(part.c.day, after).label("step"), *sums).where(mine).group_by("step"))
        return [(int(step), sign, int(count)) for step, *both in rows for sign, count in zip((-1, 1), both, strict=True)]
    starts = [Context(actor).start_of(day) for day in after]
    moved = []
    for name, moment, sign in (("came", "opened_at", -1), ("went", "solved_at", 1)):
        at, measure = _TICKET.c[moment], ticket_measures.MOMENTS[moment](_TICKET)[name]
        steps: list[Any] = [
            select(literal_column(str(n)), measure).where(
                reach(actor, "ticket", _TICKET, slot), at >= start, *([at < starts[n + 1]] if n + 1 < len(starts) else [])
            )
            for n, start in enumerate(starts)
        ]
        moved += [(int(step), sign, int(count)) for step, count in union_rows(session, steps)]
    return moved
