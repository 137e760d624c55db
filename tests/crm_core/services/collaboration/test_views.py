"""Saved views: mine, shared, default, and what happens when a field or a right is gone."""

import pytest
from sqlmodel import select

from crm_core.access import load
from crm_core.db import write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.models import UserRole
from crm_core.services.admin import users
from crm_core.services.collaboration import views
from tests.verbs import do, look

BIG = {
    "columns": ["name", "amount_minor"],
    "sort": ["amount_minor", True],
    "filter": {"field": "amount_minor", "cmp": "gt", "value": 100},
    "size": 25,
}


def test_a_private_view_is_mine_alone(any_cast):
    alice, charlie = any_cast["alice"], any_cast["charlie"]
    view = do(views.create, alice, "deal", name=" Big ones ", layout=BIG)
    assert view.name == "Big ones" and look(views.usable, alice, view) == {**BIG, "q": ""}
    assert [found.id for found in look(views.find, alice, "deal")] == [view.id]
    assert look(views.find, charlie, "deal") == []
    for verb in (
        lambda s, a: views.get(s, a, view.id),
        lambda s, a: views.update(s, a, view.id, name="x"),
        lambda s, a: views.remove(s, a, view.id),
    ):
        with pytest.raises(NotFound):
            do(verb, charlie)


def test_sharing_needs_the_right_and_shared_views_change_only_by_their_owner_or_a_manager(any_cast):
    alice, bob = any_cast["alice"], any_cast["bob"]
    with pytest.raises(NotPermitted, match="share"):
        do(views.create, alice, "deal", name="Big", layout=BIG, shared=True)
    view = do(views.create, bob, "deal", name="Big", layout=BIG, shared=True)
    seen = look(views.get, alice, view.id)
    assert (seen.mine, seen.may_edit, seen.owner) == (False, False, "Bob Manager")
    with pytest.raises(NotPermitted, match="somebody else"):
        do(views.update, alice, view.id, name="Mine")
    assert do(views.update, any_cast["root"], view.id, name="Bigger").name == "Bigger"
    do(views.update, bob, view.id, shared=False)
    with pytest.raises(NotFound):
        look(views.get, alice, view.id)


def test_two_managers_change_a_view_and_neither_takes_back_what_the_other_did(any_cast):
    bob, root = any_cast["bob"], any_cast["root"]
    seen = do(views.create, bob, "deal", name="Big", layout=BIG, shared=True)
    do(views.update, root, seen.id, name="Bigger", is_default=True)
    now = do(views.update, bob, seen.id, name="Big", layout={**BIG, "size": 50}, shared=True, teams=[], is_default=False, seen=seen)
    assert (now.name, now.is_default, now.layout["size"]) == ("Bigger", True, 50)
    for mine in ({"name": "Biggest"}, {"is_default": True, "layout": {**BIG, "size": 100}}):
        do(views.update, root, seen.id, layout={**BIG, "size": 200})
        with pytest.raises(Conflict, match="Somebody else changed the view “Bigger”"):
            do(views.update, bob, seen.id, **mine, seen=seen)


def test_a_layout_that_comes_as_a_screen_has_it_is_the_one_that_is_stored(cast):
    bob, root = cast["bob"], cast["root"]
    seen = do(views.create, bob, "deal", name="Big", layout=BIG, shared=True)
    on_screen = {**BIG, "columns": tuple(BIG["columns"]), "sort": ("amount_minor", True), "q": "", "show": "list"}
    do(views.update, root, seen.id, layout={**BIG, "size": 200})
    do(views.update, bob, seen.id, name="Bigger", layout=on_screen, seen=seen)
    now = look(views.get, bob, seen.id)
    assert (now.name, now.layout["size"]) == ("Bigger", 200), "the layout was left as it was seen"


def test_names_are_free_once(cast):
    alice = cast["alice"]
    do(views.create, alice, "deal", name="Big", layout=BIG)
    with pytest.raises(Conflict, match="already a view"):
        do(views.create, alice, "deal", name="Big", layout=BIG)
    do(views.create, alice, "lead", name="Big", layout={})
    with pytest.raises(Invalid, match="a name"):
        do(views.create, alice, "deal", name="  ", layout=BIG)


