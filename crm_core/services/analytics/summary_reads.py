"""Closed deals and orders for the key figures: from the daily summaries, exact at any moment, within the reader's scope."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlmodel import Session

from crm_core.access import Actor, owned_within, visible
from crm_core.models import Order
from crm_core.services.analytics.metric_rules import SOLD
from crm_core.services.analytics.metric_sql import step_of
from crm_core.services.analytics.periods import Period
from crm_core.summaries import deal_daily_exact, order_daily_exact
from crm_core.summary_marks import bounds, day_of, zone_of
from crm_core.vocabulary import Action

_ORDER = Order.__table__  # type: ignore[attr-defined]

Row = tuple[Any, int, int]
"""Group, number of orders, their total in minor units."""


def closed_deals(actor: Actor, period: Period, owner_id: int | None, pipeline_id: int | None) -> tuple[Any, Any]:
    """The summary of closed deals (columns of ``DealDaily``) and the clause that cuts it down to what the actor asks for and may see."""
    source = deal_daily_exact(period.start, period.end)
    parts = [owned_within(actor, source.c.owner_id, actor.scopes("deal", Action.READ))]
    if owner_id is not None:
        parts.append(source.c.owner_id == owner_id)
    if pipeline_id is not None:
        parts.append(source.c.pipeline_id == pipeline_id)
    return source, and_(*parts)


def orders(session: Session, actor: Actor, cuts: Sequence[datetime], owner_id: int | None, by: str | None = None) -> list[Row]:
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
    source = order_daily_exact(first, last)
    group = source.c[by or "day"]
    reach = owned_within(actor, source.c.owner_id, actor.scopes("order", Action.READ))
    statement = select(group, func.sum(source.c.orders), func.sum(source.c.revenue_minor)).where(reach).group_by(group)
    if owner_id is not None:
        statement = statement.where(source.c.owner_id == owner_id)
    return [(key, int(count), int(amount)) for key, count, amount in session.execute(statement)]


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
