"""Nothing beyond what may be seen: not by searching, sorting, summing up, or through what hangs on a record that is shared."""

from dataclasses import replace

import pytest

from crm_core import lists, search
from crm_core.db import read_session, write_session
from crm_core.lists import ListQuery
from crm_core.services import crud, finder
from crm_core.services.collaboration import activities, tasks, timeline
from crm_core.services.customers import duplicates
from crm_core.vocabulary import ActivityKind


def make(actor, entity, **values):
    with write_session() as session:
        return crud.create(session, actor, entity, values).id


def ids(actor, entity, **query):
    with read_session() as session:
        return [row["id"] for row in lists.find(session, actor, entity, ListQuery(**query)).rows]


@pytest.mark.parametrize("q", ["jane@acme-corp.com", "acme", "acme-corp", "doe", "5551234"])
def test_quick_search_finds_addresses_word_by_word_on_both_databases(any_cast, q):
    root = any_cast["root"]
    contact = make(root, "contact", name="Jane Doe", email="jane@acme-corp.com", phone="+49 30 5551234")
    make(root, "contact", name="Somebody Else", email="other@example.net")
    assert ids(root, "contact", q=q) == [contact]


@pytest.mark.parametrize("q", ["T-000001", "000001", "t 000001"])
def test_quick_search_finds_a_number_on_both_databases(any_cast, q):
    ticket = make(any_cast["root"], "ticket", subject="Broken")
    assert ids(any_cast["root"], "ticket", q=q) == [ticket]
    with read_session() as session:
        assert [hit.id for hit in finder.find(session, any_cast["root"], q)] == [ticket]


def test_a_search_finds_people_of_a_name_before_those_whose_address_or_company_has_it(any_cast):
    root = any_cast["root"]
    named = make(root, "contact", name="Ida Holm", email="ida@else.example")
    longer = make(root, "contact", name="Holmes Ada", email="ada@else.example")
    for n in range(8):
        make(root, "contact", name=f"Person {n}", email=f"p{n}@holm-{n}.example")
    lead = make(root, "lead", name="Viggo Holm")
    with read_session() as session:
        hits = [(hit.entity, hit.id) for hit in finder.find(session, root, "holm")]
    assert hits[:3] == [("contact", named), ("contact", longer), ("lead", lead)]
    assert len(hits) == 6 and {kind for kind, _ in hits[3:]} == {"contact"}


def test_a_masked_name_decides_no_order(any_cast):
    root, blind = any_cast["root"], replace(any_cast["root"], masks=frozenset({("contact", "name")}))
    make(root, "contact", name="Ida Holm", job_title="Head")
    newest = make(root, "contact", name="Somebody", job_title="Head of Holm")
    with read_session() as session:
        assert [hit.id for hit in finder.find(session, blind, "holm")] == [newest]


@pytest.mark.parametrize("q", ["_", "__ x"])
def test_a_search_without_words_behaves_alike_on_both_databases(any_cast, q):
    make(any_cast["root"], "account", name="Other")
    known = make(any_cast["root"], "account", name="x")
    assert (known in ids(any_cast["root"], "account", q=q)) and (
        len(ids(any_cast["root"], "account", q=q)) == (2 if q == "_" else 1)
    )


def test_quick_search_tells_nothing_of_a_masked_field(any_cast):
    root, ana = any_cast["root"], any_cast["ana"]
    contact = make(root, "contact", name="Jane Doe", email="jane@acme.com", job_title="Head of Tests")
    for q in ("jane", "doe", "acme", "jane@acme.com", "head jane"):
        assert ids(ana, "contact", q=q) == []
        with read_session() as session:
            assert finder.find(session, ana, q) == []
            assert lists.choices(session, ana, "contact", q) == {}
    assert ids(ana, "contact", q="head tests") == ids(ana, "contact", q="HEAD") == [contact]
    assert ids(ana, "contact", q="ead") == [], "the beginning of a word, as for everybody"


def test_sorting_tells_nothing_of_a_masked_field(any_cast):
    root, ana = any_cast["root"], any_cast["ana"]
    made = [make(root, "contact", name=name, email=f"{name.lower()}@x.com") for name in ("Zoe", "Adam", "Mia")]
    orders = [make(root, "order", contact_id=contact) for contact in made]
    for sort in (None, ("name", False), ("email", False)):
        assert ids(ana, "contact", sort=sort) == made
    assert ids(ana, "contact", sort=("name", True)) == made[::-1]
    assert ids(ana, "order", sort=("contact_id", False)) == orders
    with read_session() as session:
        assert list(lists.choices(session, ana, "contact")) == made


def test_sorting_tells_nothing_of_a_hidden_record(any_cast):
    alice, charlie = any_cast["alice"], any_cast["charlie"]
    deals = [make(alice, "deal", name=name) for name in ("Z", "A", "M")]
    shared = [make(any_cast["root"], "task", subject="x", deal_id=deal, owner_id=charlie.user_id) for deal in deals]
    assert ids(charlie, "task", sort=("deal_id", False)) == shared
    assert ids(any_cast["root"], "task", sort=("deal_id", False)) == [shared[1], shared[2], shared[0]]


