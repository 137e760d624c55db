"""Many records at once: looked at first, changed one by one, taken back within a day."""

from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core import access
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.lists import ListQuery, count
from crm_core.models import Role, RolePermission
from crm_core.services import bulk, crud
from crm_core.vocabulary import Scope
from tests.verbs import do, look


def deals_of(actor, number, **values):
    return [do(crud.create, actor, "deal", {"name": f"Deal {n}", **values}).id for n in range(number)]


def get(actor, record_id, entity="deal"):
    with read_session() as session:
        return crud.records.get(session, actor, entity, record_id)


def test_a_preview_counts_who_changes_who_has_it_and_who_is_not_mine(any_cast):
    alice, bob = any_cast["alice"], any_cast["bob"]
    mine = [do(crud.create, alice, "account", {"name": f"A{n}", "industry": "Software" if n == 0 else None}).id for n in range(3)]
    theirs = do(crud.create, bob, "account", {"name": "B"}).id
    found = look(bulk.preview, alice, "account", [*mine, theirs, 9999], "industry", "Software")
    assert (set(found.versions), found.same, found.blocked) == (set(mine[1:]), 1, 1)
    assert [(row.title, row.old, row.new) for row in found.sample] == [("A1", None, "Software"), ("A2", None, "Software")]
    with pytest.raises(Invalid, match="not one of the values"):
        look(bulk.preview, alice, "account", mine, "industry", "Nonsense")
    with pytest.raises(Invalid, match="can't be changed for many"):
        look(bulk.preview, alice, "deal", [], "outcome", "won")
    with pytest.raises(NotPermitted):
        look(bulk.preview, any_cast["ana"], "account", mine, "industry", "Software")


def test_many_change_and_all_comes_back(any_cast):
    alice, bob = any_cast["alice"], any_cast["bob"]
    ids = deals_of(alice, 3, next_step="Call")
    seen = look(bulk.preview, bob, "deal", ids, "owner_id", bob.user_id)
    assert seen.sample[0].old_title == "Alice Rep" and seen.sample[0].new_title == "Bob Manager"
    outcome = do(bulk.change, bob, "deal", seen.versions, "owner_id", bob.user_id)
    assert (outcome.done, outcome.refused) == (3, ())
    assert {get(bob, one).owner_id for one in ids} == {bob.user_id}
    assert look(bulk.recent, bob, "deal") == [(outcome.operation_id, "Owner of 3 deals")]
    with pytest.raises(NotFound):
        do(bulk.undo, alice, outcome.operation_id)
    assert do(bulk.undo, bob, outcome.operation_id).done == 3
    assert {get(alice, one).owner_id for one in ids} == {alice.user_id}
    with pytest.raises(Conflict, match="already undone"):
        do(bulk.undo, bob, outcome.operation_id)
    assert look(bulk.recent, bob, "deal") == []


def test_what_others_changed_meanwhile_is_refused_by_name_and_the_rest_goes_through(any_cast):
    alice = any_cast["alice"]
    first, second = deals_of(alice, 2)
    seen = look(bulk.preview, alice, "deal", [first, second], "next_step", "Call")
    do(crud.update, any_cast["bob"], "deal", second, {"next_step": "Write"})
    outcome = do(bulk.change, alice, "deal", seen.versions, "next_step", "Call")
    assert outcome.done == 1 and [title for title, _ in outcome.refused] == ["Deal 1"]
    assert (get(alice, first).next_step, get(alice, second).next_step) == ("Call", "Write")
    assert look(bulk.recent, alice, "deal") == [(outcome.operation_id, "Next step of 1 deal")]
    (clash,) = outcome.clashed  # what they did, and the version to go on with all the same
    assert (clash.title, clash.changed, clash.by[0][0]) == ("Deal 1", {"next_step": (None, "Write")}, any_cast["bob"].user_id)
    assert do(bulk.change, alice, "deal", {clash.id: clash.version}, "next_step", "Call").done == 1


def test_what_others_changed_meanwhile_is_not_deleted_until_one_says_so(cast):
    alice, bob = cast["alice"], cast["bob"]
    first, second, third = deals_of(alice, 3)
    seen = look(bulk.preview_delete, bob, "deal", [first, second, third])
    do(crud.update, alice, "deal", first, {"next_step": "Write"})
    do(crud.archive, cast["root"], "deal", second)
    outcome = do(bulk.archive, bob, "deal", seen.versions)
    assert outcome.done == 1 and [title for title, _ in outcome.refused] == ["Deal 0", "Deal 1"]
    assert [(one.id, one.changed) for one in outcome.clashed] == [(first, {"next_step": (None, "Write")})]
    assert do(bulk.archive, bob, "deal", {one.id: one.version for one in outcome.clashed}).done == 1


