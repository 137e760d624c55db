"""Products: what is sold and what it costs."""

from dataclasses import dataclass

from sqlmodel import Session

from crm_core import records
from crm_core.access import Actor


@dataclass(frozen=True)
class Price:
    """A product's name and list price in minor units."""

    name: str
    price_minor: int


def price_of(session: Session, actor: Actor, product_id: int) -> Price:
    """The list price of a product the actor may see."""
    product = records.get(session, actor, "product", product_id)
    return Price(product.name, product.price_minor)
