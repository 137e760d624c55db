"""Roles: what makes sense, what is recorded, and that it holds from the next click on."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from crm_core.access import load
from crm_core.access.permissions import AREAS, RECORDS, ROLES
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.models import Event, Role, User
from crm_core.services.admin import passwords, role_rules, roles, users
from crm_core.vocabulary import Action, FieldLevel, Scope
from tests.quick_hashes import quick_hashes as quick_hashes


def run(verb, *args, **kwargs):
    with write_session() as session:
        return verb(session, *args, **kwargs)


def role_id(key):
    with read_session() as session:
        return session.exec(select(Role.id).where(Role.key == key)).one()


def rights_of(actor, key):
    with read_session() as session:
        return roles.rights(session, actor, role_id(key))


@pytest.fixture
def root(any_cast):
    with write_session() as session:
        session.get(User, any_cast["root"].user_id).password_hash = passwords.hash_password("quiet river stone")
    return any_cast["root"]


@pytest.fixture
def admin(cast):
    return cast["root"]


@pytest.mark.parametrize("default", ROLES, ids=lambda role: role.key)
def test_every_built_in_role_makes_sense_to_the_editor(default):
    grants = {(entity, action): scope for entity, action, scope in default.grants}
    role_rules.check(grants)


@pytest.mark.parametrize(
    ("cell", "scope", "words"),
    [
        (("deal", Action.EDIT), Scope.OWN, "must be allowed to see them"),
        (("spaceship", Action.READ), Scope.ALL, "nothing called"),
        (("deal", Action.MANAGE), Scope.ALL, "can't be allowed"),
        (("organisation", Action.EXPORT), Scope.ALL, "can't be allowed"),
        (("product", Action.READ), Scope.OWN, "nobody owns them"),
        (("deal", Action.CREATE), Scope.OWN, "nobody owns them"),
    ],
)
def test_rights_that_make_no_sense_are_refused_with_the_reason(cell, scope, words):
    with pytest.raises(Invalid, match=words):
        role_rules.check({cell: scope})


def test_nobody_may_change_what_they_can_not_see():
    with pytest.raises(Invalid, match="reach further"):
        role_rules.check({("deal", Action.READ): Scope.OWN, ("deal", Action.EDIT): Scope.ALL})


def test_new_rights_hold_from_the_next_click_and_are_recorded_cell_by_cell(root, any_cast):
    before = rights_of(root, "sales_rep")
    grants = {**before.grants, ("deal", Action.READ): Scope.TEAM}
    del grants[("lead", Action.DELETE)]
    run(
        roles.set_rights,
        root,
        before.role.id,
        grants=grants,
        fields={("contact", "birthday"): FieldLevel.HIDDEN},
        base_version=before.role.version,
    )
    with read_session() as session:
        alice = load(session, any_cast["alice"].user_id)
        assert alice.scopes("deal", Action.READ) == {Scope.TEAM} and not alice.can("lead", Action.DELETE)
        assert alice.masked("contact", "birthday")
        event = session.exec(select(Event).where(Event.type == "role.permissions_changed")).one()
    assert event.changes == {
        "deal.read": ["own", "team"],
        "lead.delete": ["own", None],
        "contact.birthday": ["Edit", "Hidden, whatever other roles allow"],
    }
    with pytest.raises(Conflict, match="meanwhile"):
        run(roles.set_rights, root, before.role.id, grants=grants, fields={}, base_version=before.role.version)


def test_saving_the_same_rights_again_changes_nothing(admin):
    before = rights_of(admin, "analyst")
    run(roles.set_rights, admin, before.role.id, grants=before.grants, fields=before.fields)
    with read_session() as session:
        assert session.exec(select(Event)).all() == []
        assert session.get(Role, before.role.id).version == before.role.version


def test_the_administrators_role_stays_whole(admin):
    before = rights_of(admin, "administrator")
    with pytest.raises(Conflict, match="always may do everything"):
        run(roles.set_rights, admin, before.role.id, grants={}, fields={})
    with pytest.raises(Conflict, match="built-in"):
        run(roles.remove, admin, before.role.id)


def test_a_mask_needs_a_field_that_exists(admin):
    before = rights_of(admin, "analyst")
    for mask in (("contact", "shoe_size"), ("user", "email"), ("nothing", "name")):
        with pytest.raises(Invalid):
            run(roles.set_rights, admin, before.role.id, grants=before.grants, fields={mask: FieldLevel.HIDDEN})


def test_a_role_like_another_starts_with_its_rights_and_masks(root):
    made = run(roles.create, root, name="Auditor", like=role_id("analyst"))
    with read_session() as session:
        copied = roles.rights(session, root, made.id)
    assert copied.grants == rights_of(root, "analyst").grants and copied.fields == rights_of(root, "analyst").fields
    with pytest.raises(Conflict, match="already a role called Auditor"):
        run(roles.create, root, name=" auditor ")


def test_a_role_in_use_can_not_be_removed_and_a_free_one_can(root, any_cast):
    made = run(roles.create, root, name="Auditor", like=role_id("analyst"))
    run(users.set_roles, root, any_cast["ana"].user_id, [made.id])
    with pytest.raises(Conflict, match="1 person has this role"):
        run(roles.remove, root, made.id)
    run(users.set_roles, root, any_cast["ana"].user_id, [role_id("analyst")])
    run(roles.remove, root, made.id)
    with pytest.raises(NotFound):
        run(roles.remove, root, made.id)


def test_renaming_keeps_the_rights(admin):
    before = rights_of(admin, "analyst")
    run(roles.rename, admin, before.role.id, name="Reader", description="Reads")
    after = rights_of(admin, "analyst")
    assert after.role.name == "Reader" and after.grants == before.grants


@pytest.mark.parametrize("who", ["bob", "alice", "dana", "sam", "ana"])
def test_nobody_but_an_administrator_may(cast, who):
    actor, target = cast[who], role_id("analyst")
    for verb, args, kwargs in (
        (roles.find, (), {}),
        (roles.rights, (target,), {}),
        (roles.create, (), {"name": "X"}),
        (roles.rename, (target,), {"name": "X", "description": ""}),
        (roles.set_rights, (target,), {"grants": {}, "fields": {}}),
        (roles.remove, (target,), {}),
    ):
        with pytest.raises(NotPermitted):
            run(verb, actor, *args, **kwargs)


def test_people_are_counted_per_role(admin):
    with read_session() as session:
        assert {row.key: row.people for row in roles.find(session, admin)}["sales_rep"] == 2


CELLS = st.tuples(st.sampled_from([*RECORDS, *AREAS]), st.sampled_from(list(Action)))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(CELLS, st.sampled_from(list(Scope)), max_size=8))
def test_whatever_is_clicked_accepted_rights_never_reach_further_than_sight(grants):
    try:
        role_rules.check(grants)
    except Invalid:
        return
    for (entity, action), scope in grants.items():
        if entity in AREAS:
            continue
        seen = grants.get((entity, Action.READ))
        assert seen is not None
        if action not in (Action.CREATE, Action.IMPORT):
            assert role_rules.within(scope, seen)
