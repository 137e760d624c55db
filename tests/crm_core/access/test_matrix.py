"""Role × entity × action × relation, generated from the installed role table.

What each cell should be is worked out here from the rows of the role and the relation's name alone; what it is, is asked of the services that
pages, exports and the API use. Beside the built-in roles stand four that grant every verb with one and the same reach.
"""

import shutil
from datetime import UTC, date, datetime

import pytest
from sqlmodel import select

from crm_core import lists, records, search
from crm_core.access import Actor, load, require
from crm_core.access.permissions import RECORDS, ROLES
from crm_core.db import read_session, write_session
from crm_core.entities import ENTITIES
from crm_core.errors import CrmError, NotFound, NotPermitted
from crm_core.kit.text import email_key
from crm_core.lists import ListQuery
from crm_core.models import Deal, LeadStatus, Pipeline, Role, RoleFieldMask, RolePermission, Stage, Team, User, UserRole
from crm_core.services.admin import hierarchy, setup
from crm_core.services.admin.role_rules import RECORD_ACTIONS, scopes_of
from crm_core.vocabulary import Action, Scope
from tests.conftest import _environment

RELATIONS = ("own", "same team", "below me", "other team", "nobody's")
REACHED = {
    Scope.OWN: {"own"},
    Scope.TEAM: {"own", "same team"},
    Scope.SUBTREE: {"own", "below me"},
    Scope.ALL: set(RELATIONS),
}
UNIFORM = {f"everything, {scope.value}": scope for scope in Scope}
ROLE_NAMES = (*(role.key for role in ROLES), *UNIFORM)
NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)


class World:
    """One person per role with colleagues around, and one record per entity and relation for each."""

    def __init__(self):
        self.actors: dict[str, Actor] = {}
        self.ids: dict[tuple[str, str, str], int] = {}
        self.grants: dict[str, dict[tuple[str, Action], Scope]] = {}
        self.roles: dict[str, tuple[str, ...]] = {}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "rapport.db")
        url = f"sqlite:///{folder / 'rapport.db'}"
    else:
        from tests.conftest import _postgres

        server = request.getfixturevalue("postgres_server")
        _postgres(server, f"CREATE DATABASE matrix TEMPLATE {request.getfixturevalue('postgres_template')}")
        url = server.format(name="matrix")
    with _environment(url, folder):
        with write_session() as session:
            setup.create_organisation(session, "Matrix Ltd")
            found = _build(session)
        yield found


def _build(session) -> World:
    found = World()
    for name, scope in UNIFORM.items():
        role = Role(key=None, name=name)
        session.add(role)
        session.flush()
        for entity in RECORDS:
            for action in RECORD_ACTIONS:
                granted = scope if scope in scopes_of(entity, action) else Scope.ALL
                session.add(RolePermission(role_id=role.id, entity=entity, action=action, scope=granted))
    session.flush()
    roles = {role.key or role.name: role for role in session.exec(select(Role))}
    for name in ROLE_NAMES:
        role = roles[name]
        rows = session.exec(select(RolePermission).where(RolePermission.role_id == role.id)).all()
        found.grants[name] = {(row.entity, row.action): row.scope for row in rows}
        people = _people(session, name, role)
        hierarchy.rebuild(session)
        found.actors[name] = load(session, people["own"])
        for entity in RECORDS:
            for relation in RELATIONS:
                found.ids[name, entity, relation] = _record(session, entity, people[relation], f"{name} {relation}")
    return found


def _people(session, name, role) -> dict[str, int | None]:
    """The person, a colleague in the same team, somebody below in yet another team, and a stranger: each relation is only that."""
    teams = {key: Team(name=f"{name} {key}") for key in ("mine", "theirs", "third")}
    session.add_all(teams.values())
    session.flush()

    def person(label, team, manager=None):
        email = f"{label} {name}@example.com".replace(" ", "-").replace(",", "")
        user = User(name=label, email=email, email_key=email_key(email), team_id=teams[team].id, manager_id=manager)
        session.add(user)
        session.flush()
        return user.id

    me = person("me", "mine")
    session.add(UserRole(user_id=me, role_id=role.id))
    between = person("between", "third", me)
    return {
        "own": me,
        "same team": person("mate", "mine"),
        "below me": person("below", "third", between),
        "other team": person("other", "theirs"),
        "nobody's": None,
    }


