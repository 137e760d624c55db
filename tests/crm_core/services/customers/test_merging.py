"""Duplicates that become one, and are taken apart again."""

import time
from dataclasses import replace
from threading import Thread

import pytest
from sqlalchemy import event, func, select, update

from crm_core.db import write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit.clock import today, utcnow
from crm_core.models import (
    Account,
    Activity,
    AutomationRun,
    Base,
    Campaign,
    CampaignMember,
    Contact,
    Deal,
    DealContact,
    Follow,
    Handover,
    Lead,
    Order,
    PrivacyRequest,
    Segment,
    SegmentMember,
    Survey,
    SurveyInvitation,
    Task,
    Ticket,
)
from crm_core.services import crud
from crm_core.services.admin import audit, custom_fields, organisation
from crm_core.services.admin.privacy import rows as privacy_rows
from crm_core.services.collaboration import activities, following, timeline
from crm_core.services.customers import accounts, consent, contacts, merge_moves, merge_rules, merging
from crm_core.services.sales import deals, leads
from crm_core.vocabulary import (
    ActivityKind,
    ConsentStatus,
    ContactWay,
    FlowState,
    HandoverState,
    PreferredChannel,
    PrivacyKind,
    PrivacyState,
    Purpose,
    SegmentOf,
)
from tests.crm_core.services.automation.automating import TASK, all_of, runs, switched_on, work
from tests.verbs import do, look

NAMES = ("account_id", "contact_id", "lead_id")
"""What columns that name such a record are called where they have no foreign key."""


def put(actor, *rows):
    def add(session, _actor):
        session.add_all(rows)
        session.flush()
        return [row.id for row in rows]

    return do(add, actor)


def one(model, row_id):
    return look(lambda session, _actor: session.get(model, row_id), None)


def person(actor, name="Maria Lopez", **values):
    return do(contacts.create, actor, {"name": name, **values}).id


def fold_in(actor, survivor, loser, entity="contact", **kwargs):
    return do(merging.merge, actor, entity, survivor, loser, **kwargs).id


def test_every_reference_goes_along_or_is_declared_to_stay():
    """A new table that names a contact, an account or a lead is moved by its foreign key; one without says where it belongs."""
    here = "say in crm_core/services/customers/merge_rules.py whether it goes along (PLACED, PLAIN, OWN_WAY) or STAYS, and why"
    tables = Base.metadata.tables
    for name, table in tables.items():
        said = {*merge_rules.STAYS, *merge_rules.OWN_WAY}
        moved = {link.name for key in merging.MERGED for link in merge_rules.links(key)}
        for column in table.c:
            names_one = {key.column.table.name for key in column.foreign_keys} & set(merging.MERGED)
            named = column.name in NAMES and not column.foreign_keys
            if names_one or named or column.name == "record_id":
                assert name in said or f"{name}.{column.name}" in moved, f"{name}.{column.name}: {here}"
    gone = {*merge_rules.STAYS, *merge_rules.OWN_WAY, *merge_rules.PLACED, *(one.split(".")[0] for one in merge_rules.PLAIN)}
    assert sorted(gone - tables.keys()) == []
    assert all(merge_rules.STAYS.values())


