"""What an offer is worth and whether it can be delivered: margin and stock of products. What is not known stays unknown, never zero."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.models import Product
from crm_core.vocabulary import Action

_PRODUCTS: Any = Product.__table__  # type: ignore[attr-defined]
LIKELIEST, WORTHIEST = "likely", "margin"
ORDERS = {LIKELIEST: "The likeliest first", WORTHIEST: "The highest expected margin first"}


@dataclass(frozen=True)
class Worth:
    """One product, or several offered together, in minor units at list price. None is what nobody wrote down, or what the reader's role hides."""

    price_minor: int | None
    cost_minor: int | None
    stock: int | None

    @property
    def margin_minor(self) -> int | None:
        """List price − cost."""
        return None if self.cost_minor is None or self.price_minor is None else self.price_minor - self.cost_minor

    @property
    def margin_share(self) -> float | None:
        """Margin ÷ list price; None without a price, too."""
        margin = self.margin_minor
        return None if margin is None or not self.price_minor or self.price_minor <= 0 else margin / self.price_minor

    def expected_minor(self, chance: float) -> int | None:
        """Margin × probability."""
        margin = self.margin_minor
        return None if margin is None else round(margin * chance)


@dataclass(frozen=True)
class Limits:
    """Which offers are made, and which first. ``in_stock`` leaves out what is known to be sold out; ``least_margin_pct`` also what has no known
    margin, as nobody can say that it reaches the limit."""

    in_stock: bool = False
    least_margin_pct: float = 0.0
    order: str = LIKELIEST

    @property
    def narrow(self) -> bool:
        return self.in_stock or self.least_margin_pct > 0

    def refuses(self, worth: Worth | None) -> str:
        """Why this is not offered: "stock", "margin" or "unknown" (its margin); "" where it is."""
        if self.in_stock and worth is not None and worth.stock is not None and worth.stock <= 0:
            return "stock"
        if self.least_margin_pct <= 0:
            return ""
        share = worth.margin_share if worth is not None else None
        return "unknown" if share is None else "margin" if share * 100 < self.least_margin_pct else ""

    def rank(self, worth: Worth | None, chance: float) -> tuple[int, float]:
        """Sort key, the best first: by expected margin with what is unknown last, or by chance."""
        if self.order != WORTHIEST:
            return (0, -chance)
        expected = worth.expected_minor(chance) if worth is not None else None
        return (1, -chance) if expected is None else (0, -expected)


def limits_of(params: Mapping[str, Any]) -> Limits:
    """The limits of a run; older ones had none."""
    return Limits(
        bool(params.get("in_stock")), float(params.get("least_margin_pct") or 0), str(params.get("offer_order") or LIKELIEST)
    )


def hides_costs(actor: Actor) -> bool:
    """Whether margins are hidden from this person."""
    return actor.masked("product", "cost_minor") or actor.masked("product", "price_minor")


def worths(session: Session, actor: Actor, ids: Collection[int] | None = None) -> dict[int, Worth]:
    """What is known of the products that the actor may see (of some of them), only as far as it is not masked."""
    require(actor, "product", Action.READ)
    hidden: dict[str, Any] = {key: None for key in ("price_minor", "cost_minor", "stock") if actor.masked("product", key)}
    found = everyones(session, actor, ids)
    return {key: replace(one, **hidden) for key, one in found.items()} if hidden else found


def everyones(session: Session, actor: Actor, ids: Collection[int] | None = None) -> dict[int, Worth]:
    """The same without masks, to decide by and never to show: a limit that was set holds for whoever looks."""
    require(actor, "product", Action.READ)
    query = select(_PRODUCTS.c.id, _PRODUCTS.c.price_minor, _PRODUCTS.c.cost_minor, _PRODUCTS.c.stock)
    query = query.where(visible(actor, "product", _PRODUCTS))
    if ids is not None:
        query = query.where(_PRODUCTS.c.id.in_(ids))
    return {row.id: Worth(row.price_minor, row.cost_minor, row.stock) for row in session.execute(query)}


def together(known: Mapping[int, Worth], items: Iterable[int]) -> Worth | None:
    """Several products offered at once: prices and costs added, the scarcest stock. One unknown makes the whole unknown."""
    found = [known.get(int(item)) for item in items]
    if not found or any(one is None for one in found):
        return None
    parts = [one for one in found if one is not None]
    prices, costs, stocks = ([getattr(one, key) for one in parts] for key in ("price_minor", "cost_minor", "stock"))
    price = None if None in prices else sum(prices)
    cost = None if None in costs else sum(each for each in costs if each is not None)
    stock = min((each for each in stocks if each is not None), default=None)
    if None in stocks and stock != 0:
        stock = None
    return Worth(price, cost, stock)
