"""The door of shops: a message comes in, its signature is checked, it is kept, and the worker takes it in."""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, select

from crm_core import access, db, records
from crm_core.errors import Conflict, CrmError, Invalid, NotFound
from crm_core.jobs import Job, enqueue, job
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, clip
from crm_core.models import Shop, ShopDelivery
from crm_core.services.sales import shop_orders, shop_rules
from crm_core.vocabulary import ShopKind, ShopState, Via

_TABLE: Any = ShopDelivery.__table__  # type: ignore[attr-defined]
KEPT_DAYS = 60
HEADERS = {
    ShopKind.SHOPIFY: ("x-shopify-hmac-sha256", "x-shopify-topic", "x-shopify-webhook-id"),
    ShopKind.WOOCOMMERCE: ("x-wc-webhook-signature", "x-wc-webhook-topic", "x-wc-webhook-delivery-id"),
}


class Unsigned(CrmError):
    """The signature is missing or not that of the body."""

    code = "unsigned"
    status = 401


def receive(session: Session, token: str, headers: Mapping[str, str], body: bytes) -> ShopState:
    """Keep a message and queue it. The same delivery again is the same message. Raises NotFound, Unsigned, Invalid."""
    shop = session.exec(select(Shop).where(Shop.token == token[:64], Shop.is_active)).first()
    if shop is None:
        raise NotFound("No shop sends to this address.")
    signature, topic, delivery = (clean(headers.get(name, ""))[:100] for name in HEADERS[shop.kind])
    if shop.kind is ShopKind.WOOCOMMERCE and not signature and body[:11] == b"webhook_id=":
        return ShopState.IGNORED  # WooCommerce asks like this, unsigned, whether anybody is there
    if not shop_rules.is_signed(shop.secret, body, signature):
        raise Unsigned("The signature is not that of this message. Does the shop have the same secret?")
    payload = _read(body)
    wanted = topic in shop_rules.ORDERS[shop.kind] | shop_rules.REFUNDS | shop_rules.CARTS | shop_rules.DELETED
    values: dict[str, Any] = {
        "shop_id": shop.id, "delivery_key": delivery or hashlib.sha256(topic.encode() + body).hexdigest(), "topic": topic[:60],
        "external_id": clean(str(payload.get("id") or payload.get("token") or ""))[:80], "payload": payload if wanted else {},
        "state": ShopState.WAITING if wanted else ShopState.IGNORED, "message": "" if wanted else "This kind of message is not used.",
        "created_at": utcnow(), "updated_at": utcnow(), "version": 1,
    }  # fmt: skip
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    once = insert(_TABLE).values(**values).on_conflict_do_nothing(index_elements=["shop_id", "delivery_key"]).returning(_TABLE.c.id)
    made = session.execute(once).scalar()
    db.bump(session, _TABLE.name)
    if made is not None and wanted:
        enqueue(session, "shops.take_in", int(made), job_id=f"shops.take_in:{made}", title=f"Take in {topic} of {shop.name}")
    return ShopState(values["state"])


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Invalid("The message is not valid JSON.") from error
    if not isinstance(found, dict):
        raise Invalid("The message is not an order.")
    return found


@job("shops.take_in", title="Take in a message of a shop", keep_days=3)
def take_in(job: Job, delivery_id: int) -> None:
    """Turn one message into what it means here; what can't be taken in waits for a look, with the reason."""
    for last in (False, False, True):
        try:
            with job.transaction() as session:
                _take(session, delivery_id)
            return
        except Conflict as error:  # another message about the same order at the same moment
            if last:
                _set_aside(job, delivery_id, error.message)
        except CrmError:
            raise
        except Exception:
            _set_aside(job, delivery_id, "A fault in the program; the worker's log holds the details.")
            raise


def _set_aside(job: Job, delivery_id: int, words: str) -> None:
    with job.transaction() as session:
        row = session.get_one(ShopDelivery, delivery_id)
        row.state, row.message, row.done_at = ShopState.FAILED, words, utcnow()
        session.add(row)


def _take(session: Session, delivery_id: int) -> None:
    row = session.get(ShopDelivery, delivery_id)
    if row is None or row.state is not ShopState.WAITING:
        return
    shop = session.get_one(Shop, row.shop_id)
    try:
        with session.begin_nested():
            actor = access.load(session, shop.owner_id, via=Via.API)
            with records.carrying(session):
                row.state, row.order_id = shop_orders.apply(session, actor, shop, row.topic, row.payload)
            session.flush()
        row.message, row.payload = "", {}
    except CrmError as error:
        words = " ".join(error.fields.values()) if isinstance(error, Invalid) and error.fields else error.message
        row.state, row.message = ShopState.FAILED, clip(words, 500)
    row.done_at = utcnow()
    session.add(row)


@job("shops.cart_check", title="See whether a cart was left", keep_days=3)
def cart_check(job: Job, link_id: int, changed_at: str) -> None:
    """Some time after the last change of a cart."""
    with job.transaction() as session:
        shop_orders.check_cart(session, link_id, changed_at)


def purge(session: Session) -> None:
    """Forget messages of two months ago, those that nobody looked at included: they hold personal data."""
    session.execute(delete(_TABLE).where(_TABLE.c.created_at < utcnow() - timedelta(days=KEPT_DAYS)))
