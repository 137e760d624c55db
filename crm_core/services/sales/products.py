"""Products: what is sold, what it costs, how much of it was sold."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, select
from sqlmodel import Session

from crm_core import records, summaries
from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.models import OrderLine
from crm_core.services.sales.lines import shown_name, usual_rate
from crm_core.vocabulary import SOLD, Action, Billing, Scope


@dataclass(frozen=True)
class Price:
    """What a new line takes over from a product: name, list price in minor units, terms, tax rate; None for what the reader's role hides."""

    name: str
    price_minor: int | None
    billing: Billing
    tax_rate_pct: float | None


def price_of(session: Session, actor: Actor, product_id: int) -> Price:
    """The list price of a product the actor may see."""
    product = records.get(session, actor, "product", product_id)
    price = None if actor.masked("product", "price_minor") else product.price_minor
    rate = None if actor.masked("product", "tax_rate_pct") else usual_rate(session, product)
    return Price(shown_name(actor, product.id, product.name), price, product.billing, rate)


@dataclass(frozen=True)
class ProductSales:
    """What was sold of a product in placed and fulfilled orders that the actor may see. Revenue in minor units."""

    orders: int
    quantity: Decimal
    revenue_minor: int


def sales(session: Session, actor: Actor, product_id: int) -> ProductSales | None:
    """The figures on top of a product's page; None for somebody who may not see orders."""
    records.get(session, actor, "product", product_id)
    if not actor.can("order", Action.READ):
        return None
    total = summaries.product_total(session, product_id) if Scope.ALL in actor.scopes("order", Action.READ) else None
    if total is not None:
        return ProductSales(total[0], Decimal(total[1]) / 1000, total[2])
    return _from_lines(session, actor, product_id)


def _from_lines(session: Session, actor: Actor, product_id: int) -> ProductSales:
    line, order = OrderLine.__table__, entity("order").table  # type: ignore[attr-defined]
    clause = (line.c.product_id == product_id) & order.c.status.in_(SOLD)
    query = select(
        func.count(line.c.order_id.distinct()),
        func.coalesce(func.sum(line.c.quantity), 0),
        func.coalesce(func.sum(line.c.total_minor), 0),
    ).select_from(line.join(order, order.c.id == line.c.order_id))
    row = session.execute(query.where(clause, visible(actor, "order", order))).one()
    return ProductSales(int(row[0]), Decimal(row[1]), int(row[2]))
