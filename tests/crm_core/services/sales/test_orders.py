"""Orders and products: lines, totals, states, what was sold."""

from dataclasses import replace
from decimal import Decimal

import pytest
from sqlmodel import select

from crm_core import summaries
from crm_core.db import read_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.models import Order
from crm_core.services import crud
from crm_core.services.admin import organisation
from crm_core.services.sales import deals, orders, products
from crm_core.services.sales import lines as line_rules
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


def test_lines_carry_tax_and_terms_into_the_order(any_cast):
    """Net, tax and what recurs: rounded per line and period, handed on to the order, hidden with the amount."""
    alice, root = any_cast["alice"], any_cast["root"]
    do(organisation.update, root, {"tax_rate_pct": 19})
    seat = do(crud.create, root, "product", {"name": "Seat", "price_minor": 9_99, "billing": "monthly", "tax_rate_pct": 7.7})
    deal = do(deals.create, alice, {"name": "Seats"})
    rows = [
        {"product_id": seat.id, "quantity": 3, "discount_pct": 10},
        {"name": "Care", "unit_price_minor": 100_00, "billing": "yearly", "periods": 3, "tax_rate_pct": 0},
        {"name": "Setup", "unit_price_minor": 50_05},
    ]
    saved = do(deals.set_lines, alice, deal.id, rows)
    lines = look(deals.lines, alice, deal.id)
    month = 26_97  # 3 × 9.99 − 10 %, half to even
    assert [(line.total_minor, line.tax_minor) for line in lines] == [(12 * month, 12 * 2_08), (300_00, 0), (50_05, 9_51)]
    assert (saved.amount_minor, saved.arr_minor, saved.mrr_minor) == (12 * month + 350_05, 12 * month + 100_00, 35_30)
    kept = [line_rules.given(line) for line in lines]
    assert do(deals.set_lines, alice, deal.id, kept).amount_minor == saved.amount_minor, (
        "what is given back as it stands stays as it is"
    )
    do(deals.win, alice, deal.id)
    with read_session() as session:
        order = session.exec(select(Order).where(Order.deal_id == deal.id)).one()
        kept_lines = orders.lines(session, alice, order.id)
        blind = replace(alice, masks=frozenset({("deal", "amount_minor")}))
        assert blind.masked("deal", "arr_minor") and blind.masked("deal", "mrr_minor") and not alice.masked("deal", "arr_minor")
        assert {line.tax_minor for line in deals.lines(session, blind, deal.id)} == {None}
    assert (order.total_minor, order.tax_minor) == (saved.amount_minor, 12 * 2_08 + 9_51)
    assert [replace(line, id=0) for line in kept_lines] == [replace(line, id=0) for line in lines]
    for wrong in ({"billing": "daily"}, {"periods": 2}, {"periods": 0, "billing": "monthly"}, {"tax_rate_pct": 101}):
        with pytest.raises(Invalid, match="Line 1"):
            do(orders.set_lines, alice, order.id, [{"name": "Setup", **wrong}])


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