def _record(session, entity, owner, label) -> int:
    stage = session.exec(select(Stage).order_by(Stage.position)).first()
    needed = {
        "lead": {"status_id": session.exec(select(LeadStatus.id)).first()},
        "deal": {
            "pipeline_id": session.exec(select(Pipeline.id)).first(),
            "stage_id": stage.id,
            "created_on": date(2026, 5, 4),
            "stage_since": NOW,
        },
        "order": {"ordered_at": NOW},
        "ticket": {"subject": label, "opened_at": NOW},
        "activity": {"at": NOW},
    }
    found = ENTITIES[entity]
    count = len(session.exec(select(found.model.id)).all())
    needed["article"] = {"slug": f"article-{count}"}
    title = {"order": f"O-{count}", "ticket": f"T-{count}"}.get(entity, label)
    key = "number" if entity in ("order", "ticket") else found.title
    owned = {"owner_id": owner} if "owner_id" in found.table.c else {}
    row = found.model(**{key: title, **owned, **needed.get(entity, {})})
    session.add(row)
    session.flush()
    search.index(session, entity, row)
    return row.id


def reached(world: World, role: str, entity: str, action: Action) -> set[str]:
    """The relations whose records the role reaches with the action."""
    scope = world.grants[role].get((entity, action))
    if scope is None:
        return set()
    return REACHED[scope] if "owner_id" in ENTITIES[entity].table.c else set(RELATIONS)


def ids_of(world: World, role: str, entity: str, relations: set[str]) -> set[int]:
    """The ids that the role reaches: its own five records by relation, and those made for the other roles where the reach is "all"."""
    if relations == set(RELATIONS):
        return {record_id for (_, key, _), record_id in world.ids.items() if key == entity}
    return {world.ids[role, entity, relation] for relation in relations}


CELLS = [(role, entity) for role in ROLE_NAMES for entity in RECORDS]
cells = pytest.mark.parametrize(("role", "entity"), CELLS, ids=[f"{role}-{entity}" for role, entity in CELLS])


@cells
def test_lists_counts_search_choices_and_titles_show_exactly_what_may_be_read(world, role, entity):
    actor, expected = world.actors[role], ids_of(world, role, entity, reached(world, role, entity, Action.READ))
    with read_session() as session:
        if (entity, Action.READ) not in world.grants[role]:
            for ask in (lists.find, lists.count, lists.totals):
                with pytest.raises(NotPermitted):
                    ask(session, actor, entity, ListQuery())
        else:
            page = lists.find(session, actor, entity, ListQuery(size=500))
            assert {row["id"] for row in page.rows} == expected
            assert page.total == lists.count(session, actor, entity, ListQuery()) == len(expected)
            name = "O" if entity == "order" else "T" if entity == "ticket" else "own"
            hits = {row["id"] for row in lists.find(session, actor, entity, ListQuery(q=name, size=500)).rows}
            assert hits <= expected
        assert set(lists.choices(session, actor, entity, limit=500)) == expected
        everything = {record_id for (_, key, _), record_id in world.ids.items() if key == entity}
        assert set(lists.titles(session, actor, entity, everything)) == expected


@cells
def test_a_record_opens_exactly_when_the_list_shows_it(world, role, entity):
    allowed = reached(world, role, entity, Action.READ)
    with read_session() as session:
        for relation in RELATIONS:
            outcome = _try(lambda: records.get(session, world.actors[role], entity, world.ids[role, entity, relation]))  # noqa: B023
            granted = (entity, Action.READ) in world.grants[role]
            assert outcome is (None if relation in allowed else NotFound if granted else NotPermitted), relation


