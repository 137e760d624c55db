"""Views at hand: layouts that are kept, pins in their order, teams, whose list opens with what, and who would miss a view."""

import pytest
from sqlmodel import select

from crm_core.access import load
from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.models import Role, UserRole
from crm_core.services.collaboration import view_choices, views
from tests.verbs import do, look
from ui.components.view_dialogs import _change


def save(actor, name, entity="deal", **more):
    return do(views.create, actor, entity, name=name, layout={"columns": ["name"], **more.pop("layout", {})}, **more)


def opening(actor):
    view = look(views.default_of, actor, "deal")
    return view.name if view else None


def test_a_view_keeps_board_and_groups_and_loses_what_can_not_be(cast):
    alice = cast["alice"]
    board, groups = (
        save(alice, "B", layout={"show": "board", "pipeline": 1}),
        save(alice, "G", layout={"show": "groups", "by": "owner_id"}),
    )
    assert look(views.usable, alice, board) == {"columns": ["name"], "q": "", "show": "board", "pipeline": 1}
    assert look(views.usable, alice, groups)["by"] == "owner_id"
    assert "show" not in save(alice, "Not by amount", layout={"show": "groups", "by": "amount_minor"}).layout
    assert "pipeline" not in save(alice, "Gone", layout={"show": "board", "pipeline": 999}).layout
    assert "show" not in save(alice, "People", entity="contact", layout={"show": "board"}).layout


def test_pins_stand_in_the_order_of_their_person_and_go_with_the_view(any_cast):
    alice, bob = any_cast["alice"], any_cast["bob"]
    one, two = save(alice, "One"), save(alice, "Two")
    team = save(bob, "Team", shared=True)
    for view in (one, two, team, two):
        do(view_choices.pin, alice, view.id)
    do(view_choices.move, alice, team.id, up=True)
    assert [pin.name for pin in look(view_choices.pins, alice)] == ["One", "Team", "Two"] and look(view_choices.pins, bob) == []
    with pytest.raises(NotFound):
        do(view_choices.pin, bob, one.id)
    assert [view.name for view in look(views.find, alice, "deal") if view.pinned] == ["One", "Two", "Team"]
    assert look(view_choices.uses, bob, team.id).words == "Alice Rep pinned it."
    do(views.update, bob, team.id, shared=False)
    assert [pin.name for pin in look(view_choices.pins, alice)] == ["One", "Two"]
    do(views.remove, alice, one.id)
    do(view_choices.unpin, alice, two.id)
    assert look(view_choices.pins, alice) == []


def test_a_team_sees_what_is_shared_with_it_and_no_other(any_cast):
    alice, bob, charlie = any_cast["alice"], any_cast["bob"], any_cast["charlie"]
    view = save(alice, "North", teams=[alice.team_id])
    assert look(views.get, bob, view.id).teams == (alice.team_id,)
    with pytest.raises(NotFound):
        look(views.get, charlie, view.id)
    with pytest.raises(NotPermitted, match="own team"):
        do(views.update, alice, view.id, teams=[charlie.team_id])
    do(views.update, bob, view.id, teams=[alice.team_id, charlie.team_id])
    copied = do(views.copy, charlie, view.id)
    assert (copied.name, copied.mine, copied.teams) == ("North (copy)", True, ()) and do(
        views.copy, charlie, view.id
    ).name == "North (copy 2)"
    do(views.update, alice, view.id, teams=[])
    with pytest.raises(NotFound):
        look(views.get, bob, view.id)


def test_a_list_opens_with_what_one_chose_then_with_that_of_the_role_then_with_everyones(any_cast):
    alice, bob = any_cast["alice"], any_cast["bob"]
    with read_session() as session:
        rep = session.exec(select(Role.id).where(Role.key == "sales_rep")).one()
    everyone, role, other = (save(bob, name, shared=True) for name in ("Everyone", "Reps", "Other"))
    do(views.update, bob, everyone.id, is_default=True)
    assert opening(alice) == "Everyone"
    do(view_choices.set_roles, bob, role.id, [rep])
    assert opening(alice) == "Reps" and opening(bob) == "Everyone"
    do(view_choices.choose, alice, other.id)
    assert opening(alice) == "Other"
    assert look(view_choices.uses, bob, other.id).people == ("Alice Rep",) and look(view_choices.uses, bob, role.id).roles == (
        "Sales rep",
    )
    do(views.keep, alice, "deal", layout={"columns": ["name"]})
    assert opening(alice) == views.OWN_NAME
    do(view_choices.choose, alice, look(views.default_of, alice, "deal").id, on=False)
    do(view_choices.set_roles, bob, other.id, [rep])
    assert opening(alice) == "Other" and look(view_choices.roles_of, bob, role.id)[1] == []
    with pytest.raises(NotPermitted):
        do(view_choices.set_roles, alice, save(alice, "Mine").id, [rep])
    with pytest.raises(Invalid, match="everyone first"):
        do(view_choices.set_roles, bob, save(bob, "Private").id, [rep])


def test_what_one_opens_with_oneself_opens_no_list_of_the_team_and_nobody_takes_back_what_they_did_not_choose(any_cast):
    alice, bob, root = any_cast["alice"], any_cast["bob"], any_cast["root"]
    save(alice, "North", teams=[alice.team_id], is_default=True)
    assert (opening(alice), opening(bob)) == ("North", None)
    everyone = save(root, "Everyone", shared=True, is_default=True)
    seen = look(views.get, bob, everyone.id)
    assert (seen.opens, seen.chosen) == (True, False), "there is no choice of one's own to take back"
    do(view_choices.choose, bob, everyone.id)
    assert look(views.get, bob, everyone.id).chosen
    mine = save(bob, "Mine", shared=True)
    do(view_choices.choose, bob, mine.id)
    with write_session() as session:
        session.exec(select(UserRole).where(UserRole.user_id == bob.user_id)).one().role_id = role_of("sales_rep")
    with pytest.raises(NotPermitted, match="everybody"):
        do(views.update, access(bob), mine.id, is_default=True)


def test_a_manager_can_end_that_everyone_sees_the_view_of_somebody_else(any_cast):
    bob, root = any_cast["bob"], any_cast["root"]
    view = save(bob, "Everyone", shared=True)
    do(view_choices.set_roles, root, view.id, [role_of("sales_rep")])
    given = {"name": "Everyone", "shared": False, "teams": [], "is_default": False}
    changed = do(_change, root, view.id, given, [])
    assert not changed.shared and opening(any_cast["alice"]) is None
    do(views.update, bob, view.id, shared=True)
    assert opening(any_cast["alice"]) is None, "no role was left behind"


def role_of(key):
    with read_session() as session:
        return session.exec(select(Role.id).where(Role.key == key)).one()


def access(person):
    with read_session() as session:
        return load(session, person.user_id)
