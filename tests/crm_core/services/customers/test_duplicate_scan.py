"""The scan for duplicates among what is here, and what people decide of it."""

from dataclasses import replace

import pytest

from crm_core import jobs
from crm_core.errors import NotFound, NotPermitted
from crm_core.kit.clock import utcnow
from crm_core.models import Order
from crm_core.services.customers import accounts, contacts, duplicate_review, duplicate_rules, duplicate_scan, duplicates, merging
from crm_core.services.customers.duplicate_rules import Traits
from crm_core.services.sales import leads
from crm_core.vocabulary import Action, PairState
from tests.crm_core.services.customers.test_merging import person, put
from tests.verbs import do, look


def scan(actor):
    """Ask for a scan and run it as a worker does."""
    jobs.prepare()
    jobs.execute(do(lambda session, _actor: jobs.enqueue(session, duplicate_scan.NAME), actor), duplicate_scan.NAME, ())


def found(actor, kind="contact", **kwargs):
    return [(pair.rows[0]["id"], pair.rows[1]["id"]) for pair in look(duplicate_review.find, actor, kind, **kwargs).rows]


def test_two_records_are_weighed_by_what_they_share():
    jane = Traits("doe jane", frozenset({"j@a.example"}), frozenset({"12345678"}), place="1")
    twin = Traits("doe jane", place="1")
    other = Traits("doe jane", frozenset({"x@b.example"}), place="2")
    alike = Traits("doe janet", frozenset({"j@a.example"}))
    rates = [duplicate_rules.rate(jane, one, duplicate_rules.compare("contact", jane, one)) for one in (twin, other, alike)]
    assert rates[0] >= 0.8 and rates[1] < duplicate_rules.LIKELY and rates[2] >= duplicate_rules.SURE
    assert duplicate_rules.compare("contact", jane, Traits("roe max", place="1")) == {}


def test_a_scan_finds_pairs_and_the_most_valuable_stand_first(any_cast):
    root = any_cast["root"]
    account = do(accounts.create, root, {"name": "Acme GmbH", "postcode": "53111", "website": "acme.example"}).id
    same = do(accounts.create, root, {"name": "ACME", "postcode": "53111"}).id
    first, second = person(root, email="maria@example.com"), person(root, "M. Lopez", email="MARIA@example.com")
    third = person(root, "Jon Smith", phone="+49 30 1234567", account_id=account)
    fourth = person(root, "Smith, Jon", phone="030 1234567", account_id=account)
    near = [person(root, name, account_id=account) for name in ("Katharina Berger", "Katarina Berger")]
    person(root, "Somebody Else", email="else@example.com")
    leads_ = [do(leads.create, root, {"name": "Jo Doe", "email": "jo@example.com"}).id for _ in range(2)]
    put(root, Order(number="O-1", contact_id=fourth, currency="EUR", total_minor=900_00, ordered_at=utcnow()))
    scan(root)
    assert found(root)[0] == (third, fourth) and set(found(root)) == {(third, fourth), (first, second), tuple(near)}
    assert found(root, "account") == [(account, same)] and found(root, "lead") == [tuple(leads_)]
    shown = look(duplicate_review.find, root, "contact").rows[0]
    assert shown.worth == (0, 900_00) and set(shown.reasons) == {"same phone number", "same name", "same account"}
    assert look(duplicate_review.kinds, root) == {"lead": 1, "contact": 3, "account": 1}
    for one, left in zip(leads_, (1, 0), strict=True):
        do(leads.convert, root, one, account_name="Firm")
        assert len(found(root, "lead")) == look(duplicate_review.kinds, root)["lead"] == left, (
            "of two that were converted neither can go"
        )


