"""People: invited, placed, given roles, let go; and what nobody may do, the last administrator above all."""

import pytest
from sqlmodel import select

from crm_core import lists
from crm_core.access import load
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit.clock import today
from crm_core.models import AuthSession, Event, Role, RolePermission, Team, User, UserClosure, UserRole
from crm_core.services.admin import links, passwords, sessions, users
from crm_core.services.collaboration import tasks
from crm_core.services.customers import accounts
from crm_core.services.sales import deals
from crm_core.vocabulary import Action, LinkPurpose, PersonState, Scope, SigninMethod
from tests.quick_hashes import quick_hashes as quick_hashes


def run(verb, *args, **kwargs):
    with write_session() as session:
        return verb(session, *args, **kwargs)


def role_ids(*keys):
    with read_session() as session:
        found = {role.key: role.id for role in session.exec(select(Role))}
    return [found[key] for key in keys]


def ancestors(user_id):
    with read_session() as session:
        rows = session.exec(select(UserClosure).where(UserClosure.descendant_id == user_id))
        return {row.ancestor_id: row.depth for row in rows}


def types_about(user_id):
    with read_session() as session:
        return list(session.exec(select(Event.type).where(Event.entity == "user", Event.record_id == user_id).order_by(Event.id)))


def give_password(actor):
    with write_session() as session:
        session.get(User, actor.user_id).password_hash = passwords.hash_password("quiet river stone")


@pytest.fixture
def people(cast):
    give_password(cast["root"])
    return cast


@pytest.fixture
def any_people(any_cast):
    give_password(any_cast["root"])
    return any_cast


# --- invite ---------------------------------------------------------------------------------------------------------------


def test_an_invited_person_has_roles_a_place_and_a_working_link(any_people):
    root, bob = any_people["root"], any_people["bob"]
    made = run(
        users.invite,
        root,
        name=" Eve  ",
        email="Eve@Example.com",
        role_ids=role_ids("sales_rep"),
        team_id=bob.team_id,
        manager_id=bob.user_id,
    )
    with read_session() as session:
        page = users.find(session, root, q="eve@")
        assert [(row["name"], row["state"], row["roles"], row["manager"], row["team"]) for row in page.rows] == [
            ("Eve", PersonState.INVITED, ["Sales rep"], "Bob Manager", "North")
        ]
        token = made.path.removeprefix("/invite/")
        assert links.find(session, token, LinkPurpose.INVITE)[1].id == made.user_id
        assert load(session, made.user_id).can("deal", Action.CREATE)
    assert ancestors(made.user_id) == {made.user_id: 0, bob.user_id: 1}
    assert types_about(made.user_id) == ["user.invited"]


@pytest.mark.parametrize("email", ["", "eve", "eve@", "eve@@example.com", "a b@example.com", "x" * 300 + "@example.com"])
def test_an_address_that_is_none_is_refused(people, email):
    with pytest.raises(Invalid) as caught:
        run(users.invite, people["root"], name="Eve", email=email, role_ids=role_ids("sales_rep"))
    assert set(caught.value.fields) == {"email"}


def test_an_address_that_somebody_has_is_refused_whatever_its_case(people):
    with pytest.raises(Conflict, match="Alice Rep"):
        run(users.invite, people["root"], name="Eve", email="ALICE@example.com", role_ids=role_ids("sales_rep"))


def test_an_invitation_needs_a_role_that_exists_and_a_name(people):
    for bad in ({"role_ids": []}, {"role_ids": [999]}, {"name": " \x00"}, {"team_id": 999}, {"manager_id": 999}):
        with pytest.raises(Invalid):
            run(users.invite, people["root"], **{"name": "Eve", "email": "eve@example.com", "role_ids": role_ids("analyst"), **bad})
    with read_session() as session:
        assert users.find(session, people["root"], q="eve").total == 0, "nothing half made"


@pytest.mark.parametrize("who", ["bob", "alice", "dana", "sam", "ana"])
def test_nobody_but_an_administrator_may(people, who):
    actor, other = people[who], people["charlie"].user_id
    for verb, args, kwargs in (
        (users.find, (), {}),
        (users.invite, (), {"name": "E", "email": "e@example.com", "role_ids": [1]}),
        (users.link_again, (other,), {}),
        (users.deactivate, (other,), {}),
        (users.activate, (other,), {}),
        (users.update, (other, {"name": "X"}), {}),
        (users.set_roles, (other, [1]), {}),
        (users.sign_out_everywhere, (other,), {}),
        (users.signed_in_on, (other,), {}),
    ):
        with pytest.raises(NotPermitted):
            run(verb, actor, *args, **kwargs)


