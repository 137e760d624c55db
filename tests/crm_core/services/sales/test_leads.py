"""Leads: from the first contact to a deal, and back."""

import pytest
from sqlmodel import select

from crm_core import lists, records
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.models import Event, LeadStatus, Touchpoint, User
from crm_core.services import crud
from crm_core.services.admin import custom_fields
from crm_core.services.collaboration import activities, files, outbox, timeline
from crm_core.services.customers import contacts, created_anyway, duplicate_rules, duplicates
from crm_core.services.sales import leads, orders
from crm_core.vocabulary import ActivityKind, DuplicateReason, FieldKind, LeadKind
from tests import verbs
from tests.verbs import do


def new(actor, **values):
    return do(
        leads.create,
        actor,
        {"name": "Maria Anders", "company": "Alfreds Futterkiste GmbH", "email": "maria@alfreds.example", **values},
    )


def kind(lead):
    with read_session() as session:
        return session.get(LeadStatus, lead.status_id).kind


def count(actor, entity):
    with read_session() as session:
        return lists.count(session, actor, entity, ListQuery())


def test_a_lead_is_new_then_qualified_or_not(any_cast):
    alice = any_cast["alice"]
    lead = new(alice)
    assert kind(lead) is LeadKind.OPEN
    assert kind(do(leads.qualify, alice, lead.id)) is LeadKind.QUALIFIED
    with pytest.raises(Invalid, match="why"):
        do(leads.disqualify, alice, lead.id, reason="")
    assert kind(do(leads.disqualify, alice, lead.id, reason="No budget", later=True)) is LeadKind.RECYCLED
    with pytest.raises(NotFound):
        do(leads.qualify, any_cast["charlie"], lead.id)


def test_conversion_makes_account_contact_and_deal_and_takes_the_history_along(any_cast):
    alice = any_cast["alice"]
    lead = new(alice, estimated_minor=500_00, source="Referral")
    do(activities.log, alice, "lead", lead.id, kind=ActivityKind.CALL, text="First call")
    made = do(leads.convert, alice, lead.id, deal_name="First order")
    with read_session() as session:
        deal = records.get(session, alice, "deal", made.deal_id)
        contact = records.get(session, alice, "contact", made.contact_id)
        assert (deal.amount_minor, deal.source, deal.account_id, deal.contact_id) == (
            500_00,
            "Referral",
            made.account_id,
            made.contact_id,
        )
        assert (contact.email, contact.account_id) == ("maria@alfreds.example", made.account_id)
        items, _ = timeline.find(session, alice, "deal", made.deal_id, kinds="activities")
        assert [item.title for item in items] == ["First call"]
        assert kind(leads.get(session, alice, lead.id)) is LeadKind.CONVERTED
        assert leads.get(session, alice, lead.id).first_response_at is not None
    with pytest.raises(Conflict, match="was converted"):
        do(leads.convert, alice, lead.id)
    with pytest.raises(Conflict, match="was converted"):
        do(leads.update, alice, lead.id, {"company": "x"})


def test_what_was_written_down_on_a_lead_stands_on_what_it_becomes(cast):
    root, alice = cast["root"], cast["alice"]
    size = do(custom_fields.create, root, "lead", label="Size", kind=FieldKind.INTEGER)
    grade = do(custom_fields.create, root, "lead", label="Tier", kind=FieldKind.CHOICE, options=["A", "B"])
    staff = do(custom_fields.create, root, "account", label=" size ", kind=FieldKind.INTEGER)
    note = do(custom_fields.create, root, "contact", label="Size", kind=FieldKind.TEXT)
    rank = do(custom_fields.create, root, "deal", label="Tier", kind=FieldKind.CHOICE, options=["B", "C"])
    for given, ranked in (("A", None), ("B", "B")):
        lead = new(
            alice, name=f"Maria {given}", email=f"{given}@new.example", description="Wants two", **{size.key: 12, grade.key: given}
        )
        do(files.attach, alice, "lead", lead.id, name="plan.txt", content=b"plan")
        made = do(leads.convert, alice, lead.id, deal_name="First order" if ranked else None)
        with read_session() as session:
            account, contact = (records.get(session, alice, key, getattr(made, f"{key}_id")) for key in ("account", "contact"))
            deal = records.get(session, alice, "deal", made.deal_id) if made.deal_id else None
            assert account.extra == {staff.key: 12} and note.key not in (contact.extra or {}), "another kind is another field"
            assert contact.description == (None if deal else "Wants two")
            assert deal is None or (deal.description, deal.extra.get(rank.key)) == ("Wants two", ranked)
            heir = ("deal", made.deal_id) if deal else ("contact", made.contact_id)
            (file,) = files.find(session, alice, *heir)
            assert files.read(session, alice, file.id)[2] == b"plan"