def test_what_was_said_to_be_two_is_asked_no_more(any_cast):
    root = any_cast["root"]
    first, second = (person(root, email="maria@example.com") for _ in range(2))
    scan(root)
    pair = look(duplicate_review.find, root, "contact").rows[0]
    assert [hit.id for hit in look(duplicates.likely, root, "contact", first)] == [second]
    do(duplicate_review.decide, root, pair.id, PairState.DIFFERENT)
    scan(root)
    assert found(root) == [] and found(root, state=PairState.DIFFERENT) == [(first, second)]
    assert look(duplicates.likely, root, "contact", first) == []
    do(duplicate_review.decide, root, pair.id, PairState.OPEN)
    assert found(root) == [(first, second)]
    merge_id = do(merging.merge, root, "contact", first, second).id
    assert found(root) == []
    do(merging.undo, root, merge_id)
    assert found(root) == [(first, second)]
    do(contacts.update, root, second, {"email": None, "name": "Somebody Else"})
    do(contacts.set_points, root, second, [])
    scan(root)
    assert found(root) == []


def test_a_scan_that_is_killed_goes_on_where_it_stopped_and_decisions_stay(any_cast, monkeypatch):
    root = any_cast["root"]
    two, same = ([person(root, name, email=f"{name[0]}@example.com") for _ in range(2)] for name in ("Ada", "Ben"))
    gone = [do(leads.create, root, {"name": "Jo Doe", "email": "jo@example.com"}).id for _ in range(2)]
    scan(root)
    do(leads.update, root, gone[1], {"name": "Max Roe", "email": "max@example.com"})
    seen, real = [], duplicate_scan._batch

    def dies(session, entity_key, block, after):
        if len(seen) == 8:
            seen.append("killed")
            raise KeyboardInterrupt
        seen.append(entity_key)
        return real(session, entity_key, block, after)

    monkeypatch.setattr(duplicate_scan, "_batch", dies)
    job_id = do(lambda session, _actor: jobs.enqueue(session, duplicate_scan.NAME), root)
    with pytest.raises(KeyboardInterrupt):
        jobs.execute(job_id, duplicate_scan.NAME, ())
    assert found(root, "lead") == [tuple(gone)], "what is not found any more goes at the end alone"
    pair = next(one for one in look(duplicate_review.find, root, "contact").rows if one.rows[0]["id"] == two[0])
    do(duplicate_review.decide, root, pair.id, PairState.DIFFERENT)
    jobs.execute(job_id, duplicate_scan.NAME, ())
    steps = sum(len(duplicate_scan.blocks(key)) for key in duplicate_scan.MATCHED)
    assert len(seen) == steps + 1, "what was done is not done again"
    assert found(root) == [tuple(same)] and found(root, state=PairState.DIFFERENT) == [tuple(two)]
    assert found(root, "lead") == []


def test_pairs_are_for_whoever_may_merge_them(cast):
    root, bob, alice = cast["root"], cast["bob"], cast["alice"]
    mine, theirs = (do(contacts.create, who, {"name": "Maria", "email": "m@example.com"}).id for who in (alice, cast["charlie"]))
    scan(root)
    with pytest.raises(NotPermitted):
        look(duplicate_review.kinds, cast["sam"])
    with pytest.raises(NotPermitted):
        do(duplicate_scan.start, cast["sam"])
    assert do(duplicate_scan.start, bob) and look(duplicate_scan.state, bob).active
    assert found(bob) == [(mine, theirs)]
    blind = replace(root, masks=frozenset({("contact", "email")}))
    assert look(duplicate_review.kinds, blind)["contact"] is None
    with pytest.raises(NotPermitted):
        found(blind)
    with pytest.raises(NotFound):
        do(duplicate_review.decide, root, 99, PairState.DIFFERENT)
    pair_id = look(duplicate_review.find, root, "contact").rows[0].id
    no_delete = replace(root, grants={key: scopes for key, scopes in root.grants.items() if key != ("contact", Action.DELETE)})
    for actor in (blind, no_delete):
        with pytest.raises(NotPermitted):
            do(duplicate_review.decide, actor, pair_id, PairState.DIFFERENT)
    assert len(found(root)) == 1