# --- go -------------------------------------------------------------------------------------------------------------------


def test_a_deactivated_person_is_out_at_once_and_their_links_are_void(any_people):
    root, alice = any_people["root"], any_people["alice"]
    path = run(users.link_again, root, alice.user_id).path
    token = run(sessions.start, alice.user_id, SigninMethod.LOCAL)
    run(users.deactivate, root, alice.user_id)
    with read_session() as session:
        assert sessions.lookup(session, token) is None
        assert session.exec(select(AuthSession)).all() == []
        with pytest.raises(NotFound):
            links.find(session, path.rsplit("/", 1)[1], LinkPurpose.INVITE)
        with pytest.raises(NotPermitted):
            load(session, alice.user_id)
    run(users.activate, root, alice.user_id)
    with read_session() as session:
        assert sessions.lookup(session, token) is None, "an old cookie does not come back to life"
        assert load(session, alice.user_id).can("deal", Action.EDIT)
    assert types_about(alice.user_id) == ["user.reset_link_made", "user.deactivated", "user.activated"]


def test_what_somebody_who_left_has_in_hand_is_counted_with_its_filter(any_people):
    root, alice = any_people["root"], any_people["alice"]
    run(accounts.create, alice, {"name": "Acme"})
    run(deals.create, alice, {"name": "Open"})
    won = run(deals.create, alice, {"name": "Won"})
    run(deals.win, alice, won.id, closed_on=today())
    run(tasks.create, alice, {"subject": "Call"})
    run(users.deactivate, root, alice.user_id)
    with read_session() as session:
        left = users.left_behind(session, root, alice.user_id)
        assert [(key, count) for key, _, count in left] == [("account", 1), ("deal", 1), ("task", 1)]
        assert all(lists.find(session, root, key, lists.ListQuery(filter=ast)).total == count for key, ast, count in left)
        with pytest.raises(NotPermitted):
            users.left_behind(session, any_people["bob"], alice.user_id)


def test_deactivating_twice_and_activating_twice_say_so(people):
    root, alice = people["root"], people["alice"].user_id
    with pytest.raises(Conflict, match="active already"):
        run(users.activate, root, alice)
    run(users.deactivate, root, alice)
    with pytest.raises(Conflict, match="deactivated already"):
        run(users.deactivate, root, alice)
    with pytest.raises(Conflict, match="Activate them first"):
        run(users.link_again, root, alice)


def test_nobody_deactivates_themselves(people):
    with pytest.raises(Conflict, match="yourself"):
        run(users.deactivate, people["root"], people["root"].user_id)


@pytest.mark.parametrize("missing", [0, -1, 999, 2**40, None, "1"])
def test_a_person_who_does_not_exist_is_missing(people, missing):
    with pytest.raises(NotFound):
        run(users.deactivate, people["root"], missing)


# --- the last administrator -----------------------------------------------------------------------------------------------


def test_the_last_administrator_can_not_give_the_role_up(any_people):
    root = any_people["root"]
    with pytest.raises(Conflict, match="has to remain"):
        run(users.set_roles, root, root.user_id, role_ids("analyst"))
    with read_session() as session:
        assert load(session, root.user_id).can("user", Action.MANAGE), "nothing was kept of the try"


def test_somebody_who_never_signed_in_is_no_administrator_yet(people):
    root = people["root"]
    run(users.invite, root, name="Eve", email="eve@example.com", role_ids=role_ids("administrator"))
    with pytest.raises(Conflict, match="has to remain"):
        run(users.set_roles, root, root.user_id, role_ids("analyst"))


def test_with_a_second_administrator_the_first_may_go(people):
    root, bob = people["root"], people["bob"]
    run(users.set_roles, root, bob.user_id, role_ids("administrator", "manager"))
    give_password(bob)
    run(users.set_roles, root, root.user_id, role_ids("analyst"))
    with read_session() as session:
        new_bob = load(session, bob.user_id)
        assert new_bob.can("user", Action.MANAGE) and not load(session, root.user_id).can("user", Action.MANAGE)
    with pytest.raises(Conflict, match="has to remain"):
        run(users.set_roles, new_bob, bob.user_id, role_ids("manager"))


