"""Lines of deals and orders: what is sold, how much of it, at which price. Checked in one place, shown within what the viewer may see."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlmodel import Session

from crm_core import records
from crm_core.access import Actor
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit.money import line_total
from crm_core.kit.text import clean
from crm_core.models import DealLine, OrderLine, Product

MAX_LINES = 200
MAX_TOTAL = 9 * 10**15
"""Largest amount of a line in minor units."""


@dataclass(frozen=True)
class LineView:
    """A line as screens show it. Prices in minor units; None where amounts are hidden from the viewer."""

    id: int
    product_id: int | None
    name: str
    quantity: Decimal
    unit_price_minor: int | None
    discount_pct: Decimal
    total_minor: int | None


def views(rows: Iterable[DealLine | OrderLine], *, hidden: bool) -> list[LineView]:
    """The lines, without their prices where the amount of the record is hidden."""
    return [
        LineView(
            row.id or 0,
            row.product_id,
            row.name,
            row.quantity,
            None if hidden else row.unit_price_minor,
            Decimal(0) if hidden else row.discount_pct,
            None if hidden else row.total_minor,
        )
        for row in rows
    ]


def refuse_stale(word: str, now: Sequence[LineView], *, stale: bool, base_lines: Sequence[LineView] | None) -> None:
    """Raise Conflict when somebody else changed the record (``stale``); where the caller says with which lines it was drawn, only when these
    are others now: a change of another field does them no harm. ``details["lines"]``: the lines as they stand."""
    if base_lines is not None:  # saved again as they were, lines have other ids and nothing else
        stale = [replace(line, id=0) for line in now] != [replace(line, id=0) for line in base_lines]
    if stale:
        sentence = f"Somebody else changed this {word} meanwhile. Look at the new state before you save the products."
        raise Conflict(sentence, lines=list(now))


def refuse_hidden(actor: Actor, entity: str, field: str) -> None:
    """Whoever does not see the amounts can't write them: saving would put zeros where prices stood. Nor can who may only read them."""
    if actor.masked(entity, field):
        raise Invalid("Amounts are hidden from your role, so you can't change the products.")
    if actor.locked(entity, field):
        raise Invalid("Amounts are read-only for your role, so you can't change the products.")


def priced(session: Session, actor: Actor, position: int, row: Mapping[str, Any], kept: Collection[int | None]) -> dict[str, Any]:
    """The checked columns of a line: product, name, quantity, price, discount and total. Raises Invalid naming the line.

    ``kept``: products of the lines as they stand, which stay allowed though they left the catalogue or the viewer's sight.
    """
    where = f"Line {position + 1}"
    product = _product(session, actor, row.get("product_id"), kept)
    name = clean(str(row.get("name") or (product.name if product else "")))[:300]
    if not name or (row.get("product_id") and product is None):
        raise Invalid(f"{where}: choose a product or write what is sold.")
    try:
        quantity = Decimal(str(row.get("quantity") if row.get("quantity") is not None else 1)).quantize(Decimal("0.001"))
        discount = Decimal(str(row.get("discount_pct") or 0)).quantize(Decimal("0.001"))
        given = row.get("unit_price_minor")
        price = int(given) if given is not None else (product.price_minor if product else 0)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise Invalid(f"{where}: quantity, price and discount must be numbers.") from error
    if not (quantity.is_finite() and discount.is_finite()):
        raise Invalid(f"{where}: quantity, price and discount must be numbers.")
    if quantity * price >= MAX_TOTAL:
        raise Invalid(f"{where}: quantity times price is too large an amount.")
    if not 0 < quantity < 10**9 or not 0 <= discount <= 100 or not 0 <= price < 10**14:
        raise Invalid(f"{where}: the quantity must be above zero, the price not negative and the discount between 0 and 100 %.")
    return {
        "product_id": product.id if product else None,
        "name": name,
        "quantity": quantity,
        "unit_price_minor": price,
        "discount_pct": discount,
        "total_minor": line_total(quantity, price, discount),
    }


def _product(session: Session, actor: Actor, product_id: Any, kept: Collection[int | None]) -> Product | None:
    if not product_id:
        return None
    if product_id in kept:
        return session.get(Product, product_id)
    try:
        return records.get(session, actor, "product", product_id)
    except (NotFound, NotPermitted):
        return None
