"""The bin on screen: for every role, empty, with what was deleted, and back again."""

from crm_core.db import read_session
from crm_core.models import Deal
from crm_core.services import crud
from tests.pages.app import open_screen, words
from tests.pages.sales.test_sales_pages import EVIL
from tests.verbs import do


def test_the_bin_stands_for_every_role_that_may_delete_and_says_when_it_is_empty(cast):
    for who in ("root", "alice", "dana", "sam"):
        app = open_screen(cast[who], "bin")
        assert not app.exception and not app.error and "can be restored" in words(app), who


def test_a_deleted_record_is_looked_at_and_taken_back(cast):
    alice = cast["alice"]
    deal = do(crud.create, alice, "deal", {"name": EVIL.strip()[:200], "next_step": "**call**"})
    do(crud.archive, alice, "deal", deal.id)
    gone = open_screen(alice, "deal", id=deal.id)
    assert "in the bin" in gone.error[0].value
    app = open_screen(alice, "bin", kind="deal", record=deal.id)
    assert not app.exception and "deleted by Alice Rep" in words(app)
    app.button(key="bin_restore_one").click().run()
    assert not app.exception and "is back" in words(app)
    with read_session() as session:
        assert session.get(Deal, deal.id).deleted_at is None
    again = open_screen(alice, "bin", kind="deal", record=deal.id)
    assert "not in the bin any more" in again.error[0].value


def test_after_the_last_one_of_a_kind_is_taken_back_the_bin_says_so(cast):
    alice = cast["alice"]
    deal = do(crud.create, alice, "deal", {"name": "Alone"})
    do(crud.archive, alice, "deal", deal.id)
    app = open_screen(alice, "bin", record=deal.id)
    app.button(key="bin_restore_one").click().run()
    assert "is back" in words(app)