# --- no way up ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def warden(people):
    """Somebody who may manage people and read deals, and nothing else."""
    with write_session() as session:
        role = Role(name="Warden")
        session.add(role)
        session.flush()
        for entity, action in (("user", Action.MANAGE), ("user", Action.READ), ("deal", Action.READ)):
            session.add(RolePermission(role_id=role.id, entity=entity, action=action, scope=Scope.ALL))
        for row in session.exec(select(UserRole).where(UserRole.user_id == people["sam"].user_id)):
            session.delete(row)
        session.flush()
        session.add(UserRole(user_id=people["sam"].user_id, role_id=role.id))
        session.flush()
        return load(session, people["sam"].user_id)


def test_nobody_hands_out_more_than_they_have(warden):
    for who in (warden.user_id,):
        with pytest.raises(NotPermitted, match="more than you have"):
            run(users.set_roles, warden, who, role_ids("administrator"))
    with pytest.raises(NotPermitted, match="more than you have"):
        run(users.invite, warden, name="Puppet", email="p@example.com", role_ids=role_ids("administrator"))


def test_nobody_gets_at_the_account_of_somebody_above_them(warden, people):
    root = people["root"].user_id
    for verb, args in (
        (users.link_again, ()),
        (users.deactivate, ()),
        (users.update, ({"email": "mine@example.com"},)),
        (users.set_roles, ([1],)),
        (users.sign_out_everywhere, ()),
    ):
        with pytest.raises(NotPermitted, match="may do more than you"):
            run(verb, warden, root, *args)


# --- change ---------------------------------------------------------------------------------------------------------------


def test_a_new_manager_takes_the_whole_branch_along(any_people):
    root, bob, alice, charlie = (any_people[key] for key in ("root", "bob", "alice", "charlie"))
    run(users.set_manager, root, bob.user_id, charlie.user_id)
    assert ancestors(alice.user_id) == {alice.user_id: 0, bob.user_id: 1, charlie.user_id: 2}
    run(users.set_manager, root, alice.user_id, None)
    assert ancestors(alice.user_id) == {alice.user_id: 0}
    assert ancestors(bob.user_id) == {bob.user_id: 0, charlie.user_id: 1}


def test_a_circle_of_managers_is_refused(people):
    root, bob, alice = people["root"], people["bob"].user_id, people["alice"].user_id
    with pytest.raises(Invalid, match="below the one"):
        run(users.set_manager, root, bob, alice)
    with pytest.raises(Invalid, match="own manager"):
        run(users.set_manager, root, bob, bob)
    assert ancestors(alice) == {alice: 0, bob: 1}


def test_a_team_that_does_not_exist_is_refused_and_none_is_allowed(people):
    root, alice = people["root"], people["alice"].user_id
    with pytest.raises(Invalid, match="team does not exist"):
        run(users.set_team, root, alice, 999)
    run(users.set_team, root, alice, None)
    with read_session() as session:
        assert session.get(User, alice).team_id is None


def test_an_update_of_a_stale_form_is_a_conflict(people):
    root, alice = people["root"], people["alice"].user_id
    run(users.update, root, alice, {"name": "Alice A."}, base_version=1)
    with pytest.raises(Conflict, match=r"Alice A\."):
        run(users.update, root, alice, {"name": "Alice B."}, base_version=1)


def test_saving_without_a_change_leaves_no_event(people):
    run(users.update, people["root"], people["alice"].user_id, {"name": "Alice Rep", "email": "alice@example.com"})
    assert types_about(people["alice"].user_id) == []


def test_what_may_not_be_changed_here_is_refused(people):
    with pytest.raises(Invalid):
        run(users.update, people["root"], people["alice"].user_id, {"password_hash": "x"})
    with pytest.raises(Invalid):
        run(users.update, people["root"], people["alice"].user_id, {"timezone": "Mars/Olympus"})


def test_changing_ones_password_needs_the_present_one_and_keeps_only_this_browser(people):
    root = people["root"]
    here, there = run(sessions.start, root.user_id, SigninMethod.LOCAL), run(sessions.start, root.user_id, SigninMethod.LOCAL)
    with read_session() as session:
        actor = load(session, root.user_id, session_id=sessions.lookup(session, here).session_id)
    with pytest.raises(Invalid, match="present password"):
        run(users.change_password, actor, current="wrong", new="another long password")
    run(users.change_password, actor, current="quiet river stone", new="another long password")
    with read_session() as session:
        assert sessions.lookup(session, here) is not None and sessions.lookup(session, there) is None