def test_two_contacts_become_one_and_what_hangs_on_the_one_hangs_on_the_other(any_cast):
    root = any_cast["root"]
    stays = person(root, email="maria@example.com", job_title="Buyer")
    goes = person(root, "Maria C. Lopez", email="m.lopez@example.com", phone="+49 30 1234567", city="Bonn")
    account = do(accounts.create, root, {"name": "Acme"}).id
    deal, ticket = _work(root, goes, account)
    do(activities.log, root, "contact", goes, kind=ActivityKind.CALL, text="Called")
    do(following.follow, any_cast["alice"], "contact", goes)
    found = look(merging.ahead, root, "contact", stays, goes)
    assert found.moves[:2] == ((("deal", "deals"), 1), (("ticket", "tickets"), 1)) and found.problem == ""
    merge_id = fold_in(root, stays, goes, choices={"email": "survivor"})
    kept, lost = one(Contact, stays), one(Contact, goes)
    assert (kept.name, kept.email, kept.phone, kept.city, kept.job_title) == (
        "Maria C. Lopez", "maria@example.com", "+49 30 1234567", "Bonn", "Buyer",
    )  # fmt: skip
    assert lost.deleted_at is not None
    assert one(Deal, deal).contact_id == stays and one(Ticket, ticket).contact_id == stays
    assert {p.value for p in look(contacts.points, root, stays)} == {"maria@example.com", "m.lopez@example.com", "+49 30 1234567"}
    told = [item.sentence for item in look(timeline.find, root, "contact", stays)[0]]
    assert "merged {who} into this {entity}" in told and any(
        item.kind == "call" for item in look(timeline.find, root, "contact", stays)[0]
    )
    do(deals.update, root, deal, {"name": "Renewed"})
    back, changed = do(merging.undo, root, merge_id)
    assert (back.id, changed) == (goes, [])
    again = one(Contact, stays)
    assert (again.name, again.phone, again.city) == ("Maria Lopez", None, None)
    assert one(Contact, goes).deleted_at is None and one(Deal, deal).contact_id == goes
    assert {p.value for p in look(contacts.points, root, goes)} == {"m.lopez@example.com", "+49 30 1234567"}
    assert {p.value for p in look(contacts.points, root, stays)} == {"maria@example.com"}
    with pytest.raises(Conflict, match="already"):
        do(merging.undo, root, merge_id)


def _work(actor, contact_id, account_id):
    deal = do(
        deals.create, actor, {"name": "Big", "account_id": account_id, "contact_id": contact_id, "expected_close_on": today()}
    )
    return deal.id, do(crud.create, actor, "ticket", {"subject": "Broken", "contact_id": contact_id}).id


def test_rows_that_may_stand_only_once_stay_with_the_one_that_goes(any_cast):
    root = any_cast["root"]
    stays, goes = person(root), person(root)
    campaigns = put(root, Campaign(name="A"), Campaign(name="B"))
    segment, other = put(root, *(Segment(name=name, entity=SegmentOf.CONTACT) for name in "XY"))
    deal = do(
        deals.create,
        root,
        {"name": "Big", "account_id": do(accounts.create, root, {"name": "Acme"}).id, "expected_close_on": today()},
    ).id
    put(
        root,
        *(CampaignMember(campaign_id=campaigns[0], contact_id=who) for who in (stays, goes)),
        CampaignMember(campaign_id=campaigns[1], contact_id=goes),
        *(SegmentMember(segment_id=segment, record_id=who, entered_at=utcnow()) for who in (stays, goes)),
        SegmentMember(segment_id=other, record_id=goes, entered_at=utcnow()),
        *(DealContact(deal_id=deal, contact_id=who) for who in (stays, goes)),
    )  # fmt: skip
    for who in (stays, goes):
        do(following.follow, root, "contact", who)

    def held(who):
        def count(session, _actor):
            return [
                session.execute(select(func.count()).select_from(model).where(clause)).scalar_one()
                for model, clause in (
                    (CampaignMember, CampaignMember.contact_id == who), (SegmentMember, SegmentMember.record_id == who),
                    (DealContact, DealContact.contact_id == who), (Follow, Follow.record_id == who),
                )
            ]  # fmt: skip

        return look(count, root)

    before = held(stays), held(goes)
    merge_id = fold_in(root, stays, goes)
    assert held(stays) == [2, 2, 1, 1] and held(goes) == [1, 1, 0, 1]
    do(merging.undo, root, merge_id)
    assert (held(stays), held(goes)) == before