def test_taking_a_conversion_back_takes_its_files_off_a_contact_that_was_only_chosen(cast):
    alice = cast["alice"]
    lead, known = new(alice), do(contacts.create, alice, {"name": "Known"})
    do(files.attach, alice, "lead", lead.id, name="plan.txt", content=b"plan")
    do(leads.convert, alice, lead.id, contact_id=known.id)
    assert len(verbs.look(files.find, alice, "contact", known.id)) == 1
    do(leads.undo_conversion, alice, lead.id)
    assert verbs.look(files.find, alice, "contact", known.id) == [] and len(verbs.look(files.find, alice, "lead", lead.id)) == 1


def test_converting_somebody_who_looks_known_into_new_records_takes_a_reason_which_is_kept(cast):
    alice = cast["alice"]
    known = do(leads.convert, alice, new(alice).id)
    lead = new(alice, name="Maria Anders jr.")
    with pytest.raises(Invalid, match="Say why"):
        do(leads.convert, alice, lead.id, why=created_anyway.Why())
    assert count(alice, "contact") == count(alice, "account") == 1, "nothing came of it"
    why = created_anyway.Why(DuplicateReason.BRANCH, "Mother and daughter")
    made = do(leads.convert, alice, lead.id, account_id=known.account_id, why=why)

    with read_session() as session:
        (event,) = session.exec(select(Event).where(Event.type.in_(["contact.created_anyway", "account.created_anyway"])))
    assert (event.entity, event.record_id) == ("contact", made.contact_id), "the account was chosen, not created"
    assert event.data["reason"].endswith("Mother and daughter") and event.data["like"] == [["contact", known.contact_id]]
    do(leads.undo_conversion, alice, lead.id)
    with pytest.raises(Invalid, match="Say why"):
        do(leads.convert, alice, lead.id, contact_id=known.contact_id, why=created_anyway.Why())
    do(leads.convert, alice, lead.id, account_id=known.account_id, contact_id=known.contact_id, why=created_anyway.Why())
    other = new(alice, name="Sigrid Olsen", company="Nordlicht", email="s@nordlicht.example")
    do(leads.convert, alice, other.id, why=created_anyway.Why())
    assert verbs.look(created_anyway.summary, cast["root"]).total == 1


def test_letters_that_a_lead_was_sent_stand_on_the_timeline_of_the_contact_it_becomes_for_who_sees_the_lead(cast):
    alice, root, charlie = cast["alice"], cast["root"], cast["charlie"]
    lead = new(alice)
    do(
        outbox.queue, root, to="maria@alfreds.example", subject="Our news", text="T", kind="campaign", dedupe_key="k", lead_id=lead.id,
        start=False,
    )  # fmt: skip

    def read(actor, key, record_id):
        found = verbs.look(timeline.find, actor, key, record_id, kinds=["mails"])[0]
        return [item.title for item in found if item.kind == "letter"]

    assert read(alice, "lead", lead.id) == ["Our news"]
    made = do(leads.convert, alice, lead.id)
    for key, record_id in (("contact", made.contact_id), ("account", made.account_id)):
        assert read(alice, key, record_id) == ["Our news"]
        assert read(charlie, key, record_id) == [], "sees the customer, but not somebody else's lead"
    do(leads.undo_conversion, alice, lead.id)
    assert read(alice, "lead", lead.id) == ["Our news"]


def test_a_failed_conversion_leaves_nothing(cast):
    lead = new(cast["alice"])
    with pytest.raises(NotFound):
        do(leads.convert, cast["alice"], lead.id, contact_id=9999)
    assert count(cast["root"], "account") == count(cast["root"], "contact") == 0


def touched():
    with read_session() as session:
        return [touch.contact_id for touch in session.exec(select(Touchpoint))]


