"""Marks which days of which summary a write touched, in the very transaction of the write, whatever path it took.

Three nets: the flush of mapped rows (old and new values compared), Core inserts with rows in hand, and, for any other bulk statement on a
watched table, a mark on every day. A caller that bulk-writes and marks by itself says so with the execution option
``summaries="marked"``. Loaded by crm_core.db, so that no session can exist without it.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import String, cast, delete, event, func, insert, inspect, select, update
from sqlalchemy.orm import ORMExecuteState
from sqlmodel import Session

from crm_core.models import (
    Deal,
    DealDaily,
    Order,
    OrderDaily,
    OrderLine,
    Organisation,
    Product,
    ProductCategory,
    ProductDaily,
    SaleDaily,
    SummaryDirty,
    Ticket,
    TicketDaily,
)
from crm_core.vocabulary import StageKind

DEAL, ORDER, SALE, PRODUCT, TICKET = "deal", "order", "sale", "product", "ticket"
SUMMARIES: dict[str, Any] = {
    DEAL: DealDaily.__table__,  # type: ignore[attr-defined]
    ORDER: OrderDaily.__table__,  # type: ignore[attr-defined]
    SALE: SaleDaily.__table__,  # type: ignore[attr-defined]
    PRODUCT: ProductDaily.__table__,  # type: ignore[attr-defined]
    TICKET: TicketDaily.__table__,  # type: ignore[attr-defined]
}
"""Summary → the table that holds its figures."""

_DIRTY: Any = SummaryDirty.__table__  # type: ignore[attr-defined]
_DEALS: Any = Deal.__table__  # type: ignore[attr-defined]
_ORDERS: Any = Order.__table__  # type: ignore[attr-defined]
_LINES: Any = OrderLine.__table__  # type: ignore[attr-defined]
_TICKETS: Any = Ticket.__table__  # type: ignore[attr-defined]

_DEAL_KEYS = ("closed_on", "created_on", "outcome", "owner_id", "pipeline_id", "product_id", "source", "amount_minor", "deleted_at")
_ORDER_KEYS = ("ordered_at", "status", "owner_id", "source", "total_minor", "deleted_at")
_LINE_KEYS = ("order_id", "product_id", "quantity", "total_minor")
MOMENTS = ("opened_at", "solved_at", "first_solved_at", "rated_at")
"""The moments of a ticket by whose days it is counted; ``ticket_measures`` says what."""
_TICKET_KEYS = (
    *MOMENTS, "owner_id", "status", "deleted_at", "first_response_at", "response_promise", "response_minutes", "resolution_promise",
    "resolution_minutes", "reopened_count", "answer_count", "satisfaction",
)  # fmt: skip
_OF_ORDERS, _OF_LINES = (ORDER, SALE, PRODUCT), (SALE, PRODUCT)
_OF_INSTANTS = (*_OF_ORDERS, TICKET)
_WATCHED = {"deal": (DEAL,), "sales_order": _OF_ORDERS, "order_line": _OF_LINES, "product": _OF_LINES, "ticket": (TICKET,)}
_CLOSED = (StageKind.WON, StageKind.LOST)
_CHUNK = 500


# --- days -------------------------------------------------------------------------------------------------------------------


def zone_of(session: Session) -> ZoneInfo:
    """The workspace's time zone, in which an order's calendar day is meant; remembered for the session."""
    if "summary_zone" not in session.info:
        name = session.connection().execute(select(Organisation.timezone).limit(1)).scalar()  # type: ignore[call-overload]
        session.info["summary_zone"] = ZoneInfo(name or "UTC")
    return session.info["summary_zone"]


def bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """First instant of a calendar day and of the next one, in UTC."""
    if not 1 < day.year < 9999:
        return datetime.combine(day, time.min, UTC), datetime.combine(day, time.max, UTC)
    following = day + timedelta(days=1)
    return datetime.combine(day, time.min, zone).astimezone(UTC), datetime.combine(following, time.min, zone).astimezone(UTC)


def day_of(instant: datetime, zone: ZoneInfo) -> date:
    """The calendar day of an instant."""
    return instant.astimezone(zone).date() if 1 < instant.year < 9999 else instant.date()


# --- marking ----------------------------------------------------------------------------------------------------------------


def mark(session: Session, summary: str, days: Iterable[date | None]) -> None:
    """Note that these days of a summary (``deal``, ``order``, ``sale``, ``product``, ``ticket``) must be computed anew. Part of the session's transaction."""
    seen = session.info.setdefault("summary_marks", set())
    fresh = sorted({day for day in days if day is not None and (summary, day) not in seen})
    if not fresh:
        return
    seen.update((summary, day) for day in fresh)
    zone = zone_of(session)
    rows = [dict(zip(("summary", "day", "from_at", "until_at"), (summary, day, *bounds(day, zone)), strict=True)) for day in fresh]
    session.connection().execute(insert(_DIRTY), rows)