def test_the_stricter_word_holds_and_comes_apart_again(any_cast):
    root = any_cast["root"]
    stays, goes = (
        person(root, email="m@example.com"),
        person(root, email="m@example.com", preferred_channel="none", do_not_call=True),
    )

    def say(who, status, purpose=Purpose.MARKETING, way=ContactWay.PHONE):
        do(consent.record, root, "contact", who, purpose=purpose, way=way, status=status, source="A call")

    def word(who, way=ContactWay.PHONE):
        rows = look(consent.history, root, "contact", who)
        return [row["status"] for row in rows if row["is_latest"] and row["way"] is way and row["purpose"] is Purpose.MARKETING]

    say(stays, ConsentStatus.GRANTED)
    say(goes, ConsentStatus.WITHDRAWN)
    say(goes, ConsentStatus.GRANTED, way=ContactWay.POST)
    merge_id = fold_in(root, stays, goes, choices={"preferred_channel": "survivor"})
    kept = one(Contact, stays)
    assert kept.do_not_call and kept.preferred_channel is PreferredChannel.NONE
    assert word(stays) == [ConsentStatus.WITHDRAWN] and word(stays, ContactWay.POST) == [ConsentStatus.GRANTED]
    assert not look(consent.may_contact, root, stays).allowed
    say(stays, ConsentStatus.WITHDRAWN, way=ContactWay.POST)
    do(merging.undo, root, merge_id)
    assert word(stays) == [ConsentStatus.GRANTED] and word(goes) == [ConsentStatus.WITHDRAWN]
    assert word(stays, ContactWay.POST) == word(goes, ContactWay.POST) == [ConsentStatus.WITHDRAWN]
    assert not one(Contact, stays).do_not_call and one(Contact, goes).do_not_call


def test_an_agreement_goes_along_only_with_the_address_it_was_given_with(cast):
    root = cast["root"]
    stays, goes = person(root, email="a@example.com"), person(root, email="b@example.com")
    do(
        consent.record,
        root,
        "contact",
        goes,
        purpose=Purpose.MARKETING,
        way=ContactWay.EMAIL,
        status=ConsentStatus.GRANTED,
        source="A form",
    )
    fold_in(root, stays, goes, choices={"email": "survivor"})
    assert not look(consent.may_contact, root, stays).allowed
    assert len(look(consent.history, root, "contact", stays)) == 1


def test_marks_of_an_address_that_both_have_hold_together(cast):
    root = cast["root"]
    stays, goes = person(root, email="a@example.com"), person(root, email="A@example.com")
    do(contacts.set_points, root, goes, [{"kind": "email", "value": "a@example.com", "opted_out": True, "is_primary": True}])
    merge_id = fold_in(root, stays, goes)
    assert [p.opted_out for p in look(contacts.points, root, stays)] == [True]
    do(merging.undo, root, merge_id)
    assert [p.opted_out for p in look(contacts.points, root, stays)] == [False]


def test_two_accounts_become_one_and_no_sum_changes(any_cast):
    root = any_cast["root"]
    stays, goes = (
        do(accounts.create, root, {"name": name, "website": site}).id
        for name, site in (("Acme", "acme.example"), ("Acme GmbH", None))
    )
    contact = person(root, account_id=goes)
    above = do(accounts.create, root, {"name": "Below", "parent_id": goes}).id
    put(
        root,
        *(
            Order(number=f"O-{n}", account_id=who, currency="EUR", total_minor=n, ordered_at=utcnow())
            for n, who in ((100, stays), (23, goes))
        ),
    )
    do(
        deals.create,
        root,
        {"name": "Deal", "account_id": goes, "contact_id": contact, "amount_minor": 700, "expected_close_on": today()},
    )
    put(root, *(Handover(account_id=who, state=HandoverState.PENDING) for who in (stays, goes)))

    def sums(session, _actor):
        return [
            session.execute(select(func.count(), func.sum(column)).where(column.is_not(None))).one()
            for column in (Order.total_minor, Deal.amount_minor)
        ]

    before = look(sums, root)
    mine, theirs = (look(accounts.figures, root, who) for who in (stays, goes))
    merge_id = fold_in(root, stays, goes, "account")
    after = look(accounts.figures, root, stays)
    assert after.order_revenue_minor == mine.order_revenue_minor + theirs.order_revenue_minor
    assert (after.open_minor, after.open_deals) == (700, 1) and look(sums, root) == before
    assert one(Contact, contact).account_id == stays and one(Account, above).parent_id == stays
    assert one(Account, stays).domain == "acme.example"
    assert any(item.entity == "deal" for item in look(timeline.find, root, "account", stays)[0])
    do(merging.undo, root, merge_id)
    assert look(accounts.figures, root, goes) == theirs and one(Account, above).parent_id == goes


