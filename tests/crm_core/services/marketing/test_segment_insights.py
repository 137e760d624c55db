"""What a group is worth, whom it meets and what a test could show, within what the reader may see."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.services import crud
from crm_core.services.marketing import campaigns, segment_insights, segments
from tests.crm_core.services.marketing.test_segments import BERLIN, make, new, people


def test_worth_counts_who_can_be_written_to_and_what_they_bought(any_cast):
    dana, root = any_cast["dana"], any_cast["root"]
    firm = make(root, "account", name="Firm")
    first = make(dana, "contact", name="A", city="Berlin", email="a@example.com", account_id=firm)
    make(dana, "contact", name="B", city="Berlin", email="b@example.com", do_not_email=True)
    make(dana, "contact", name="C", city="Berlin")
    with write_session() as session:
        from crm_core.services.customers import consent

        consent.set_rules(session, root, {"needs_consent": False})
    for days, total in ((1, 500), (200, 300), (400, 100)):
        order = make(
            root, "order", number=f"O{days}", contact_id=first, ordered_at=clock.utcnow() - timedelta(days=days), status="placed"
        )
        with write_session() as session:
            from crm_core.models import Order

            session.get(Order, order).total_minor = total
    with read_session() as session:
        found = segment_insights.worth(session, dana, "contact", BERLIN)
        assert (found.count, found.contactable, found.revenue_minor, found.buyers) == (3, 1, 800, 1)
        assert segment_insights.worth(session, dana, "account", None).contactable == 1, (
            "the people there, as a campaign addresses them"
        )
        hidden = segment_insights.worth(session, any_cast["alice"], "contact", BERLIN)
        assert hidden.revenue_minor == 0, "a rep's sum holds own orders only"


def test_meetings_count_what_is_shared_and_hide_private_ones(cast):
    dana = cast["dana"]
    a, b, _c = people(dana, "Berlin", "Berlin", "Rome")
    shared = new(dana, name="Two", kind="static", record_ids=[a, b])
    new(cast["root"], name="Secret", kind="static", record_ids=[a], visibility="private")
    with write_session() as session:
        campaign = crud.create(session, dana, "campaign", {"name": "Spring", "status": "running"})
        campaigns.add_members(session, dana, campaign.id, "contact", [a])
    with read_session() as session:
        found = segment_insights.meetings(session, dana, "contact", BERLIN)
        assert [(m.kind, m.name, m.size, m.shared) for m in found] == [("segment", "Two", 2, 2), ("campaign", "Spring", 1, 1)]
        assert [m.id for m in segment_insights.meetings(session, dana, "contact", BERLIN, without=shared)] == [campaign.id]
    firm = make(cast["root"], "account", name="Firm")
    make(cast["root"], "account", name="Another")
    with write_session() as session:
        inside = [crud.create(session, dana, "contact", {"name": name, "account_id": firm}).id for name in ("D", "E")]
        campaigns.add_members(session, dana, campaign.id, "contact", inside)
    with read_session() as session:
        found = segment_insights.meetings(session, dana, "account", None)
        assert [(m.name, m.size, m.shared) for m in found] == [("Spring", 1, 1)], "companies whose people are in a campaign"


def test_the_history_adds_up_and_names_who_moved(cast):
    dana = cast["dana"]
    one, two = people(dana, "Rome", "Berlin")
    segment = new(dana, rule=BERLIN)
    with clock.frozen(clock.utcnow() + timedelta(days=2)), write_session() as session:
        crud.update(session, dana, "contact", one, {"city": "Berlin"})
        crud.update(session, dana, "contact", two, {"city": "Rome"})
        session.flush()
        segments.recount(session, dana, segment)
    with read_session() as session:
        sizes = segment_insights.history(session, dana, segment)
        assert [(row.members, row.entered, row.left) for row in sizes] == [(1, 1, 0), (1, 1, 1)]
        moved = segment_insights.moves(session, dana, segment)
        assert {(row.record_id, row.entered) for row in moved} == {(one, True), (two, False)}


def test_the_days_of_the_history_are_the_readers(any_cast):
    dana = any_cast["dana"]
    with clock.frozen(datetime(2026, 3, 4, 23, 50, 59, tzinfo=UTC)):
        one, _ = people(dana, "Berlin", "Berlin")
        segment = new(dana, rule=BERLIN)
    with clock.frozen(datetime(2026, 3, 5, 2, 10, tzinfo=UTC)), write_session() as session:
        crud.update(session, dana, "contact", one, {"city": "Rome"})
        session.flush()
        segments.recount(session, dana, segment)
    with read_session() as session:
        for zone, days in (
            ("UTC", [(4, 2, 2, 0), (5, 1, 0, 1)]),
            ("Pacific/Auckland", [(5, 1, 2, 1)]),
            ("America/St_Johns", [(4, 1, 2, 1)]),
        ):
            sizes = segment_insights.history(session, replace(dana, timezone=zone), segment)
            assert [(row.day.day, row.members, row.entered, row.left) for row in sizes] == days


def test_counts_of_a_list_of_segments_are_those_of_the_reader(cast):
    make(cast["charlie"], "lead", name="A"), make(cast["alice"], "lead", name="B")
    segment = new(cast["dana"], entity="lead", rule={})
    private = new(cast["bob"], rule=BERLIN, visibility="private")
    with read_session() as session:
        assert segment_insights.sizes(session, cast["dana"], (segment, private)) == {segment: 2}
        assert segment_insights.sizes(session, cast["alice"], (segment, private)) == {segment: 1}


def test_the_sql_holds_its_values_and_nobody_breaks_out_of_them(any_cast):
    rule = {"field": "city", "cmp": "eq", "value": "x'); drop table contact; --"}
    with read_session() as session:
        text = segment_insights.sql_text(session, any_cast["dana"], "contact", rule)
        assert "x''); drop table contact; --" in text and "SELECT" in text
        odd = {
            "op": "and",
            "items": [{"field": "created_at", "cmp": "ge", "value": "-7d"}, {"field": "do_not_email", "cmp": "eq", "value": True}],
        }
        assert (
            ":"
            not in segment_insights.sql_text(session, any_cast["dana"], "contact", odd)
            .split("WHERE")[1]
            .replace("::", "")
            .split("'")[0]
        )


@pytest.mark.parametrize(
    ("people_", "base", "expected"), [(10_000, 5.0, 2.30), (200, 5.0, 25.82), (190, 5.0, None), (5, 5.0, None), (1_000, 0.0, None)]
)
def test_what_a_test_could_show(people_, base, expected):
    found = segment_insights.detectable_points(people_, base, 10)
    assert found == (pytest.approx(expected, abs=0.01) if expected else None)


def test_a_rule_over_hidden_fields_is_not_shown_to_who_may_not_read_it(cast):
    with read_session() as session:
        rule = {"field": "email", "cmp": "contains", "value": "gmail"}
        assert segments.problem(session, cast["dana"], "contact", rule) == ""
        assert "hidden from your role" in segments.problem(session, cast["ana"], "contact", rule)