def test_a_total_is_not_told_of_a_masked_amount(any_cast):
    make(any_cast["root"], "deal", name="D", amount_minor=12_345)
    blind = replace(any_cast["root"], masks=frozenset({("deal", "amount_minor")}))
    with read_session() as session:
        assert lists.totals(session, blind, "deal", ListQuery()) == (1, {})
        assert lists.find(session, blind, "deal", ListQuery()).totals == {}


@pytest.mark.parametrize(
    ("frequent", "read"), [(20_000, 5_000), (3, 5_000), (3, 1)], ids=["index", "all of mine", "my newest, then the index"]
)
def test_a_crowd_of_newer_records_of_others_hides_no_record_of_ones_own(any_cast, monkeypatch, frequent, read):
    monkeypatch.setattr(finder, "NEWEST", 3)
    monkeypatch.setattr(search, "FREQUENT", frequent)
    for module in (finder, lists):
        monkeypatch.setattr(module, "OF_MINE", read)
    monkeypatch.setattr(lists, "NEAREST", 3)
    mine = make(any_cast["alice"], "deal", name="Chairs")
    make(any_cast["alice"], "deal", name="Tables")
    for _ in range(4):
        make(any_cast["charlie"], "deal", name="Chairs")
    with read_session() as session:
        assert [hit.id for hit in finder.find(session, any_cast["alice"], "chairs")] == [mine]
        assert list(lists.choices(session, any_cast["alice"], "deal", "chairs")) == [mine]


def test_a_crowd_of_newer_records_of_one_kind_hides_none_of_another(any_cast, monkeypatch):
    monkeypatch.setattr(finder, "NEWEST", 3)
    root = any_cast["root"]
    named, other = make(root, "account", name="Märkte GmbH"), make(root, "account", name="Zum Markt")
    ticket = make(root, "ticket", subject="Closed markt")
    near = make(root, "account", name="Tables", city="Markt")
    for _ in range(4):
        make(root, "deal", name="Markt")

    def found(actor):
        with read_session() as session:
            return [(hit.entity, hit.id) for hit in finder.find(session, actor, "markt") if hit.entity != "deal"]

    assert found(root) == [("account", other), ("account", named), ("ticket", ticket), ("account", near)]
    monkeypatch.setattr(finder, "FEW", 1)
    assert ("account", named) in found(root), "by the beginning of its name, however old"
    assert ("account", named) not in found(replace(root, masks=frozenset({("account", "name")})))


def test_the_duplicate_check_tells_nothing_of_a_masked_field(any_cast):
    make(any_cast["root"], "contact", name="Jane Doe", email="jane@acme.com", phone="+49 30 5551234")
    blind = replace(any_cast["root"], masks=frozenset(("contact", key) for key in ("name", "email", "phone")))
    typed = {"name": "Jane Doe", "email": "jane@acme.com", "phone": "+49 30 5551234"}
    with read_session() as session:
        assert duplicates.check(session, any_cast["root"], "contact", typed).shown
        assert duplicates.check(session, blind, "contact", typed) == duplicates.Found()


def log(actor, entity, record_id, text):
    with write_session() as session:
        activities.log(session, actor, entity, record_id, kind=ActivityKind.CALL, text=text)


def seen_on(actor, entity, record_id):
    with read_session() as session:
        items, _ = timeline.find(session, actor, entity, record_id)
        return {item.title for item in items if item.entity in ("activity", "task")} | {
            task.subject for task in tasks.open_of(session, actor, entity, record_id)
        }


def test_the_feed_of_a_shared_account_does_not_tell_what_was_done_about_a_hidden_deal(any_cast):
    alice, bob, charlie = any_cast["alice"], any_cast["bob"], any_cast["charlie"]
    account = make(alice, "account", name="Shared")
    contact = make(alice, "contact", name="Carla", account_id=account)
    deal = make(alice, "deal", name="Hidden", account_id=account, contact_id=contact)
    log(alice, "deal", deal, "Offered 30% off")
    log(alice, "account", account, "Visited the plant")
    planned, done = (
        make(alice, "task", subject=words, deal_id=deal, account_id=account, contact_id=contact)
        for words in ("Send the secret offer", "Sent the price list")
    )
    with write_session() as session:
        tasks.complete(session, alice, done)
    secret = {"Offered 30% off", "Send the secret offer", "Sent the price list"}
    for entity, record_id in (("account", account), ("contact", contact)):
        assert not seen_on(charlie, entity, record_id) & secret
        assert seen_on(alice, entity, record_id) >= secret and seen_on(bob, entity, record_id) >= secret
    assert seen_on(charlie, "account", account) == {"Visited the plant"}
    assert planned
    log(charlie, "account", account, "Called them")
    assert "Called them" in seen_on(alice, "account", account)


def test_what_one_did_oneself_stays_in_sight_after_the_deal_went_to_somebody_else(any_cast):
    alice, root, charlie = any_cast["alice"], any_cast["root"], any_cast["charlie"]
    account = make(alice, "account", name="Shared")
    deal = make(alice, "deal", name="Handed over", account_id=account)
    log(alice, "deal", deal, "First call")
    with write_session() as session:
        crud.update(session, root, "deal", deal, {"owner_id": charlie.user_id})
    assert "First call" in seen_on(alice, "account", account)
    assert "First call" in seen_on(charlie, "deal", deal)