def test_without_a_password_there_is_none_to_change(people):
    with pytest.raises(Conflict, match="have no password"):
        run(users.change_password, people["alice"], current="", new="another long password")


def test_everybody_changes_their_own_name_and_time_zone_and_nothing_else(any_people):
    alice = any_people["alice"]
    run(users.update_me, alice, name=" Alice R. ", timezone="Asia/Kolkata")
    with read_session() as session:
        mine = users.me(session, alice)
        assert (mine["name"], mine["timezone"], mine["roles"], mine["has_password"]) == (
            "Alice R.",
            "Asia/Kolkata",
            ["Sales rep"],
            False,
        )
        assert load(session, alice.user_id).timezone == "Asia/Kolkata"
        assert "password_hash" not in mine
    assert types_about(alice.user_id) == ["user.updated"]
    run(users.update_me, alice, name="Alice R.", timezone=None)
    with pytest.raises(Invalid, match="listed time zones"):
        run(users.update_me, alice, name="Alice R.", timezone="Mars")
    with pytest.raises(Invalid, match="name"):
        run(users.update_me, alice, name=" ", timezone=None)


def test_one_sees_ones_own_browsers_and_nobody_elses(people):
    alice = people["alice"]
    run(sessions.start, alice.user_id, SigninMethod.LOCAL, browser="Firefox")
    with read_session() as session:
        assert [row["browser"] for row in users.signed_in_on(session, alice, alice.user_id)] == ["Firefox"]
        with pytest.raises(NotPermitted):
            users.signed_in_on(session, alice, people["bob"].user_id)


def test_the_chart_lists_everybody_active_once_below_their_manager(people):
    root, alice, bob = people["root"], people["alice"], people["bob"]
    with read_session() as session:
        found = [(depth, person["name"]) for depth, person in users.chart(session, root)]
    assert len(found) == 7 and found[found.index((0, "Bob Manager")) + 1] == (1, "Alice Rep")
    run(users.deactivate, root, bob.user_id)
    with read_session() as session:
        assert (0, "Alice Rep") in [(depth, person["name"]) for depth, person in users.chart(session, root)]
    assert alice.user_id


def test_the_form_of_a_person_saves_everything_or_nothing(any_people):
    root, alice = any_people["root"], any_people["alice"]
    with pytest.raises(Invalid):
        run(users.save, root, alice.user_id, {"name": "Alice S."}, role_ids=[])
    with read_session() as session:
        assert users.one(session, root, alice.user_id)["name"] == "Alice Rep"
    run(users.save, root, alice.user_id, {"name": "Alice S."}, role_ids=role_ids("manager"), base_version=1)
    with read_session() as session:
        row = users.one(session, root, alice.user_id)
        assert (row["name"], row["roles"]) == ("Alice S.", ["Manager"])


# --- find -----------------------------------------------------------------------------------------------------------------


def test_people_are_found_by_name_team_role_and_state_and_never_with_their_hash(any_people):
    root = any_people["root"]
    with read_session() as session:
        north = session.exec(select(Team).where(Team.name == "North")).one().id
        assert [row["name"] for row in users.find(session, root).rows] == [
            "Alice Rep", "Ana Analyst", "Bob Manager", "Charlie Rep", "Dana Marketer", "Root", "Sam Agent",
        ]  # fmt: skip
        assert [row["name"] for row in users.find(session, root, q="AL").rows] == ["Alice Rep", "Ana Analyst"]
        assert users.find(session, root, q="%").total == 0, "a wildcard is a letter like any other"
        assert {row["name"] for row in users.find(session, root, team_id=north).rows} == {
            "Bob Manager",
            "Alice Rep",
            "Dana Marketer",
        }
        assert users.find(session, root, role_id=role_ids("sales_rep")[0]).total == 2
        assert [row["name"] for row in users.find(session, root, state=PersonState.ACTIVE).rows] == ["Root"]
        assert users.find(session, root, state=PersonState.INVITED).total == 6
        page = users.find(session, root, size=2, page=99)
        assert (page.page, page.pages, len(page.rows)) == (4, 4, 1)
        assert all("password_hash" not in row for row in page.rows)