def mark_all(session: Session, *summaries: str) -> None:
    """Note that whole summaries must be computed anew: every day that has records or figures."""
    connection = session.connection()
    for summary in summaries or SUMMARIES:
        if summary == DEAL:
            mark(session, DEAL, connection.execute(select(_DEALS.c.closed_on).distinct()).scalars())
        else:
            for column in [_TICKETS.c[key] for key in MOMENTS] if summary == TICKET else [_ORDERS.c.ordered_at]:
                days = select(_utc_day(column)).where(column.is_not(None)).distinct()
                mark(session, summary, _around(connection.execute(days).scalars()))
        table = SUMMARIES[summary]
        mark(session, summary, connection.execute(select(table.c.day).distinct()).scalars())


def _utc_day(column: Any) -> Any:
    return func.substr(cast(column, String), 1, 10)


def _around(texts: Iterable[str]) -> set[date]:
    """The days next to each other in which an instant of a UTC (or server) day can lie elsewhere."""
    days = {date.fromisoformat(text) for text in texts}
    return {day + timedelta(days=shift) for day in days for shift in (-1, 0, 1) if 1 < day.year < 9999} | days


def update_tickets(session: Session, ids: Collection[int], values: Mapping[str, Any], *only: Any) -> None:
    """Write columns of these tickets (of those among them that ``only`` means) past the ORM, and mark the days on which they count, before and after.
    The version of the table is the caller's to raise."""
    mark_tickets(session, ids)
    statement = update(_TICKETS).where(_TICKETS.c.id.in_(ids), *only).values(values)
    session.execute(statement, execution_options={"summaries": "marked"})
    mark_tickets(session, ids)


def mark_tickets(session: Session, ids: Collection[int]) -> None:
    """Note that the days of these tickets must be computed anew."""
    found = session.connection().execute(select(*(_TICKETS.c[key] for key in MOMENTS)).where(_TICKETS.c.id.in_(ids)))
    _mark_instants(session, (instant for row in found for instant in row), TICKET)


def _mark_instants(session: Session, instants: Iterable[datetime | None], *summaries: str) -> None:
    found = [instant for instant in instants if instant is not None]
    if found:
        zone = zone_of(session)
        days = {day_of(instant, zone) for instant in found}
        for summary in summaries:
            mark(session, summary, days)


def _mark_lines(session: Session, order_ids: Iterable[int | None]) -> None:
    wanted = sorted({order_id for order_id in order_ids if order_id is not None})
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        _mark_instants(
            session, session.connection().execute(select(_ORDERS.c.ordered_at).where(_ORDERS.c.id.in_(chunk))).scalars(), *_OF_LINES
        )


def _mark_products(session: Session, product_ids: Any, *summaries: str) -> None:
    sold = select(_ORDERS.c.ordered_at).distinct().join(_LINES, _LINES.c.order_id == _ORDERS.c.id)
    _mark_instants(session, session.connection().execute(sold.where(_LINES.c.product_id.in_(product_ids))).scalars(), *summaries)


# --- the nets ---------------------------------------------------------------------------------------------------------------


def _values(instance: Any, key: str) -> list[Any]:
    """A column's value before and after the flush (one of them for new and deleted rows)."""
    history = inspect(instance).attrs[key].history
    return [*history.deleted, *history.unchanged, *history.added]


def _changed(instance: Any, keys: tuple[str, ...]) -> bool:
    return any(inspect(instance).attrs[key].history.has_changes() for key in keys)


@event.listens_for(Session, "before_flush")
def _before_flush(session: Session, _context: Any, _instances: Any) -> None:
    """A deleted product or category leaves its order lines without one; afterwards nobody could tell which lines these were."""
    for instance in session.deleted:
        if isinstance(instance, Product):
            _mark_products(session, [instance.id], *_OF_LINES)
        elif isinstance(instance, ProductCategory):
            products: Any = Product.__table__  # type: ignore[attr-defined]
            _mark_products(session, select(products.c.id).where(products.c.category_id == instance.id), SALE)


