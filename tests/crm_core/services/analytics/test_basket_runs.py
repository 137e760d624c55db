"""Baskets through the method: published counts on groceries, call lists, suggestions on deals that are counted and wear out."""

from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest
from sqlalchemy import insert

from crm_core.db import bump, read_session, write_session
from crm_core.errors import NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.models import Account, Contact, Order, OrderLine, Product, ProductCategory
from crm_core.services.analytics import basket_rows, marks, offer_worth, run_exports, runs, suggestions
from crm_core.services.analytics.methods.basket import _clearly_more
from crm_core.services.sales import deals
from crm_core.vocabulary import Action, OrderStatus
from tests.crm_core.services.analytics.buying import NOW, ask, look, work

PUBLISHED = {"min_support_pct": 0.1, "min_confidence_pct": 80, "min_count": 0, "max_len": "0", "holdout": "0"}


@pytest.fixture(autouse=True)
def today():
    with clock.frozen(NOW):
        yield


def fill(cast, baskets, customers=None, owner="root"):
    """Orders with one line per product name; returns product name → id and the ids of the contacts."""
    with write_session() as session:
        category = ProductCategory(name="Things")
        account = Account(name="Shop", owner_id=cast["alice"].user_id)
        session.add_all([category, account])
        session.flush()
        names = sorted({name for basket in baskets for name in basket})
        products = [Product(name=name, category_id=category.id, price_minor=100 * (n + 1)) for n, name in enumerate(names)]
        people = [
            Contact(name=f"P{n}", account_id=account.id, owner_id=cast["alice"].user_id) for n in range(max(customers or [-1]) + 1)
        ]
        session.add_all([*products, *people])
        session.flush()
        ids = {product.name: product.id for product in products}
        rows = [
            {
                "number": f"G{n}", "status": OrderStatus.PLACED, "ordered_at": NOW - timedelta(minutes=len(baskets) - n), "total_minor": 100,
                "owner_id": cast[owner].user_id, "contact_id": people[customers[n]].id if customers else None,
                "account_id": account.id if customers else None, "created_at": NOW, "updated_at": NOW, "version": 1, "currency": "USD", "extra": {},
            }
            for n in range(len(baskets))
        ]  # fmt: skip
        session.execute(insert(Order.__table__), rows)
        numbers = {f"G{n}": basket for n, basket in enumerate(baskets)}
        orders = session.execute(Order.__table__.select()).all()
        session.execute(
            insert(OrderLine.__table__),
            [
                {
                    "order_id": order.id, "position": n, "product_id": ids[name], "name": name, "quantity": 1, "unit_price_minor": 100,
                    "discount_pct": 0, "total_minor": 100, "created_at": NOW, "updated_at": NOW, "version": 1,
                }
                for order in orders
                for n, name in enumerate(numbers[order.number])
            ],
        )  # fmt: skip
        bump(session, "sales_order", "order_line")
        return ids, [person.id for person in people]


def with_a_rule(cast):
    """Whoever has tea has a cup too, in 300 orders of 60 people; ten people bought tea alone."""
    baskets = [["tea", "cup"] if n % 50 < 33 else ["sugar", "milk", f"thing {n % 7}"] for n in range(300)]
    customers = [n % 50 for n in range(300)]
    baskets += [["tea"]] * 10
    customers += range(50, 60)
    return fill(cast, baskets, customers)


def test_groceries_as_orders_give_the_published_410_rules(cast, reference):
    baskets = [line.split(",") for line in reference("groceries.csv").read_text().rstrip("\n").split("\n")]
    fill(cast, baskets)
    found = look(cast["bob"], work(ask(cast["bob"], "basket", PUBLISHED)))
    assert found.summary["rules"] == 410
    assert found.summary["lengths"] == {"2": 29, "3": 229, "4": 140, "5": 12}
    assert (found.summary["productive"], found.summary["baskets"]) == (392, 9835)
    assert found.reliable == "no" and "none of them checked" in found.verdict
    with read_session() as session:
        assert len(runs.table(session, cast["bob"], found.id, "rules")) == 410


