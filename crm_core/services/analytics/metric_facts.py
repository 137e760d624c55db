"""The SQL behind the key figures: facts per step of a trend, or per group, of what the reader may see.

Every loader takes the same ``Slot``: the records of one period, cut down by owner and pipeline, grouped either by steps or by a column.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlmodel import Session

from crm_core import filters
from crm_core.access import Actor, visible
from crm_core.filters import Context
from crm_core.models import Campaign, CampaignChannel, Deal, Lead, Order, Ticket
from crm_core.services.analytics import summary_reads
from crm_core.services.analytics.metric_rules import DONE, METRICS, Facts, list_filter
from crm_core.services.analytics.metric_sql import days_between, minutes_between, step_of
from crm_core.services.analytics.periods import Bucket, Period
from crm_core.vocabulary import StageKind

_DEAL = Deal.__table__  # type: ignore[attr-defined]
_LEAD = Lead.__table__  # type: ignore[attr-defined]
_ORDER = Order.__table__  # type: ignore[attr-defined]
_TICKET = Ticket.__table__  # type: ignore[attr-defined]
_CAMPAIGN = Campaign.__table__  # type: ignore[attr-defined]
_CHANNEL = CampaignChannel.__table__  # type: ignore[attr-defined]

Grouped = dict[Any, Facts]


@dataclass(frozen=True)
class Slot:
    """Which records to count and how to group them: by ``steps`` of a trend (keys 0, 1, …), or by the column ``by`` (keys are its values)."""

    period: Period
    owner_id: int | None = None
    pipeline_id: int | None = None
    steps: tuple[Bucket, ...] = ()
    by: str | None = None


def reach(actor: Actor, key: str, table: Any, slot: Slot) -> ColumnElement[bool]:
    """The rows of an entity that the actor may see and that the owner and pipeline filters leave."""
    parts = [visible(actor, key, table)]
    if slot.owner_id is not None:
        parts.append(table.c.owner_id == slot.owner_id)
    if slot.pipeline_id is not None and "pipeline_id" in table.c:
        parts.append(table.c.pipeline_id == slot.pipeline_id)
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
    """The first and last day that hold records of an area, for the trend over all time; None without records."""
    key, table, column = {
        "sales": ("deal", _DEAL, _DEAL.c.closed_on),
        "marketing": ("lead", _LEAD, _LEAD.c.created_at),
        "orders": ("order", _ORDER, _ORDER.c.ordered_at),
        "service": ("ticket", _TICKET, _TICKET.c.opened_at),
    }[area]
    # Two reads from either end of the index instead of min and max, which would walk through all of it.
    found = select(column).where(reach(actor, key, table, slot), column.is_not(None)).limit(1)
    ends = [session.execute(found.order_by(order)).scalar() for order in (column.asc(), column.desc())]
    days = [_local_day(actor, value) for value in ends if value is not None]
    return Period(days[0], days[-1]) if days else None


def _local_day(actor: Actor, value: date | datetime) -> date:
    return value.astimezone(Context(actor).zone).date() if isinstance(value, datetime) else value


def _starts(actor: Actor, steps: Sequence[Bucket]) -> list[datetime]:
    context = Context(actor)
    return [context.start_of(step.start) for step in steps]


def _key_of_day(slot: Slot) -> Callable[[date], int]:
    starts = [step.start for step in slot.steps]
    return lambda day: max(0, bisect_right(starts, day) - 1)


def _collect(rows: Iterable[Any], put: Callable[[Facts, Any], None], key: Callable[[Any], Any] = lambda row: row[0]) -> Grouped:
    found: Grouped = {}
    for row in rows:
        put(found.setdefault(key(row), Facts()), row)
    return found


# --- deals ----------------------------------------------------------------------------------------------------------------


def closed_deals(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Won and lost deals by closing day."""
    source, mine = summary_reads.closed_deals(actor, slot.period, slot.owner_id, slot.pipeline_id)
    group = source.c[slot.by or "day"]
    rows = session.execute(
        select(group, source.c.outcome, func.sum(source.c.deals), func.sum(source.c.amount_minor))
        .where(mine)
        .group_by(group, source.c.outcome)
    )
    day_key = _key_of_day(slot)

    def put(facts: Facts, row: Any) -> None:
        if StageKind(row[1]) is StageKind.WON:
            facts.won += int(row[2])
            facts.won_minor += int(row[3])
        else:
            facts.lost += int(row[2])

    return _collect(rows, put, (lambda row: row[0]) if slot.by else (lambda row: day_key(row[0])))


