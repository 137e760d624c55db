"""Small tables of daily figures for the KPI pages, and SELECTs over them that are exact at any moment. See docs/decisions/0004-summaries.md.

Every write marks the days that it touched (crm_core.summary_marks). ``deal_daily_exact()`` and its sisters take clean days from the summary
and marked days from the records, in one statement; ``refresh`` computes marked days and takes the marks away. So a figure never waits for
the refresh, it only gets cheaper by it.

Group by ``day`` where it must be quick: that follows the index, and months are soon added up in Python.

A **deal's** day is ``closed_on`` (won and lost deals that are not in the bin). An **order's** day is the calendar day of ``ordered_at`` in
the workspace's time zone (placed and fulfilled orders that are not in the bin); sales are the lines of those orders,
and the figures of a product are its lines there. A **ticket** counts on the days in that zone on which it was opened, solved, first solved and rated.
"""

import logging
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CompoundSelect,
    Date,
    Integer,
    Select,
    Text,
    case,
    cast,
    delete,
    except_,
    func,
    insert,
    literal,
    select,
    union_all,
)
from sqlmodel import Session

from crm_core import db
from crm_core.jobs import Job, job
from crm_core.models import Deal, Order, OrderLine, Product, SummaryDirty, Ticket
from crm_core.spans import days_between, joined
from crm_core.summary_marks import DEAL, ORDER, PRODUCT, SALE, SUMMARIES, TICKET, bounds, mark, mark_all, zone_of
from crm_core.ticket_measures import MOMENTS, PACKED
from crm_core.vocabulary import SOLD, StageKind

log = logging.getLogger("rapport.summaries")

__all__ = [
    "deal_daily_exact",
    "differences",
    "mark",
    "mark_all",
    "order_daily_exact",
    "pending",
    "product_total",
    "rebuild",
    "refresh",
    "sale_daily_exact",
    "ticket_daily_parts",
]

_DIRTY: Any = SummaryDirty.__table__  # type: ignore[attr-defined]
_DEALS: Any = Deal.__table__  # type: ignore[attr-defined]
_ORDERS: Any = Order.__table__  # type: ignore[attr-defined]
_LINES: Any = OrderLine.__table__  # type: ignore[attr-defined]
_PRODUCTS: Any = Product.__table__  # type: ignore[attr-defined]
_TICKETS: Any = Ticket.__table__  # type: ignore[attr-defined]
_BATCH_DAYS = 31
_LOCK = 7_241_002


# --- the figures of days, from the records ------------------------------------------------------------------------------------


def _sum(expression: Any, label: str) -> Any:
    """A sum that stays an integer (PostgreSQL makes a sum of BIGINT numeric)."""
    return cast(func.coalesce(func.sum(expression), 0), BigInteger).label(label)


def _deals_of(days: Any | None) -> Select[Any]:
    """Figures of closed deals by day; ``days`` is a SELECT of days, None means all."""
    cycle = days_between(_DEALS.c.closed_on, _DEALS.c.created_on)
    known = cycle >= 0
    keys = [_DEALS.c.closed_on, _DEALS.c.owner_id, _DEALS.c.pipeline_id, _DEALS.c.product_id, _DEALS.c.source, _DEALS.c.outcome]
    statement = (
        select(
            _DEALS.c.closed_on.label("day"),
            *keys[1:],
            func.count().label("deals"),
            _sum(_DEALS.c.amount_minor, "amount_minor"),
            _sum(case((known, cycle), else_=0), "cycle_days"),
            cast(func.sum(case((known, 1), else_=0)), Integer).label("with_cycle"),
        )
        .where(
            _DEALS.c.deleted_at.is_(None), _DEALS.c.closed_on.is_not(None), _DEALS.c.outcome.in_((StageKind.WON, StageKind.LOST))
        )
        .group_by(*keys)
    )
    return statement if days is None else statement.where(_DEALS.c.closed_on.in_(days))


