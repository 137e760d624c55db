"""People of the workspace: invite them, say where they belong and what they may do, let them go. They are deactivated, never deleted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlmodel import Session
from sqlmodel import select as rows

from crm_core import events, lists
from crm_core.access import Actor, load, require
from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.kit.clock import utcnow
from crm_core.kit.paging import Page
from crm_core.kit.text import one_line
from crm_core.models import AuthSession, Role, Team, User, UserRole
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.services.admin import hierarchy, link_mail, links, passwords, sessions
from crm_core.services.admin.founding import timezones
from crm_core.services.admin.people import check_email, get, require_an_administrator
from crm_core.services.admin.role_rules import require_no_more_than
from crm_core.vocabulary import DONE, Action, LeadKind, LinkPurpose, PersonState, StageKind, TaskStatus

_USERS = User.__table__  # type: ignore[attr-defined]
_SESSIONS = AuthSession.__table__  # type: ignore[attr-defined]
_ROLES = Role.__table__  # type: ignore[attr-defined]
_USER_ROLES = UserRole.__table__  # type: ignore[attr-defined]
_CHANGEABLE = ("name", "email", "team_id", "manager_id", "timezone")


@dataclass(frozen=True)
class Invitation:
    """A new person, and the path of the link with which they choose a password. The link is shown once; only its hash is kept.
    ``mailed``: it is also on its way by e-mail."""

    user_id: int
    name: str
    email: str
    path: str
    mailed: bool = False


# --- find -----------------------------------------------------------------------------------------------------------------


def find(
    session: Session,
    actor: Actor,
    *,
    q: str = "",
    team_id: int | None = None,
    role_id: int | None = None,
    state: PersonState | None = None,
    page: int = 1,
    size: int = 50,
) -> Page:
    """People with team, manager, roles, state and the number of browsers they are signed in on, by name."""
    require(actor, "user", Action.MANAGE)
    clause = and_(*_conditions(q, team_id, role_id, state))
    total = session.execute(select(func.count()).select_from(_USERS).where(clause)).scalar_one()
    size = min(max(1, size), 500)
    page = min(max(1, page), max(1, -(-total // size)))
    return Page(_people(session, clause, limit=size, offset=(page - 1) * size), total, page, size)


def one(session: Session, actor: Actor, user_id: int) -> dict[str, Any]:
    """One person as ``find`` shows them, or NotFound."""
    require(actor, "user", Action.MANAGE)
    return _people(session, _USERS.c.id == get(session, user_id).id, limit=1)[0]


def chart(session: Session, actor: Actor) -> list[tuple[int, dict[str, Any]]]:
    """Everybody active, in the order of the hierarchy: (steps below the top, person), each one right below their manager."""
    require(actor, "user", Action.MANAGE)
    people = _people(session, _USERS.c.is_active)
    known = {person["id"] for person in people}
    below: dict[int | None, list[dict[str, Any]]] = {}
    for person in people:
        below.setdefault(person["manager_id"] if person["manager_id"] in known else None, []).append(person)
    found: list[tuple[int, dict[str, Any]]] = []
    open_ends = [(0, person) for person in reversed(below.get(None, []))]
    while open_ends:
        depth, person = open_ends.pop()
        found.append((depth, person))
        open_ends += [(depth + 1, report) for report in reversed(below.get(person["id"], []))]
    return found


def _people(session: Session, clause: ColumnElement[bool], *, limit: int | None = None, offset: int = 0) -> list[dict[str, Any]]:
    manager, team = _USERS.alias("manager"), Team.__table__  # type: ignore[attr-defined]
    signed_in = (
        select(func.count())
        .where(_SESSIONS.c.user_id == _USERS.c.id, _SESSIONS.c.expires_at > utcnow())
        .correlate(_USERS)
        .scalar_subquery()
    )
    found = session.execute(
        select(_USERS, manager.c.name.label("manager"), team.c.name.label("team"), signed_in.label("sessions"))
        .outerjoin(manager, manager.c.id == _USERS.c.manager_id)
        .outerjoin(team, team.c.id == _USERS.c.team_id)
        .where(clause)
        .order_by(alphabetical(_USERS.c.name), _USERS.c.id)
        .limit(limit)
        .offset(offset)
    )
    people = [_row(dict(row._mapping)) for row in found]
    _add_roles(session, people)
    return people


def _conditions(q: str, team_id: int | None, role_id: int | None, state: PersonState | None) -> list[ColumnElement[bool]]:
    parts: list[ColumnElement[bool]] = [_USERS.c.id.is_not(None)]
    if q.strip():
        parts.append(
            or_(_USERS.c.name.icontains(q.strip(), autoescape=True), _USERS.c.email_key.icontains(q.strip(), autoescape=True))
        )
    if team_id is not None:
        parts.append(_USERS.c.team_id == team_id)
    if role_id is not None:
        parts.append(_USERS.c.id.in_(select(_USER_ROLES.c.user_id).where(_USER_ROLES.c.role_id == role_id)))
    never = and_(_USERS.c.password_hash.is_(None), _USERS.c.last_seen_at.is_(None))
    if state is PersonState.DEACTIVATED:
        parts.append(~_USERS.c.is_active)
    elif state is PersonState.INVITED:
        parts += [_USERS.c.is_active, never]
    elif state is PersonState.ACTIVE:
        parts += [_USERS.c.is_active, ~never]
    return parts


def _row(row: dict[str, Any]) -> dict[str, Any]:
    secret = row.pop("password_hash")
    never = secret is None and row["last_seen_at"] is None
    row["state"] = PersonState.DEACTIVATED if not row["is_active"] else PersonState.INVITED if never else PersonState.ACTIVE
    return row


def _add_roles(session: Session, people: list[dict[str, Any]]) -> None:
    by_id: dict[int, dict[str, Any]] = {person["id"]: person for person in people}
    for person in people:
        person["role_ids"], person["roles"] = [], []
    statement = (
        select(_USER_ROLES.c.user_id, _ROLES.c.id, _ROLES.c.name)
        .join(_ROLES, _ROLES.c.id == _USER_ROLES.c.role_id)
        .where(_USER_ROLES.c.user_id.in_(by_id))
        .order_by(alphabetical(_ROLES.c.name))
    )
    for user_id, role_id, name in session.execute(statement):
        by_id[user_id]["role_ids"].append(role_id)
        by_id[user_id]["roles"].append(name)


def signed_in_on(session: Session, actor: Actor, user_id: int) -> list[dict[str, Any]]:
    """The browsers on which a person is signed in, the latest first. One's own need no permission."""
    if user_id != actor.user_id:
        require(actor, "user", Action.MANAGE)
    columns = [_SESSIONS.c[key] for key in ("id", "method", "created_at", "last_seen_at", "expires_at", "address", "browser")]
    found = session.execute(
        select(*columns)
        .where(_SESSIONS.c.user_id == user_id, _SESSIONS.c.expires_at > utcnow())
        .order_by(_SESSIONS.c.last_seen_at.desc())
    )
    return [dict(row._mapping) | {"is_this": row.id == actor.session_id} for row in found]


