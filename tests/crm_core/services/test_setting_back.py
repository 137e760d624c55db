"""A field is set back to what it was, by the rules of its record and by whoever may write it."""

import pytest

from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.models import Account, Deal
from crm_core.services import crud, setting_back
from crm_core.services.customers import accounts
from crm_core.services.sales import deals
from tests.crm_core.services.automation.automating import all_of
from tests.verbs import do, look


def former(actor, key, record):
    return {one.spec.key: one for one in look(setting_back.find, actor, key, record.id)}


def test_a_field_is_set_back_and_forth_and_its_timeline_tells_both(cast):
    alice = cast["alice"]
    one = do(accounts.create, alice, {"name": "Acme"})
    other = do(accounts.create, alice, {"name": "Northwind"})
    deal = do(
        deals.create, alice, {"name": "Pumps", "amount_minor": 1_000_00, "account_id": one.id, "expected_close_on": "2026-12-01"}
    )
    do(deals.update, alice, deal.id, {"amount_minor": 2_000_00, "account_id": other.id, "expected_close_on": None})
    found = former(alice, "deal", deal)
    assert {key: (one.old, one.now) for key, one in found.items() if key == "amount_minor"} == {
        "amount_minor": (1_000_00, 2_000_00)
    }
    assert (found["account_id"].old_title, found["account_id"].now_title, found["account_id"].who) == (
        "Acme",
        "Northwind",
        "Alice Rep",
    )
    for key in ("amount_minor", "account_id", "expected_close_on"):
        do(setting_back.set_back, alice, found[key].event_id, key, now=found[key].now)
    kept = all_of(Deal)[0]
    assert (kept.amount_minor, kept.account_id, str(kept.expected_close_on)) == (1_000_00, one.id, "2026-12-01")
    assert former(alice, "deal", deal)["amount_minor"].old == 2_000_00, "and what it was meanwhile is an earlier value now"


def test_what_is_so_already_or_was_written_meanwhile_is_not_overwritten(cast):
    alice = cast["alice"]
    account = do(accounts.create, alice, {"name": "Acme", "city": "Bonn"})
    do(accounts.update, alice, account.id, {"city": "Kiel"})
    seen = former(alice, "account", account)["city"]
    do(accounts.update, alice, account.id, {"city": "Jena"})
    with pytest.raises(Conflict, match="City meanwhile"):
        do(setting_back.set_back, alice, seen.event_id, "city", now=seen.now)
    do(accounts.update, alice, account.id, {"city": "Bonn"})
    assert {one.old for one in look(setting_back.find, alice, "account", account.id)} == {"Kiel", "Jena"}
    with pytest.raises(NotFound, match="nothing to set back"):
        do(setting_back.set_back, alice, seen.event_id, "city", now="Bonn")
    assert all_of(Account)[0].city == "Bonn"


def test_nobody_reaches_further_than_with_the_form_and_a_stage_keeps_its_own_verb(cast):
    alice = cast["alice"]
    deal = do(deals.create, alice, {"name": "Pumps", "amount_minor": 1})
    do(deals.update, alice, deal.id, {"amount_minor": 2})
    do(deals.move, alice, deal.id, deal.stage_id + 1)
    assert not former(alice, "deal", deal).keys() & {"stage_id", "stage_since", "version", "outcome"}
    seen = former(alice, "deal", deal)["amount_minor"]
    for stranger in (cast["charlie"], cast["ana"]):
        assert look(setting_back.of_change, stranger, seen.event_id) == []
        with pytest.raises(NotFound):
            do(setting_back.set_back, stranger, seen.event_id, "amount_minor", now=2)
    for event_id, field in ((seen.event_id, "name"), (seen.event_id, "version"), (999_999, "amount_minor")):
        with pytest.raises(NotFound):
            do(setting_back.set_back, alice, event_id, field, now=2)
    assert [(one.amount_minor, one.name) for one in all_of(Deal)] == [(2, "Pumps")]


def test_what_the_record_refuses_today_stays_refused(cast):
    alice = cast["alice"]
    one, other = (do(accounts.create, alice, {"name": name}) for name in ("Acme", "Northwind"))
    deal = do(deals.create, alice, {"name": "Pumps", "account_id": one.id})
    do(deals.update, alice, deal.id, {"account_id": other.id})
    do(crud.archive, cast["root"], "account", one.id)
    seen = former(alice, "deal", deal)["account_id"]
    with pytest.raises(Invalid):
        do(setting_back.set_back, alice, seen.event_id, "account_id", now=other.id)
    assert all_of(Deal)[0].account_id == other.id
