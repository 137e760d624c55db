"""Up to three entries stand on top of a timeline, for everybody who sees the record and the entry."""

import pytest

from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.services.collaboration import activities, pins
from crm_core.services.customers import accounts
from crm_core.services.sales import deals
from crm_core.vocabulary import ActivityKind
from tests.verbs import do, look


@pytest.fixture
def deal(cast):
    account = do(accounts.create, cast["alice"], {"name": "Acme"})
    return do(deals.create, cast["alice"], {"name": "Pumps", "account_id": account.id})


def note(actor, deal, text):
    return do(activities.log, actor, "deal", deal.id, kind=ActivityKind.NOTE, text=text)


def on_top(actor, deal, entity="deal"):
    return [item.title for item in look(pins.find, actor, entity, deal.id if entity == "deal" else deal.account_id)]


def test_three_entries_stand_on_top_once_each_and_a_fourth_waits(cast, deal):
    alice = cast["alice"]
    notes = [note(alice, deal, f"Note {n}") for n in range(4)]
    for one in (notes[2], notes[0], notes[0], notes[1]):
        do(pins.pin, alice, "deal", deal.id, one.id)
    assert on_top(alice, deal) == on_top(cast["bob"], deal) == ["Note 2", "Note 0", "Note 1"]
    with pytest.raises(Invalid, match="3 entries are pinned already"):
        do(pins.pin, alice, "deal", deal.id, notes[3].id)
    do(activities.remove, alice, notes[0].id)
    do(pins.pin, alice, "deal", deal.id, notes[3].id)
    do(pins.unpin, alice, "deal", deal.id, notes[2].id)
    assert on_top(alice, deal) == ["Note 1", "Note 3"], "what is in the bin stands on no top, and counts for none"
    assert on_top(alice, deal, "account") == [], "each record has its own"


def test_what_hangs_on_another_record_by_now_takes_no_place(cast, deal):
    alice = cast["alice"]
    notes = [note(alice, deal, f"Note {n}") for n in range(4)]
    for one in notes[:3]:
        do(pins.pin, alice, "deal", deal.id, one.id)
    other = do(deals.create, alice, {"name": "Valves"})
    do(activities.update, alice, notes[0].id, {"deal_id": other.id})
    do(pins.pin, alice, "deal", deal.id, notes[3].id)
    assert on_top(alice, deal) == ["Note 1", "Note 2", "Note 3"]


def test_only_who_may_edit_the_record_pins_what_hangs_on_it(cast, deal):
    alice, charlie = cast["alice"], cast["charlie"]
    other = do(deals.create, charlie, {"name": "Valves"})
    theirs, mine = note(charlie, other, "Theirs"), note(alice, deal, "Mine")
    with pytest.raises(NotFound):
        do(pins.pin, alice, "deal", deal.id, theirs.id)
    with pytest.raises((NotFound, NotPermitted)):
        do(pins.pin, cast["ana"], "deal", deal.id, mine.id)
    for verb in (pins.pin, pins.unpin):
        with pytest.raises(NotFound):
            do(verb, charlie, "deal", deal.id, mine.id)
    assert on_top(alice, deal) == []
    assert look(pins.mine_to_change, charlie, [mine.id, theirs.id])[0] == {theirs.id}
    assert mine.id in look(pins.mine_to_change, alice, [mine.id, theirs.id])[0]