def _counted() -> list[Any]:
    return [_ORDERS.c.deleted_at.is_(None), _ORDERS.c.status.in_(SOLD)]


def _orders_in(span: Any) -> Select[Any]:
    """Figures of orders by the days of ``span`` (a FROM with day, from_at, until_at)."""
    return (
        select(
            span.c.day,
            _ORDERS.c.owner_id,
            _ORDERS.c.source,
            func.count().label("orders"),
            _sum(_ORDERS.c.total_minor, "revenue_minor"),
        )
        .select_from(span)
        .join(_ORDERS, (_ORDERS.c.ordered_at >= span.c.from_at) & (_ORDERS.c.ordered_at < span.c.until_at))
        .where(*_counted())
        .group_by(span.c.day, _ORDERS.c.owner_id, _ORDERS.c.source)
    )


def _sales_in(span: Any) -> Select[Any]:
    """Figures of order lines by the days of ``span``."""
    return (
        select(
            span.c.day,
            _ORDERS.c.owner_id,
            _PRODUCTS.c.category_id,
            func.count().label("lines"),
            _sum(_LINES.c.total_minor, "revenue_minor"),
        )
        .select_from(span)
        .join(_ORDERS, (_ORDERS.c.ordered_at >= span.c.from_at) & (_ORDERS.c.ordered_at < span.c.until_at))
        .join(_LINES, _LINES.c.order_id == _ORDERS.c.id)
        .outerjoin(_PRODUCTS, _PRODUCTS.c.id == _LINES.c.product_id)
        .where(*_counted())
        .group_by(span.c.day, _ORDERS.c.owner_id, _PRODUCTS.c.category_id)
    )


def _products_in(span: Any) -> Select[Any]:
    """Figures of products by the days of ``span``. An order has one day, so that the orders of days add up."""
    return (
        select(
            span.c.day,
            _LINES.c.product_id,
            func.count(_LINES.c.order_id.distinct()).label("orders"),
            cast(func.round(func.sum(_LINES.c.quantity * 1000)), BigInteger).label("quantity_milli"),
            _sum(_LINES.c.total_minor, "revenue_minor"),
        )
        .select_from(span)
        .join(_ORDERS, (_ORDERS.c.ordered_at >= span.c.from_at) & (_ORDERS.c.ordered_at < span.c.until_at))
        .join(_LINES, _LINES.c.order_id == _ORDERS.c.id)
        .where(*_counted(), _LINES.c.product_id.is_not(None))
        .group_by(span.c.day, _LINES.c.product_id)
    )


def _tickets_in(span: Any) -> Select[Any]:
    """Measures of tickets by the days of ``span``: of each moment by its own index, put together by day and owner."""
    keys = ("day", "owner_id")
    names = [column.key for column in SUMMARIES[TICKET].c if column.key not in ("id", *keys)]
    parts = []
    for moment, measures in MOMENTS.items():
        at, mine = _TICKETS.c[moment], measures(_TICKETS)
        nothing = {name: cast(literal(None), Text) if name in PACKED else literal(0, Integer) for name in names}
        parts.append(
            select(
                span.c.day.label("day"),
                _TICKETS.c.owner_id.label("owner_id"),
                *((nothing | mine)[name].label(name) for name in names),
            )
            .select_from(span)
            .join(_TICKETS, (at >= span.c.from_at) & (at < span.c.until_at))
            .where(_TICKETS.c.deleted_at.is_(None))
            .group_by(span.c.day, _TICKETS.c.owner_id)
        )
    each = union_all(*parts).subquery()
    sums = [(joined(each.c[name]) if name in PACKED else cast(func.sum(each.c[name]), Integer)).label(name) for name in names]
    return select(each.c.day, each.c.owner_id, *sums).group_by(each.c.day, each.c.owner_id)


# --- exact reads --------------------------------------------------------------------------------------------------------------


