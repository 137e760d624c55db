"""Personas through the method: real customers with a response that took no part, and what is said where there are none."""

import csv

import pytest
from sqlalchemy import insert

from crm_core import filters
from crm_core.db import bump, read_session, write_session
from crm_core.entities import entity
from crm_core.kit import clock
from crm_core.models import Contact, CustomField
from crm_core.services.analytics import segmentation_rows
from crm_core.vocabulary import FieldKind, RunState
from tests.crm_core.services.analytics.buying import NOW, ask, look, two_kinds, work

USED = (
    "Income", "Kidhome", "Teenhome", "Recency", "MntWines", "MntFruits", "MntMeatProducts", "MntFishProducts", "MntSweetProducts",
    "MntGoldProds", "NumDealsPurchases", "NumWebPurchases", "NumCatalogPurchases", "NumStorePurchases", "NumWebVisitsMonth", "Year_Birth",
)  # fmt: skip


@pytest.fixture(autouse=True)
def today():
    with clock.frozen(NOW):
        yield


def key(name):
    return f"x_{name.lower()}"


@pytest.fixture
def shoppers(cast, reference):
    """The 2,240 customers of the iFood file as contacts with fields of their own."""
    with reference("marketing_campaign_ifood.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    with write_session() as session:
        for n, name in enumerate((*USED, "Response")):
            session.add(CustomField(entity="contact", key=key(name), label=name, kind=FieldKind.INTEGER, position=n))
        session.execute(
            insert(Contact.__table__),
            [
                {
                    "name": f"C{row['ID']}", "preferred_channel": "any", "do_not_call": False, "do_not_email": False, "version": 1,
                    "created_at": NOW, "updated_at": NOW,
                    "extra": {key(name): int(row[name]) if row[name] else None for name in (*USED, "Response")},
                }
                for row in rows
            ],
        )  # fmt: skip
        bump(session, "contact")


def test_the_shoppers_are_stable_up_to_five_and_differ_in_the_response_that_was_held_out(cast, shoppers):
    params = {
        "behaviour": [], "attributes": [f"contact:{key(name)}" for name in USED], "held_out": ["contact:x_response"], "most": 6,
    }  # fmt: skip
    found = look(cast["bob"], work(ask(cast["bob"], "personas", params)))
    assert (found.state, found.reliable, found.summary["personas"]) == (RunState.DONE, "yes", 5)
    assert found.summary["worst_jaccard"] > 0.85
    assert any("Response" in note and "took no part" in note for note in found.warnings)
    cards = found.summary["cards"]
    assert sum(card["n"] for card in cards) == 2240 and len({card["name"] for card in cards}) == 5
    told = [text for card in cards for text in card["held_out"] if text.startswith("Response")]
    assert len(told) == 5 and any("unlike the average" in text for text in told)
    assert not any("x_response" in str(card["rule"]) for card in cards)
    table = entity("contact").table
    card = next(card for card in cards if card["rule"])
    with read_session() as session:
        clause = filters.where(session, "contact", card["rule"], cast["bob"])
        rule_finds = set(session.execute(table.select().with_only_columns(table.c.id).where(clause)).scalars())
        members = set(segmentation_rows.of_persona(session, cast["bob"], found.id, card["segment"]))
    assert len(rule_finds & members) / len(members) == pytest.approx(card["recall"], abs=0.02), (
        "the filter finds what the rule found"
    )


def test_personas_of_buyers_are_named_by_how_they_buy(cast):
    two_kinds(cast)
    found = look(cast["bob"], work(ask(cast["bob"], "personas", {"clusters": "2"})))
    names = " / ".join(card["name"] for card in found.summary["cards"])
    assert "Big spend, bought lately" in names and "Small spend, gone quiet" in names
    assert all(card["value"] and card["value"][1] <= card["value"][0] <= card["value"][2] for card in found.summary["cards"])


def test_where_nothing_tells_customers_apart_that_is_said(cast):
    two_kinds(cast)
    run_id = work(ask(cast["bob"], "personas", {"behaviour": []}))
    refused = look(cast["bob"], run_id)
    assert refused.state is RunState.REFUSED and "at least one thing to tell customers apart by" in refused.verdict