# --- come and go ----------------------------------------------------------------------------------------------------------


def invite(
    session: Session,
    actor: Actor,
    *,
    name: str,
    email: str,
    role_ids: Sequence[int],
    team_id: int | None = None,
    manager_id: int | None = None,
    base_url: str = "",
) -> Invitation:
    """Add a person with their roles and make the link by which they join, which is mailed when a mail server is set and ``base_url`` says
    where this site is. Events: user.invited."""
    require(actor, "user", Action.MANAGE)
    key = _free_email(session, email)
    if not one_line(name):
        raise Invalid(fields={"name": "The name is needed."})
    user = User(name=one_line(name)[:200], email=email.strip(), email_key=key)
    _place(session, user, {"team_id": team_id, "manager_id": manager_id})
    session.add(user)
    session.flush()
    _give_roles(session, actor, user.id, role_ids)
    hierarchy.rebuild(session)
    events.record(session, actor, "user.invited", user, data={"email": user.email})
    return _hand_out(session, actor, user, LinkPurpose.INVITE, base_url)


def _hand_out(session: Session, actor: Actor, user: User, purpose: LinkPurpose, base_url: str) -> Invitation:
    path = links.path_of(links.issue(session, actor, user, purpose), purpose)
    mailed = link_mail.queue(session, actor, user, purpose, path, base_url)
    return Invitation(user.id, user.name, user.email, path, mailed)


