"""Personas and baskets on the screen: every role, an empty workspace, results with their actions, suggestions on a deal."""

import pytest
import streamlit as st

from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.services.analytics import marks, suggestions
from crm_core.services.sales import deals
from tests.crm_core.services.analytics.buying import NOW, ask, two_kinds, work
from tests.crm_core.services.analytics.test_basket_runs import with_a_rule
from tests.pages.app import open_screen, words

ROLES = ["root", "bob", "alice", "dana", "sam", "ana"]


@pytest.fixture(autouse=True)
def fresh():
    st.cache_data.clear()
    with clock.frozen(NOW):
        yield


@pytest.mark.parametrize("who", ROLES)
@pytest.mark.parametrize(("url", "needed"), [("personas", "at least ten customers"), ("basket", "orders with products")])
def test_an_empty_workspace_says_what_is_needed(cast, who, url, needed):
    app = open_screen(cast[who], url)
    assert not app.exception and not app.error
    assert needed in words(app)


def test_personas_come_as_cards_with_their_actions(cast):
    two_kinds(cast)
    run_id = work(ask(cast["dana"], "personas", {"clusters": "2"}))
    app = open_screen(cast["dana"], "personas", run=run_id)
    assert not app.exception and not app.error
    shown = words(app)
    assert "Big spend, bought lately" in shown and "a head in 12 months" in shown
    assert [button.label for button in app.button].count("Edit as a segment") == 2


def test_rules_stand_on_the_page_and_the_suggestion_on_the_deal(cast):
    ids, people = with_a_rule(cast)
    run_id = work(ask(cast["bob"], "basket"))
    app = open_screen(cast["bob"], "basket", run=run_id)
    assert not app.exception and not app.error
    assert "rules hold on" in words(app)
    with write_session() as session:
        marks.publish(session, cast["bob"], run_id)
        deal = deals.create(session, cast["alice"], {"name": "Tea time", "contact_id": people[50]})
        deals.set_lines(session, cast["alice"], deal.id, [{"product_id": ids["tea"], "quantity": 1}])
    app = open_screen(cast["alice"], "deal", id=deal.id)
    assert not app.exception and not app.error
    assert "of those with tea have it too" in words(app)
    next(button for button in app.button if button.key == f"take_{ids['cup']}").click().run()
    assert not app.exception
    with read_session() as session:
        assert [line.name for line in deals.lines(session, cast["alice"], deal.id)] == ["tea", "cup"]
        assert suggestions.acceptance(session, cast["bob"])[0].taken == 1
