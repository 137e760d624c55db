"""Live segments follow what happens: only who was touched is looked at, all of them when nobody can tell, and time passes too."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.models import Event, OrderLine, Product, ProductCategory, Segment, SegmentMember, User
from crm_core.services import crud
from crm_core.services.marketing import segment_members, segment_upkeep, segments
from crm_core.vocabulary import MembershipReason
from tests.crm_core.services.marketing.test_segments import BERLIN, make, members, new, people

OPEN_TICKET = {
    "agg": "count", "rel": "tickets", "cmp": "ge", "value": 1, "where": {"field": "status", "cmp": "in", "value": ["new", "open"]},
}  # fmt: skip


def follow(segment_id, reason=MembershipReason.RULE):
    with write_session() as session:
        segment_upkeep.step(session, session.get(Segment, segment_id), reason)


def touched(segment_id):
    with read_session() as session:
        return segment_upkeep.touched_by(session, session.get(Segment, segment_id))


def test_who_is_changed_enters_and_leaves_with_an_event(any_cast):
    dana = any_cast["dana"]
    stays, moves = people(dana, "Berlin", "Rome")
    segment = new(dana, rule=BERLIN)
    with write_session() as session:
        crud.update(session, dana, "contact", moves, {"city": "Berlin"})
        crud.update(session, dana, "contact", stays, {"city": "Rome"})
    assert touched(segment) is not None and {stays, moves} <= touched(segment)
    follow(segment)
    assert members(dana, segment) == [moves]
    with read_session() as session:
        log = session.execute(select(Event.type, Event.record_id).where(Event.type.like("contact.segment_%"))).all()
        assert sorted(map(tuple, log)) == [("contact.segment_entered", moves), ("contact.segment_left", stays)]
        first = session.execute(select(SegmentMember).where(SegmentMember.record_id == stays)).scalar_one()
        assert first.reason is MembershipReason.FIRST and first.left_at is not None
    with write_session() as session:
        crud.update(session, dana, "contact", stays, {"city": "Berlin"})
    follow(segment)
    assert members(dana, segment) == [stays, moves]


def test_a_private_segment_leaves_no_word_on_the_records(cast):
    dana = cast["dana"]
    [one] = people(dana, "Rome")
    segment = new(dana, rule=BERLIN, visibility="private")
    with write_session() as session:
        crud.update(session, dana, "contact", one, {"city": "Berlin"})
    follow(segment)
    assert members(dana, segment) == [one]
    with read_session() as session:
        assert session.execute(select(Event.id).where(Event.type.like("contact.segment_%"))).first() is None


def test_children_touch_their_parents_the_earlier_one_too(any_cast):
    dana, root = any_cast["dana"], any_cast["root"]
    first, second = people(root, "x", "y")
    segment = new(root, rule=OPEN_TICKET)
    ticket = make(root, "ticket", subject="s", contact_id=first)
    follow(segment)
    assert members(dana, segment) == [first]
    with write_session() as session:
        crud.update(session, root, "ticket", ticket, {"contact_id": second})
    assert touched(segment) is not None
    follow(segment)
    assert members(dana, segment) == [second]


def test_what_the_log_can_not_name_runs_the_whole_rule_once_it_has_rested(cast):
    root = cast["root"]
    [one] = people(root, "x")
    with write_session() as session:
        category = ProductCategory(name="Tea")
        session.add(category)
        session.flush()
        session.add(Product(name="Green", category_id=category.id))
    rule = {
        "agg": "count",
        "rel": "purchases",
        "cmp": "ge",
        "value": 1,
        "where": {"field": "product.category_id", "cmp": "eq", "value": category.id},
    }
    segment = new(root, rule=rule)
    order = make(root, "order", number="O1", contact_id=one, ordered_at=clock.utcnow(), status="placed")
    with write_session() as session:
        session.add(OrderLine(order_id=order, product_id=session.execute(select(Product.id)).scalar_one(), name="Green"))
    assert touched(segment) is None
    with clock.frozen(clock.utcnow() + timedelta(minutes=16)):
        follow(segment)
    assert members(root, segment) == [one]


def test_segments_of_segments_follow_in_order(cast):
    dana = cast["dana"]
    one, two = people(dana, "Rome", "Berlin")
    inner = new(dana, rule=BERLIN)
    outer = new(dana, rule={"segment": inner, "cmp": "not_in"})
    assert members(dana, outer) == [one]
    with write_session() as session:
        crud.update(session, dana, "contact", one, {"city": "Berlin"})
        crud.update(session, dana, "contact", two, {"city": "Rome"})
    with read_session() as session:
        assert segment_upkeep._due(session)
        assert [row.id for row in segment_upkeep._live(session)] == [inner, outer]
    follow(inner)
    follow(outer)
    assert members(dana, outer) == [two]
    with read_session() as session:
        assert not segment_upkeep.stale(session, session.get(Segment, inner))


def test_time_passes_without_a_write(cast):
    dana = cast["dana"]
    [one] = people(dana, "x")
    segment = new(dana, rule={"field": "created_at", "cmp": "ge", "value": "-7d"})
    assert members(dana, segment) == [one]
    with clock.frozen(clock.utcnow() + timedelta(days=9)):
        follow(segment, MembershipReason.SWEEP)
    assert members(dana, segment) == []


def test_an_owner_who_left_stops_it_with_a_word_and_a_new_owner_starts_it_again(cast):
    dana, root = cast["dana"], cast["root"]
    [one] = people(dana, "Berlin")
    segment = new(dana, rule=BERLIN)
    with write_session() as session:
        session.get(User, dana.user_id).is_active = False
    follow(segment, MembershipReason.SWEEP)
    assert members(root, segment) == [one]
    with read_session() as session:
        assert "deactivated" in session.get(Segment, segment).progress["problem"]
    with write_session() as session:
        segments.update(session, root, segment, owner_id=root.user_id)
    with read_session() as session:
        assert session.get(Segment, segment).progress["problem"] == ""


def test_the_rule_sees_with_its_owners_eyes(cast):
    """Bob sees the leads of his people; a segment of his does not grow by those of others, whoever runs the job."""
    segment = new(cast["bob"], entity="lead", rule={})
    mine, _others = make(cast["alice"], "lead", name="A"), make(cast["charlie"], "lead", name="C")
    follow(segment)
    assert members(cast["root"], segment) == [mine]


def test_the_job_body_runs_for_all(cast, monkeypatch):
    from contextlib import contextmanager

    dana = cast["dana"]
    [one] = people(dana, "Rome")
    segment = new(dana, rule=BERLIN)
    with write_session() as session:
        crud.update(session, dana, "contact", one, {"city": "Berlin"})

    class Fake:
        @contextmanager
        def transaction(self):
            with write_session() as session:
                yield session

        def report(self, *_args):
            pass

    segment_upkeep.follow(Fake())
    assert members(dana, segment) == [one]


def test_more_at_once_than_is_told_leaves_one_event(cast, monkeypatch):
    monkeypatch.setattr(segment_members, "MAX_TOLD", 1)
    dana = cast["dana"]
    ids = people(dana, "Rome", "Rome")
    segment = new(dana, rule=BERLIN)
    with write_session() as session:
        for record_id in ids:
            crud.update(session, dana, "contact", record_id, {"city": "Berlin"})
    follow(segment)
    with read_session() as session:
        assert session.execute(select(Event.id).where(Event.type == "segment.members_changed")).all()
        assert session.execute(select(Event.id).where(Event.type.like("contact.segment_%"))).first() is None


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level("ERROR")