def links_of(actor, activity_id):
    met = verbs.look(records.get, actor, "activity", activity_id)
    return [met.account_id, met.contact_id, met.deal_id]


def test_a_conversion_can_be_taken_back_until_somebody_works_on(any_cast):
    alice, bob, root = (any_cast[key] for key in ("alice", "bob", "root"))
    lead = new(alice)
    do(leads.qualify, alice, lead.id)
    friend = do(contacts.create, root, {"name": "Somebody of their house"})
    met = do(activities.log, root, "lead", lead.id, kind=ActivityKind.MEETING, text="Lunch")
    do(activities.update, root, met.id, {"contact_id": friend.id})
    other = do(crud.create, root, "order", {})  # of nobody, but it has the number that the account will have
    do(orders.set_lines, root, other.id, [{"name": "Beans", "unit_price_minor": 100}])
    do(lambda session, actor: session.add(Touchpoint(lead_id=lead.id, channel="web", at=clock.utcnow())), alice)
    became = do(leads.convert, alice, lead.id, deal_name="First order")
    assert touched() == [became.contact_id], "what the lead did was done by the contact"
    assert became.account_id == other.id and links_of(root, met.id) == [became.account_id, friend.id, became.deal_id]
    with pytest.raises(NotFound):
        do(leads.undo_conversion, any_cast["charlie"], lead.id)
    back = do(leads.undo_conversion, bob, lead.id)  # another person than the one who converted it
    assert links_of(root, met.id) == [None, friend.id, None]
    assert kind(back) is LeadKind.QUALIFIED and back.converted_at is None and touched() == [None]
    assert [count(root, entity) for entity in ("account", "contact", "deal")] == [0, 1, 0]
    made = do(leads.convert, alice, lead.id)
    do(contacts.update, alice, made.contact_id, {"job_title": "CEO"})
    with pytest.raises(Conflict, match="changed since"):
        do(leads.undo_conversion, bob, lead.id)


def test_a_conversion_stays_when_something_hangs_on_what_it_made(any_cast):
    alice = any_cast["alice"]
    lead = new(alice)
    made = do(leads.convert, alice, lead.id, deal_name="First order")
    order = do(crud.create, alice, "order", {"account_id": made.account_id})
    with pytest.raises(Conflict, match="orders of the account"):
        do(leads.undo_conversion, alice, lead.id)
    do(crud.archive, any_cast["root"], "order", order.id)
    do(leads.undo_conversion, alice, lead.id)
    assert count(any_cast["root"], "account") == 0


def test_what_a_lead_of_somebody_who_left_becomes_belongs_to_whoever_converts_it(cast):
    lead = new(cast["alice"])
    with write_session() as session:
        session.get(User, cast["alice"].user_id).is_active = False
    made = do(leads.convert, cast["root"], lead.id, deal_name="First order")
    with read_session() as session:
        for key, record_id in (("account", made.account_id), ("contact", made.contact_id), ("deal", made.deal_id)):
            assert records.get(session, cast["root"], key, record_id).owner_id == cast["root"].user_id


def test_an_existing_account_is_chosen_and_survives_the_undo(any_cast):
    alice = any_cast["alice"]
    account = do(records.create, alice, "account", {"name": "Alfreds"})
    lead = new(alice)
    do(leads.convert, alice, lead.id, account_id=account.id)
    do(leads.undo_conversion, alice, lead.id)
    assert count(alice, "account") == 1


def test_converting_by_hand_through_the_status_is_refused(cast):
    with read_session() as session:
        converted = leads.status_of(session, LeadKind.CONVERTED).id
    with pytest.raises(Invalid, match="Convert"):
        new(cast["alice"], status_id=converted)


def look(actor, entity, **values):
    with read_session() as session:
        return duplicates.check(session, actor, entity, values)


def test_the_duplicate_check_finds_the_same_person_across_tables_and_says_why(any_cast):
    alice = any_cast["alice"]
    do(contacts.create, alice, {"name": "Maria Anders", "email": "Maria@alfreds.example", "phone": "+49 30 0074321"})
    do(records.create, alice, "account", {"name": "Alfreds Futterkiste", "website": "www.alfreds.example"})
    found = look(alice, "lead", name="Anders, Maria", email="maria@ALFREDS.example", company="Alfreds Futterkiste GmbH")
    assert {(hit.entity, hit.title) for hit in found.shown} == {("contact", "Maria Anders"), ("account", "Alfreds Futterkiste")}
    assert "same e-mail address" in found.shown[0].reasons and found.shown[0].score >= duplicate_rules.SURE
    assert look(alice, "contact", name="Someone Else", phone="030 0074321").shown[0].reasons == ("same phone number",)
    assert look(alice, "contact", name="Peter Other", email="peter@gmail.com").shown == ()


