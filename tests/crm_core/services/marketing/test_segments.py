"""Segments: made, followed, shared, combined; what is private or hidden stays so."""

import pytest

from crm_core.db import read_session, write_session
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.lists import ListQuery, find
from crm_core.services import crud
from crm_core.services.marketing import segment_members, segments
from crm_core.vocabulary import SegmentKind

BERLIN = {"field": "city", "cmp": "eq", "value": "Berlin"}


def make(actor, entity_key, **values):
    with write_session() as session:
        return crud.create(session, actor, entity_key, values).id


def people(actor, *cities):
    return [make(actor, "contact", name=f"P{n}", city=city) for n, city in enumerate(cities)]


def new(actor, **values):
    with write_session() as session:
        return segments.create(session, actor, **{"name": "S", "entity": "contact", **values})


def members(actor, segment_id):
    with read_session() as session:
        key = segments.get(session, actor, segment_id).entity
        page = find(session, actor, key, ListQuery(filter={"segment": segment_id, "cmp": "in"}, sort=("id", False)))
        assert segments.count(session, actor, segment_id) == page.total
        return [row["id"] for row in page.rows]


def test_a_live_segment_holds_who_matches_and_counts_anew_with_its_rule(any_cast):
    dana = any_cast["dana"]
    first, second, third = people(dana, "Berlin", "Hamburg", "berlin")
    segment = new(dana, rule=BERLIN)
    assert members(dana, segment) == [first, third]
    with write_session() as session:
        segments.update(session, dana, segment, rule={"field": "city", "cmp": "eq", "value": "Hamburg"})
    assert members(dana, segment) == [second]
    with read_session() as session:
        kept = segments.get(session, dana, segment)
        assert (kept.member_count, kept.kind, kept.counted_at is not None) == (1, SegmentKind.LIVE, True)


def test_a_static_segment_keeps_its_list_whatever_changes(cast):
    dana = cast["dana"]
    first, second = people(dana, "Berlin", "Rome")
    segment = new(dana, kind="static", record_ids=[first])
    with write_session() as session:
        assert segment_members.add(session, dana, segment, [first, second]) == (1, 1)
        crud.update(session, dana, "contact", first, {"city": "Paris"})
    assert members(dana, segment) == [first, second]
    with write_session() as session:
        assert segment_members.remove(session, dana, segment, [first, 999]) == 1
    assert members(dana, segment) == [second]


def test_what_the_maker_may_not_see_is_refused_as_missing_and_never_shown(cast):
    charlies = make(cast["charlie"], "lead", name="Hidden")
    alices = make(cast["alice"], "lead", name="Mine")
    with pytest.raises(NotFound), write_session() as session:
        segments.create(session, cast["bob"], name="X", entity="lead", kind="static", record_ids=[charlies])
    shared = new(cast["dana"], entity="lead", rule={})
    assert members(cast["dana"], shared) == [charlies, alices]
    assert members(cast["alice"], shared) == [alices]


def test_a_private_segment_looks_missing_to_everybody_else(cast):
    segment = new(cast["bob"], visibility="private", rule=BERLIN)
    for who in ("root", "dana", "alice"):
        with read_session() as session, pytest.raises(NotFound):
            segments.get(session, cast[who], segment)
        with read_session() as session, pytest.raises(Invalid, match="not shared with you"):
            find(session, cast[who], "contact", ListQuery(filter={"segment": segment, "cmp": "in"}))
        with read_session() as session:
            assert segments.find(session, cast[who]) == []
    with read_session() as session:
        assert [row.id for row in segments.find(session, cast["bob"])] == [segment]


def test_a_rep_reads_and_makes_none(cast):
    with pytest.raises(NotPermitted), write_session() as session:
        segments.create(session, cast["alice"], name="X", entity="contact")
    segment = new(cast["dana"], rule=BERLIN)
    with pytest.raises(NotPermitted), write_session() as session:
        segments.update(session, cast["alice"], segment, name="Y")
    with pytest.raises(NotPermitted), write_session() as session:
        segments.update(session, cast["bob"], segment, name="Y")


def test_the_second_click_on_save_makes_nothing(cast):
    with write_session() as session:
        first = segments.create(session, cast["dana"], name="S", entity="contact", rule=BERLIN, submit_key="k")
    with write_session() as session:
        assert segments.create(session, cast["dana"], name="S", entity="contact", rule=BERLIN, submit_key="k") == first


def test_two_editors_of_the_rule_are_told(cast):
    dana, root = cast["dana"], cast["root"]
    segment = new(dana, rule=BERLIN)
    with read_session() as session:
        version = segments.get(session, dana, segment).version
    with write_session() as session:
        segments.update(session, root, segment, rule={"field": "city", "cmp": "eq", "value": "Rome"}, base_version=version)
    with pytest.raises(Conflict, match="changed the rule"), write_session() as session:
        segments.update(session, dana, segment, rule={"field": "city", "cmp": "eq", "value": "Oslo"}, base_version=version)
    with write_session() as session:
        segments.update(session, dana, segment, name="Renamed", base_version=version)


def test_a_rule_that_leads_back_to_itself_is_refused(cast):
    dana = cast["dana"]
    first = new(dana, rule=BERLIN)
    second = new(dana, rule={"segment": first, "cmp": "not_in"})
    for rule in ({"segment": first, "cmp": "in"}, {"op": "or", "items": [BERLIN, {"segment": second, "cmp": "in"}]}):
        with pytest.raises(Invalid, match="leads back"), write_session() as session:
            segments.update(session, dana, first, rule=rule)
    with pytest.raises(Conflict, match="reads this one"), write_session() as session:
        segments.archive(session, dana, first)


def test_frozen_copied_archived_and_taken_back(cast):
    dana = cast["dana"]
    first, _ = people(dana, "Berlin", "Rome")
    live = new(dana, rule=BERLIN)
    with write_session() as session:
        frozen, copied = segments.freeze(session, dana, live), segments.copy(session, dana, live)
        crud.update(session, dana, "contact", first, {"city": "Rome"})
        segments.archive(session, dana, live)
    with read_session() as session, pytest.raises(NotFound):
        segments.get(session, dana, live)
    assert members(dana, frozen) == [first]
    with write_session() as session:
        segments.restore(session, dana, live)
    assert members(dana, live) == []
    assert members(dana, copied) == [first], "copied by its rule; kept in step by the job"
    with pytest.raises(Invalid, match="follow its rule"), write_session() as session:
        segment_members.add(session, dana, live, [first])


def test_the_clause_stays_within_what_the_reader_sees(cast):
    from sqlalchemy import select

    charlies, alices = make(cast["charlie"], "lead", name="A"), make(cast["alice"], "lead", name="B")
    segment = new(cast["dana"], entity="lead", rule={})
    table = entity("lead").table
    with read_session() as session:
        seen = select(table.c.id).where(segments.clause(session, cast["alice"], segment, table))
        assert session.execute(seen).scalars().all() == [alices]
        assert charlies not in session.execute(seen).scalars().all()
