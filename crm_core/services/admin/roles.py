"""Roles: which verbs on which records, how far, and which fields are read-only, masked or hidden. Everybody with the role has it from their next click on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, select

from crm_core import events
from crm_core.access import Actor, require
from crm_core.access.permissions import RECORDS
from crm_core.entities import label_of
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.fields import FieldSpec, registry
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean
from crm_core.models import Role, RoleFieldMask, RolePermission, UserRole
from crm_core.records import refuse_stale
from crm_core.services.admin import field_uses, role_rules
from crm_core.services.admin.people import require_an_administrator
from crm_core.vocabulary import Action, FieldLevel, Scope

FieldKey = tuple[str, str]
"""Entity and field."""


@dataclass(frozen=True)
class FieldRight:
    """What a role has of a field. ``strict``: it holds whatever another role of the same person allows."""

    level: FieldLevel
    strict: bool = False


@dataclass(frozen=True)
class RoleRow:
    """A role as the list shows it. ``is_fixed``: always may do everything, so that nobody can lock the workspace up."""

    id: int
    key: str | None
    name: str
    description: str
    people: int
    version: int

    @property
    def is_fixed(self) -> bool:
        return self.key == "administrator"


@dataclass(frozen=True)
class Rights:
    """What a role may do: verbs with their reach, and the fields of which it has less than those give."""

    role: RoleRow
    grants: dict[tuple[str, Action], Scope]
    fields: Mapping[FieldKey, FieldRight]


def find(session: Session, actor: Actor) -> list[RoleRow]:
    """All roles with the number of active and inactive people who have them, the built-in ones first."""
    require(actor, "user", Action.MANAGE)
    count = select(func.count()).where(UserRole.role_id == Role.id).correlate(Role).scalar_subquery()  # type: ignore[arg-type]
    found = session.exec(select(Role, count).order_by(Role.key.is_(None), Role.id))  # type: ignore[union-attr, arg-type]
    return [_row(role, people) for role, people in found]


def rights(session: Session, actor: Actor, role_id: int) -> Rights:
    """What one role may do."""
    require(actor, "user", Action.MANAGE)
    return _rights(session, _get(session, role_id))


def _rights(session: Session, role: Role) -> Rights:
    people = session.exec(select(func.count()).where(UserRole.role_id == role.id)).one()
    return Rights(_row(role, people), _grants(session, role.id), _fields(session, role.id))


def create(session: Session, actor: Actor, *, name: str, description: str = "", like: int | None = None) -> Role:
    """Add a role, either empty or with the rights of another one. Events: role.created."""
    require(actor, "user", Action.MANAGE)
    role = Role(name=_free_name(session, name), description=clean(description)[:300])
    source = _get(session, like) if like is not None else None
    session.add(role)
    session.flush()
    if source is not None:
        role_rules.require_no_more_than(session, actor, [source.id])
        _write(session, role.id, _grants(session, source.id), _fields(session, source.id))
    events.record(session, actor, "role.created", entity="role", record_id=role.id, data={"name": role.name})
    return role


def rename(session: Session, actor: Actor, role_id: int, *, name: str, description: str) -> Role:
    """Change a role's words. Events: role.updated."""
    require(actor, "user", Action.MANAGE)
    role = _get(session, role_id)
    before = (role.name, role.description)
    role.name, role.description = _free_name(session, name, of=role.id), clean(description)[:300]
    session.flush()
    changed: dict[str, tuple[Any, Any]] = {"name": (before[0], role.name), "description": (before[1], role.description)}
    changed = {key: pair for key, pair in changed.items() if pair[0] != pair[1]}
    if changed:
        events.record(session, actor, "role.updated", entity="role", record_id=role.id, changes=changed)
    return role


def set_rights(
    session: Session,
    actor: Actor,
    role_id: int,
    *,
    grants: Mapping[tuple[str, Action], Scope],
    fields: Mapping[FieldKey, FieldRight | FieldLevel],
    base_version: int | None = None,
) -> Role:
    """Replace what a role may do. Refused: the administrator's role, more than one has oneself, and whatever contradicts itself.

    ``fields``: what it has less of than its verbs give. Personal data that is masked or hidden stays so whatever other roles a person has.
    Events: role.permissions_changed with every changed cell.
    """
    require(actor, "user", Action.MANAGE)
    role = _get(session, role_id)
    if role.key == "administrator":
        raise Conflict("The administrator's role always may do everything. Make another role for somebody who should do less.")
    refuse_stale("this role", role, base_version, lambda: _rights(session, role))
    role_rules.check(grants)
    wanted = _checked(session, fields)
    before, were = _grants(session, role.id), _fields(session, role.id)
    added = {cell: scope for cell, scope in grants.items() if before.get(cell) != scope}
    role_rules.require_within_own(actor, added)
    changes = _changes(before, grants, were, wanted)
    if not changes:
        return role
    _write(session, role.id, grants, wanted)
    role.updated_at = utcnow()
    require_an_administrator(session)
    events.record(session, actor, "role.permissions_changed", entity="role", record_id=role.id, changes=changes)
    return role


def remove(session: Session, actor: Actor, role_id: int) -> None:
    """Delete a role of one's own that nobody has. Events: role.removed."""
    require(actor, "user", Action.MANAGE)
    role = _get(session, role_id)
    if role.key is not None:
        raise Conflict("A built-in role can't be removed. Take it from the people who have it instead.")
    people = session.exec(select(func.count()).where(UserRole.role_id == role.id)).one()
    if people:
        raise Conflict(f"{people} {'person has' if people == 1 else 'people have'} this role. Give them another one first.")
    _write(session, role.id, {}, {})
    session.delete(role)
    session.flush()
    events.record(session, actor, "role.removed", entity="role", record_id=role_id, data={"name": role.name})


