"""Orders and products: lines, totals, states, what was sold."""

from decimal import Decimal

import pytest

from crm_core import summaries
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.services import crud
from crm_core.services.sales import deals, orders, products
from crm_core.vocabulary import OrderStatus
from tests.verbs import do, look


def new(actor, **values):
    return do(orders.create, actor, {"status": "draft", **values})


def test_lines_make_the_total_and_an_old_screen_is_refused(any_cast):
    alice = any_cast["alice"]
    product = do(crud.create, any_cast["root"], "product", {"name": "Chai", "price_minor": 18_00})
    order = new(alice)
    rows = [
        {"product_id": product.id, "quantity": 3},
        {"name": "Setup", "quantity": 1, "unit_price_minor": 100_00, "discount_pct": 10},
    ]
    saved = do(orders.set_lines, alice, order.id, rows, base_version=order.version)
    assert saved.total_minor == 3 * 18_00 + 90_00
    with pytest.raises(Conflict, match="meanwhile"):
        do(orders.set_lines, alice, order.id, [], base_version=order.version)
    with pytest.raises(Invalid, match="Line 1"):
        do(orders.set_lines, alice, order.id, [{"quantity": 1}])
    with pytest.raises(Invalid, match="sum of the lines"):
        do(orders.update, alice, order.id, {"total_minor": 1})
    assert [line.name for line in look(orders.lines, alice, order.id)] == ["Chai", "Setup"]


@pytest.mark.parametrize("verbs", [orders, deals], ids=["order", "deal"])
def test_lines_are_compared_with_the_lines_that_were_seen(any_cast, verbs):
    alice = any_cast["alice"]
    record = new(alice) if verbs is orders else do(deals.create, alice, {"name": "Chairs"})
    mine, theirs = ([{"name": "Setup", "quantity": n, "unit_price_minor": 10_00}] for n in (3, 4))
    do(verbs.set_lines, alice, record.id, [{"name": "Setup", "quantity": 2, "unit_price_minor": 10_00}])
    seen = look(verbs.lines, alice, record.id)
    do(crud.update, alice, record.__tablename__.removeprefix("sales_"), record.id, {"description": "elsewhere"})
    do(verbs.set_lines, alice, record.id, theirs, base_lines=seen)  # another field is no conflict
    with pytest.raises(Conflict, match="meanwhile") as refused:
        do(verbs.set_lines, alice, record.id, mine, base_lines=seen)
    assert [line.quantity for line in refused.value.details["lines"]] == [4]
    do(verbs.set_lines, alice, record.id, mine, base_lines=refused.value.details["lines"])
    assert [line.quantity for line in look(verbs.lines, alice, record.id)] == [3]


def test_an_order_goes_its_way(any_cast):
    alice = any_cast["alice"]
    order = new(alice)
    do(orders.move, alice, order.id, OrderStatus.PLACED)
    do(orders.move, alice, order.id, OrderStatus.FULFILLED)
    with pytest.raises(Invalid, match="can't become cancelled"):
        do(orders.move, alice, order.id, OrderStatus.CANCELLED)
    with pytest.raises(Conflict, match="stay as they are"):
        do(orders.set_lines, alice, order.id, [])


def test_others_orders_are_missing_and_readers_may_not_write(cast):
    order = new(cast["alice"])
    for verb in (lambda s, a: orders.get(s, a, order.id), lambda s, a: orders.move(s, a, order.id, OrderStatus.PLACED)):
        with pytest.raises(NotFound):
            do(verb, cast["charlie"])
    with pytest.raises(NotPermitted):
        do(orders.move, cast["sam"], order.id, OrderStatus.PLACED)
    with pytest.raises(NotFound):
        do(orders.move, cast["alice"], 999, OrderStatus.PLACED)


def test_a_products_sales_count_placed_orders_within_sight(any_cast, monkeypatch):
    alice, charlie, root = (any_cast[key] for key in ("alice", "charlie", "root"))
    product = do(crud.create, root, "product", {"name": "Chai", "price_minor": 18_00})
    for actor, status in ((alice, "placed"), (alice, "draft"), (charlie, "placed")):
        order = do(orders.create, actor, {"status": status})
        do(
            orders.set_lines,
            actor,
            order.id,
            [{"product_id": product.id, "quantity": 2}, {"product_id": product.id, "quantity": 1}],
        )
    for refreshed in (False, True):
        assert look(products.sales, root, product.id) == products.ProductSales(2, Decimal(6), 6 * 18_00), refreshed
        summaries.refresh()
    monkeypatch.setattr(summaries, "MOST_LIVE", -1)
    assert look(products.sales, root, product.id) == products.ProductSales(2, Decimal(6), 6 * 18_00), "too many days wait"
    assert look(products.sales, alice, product.id) == products.ProductSales(1, Decimal(3), 3 * 18_00)
    with pytest.raises(NotFound):
        look(products.sales, root, 999)