def test_an_account_below_the_other_takes_its_place(cast):
    root = cast["root"]
    top, goes = do(accounts.create, root, {"name": "Top"}).id, None
    goes = do(accounts.create, root, {"name": "Acme", "parent_id": top}).id
    between = do(accounts.create, root, {"name": "Between", "parent_id": goes}).id
    stays = do(accounts.create, root, {"name": "Acme Ltd", "parent_id": between}).id
    merge_id = fold_in(root, stays, goes, "account", choices={"parent_id": "survivor"})
    assert (one(Account, stays).parent_id, one(Account, between).parent_id) == (top, stays)
    do(merging.undo, root, merge_id)
    assert (one(Account, stays).parent_id, one(Account, between).parent_id, one(Account, goes).parent_id) == (between, goes, top)


def test_two_leads_become_one_and_a_converted_one_stays(any_cast):
    root = any_cast["root"]
    stays, goes = (do(leads.create, root, {"name": "Jo Doe", "email": email}).id for email in ("jo@example.com", None))
    do(activities.log, root, "lead", goes, kind=ActivityKind.NOTE, text="Wrote to us")
    do(leads.convert, root, stays)
    with pytest.raises(Conflict, match="converted"):
        fold_in(root, goes, stays, "lead")
    merge_id = fold_in(root, stays, goes, "lead")
    assert any(item.kind == "note" for item in look(timeline.find, root, "lead", stays)[0])
    do(merging.undo, root, merge_id)
    assert one(Lead, goes).deleted_at is None


def test_of_several_merges_the_last_is_taken_apart_first_and_what_was_written_since_stays(cast):
    root = cast["root"]
    stays, first, second = person(root, "A"), person(root, "Anna", city="Bonn"), person(root, "Anna Berg", job_title="CEO")
    task = put(root, Task(subject="Ring", contact_id=second))[0]
    one_id, two_id = fold_in(root, stays, first), fold_in(root, stays, second)
    with pytest.raises(Conflict, match="later"):
        do(merging.undo, root, one_id)
    do(contacts.update, root, stays, {"job_title": "CTO"})
    new = put(root, Task(subject="New", contact_id=stays))[0]
    _, changed = do(merging.undo, root, two_id)
    assert changed == ["Job title"] and one(Contact, stays).job_title == "CTO"
    assert (one(Task, task).contact_id, one(Task, new).contact_id) == (second, stays)
    do(merging.undo, root, one_id)
    assert one(Contact, stays).name == "A"


def test_what_names_the_one_that_went_finds_the_other(cast):
    root = cast["root"]
    first, second, third = person(root, "Ann"), person(root, "Anna"), person(root, "Anna Berg")
    fold_in(root, second, first)
    fold_in(root, third, second)
    with pytest.raises(NotFound, match="merged into “Anna Berg”") as gone:
        do(contacts.update, root, first, {"city": "Bonn"})
    assert gone.value.details["merged"] == ("contact", third)
    for kind in ("task", "ticket"):
        assert do(crud.create, root, kind, {"subject": "Old form", "contact_id": first}).contact_id == third
    with pytest.raises(Conflict, match="Take the merge apart"):
        do(crud.restore, root, "contact", first)
    assert look(lambda session, _actor: privacy_rows.root(session, "contact", first), root) == ("contact", third)
    assert look(lambda session, _actor: privacy_rows.records_of(session, ("contact", third)).contacts, root) == (
        first,
        second,
        third,
    )


def test_who_may_not_edit_both_and_delete_the_other_does_not_merge(cast):
    root, alice, bob = cast["root"], cast["alice"], cast["bob"]
    mine, theirs = (do(contacts.create, who, {"name": "Maria"}).id for who in (alice, cast["charlie"]))
    for who in (alice, bob):
        with pytest.raises(NotPermitted):
            fold_in(who, mine, theirs)
    second = do(contacts.create, alice, {"name": "Maria"}).id
    merge_id = fold_in(bob, mine, second)
    with pytest.raises(NotPermitted):
        do(merging.undo, alice, merge_id)
    with pytest.raises(Invalid, match="another"):
        fold_in(root, mine, mine)
    with pytest.raises(Invalid, match="Contacts, accounts and leads"):
        fold_in(root, 1, 2, "deal")
    with pytest.raises(NotFound):
        do(merging.undo, root, 999)


