"""The trail shows who changed what, to whom it may be shown; its seals show a later edit."""

from datetime import date

import pytest
from sqlalchemy import text

from crm_core import events, lists, records
from crm_core.db import read_session, write_session
from crm_core.errors import NotPermitted
from crm_core.events import GENERIC, SENTENCES
from crm_core.kit import clock
from crm_core.lists import MASK
from crm_core.models import User
from crm_core.services import exports
from crm_core.services.admin import audit, custom_fields, organisation, roles, users
from crm_core.services.marketing import campaigns, plans, segments
from crm_core.vocabulary import FieldKind
from tests.verbs import do


@pytest.fixture
def history(any_cast):
    with write_session() as session:
        account = records.create(session, any_cast["alice"], "account", {"name": "Northwind"})
        records.update(session, any_cast["alice"], "account", account.id, {"city": "Oslo", "employees": 7})
        records.create(session, any_cast["charlie"], "contact", {"name": "Ida", "email": "ida@example.com"})
    return any_cast


def entries(actor, **filters):
    with read_session() as session:
        return [row["entry"] for row in audit.find(session, actor, **filters).rows]


def seal():
    until = audit.settled_until()
    with write_session() as session:
        return audit.seal(session, until)


def verify():
    with read_session() as session:
        return audit.verify(session)


def test_each_change_shows_before_and_after(history):
    found = entries(history["root"], entity="account")
    assert [entry.sentence for entry in found] == ["changed 2 fields", "created this account"]
    assert found[0].who == "Alice Rep"
    assert found[0].title == "Northwind"
    assert [(change.label, change.old, change.new) for change in found[0].changes] == [
        ("City", None, "Oslo"),
        ("Employees", None, 7),
    ]


def test_other_roles_are_named_before_and_after(any_cast):
    with read_session() as session:
        known = {role.name: role.id for role in roles.find(session, any_cast["root"])}
    with write_session() as session:
        session.get(User, any_cast["root"].user_id).password_hash = "kept"
    do(users.set_roles, any_cast["root"], any_cast["alice"].user_id, [known["Analyst"], known["Marketer"]])
    (change,) = next(entry.changes for entry in entries(any_cast["root"], entity="user") if entry.changes)
    assert (change.label, change.old, change.new) == ("Roles", "Sales rep", "Analyst, Marketer")


def test_a_line_says_what_left_the_house_and_of_what_kind_one_thing_was_made(history):
    root = history["root"]
    with read_session() as session:
        made = exports.build(session, root, "account", lists.ListQuery())
    do(exports.log, root, "account", made, form="csv")
    do(custom_fields.create, root, "account", label="Badge", kind=FieldKind.TEXT)
    told = {(entry.entity_label, entry.sentence) for entry in entries(root)}
    assert {("Account", "exported 1 account"), ("Custom field", "created this custom field")} <= told


def test_a_custom_field_and_the_settings_are_told_in_the_words_of_their_forms(cast):
    root = cast["root"]
    field = do(custom_fields.create, root, "account", label="Badge", kind=FieldKind.TEXT)
    do(custom_fields.deactivate, root, field.id)
    hours = {"0": [["09:00", "12:00"], ["13:00", "17:00"]], "4": [["09:00", "13:00"]]}
    do(organisation.update, root, {"locale": "de_DE", "working_hours": hours})
    settings, retired, made = entries(root)[:3]
    assert (made.title, retired.title) == ("Badge", "Badge")
    assert [(change.label, change.old, change.new) for change in retired.changes] == [("In use", "Yes", "No")]
    told = {change.label: (change.old, change.new) for change in settings.changes}
    assert told["Numbers and dates as in"] == ("English (US)", "Deutsch")
    assert told["Working hours"][1] == "Monday 09:00–12:00, 13:00–17:00; Friday 09:00–13:00"


