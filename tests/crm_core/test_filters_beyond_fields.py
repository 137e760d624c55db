"""Conditions beyond fields (parts of orders, segments, events, touches): SQL and Python agree, permission holds, words are words."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from crm_core import filters, lists
from crm_core.access import visible
from crm_core.db import read_session, write_session
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.filters import Context, InSegment, Linked, bind, predicate, to_sql
from crm_core.lists import ListQuery
from crm_core.models import (
    Account,
    Contact,
    Event,
    Order,
    OrderLine,
    Product,
    ProductCategory,
    Segment,
    SegmentMember,
    Ticket,
    Touchpoint,
)
from crm_core.vocabulary import SOLD, Channel, OrderStatus, SegmentOf

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
CMP = st.sampled_from(["ge", "le", "gt", "lt", "eq", "ne"])
SINCE = st.sampled_from([None, "-10d", "-40d", "start_of_year"])


@pytest.fixture
def world(any_cast):
    """Twelve contacts of three accounts with orders, lines, events, touches and two segments, drawn by a fixed seed."""
    rng = random.Random(4)
    root, charlie = any_cast["root"], any_cast["charlie"]
    with write_session() as session:
        categories = [ProductCategory(name=name) for name in ("Tea", "Cups")]
        accounts = [Account(name=f"A{n}") for n in range(3)]
        session.add_all([*categories, *accounts])
        session.flush()
        products = [Product(name=f"P{n}", category_id=category.id) for n, category in enumerate((*categories, *categories))]
        people = [Contact(name=f"C{n}", account_id=rng.choice([*accounts, None]) and accounts[n % 3].id) for n in range(12)]
        session.add_all([*products, *people])
        session.flush()
        for n in range(30):
            person = rng.choice(people)
            order = Order(
                number=f"O{n}", contact_id=person.id, owner_id=rng.choice([root, charlie]).user_id, status=rng.choice(list(OrderStatus)),
                ordered_at=NOW - timedelta(days=rng.randrange(60)),
            )  # fmt: skip
            ticket = Ticket(number=f"T{n}", subject="x", contact_id=person.id, opened_at=NOW)
            session.add_all([order, ticket])
            session.flush()
            for _ in range(rng.randrange(3)):
                product = rng.choice([*products, None])
                session.add(
                    OrderLine(order_id=order.id, product_id=product.id if product else None, name="l", quantity=rng.randrange(1, 4))
                )
            at = NOW - timedelta(days=rng.randrange(60))
            session.add(Event(type="ticket.solved", entity="ticket", record_id=ticket.id, at=at))
            session.add(Event(type="contact.updated", entity="contact", record_id=person.id, at=at))
            session.add(Touchpoint(contact_id=person.id, channel=Channel.EMAIL, kind=rng.choice(["open", "click"]), at=at))
        of_people = Segment(name="People", owner_id=root.user_id)
        of_accounts = Segment(name="Firms", entity=SegmentOf.ACCOUNT, owner_id=root.user_id)
        session.add_all([of_people, of_accounts])
        session.flush()
        for person in people[::2]:
            session.add(SegmentMember(segment_id=of_people.id, record_id=person.id, entered_at=NOW))
        session.add(SegmentMember(segment_id=of_people.id, record_id=people[1].id, entered_at=NOW, left_at=NOW))
        session.add(SegmentMember(segment_id=of_accounts.id, record_id=accounts[0].id, entered_at=NOW))
        return any_cast, of_people.id, of_accounts.id, categories[0].id


def condition(of_people, of_accounts, category):
    bought = st.one_of(
        st.none(),
        st.just({"field": "product.category_id", "cmp": "eq", "value": category}),
        st.just({"field": "product.category_id", "cmp": "ne", "value": category}),
        st.just({"field": "order.ordered_at", "cmp": "ge", "value": "-30d"}),
    )
    return st.one_of(
        st.builds(lambda where, cmp, n: {"agg": "count", "rel": "purchases", "where": where, "cmp": cmp, "value": n}, bought, CMP, st.integers(0, 3)),
        st.builds(
            lambda where, agg, cmp, n: {"agg": agg, "rel": "purchases", "field": "quantity", "where": where, "cmp": cmp, "value": n},
            bought, st.sampled_from(["sum", "max", "avg"]), CMP, st.integers(0, 4),
        ),
        st.builds(lambda cmp: {"segment": of_people, "cmp": cmp}, st.sampled_from(["in", "not_in"])),
        st.builds(lambda cmp: {"segment": of_accounts, "cmp": cmp, "on": "account"}, st.sampled_from(["in", "not_in"])),
        st.builds(
            lambda event, since, cmp, n: {"event": event, "within": since, "cmp": cmp, "value": n},
            st.sampled_from(["contact.updated", "ticket.solved", "touch.click", "touch.any"]), SINCE, CMP, st.integers(0, 3),
        ),
    )  # fmt: skip


class Memory:
    """All rows as Python objects, and what ``children`` and ``facts`` answer from them."""

    def __init__(self, session, actor):
        def rows(key, model):
            table = entity(key).table
            ids = set(session.execute(select(table.c.id).where(visible(actor, key, table))).scalars())
            return {row.id: row for row in session.execute(select(model)).scalars() if row.id in ids}

        self.orders, self.tickets = rows("order", Order), rows("ticket", Ticket)
        self.products, self.people, self.accounts = rows("product", Product), rows("contact", Contact), rows("account", Account)
        self.lines, self.events, self.touches, self.members = (
            list(session.execute(select(model)).scalars()) for model in (OrderLine, Event, Touchpoint, SegmentMember)
        )

    def children(self, row, node):
        found = []
        for line in self.lines:
            order = self.orders.get(line.order_id)
            if order and order.contact_id == row["id"] and order.status in SOLD:
                product = self.products.get(line.product_id)
                found.append(
                    {
                        "quantity": float(line.quantity),
                        "product.category_id": product and product.category_id,
                        "order.ordered_at": order.ordered_at,
                    }
                )
        return found

    def facts(self, row, node):
        if isinstance(node, Linked):
            return {"id": row["account_id"]} if row["account_id"] in self.accounts else None
        if isinstance(node, InSegment):
            return any(m.segment_id == node.segment_id and m.record_id == row["id"] and m.left_at is None for m in self.members)
        if node.event.startswith("touch."):
            kind = node.event[6:]
            mine = [t.at for t in self.touches if t.contact_id == row["id"] and kind in ("any", t.kind)]
        elif node.relation is None:
            mine = [e.at for e in self.events if e.type == node.event and e.record_id == row["id"]]
        else:
            tickets = {t.id for t in self.tickets.values() if t.contact_id == row["id"]}
            mine = [e.at for e in self.events if e.type == node.event and e.record_id in tickets]
        return sum(at >= node.since for at in mine) if node.since else len(mine)


@pytest.mark.parametrize("who", ["root", "charlie"])
def test_sql_and_python_agree_beyond_fields(world, who):
    cast, *ids = world
    actor, table = cast[who], entity("contact").table
    tree = st.recursive(
        condition(*ids),
        lambda inner: st.fixed_dictionaries({"op": st.sampled_from(["and", "or", "not"]), "items": st.lists(inner, max_size=2)}),
        max_leaves=3,
    )
    with read_session() as session:
        memory = Memory(session, actor)

        @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(tree)
        def check(ast):
            node = bind(session, "contact", ast, Context(actor, NOW))
            in_sql = set(session.execute(select(table.c.id).where(to_sql(node, table, actor))).scalars())
            matches = predicate(node, memory.children, memory.facts)
            rows = [{"id": person.id, "account_id": person.account_id} for person in memory.people.values()]
            assert in_sql == {row["id"] for row in rows if matches(row)}, ast

        check()


@pytest.mark.parametrize(
    "ast",
    [
        {"segment": 999, "cmp": "in"},
        {"segment": True},
        {"segment": "1"},
        {"segment": 10**20},
        {"segment": [1]},
        {"segment": None},
        {"mark": "x" * 99, "value": 1},
        {"mark": "persona", "value": ["\x00"]},
        {"mark": "persona", "cmp": "ge", "value": "a"},
        {"mark": "churn_risk", "cmp": "between", "value": [1]},
        {"mark": "churn_risk", "cmp": "ge", "value": float("nan")},
        {"mark": "persona", "cmp": "in", "value": []},
        {"event": "moon.landed"},
        {"event": "user.signed_in"},
        {"event": "touch.\x00"},
        {"event": "contact.updated", "within": "+3d"},
        {"event": "contact.updated", "within": "soon"},
        {"event": "contact.updated", "value": "often"},
        {"event": "contact.updated", "on": "owner"},
        {"segment": 1, "on": "moon"},
        {"agg": "count", "rel": "purchases", "where": {"field": "product.moon", "cmp": "eq", "value": 1}},
    ],
    ids=str,
)
def test_a_hostile_condition_gets_a_sentence(cast, ast):
    with read_session() as session, pytest.raises(Invalid) as caught:
        lists.find(session, cast["root"], "contact", ListQuery(filter=ast))
    assert len(caught.value.message) > 10


def test_what_the_role_does_not_show_can_not_be_asked_for(cast):
    """The agent sees no deals: neither their number nor what happened to them."""
    with read_session() as session, pytest.raises(Invalid, match="does not show deals"):
        bind(session, "contact", {"event": "deal.won"}, Context(cast["sam"]))
    with read_session() as session, pytest.raises(Invalid, match="does not show deals"):
        bind(session, "contact", {"agg": "count", "rel": "deals", "cmp": "eq", "value": 0}, Context(cast["sam"]))


def test_the_conditions_read_as_sentences(cast):
    words = {
        "at least 3 purchases where Product category is Tea and Order ordered is on or after -90d": {
            "agg": "count", "rel": "purchases", "cmp": "ge", "value": 3,
            "where": {"op": "and", "items": [
                {"field": "product.category_id", "cmp": "eq", "value": "Tea"}, {"field": "order.ordered_at", "cmp": "ge", "value": "-90d"},
            ]},
        },
        "no tickets where Status is one of open": {
            "agg": "count", "rel": "tickets", "cmp": "eq", "value": 0, "where": {"field": "status", "cmp": "in", "value": ["open"]},
        },
        "not in the segment “7”": {"segment": 7, "cmp": "not_in"},
        "the account: in the segment “7”": {"segment": 7, "cmp": "in", "on": "account"},
        "Churn risk is at least 0.7": {"mark": "churn_risk", "cmp": "ge", "value": 0.7},
        "Persona is one of Hunters": {"mark": "persona", "cmp": "in", "value": ["Hunters"]},
        "“Deal: won the deal” happened at least 2 times since -90d": {"event": "deal.won", "within": "-90d", "cmp": "ge", "value": 2},
        "“Ticket: re-opened the ticket” did not happen": {"event": "ticket.reopened", "cmp": "eq", "value": 0},
    }  # fmt: skip
    with read_session() as session:
        for expected, ast in words.items():
            assert filters.in_words(session, "contact", ast) == expected