@cells
@pytest.mark.parametrize("action", [Action.EDIT, Action.DELETE], ids=lambda action: action.value)
def test_a_change_reaches_exactly_as_far_as_granted_and_what_is_hidden_looks_missing(world, role, entity, action):
    seen, allowed = reached(world, role, entity, Action.READ), reached(world, role, entity, action)
    granted = (entity, action) in world.grants[role]
    for relation in RELATIONS:
        outcome = _try(lambda: _change(world, role, entity, action, relation))  # noqa: B023
        expected = NotPermitted if not granted else None if relation in allowed else NotPermitted if relation in seen else NotFound
        assert outcome is expected, f"{relation}: {outcome}"


class _RolledBack(Exception):
    """Ends a unit of work that went through, so that the next cell finds the world as it was."""


def _change(world, role, entity, action, relation):
    actor, record_id = world.actors[role], world.ids[role, entity, relation]
    title = ENTITIES[entity].title
    try:
        with write_session() as session:
            if action is Action.DELETE:
                records.archive(session, actor, entity, record_id)
            elif actor.masked(entity, title):
                records.get(session, actor, entity, record_id, action=action)
            else:
                records.update(session, actor, entity, record_id, {title: "changed"})
            raise _RolledBack
    except _RolledBack:
        pass


@cells
def test_an_export_holds_exactly_what_may_be_read_and_exported(world, role, entity):
    actor = world.actors[role]
    relations = reached(world, role, entity, Action.READ) & reached(world, role, entity, Action.EXPORT)
    with read_session() as session:
        if not {(entity, Action.READ), (entity, Action.EXPORT)} <= set(world.grants[role]):
            with pytest.raises(NotPermitted):
                list(lists.iterate(session, actor, entity, ListQuery()))
            return
        batches = lists.iterate(session, actor, entity, ListQuery(), batch=7)
        assert {row["id"] for batch in batches for row in batch} == ids_of(world, role, entity, relations)


@cells
def test_creating_and_importing_need_their_grant_and_nothing_else(world, role, entity):
    actor = world.actors[role]
    for action in (Action.CREATE, Action.IMPORT):
        outcome = _try(lambda: require(actor, entity, action))  # noqa: B023
        assert outcome is (None if (entity, action) in world.grants[role] else NotPermitted)
    if (entity, Action.CREATE) not in world.grants[role]:
        with pytest.raises(NotPermitted), write_session() as session:
            records.create(session, actor, entity, {ENTITIES[entity].title: "new"})


@cells
def test_a_masked_field_shows_its_content_nowhere(world, role, entity):
    actor = world.actors[role]
    masks = [key for name, key in actor.masks if name == entity]
    if not masks or (entity, Action.READ) not in world.grants[role]:
        with read_session() as session:
            wanted = session.exec(select(RoleFieldMask).join(Role, Role.id == RoleFieldMask.role_id).where(Role.key == role)).all()
        assert not [row for row in wanted if row.entity == entity], "a mask of the table that the actor does not carry"
        return
    with read_session() as session:
        rows = [
            *lists.find(session, actor, entity, ListQuery(columns=tuple(masks), size=500)).rows,
            *[row for batch in lists.iterate(session, actor, entity, ListQuery(columns=tuple(masks))) for row in batch],
        ]
        assert rows and all(row[key] in (None, lists.MASK) for row in rows for key in masks)
        assert not [title for title in lists.choices(session, actor, entity).values() if "own" in title]


def test_the_relations_of_the_world_are_what_they_are_called(world):
    """A matrix proves nothing when its rows are not what they say."""
    with read_session() as session:
        for role in ROLE_NAMES:
            me = session.get(User, world.actors[role].user_id)
            deals = {relation: session.get(Deal, world.ids[role, "deal", relation]) for relation in RELATIONS}
            owners = {relation: session.get(User, deal.owner_id or 0) for relation, deal in deals.items()}
            assert owners["own"].id == me.id and owners["nobody's"] is None
            assert owners["same team"].team_id == me.team_id and owners["same team"].manager_id is None
            assert owners["below me"].team_id != me.team_id and owners["below me"].manager_id != me.id, "two steps below"
            assert owners["other team"].team_id not in (me.team_id, owners["below me"].team_id)


def _try(verb) -> type[Exception] | None:
    try:
        verb()
    except CrmError as error:
        return type(error)
    return None
