"""Orders, their lines and conversions as the frames that ``ml.contracts`` describes, within the actor's scope."""

from datetime import datetime
from typing import Any, Literal

import pandas as pd
from sqlalchemy import ColumnElement, Select, and_, select, true
from sqlmodel import Session

from crm_core import persons
from crm_core.access import Actor, require, visible
from crm_core.frames.read import read_frame
from crm_core.kit.money import exponent
from crm_core.models import Deal, Order, OrderLine, Product, ProductCategory
from crm_core.vocabulary import SOLD, Action, StageKind

Customer = Literal["contact", "account"]

_ORDERS: Any = Order.__table__  # type: ignore[attr-defined]
_LINES: Any = OrderLine.__table__  # type: ignore[attr-defined]
_PRODUCTS: Any = Product.__table__  # type: ignore[attr-defined]
_CATEGORIES: Any = ProductCategory.__table__  # type: ignore[attr-defined]
_DEALS: Any = Deal.__table__  # type: ignore[attr-defined]


def _major(minor: pd.Series, actor: Actor) -> pd.Series:
    return minor.astype(float) / 10 ** exponent(actor.currency)


def _in_scope(actor: Actor, customer: Customer | None, since: datetime | None, until: datetime | None) -> ColumnElement[bool]:
    """Placed and fulfilled orders of known customers (or of anybody) that the actor may see, from ``since`` until before ``until``."""
    require(actor, "order", Action.READ)
    parts = [visible(actor, "order", _ORDERS), _ORDERS.c.status.in_(SOLD)]
    parts += [_ORDERS.c[f"{customer}_id"].is_not(None)] if customer else []
    parts += [_ORDERS.c.ordered_at >= since] if since else []
    parts += [_ORDERS.c.ordered_at < until] if until else []
    return and_(*parts)


def orders(
    session: Session, actor: Actor, *, customer: Customer = "contact", since: datetime | None = None, until: datetime | None = None
) -> pd.DataFrame:
    """ORDERS: order_id, customer_id, ordered_at (UTC), revenue (major units of the workspace's currency). Guests are left out."""
    frame = read_frame(session, orders_query(actor, customer=customer, since=since, until=until))
    frame["revenue"] = _major(frame.pop("total_minor"), actor)
    return frame


def orders_query(
    actor: Actor, *, customer: Customer = "contact", since: datetime | None = None, until: datetime | None = None
) -> Select[Any]:
    """The SELECT behind ``orders``."""
    return (
        select(
            _ORDERS.c.id.label("order_id"),
            _ORDERS.c[f"{customer}_id"].label("customer_id"),
            _ORDERS.c.ordered_at,
            _ORDERS.c.total_minor,
        )
        .where(_in_scope(actor, customer, since, until))
        .order_by(_ORDERS.c.id)
    )


def order_lines(
    session: Session,
    actor: Actor,
    *,
    customer: Customer | None = "contact",
    since: datetime | None = None,
    until: datetime | None = None,
    among: Select[Any] | None = None,
) -> pd.DataFrame:
    """ORDER_LINES: order_id, product_id, quantity, revenue, customer_id, ordered_at, category, unit_price. Lines without a product are left out.

    With ``customer=None`` orders of guests count too, and customer_id may be missing. ``among``: a SELECT of the customers that count.
    """
    frame = read_frame(session, lines_query(actor, customer=customer, since=since, until=until, among=among))
    frame["revenue"] = _major(frame.pop("total_minor"), actor)
    frame["unit_price"] = _major(frame.pop("unit_price_minor"), actor)
    frame["category"] = frame["category"].fillna("No category")
    return frame


def lines_query(
    actor: Actor, *, customer: Customer | None = "contact", since: datetime | None = None, until: datetime | None = None,
    among: Select[Any] | None = None,
) -> Select[Any]:  # fmt: skip
    """The SELECT behind ``order_lines``."""
    who = _ORDERS.c[f"{customer or 'contact'}_id"]
    chosen = true() if among is None else who.in_(among.order_by(None))
    return (
        select(
            _LINES.c.order_id,
            _LINES.c.product_id,
            _LINES.c.quantity,
            _LINES.c.total_minor,
            who.label("customer_id"),
            _ORDERS.c.ordered_at,
            _CATEGORIES.c.name.label("category"),
            _LINES.c.unit_price_minor,
        )
        .join(_ORDERS, _ORDERS.c.id == _LINES.c.order_id)
        .join(_PRODUCTS, _PRODUCTS.c.id == _LINES.c.product_id)
        .outerjoin(_CATEGORIES, _CATEGORIES.c.id == _PRODUCTS.c.category_id)
        .where(_in_scope(actor, customer, since, until), chosen)
        .order_by(_LINES.c.id)
    )


def product_names(session: Session, actor: Actor) -> dict[int, str]:
    """Name of each product that the actor may see, for axes and tables."""
    require(actor, "product", Action.READ)
    rows = session.execute(select(_PRODUCTS.c.id, _PRODUCTS.c.name).where(visible(actor, "product", _PRODUCTS, with_deleted=True)))
    return {product_id: persons.called(actor, "product", product_id, name) for product_id, name in rows.tuples()}


def conversions(
    session: Session,
    actor: Actor,
    *,
    of: Literal["orders", "deals"] = "orders",
    since: datetime | None = None,
    until: datetime | None = None,
) -> pd.DataFrame:
    """CONVERSIONS: customer_id (a contact), at, value. ``deals``: won ones with a main contact, at noon UTC of the closing day."""
    if of == "orders":
        frame = orders(session, actor, since=since, until=until)
        return frame.rename(columns={"ordered_at": "at", "revenue": "value"})[["customer_id", "at", "value"]]
    require(actor, "deal", Action.READ)
    statement = select(_DEALS.c.contact_id.label("customer_id"), _DEALS.c.closed_on, _DEALS.c.amount_minor).where(
        visible(actor, "deal", _DEALS),
        _DEALS.c.outcome == StageKind.WON,
        _DEALS.c.contact_id.is_not(None),
        _DEALS.c.closed_on.is_not(None),
    )
    statement = statement.where(_DEALS.c.closed_on >= since.date()) if since else statement
    statement = statement.where(_DEALS.c.closed_on < until.date()) if until else statement
    frame = read_frame(session, statement.order_by(_DEALS.c.id))
    frame["at"] = frame.pop("closed_on").dt.tz_localize("UTC").dt.as_unit("us") + pd.Timedelta(hours=12)
    frame["value"] = _major(frame.pop("amount_minor"), actor)
    return frame
