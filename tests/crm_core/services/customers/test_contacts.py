"""Contacts with several addresses; accounts above accounts."""

from dataclasses import replace

import pytest

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.services import crud, finder
from crm_core.services.collaboration import suppressions, timeline
from crm_core.services.customers import accounts, contacts, created_anyway, duplicates
from crm_core.services.inbox import threading
from crm_core.services.sales import leads
from crm_core.vocabulary import DuplicateReason, PointKind
from tests.verbs import do, look


def points(actor, contact_id):
    with read_session() as session:
        return [(p.kind, p.value, p.is_primary) for p in contacts.points(session, actor, contact_id)]


def test_main_addresses_follow_the_contact_and_the_contact_follows_them(any_cast):
    alice = any_cast["alice"]
    person = do(contacts.create, alice, {"name": "Maria", "email": "Maria@Example.com", "phone": "+49 30 1234567"})
    assert points(alice, person.id) == [(PointKind.EMAIL, "Maria@example.com", True), (PointKind.PHONE, "+49 30 1234567", True)]
    do(contacts.update, alice, person.id, {"email": "new@example.com"})
    assert (PointKind.EMAIL, "new@example.com", True) in points(alice, person.id)
    assert (PointKind.EMAIL, "Maria@example.com", False) in points(alice, person.id)
    rows = [
        {"kind": "email", "value": "x@example.com"},
        {"kind": "email", "value": "y@example.com", "is_primary": True},
        {"kind": "email", "value": "X@EXAMPLE.com"},
    ]
    changed = do(contacts.set_points, alice, person.id, rows)
    assert (changed.email, changed.phone) == ("y@example.com", None)
    assert len(points(alice, person.id)) == 2


def test_a_stale_list_of_addresses_is_refused(any_cast):
    alice = any_cast["alice"]
    person = do(contacts.create, alice, {"name": "Maria"})
    do(contacts.update, any_cast["root"], person.id, {"job_title": "CEO"})
    with pytest.raises(Conflict):
        do(contacts.set_points, alice, person.id, [], base_version=person.version)


def test_addresses_that_two_people_save_are_a_question_and_other_fields_merge(cast):
    alice, root = cast["alice"], cast["root"]
    person = do(contacts.create, alice, {"name": "Maria", "email": "m@example.com"})
    drawn = look(lambda session, actor: contacts.rows_of(contacts.points(session, actor, person.id)), alice)
    do(contacts.update, root, person.id, {"job_title": "CEO"})
    mine = [*drawn, {"kind": "phone", "value": "+49 30 1234567"}]
    do(contacts.set_points, alice, person.id, mine, base_points=drawn)
    with pytest.raises(Conflict, match="these addresses") as clash:
        do(contacts.set_points, root, person.id, [], base_points=drawn)
    theirs = clash.value.details["rows"]
    assert [row["value"] for row in theirs] == ["m@example.com", "+49 30 1234567"]
    assert do(contacts.set_points, root, person.id, [], base_points=theirs).job_title == "CEO"


def test_each_address_has_marks_of_its_own_and_is_found_wherever_it_stands(any_cast):
    """People and companies alike: what is known of one address stays with it; the duplicate check, search and the mail intake know all of them."""
    alice = any_cast["alice"]
    person = do(contacts.create, alice, {"name": "Maria", "email": "m@example.com"})
    firm = do(accounts.create, alice, {"name": "Acme", "phone": "+49 30 1111111"})
    rows = [
        *look(lambda s, a: contacts.rows_of(contacts.points(s, a, person.id)), alice),
        {"kind": "email", "value": "home@else.example", "verified": True},
    ]
    do(contacts.set_points, alice, person.id, rows)
    more = [
        {"kind": "phone", "value": "+49 30 1111111"}, {"kind": "phone", "value": "+49 30 2222222", "label": "Berlin"},
        {"kind": "email", "value": "orders@acme.example"},
    ]  # fmt: skip
    assert do(accounts.set_points, alice, firm.id, more).email == "orders@acme.example"
    do(accounts.update, alice, firm.id, {"phone": "+49 30 3333333"})
    assert [(p.value, p.is_primary) for p in look(accounts.points, alice, firm.id) if p.kind is PointKind.PHONE] == [
        ("+49 30 3333333", True), ("+49 30 1111111", False), ("+49 30 2222222", False),
    ]  # fmt: skip
    for values, found in (
        ({"email": "HOME@else.example"}, ("contact", person.id)),
        ({"phone": "+49302222222"}, ("account", firm.id)),
    ):
        assert [(hit.entity, hit.id) for hit in look(duplicates.check, alice, "lead", values).shown] == [found]
    assert [hit.id for hit in look(finder.find, alice, "home@else")] == [person.id]
    blind = replace(alice, masks=frozenset({("account", "email")}))
    for words in ("1111111", "orders@acme"):
        assert [hit.id for hit in look(finder.find, alice, words)] == [firm.id]
    more = {"kind": "email", "value": "bills@acme.example"}
    rows = look(lambda s, a: contacts.rows_of(accounts.points(s, a, firm.id)), alice)
    do(accounts.set_points, alice, firm.id, [*rows, more])
    assert [hit.id for hit in look(finder.find, alice, "bills@acme")] == [firm.id]
    assert look(finder.find, blind, "bills@acme") == [], "what is hidden is not found by a further address either"
    with write_session() as session:
        assert threading.account_of(session, "orders@acme.example").id == firm.id
        suppressions.mark_points(session, "Home@else.example", invalid=True)
    kept = look(lambda s, a: contacts.rows_of(contacts.points(s, a, person.id)), alice)
    assert [(row["value"], row["invalid"], row["verified"]) for row in kept] == [
        ("m@example.com", False, False),
        ("home@else.example", True, True),
    ]
    do(contacts.set_points, alice, person.id, [{"kind": "email", "value": "home@else.example"}])
    kept = look(lambda s, a: contacts.rows_of(contacts.points(s, a, person.id)), alice)
    assert [(row["is_primary"], row["invalid"], row["verified"]) for row in kept] == [(True, True, True)], (
        "what a row leaves out stays as it was"
    )