def test_hidden_fields_are_neither_shown_nor_lost(cast):
    root = cast["root"]
    stays, goes = person(root, phone="+49 30 1111111"), person(root, birthday="1980-02-03", phone="+49 30 2222222", job_title="CEO")
    blind = replace(root, masks=frozenset({("contact", "phone"), ("contact", "birthday")}))
    found = look(merging.ahead, blind, "contact", stays, goes)
    assert [one.key for one in found.differences] == ["job_title"]
    fold_in(blind, stays, goes, choices={"phone": "loser"})
    kept = one(Contact, stays)
    assert (kept.phone, kept.birthday.year) == ("+49 30 1111111", 1980)
    assert len(look(contacts.points, root, stays)) == 2


def test_who_changed_one_meanwhile_is_not_overwritten(cast):
    root = cast["root"]
    stays, goes = person(root), person(root, city="Bonn")
    drawn = [one(Contact, who).version for who in (stays, goes)]
    do(contacts.update, root, goes, {"city": "Köln"})
    with pytest.raises(Conflict, match="changed Maria Lopez meanwhile"):
        fold_in(root, stays, goes, survivor_version=drawn[0], loser_version=drawn[1])
    third = person(root)
    fold_in(root, third, goes)
    with pytest.raises(NotFound, match="was merged into"):
        fold_in(root, stays, goes)


def test_proposals_follow_what_is_known(cast):
    root = cast["root"]
    stays = person(root, "M. Lopez", email="old@example.com", city="Bonn", description="One")
    goes = person(root, "M. Lopez-Berg", email="new@example.com", city="Köln", country="Germany", description="Two")
    do(contacts.set_points, root, stays, [{"kind": "email", "value": "old@example.com", "verified": True, "is_primary": True}])
    found = {one.key: one for one in look(merging.ahead, root, "contact", stays, goes).differences}
    assert {key: one.proposed for key, one in found.items()} == {
        "name": "loser",
        "email": "survivor",
        "city": "loser",
        "description": "both",
    }
    assert found["city"].keys == ("city", "country")
    fold_in(root, stays, goes, choices={"city": "survivor"})
    kept = one(Contact, stays)
    assert (kept.city, kept.country, kept.description) == ("Bonn", None, "One\n\nTwo")


def test_a_mark_that_was_set_since_stays_when_the_merge_is_taken_apart(cast):
    root = cast["root"]
    stays, goes = person(root, phone="+49 30 1234567"), person(root, phone="+49 30 1234567")
    point = {"kind": "phone", "value": "+49 30 1234567", "is_primary": True}
    do(contacts.set_points, root, goes, [{**point, "opted_out": True, "verified": True}])

    def marks(who):
        return [(p.opted_out, p.invalid, p.verified_at is not None) for p in look(contacts.points, root, who)]

    merge_id = fold_in(root, stays, goes)
    assert marks(stays) == [(True, False, True)]
    do(contacts.number_is_wrong, root, stays)
    do(merging.undo, root, merge_id)
    assert marks(stays) == [(False, True, False)] and marks(goes) == [(True, False, True)]


def test_a_no_that_was_said_since_is_the_last_word_of_both(any_cast):
    root = any_cast["root"]
    stays, goes = person(root, email="m@example.com"), person(root, email="m@example.com")

    def say(who, status):
        do(
            consent.record, root, "contact", who, purpose=Purpose.MARKETING, way=ContactWay.EMAIL, status=status, source="A form"
        )  # fmt: skip

    for who in (goes, stays):
        say(who, ConsentStatus.GRANTED)
    merge_id = fold_in(root, stays, goes)
    say(stays, ConsentStatus.WITHDRAWN)
    say(stays, ConsentStatus.GRANTED)
    do(merging.undo, root, merge_id)
    last = {
        who: [row["status"] for row in look(consent.history, root, "contact", who) if row["is_latest"]] for who in (stays, goes)
    }
    assert last == {stays: [ConsentStatus.GRANTED], goes: [ConsentStatus.WITHDRAWN]}
    assert not look(consent.may_contact, root, goes).allowed


