"""Orders of shops: signed, taken in once, the newest message holds; people, companies and products are recognised; what can't be taken in waits."""

import base64
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.models import Account, Contact, Event, Order, OrderLine, Product, Shop, ShopDelivery, ShopLink, Touchpoint
from crm_core.services.customers import accounts, contacts
from crm_core.services.sales import shop_door, shop_orders, shop_rules, shops
from crm_core.services.sales.shop_rules import Line, Person, ShopOrder
from crm_core.vocabulary import Channel, OrderStatus, ShopKind, ShopState
from tests.web.conftest import visitor

SHOPIFY = {
    "id": 450789469, "name": "#1001", "email": "bob.norman@example.com", "created_at": "2026-01-10T11:00:00-05:00", "processed_at": "2026-01-10T11:00:00-05:00",
    "updated_at": "2026-01-10T11:00:05-05:00", "currency": "USD", "total_price": "409.94", "financial_status": "paid", "fulfillment_status": None,
    "landing_site": "/?utm_medium=cpc&utm_source=google", "note": "Ring twice", "checkout_token": "tok1",
    "customer": {"id": 1, "first_name": "Bob", "last_name": "Norman", "email": "bob.norman@example.com", "phone": "+13125551212"},
    "billing_address": {"first_name": "Bob", "last_name": "Norman", "company": "Norman & Sons LLC", "address1": "1 Main St", "city": "Louisville", "zip": "40202", "country": "United States", "phone": "no phone"},
    "line_items": [
        {"id": 11, "variant_id": 808950810, "title": "IPod Nano", "variant_title": "Red", "sku": "IPOD-R", "quantity": 2, "price": "199.00", "discount_allocations": [{"amount": "10.00"}]},
        {"id": 12, "variant_id": 39072856, "title": "Case", "variant_title": "Default Title", "sku": "", "quantity": 3, "price": "4.00", "total_discount": "0.05"},
    ],
    "refunds": [],
}  # fmt: skip
WOO = {
    "id": 727, "number": "727", "status": "processing", "currency": "USD", "total": "29.35", "date_created_gmt": "2026-03-22T19:28:02", "date_modified_gmt": "2026-03-22T19:28:08",
    "billing": {"first_name": "Ida", "last_name": "Berg", "company": "", "email": "ida@example.com", "phone": "(555) 555-5555", "city": "San Francisco", "country": "US"},
    "line_items": [{"id": 315, "name": "Woo Single #1", "product_id": 93, "variation_id": 0, "quantity": 2, "total": "6.00", "total_tax": "0.45", "sku": "W1"}],
    "meta_data": [{"key": "_wc_order_attribution_utm_medium", "value": "email"}, {"id": 5}], "refunds": [],
}  # fmt: skip


def make(cast, kind=ShopKind.SHOPIFY, **more):
    with write_session() as session:
        values = {
            "name": kind.label,
            "kind": kind,
            "owner_id": cast["root"].user_id,
            "cart_minutes": 60,
            "create_products": True,
            "is_active": True,
        }
        return shops.save(session, cast["root"], None, values | more)