def _free_email(session: Session, email: str, *, of: int | None = None) -> str:
    key = check_email(email)
    other = session.exec(rows(User).where(User.email_key == key)).first()
    if other is not None and other.id != of:
        again = "" if other.is_active else " They were deactivated; activate them again instead."
        raise Conflict(f"There is already a person with this e-mail address: {other.name}.{again}")
    return key


def link_again(session: Session, actor: Actor, user_id: int, *, base_url: str = "") -> Invitation:
    """A new link for somebody who lost theirs: an invitation before the first sign-in, a password reset after it; mailed like the first
    one. Events: user.reset_link_made."""
    require(actor, "user", Action.MANAGE)
    user = get(session, user_id)
    if not user.is_active:
        raise Conflict(f"{user.name} was deactivated. Activate them first.")
    _require_not_above(session, actor, user)
    purpose = LinkPurpose.RESET if user.password_hash else LinkPurpose.INVITE
    made = _hand_out(session, actor, user, purpose, base_url)
    events.record(session, actor, "user.reset_link_made", user)
    return made


def deactivate(session: Session, actor: Actor, user_id: int) -> User:
    """Lock a person out at once: every session and link of theirs ends, records stay theirs. Events: user.deactivated."""
    require(actor, "user", Action.MANAGE)
    user = get(session, user_id)
    if user.id == actor.user_id:
        raise Conflict("You can't deactivate yourself. Ask another administrator.")
    if not user.is_active:
        raise Conflict(f"{user.name} was deactivated already.")
    _require_not_above(session, actor, user)
    manages = load(session, user.id).can("user", Action.MANAGE)
    user.is_active = False
    if manages:
        require_an_administrator(session)
    sessions.revoke_all(session, user.id)
    links.void(session, user.id)
    events.record(session, actor, "user.deactivated", user)
    return user


def left_behind(session: Session, actor: Actor, user_id: int) -> list[tuple[str, dict[str, Any], int]]:
    """What somebody still has in hand, as far as the actor sees it: kind of record, filter of its list, how many; nothing of which there is none."""
    require(actor, "user", Action.MANAGE)
    found = []
    for entity_key, unfinished in _IN_HAND.items():
        if actor.can(entity_key, Action.READ):
            mine = {"field": "owner_id", "cmp": "eq", "value": user_id}
            ast = {"op": "and", "items": [mine, *([unfinished] if unfinished else [])]}
            found.append((entity_key, ast, lists.count(session, actor, entity_key, lists.ListQuery(filter=ast))))
    return [one for one in found if one[2]]


_IN_HAND: dict[str, dict[str, Any]] = {
    "account": {},
    "deal": {"field": "outcome", "cmp": "eq", "value": StageKind.OPEN.value},
    "lead": {"field": "status.kind", "cmp": "eq", "value": LeadKind.OPEN.value},
    "ticket": {"field": "status", "cmp": "not_in", "value": [kind.value for kind in DONE]},
    "task": {"field": "status", "cmp": "eq", "value": TaskStatus.OPEN.value},
}
"""Kinds of record that wait for their owner, with the filter of those that do."""


def activate(session: Session, actor: Actor, user_id: int) -> User:
    """Let a person in again, with the roles and the password they had. Events: user.activated."""
    require(actor, "user", Action.MANAGE)
    user = get(session, user_id)
    if user.is_active:
        raise Conflict(f"{user.name} is active already.")
    _require_not_above(session, actor, user)
    user.is_active = True
    session.flush()
    events.record(session, actor, "user.activated", user)
    return user