def test_a_rule_ends_in_the_list_of_those_who_lack_the_second_part(cast):
    ids, people = with_a_rule(cast)
    found = look(cast["bob"], work(ask(cast["bob"], "basket")))
    assert found.summary["holding"] >= 2 and found.reliable in ("yes", "partly")
    with read_session() as session:
        listed = basket_rows.targets(session, cast["bob"], found.id, [ids["tea"]], [ids["cup"]])
        assert listed == people[50:] and basket_rows.count(session, cast["bob"], found.id, [ids["tea"]], [ids["cup"]]) == 10
    with pytest.raises(NotFound), read_session() as session:
        basket_rows.targets(session, cast["alice"], found.id, [ids["tea"]], [ids["cup"]])  # sees none of these orders
    with write_session() as session:
        assert run_exports.refusals(session, cast["bob"], found.id)["next_offers"] == ""
        text = run_exports.export(session, cast["bob"], found.id, "next_offers").decode()
    assert "customer_name" in text and "P5" in text and "because_name" in text and ",cup," in text and ",tea," in text
    grants = {grant: scopes for grant, scopes in cast["bob"].grants.items() if grant != ("contact", Action.EXPORT)}
    bound = replace(cast["bob"], grants=grants)
    with write_session() as session:
        assert "contacts, which your role may not export" in run_exports.refusals(session, bound, found.id)["next_offers"]
        with pytest.raises(NotPermitted):
            run_exports.export(session, bound, found.id, "next_offers")


def test_what_everybody_buys_is_no_offer_however_sure_it_looks():
    """Candidates of two customers, the surest first: one goes with tea by chance at best, one clearly, one is seen too rarely to tell."""
    rows = [
        ("a", "bread", "tea", 0.60, 1.05, 60), ("a", "cup", "tea", 0.30, 3.0, 30), ("b", "bread", "rum", 0.60, 1.05, 60), ("b", "tin", "rum", 0.25, 2.0, 2),
        ("b", "jar", None, 0.0, 0.0, 0),
    ]  # fmt: skip
    found = _clearly_more(pd.DataFrame(rows, columns=["basket", "product_id", "because", "confidence", "lift", "count"]))
    assert found[["basket", "product_id"]].values.tolist() == [["a", "cup"]]


def test_a_suggestion_is_taken_turned_down_counted_and_wears_out(cast):
    ids, people = with_a_rule(cast)
    run_id = work(ask(cast["bob"], "basket"))
    with write_session() as session:
        marks.publish(session, cast["bob"], run_id)
    deal_ids = []
    for n in range(8):
        with write_session() as session:
            deal = deals.create(session, cast["alice"], {"name": f"Deal {n}", "contact_id": people[50]})
            deals.set_lines(session, cast["alice"], deal.id, [{"product_id": ids["tea"], "quantity": 2}])
            deal_ids.append(deal.id)
    with read_session() as session:
        first = suggestions.for_deal(session, cast["alice"], deal_ids[0])[0]
        assert (first.name, first.because, first.run_id) == ("cup", "tea", run_id) and first.confidence > 0.9
        version = deals.get(session, cast["alice"], deal_ids[0]).version
        offer = suggestions.for_customer(session, cast["alice"], "contact", people[50])[0]
        assert offer.name == "cup"
    with pytest.raises(NotFound), read_session() as session:
        suggestions.for_deal(session, cast["charlie"], deal_ids[0])
    with write_session() as session:
        suggestions.take(session, cast["alice"], deal_ids[0], ids["cup"], because_id=ids["tea"], base_version=version)
    with read_session() as session:
        assert [line.name for line in deals.lines(session, cast["alice"], deal_ids[0])] == ["tea", "cup"]
        assert "cup" not in [one.name for one in suggestions.for_deal(session, cast["alice"], deal_ids[0])]
        row = suggestions.acceptance(session, cast["alice"])[0]
        assert (row.taken, row.declined) == (1, 0)
        assert suggestions.acceptance(session, cast["charlie"]) == []
    for deal_id in deal_ids[1:3]:
        with write_session() as session:
            suggestions.decline(session, cast["alice"], "deal", deal_id, ids["cup"], because_id=ids["tea"])
    with read_session() as session:
        assert "cup" not in [one.name for one in suggestions.for_deal(session, cast["alice"], deal_ids[1])]
        assert suggestions.for_deal(session, cast["alice"], deal_ids[3])[0].name == "cup", "it was taken once, so it goes on"