def cycles(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """How many won deals took how many days from opening to close."""
    group = _DEAL.c[slot.by] if slot.by else step_of(_DEAL.c.closed_on, [step.start for step in slot.steps])
    days = days_between(_DEAL.c.closed_on, _DEAL.c.created_on)
    inner = (
        select(group.label("step"), days.label("days"))
        .where(
            reach(actor, "deal", _DEAL, slot),
            _DEAL.c.outcome == StageKind.WON,
            days_within(_DEAL.c.closed_on, slot.period),
        )
        .subquery()
    )
    return _histogram(session, inner, "days", "cycle_days")


def _histogram(session: Session, inner: Any, column: str, target: str) -> Grouped:
    value = inner.c[column]
    rows = session.execute(select(inner.c.step, value, func.count()).where(value.is_not(None)).group_by(inner.c.step, value))
    return _collect(rows, lambda facts, row: getattr(facts, target).update({int(row[1]): row[2]}))


def open_deals(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Open deals of this moment; the period plays no part. Without a grouping column all stand under None."""
    columns = [_DEAL.c[slot.by]] if slot.by else []
    rows = session.execute(
        select(*columns, _DEAL.c.probability_pct, func.count(), func.sum(_DEAL.c.amount_minor))
        .where(reach(actor, "deal", _DEAL, slot), _DEAL.c.outcome == StageKind.OPEN)
        .group_by(*columns, _DEAL.c.probability_pct)
    )

    def put(facts: Facts, row: Any) -> None:
        probability, count, amount = row[-3], row[-2], int(row[-1])
        facts.open_deals += count
        facts.open_minor += amount
        facts.open_weighted += amount * probability

    return _collect(rows, put, lambda row: row[0] if slot.by else None)


def pipeline_at(session: Session, actor: Actor, slot: Slot, now: Facts, ends: Sequence[date]) -> list[Facts]:
    """Open deals as they stood at the end of each of some days (in rising order), at today's amounts.

    Walked back from now: what was opened since is taken off, what was closed since comes back. A deal with a closing day before its
    opening day counts as opened on the day it was closed, so that it never weighs in.
    """
    if not ends:
        return []
    first = ends[0]
    opened_on = case((_DEAL.c.closed_on < _DEAL.c.created_on, _DEAL.c.closed_on), else_=_DEAL.c.created_on)
    countable = or_(_DEAL.c.outcome == StageKind.OPEN, _DEAL.c.closed_on.is_not(None))
    opened = session.execute(
        select(opened_on.label("day"), func.count(), func.sum(_DEAL.c.amount_minor))
        .where(reach(actor, "deal", _DEAL, slot), _DEAL.c.created_on > first, opened_on > first, countable)
        .group_by("day")
    ).all()
    source, mine = summary_reads.closed_deals(actor, Period(first + timedelta(days=1)), slot.owner_id, slot.pipeline_id)
    closed = session.execute(
        select(source.c.day, func.sum(source.c.deals), func.sum(source.c.amount_minor)).where(mine).group_by(source.c.day)
    ).all()
    found = [Facts(open_deals=now.open_deals, open_minor=now.open_minor) for _ in ends]
    for rows, sign in ((opened, -1), (closed, 1)):
        for day, count, amount in rows:
            for facts in found[: bisect_left(ends, day)]:
                facts.open_deals += sign * int(count)
                facts.open_minor += sign * int(amount)
    return found


# --- leads, orders, tickets -----------------------------------------------------------------------------------------------


def leads(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Leads by the day they were created, with how many of them were converted since."""
    group = _LEAD.c[slot.by] if slot.by else step_of(_LEAD.c.created_at, _starts(actor, slot.steps))
    rows = session.execute(
        select(group.label("step"), func.count(), func.count(_LEAD.c.converted_at))
        .where(reach(actor, "lead", _LEAD, slot), instants_within(_LEAD.c.created_at, slot.period, actor))
        .group_by("step")
    )

    def put(facts: Facts, row: Any) -> None:
        facts.leads += row[1]
        facts.converted += row[2]

    return _collect(rows, put)


def orders(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Placed and fulfilled orders by the day they were ordered."""
    context, cuts = Context(actor), []
    days = [step.start for step in slot.steps] if slot.by is None else [slot.period.start] if slot.period.start else []
    last = slot.steps[-1].end if slot.by is None and slot.steps else slot.period.end
    if days and last:
        cuts = [context.start_of(day) for day in (*days, last + timedelta(days=1))]
    elif slot.by is None:
        return {}
    return _collect(summary_reads.orders(session, actor, cuts, slot.owner_id, slot.by), _put_order)


def _put_order(facts: Facts, row: Any) -> None:
    facts.orders += int(row[1])
    facts.order_minor += int(row[2])


def tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets by the day they were opened, with the minutes to their first answer."""
    group = _TICKET.c[slot.by] if slot.by else step_of(_TICKET.c.opened_at, _starts(actor, slot.steps))
    minutes = minutes_between(_TICKET.c.first_response_at, _TICKET.c.opened_at)
    inner = (
        select(group.label("step"), minutes.label("minutes"))
        .where(reach(actor, "ticket", _TICKET, slot), instants_within(_TICKET.c.opened_at, slot.period, actor))
        .subquery()
    )
    rows = session.execute(select(inner.c.step, inner.c.minutes, func.count()).group_by(inner.c.step, inner.c.minutes))

    def put(facts: Facts, row: Any) -> None:
        facts.tickets += row[2]
        if row[1] is not None:
            facts.response_minutes[int(row[1])] += row[2]

    return _collect(rows, put)


def solved_tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets by the day they were solved, with the minutes that it took."""
    group = _TICKET.c[slot.by] if slot.by else step_of(_TICKET.c.solved_at, _starts(actor, slot.steps))
    inner = (
        select(group.label("step"), minutes_between(_TICKET.c.solved_at, _TICKET.c.opened_at).label("minutes"))
        .where(
            reach(actor, "ticket", _TICKET, slot),
            _TICKET.c.status.in_(DONE),
            instants_within(_TICKET.c.solved_at, slot.period, actor),
        )
        .subquery()
    )
    return _histogram(session, inner, "minutes", "resolution_minutes")


def open_tickets(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Tickets that are open at this moment."""
    columns = [_TICKET.c[slot.by]] if slot.by else []
    statement = select(*columns, func.count()).where(reach(actor, "ticket", _TICKET, slot), _TICKET.c.status.not_in(DONE))
    rows = session.execute(statement.group_by(*columns) if columns else statement)
    return _collect(rows, lambda facts, row: setattr(facts, "open_tickets", row[-1]), lambda row: row[0] if slot.by else None)


def tickets_at(session: Session, actor: Actor, slot: Slot, now: Facts, ends: Sequence[date]) -> list[Facts]:
    """Open tickets as they stood at the end of each of some days (in rising order), walked back from now."""
    if not ends:
        return []
    context = Context(actor)
    after = [context.start_of(end + timedelta(days=1)) for end in ends]
    found = [Facts(open_tickets=now.open_tickets) for _ in ends]
    done = and_(_TICKET.c.status.in_(DONE), _TICKET.c.solved_at.is_not(None))
    for column, kept, sign in ((_TICKET.c.opened_at, None, -1), (_TICKET.c.solved_at, done, 1)):
        statement = select(step_of(column, after).label("step"), func.count()).where(
            reach(actor, "ticket", _TICKET, slot), column >= after[0]
        )
        # A ticket closed without ever being solved was never seen leaving: it does not count at any moment.
        counted = or_(_TICKET.c.status.not_in(DONE), _TICKET.c.solved_at.is_not(None)) if kept is None else kept
        for step, count in session.execute(statement.where(counted).group_by("step")):
            for facts in found[: step + 1]:
                facts.open_tickets += sign * count
    return found


# --- campaigns ------------------------------------------------------------------------------------------------------------


def campaigns(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Campaigns by the day they started, with the actual cost of their channels."""
    rows = session.execute(
        select(
            _CAMPAIGN.c.starts_on, func.count(_CAMPAIGN.c.id.distinct()), func.coalesce(func.sum(_CHANNEL.c.actual_cost_minor), 0)
        )
        .select_from(_CAMPAIGN.outerjoin(_CHANNEL, _CHANNEL.c.campaign_id == _CAMPAIGN.c.id))
        .where(reach(actor, "campaign", _CAMPAIGN, slot), days_within(_CAMPAIGN.c.starts_on, slot.period))
        .group_by(_CAMPAIGN.c.starts_on)
    )
    day_key = _key_of_day(slot)

    def put(facts: Facts, row: Any) -> None:
        facts.campaigns += row[1]
        facts.cost_minor += int(row[2])

    return _collect(rows, put, lambda row: day_key(row[0]))


def campaign_returns(session: Session, actor: Actor, slot: Slot) -> Facts:
    """What campaigns of the period cost and what won deals name them for. Campaigns in the bin count on both sides, since their deals stay."""
    metric = METRICS["campaign_return"]
    ast = list_filter(metric, slot.period, owner_id=slot.owner_id)
    deals, revenue = session.execute(
        select(func.count(), func.coalesce(func.sum(_DEAL.c.amount_minor), 0)).where(
            visible(actor, "deal", _DEAL), filters.where(session, "deal", ast, actor)
        )
    ).one()
    owned = [_CAMPAIGN.c.owner_id == slot.owner_id] if slot.owner_id is not None else []
    cost = session.execute(
        select(func.coalesce(func.sum(_CHANNEL.c.actual_cost_minor), 0))
        .select_from(_CAMPAIGN.join(_CHANNEL, _CHANNEL.c.campaign_id == _CAMPAIGN.c.id))
        .where(
            visible(actor, "campaign", _CAMPAIGN, with_deleted=True),
            days_within(_CAMPAIGN.c.starts_on, slot.period),
            *owned,
        )
    ).scalar_one()
    return Facts(return_deals=deals, return_minor=int(revenue), return_cost_minor=int(cost))