def sign_out_everywhere(session: Session, actor: Actor, user_id: int) -> int:
    """End all sessions of a person (of one's own: all but this one); returns how many. Events: user.sessions_ended."""
    user = get(session, user_id)
    if user.id != actor.user_id:
        require(actor, "user", Action.MANAGE)
        _require_not_above(session, actor, user)
    ended = sessions.revoke_all(session, user.id, keep=actor.session_id if user.id == actor.user_id else None)
    events.record(session, actor, "user.sessions_ended", user, data={"count": ended})
    return ended


def change_password(session: Session, actor: Actor, *, current: str, new: str) -> None:
    """Change one's own password; every other browser is signed out. Events: user.password_changed."""
    user = get(session, actor.user_id)
    if user.password_hash is None:
        raise Conflict("You have no password, as you came another way. Ask an administrator for a link to choose one.")
    if not passwords.fits(user.password_hash, current):
        raise Invalid(fields={"current": "This is not your present password."})
    passwords.require_strong(new, email=user.email, name=user.name, field="new")
    user.password_hash = passwords.hash_password(new)
    session.flush()
    sessions.revoke_all(session, user.id, keep=actor.session_id)
    links.void(session, user.id)
    events.record(session, actor, "user.password_changed", user)


# --- change ---------------------------------------------------------------------------------------------------------------


def update(session: Session, actor: Actor, user_id: int, changes: Mapping[str, Any], *, base_version: int | None = None) -> User:
    """Change name, e-mail, team, manager or time zone. A new manager must not work below the person. Events: user.updated."""
    require(actor, "user", Action.MANAGE)
    user = get(session, user_id)
    refuse_stale(user.name, user, base_version, lambda: _people(session, _USERS.c.id == user.id, limit=1)[0])
    _require_not_above(session, actor, user)
    unknown = set(changes) - set(_CHANGEABLE)
    if unknown:
        raise Invalid(fields=dict.fromkeys(sorted(unknown), "This can't be changed here."))
    before = {key: getattr(user, key) for key in _CHANGEABLE}
    _set_names(session, user, changes)
    _place(session, user, changes)
    changed = {key: (before[key], getattr(user, key)) for key in _CHANGEABLE if before[key] != getattr(user, key)}
    if not changed:
        return user
    session.flush()
    if "manager_id" in changed:
        hierarchy.rebuild(session)
    events.record(session, actor, "user.updated", user, changes=changed)
    return user


def save(
    session: Session,
    actor: Actor,
    user_id: int,
    changes: Mapping[str, Any],
    *,
    role_ids: Sequence[int],
    base_version: int | None = None,
) -> User:
    """Everything that the form of a person shows, in one go: place and words, and roles. Events: user.updated, user.roles_changed.

    Raises Conflict with the person as ``one`` gives them in ``details["rows"]`` when they are not those of ``base_version`` any more.
    """
    update(session, actor, user_id, changes, base_version=base_version)
    return set_roles(session, actor, user_id, role_ids)


def me(session: Session, actor: Actor) -> dict[str, Any]:
    """One's own row with team, manager and roles; ``has_password`` is false for people who come by single sign-on only."""
    user = get(session, actor.user_id)
    return _people(session, _USERS.c.id == user.id, limit=1)[0] | {"has_password": user.password_hash is not None}


def update_me(session: Session, actor: Actor, *, name: str, timezone: str | None) -> User:
    """Change one's own name and time zone; everything else is an administrator's. Events: user.updated."""
    user = get(session, actor.user_id)
    before = {"name": user.name, "timezone": user.timezone}
    _set_names(session, user, {"name": name, "timezone": timezone})
    changed = {key: (old, getattr(user, key)) for key, old in before.items() if old != getattr(user, key)}
    if changed:
        session.flush()
        events.record(session, actor, "user.updated", user, changes=changed)
    return user


def set_manager(session: Session, actor: Actor, user_id: int, manager_id: int | None) -> User:
    """Say to whom a person reports, with everybody below them following. Events: user.updated."""
    return update(session, actor, user_id, {"manager_id": manager_id})