def send(shop, topic, payload, delivery=None, **more):
    """Over HTTP, as the shop does."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    names = shop_door.HEADERS[shop.kind]
    headers = {names[0]: shop_rules.signature(shop.secret, body), names[1]: topic, "content-type": "application/json", **more}
    return visitor().post(f"/hooks/shop/{shop.token}", content=body, headers=headers | ({names[2]: delivery} if delivery else {}))


def work():
    with read_session() as session:
        waiting = session.exec(
            select(ShopDelivery.id).where(ShopDelivery.state == ShopState.WAITING).order_by(ShopDelivery.id)
        ).all()
    for delivery_id in waiting:
        shop_door.take_in(begin(f"take {delivery_id}", "shops.take_in"), delivery_id)


def states():
    with read_session() as session:
        return [(row.state, row.message) for row in session.exec(select(ShopDelivery).order_by(ShopDelivery.id))]


def all_of(model):
    with read_session() as session:
        return list(session.exec(select(model).order_by(model.id)))


def test_the_signature_is_that_of_a_published_vector():
    body = b"The quick brown fox jumps over the lazy dog"
    published = bytes.fromhex("f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8")  # HMAC-SHA256 with the key "key"
    assert shop_rules.signature("key", body) == base64.b64encode(published).decode()
    assert shop_rules.is_signed("key", body, base64.b64encode(published).decode()) and not shop_rules.is_signed(
        "key", body + b" ", base64.b64encode(published).decode()
    )
    assert not shop_rules.is_signed("key", body, "") and not shop_rules.is_signed("key", body, "é")


def test_an_order_becomes_account_contact_products_order_and_touchpoint(cast):
    shop = make(cast)
    assert (
        send(shop, "orders/create", SHOPIFY, "d-1").status_code == 202
        and send(shop, "orders/create", SHOPIFY, "d-1").status_code == 202
    )
    work()
    assert states() == [(ShopState.DONE, "")] and all_of(ShopDelivery)[0].payload == {}
    order, contact, account = all_of(Order)[0], all_of(Contact)[0], all_of(Account)[0]
    assert (order.number, order.total_minor, order.status, order.contact_id, order.account_id) == (
        "#1001",
        40994,
        OrderStatus.PLACED,
        contact.id,
        account.id,
    )
    assert (contact.name, contact.email, contact.account_id, account.name, account.city) == (
        "Bob Norman",
        "bob.norman@example.com",
        account.id,
        "Norman & Sons LLC",
        "Louisville",
    )
    lines = [(one.name, one.quantity, one.unit_price_minor, one.total_minor) for one in all_of(OrderLine)]
    assert lines == [
        ("IPod Nano, Red", 2, 19400, 38800),
        ("Case", 2, 398, 796),
        ("Case", 1, 399, 399),
        (shop_rules.REST, 1, 999, 999),
    ]
    assert [(one.name, one.sku) for one in all_of(Product)] == [("IPod Nano, Red", "IPOD-R"), ("Case", None)]
    assert [(one.channel, one.kind) for one in all_of(Touchpoint)] == [(Channel.PAID_SEARCH, "order")]
    with read_session() as session:
        assert session.exec(select(Event.via).where(Event.type == "order.created")).one() == "api"


def test_late_messages_change_nothing_and_newer_ones_do(cast):
    shop = make(cast)
    newer = SHOPIFY | {"updated_at": "2026-01-11T00:00:00Z", "fulfillment_status": "fulfilled", "note": "Newer"}
    for topic, payload in (("orders/updated", newer), ("orders/create", SHOPIFY), ("orders/updated", newer)):
        assert send(shop, topic, payload, f"{topic} {len(all_of(ShopDelivery))}").status_code == 202
        work()
    assert [state for state, _ in states()] == [ShopState.DONE, ShopState.OLDER, ShopState.DONE]
    assert [(one.status, one.description) for one in all_of(Order)] == [(OrderStatus.FULFILLED, "Newer")] and len(
        all_of(Touchpoint)
    ) == 1
    fewer = newer | {
        "updated_at": "2026-01-12T00:00:00Z",
        "current_total_price": "204.00",
        "line_items": [SHOPIFY["line_items"][0] | {"current_quantity": 1}, SHOPIFY["line_items"][1] | {"current_quantity": 0}],
    }
    send(shop, "orders/updated", fewer, "x")
    work()
    assert all_of(Order)[0].total_minor == 20400 and [one.total_minor for one in all_of(OrderLine)] == [19400, 1000], (
        "even of a fulfilled order"
    )


def test_refunds_take_off_what_went_back_once(cast):
    shop = make(cast)
    refund = {
        "id": 9,
        "order_id": 450789469,
        "refund_line_items": [{"line_item_id": 11, "quantity": 1}],
        "transactions": [{"kind": "refund", "amount": "194.00"}],
    }
    send(shop, "refunds/create", refund, "early")
    work()
    assert states()[0][0] is ShopState.FAILED and "not here yet" in states()[0][1] and all_of(ShopDelivery)[0].payload == refund
    send(shop, "orders/create", SHOPIFY, "o")
    work()
    with write_session() as session:
        assert shops.retry_all(session, cast["root"], shop.id) == 1
    work()
    send(shop, "refunds/create", refund, "again")
    work()
    assert [state for state, _ in states()] == [ShopState.DONE, ShopState.DONE, ShopState.OLDER]
    assert all_of(Order)[0].total_minor == 21594 and all_of(OrderLine)[0].quantity == 1
    rest = refund | {"id": 10, "refund_line_items": [], "transactions": [{"kind": "refund", "amount": "215.94"}]}
    send(shop, "refunds/create", rest, "rest")
    work()
    assert (all_of(Order)[0].total_minor, all_of(Order)[0].status) == (0, OrderStatus.CANCELLED)


def test_woocommerce_orders_pings_and_deletions(cast):
    shop = make(cast, ShopKind.WOOCOMMERCE)
    ping = visitor().post(f"/hooks/shop/{shop.token}", content=b"webhook_id=7")
    assert ping.status_code == 200 and all_of(ShopDelivery) == []
    send(shop, "order.created", WOO, "w1")
    work()
    order = all_of(Order)[0]
    assert (order.number, order.total_minor, order.status) == ("#727", 2935, OrderStatus.PLACED) and all_of(Touchpoint)[
        0
    ].channel is Channel.EMAIL
    refunded = WOO | {"date_modified_gmt": "2026-03-23T00:00:00", "status": "completed", "refunds": [{"id": 1, "total": "-9.35"}]}
    send(shop, "order.updated", refunded, "w2")
    send(shop, "order.deleted", {"id": 727}, "w3")
    send(shop, "order.deleted", {"id": 5}, "w4")
    send(shop, "coupon.created", {"id": 5}, "w5")
    work()
    assert [state for state, _ in states()] == [
        ShopState.DONE,
        ShopState.DONE,
        ShopState.DONE,
        ShopState.IGNORED,
        ShopState.IGNORED,
    ]
    assert (all_of(Order)[0].total_minor, all_of(Order)[0].status) == (2000, OrderStatus.CANCELLED)


def test_people_companies_and_products_that_are_known_are_not_made_again(cast):
    root = cast["root"]
    with write_session() as session:
        firm = accounts.create(session, root, {"name": "Norman & Sons"})
        known = contacts.create(session, root, {"name": "B. Norman", "email": "BOB.norman@example.com"})
        product = shop_orders.records.create(session, root, "product", {"name": "Nano", "sku": "IPOD-R"})
    shop = make(cast, create_products=False)
    send(shop, "orders/create", SHOPIFY, "1")
    work()
    order = all_of(Order)[0]
    assert (order.contact_id, order.account_id, len(all_of(Contact)), len(all_of(Account))) == (known.id, firm.id, 1, 1)
    assert [one.product_id for one in all_of(OrderLine)] == [product.id, None, None, None] and len(all_of(Product)) == 1
    with write_session() as session:
        article = shops.articles(session, root, shop.id)
        assert [one.title for one in article] == ["Case"] and shops.find(session, root)[0].unknown == 1
        shops.map_article(session, root, article[0].id, product.id)
    send(shop, "orders/create", SHOPIFY | {"id": 2, "name": "#1002", "checkout_token": None}, "2")
    work()
    assert {one.product_id for one in all_of(OrderLine)[4:]} == {product.id, None} and shops_unknown(cast) == 0


def shops_unknown(cast):
    with read_session() as session:
        return shops.find(session, cast["root"])[0].unknown


def test_it_comes_in_with_the_rights_of_the_person_who_acts(cast):
    shop = make(cast, owner_id=cast["sam"].user_id)
    send(shop, "orders/create", SHOPIFY, "1")
    work()
    assert states()[0][0] is ShopState.FAILED and "does not allow" in states()[0][1] and all_of(Order) == []
    with write_session() as session:
        shops.save(session, cast["root"], shop.id, {"owner_id": cast["bob"].user_id})
        shops.retry(session, cast["root"], 1)
        with pytest.raises(NotFound):
            shops.retry(session, cast["root"], 1)
    work()
    assert states()[0][0] is ShopState.DONE and all_of(Order)[0].owner_id == cast["bob"].user_id


HOSTILE = [
    b"{", b"[]", b"[" * 30_000, {}, {"id": 1}, SHOPIFY | {"currency": "EUR"}, SHOPIFY | {"id": {"a": 1}}, SHOPIFY | {"updated_at": "soon"}, SHOPIFY | {"total_price": "NaN"},
    SHOPIFY | {"line_items": [{"quantity": "1e99", "price": 1}]}, SHOPIFY | {"line_items": "x", "customer": [], "billing_address": 5, "id": 7, "total_price": None},
    SHOPIFY | {"id": 8, "name": "#x\u0000\ud800", "email": "no address", "line_items": [{"price": "-5", "quantity": -1}]},
]  # fmt: skip


def test_hostile_messages_cost_nothing_but_themselves(cast):
    shop = make(cast)
    for n, payload in enumerate(HOSTILE):
        assert send(shop, "orders/create", payload, f"h{n}").status_code in (202, 422), payload
    work()
    assert {state for state, _ in states()} <= {ShopState.FAILED, ShopState.DONE} and all(
        words for state, words in states() if state is ShopState.FAILED
    )
    for wrong in ({"X-Shopify-Hmac-Sha256": "x"}, {"X-Shopify-Hmac-Sha256": ""}):
        assert send(shop, "orders/create", SHOPIFY, "s", **{key.lower(): value for key, value in wrong.items()}).status_code == 401
    shop.token = "nothing"
    assert send(shop, "orders/create", SHOPIFY, "t").status_code == 404 and visitor().get("/hooks/shop/x").status_code == 405


def test_a_cart_that_was_left_is_noted_on_the_contact_once(cast):
    with write_session() as session:
        contacts.create(session, cast["root"], {"name": "Bob", "email": "bob.norman@example.com"})
    shop = make(cast)
    cart = {
        "id": 1,
        "token": "tok1",
        "updated_at": "2026-01-10T10:00:00Z",
        "completed_at": None,
        "currency": "USD",
        "total_price": "409.94",
        "email": "bob.norman@example.com",
        "abandoned_checkout_url": "https://shop.example/c/tok1",
    }
    send(shop, "checkouts/create", cart, "c1")
    send(shop, "checkouts/update", cart | {"updated_at": "2026-01-10T10:05:00Z"}, "c2")
    work()
    link = all_of(ShopLink)[0]
    check = lambda at: shop_door.cart_check(begin(f"c{at}", "shops.cart_check"), link.id, at)  # noqa: E731
    check("2026-01-10T10:00:00+00:00")
    assert [one for one in all_of(Event) if one.type == "contact.cart_abandoned"] == [], "it changed since"
    check("2026-01-10T10:05:00+00:00")
    check("2026-01-10T10:05:00+00:00")
    told = [one for one in all_of(Event) if one.type == "contact.cart_abandoned"]
    assert len(told) == 1 and told[0].data["amount"] == "$409.94" and all_of(Touchpoint)[0].kind == "cart_abandoned"
    send(shop, "checkouts/create", cart | {"token": "tok2"}, "c3")
    send(shop, "orders/create", SHOPIFY | {"checkout_token": "tok2"}, "c4")
    work()
    other = next(one for one in all_of(ShopLink) if one.external_id == "tok2")
    with write_session() as session:
        assert not shop_orders.check_cart(session, other.id, "2026-01-10T10:00:00+00:00"), "it became an order"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 10_000)), max_size=6), st.integers(0, 60_000))
def test_lines_always_add_up_to_what_was_paid(lines, total):
    made = tuple(Line(str(n), "", "", f"L{n}", Decimal(quantity), cents) for n, (quantity, cents) in enumerate(lines))
    order = ShopOrder("1", "1", clock.utcnow(), clock.utcnow(), OrderStatus.PLACED, "USD", total, Person(), made)
    rows = shop_rules.rows_of(order)
    assert sum(quantity * price for _, _, quantity, price in rows) == (total if made or total else 0)
    assert all(quantity > 0 and price >= 0 for _, _, quantity, price in rows)


def test_only_who_manages_integrations_and_only_what_makes_sense(cast):
    shop = make(cast)
    with write_session() as session:
        for call in (lambda a: shops.find(session, a), lambda a: shops.save(session, a, None, {}), lambda a: shops.remove(session, a, shop.id), lambda a: shops.deliveries(session, a, shop.id),
                     lambda a: shops.retry(session, a, 1), lambda a: shops.retry_all(session, a, 1), lambda a: shops.articles(session, a, 1), lambda a: shops.map_article(session, a, 1, 1)):  # fmt: skip
            with pytest.raises(NotPermitted):
                call(cast["bob"])
        for wrong in (
            {"name": ""},
            {"name": "shopify "},
            {"secret": "a b"},
            {"owner_id": 999},
            {"cart_minutes": 1},
            {"campaign_id": 99},
        ):
            with pytest.raises(Invalid) as error:
                shops.save(
                    session,
                    cast["root"],
                    None,
                    {"name": "N", "kind": "shopify", "owner_id": cast["root"].user_id, "cart_minutes": 60} | wrong,
                )
            assert set(error.value.fields) == set(wrong)
        with pytest.raises(Conflict):
            shops.save(session, cast["root"], shop.id, {}, base_version=9)
        assert (
            shops.save(session, cast["root"], shop.id, {"secret": "another-secret", "kind": "woocommerce"}).kind is ShopKind.SHOPIFY
        )
        shop_door.purge(session)
        shops.remove(session, cast["root"], shop.id)
        assert session.get(Shop, shop.id) is None
    assert timedelta(days=shop_door.KEPT_DAYS) > timedelta(days=7)
