"""Lines of deals and orders: what is sold, how much of it, at which price, how often. Checked in one place, shown within what the viewer may see.

How it is reckoned: the net amount of one period is quantity × price × (1 − discount), its tax is that times the rate; both are rounded once per
line and period, half to even, as each period is billed on its own. The line's total and tax are those times the number of periods.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlmodel import Session, select

from crm_core import persons, records
from crm_core.access import Actor
from crm_core.errors import Conflict, Invalid
from crm_core.kit.money import line_total, tax_of
from crm_core.kit.text import clean
from crm_core.models import DealLine, OrderLine, Organisation, Product
from crm_core.vocabulary import Billing

MAX_LINES = 200
MAX_TOTAL = 9 * 10**15
"""Largest amount of a line in minor units."""
MAX_PERIODS = 600
MOST_QUANTITY = 10**9
USUAL_PERIODS = {Billing.ONE_TIME: 1, Billing.MONTHLY: 12, Billing.YEARLY: 1}
"""Periods of a line that says nothing about them: a year."""
GIVEN = ("product_id", "name", "quantity", "unit_price_minor", "discount_pct", "billing", "periods", "tax_rate_pct")
"""What a line is made of; the rest follows."""
KEPT = (*GIVEN, "total_minor", "tax_minor")
"""What a line of a deal hands on to the line of the order."""


@dataclass(frozen=True)
class LineView:
    """A line as screens show it. Prices in minor units; None where amounts are hidden from the viewer. ``promotion_minor``: what a discount code takes
    off; the total is after that."""

    id: int
    product_id: int | None
    name: str
    quantity: Decimal
    unit_price_minor: int | None
    discount_pct: Decimal
    total_minor: int | None
    billing: Billing = Billing.ONE_TIME
    periods: int = 1
    tax_rate_pct: Decimal = Decimal(0)
    tax_minor: int | None = 0
    promotion_minor: int | None = 0


@dataclass(frozen=True)
class Sums:
    """What lines come to, in minor units. ``net``: the value of the contract, all periods of all lines; ``once``: the part that is charged once."""

    net: int = 0
    tax: int = 0
    once: int = 0
    monthly: int = 0
    yearly: int = 0

    @property
    def gross(self) -> int:
        return self.net + self.tax


def sums(lines: Iterable[DealLine | OrderLine | LineView]) -> Sums:
    """Net, tax and what recurs. Hidden amounts count as nothing."""
    net = tax = once = yearly = 0
    for line in lines:
        total = line.total_minor or 0
        net, tax = net + total, tax + (line.tax_minor or 0)
        if line.billing is Billing.ONE_TIME:
            once += total
        else:
            yearly += total // line.periods * line.billing.a_year  # a total is a whole number of periods
    return Sums(net, tax, once, round(yearly / 12), yearly)


def given(line: LineView) -> dict[str, Any]:
    """A line as ``set_lines`` takes it."""
    return {key: getattr(line, key) for key in GIVEN}


def views(actor: Actor, rows: Iterable[DealLine | OrderLine], *, hidden: bool) -> list[LineView]:
    """The lines, without their prices where the amount of the record is hidden, and without names of products where these are."""
    return [
        LineView(
            row.id or 0,
            row.product_id,
            shown_name(actor, row.product_id, row.name),
            row.quantity,
            None if hidden else row.unit_price_minor,
            Decimal(0) if hidden else row.discount_pct,
            None if hidden else row.total_minor,
            row.billing,
            row.periods,
            row.tax_rate_pct,
            None if hidden else row.tax_minor,
            None if hidden else getattr(row, "promotion_minor", 0),
        )
        for row in rows
    ]


def shown_name(actor: Actor, product_id: int | None, name: str) -> str:
    """The name of a product on a line, as lists show it; words that stand for no product stay."""
    return name if product_id is None else persons.called(actor, "product", product_id, name)


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


def priced(session: Session, actor: Actor, position: int, row: Mapping[str, Any], kept: Mapping[int | None, str]) -> dict[str, Any]:
    """The checked columns of a line: product, name, quantity, price, discount, terms, tax and total. Raises Invalid naming the line, also where it would
    take over what the actor's role hides of the product.

    ``kept``: products of the lines as they stand and the names that they have there; they stay allowed though they left the catalogue or the viewer's sight.
    """
    where = f"Line {position + 1}"
    product = _product(session, actor, row.get("product_id"), kept)
    said = row.get("name") or (product.name if product else "")
    if product and actor.masked("product", "name"):  # what stands for a name that was not seen is not written
        said = kept.get(product.id, product.name)
    name = clean(str(said))[:300]
    if not name or (row.get("product_id") and product is None):
        raise Invalid(f"{where}: choose a product or write what is sold.")
    try:
        quantity = Decimal(str(row.get("quantity") if row.get("quantity") is not None else 1)).quantize(Decimal("0.001"))
        discount = Decimal(str(row.get("discount_pct") or 0)).quantize(Decimal("0.001"))
        given = row.get("unit_price_minor")
        if given is None and product and actor.masked("product", "price_minor"):
            raise Invalid(f"{where}: list prices are hidden from your role, so type the price.")
        price = int(given) if given is not None else (product.price_minor if product else 0)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise Invalid(f"{where}: quantity, price and discount must be numbers.") from error
    if not (quantity.is_finite() and discount.is_finite()):
        raise Invalid(f"{where}: quantity, price and discount must be numbers.")
    if quantity * price >= MAX_TOTAL:
        raise Invalid(f"{where}: quantity times price is too large an amount.")
    if not 0 < quantity < MOST_QUANTITY or not 0 <= discount <= 100 or not 0 <= price < 10**14:
        raise Invalid(f"{where}: the quantity must be above zero, the price not negative and the discount between 0 and 100%.")
    billing, periods = _terms(where, row, product)
    rate = _rate(session, actor, where, row, product)
    net = line_total(quantity, price, discount)
    if net * periods >= MAX_TOTAL:
        raise Invalid(f"{where}: quantity times price times periods is too large an amount.")
    return {
        "product_id": product.id if product else None,
        "name": name,
        "quantity": quantity,
        "unit_price_minor": price,
        "discount_pct": discount,
        "billing": billing,
        "periods": periods,
        "tax_rate_pct": rate,
        "total_minor": net * periods,
        "tax_minor": tax_of(net, rate) * periods,
    }


def _terms(where: str, row: Mapping[str, Any], product: Product | None) -> tuple[Billing, int]:
    """How often the line is charged, and how many times; as the product says where the row says nothing."""
    try:
        billing = Billing(row["billing"]) if row.get("billing") else product.billing if product else Billing.ONE_TIME
    except ValueError as error:
        raise Invalid(f"{where}: a line is charged once, every month or every year.") from error
    said = row.get("periods")
    periods = USUAL_PERIODS[billing] if said is None else said
    if isinstance(periods, bool) or not isinstance(periods, int) or not 1 <= periods <= MAX_PERIODS:
        raise Invalid(f"{where}: the number of periods is a whole number from 1 to {MAX_PERIODS}.")
    if billing is Billing.ONE_TIME and periods != 1:
        raise Invalid(f"{where}: what is charged once has one period.")
    return billing, periods


def _rate(session: Session, actor: Actor, where: str, row: Mapping[str, Any], product: Product | None) -> Decimal:
    """The tax rate of the line: its own, the product's, or the usual one of the workspace."""
    said: Any = row.get("tax_rate_pct")
    if said is None:
        if product and actor.masked("product", "tax_rate_pct"):
            raise Invalid(f"{where}: tax rates of products are hidden from your role, so type the rate.")
        said = usual_rate(session, product)
    try:
        rate = Decimal(str(said)).quantize(Decimal("0.001"))
    except InvalidOperation as error:
        raise Invalid(f"{where}: the tax rate must be a number.") from error
    if not rate.is_finite() or not 0 <= rate <= 100:
        raise Invalid(f"{where}: the tax rate lies between 0 and 100%.")
    return rate


def usual_rate(session: Session, product: Product | None) -> float:
    """The rate with which a line of this product begins."""
    if product is not None and product.tax_rate_pct is not None:
        return product.tax_rate_pct
    return session.exec(select(Organisation.tax_rate_pct)).first() or 0.0


def _product(session: Session, actor: Actor, product_id: Any, kept: Mapping[int | None, str]) -> Product | None:
    if not product_id:
        return None
    if product_id in kept:
        return session.get(Product, product_id)
    return records.found(session, actor, "product", product_id)