def test_one_default_mine_before_the_shared_one(any_cast):
    alice, bob = any_cast["alice"], any_cast["bob"]
    shared = do(views.create, bob, "deal", name="Team", layout=BIG, shared=True, is_default=True)
    assert look(views.default_of, alice, "deal").id == shared.id
    first = do(views.create, alice, "deal", name="One", layout=BIG, is_default=True)
    second = do(views.create, alice, "deal", name="Two", layout=BIG, is_default=True)
    assert look(views.default_of, alice, "deal").id == second.id
    assert [view.is_default for view in look(views.find, alice, "deal") if view.id == first.id] == [False]
    do(views.update, alice, second.id, is_default=False)
    assert look(views.default_of, alice, "deal").id == shared.id


def test_a_view_over_a_hidden_field_still_opens_without_its_filter(cast):
    layout = {"columns": ["name", "email"], "filter": {"field": "email", "cmp": "contains", "value": "a"}}
    view = do(views.create, cast["bob"], "contact", name="With e-mail", layout=layout, shared=True)
    usable = look(views.usable, cast["ana"], view)
    assert "filter" not in usable and usable["columns"]


def test_a_layout_that_cannot_work_is_refused(cast):
    alice = cast["alice"]
    with pytest.raises(Invalid):
        do(views.create, alice, "deal", name="x", layout={"filter": {"field": "nope"}})
    with pytest.raises(Invalid, match="column"):
        do(views.create, alice, "deal", name="x", layout={"columns": ["nope"]})
    with pytest.raises(NotPermitted):
        do(views.create, cast["sam"], "deal", name="x", layout={})


def test_a_removed_view_is_gone(cast):
    view = do(views.create, cast["alice"], "deal", name="Big", layout=BIG)
    do(views.remove, cast["alice"], view.id)
    with pytest.raises(NotFound):
        do(views.remove, cast["alice"], view.id)


def test_a_list_that_is_to_open_like_this_from_now_on_has_one_view_that_is_overwritten(cast):
    alice = cast["alice"]
    first = do(views.keep, alice, "deal", layout=BIG)
    other = do(views.create, alice, "deal", name="Other", layout=BIG, is_default=True)
    again = do(views.keep, alice, "deal", layout={**BIG, "columns": ["name"]})
    opening = look(views.default_of, alice, "deal")
    assert again.id == first.id == opening.id != other.id and opening.layout["columns"] == ["name"]
    assert look(views.default_of, cast["charlie"], "deal") is None


def test_shared_views_outlive_the_person_and_the_right_to_share(cast):
    """Whoever left or lost the right leaves behind what everybody works with; it is an administrator's to change then."""
    alice, bob, root = cast["alice"], cast["bob"], cast["root"]
    view = do(views.create, bob, "deal", name="Team", layout=BIG, shared=True, is_default=True)
    with write_session() as session:
        role = session.exec(select(UserRole).where(UserRole.user_id == bob.user_id)).one()
        role.role_id = session.exec(select(UserRole.role_id).where(UserRole.user_id == alice.user_id)).one()
    rep = look(lambda session, actor: load(session, actor.user_id), bob)
    assert do(views.update, rep, view.id, name="Our deals", shared=True).shared
    do(views.update, rep, view.id, shared=False)
    with pytest.raises(NotPermitted, match="share"):
        do(views.update, rep, view.id, shared=True)
    do(views.update, bob, view.id, shared=True)
    do(users.deactivate, root, bob.user_id)
    left = look(views.default_of, alice, "deal")
    assert (left.name, left.owner, left.may_edit) == ("Our deals", "Bob Manager", False)
    do(views.update, root, view.id, is_default=False)
    assert look(views.default_of, alice, "deal") is None and look(views.get, alice, view.id).shared
    do(views.remove, root, view.id)
    assert look(views.find, alice, "deal") == []
