"""What a customer has from us, as orders and tickets tell it: products, serial numbers, how often something was wrong with them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import case, func, select
from sqlmodel import Session

from crm_core import lists, records
from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.models import OrderLine
from crm_core.services.helpdesk.ticket_rules import DONE
from crm_core.vocabulary import SOLD, Action

_LINES: Any = OrderLine.__table__  # type: ignore[attr-defined]
SHOWN = 50


@dataclass(frozen=True)
class Serial:
    """One serial number that tickets of the customer name, with the number of these tickets and the latest one."""

    number: str
    tickets: int
    latest_id: int


@dataclass(frozen=True)
class Installed:
    """One product at a customer. ``bought`` and ``last_bought_at`` are None where no order that the reader may see holds it; ``product_id`` is None for
    serial numbers of tickets that name no product."""

    product_id: int | None
    name: str
    bought: Decimal | None
    last_bought_at: datetime | None
    tickets: int
    open_tickets: int
    serials: tuple[Serial, ...]


def at_account(session: Session, actor: Actor, account_id: int) -> list[Installed]:
    """Products that the account ordered or wrote tickets about, those with tickets first; each within what the actor may see."""
    records.get(session, actor, "account", account_id)
    bought = _bought(session, actor, account_id)
    told = _told(session, actor, account_id)
    ids = [key for key in {*bought, *told} if key is not None]
    names = lists.titles(session, actor, "product", ids) if ids and actor.can("product", Action.READ) else {}
    rows = []
    for key in {*bought, *told}:
        quantity, last = bought.get(key, (None, None))
        serials = told.get(key, [])
        named = tuple(Serial(number, total, latest) for number, total, _open, latest in serials if number)
        counted, waiting = sum(total for _n, total, _o, _l in serials), sum(left for _n, _t, left, _l in serials)
        name = names.get(key, "A hidden product") if key is not None else "No product named"
        rows.append(Installed(key, name, quantity, last, counted, waiting, named))
    return sorted(rows, key=lambda one: (-one.open_tickets, -one.tickets, one.name.casefold(), one.product_id or 0))[:SHOWN]


def _bought(session: Session, actor: Actor, account_id: int) -> dict[int | None, tuple[Decimal, datetime]]:
    if not actor.can("order", Action.READ):
        return {}
    orders = entity("order").table
    query = (
        select(_LINES.c.product_id, func.sum(_LINES.c.quantity), func.max(orders.c.ordered_at))
        .join(orders, orders.c.id == _LINES.c.order_id)
        .where(
            orders.c.account_id == account_id,
            orders.c.status.in_(SOLD),
            _LINES.c.product_id.is_not(None),
            visible(actor, "order", orders),
        )
        .group_by(_LINES.c.product_id)
    )
    return {product: (Decimal(quantity), at) for product, quantity, at in session.execute(query)}


def _told(session: Session, actor: Actor, account_id: int) -> dict[int | None, list[tuple[str, int, int, int]]]:
    """Product → (serial number or "", tickets, open ones, the latest)."""
    if not actor.can("ticket", Action.READ):
        return {}
    tickets = entity("ticket").table
    serial = func.coalesce(tickets.c.serial_number, "")
    waiting = func.sum(case((tickets.c.status.not_in(DONE), 1), else_=0))
    query = (
        select(tickets.c.product_id, serial, func.count(), waiting, func.max(tickets.c.id))
        .where(tickets.c.account_id == account_id, visible(actor, "ticket", tickets))
        .where(tickets.c.product_id.is_not(None) | tickets.c.serial_number.is_not(None))
        .group_by(tickets.c.product_id, serial)
        .order_by(func.max(tickets.c.id).desc())
    )
    hidden = actor.masked("ticket", "serial_number")
    found: dict[int | None, list[tuple[str, int, int, int]]] = {}
    for product, number, total, left, latest in session.execute(query):
        found.setdefault(product, []).append(("" if hidden else number, int(total), int(left or 0), int(latest)))
    return found