def test_a_record_that_looks_known_is_created_with_a_reason(cast):
    alice, charlie = cast["alice"], cast["charlie"]
    do(leads.create, alice, {"name": "Maria Anders", "email": "m@example.com"})
    values, key = {"name": "Maria Anders", "email": "m@example.com"}, "once"
    with pytest.raises(Invalid, match="Say why"):
        do(crud.create_anyway, charlie, "lead", values, why=created_anyway.Why())
    with pytest.raises(Invalid, match="own words"):
        do(crud.create_anyway, charlie, "lead", values, why=created_anyway.Why(DuplicateReason.OTHER, " "))
    why = created_anyway.Why(DuplicateReason.SHARED, "Mother and daughter")
    made = [do(crud.create_anyway, charlie, "lead", values, why=why, submit_key=key).id for _ in range(2)]
    assert made[0] == made[1]
    do(crud.create_anyway, charlie, "lead", {"name": "Somebody else"}, why=created_anyway.Why())
    (entry,) = [item for item in look(timeline.find, charlie, "lead", made[0], kinds="changes")[0] if "although" in item.sentence]
    assert entry.data["reason"] == "They share an address, a number or a web site: Mother and daughter"
    assert entry.data["like"] == [], "what is out of sight is counted, not named"
    told = look(created_anyway.summary, cast["root"])
    assert (told.total, told.by_person, told.latest[0].found) == (1, ((charlie.name, 1),), 1)
    with pytest.raises(NotPermitted):
        look(created_anyway.summary, alice)


def test_wrong_addresses_are_named(cast):
    person = do(contacts.create, cast["alice"], {"name": "Maria"})
    with pytest.raises(Invalid, match="not an e-mail"):
        do(contacts.set_points, cast["alice"], person.id, [{"kind": "email", "value": "nobody"}])


def test_masked_people_show_no_addresses(cast):
    person = do(contacts.create, cast["root"], {"name": "Maria", "email": "m@example.com"})
    assert points(cast["ana"], person.id) == []


def test_an_account_can_not_stand_above_itself(cast):
    top = do(accounts.create, cast["alice"], {"name": "Top", "website": "https://www.Top.example/about"})
    assert top.domain == "top.example"
    below = do(accounts.create, cast["alice"], {"name": "Below", "parent_id": top.id})
    with pytest.raises(Invalid, match="above itself"):
        do(accounts.update, cast["alice"], top.id, {"parent_id": below.id})


def test_figures_count_only_what_the_actor_may_see(any_cast):
    from crm_core.services.sales import deals

    account = do(accounts.create, any_cast["alice"], {"name": "Acme"})
    do(deals.create, any_cast["alice"], {"name": "d", "account_id": account.id, "amount_minor": 5_00})
    with read_session() as session:
        assert accounts.figures(session, any_cast["alice"], account.id).open_minor == 5_00
        assert accounts.figures(session, any_cast["charlie"], account.id).open_minor == 0
        assert accounts.figures(session, any_cast["sam"], account.id).open_minor is None
