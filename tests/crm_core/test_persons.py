"""Subjects that name a person say the name only to those whose role may know it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from crm_core import lists, persons
from crm_core.entities import entity
from crm_core.fields import registry
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.services import crud, finder
from crm_core.services.admin import audit
from crm_core.services.collaboration import activities, invitations, notifications, outbox, timeline
from crm_core.services.customers import contacts
from crm_core.services.inbox import arrivals
from crm_core.services.sales import leads
from crm_core.vocabulary import ActivityKind
from tests.verbs import do, look

NAME, PHONE = "Maria Anders", "+49 30 1234567"
FIELDS = frozenset((person, key) for person in ("contact", "lead") for key in ("name", "email", "phone"))


def hidden_from(actor):
    return replace(actor, masks=FIELDS)


def traced_for(actor):
    return replace(actor, masks=FIELDS, veils=FIELDS)


@pytest.fixture(params=["contact", "lead"])
def person(request, cast):
    verb = contacts.create if request.param == "contact" else leads.create
    made = do(verb, cast["root"], {"name": NAME, "email": "maria@example.org", "phone": PHONE})
    return request.param, made.id


def titles(actor, place, kind):
    return [item.title for item in look(timeline.find, actor, *place)[0] if item.kind == kind]


def test_entries_of_a_timeline_name_nobody_whose_name_the_reader_may_not_know(cast, person):
    root, (key, record_id) = cast["root"], person
    do(activities.log, root, key, record_id, kind=ActivityKind.CALL, subject=f"Call with {NAME}, maria", text="")
    do(activities.log, root, key, record_id, kind=ActivityKind.EMAIL, subject="From M. A. Smith: your offer", text="")
    task = do(crud.create, root, "task", {"subject": "Call back Anders", f"{key}_id": record_id})
    do(crud.update, root, "task", task.id, {"status": "done"})
    do(
        outbox.queue, root, to="maria@example.org", subject="Hello Maria", text="Dear Maria Anders,", kind="campaign", dedupe_key="k",
        start=False, **{f"{key}_id": record_id},
    )  # fmt: skip
    for reader, call, mail, done, letter in (
        (root, f"Call with {NAME}, maria", "From M. A. Smith: your offer", "Call back Anders", "Hello Maria"),
        (hidden_from(root), "Call with •••, maria", "From •••: your offer", "Call back •••", "Hello •••"),
        (traced_for(root), "Call with M… A…, maria", "From S…: your offer", "Call back A…", "Hello M…"),
    ):
        assert titles(reader, person, "call") == [call]
        assert titles(reader, person, "email") == [mail]
        assert titles(reader, person, "task") == [done]
        assert titles(reader, person, "letter") == [letter]
        assert look(lists.titles, reader, "task", [task.id]) == {task.id: done}
        specs = [look(lambda session, _actor: registry(session, "task"), reader)["subject"]]
        assert look(lists.rows_of, reader, "task", [task.id], specs)[0]["subject"] == done
    (text,) = [item.text for item in look(timeline.find, hidden_from(root), *person)[0] if item.kind == "letter"]
    assert text == "Dear •••,"


def found(actor, key, **query):
    return look(lists.find, actor, key, ListQuery(**query))


def subject_is(cmp, value):
    return {"filter": {"field": "subject", "cmp": cmp, "value": value}}


@pytest.mark.parametrize("key", ["task", "ticket", "activity"])
def test_nothing_is_found_put_in_order_or_left_out_by_a_name_that_the_reader_does_not_know(any_cast, key):
    root = any_cast["root"]
    maria = do(contacts.create, root, {"name": NAME, "email": "maria@example.org", "phone": PHONE}).id
    more = {"kind": ActivityKind.EMAIL, "at": clock.utcnow()} if key == "activity" else {}
    about = do(crud.create, root, key, {"subject": "From Maria: the Anders offer of Zoe", "contact_id": maria, **more}).id
    free = do(crud.create, root, key, {"subject": "Anders street is closed", **more}).id
    both, reader = {about, free}, hidden_from(root)
    for asked, known, told in (
        ({"q": "anders"}, both, {free}),
        ({"q": "offer"}, {about}, {about}),
        ({"q": "offer zoe"}, {about}, {about}),
        ({"q": "offer mar"}, {about}, set()),
        (subject_is("contains", "nder"), both, {free}),
        (subject_is("contains", "the anders"), {about}, set()),
        (subject_is("not_contains", "anders"), set(), {about}),
        (subject_is("starts", "from maria"), {about}, set()),
        (subject_is("eq", "from maria: the anders offer of zoe"), {about}, set()),
        (subject_is("ne", "from maria: the anders offer of zoe"), {free}, both),
        (subject_is("in", ["from maria: the anders offer of zoe"]), {about}, set()),
        (subject_is("empty", None), set(), set()),
        ({"filter": {"op": "not", "items": [subject_is("contains", "maria")["filter"]]}}, {free}, both),
    ):
        for actor, expected in ((root, known), (reader, told)):
            page = found(actor, key, **asked)
            assert ({row["id"] for row in page.rows}, page.total) == (expected, len(expected)), (asked, actor is root)
    assert [row["id"] for row in found(root, key, sort=("subject", False)).rows] == [free, about]
    assert [row["id"] for row in found(reader, key, sort=("subject", False)).rows] == [about, free], "as they were entered"
    by_parts = {"filter": {"agg": "count", "rel": entity(key).plural.lower(), "where": subject_is("contains", "anders")["filter"], "cmp": "ge", "value": 1}}  # fmt: skip
    assert [found(actor, "contact", **by_parts).total for actor in (root, reader)] == [1, 0]
    assert [about in look(lists.choices, actor, key, "anders") for actor in (root, reader)] == [True, False]
    assert "Maria" not in str(look(lists.choices, reader, key))
    if key != "activity":
        assert [hit.id for hit in look(finder.find, root, "maria") if hit.entity == key] == [about]
        assert not [hit for hit in look(finder.find, reader, "maria") if hit.entity == key]
    if key == "ticket":
        assert [look(arrivals.find, actor, q="anders").total for actor in (root, reader)] == [2, 1]
    do(crud.archive, root, key, about)
    assert [found(actor, key, q="anders", deleted=True).total for actor in (root, reader)] == [1, 0]


def test_a_count_that_was_kept_for_one_reader_is_not_told_to_another_who_knows_fewer_names(cast):
    root = cast["root"]
    for key in ("task", "ticket", "activity"):
        assert root.fingerprint(key) != hidden_from(root).fingerprint(key)
    assert root.fingerprint("deal") == hidden_from(root).fingerprint("deal")


def test_events_the_audit_trail_and_the_calendar_name_nobody_either(cast, person):
    root, (key, record_id) = cast["root"], person
    meeting = do(
        activities.log,
        root,
        key,
        record_id,
        kind=ActivityKind.MEETING,
        subject=f"Lunch with {NAME}",
        text="",
        at=clock.utcnow() + timedelta(days=1),
    )
    do(
        invitations.invite,
        root,
        meeting.id,
        **({"contact_ids": [record_id]} if key == "contact" else {"addresses": ["maria@example.org"]}),
    )
    reader = hidden_from(root)
    for who, expected in ((root, True), (reader, False)):
        entries = [row["entry"] for row in look(audit.find, who).rows]
        assert any(NAME in one.sentence + one.title for one in entries) is expected
        said = [item for item in look(timeline.find, who, *person, kinds="changes")[0] if "guest" in item.data]
        assert all((NAME in str(item.data)) is expected for item in said)


def test_notifications_name_nobody_either(cast, person):
    root, (key, record_id) = cast["root"], person
    task = do(crud.create, root, "task", {"subject": f"Call {NAME}", f"{key}_id": record_id})
    for number, (kind, about, params) in enumerate(
        (
            ("reminder.task", {"entity": "task", "record_id": task.id}, {}),
            (
                "booking.cancelled",
                {"entity": key, "record_id": record_id},
                {"who": NAME, "meeting": f"Intro: {NAME}", "when": "today"},
            ),
        )
    ):
        do(lambda session, actor, n, **given: notifications.notify(session, actor.user_id, dedupe_key=str(n), **given), root, number, kind=kind, params=params, **about)  # fmt: skip
    assert sum(NAME in note.text() for note in look(notifications.find, root)[0]) == 2
    told = [note.text() for note in look(notifications.find, hidden_from(root))[0]]
    assert sorted(told) == ["Due now: Call •••", "••• called off “Intro: •••” of today"]


def test_nothing_is_looked_up_for_a_reader_from_whom_nothing_is_hidden(cast):
    assert not persons.hides(cast["root"]) and persons.hides(cast["ana"])
    texts = {1: "Call"}
    assert persons.subjects(None, cast["root"], "task", texts) is texts


def test_a_hidden_subject_is_chosen_by_kind_and_number_as_lists_call_it(cast):
    ticket = do(crud.create, cast["root"], "ticket", {"subject": "Leaking"}).id
    for veils in (frozenset(), frozenset({("ticket", "subject")})):
        blind = replace(cast["root"], masks=frozenset({("ticket", "subject")}), veils=veils)
        assert look(lists.choices, blind, "ticket") == look(lists.titles, blind, "ticket", [ticket]) == {ticket: f"Ticket {ticket}"}