@event.listens_for(Session, "after_flush")
def _on_flush(session: Session, _context: Any) -> None:
    whole = {id(each) for each in (*session.new, *session.deleted)}
    for instance in (*session.new, *session.dirty, *session.deleted):
        if isinstance(instance, Deal):
            if (id(instance) in whole or _changed(instance, _DEAL_KEYS)) and _counts(instance):
                mark(session, DEAL, _values(instance, "closed_on"))
        elif isinstance(instance, Order):
            if id(instance) in whole or _changed(instance, _ORDER_KEYS):
                _mark_instants(session, _values(instance, "ordered_at"), *_OF_ORDERS)
        elif isinstance(instance, OrderLine):
            if id(instance) in whole or _changed(instance, _LINE_KEYS):
                _mark_lines(session, _values(instance, "order_id"))
        elif isinstance(instance, Product):
            if id(instance) not in whole and _changed(instance, ("category_id",)):
                _mark_products(session, [instance.id or 0], SALE)
        elif isinstance(instance, Ticket):
            if id(instance) in whole or _changed(instance, _TICKET_KEYS):
                _mark_ticket(session, instance)
        elif isinstance(instance, Organisation) and id(instance) not in whole and _changed(instance, ("timezone",)):
            _move_days(session)


def _mark_ticket(session: Session, ticket: Ticket) -> None:
    """Every moment of a ticket, before and after: whose it is and how it stands counts on the day of each."""
    _mark_instants(session, (instant for key in MOMENTS for instant in _values(ticket, key)), TICKET)
    if not inspect(ticket).unloaded.isdisjoint(MOMENTS):  # read in part: what was not read has not been changed either
        mark_tickets(session, [ticket.id])


def _move_days(session: Session) -> None:
    """Another time zone of the workspace gives orders and tickets another day's bounds: earlier marks with the old ones go."""
    session.info.pop("summary_zone", None)
    session.info.pop("summary_marks", None)
    session.connection().execute(delete(_DIRTY).where(_DIRTY.c.summary.in_(_OF_INSTANTS)))
    mark_all(session, *_OF_INSTANTS)


def _counts(deal: Deal) -> bool:
    """Whether the deal is or was a closed one: open deals are in no summary."""
    return any(outcome in _CLOSED for outcome in _values(deal, "outcome"))


@event.listens_for(Session, "do_orm_execute")
def _on_statement(state: ORMExecuteState) -> None:
    if not (state.is_insert or state.is_update or state.is_delete):
        return
    name = getattr(getattr(state.statement, "table", None), "name", "")
    if name not in _WATCHED or state.execution_options.get("summaries") == "marked":
        return
    rows = state.parameters if isinstance(state.parameters, list) else [state.parameters] if state.parameters else []
    if state.is_insert and rows and all(isinstance(row, Mapping) for row in rows):
        _mark_rows(state.session, name, rows)  # type: ignore[arg-type]
    elif name == "ticket" and state.is_update and _beside(_written(state.statement, rows), _TICKET_KEYS):
        return
    elif not (state.is_insert and name == "product"):
        mark_all(state.session, *_WATCHED[name])  # type: ignore[arg-type]
        state.session.info.setdefault("summary_remark", set()).update(_WATCHED[name])


def _written(statement: Any, rows: Iterable[Any]) -> set[str]:
    """The columns that an UPDATE sets."""
    named = {getattr(column, "key", str(column)) for column in statement._values or {}}
    return named.union(*(row for row in rows if isinstance(row, Mapping)))


def _beside(written: set[str], keys: tuple[str, ...]) -> bool:
    """Whether an UPDATE is known to set nothing that a summary counts."""
    return bool(written) and written.isdisjoint(keys)


def _mark_rows(session: Session, name: str, rows: list[Mapping[str, Any]]) -> None:
    if name == "deal":
        mark(session, DEAL, (row.get("closed_on") for row in rows))
    elif name == "sales_order":
        _mark_instants(session, (row.get("ordered_at") for row in rows), *_OF_ORDERS)
    elif name == "order_line":
        _mark_lines(session, (row.get("order_id") for row in rows))
    elif name == "ticket":
        _mark_instants(session, (row.get(key) for row in rows for key in MOMENTS), TICKET)


@event.listens_for(Session, "before_commit")
def _after_bulk(session: Session) -> None:
    """A bulk statement may have moved rows to days that held nothing before: look again at the end."""
    for summary in sorted(session.info.pop("summary_remark", ())):
        mark_all(session, summary)


@event.listens_for(Session, "after_transaction_end")
def _forget(session: Session, transaction: Any) -> None:
    """A rolled-back savepoint takes its marks along, so none may count as written any more."""
    session.info.pop("summary_marks", None)
    if transaction.parent is None:
        session.info.pop("summary_zone", None)
        session.info.pop("summary_remark", None)


def _keep_old(_instance: Any, _value: Any, _old: Any, _initiator: Any) -> None:
    """Listening with ``active_history`` makes the mapper load an old value that a partly loaded row does not hold."""


for _attribute in (
    Deal.closed_on, Deal.outcome, Order.ordered_at, OrderLine.order_id, *(getattr(Ticket, key) for key in MOMENTS)
):  # fmt: skip
    event.listen(_attribute, "set", _keep_old, active_history=True)
