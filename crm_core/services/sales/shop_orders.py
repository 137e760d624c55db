"""What a shop's message means here: account, contact, products, order with its lines, touchpoint. All as the person who acts for the shop.

The shop is the source of truth for its orders: its newest message holds, an older one that comes late changes nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select as choose
from sqlmodel import Session, col, select

from crm_core import access, events, records
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import CrmError, Invalid
from crm_core.fields import parse, registry
from crm_core.format import money
from crm_core.jobs import enqueue
from crm_core.kit import clock
from crm_core.kit.money import line_total
from crm_core.kit.text import clip, email_key, fold
from crm_core.matching import name_key
from crm_core.models import Contact, MatchKey, Order, OrderLine, Shop, ShopLink, Touchpoint
from crm_core.services.customers import accounts, contacts
from crm_core.services.sales import orders, redeeming, shop_rules
from crm_core.services.sales.shop_rules import Cart, Line, Person, Refund, ShopOrder
from crm_core.vocabulary import AccountKind, Action, Channel, OrderStatus, ReleaseReason, ShopState, Via

_KEYS: Any = MatchKey.__table__  # type: ignore[attr-defined]
_SOURCES = ("online shop", "web shop", "shop", "online", "website", "web")


def apply(session: Session, actor: Actor, shop: Shop, topic: str, payload: Mapping[str, Any]) -> tuple[ShopState, int | None]:
    """Take one message in; gives what became of it and the order. Raises Invalid or NotPermitted with the reason."""
    require(actor, "order", Action.CREATE)
    if topic in shop_rules.REFUNDS:
        return _refund(session, actor, shop, payload)
    if topic in shop_rules.CARTS:
        return _cart(session, shop, shop_rules.cart_of(payload)), None
    if topic in shop_rules.DELETED:
        return _deleted(session, actor, shop, payload)
    return _order(session, actor, shop, shop_rules.order_of(shop.kind, payload))


def _link(session: Session, shop: Shop, kind: str, external_id: str) -> ShopLink | None:
    query = select(ShopLink).where(ShopLink.shop_id == shop.id, ShopLink.kind == kind, ShopLink.external_id == external_id)
    return session.exec(query).first()


# --- orders -----------------------------------------------------------------------------------------------------------------------


def _order(session: Session, actor: Actor, shop: Shop, given: ShopOrder) -> tuple[ShopState, int]:
    if given.currency != actor.currency:
        raise Invalid(f"The order is in {given.currency}, this workspace counts in {actor.currency}.")
    link = _link(session, shop, "order", given.external_id)
    if link is not None and link.changed_at is not None and given.changed_at < link.changed_at:
        return ShopState.OLDER, link.record_id or 0
    if link is None:
        link = ShopLink(shop_id=shop.id, kind="order", external_id=given.external_id)
        order = _new(session, actor, shop, given)
        _touch(session, shop, order, given)
    else:
        order = records.get(session, actor, "order", link.record_id, action=Action.EDIT)
        changes = {"status": given.status.value, "ordered_at": given.placed_at, "description": given.note or order.description}
        order = records.update(session, actor, "order", order.id, changes).record
    _set_lines(session, actor, shop, order, given)
    redeeming.from_shop(session, actor, order, given.coupons)
    link.record_id, link.changed_at, link.title = order.id, given.changed_at, given.number
    link.facts = _facts(given)
    session.add(link)
    if given.cart and (cart := _link(session, shop, "cart", given.cart)) is not None:
        cart.record_id = order.id
        session.add(cart)
    session.flush()
    return ShopState.DONE, order.id


def _facts(given: ShopOrder) -> dict[str, Any]:
    """What a later refund needs to know of the lines."""
    lines = [
        [one.external_id, one.product, one.sku, one.name, str(one.quantity), one.total_minor] for one in given.lines
    ]  # as small as it gets: one row per order
    return {"lines": lines, "total": given.total_minor, "refunds": list(given.refunds), "number": given.number}


def _new(session: Session, actor: Actor, shop: Shop, given: ShopOrder) -> Order:
    contact = _contact(session, actor, given.person)
    account_id = _account(session, actor, given.person) or (contact.account_id if contact is not None else None)
    sources = registry(session, "order")["source"].options or {}
    values: dict[str, Any] = {
        "number": _number(session, shop, given), "status": given.status.value, "ordered_at": given.placed_at, "campaign_id": shop.campaign_id,
        "account_id": account_id, "contact_id": contact.id if contact is not None else None, "description": given.note or None,
        "source": next((value for word in _SOURCES for value in sources if fold(value) == word), None),
    }  # fmt: skip
    return orders.create(session, actor, values)


def _number(session: Session, shop: Shop, given: ShopOrder) -> str:
    taken = session.exec(select(Order.id).where(Order.number == given.number)).first()
    return given.number if taken is None else f"{given.number}-{shop.id}-{given.external_id}"[:40]


def _set_lines(session: Session, actor: Actor, shop: Shop, order: Order, given: ShopOrder) -> None:
    """Lines and total as the shop has them, whatever the status: the rule that a done order stays as it is protects people from themselves."""
    rows = []
    for line, name, quantity, price in shop_rules.rows_of(given):
        product_id = _product(session, actor, shop, line) if line is not None else None
        rows.append((product_id, name, quantity, price))
    before = session.exec(select(OrderLine).where(OrderLine.order_id == order.id).order_by(col(OrderLine.id))).all()
    if [(one.product_id, one.name, one.quantity, one.unit_price_minor) for one in before] == rows:
        return
    for one in before:
        session.delete(one)
    for product_id, name, quantity, price in rows:
        total = line_total(quantity, price)
        session.add(
            OrderLine(
                order_id=order.id, product_id=product_id, name=name, quantity=quantity, unit_price_minor=price, total_minor=total
            )
        )
    total = sum(line_total(quantity, price) for _, _, quantity, price in rows)
    if (total, 0) != (order.total_minor, order.tax_minor):  # what a shop says was paid holds its tax already
        fixed = {"total_minor": total, "tax_minor": 0}
        records.update(session, actor, "order", order.id, {}, fixed=fixed, event_data={"lines": len(rows)})
    session.flush()


def _touch(session: Session, shop: Shop, order: Order, given: ShopOrder) -> None:
    if order.contact_id is not None:
        session.add(
            Touchpoint(
                contact_id=order.contact_id, channel=given.channel, campaign_id=shop.campaign_id, at=given.placed_at, kind="order",
                url=given.url or None,
            )
        )  # fmt: skip


def _refund(session: Session, actor: Actor, shop: Shop, payload: Mapping[str, Any]) -> tuple[ShopState, int]:
    refund = shop_rules.refund_of(payload, actor.currency)
    link = _link(session, shop, "order", refund.order_id)
    if link is None or link.record_id is None:
        raise Invalid("The order of this refund is not here yet. Try again once it is.")
    if refund.external_id in link.facts["refunds"]:
        return ShopState.OLDER, link.record_id
    order = records.get(session, actor, "order", link.record_id, action=Action.EDIT)
    given = _refunded(order, link, refund)
    if given.total_minor <= 0 and order.status is not OrderStatus.CANCELLED:
        records.update(session, actor, "order", order.id, {"status": OrderStatus.CANCELLED.value})
        redeeming.give_back(session, actor, order, ReleaseReason.CANCELLED)
    _set_lines(session, actor, shop, order, given)
    link.facts = _facts(given)
    session.add(link)
    session.flush()
    return ShopState.DONE, order.id


def _refunded(order: Order, link: ShopLink, refund: Refund) -> ShopOrder:
    lines = []
    for external_id, product, sku, name, quantity, total in link.facts["lines"]:
        ordered = Decimal(quantity)
        left = max(ordered - refund.quantities.get(external_id, Decimal(0)), Decimal(0))
        lines.append(Line(external_id, product, sku, name, left, int(total * left / ordered) if ordered else 0))
    total = max(int(link.facts["total"]) - refund.amount_minor, 0)
    return ShopOrder(
        link.external_id, link.title, link.changed_at or order.ordered_at, order.ordered_at, order.status, order.currency, total, Person(),
        tuple(lines), refunds=(*link.facts["refunds"], refund.external_id),
    )  # fmt: skip


def _deleted(session: Session, actor: Actor, shop: Shop, payload: Mapping[str, Any]) -> tuple[ShopState, int | None]:
    link = _link(session, shop, "order", str(payload.get("id") or ""))
    if link is None or link.record_id is None:
        return ShopState.IGNORED, None
    order = records.get(session, actor, "order", link.record_id, action=Action.EDIT)
    if order.status is not OrderStatus.CANCELLED:
        records.update(session, actor, "order", order.id, {"status": OrderStatus.CANCELLED.value})
        redeeming.give_back(session, actor, order, ReleaseReason.CANCELLED)
    return ShopState.DONE, order.id


# --- who and what -----------------------------------------------------------------------------------------------------------------


def _known(session: Session, actor: Actor, entity_key: str, kind: str, key: str) -> Any:
    """The record with this match key that the actor may see, the oldest."""
    found, keys = (
        entity(entity_key),
        choose(_KEYS.c.record_id).where(_KEYS.c.entity == entity_key, _KEYS.c.kind == kind, _KEYS.c.key == key),
    )
    clause = found.table.c.id.in_(keys) & visible(actor, entity_key, found.table)
    return session.exec(select(found.model).where(clause).order_by(found.table.c.id)).first()


def _contact(session: Session, actor: Actor, person: Person) -> Contact | None:
    if not (person.email or person.name):
        return None
    known = _known(session, actor, "contact", "email", email_key(person.email)[:250]) if person.email else None
    if known is not None:
        return known
    facts = {"email": person.email, "phone": person.phone, "city": person.city, "country": person.country}
    return contacts.create(
        session,
        actor,
        {"name": person.name or person.email, "account_id": _account(session, actor, person), **_usable(session, "contact", facts)},
    )


def _usable(session: Session, entity_key: str, facts: Mapping[str, str]) -> dict[str, str]:
    """Facts that the fields take; a phone number that is none must not cost the order."""
    specs, good = registry(session, entity_key), {}
    for key, value in facts.items():
        try:
            if value and parse(specs[key], value):
                good[key] = value
        except ValueError:
            continue
    return good


def _account(session: Session, actor: Actor, person: Person) -> int | None:
    if not person.company:
        return None
    known = _known(session, actor, "account", "company", name_key(person.company, company=True))
    if known is not None:
        return int(known.id)
    facts = {"street": person.street, "postcode": person.postcode, "city": person.city, "country": person.country}
    values = {"name": person.company, "kind": AccountKind.CUSTOMER.value, **_usable(session, "account", facts)}
    return int(accounts.create(session, actor, values).id)


def _product(session: Session, actor: Actor, shop: Shop, line: Line) -> int | None:
    """The product that an article is: known from before, by its number, or new if the shop may make products."""
    key = line.product or line.sku or fold(line.name)[:80]
    link = _link(session, shop, "product", key)
    if link is not None and link.record_id is not None:
        return link.record_id
    table = entity("product").table
    found: int | None = None
    if line.sku:
        clause = visible(actor, "product", table) & (table.c.sku == line.sku)
        found = session.execute(choose(table.c.id).where(clause).order_by(table.c.id).limit(1)).scalar()
    if found is None and shop.create_products:
        price = int(line.total_minor / line.quantity) if line.quantity else 0
        found = records.create(session, actor, "product", {"name": line.name, "sku": line.sku or None, "price_minor": price}).id
    link = link or ShopLink(shop_id=shop.id, kind="product", external_id=key, title=line.name)
    link.record_id = found
    session.add(link)
    session.flush()
    return found


# --- carts ------------------------------------------------------------------------------------------------------------------------


def _cart(session: Session, shop: Shop, cart: Cart) -> ShopState:
    link = _link(session, shop, "cart", cart.external_id)
    if link is not None and link.changed_at is not None and cart.changed_at < link.changed_at:
        return ShopState.OLDER
    link = link or ShopLink(shop_id=shop.id, kind="cart", external_id=cart.external_id)
    link.changed_at = cart.changed_at
    link.facts = {
        "total": cart.total_minor,
        "currency": cart.currency,
        "email": cart.person.email,
        "url": cart.url,
        "done": cart.done,
    }
    session.add(link)
    session.flush()
    if not cart.done:
        at = cart.changed_at.isoformat()
        enqueue(
            session,
            "shops.cart_check",
            link.id,
            at,
            job_id=f"shops.cart_check:{link.id}:{at}",
            delay_seconds=60 * shop.cart_minutes,
        )
    return ShopState.DONE


def check_cart(session: Session, link_id: int, changed_at: str) -> bool:
    """Note on the contact that a cart was left, unless it became an order or changed meanwhile. Events: contact.cart_abandoned."""
    link = session.get(ShopLink, link_id)
    if link is None or link.record_id is not None or link.facts.get("done") or link.facts.get("told"):
        return False
    if link.changed_at is None or link.changed_at != datetime.fromisoformat(changed_at):
        return False
    shop = session.get_one(Shop, link.shop_id)
    try:
        actor = access.load(session, shop.owner_id, via=Via.API)
    except CrmError:
        return False
    email = str(link.facts.get("email") or "")
    contact = _known(session, actor, "contact", "email", email_key(email)) if email and actor.can("contact", Action.READ) else None
    if contact is None:
        return False
    link.facts = {**link.facts, "told": True}
    session.add(link)
    amount = money(actor, int(link.facts["total"]))
    events.record(
        session, actor, "contact.cart_abandoned", contact, data={"amount": amount, "shop": shop.name, "url": link.facts["url"]}
    )
    session.add(
        Touchpoint(
            contact_id=contact.id, channel=Channel.WEB, campaign_id=shop.campaign_id, at=clock.utcnow(), kind="cart_abandoned",
            url=clip(str(link.facts["url"]), 1000) or None,
        )
    )  # fmt: skip
    session.flush()
    return True
