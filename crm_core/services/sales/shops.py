"""Shops that send their orders: who they are, what came, what needs a look, which article is which product."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from crm_core import events, records
from crm_core.access import Actor, require
from crm_core.errors import Invalid, NotFound
from crm_core.jobs import enqueue
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, fold
from crm_core.models import Campaign, Shop, ShopDelivery, ShopLink, User
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.vocabulary import Action, ShopKind, ShopState

_SECRET = re.compile(r"^[\x21-\x7e]{8,200}$")


@dataclass(frozen=True)
class ShopRow:
    """A shop with what came of its messages in the last week, and how many of its articles are no product here."""

    shop: Shop
    owner: str
    counts: Mapping[ShopState, int]
    unknown: int
    last_at: datetime | None


def find(session: Session, actor: Actor) -> list[ShopRow]:
    """All shops by name."""
    require(actor, "integration", Action.MANAGE)
    since = utcnow() - timedelta(days=7)
    counts: dict[int, dict[ShopState, int]] = {}
    query = select(ShopDelivery.shop_id, ShopDelivery.state, func.count()).where(
        (ShopDelivery.created_at >= since) | (ShopDelivery.state == ShopState.FAILED)
    )
    for shop_id, state, n in session.exec(query.group_by(col(ShopDelivery.shop_id), col(ShopDelivery.state))):
        counts.setdefault(shop_id, {})[ShopState(state)] = n
    last = dict(
        session.exec(select(ShopDelivery.shop_id, func.max(ShopDelivery.created_at)).group_by(col(ShopDelivery.shop_id))).all()
    )
    open_articles = select(ShopLink.shop_id, func.count()).where(ShopLink.kind == "product", col(ShopLink.record_id).is_(None))
    unknown = dict(session.exec(open_articles.group_by(col(ShopLink.shop_id))).all())
    rows = session.exec(select(Shop, User.name).join(User, col(User.id) == Shop.owner_id).order_by(alphabetical(Shop.name)))
    return [ShopRow(shop, who, counts.get(shop.id, {}), unknown.get(shop.id, 0), last.get(shop.id)) for shop, who in rows]


def save(
    session: Session, actor: Actor, shop_id: int | None, values: Mapping[str, Any], *, base_version: int | None = None
) -> Shop:
    """Add a shop or change it. ``values``: name, kind, secret (made when empty), owner_id, campaign_id, create_products, cart_minutes, is_active.

    ``owner_id`` is who acts: orders come in with that person's rights. Events: shop.saved, and shop.secret_made when the secret changed.
    """
    require(actor, "integration", Action.MANAGE)
    shop = _get(session, shop_id) if shop_id else Shop(
        name="", kind=ShopKind.SHOPIFY, token=secrets.token_urlsafe(18), secret=secrets.token_urlsafe(24), owner_id=actor.user_id or 0
    )  # fmt: skip
    refuse_stale("this shop", shop, base_version)
    before = shop.secret
    for key, value in _checked(session, {**shop.model_dump(), **values}, shop).items():
        setattr(shop, key, value)
    session.add(shop)
    session.flush()
    events.record(session, actor, "shop.saved", entity="integration", record_id=shop.id, data={"name": shop.name})
    if before != shop.secret:
        events.record(session, actor, "shop.secret_made", entity="integration", record_id=shop.id, data={"name": shop.name})
    return shop


def _checked(session: Session, given: Mapping[str, Any], shop: Shop) -> dict[str, Any]:
    wrong: dict[str, str] = {}
    name = clean(str(given.get("name") or ""))[:80]
    if not name:
        wrong["name"] = "Give the shop a name."
    elif any(other != shop.id and fold(word) == fold(name) for other, word in session.exec(select(Shop.id, Shop.name))):
        wrong["name"] = f"There is a shop called “{name}” already."
    secret = str(given.get("secret") or "").strip() or shop.secret
    if not _SECRET.match(secret):
        wrong |= {"secret": "A secret has 8 to 200 visible characters, without spaces."}
    owner = session.get(User, given.get("owner_id") or 0)
    if owner is None or not owner.is_active:
        wrong["owner_id"] = "Choose somebody who is active."
    minutes = given.get("cart_minutes")
    if not isinstance(minutes, int) or not 10 <= minutes <= 10_080:
        wrong["cart_minutes"] = "A cart counts as left after 10 minutes to 7 days."
    campaign_id = given.get("campaign_id") or None
    if campaign_id and session.get(Campaign, campaign_id) is None:
        wrong["campaign_id"] = "This campaign no longer exists."
    if wrong:
        raise Invalid(fields=wrong)
    kind = shop.kind if shop.id else ShopKind(given["kind"])
    return {
        "name": name, "kind": kind, "secret": secret, "owner_id": given["owner_id"], "campaign_id": campaign_id, "cart_minutes": minutes,
        "create_products": bool(given.get("create_products")), "is_active": bool(given.get("is_active")),
    }  # fmt: skip


def remove(session: Session, actor: Actor, shop_id: int) -> None:
    """Forget a shop with its log and what its articles are; orders and people stay. Events: shop.removed."""
    require(actor, "integration", Action.MANAGE)
    shop = _get(session, shop_id)
    session.delete(shop)
    session.flush()
    events.record(session, actor, "shop.removed", entity="integration", record_id=shop_id, data={"name": shop.name})


def _get(session: Session, shop_id: int) -> Shop:
    shop = session.get(Shop, shop_id)
    if shop is None:
        raise NotFound("This shop no longer exists.")
    return shop


# --- what came --------------------------------------------------------------------------------------------------------------------


def deliveries(
    session: Session, actor: Actor, shop_id: int, *, state: ShopState | None = None, page: int = 1, size: int = 20
) -> tuple[list[ShopDelivery], int]:
    """The messages of a shop, the latest first, and how many there are."""
    require(actor, "integration", Action.MANAGE)
    where = [ShopDelivery.shop_id == shop_id, *([ShopDelivery.state == state] if state else [])]
    total = session.exec(select(func.count()).select_from(ShopDelivery).where(*where)).one()
    query = select(ShopDelivery).where(*where).order_by(col(ShopDelivery.id).desc())
    return list(session.exec(query.limit(size).offset((max(page, 1) - 1) * size))), int(total)


def retry(session: Session, actor: Actor, delivery_id: int) -> None:
    """Take a message in again that needed a look, after its reason is gone."""
    require(actor, "integration", Action.MANAGE)
    row = session.get(ShopDelivery, delivery_id)
    if row is None or row.state is not ShopState.FAILED:
        raise NotFound("This message no longer waits for anybody.")
    _again(session, row)


def retry_all(session: Session, actor: Actor, shop_id: int) -> int:
    """Take everything of a shop in again that needed a look; gives how many."""
    require(actor, "integration", Action.MANAGE)
    rows = session.exec(select(ShopDelivery).where(ShopDelivery.shop_id == shop_id, ShopDelivery.state == ShopState.FAILED)).all()
    for row in rows:
        _again(session, row)
    return len(rows)


def _again(session: Session, row: ShopDelivery) -> None:
    row.state, row.message = ShopState.WAITING, ""
    session.add(row)
    session.flush()
    enqueue(session, "shops.take_in", row.id, title="Take in a message of a shop")


# --- articles ---------------------------------------------------------------------------------------------------------------------


def articles(session: Session, actor: Actor, shop_id: int) -> list[ShopLink]:
    """Articles of a shop that are no product here, by name."""
    require(actor, "integration", Action.MANAGE)
    query = select(ShopLink).where(ShopLink.shop_id == shop_id, ShopLink.kind == "product", col(ShopLink.record_id).is_(None))
    return list(session.exec(query.order_by(alphabetical(ShopLink.title)).limit(200)))


def map_article(session: Session, actor: Actor, link_id: int, product_id: int) -> None:
    """Say which product an article is; orders that come from now on use it."""
    require(actor, "integration", Action.MANAGE)
    link = session.get(ShopLink, link_id)
    if link is None or link.kind != "product":
        raise NotFound("This article is no longer in the list.")
    link.record_id = records.get(session, actor, "product", product_id).id
    session.add(link)
    session.flush()
