"""Orders: take in, change lines and status, cancel."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, col, select

from crm_core import events, records
from crm_core.access import Actor
from crm_core.errors import Conflict, Invalid
from crm_core.fields import parse_one
from crm_core.kit import clock
from crm_core.models import Order, OrderLine
from crm_core.services.sales import lines as line_rules
from crm_core.services.sales import redeeming
from crm_core.services.sales.lines import MAX_LINES, LineView
from crm_core.vocabulary import Action, OrderStatus, ReleaseReason

_NEXT = {
    OrderStatus.DRAFT: (OrderStatus.PLACED, OrderStatus.CANCELLED),
    OrderStatus.PLACED: (OrderStatus.FULFILLED, OrderStatus.CANCELLED),
    OrderStatus.FULFILLED: (),
    OrderStatus.CANCELLED: (OrderStatus.DRAFT,),
}


def get(session: Session, actor: Actor, order_id: int | None, *, action: Action = Action.READ) -> Order:
    """The order, or NotFound."""
    return records.get(session, actor, "order", order_id, action=action)


def create(session: Session, actor: Actor, values: Mapping[str, Any], *, submit_key: str | None = None) -> Order:
    """Take an order in; without a number it gets the next one."""
    given = {"ordered_at": clock.utcnow(), **{key: value for key, value in values.items() if value is not None}}
    if not given.get("number"):
        given["number"] = records.next_number(session, Order, "O")
    given.pop("total_minor", None)
    filled = {"ordered_at", "number"} - {key for key, value in values.items() if value not in (None, "")}
    return records.create(session, actor, "order", given, submit_key=submit_key, fixed={"currency": actor.currency}, filled=filled)


def update(
    session: Session, actor: Actor, order_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change facts of an order; its total follows the lines."""
    order = get(session, actor, order_id, action=Action.EDIT)
    status = parse_one("order", "status", changes.get("status"))
    if status is not None and status is not order.status and status not in _NEXT[order.status]:
        raise Invalid(fields={"status": f"An order that is {order.status.label.lower()} can't become {status.label.lower()}."})
    if "total_minor" in changes and _lines(session, order_id):
        raise Invalid(fields={"total_minor": "The total is the sum of the lines; change those."})
    before = order.status
    saved = records.update(session, actor, "order", order_id, changes, base_version=base_version)
    if {"account_id", "contact_id"} & set(saved.changed):
        redeeming.follow_customer(session, order)
    if order.status is not before and order.status is OrderStatus.CANCELLED:
        redeeming.give_back(session, actor, order, ReleaseReason.CANCELLED)
    elif before is OrderStatus.CANCELLED and order.status is not before:
        redeeming.take_again(session, actor, order)
    return saved


def archive(session: Session, actor: Actor, order_id: int, *, base_version: int | None = None) -> Order:
    """Move an order to the bin; its discount code is free again. Events: order.code_released."""
    order: Order = records.archive(session, actor, "order", order_id, base_version=base_version)
    redeeming.give_back(session, actor, order, ReleaseReason.DELETED)
    return order


def restore(session: Session, actor: Actor, order_id: int) -> Order:
    """Take an order back from the bin, with its discount where that can still be given; else at the full price.
    Events: order.code_redeemed, order.code_released."""
    order: Order = records.restore(session, actor, "order", order_id)
    redeeming.take_again(session, actor, order)
    return order


def next_states(order_status: OrderStatus) -> tuple[OrderStatus, ...]:
    """The states into which an order may go from here."""
    return _NEXT[order_status]


def move(session: Session, actor: Actor, order_id: int, status: OrderStatus, *, base_version: int | None = None) -> Order:
    """Place, fulfil, cancel an order or take it back to draft. The same as choosing the status in the form."""
    return update(session, actor, order_id, {"status": status.value}, base_version=base_version).record


def lines(session: Session, actor: Actor, order_id: int) -> list[LineView]:
    """The products of an order; without prices where the total is hidden from the actor."""
    get(session, actor, order_id)
    return line_rules.views(actor, _lines(session, order_id), hidden=actor.masked("order", "total_minor"))


def _lines(session: Session, order_id: int) -> list[OrderLine]:
    return list(session.exec(select(OrderLine).where(OrderLine.order_id == order_id).order_by(col(OrderLine.id))))


def set_lines(
    session: Session,
    actor: Actor,
    order_id: int,
    rows: Sequence[Mapping[str, Any]],
    *,
    base_version: int | None = None,
    base_lines: Sequence[LineView] | None = None,
) -> Order:
    """Replace the products of an order that is not done; the total follows, and a discount code takes its part off the new ones."""
    order = get(session, actor, order_id, action=Action.EDIT)
    line_rules.refuse_stale(
        "order", lines(session, actor, order_id), stale=base_version not in (None, order.version), base_lines=base_lines
    )
    if order.status in (OrderStatus.FULFILLED, OrderStatus.CANCELLED):
        raise Conflict(f"This order is {order.status.label.lower()}; its products stay as they are.")
    if len(rows) > MAX_LINES:
        raise Invalid(f"An order can have at most {MAX_LINES} lines.")
    line_rules.refuse_hidden(actor, "order", "total_minor")
    before_lines = _lines(session, order_id)
    kept = {line.product_id: line.name for line in before_lines}
    made = [
        OrderLine(order_id=order_id, **line_rules.priced(session, actor, position, row, kept)) for position, row in enumerate(rows)
    ]
    for old in before_lines:
        session.delete(old)
    session.add_all(made)
    session.flush()
    redeeming.reprice(session, actor, order, made)
    before, summed = {key: getattr(order, key) for key in ("total_minor", "tax_minor")}, line_rules.sums(made)
    order.total_minor, order.tax_minor = summed.net, summed.tax
    order.updated_at = clock.utcnow()
    session.add(order)
    session.flush()
    changes = {key: (old, getattr(order, key)) for key, old in before.items() if old != getattr(order, key)}
    events.record(session, actor, "order.updated", order, changes=changes, data={"lines": len(made)})
    return order