def _marked(summary: str, since: date | None, until: date | None) -> Any:
    """The marked days of a summary, each once, with its bounds."""
    found = select(_DIRTY.c.day, func.max(_DIRTY.c.from_at).label("from_at"), func.max(_DIRTY.c.until_at).label("until_at"))
    return found.where(_DIRTY.c.summary == summary, *_within(_DIRTY.c.day, since, until)).group_by(_DIRTY.c.day)


def _within(day: Any, since: date | None, until: date | None) -> list[Any]:
    return ([day >= since] if since else []) + ([day <= until] if until else [])


def _exact(summary: str, live: Callable[[Any], Select[Any]], since: date | None, until: date | None) -> CompoundSelect[Any]:
    return union_all(_clean(summary, since, until), live(_marked(summary, since, until)))


def _clean(summary: str, since: date | None, until: date | None) -> Select[Any]:
    """The figures of days that are not marked."""
    table = SUMMARIES[summary]
    marked = select(_DIRTY.c.day).where(_DIRTY.c.summary == summary)
    columns = [column for column in table.c if column.key != "id"]
    return select(*columns).where(table.c.day.not_in(marked), *_within(table.c.day, since, until))


def deal_daily_exact(since: date | None = None, until: date | None = None) -> Any:
    """Subquery with the columns of ``DealDaily`` (day, owner_id, pipeline_id, product_id, source, outcome, deals, amount_minor, cycle_days,
    with_cycle), exact at this moment. ``since``/``until`` (inclusive) spare the rest; a narrower scope filters on ``owner_id``.
    """
    return _exact(DEAL, lambda marked: _deals_of(select(marked.subquery().c.day)), since, until).subquery("deal_daily_exact")


def order_daily_exact(since: date | None = None, until: date | None = None) -> Any:
    """Subquery with the columns of ``OrderDaily`` (day, owner_id, source, orders, revenue_minor), exact at this moment."""
    return _exact(ORDER, lambda marked: _orders_in(marked.subquery()), since, until).subquery("order_daily_exact")


def sale_daily_exact(since: date | None = None, until: date | None = None) -> Any:
    """Subquery with the columns of ``SaleDaily`` (day, owner_id, category_id, lines, revenue_minor), exact at this moment."""
    return _exact(SALE, lambda marked: _sales_in(marked.subquery()), since, until).subquery("sale_daily_exact")


def product_daily_exact(product_id: int | None = None, since: date | None = None, until: date | None = None) -> Any:
    """Subquery with the columns of ``ProductDaily`` (day, product_id, orders, quantity_milli, revenue_minor), exact at this moment."""

    def of(statement: Select[Any], column: Any) -> Select[Any]:
        return statement if product_id is None else statement.where(column == product_id)

    def live(marked: Any) -> Select[Any]:
        return of(_products_in(marked.subquery()), _LINES.c.product_id)

    clean = of(_clean(PRODUCT, since, until), SUMMARIES[PRODUCT].c.product_id)
    return union_all(clean, live(_marked(PRODUCT, since, until))).subquery("product_daily_exact")


MOST_LIVE = 14
"""So many marked days of products and tickets are read from the records; more (after an upgrade, another time zone) would take longer than the
records without any summary."""


def product_total(session: Session, product_id: int) -> tuple[int, int, int] | None:
    """Orders, thousandths of a piece and revenue of a product over all time and all owners, exact at this moment; None while many days wait."""
    waiting = select(_DIRTY.c.day).where(_DIRTY.c.summary == PRODUCT).distinct().limit(MOST_LIVE + 1).subquery()
    if session.execute(select(func.count()).select_from(waiting)).scalar_one() > MOST_LIVE:
        return None
    figures = product_daily_exact(product_id)
    sums = [_sum(figures.c[key], key) for key in ("orders", "quantity_milli", "revenue_minor")]
    return tuple(session.execute(select(*sums)).one())  # type: ignore[return-value]