def test_offers_follow_margin_and_stock_and_unknown_is_not_zero(cast):
    """Two things go with tea: the cup is likelier, the pot earns more; what is sold out or of unknown margin is left out where that is asked."""
    sold = ["tea", "cup", "pot"], ["tea", "cup"], ["sugar", "milk"], ["sugar", "milk", "cream"]
    ids, people = fill(
        cast, [*([sold[0]] * 60), *([sold[1]] * 30), *([sold[2]] * 100), *([sold[3]] * 50), ["tea"]], [*range(240), 240]
    )
    costs = {"cup": {"price_minor": 10_00, "cost_minor": 9_00, "stock": 5}, "pot": {"price_minor": 50_00, "cost_minor": 20_00}}
    with write_session() as session:
        for name, values in costs.items():
            session.get(Product, ids[name]).sqlmodel_update(values)
            session.flush()

    def offered(**params):
        run_id = work(ask(cast["bob"], "basket", {"unit": "customer", **params}))
        with write_session() as session:
            marks.publish(session, cast["bob"], run_id)
        with read_session() as session:
            return run_id, suggestions.for_customer(session, cast["alice"], "contact", people[240])

    _, (first,) = offered()
    assert first.name == "cup" and first.worth.margin_minor == 1_00 and first.worth.stock == 5
    run_id, (best,) = offered(offer_order="margin", in_stock=True)
    assert best.name == "pot" and best.worth.stock is None and best.asked_stock
    with write_session() as session:
        text = run_exports.export(session, cast["bob"], run_id, "next_offers").decode()
        session.get(Product, ids["pot"]).stock = 0
    assert "stock,margin,margin_pct,expected_margin" in text and ",30.0,60.0," in text
    with read_session() as session:
        assert suggestions.for_customer(session, cast["alice"], "contact", people[240]) == [], "sold out since the run"
    run_id, found = offered(least_margin_pct=70)
    assert found == [] and any("margin is not known" in one for one in look(cast["bob"], run_id).warnings)
    blind = replace(cast["bob"], masks=frozenset({("product", "cost_minor")}))
    with read_session() as session:
        assert offer_worth.worths(session, blind)[ids["cup"]].margin_minor is None
    one, none = offer_worth.Worth(10_00, 4_00, 3), offer_worth.Worth(5_00, None, None)
    assert offer_worth.together({1: one, 2: none}, [1, 2]) == offer_worth.Worth(15_00, None, None)
    assert (
        offer_worth.Limits(in_stock=True).refuses(none) == "" and offer_worth.Limits(least_margin_pct=1).refuses(none) == "unknown"
    )


def test_what_is_always_turned_down_is_not_suggested_any_more(cast):
    ids, people = with_a_rule(cast)
    with write_session() as session:
        marks.publish(session, cast["bob"], work(ask(cast["bob"], "basket")))
    for n in range(suggestions.DECAY_AFTER + 1):
        with write_session() as session:
            deal = deals.create(session, cast["alice"], {"name": f"Deal {n}"})
            deals.set_lines(session, cast["alice"], deal.id, [{"product_id": ids["tea"], "quantity": 1}])
        with read_session() as session:
            assert bool(suggestions.for_deal(session, cast["alice"], deal.id)) == (n < suggestions.DECAY_AFTER)
        with write_session() as session:
            suggestions.decline(session, cast["alice"], "deal", deal.id, ids["cup"], because_id=ids["tea"])
    with clock.frozen(NOW + timedelta(days=suggestions.DECAY_DAYS + 1)), read_session() as session:
        assert suggestions.for_customer(session, cast["alice"], "contact", people[50]), "half a year later it gets another chance"