def test_an_agreement_to_be_called_goes_along_with_the_number_however_it_is_written(cast):
    root = cast["root"]
    do(organisation.update, root, {"phone_region": "DE"}, base_version=look(organisation.get, root).version)
    stays, goes = person(root, phone="030 1234567"), person(root, phone="+49 30 1234567")
    said = {"purpose": Purpose.MARKETING, "way": ContactWay.PHONE, "status": ConsentStatus.GRANTED, "source": "A form"}
    do(consent.record, root, "contact", goes, **said)
    fold_in(root, stays, goes, choices={"phone": "survivor"})
    assert [row["is_latest"] for row in look(consent.history, root, "contact", stays)] == [True]


def test_a_company_whose_name_is_hidden_is_not_named_by_the_log_of_a_merge(cast):
    root = cast["root"]
    stays, goes = (do(accounts.create, root, {"name": name}).id for name in ("Acme Holding", "Globex"))
    merge_id = fold_in(root, stays, goes, "account", choices={"name": "survivor"})
    do(merging.undo, root, merge_id)

    def told(actor):
        shown = [item.data for item in look(timeline.find, actor, "account", stays)[0]]
        audited = look(audit.find, actor, entity="account", record_id=stays).rows
        return str(shown) + " · ".join(row["entry"].sentence for row in audited)

    no_people = replace(root, masks=frozenset({("contact", "name")}))
    no_firms = replace(root, masks=frozenset({("account", "name")}))
    for actor in (root, no_people):
        assert "merged Globex into this account" in told(actor) and "took the merge with Globex apart again" in told(actor)
    assert "Globex" not in told(no_firms) and "Acme" not in told(no_firms)


def test_what_a_merge_does_not_change_is_neither_told_nor_kept(cast):
    root = cast["root"]
    stays = person(root, preferred_channel="none")
    goes = person(root, preferred_channel="none", do_not_call=True)
    assert look(merging.ahead, root, "contact", stays, goes).strict == ("Do not call",)
    blind = replace(root, masks=frozenset({("contact", "do_not_call")}))
    assert look(merging.ahead, blind, "contact", stays, goes).strict == ()
    merge_id = fold_in(root, stays, goes)
    merged = next(item for item in look(timeline.find, root, "contact", stays)[0] if item.sentence.startswith("merged"))
    assert merged.data["fields"] == "do not call"
    do(contacts.update, root, stays, {"preferred_channel": "any"})
    assert do(merging.undo, root, merge_id)[1] == []


def test_who_was_erased_by_another_of_their_records_is_not_merged_nor_taken_apart(any_cast):
    root = any_cast["root"]
    lead, other = (do(leads.create, root, {"name": "Jo Doe"}).id for _ in range(2))
    contact = do(leads.convert, root, lead).contact_id
    merge_id = fold_in(root, lead, other, "lead")
    third = do(leads.create, root, {"name": "Jo Doe"}).id
    assert look(merging.ahead, root, "lead", lead, third).problem == ""
    done = {"kind": PrivacyKind.ERASURE, "state": PrivacyState.DONE, "asked_on": today(), "due_on": today()}
    put(root, PrivacyRequest(entity="contact", record_id=contact, **done))
    assert "erased on request" in look(merging.ahead, root, "lead", lead, third).problem
    with pytest.raises(Conflict, match="erased"):
        fold_in(root, lead, third, "lead")
    with pytest.raises(Conflict, match="erased since"):
        do(merging.undo, root, merge_id)


def test_what_a_record_needs_is_not_chosen_away(cast):
    root = cast["root"]
    stays, goes = person(root), person(root)
    key = do(custom_fields.create, root, "contact", label="Branch", kind="text", required=True).key
    full = person(root, **{key: "Steel"})
    assert do(merging.merge, root, "contact", stays, goes).id, "neither says it: nothing to choose"
    with pytest.raises(Invalid, match="Branch is needed"):
        fold_in(root, stays, full, choices={key: "survivor"})
    merge_id = fold_in(root, stays, full)
    assert one(Contact, stays).extra[key] == "Steel"
    do(merging.undo, root, merge_id)
    assert not one(Contact, stays).extra.get(key)