def set_team(session: Session, actor: Actor, user_id: int, team_id: int | None) -> User:
    """Put a person into a team, or into none. Events: user.updated."""
    return update(session, actor, user_id, {"team_id": team_id})


def set_roles(session: Session, actor: Actor, user_id: int, role_ids: Sequence[int]) -> User:
    """Replace a person's roles. Nobody can hand out more than they may do themselves. Events: user.roles_changed."""
    require(actor, "user", Action.MANAGE)
    user = get(session, user_id)
    _require_not_above(session, actor, user)
    before = _roles_of(session, user.id)
    if {role_id for role_id, _ in before} == set(role_ids):
        return user
    user.updated_at = utcnow()  # whoever drew a form before must not put the former roles back
    _give_roles(session, actor, user.id, role_ids)
    require_an_administrator(session)
    after = _roles_of(session, user.id)
    names = ([name for _, name in before], [name for _, name in after])
    events.record(session, actor, "user.roles_changed", user, changes={"roles": names})
    return user


def _set_names(session: Session, user: User, changes: Mapping[str, Any]) -> None:
    if "name" in changes:
        user.name = one_line(str(changes["name"] or ""))[:200]
        if not user.name:
            raise Invalid(fields={"name": "The name is needed."})
    if "email" in changes:
        user.email_key = _free_email(session, str(changes["email"] or ""), of=user.id)
        user.email = str(changes["email"]).strip()
    if "timezone" in changes:
        zone = changes["timezone"] or None
        if zone not in (None, user.timezone, *timezones()):
            raise Invalid(fields={"timezone": "Choose one of the listed time zones."})
        user.timezone = zone


def _place(session: Session, user: User, changes: Mapping[str, Any]) -> None:
    team_id, manager_id = changes.get("team_id"), changes.get("manager_id")
    if team_id is not None and session.get(Team, team_id) is None:
        raise Invalid(fields={"team_id": "This team does not exist any more."})
    if manager_id is not None and manager_id != user.manager_id:
        manager = session.get(User, manager_id)
        if manager is None or not manager.is_active:
            raise Invalid(fields={"manager_id": "This manager does not exist, or was deactivated."})
        if user.id is not None:
            hierarchy.refuse_circle(session, user.id, manager_id)
    if "team_id" in changes:
        user.team_id = team_id
    if "manager_id" in changes:
        user.manager_id = manager_id


def _roles_of(session: Session, user_id: int) -> list[tuple[int, str]]:
    joined = _ROLES.c.id == _USER_ROLES.c.role_id
    statement = select(_ROLES.c.id, _ROLES.c.name).join(_USER_ROLES, joined).where(_USER_ROLES.c.user_id == user_id)
    return [(role_id, name) for role_id, name in session.execute(statement.order_by(alphabetical(_ROLES.c.name)))]


def _give_roles(session: Session, actor: Actor, user_id: int, role_ids: Iterable[int]) -> None:
    wanted = set(role_ids)
    known = set(session.exec(rows(Role.id).where(Role.id.in_(wanted))))  # type: ignore[attr-defined]
    if not wanted or wanted - known:
        raise Invalid(
            fields={"role_ids": "Choose at least one role." if not wanted else "One of these roles does not exist any more."}
        )
    have = {role_id for role_id, _ in _roles_of(session, user_id)}
    require_no_more_than(session, actor, wanted - have)
    for row in session.exec(rows(UserRole).where(UserRole.user_id == user_id)):
        if row.role_id not in wanted:
            session.delete(row)
    session.add_all(UserRole(user_id=user_id, role_id=role_id) for role_id in wanted - have)
    session.flush()


def _require_not_above(session: Session, actor: Actor, user: User) -> None:
    """Whoever may do more than the actor is out of their reach: a reset link for them would be a way up."""
    if user.id == actor.user_id:
        return
    try:
        require_no_more_than(session, actor, [role_id for role_id, _ in _roles_of(session, user.id)])
    except NotPermitted as error:
        raise NotPermitted(
            f"{user.name} may do more than you, so only somebody with as many rights can change their account."
        ) from error