def test_parts_of_a_campaigns_plan_have_names_and_segments_are_counted(cast):
    made = do(campaigns.create, cast["root"], {"name": "Spring"}).id
    segment = do(segments.create, cast["root"], name="All", entity="contact", rule={"field": "name", "cmp": "not_empty"})
    do(plans.save, cast["root"], made, {"segment_ids": [segment], "holdout_pct": 20})
    changes = next(entry.changes for entry in entries(cast["root"], entity="campaign") if entry.changes)
    assert [(change.label, change.old, change.new) for change in changes] == [
        ("Held out in %", 10, 20),
        ("Segments", None, "1 chosen"),
    ]
    assert audit._named("mail_merge_exclude_ids") == "Segments left out (mail merge)"


def test_filters_by_person_record_and_day(history):
    assert {entry.who for entry in entries(history["root"], user_id=history["charlie"].user_id)} == {"Charlie Rep"}
    assert len(entries(history["root"], entity="contact", record_id=1)) == 1
    assert entries(history["root"], since=date(2000, 1, 1), until=date(2000, 1, 2)) == []
    today = clock.today()
    assert len(entries(history["root"], since=today, until=today)) == 3


def test_pages_in_the_database(history):
    with read_session() as session:
        page = audit.find(session, history["root"], size=2, page=2)
    assert (page.total, page.pages, len(page.rows)) == (3, 2, 1)


def test_a_manager_sees_the_deeds_of_everyone_below_and_nobody_elses(history):
    assert {entry.who for entry in entries(history["bob"])} == {"Alice Rep"}


def test_without_the_permission_there_is_no_trail(history):
    for name in ("alice", "dana", "sam", "ana"):
        with pytest.raises(NotPermitted):
            entries(history[name])


def test_masked_fields_are_masked_in_the_trail(history):
    from dataclasses import replace

    with write_session() as session:
        records.update(session, history["charlie"], "contact", 1, {"email": "other@example.com"})
    nosy = replace(history["root"], masks=frozenset({("contact", "email")}))
    (change,) = entries(nosy, entity="contact")[0].changes
    assert (change.old, change.new) == (MASK, MASK)


def test_every_sentence_can_be_said(history):
    with write_session() as session:
        for name in (*SENTENCES, *(f"deal.{verb}" for verb in GENERIC)):
            events.record(session, history["root"], name, entity=name.split(".")[0], record_id=1)
    found = entries(history["root"], size=200)
    assert len(found) == 3 + len(SENTENCES) + len(GENERIC)
    assert not [entry.sentence for entry in found if "{" in entry.sentence or not entry.sentence]


def test_sealed_events_are_proven_as_they_were(history):
    assert seal() == 3
    assert seal() == 0
    assert verify() == audit.Verification(sealed=3, unsealed=0, broken=None)
    with write_session() as session:
        records.create(session, history["root"], "account", {"name": "Later"})
    assert verify() == audit.Verification(sealed=3, unsealed=1, broken=None)
    assert seal() == 1
    assert verify().sealed == 4


@pytest.mark.parametrize(
    "edit",
    [
        "update event_log set actor_id = 1 where id = 2",
        "update event_log set changes = '{}' where id = 2",
        "delete from event_log where id = 2",
        "update event_log set id = 99 where id = 2",
        "delete from audit_seal where id = 1",
        "update audit_seal set sha256 = 'x' where id = 1",
    ],
)
def test_an_edit_of_sealed_history_shows(history, edit):
    seal()
    with write_session() as session:
        records.create(session, history["root"], "account", {"name": "Later"})
    seal()
    with write_session() as session:
        session.execute(text(edit))
    assert verify().broken is not None


def test_an_event_slipped_in_between_shows(history):
    with write_session() as session:
        session.execute(text("update event_log set id = 10 where id = 3"))
    seal()
    with write_session() as session:
        events.record(session, history["root"], "user.signed_in", entity="user").id = 5
    assert verify().broken == (1, 10)


def test_nothing_is_sealed_over_a_write_that_is_still_under_way(history):
    with write_session() as session:
        records.create(session, history["root"], "account", {"name": "Under way"})
        session.flush()
        if session.get_bind().dialect.name == "postgresql":
            assert audit.settled_until() == 0
    assert audit.settled_until() == 4