def test_what_names_a_record_twice_moves_along_once_and_is_counted_in_one_question(any_cast):
    root = any_cast["root"]
    goes = person(root)
    survey = put(root, Survey(name="How was it?"))[0]
    put(root, SurveyInvitation(survey_id=survey, contact_id=goes, entity="contact", record_id=goes, dedupe_key="one"))
    asked = []

    def moves(session, actor):
        event.listen(session.connection(), "before_cursor_execute", lambda _c, _cursor, statement, *_: asked.append(statement))
        return merge_moves.counted(session, "contact", goes, actor)

    assert look(moves, root) == (((("survey", "surveys"), 1),), 0)
    assert len(asked) == 1


WAITS = ({"id": "w", "kind": "wait", "amount": 3, "unit": "days"}, TASK)


def test_automations_under_way_go_on_with_the_record_that_stays_but_not_twice(any_cast):
    root = any_cast["root"]
    switched_on(root, "Both", does=WAITS)
    stays = do(leads.create, root, {"name": "Jo Doe"}).id
    work()
    switched_on(root, "One", does=WAITS)
    switched_on(root, "Over")
    goes = do(leads.create, root, {"name": "Jo Doe"}).id
    work()

    def where():
        return [(run.automation_id, run.record_id, run.state) for run in runs()]

    both, one_, over = sorted({run.automation_id for run in runs()})
    before = where()
    waits, done = FlowState.WAITING, FlowState.DONE
    assert sorted(before) == sorted([(both, stays, waits), (both, goes, waits), (one_, goes, waits), (over, goes, done)])
    assert (("automation under way", "automations under way"), 2) in look(merging.ahead, root, "lead", stays, goes).moves
    merge_id = fold_in(root, stays, goes, "lead")
    after = [(both, stays, waits), (both, goes, waits), (one_, stays, waits), (over, goes, done)]
    assert sorted(where()) == sorted(after), "the log of what has ended, and what would come twice, stay"
    do(merging.undo, root, merge_id)
    assert where() == before
    fold_in(root, stays, goes, "lead")

    def hurry(session, _actor):
        session.execute(update(AutomationRun).values(due_at=utcnow()).where(AutomationRun.state == waits))

    do(hurry, root)
    work()
    ended = {(run.automation_id, run.record_id): run.state for run in runs()}
    assert ended == {(both, stays): done, (both, goes): FlowState.STOPPED, (one_, stays): done, (over, goes): done}
    assert [task.lead_id for task in all_of(Task)].count(stays) == 3


def test_what_is_written_at_the_moment_of_a_merge_ends_at_the_record_that_stays(any_cast):
    """Two connections: whoever comes first keeps the other waiting (on SQLite, as any two who write)."""
    root, said = any_cast["root"], {}
    account = do(accounts.create, root, {"name": "Acme"}).id

    def log(who):
        return lambda session: activities.log(session, root, "contact", who, kind=ActivityKind.CALL, text="Called").id

    def deal(who):
        values = {"name": "Big", "account_id": account, "contact_id": who, "expected_close_on": today()}
        return lambda session: deals.create(session, root, values).id

    def meanwhile(first, *others):
        """Each of the others begins before the first one commits, and has to wait for that."""

        def other(verb):
            try:
                with write_session() as session:
                    said[verb] = verb(session)
            except Exception as error:
                said[verb] = error

        threads = [Thread(target=other, args=(verb,)) for verb in others]
        with write_session() as session:
            said[first] = first(session)
            for thread in threads:
                thread.start()
            time.sleep(0.3)
            assert not said.keys() & set(others)
        for thread in threads:
            thread.join()

    stays, goes = person(root), person(root)
    called, sold, refused = log(goes), deal(goes), lambda session: consent.record(
        session, root, "contact", goes, purpose=Purpose.MARKETING, way=ContactWay.PHONE, status=ConsentStatus.WITHDRAWN, source="Said so"
    )  # fmt: skip
    meanwhile(lambda session: merging.merge(session, root, "contact", stays, goes), called, sold, refused)
    assert one(Deal, said[sold]).contact_id == stays
    for told in (said[called], said[refused]):
        assert isinstance(told, NotFound) and told.details["merged"] == ("contact", stays)
    third = person(root)
    wrote = log(third)
    meanwhile(wrote, lambda session: merging.merge(session, root, "contact", stays, third))
    assert one(Activity, said[wrote]).contact_id == stays
