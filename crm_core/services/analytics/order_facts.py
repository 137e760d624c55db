"""Facts of orders: from their daily summary, exact at any moment, within the reader's scope."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import and_, func, or_, select, union_all
from sqlmodel import Session

from crm_core.access import Actor, owned_within, visible
from crm_core.filters import Context
from crm_core.models import Order, SummaryDirty
from crm_core.services.analytics.metric_rules import Facts
from crm_core.services.analytics.metric_slots import Grouped, Slot, collect
from crm_core.services.analytics.metric_sql import step_of
from crm_core.summaries import order_daily_exact
from crm_core.summary_marks import ORDER, SUMMARIES, bounds, day_of, zone_of
from crm_core.vocabulary import SOLD, Action

_ORDER = Order.__table__  # type: ignore[attr-defined]
_DIRTY = SummaryDirty.__table__  # type: ignore[attr-defined]

_MANY = 60

Row = tuple[Any, int, int]
"""Group, number of orders, their total in minor units."""


def orders(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Placed and fulfilled orders by the day they were ordered."""
    context, cuts = Context(actor), []
    days = [step.start for step in slot.steps] if slot.by is None else [slot.period.start] if slot.period.start else []
    last = slot.steps[-1].end if slot.by is None and slot.steps else slot.period.end
    if days and last:
        cuts = [context.start_of(day) for day in (*days, last + timedelta(days=1))]
    elif slot.by is None:
        return {}
    return collect(_rows(session, actor, cuts, slot.owner_id, slot.by), _put_order)


def _put_order(facts: Facts, row: Any) -> None:
    facts.orders += int(row[1])
    facts.order_minor += int(row[2])


def _rows(session: Session, actor: Actor, cuts: Sequence[datetime], owner_id: int | None, by: str | None = None) -> list[Row]:
    """Sold orders by step (between one cut and the next; keys 0, 1, …) or by a column over all of them. Without cuts: all time.

    The summary knows the days of the workspace. Where a reader lives in another time zone, a cut falls into such a day; the hours on
    either side of it come from the records, so that the figure is exact for everybody and still cheap.
    """
    if not cuts:
        return _whole_days(session, actor, None, None, owner_id, by)
    spans, edges = _spans(session, cuts)
    rows: list[Row] = []
    if spans and by:
        rows += _whole_days(session, actor, spans[0][0], spans[-1][1], owner_id, by)
    elif spans:
        starts = [first for first, _, _ in spans]
        for day, count, amount in _whole_days(session, actor, spans[0][0], spans[-1][1], owner_id, None):
            first, last, step = spans[max(0, bisect_right(starts, day) - 1)]
            if first <= day <= last:
                rows.append((step, count, amount))
    return rows + (_records(session, actor, edges, cuts, owner_id, by) if edges else [])


def _spans(session: Session, cuts: Sequence[datetime]) -> tuple[list[tuple[date, date, int]], list[tuple[datetime, datetime]]]:
    """For each step the whole days of the workspace inside it, and the hours that no whole day covers (neighbours joined)."""
    zone = zone_of(session)
    spans: list[tuple[date, date, int]] = []
    edges: list[tuple[datetime, datetime]] = []

    def edge(start: datetime, end: datetime) -> None:
        if start < end and edges and edges[-1][1] == start:
            edges[-1] = (edges[-1][0], end)
        elif start < end:
            edges.append((start, end))

    for step, (start, end) in enumerate(pairwise(cuts)):
        first, last = day_of(start, zone), day_of(end, zone)
        first = first if bounds(first, zone)[0] == start else first + timedelta(days=1)
        if first >= last:
            edge(start, end)
            continue
        edge(start, bounds(first, zone)[0])
        spans.append((first, last - timedelta(days=1), step))
        edge(bounds(last, zone)[0], end)
    return spans, edges


def _whole_days(
    session: Session, actor: Actor, first: date | None, last: date | None, owner_id: int | None, by: str | None
) -> list[Row]:
    """Days that the summary holds as they are, and days that changed since through ``order_daily_exact``, in one statement.

    Adding up inside each half keeps the bulk on the summary's index; over the union of both, every row would pass through a queue. The
    changed days are listed first, so that both halves mean the same ones whatever is written meanwhile.
    """
    marked = select(_DIRTY.c.day).where(_DIRTY.c.summary == ORDER).distinct().order_by(_DIRTY.c.day).limit(_MANY + 1)
    changed = list(session.execute(_between(marked, _DIRTY.c.day, first, last)).scalars())
    if len(changed) > _MANY:
        parts = [_figures(actor, order_daily_exact(first, last), owner_id, by)]
    else:
        clean = SUMMARIES[ORDER]
        parts = [_between(_figures(actor, clean, owner_id, by), clean.c.day, first, last)]
        if changed:
            exact = order_daily_exact(changed[0], changed[-1])
            parts = [
                parts[0].where(clean.c.day.not_in(changed)),
                _figures(actor, exact, owner_id, by).where(exact.c.day.in_(changed)),
            ]
    rows = session.execute(union_all(*parts) if len(parts) > 1 else parts[0])
    return [(key, int(count), int(amount)) for key, count, amount in rows]


def _figures(actor: Actor, source: Any, owner_id: int | None, by: str | None) -> Any:
    group = source.c[by or "day"]
    statement = select(group.label("grp"), func.sum(source.c.orders).label("n"), func.sum(source.c.revenue_minor).label("minor"))
    statement = statement.where(owned_within(actor, source.c.owner_id, actor.scopes("order", Action.READ))).group_by(group)
    return statement if owner_id is None else statement.where(source.c.owner_id == owner_id)


def _between(statement: Any, day: Any, first: date | None, last: date | None) -> Any:
    statement = statement.where(day >= first) if first else statement
    return statement.where(day <= last) if last else statement


def _records(
    session: Session,
    actor: Actor,
    edges: Sequence[tuple[datetime, datetime]],
    cuts: Sequence[datetime],
    owner_id: int | None,
    by: str | None,
) -> list[Row]:
    at = _ORDER.c.ordered_at
    group = (_ORDER.c[by] if by else step_of(at, cuts[:-1])).label("step")
    statement = (
        select(group, func.count(), func.coalesce(func.sum(_ORDER.c.total_minor), 0))
        .where(
            visible(actor, "order", _ORDER),
            _ORDER.c.status.in_(SOLD),
            or_(*(and_(at >= start, at < end) for start, end in edges)),
        )
        .group_by("step")
    )
    if owner_id is not None:
        statement = statement.where(_ORDER.c.owner_id == owner_id)
    return [(key, int(count), int(amount)) for key, count, amount in session.execute(statement)]