def test_a_record_that_went_out_of_sight_meanwhile_is_told_without_its_number(cast):
    alice = cast["alice"]
    lead = do(crud.create, alice, "lead", {"name": "Ida"}).id
    with write_session() as session:
        role = session.exec(select(Role).where(Role.key == "sales_rep")).one()
        for grant in session.exec(select(RolePermission).where(RolePermission.role_id == role.id, RolePermission.entity == "lead")):
            grant.scope = Scope.OWN
    alice = look(lambda session: access.load(session, alice.user_id))
    seen = look(bulk.preview, alice, "lead", [lead], "city", "Oslo")
    do(crud.update, cast["root"], "lead", lead, {"owner_id": cast["bob"].user_id})
    outcome = do(bulk.change, alice, "lead", seen.versions, "city", "Oslo")
    assert outcome.refused == (("Lead that you no longer see", "This lead does not exist, or is not shared with you."),)


def test_rules_of_the_entity_hold_for_each_record(any_cast):
    alice = any_cast["alice"]
    ids = deals_of(alice, 2)
    with read_session() as session:
        from crm_core.services.sales import deals

        won = next(stage.id for stage in deals.stages(session, alice) if stage.kind.value == "won")
    seen = look(bulk.preview, alice, "deal", ids, "stage_id", won)
    outcome = do(bulk.change, alice, "deal", seen.versions, "stage_id", won)
    assert outcome.done == 0 and outcome.operation_id is None and "Use “Win”" in outcome.refused[0][1]


def test_an_undo_leaves_newer_values_alone_and_ends_after_a_day(any_cast):
    alice = any_cast["alice"]
    first, second = deals_of(alice, 2, next_step="Call")
    seen = look(bulk.preview, alice, "deal", [first, second], "next_step", "Write")
    outcome = do(bulk.change, alice, "deal", seen.versions, "next_step", "Write")
    do(crud.update, alice, "deal", first, {"next_step": "Newer"})
    do(crud.update, alice, "deal", second, {"amount_minor": 5})
    with clock.frozen(clock.utcnow() + timedelta(hours=25)), pytest.raises(Conflict, match="24 hours"):
        do(bulk.undo, alice, outcome.operation_id)
    back = do(bulk.undo, alice, outcome.operation_id)
    assert back.done == 1 and back.refused == (("Deal 0", "Somebody changed Next step since."),)
    assert (get(alice, first).next_step, get(alice, second).next_step, get(alice, second).amount_minor) == ("Newer", "Call", 5)


def test_many_go_to_the_bin_and_come_back(any_cast):
    alice = any_cast["alice"]
    ids = deals_of(alice, 3)
    seen = look(bulk.preview_delete, alice, "deal", ids)
    do(crud.update, alice, "deal", ids[2], {"next_step": "x"})
    outcome = do(bulk.archive, alice, "deal", seen.versions)
    assert outcome.done == 2 and len(outcome.refused) == 1
    assert look(count, alice, "deal", ListQuery()) == 1
    assert do(bulk.undo, alice, outcome.operation_id).done == 2
    assert look(count, alice, "deal", ListQuery()) == 3


def test_undoing_a_deletion_leaves_alone_what_somebody_restored_or_deleted_again(any_cast):
    alice, bob = any_cast["alice"], any_cast["bob"]
    kept, again, still = deals_of(alice, 3)
    outcome = do(bulk.archive, alice, "deal", look(bulk.preview_delete, alice, "deal", [kept, again, still]).versions)
    for deal in (kept, again):
        do(crud.restore, bob, "deal", deal)
    do(crud.archive, bob, "deal", again)
    with pytest.raises(NotFound, match="not yours"):
        do(bulk.undo, bob, outcome.operation_id)
    back = do(bulk.undo, alice, outcome.operation_id)
    assert back.done == 1 and back.refused == (("Deal 0", "Somebody restored it since."), ("Deal 1", "Somebody restored it since."))
    assert look(count, alice, "deal", ListQuery()) == 2 and get(alice, still).deleted_at is None
    with pytest.raises(NotFound):
        get(alice, again)


def test_all_that_match_up_to_a_limit(any_cast, monkeypatch):
    alice = any_cast["alice"]
    deals_of(alice, 3)
    assert len(look(bulk.matching, alice, "deal", ListQuery(q="deal"))) == 3
    monkeypatch.setattr(bulk, "MAX_RECORDS", 2)
    with pytest.raises(Invalid, match="At most 2"):
        look(bulk.matching, alice, "deal", ListQuery())
    with pytest.raises(Invalid, match="nothing to change"):
        do(bulk.change, alice, "deal", {}, "next_step", "x")