def ticket_daily_parts(session: Session, since: date | None = None, until: date | None = None) -> list[Any] | None:
    """Subqueries with the columns of ``TicketDaily`` that hold all tickets of these days together, exact at this moment: to be added up one by one,
    since over their union every row would pass through a queue. None while more than ``MOST_LIVE`` days wait: the records are quicker then.

    The changed days are listed first, so that both parts mean the same ones whatever is written meanwhile.
    """
    table = SUMMARIES[TICKET]
    waiting = select(_DIRTY.c.day).where(_DIRTY.c.summary == TICKET, *_within(_DIRTY.c.day, since, until))
    changed = list(session.execute(waiting.distinct().limit(MOST_LIVE + 1)).scalars())
    if len(changed) > MOST_LIVE:
        return None
    columns = [column for column in table.c if column.key != "id"]
    clean = select(*columns).where(*_within(table.c.day, since, until))
    if not changed:
        return [clean.subquery("ticket_daily_clean")]
    zone = zone_of(session)
    span = _span([(day, *bounds(day, zone)) for day in sorted(changed)])
    return [
        clean.where(table.c.day.not_in(changed)).subquery("ticket_daily_clean"),
        _tickets_in(span).subquery("ticket_daily_live"),
    ]


# --- refresh ------------------------------------------------------------------------------------------------------------------


def pending(session: Session) -> int:
    """Number of days that wait for the refresh, over all summaries."""
    days = select(_DIRTY.c.summary, _DIRTY.c.day).distinct().subquery()
    return session.execute(select(func.count()).select_from(days)).scalar_one()


def _due(session: Session) -> bool:
    return session.execute(select(_DIRTY.c.id).limit(1)).first() is not None


def refresh_batch(session: Session, size: int = _BATCH_DAYS) -> int:
    """Compute up to ``size`` marked days of one summary anew, in the session's transaction; returns how many (0: all is clean)."""
    if not db.is_sqlite(session):  # two refreshers of a day would both insert it: neither sees the other's new rows
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    summary = session.execute(select(_DIRTY.c.summary).order_by(_DIRTY.c.summary).limit(1)).scalar()
    if summary is None:
        return 0
    wanted = select(_DIRTY.c.day).where(_DIRTY.c.summary == summary).group_by(_DIRTY.c.day).order_by(_DIRTY.c.day).limit(size)
    days = list(session.execute(wanted).scalars())
    seen = list(session.execute(select(_DIRTY.c.id).where(_DIRTY.c.summary == summary, _DIRTY.c.day.in_(days))).scalars())
    _compute(session, summary, days)
    for start in range(0, len(seen), 500):  # by id: a mark of a write that is still under way must survive
        session.execute(delete(_DIRTY).where(_DIRTY.c.id.in_(seen[start : start + 500])))
    return len(days)


def _compute(session: Session, summary: str, days: list[date]) -> None:
    table = SUMMARIES[summary]
    names = [column.key for column in table.c if column.key != "id"]
    session.execute(delete(table).where(table.c.day.in_(days)))
    if summary == DEAL:
        session.execute(insert(table).from_select(names, _deals_of(days)))
        return
    figures = {ORDER: _orders_in, SALE: _sales_in, PRODUCT: _products_in, TICKET: _tickets_in}[summary]
    zone = zone_of(session)
    for day in days:
        session.execute(insert(table).from_select(names, figures(_span([(day, *bounds(day, zone))]))))


def refresh(transaction: Callable[[], Any] = db.write_session, *, progress: Callable[[int, int], None] | None = None) -> int:
    """Compute all marked days anew, a month of days per transaction; returns how many. A kill loses at most the open transaction."""
    done = 0
    with db.read_session() as session:
        total = pending(session)
    while True:
        with transaction() as session:
            count = refresh_batch(session)
        if not count:
            return done
        done += count
        if progress:
            progress(done, max(done, total))


def rebuild(*, progress: Callable[[int, int], None] | None = None) -> int:
    """Forget all figures and compute them anew from the records."""
    with db.write_session() as session:
        mark_all(session)
    return refresh(progress=progress)


@job("summaries.refresh", title="Refresh the daily figures", cron="* * * * *", when=_due, keep_days=1)
def refresh_job(job: Job) -> None:
    """Every minute, if a day is marked."""
    refresh(job.transaction, progress=job.report)


