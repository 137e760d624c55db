"""Orders and products on screen: every role, an empty database, the state buttons, the lines."""

import pytest
from streamlit.testing.v1.element_tree import TESTING_KEY

from crm_core.db import read_session, write_session
from crm_core.services import crud
from crm_core.services.sales import deals, orders
from crm_core.vocabulary import Action, OrderStatus
from tests.pages.app import open_screen, words
from tests.pages.sales.test_sales_pages import EVIL
from ui.navigation import screen_of, screens_for


def make(actor, entity, **values):
    with write_session() as session:
        return crud.create(session, actor, entity, values)


@pytest.mark.parametrize("who", ["root", "bob", "alice", "dana", "sam", "ana"])
@pytest.mark.parametrize("url", ["orders", "products"])
def test_the_empty_list_says_what_to_do(cast, who, url):
    assert screen_of(url) in screens_for(cast[who])
    app = open_screen(cast[who], url)
    assert not app.exception and not app.error and f"No {url} yet" in words(app)
    assert (f"New {url[:-1]}" in words(app)) == cast[who].can(url[:-1], Action.CREATE)


def test_an_order_is_placed_and_its_lines_are_shown(cast):
    alice = cast["alice"]
    order = make(alice, "order", status="draft")
    with write_session() as session:
        orders.set_lines(session, alice, order.id, [{"name": EVIL.strip()[:300], "quantity": 2, "unit_price_minor": 10_00}])
    app = open_screen(alice, "order", id=order.id)
    assert not app.exception and "Sum $20" in words(app)
    app.button(key="move_placed").click().run()
    assert not app.exception
    with read_session() as session:
        assert orders.get(session, alice, order.id).status is OrderStatus.PLACED
    app.button(key="edit_lines").click().run()
    assert not app.exception and "Save products" in words(app)


def test_a_deal_has_the_same_lines(cast):
    deal = make(cast["alice"], "deal", name="Big one")
    with write_session() as session:
        deals.set_lines(session, cast["alice"], deal.id, [{"name": "Setup", "quantity": 1, "unit_price_minor": 10_00}])
    app = open_screen(cast["alice"], "deal", id=deal.id)
    assert not app.exception and "Sum $10" in words(app)


@pytest.mark.parametrize("who", ["alice", "sam", "ana", "dana", "bob"])
def test_a_product_with_a_harmful_name(cast, who):
    product = make(cast["root"], "product", name=EVIL.strip()[:300], price_minor=10_00, cost_minor=4_00)
    app = open_screen(cast[who], "product", id=product.id)
    assert not app.exception and app.title[0].value.removeprefix("\u2068").startswith("\\!\\[x\\]") and "60%" in words(app)
    assert ("edit" in {button.key for button in app.button}) == cast[who].can("product", Action.EDIT)


def test_on_phones_the_menu_has_what_steps_back_beside_the_next_state(cast):
    alice = cast["alice"]
    order = make(alice, "order", status="draft")
    app = open_screen(alice, "order", id=order.id)
    on_phones = app.menu_button(key="more_on_phones")
    assert {"move_back", "edit"} <= {str(one) for one in app.session_state[TESTING_KEY][on_phones.id]["options"]}
    on_phones.click("move_back").run()
    assert not app.exception
    with read_session() as session:
        assert orders.get(session, alice, order.id).status is OrderStatus.CANCELLED