def test_the_same_address_is_found_among_many_of_one_company(any_cast):
    """Also when more share its web domain than the check looks at."""
    root = any_cast["root"]
    for n in range(duplicates.MAX_CANDIDATES + 5):
        do(leads.create, root, {"name": f"Person {'abcdefghij'[n // 10]}{n}", "email": f"p{n}@big.example"})
    do(leads.create, root, {"name": "Zoe Zimmer", "email": "zoe@big.example"})
    assert look(root, "lead", name="Z. Z.", email="zoe@big.example").shown[0].title == "Zoe Zimmer"


def test_a_hidden_duplicate_is_counted_and_not_told(any_cast):
    new(any_cast["alice"])
    found = look(any_cast["charlie"], "lead", name="Maria Anders", email="maria@alfreds.example")
    assert (found.shown, found.hidden) == ((), 1)


def test_a_record_is_no_duplicate_of_itself_and_a_binned_one_of_nobody(any_cast):
    root = any_cast["root"]
    lead = do(leads.create, root, {"name": "Maria Anders", "email": "m@x.example"})
    with read_session() as session:
        assert (
            duplicates.check(session, root, "lead", {"name": "Maria Anders", "email": "m@x.example"}, exclude_id=lead.id).shown
            == ()
        )
    do(records.archive, root, "lead", lead.id)
    assert look(root, "lead", name="Maria Anders", email="m@x.example") == duplicates.Found((), 0)


def test_a_disqualified_lead_is_taken_up_again_by_those_who_may(any_cast):
    alice = any_cast["alice"]
    lead = new(alice)
    with pytest.raises(Conflict, match="already being worked on"):
        do(leads.reopen, alice, lead.id)
    do(leads.disqualify, alice, lead.id, reason="No budget")
    with pytest.raises(NotFound):
        do(leads.reopen, any_cast["charlie"], lead.id)
    with pytest.raises(NotPermitted):
        do(leads.reopen, any_cast["ana"], lead.id)
    back = do(leads.reopen, alice, lead.id)
    assert kind(back) is LeadKind.WORKING and back.disqualified_reason is None
    with pytest.raises(Conflict):
        do(leads.reopen, alice, lead.id)


def test_a_lead_that_is_dropped_on_a_status_follows_the_rules_of_the_buttons(cast):
    alice = cast["alice"]
    with read_session() as session:
        status = {row.kind: row.id for row in session.exec(select(LeadStatus).order_by(LeadStatus.position.desc()))}
    lead = new(alice)
    assert kind(do(leads.move, alice, lead.id, status[LeadKind.QUALIFIED], base_version=lead.version)) is LeadKind.QUALIFIED
    for verb, *more in ((leads.move, status[LeadKind.WORKING]), (leads.reopen,), (leads.convert,)):
        with pytest.raises(Conflict):  # drawn before it was qualified
            do(verb, alice, lead.id, *more, base_version=lead.version)
    with pytest.raises(Invalid, match="say why"):
        do(leads.move, alice, lead.id, status[LeadKind.UNQUALIFIED])
    with pytest.raises(Invalid, match="Convert"):
        do(leads.move, alice, lead.id, status[LeadKind.CONVERTED])
    do(leads.disqualify, alice, lead.id, reason="No budget", status_id=status[LeadKind.UNQUALIFIED])
    again = do(leads.move, alice, lead.id, status[LeadKind.WORKING])
    assert (kind(again), again.disqualified_reason) == (LeadKind.WORKING, None)
    with read_session() as session:
        told = [item.type for item in session.exec(select(Event).where(Event.entity == "lead", Event.record_id == lead.id))]
    assert told == ["lead.created", "lead.qualified", "lead.disqualified", "lead.reopened"]
    with pytest.raises(NotFound):
        do(leads.move, cast["charlie"], lead.id, status[LeadKind.WORKING])