# --- the proof ----------------------------------------------------------------------------------------------------------------

_VALUES = {"deals", "amount_minor", "cycle_days", "with_cycle", "orders", "revenue_minor", "lines", "quantity_milli"}
_CHECK_DAYS = 100


def differences(session: Session) -> dict[str, int]:
    """Number of groups in which the exact reads and the records disagree, per summary: all must be 0 (``python -m crm_core check``)."""
    found = {DEAL: _differing(session, deal_daily_exact(), _deals_of(None).subquery()), ORDER: 0, SALE: 0, PRODUCT: 0, TICKET: 0}
    for days in _calendar(session):
        since, until = days[0][0], days[-1][0]
        span = _span(days)
        found[ORDER] += _differing(session, order_daily_exact(since, until), _orders_in(span).subquery())
        found[SALE] += _differing(session, sale_daily_exact(since, until), _sales_in(span).subquery())
        found[PRODUCT] += _differing(session, product_daily_exact(None, since, until), _products_in(span).subquery())
        parts = ticket_daily_parts(session, since, until)
        if parts is not None:
            kept, told = _of_tickets(session, *parts), _of_tickets(session, _tickets_in(span).subquery())
            found[TICKET] += sum(kept.get(key) != told.get(key) for key in kept | told)
    return found


def _of_tickets(session: Session, *parts: Any) -> dict[tuple[Any, ...], list[Any]]:
    """Day and owner → measures, the numbers of texts in order. Rows of one day and owner are added up, so that a double one is noticed."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for part in parts:
        names = [column.key for column in part.c][2:]
        for day, owner_id, *values in session.execute(select(part)):
            read = [
                sorted(map(int, (value or "-1").split(","))) if name in PACKED else value
                for name, value in zip(names, values, strict=True)
            ]
            known = found.get((day, owner_id))
            found[day, owner_id] = read if known is None else [a + b for a, b in zip(known, read, strict=True)]
    return found


def _calendar(session: Session) -> list[list[tuple[date, datetime, datetime]]]:
    """Every calendar day with orders or figures, with its bounds, in chunks."""
    zone = zone_of(session)
    days: set[date] = set()
    for column in (*(SUMMARIES[name].c.day for name in (ORDER, SALE, PRODUCT, TICKET)), _DIRTY.c.day):
        days.update(session.execute(select(column).distinct()).scalars())
    for instant in (_ORDERS.c.ordered_at, *(_TICKETS.c[moment] for moment in MOMENTS)):
        first, last = session.execute(select(func.min(instant), func.max(instant))).one()
        if first is not None:
            days.update(date.fromordinal(n) for n in range(max(2, first.toordinal() - 1), last.toordinal() + 2))
    ordered = [(day, *bounds(day, zone)) for day in sorted(days)]
    return [ordered[start : start + _CHECK_DAYS] for start in range(0, len(ordered), _CHECK_DAYS)]


def _span(days: list[tuple[date, datetime, datetime]]) -> Any:
    """Days with their bounds as a FROM."""
    instant = _DIRTY.c.from_at.type
    rows = [
        select(literal(day, Date).label("day"), literal(start, instant).label("from_at"), literal(end, instant).label("until_at"))
        for day, start, end in days
    ]
    return (union_all(*rows) if len(rows) > 1 else rows[0]).cte("span")


def _differing(session: Session, one: Any, other: Any) -> int:
    a, b = _grouped(one), _grouped(other)
    both = (except_(a, b).subquery(), except_(b, a).subquery())
    return sum(session.execute(select(func.count()).select_from(each)).scalar_one() for each in both)


def _grouped(figures: Any) -> Select[Any]:
    """One row per key: a day that stands twice in a summary shows as a double figure."""
    keys = [column for column in figures.c if column.key not in _VALUES]
    return select(*keys, *[_sum(column, column.key) for column in figures.c if column.key in _VALUES]).group_by(*keys)
