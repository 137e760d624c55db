"""Which records a key figure counts, and how they are grouped: what the loaders of facts share.

A loader takes a session, an actor and a ``Slot``, and gives facts per step of a trend (keys 0, 1, …) or per value of a column.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, select, union_all
from sqlmodel import Session

from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.filters import Context
from crm_core.kit.counted import Counted
from crm_core.services.analytics.metric_rules import Facts
from crm_core.services.analytics.periods import Bucket, Period
from crm_core.ticket_measures import MOMENTS
from crm_core.vocabulary import Against, FieldKind

Grouped = dict[Any, Facts]
_DAYS_OF: dict[str, tuple[tuple[str, str], ...]] = {
    "sales": (("deal", "closed_on"),),
    "marketing": (("lead", "created_at"), ("campaign", "starts_on")),
    "orders": (("order", "ordered_at"),),
    "service": tuple(("ticket", moment) for moment in MOMENTS),
}
"""Area → the entities and columns by which its figures lie in time, the entity that the area is about first."""


@dataclass(frozen=True)
class Slot:
    """Which records to count and how to group them: by ``steps`` of a trend (keys 0, 1, …), or by the column ``by`` (keys are its values).

    ``only``: a further clause on the table of the records.
    """

    period: Period
    owner_id: int | None = None
    pipeline_id: int | None = None
    steps: tuple[Bucket, ...] = ()
    by: str | None = None
    only: Any = None


@dataclass(frozen=True)
class Selection:
    """What the key figures are about: the period, the one to compare with, and the owner and pipeline they are cut down to."""

    period: Period
    comparison: Period | None
    today: date
    owner_id: int | None = None
    pipeline_id: int | None = None
    fiscal_start_month: int = 1
    against: Against = Against.PREVIOUS


def leading(area: str) -> str:
    """The entity that an area is about: without the right to read it, the area does not exist for a person."""
    return _DAYS_OF[area][0][0]


def reach(actor: Actor, key: str, table: Any, slot: Slot) -> ColumnElement[bool]:
    """The rows of an entity that the actor may see and that the owner and pipeline filters leave."""
    parts = [visible(actor, key, table)]
    if slot.owner_id is not None:
        parts.append(table.c.owner_id == slot.owner_id)
    if slot.pipeline_id is not None and "pipeline_id" in table.c:
        parts.append(table.c.pipeline_id == slot.pipeline_id)
    if slot.only is not None:
        parts.append(slot.only)
    return and_(*parts)


def days_within(column: Any, period: Period) -> ColumnElement[bool]:
    """A day column inside the period; filled at all for all time."""
    if not period.bounded:
        return column.is_not(None)
    return column.between(period.start, period.end)


def instants_within(column: Any, period: Period, actor: Actor) -> ColumnElement[bool]:
    """An instant column inside the actor's days of the period."""
    if period.start is None or period.end is None:
        return column.is_not(None)
    context = Context(actor)
    return and_(column >= context.start_of(period.start), column < context.start_of(period.end + timedelta(days=1)))


def extent(session: Session, actor: Actor, area: str, slot: Slot) -> Period | None:
    """The first and last day that any figure of an area counts a record on, for the trend over all time; None without records, or where the actor's role
    hides their days."""
    days: list[date] = []
    for key, name in _DAYS_OF[area]:
        if actor.masked(key, name):
            continue
        table = entity(key).table
        column = table.c[name]
        # Two reads from either end of the index instead of min and max, which would walk through all of it.
        found = select(column).where(reach(actor, key, table, slot), column.is_not(None)).limit(1)
        ends = [session.execute(found.order_by(order)).scalar() for order in (column.asc(), column.desc())]
        days += [_local_day(actor, value) for value in ends if value is not None]
    return Period(min(days), max(days)) if days else None


def _local_day(actor: Actor, value: date | datetime) -> date:
    return value.astimezone(Context(actor).zone).date() if isinstance(value, datetime) else value


def key_of_day(slot: Slot) -> Callable[[date], int]:
    starts = [step.start for step in slot.steps]
    return lambda day: max(0, bisect_right(starts, day) - 1)


def beginning(actor: Actor, kind: FieldKind) -> Callable[[date], Any]:
    """When a day of the actor begins, in a field of this kind."""
    return Context(actor).start_of if kind is FieldKind.DATETIME else (lambda day: day)


def pieces(column: Any, slot: Slot, begin: Callable[[date], Any]) -> list[tuple[int, ColumnElement[bool]]]:
    """Number and clause of each step over a column; ``begin`` turns a day into the column's type. For all time both ends stay open."""
    last = len(slot.steps) - 1
    found = []
    for n, step in enumerate(slot.steps):
        bounds = [column.is_not(None)]
        if slot.period.bounded or n > 0:
            bounds.append(column >= begin(step.start))
        if slot.period.bounded or n < last:
            bounds.append(column < begin(step.end + timedelta(days=1)))
        found.append((n, and_(*bounds)))
    return found


def collect(rows: Iterable[Any], put: Callable[[Facts, Any], None], key: Callable[[Any], Any] = lambda row: row[0]) -> Grouped:
    found: defaultdict[Any, Facts] = defaultdict(Facts)
    for row in rows:
        put(found[key(row)], row)
    return dict(found)


def union_rows(session: Session, parts: Sequence[Any]) -> Sequence[Any]:
    """Rows of several SELECTs, one per step: each walks its own piece of an index, which beats one big sort."""
    if not parts:
        return []
    return session.execute(union_all(*parts) if len(parts) > 1 else parts[0]).all()


def histogram(session: Session, parts: Sequence[Any], target: str) -> Grouped:
    """Counted values by group, into the field ``target`` of the facts; each SELECT gives group and packed values."""
    found: Grouped = {}
    for key, text in union_rows(session, parts):
        if text:
            setattr(found.setdefault(key, Facts()), target, Counted.read(text))
    return found