def restrictable(session: Session, actor: Actor) -> dict[str, list[FieldSpec]]:
    """Fields of which a role can be given less than its verbs give: entity → specs, personal ones first."""
    require(actor, "user", Action.MANAGE)
    found = {key: [spec for spec in registry(session, key).values() if role_rules.levels_of(spec)] for key in RECORDS}
    return {key: sorted(specs, key=lambda spec: not spec.pii) for key, specs in found.items()}


def depends(session: Session, actor: Actor, entity: str, key: str, level: FieldLevel) -> list[str]:
    """What follows from restricting a field, and what works by itself and asks for it, in sentences."""
    require(actor, "user", Action.MANAGE)
    spec = registry(session, entity)[key]
    by_itself = field_uses.uses(session, actor, entity, key) if actor.can("custom_field", Action.READ) else []
    shown = ", ".join(by_itself[:3]) + (f" and {len(by_itself) - 3} more" if len(by_itself) > 3 else "")
    runs = [f"Asked for or set by {shown}: what runs with the rights of somebody with this role stops there."] if by_itself else []
    return [*role_rules.consequences(spec, level), *runs]


def _row(role: Role, people: int) -> RoleRow:
    return RoleRow(role.id, role.key, role.name, role.description, people, role.version)


def _get(session: Session, role_id: int | None) -> Role:
    role = session.get(Role, role_id) if isinstance(role_id, int) and 0 < role_id < 2**31 else None
    if role is None:
        raise NotFound("This role does not exist any more.")
    return role


def _free_name(session: Session, name: str, *, of: int | None = None) -> str:
    wanted = clean(name)[:100]
    if not wanted:
        raise Invalid(fields={"name": "Give the role a name."})
    other = session.exec(select(Role).where(func.lower(Role.name) == wanted.lower())).first()
    if other is not None and other.id != of:
        raise Conflict(f"There is already a role called {other.name}.")
    return wanted


def _grants(session: Session, role_id: int) -> dict[tuple[str, Action], Scope]:
    return {
        (row.entity, row.action): row.scope for row in session.exec(select(RolePermission).where(RolePermission.role_id == role_id))
    }


def _fields(session: Session, role_id: int) -> dict[FieldKey, FieldRight]:
    rows = session.exec(select(RoleFieldMask).where(RoleFieldMask.role_id == role_id))
    return {(row.entity, row.field_key): FieldRight(row.level, row.strict) for row in rows}


def _write(
    session: Session, role_id: int, grants: Mapping[tuple[str, Action], Scope], fields: Mapping[FieldKey, FieldRight]
) -> None:
    for row in [
        *session.exec(select(RolePermission).where(RolePermission.role_id == role_id)),
        *session.exec(select(RoleFieldMask).where(RoleFieldMask.role_id == role_id)),
    ]:
        session.delete(row)
    session.flush()
    session.add_all(RolePermission(role_id=role_id, entity=e, action=a, scope=s) for (e, a), s in grants.items())
    session.add_all(
        RoleFieldMask(role_id=role_id, entity=e, field_key=key, level=right.level, strict=right.strict)
        for (e, key), right in fields.items()
    )
    session.flush()


def _checked(session: Session, fields: Mapping[FieldKey, FieldRight | FieldLevel]) -> dict[FieldKey, FieldRight]:
    """The wanted rights as they are kept. Raises Invalid with a sentence per field that can't be restricted like that."""
    wrong: dict[str, str] = {}
    found: dict[FieldKey, FieldRight] = {}
    for (entity, key), given in fields.items():
        right = given if isinstance(given, FieldRight) else FieldRight(given)
        spec = registry(session, entity).get(key) if entity in RECORDS else None
        if spec is None:
            wrong[f"{entity}.{key}"] = f"{label_of(entity)} has no field “{key}”."
        elif right.level is not FieldLevel.EDIT and right.level not in role_rules.levels_of(spec):
            wrong[f"{entity}.{key}"] = role_rules.why_not(spec, right.level)
        elif right.level is not FieldLevel.EDIT:
            kept = spec.pii and right.level is not FieldLevel.READ
            found[entity, key] = FieldRight(right.level, right.strict or kept)
    if wrong:
        raise Invalid(fields=wrong)
    return found


def _changes(
    before: Mapping[tuple[str, Action], Scope],
    after: Mapping[tuple[str, Action], Scope],
    had: Mapping[FieldKey, FieldRight],
    has: Mapping[FieldKey, FieldRight],
) -> dict[str, tuple[Any, Any]]:
    cells = {
        f"{entity}.{action.value}": (before.get((entity, action)), after.get((entity, action)))
        for entity, action in {*before, *after}
        if before.get((entity, action)) != after.get((entity, action))
    }
    told = {key: (_words(had.get(key)), _words(has.get(key))) for key in {*had, *has}}
    return {**cells, **{f"{entity}.{key}": pair for (entity, key), pair in told.items() if pair[0] != pair[1]}}


def _words(right: FieldRight | None) -> str:
    if right is None:
        return FieldLevel.EDIT.label
    return f"{right.level.label}, whatever other roles allow" if right.strict else right.level.label
