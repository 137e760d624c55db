"""Editable lists: the values that a "one of an editable list" field offers, built-in (industry, lost reason, …) or custom.

A value taken out of use is no longer offered, while records that hold it keep it. A renamed value is renamed in the records too: the text
itself is what they store.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Text, func, literal, update
from sqlalchemy import select as core_select
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Session, select

from crm_core import events
from crm_core.access import Actor, require
from crm_core.db import bump, is_sqlite
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.fields import FieldSpec, builtin, forget, registry
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, sort_key
from crm_core.models import CustomField, PickOption
from crm_core.vocabulary import Action, FieldKind

MAX_LENGTH, MAX_VALUES = 120, 500


@dataclass(frozen=True)
class Value:
    """A value of a list: whether it is offered, and how many records hold it; None for whoever may not read the field."""

    value: str
    active: bool
    used: int | None


def find(session: Session, actor: Actor) -> list[FieldSpec]:
    """All editable lists of the workspace as the fields that they belong to."""
    require(actor, "custom_field", Action.READ)
    from crm_core.services.admin.custom_fields import customisable

    return [spec for found in customisable() for spec in registry(session, found.key).values() if is_list(spec)]


def is_list(spec: FieldSpec) -> bool:
    """True for a field whose values people may add to."""
    return spec.kind is FieldKind.PICK or (spec.custom and spec.kind is FieldKind.CHOICE)


def values(session: Session, actor: Actor, entity_key: str, key: str) -> list[Value]:
    """The values of a list, offered ones first, each with its number of records; values found only in records come last. Of a field that the actor's
    role hides what is offered is told, and nothing of records."""
    require(actor, "custom_field", Action.READ)
    spec = _spec(session, entity_key, key)
    offered = _offered(session, spec)
    if actor.masked(entity_key, key):
        return [Value(value, active, None) for value, active in sorted(offered.items(), key=lambda pair: not pair[1])]
    used = _used(session, spec)
    known = [Value(value, active, used.pop(value, 0)) for value, active in offered.items()]
    stray = [Value(value, False, count) for value, count in sorted(used.items(), key=lambda pair: sort_key(pair[0]))]
    return sorted(known, key=lambda value: not value.active) + stray


def add(session: Session, actor: Actor, entity_key: str, key: str, value: str) -> str:
    """Offer one more value (or offer one again that was taken out of use). Returns it as it is stored."""
    require(actor, "custom_field", Action.MANAGE)
    spec = _spec(session, entity_key, key)
    text = _checked(value)
    offered = _offered(session, spec)
    same = next((known for known in offered if known.casefold() == text.casefold()), None)
    if same is not None and offered[same]:
        return same
    if len(offered) >= MAX_VALUES:
        raise Invalid(f"The list “{spec.label}” already has {MAX_VALUES} values, which is the limit.")
    if spec.custom:
        row = _custom(session, spec)
        row.options = [*row.options, text]
        session.add(row)
    elif same is not None:
        text = same
        _option(session, spec, same).active = True
    else:
        session.add(PickOption(entity=entity_key, field_key=key, value=text, position=len(offered)))
    _saved(session, actor, spec, {"added": text})
    return text


def rename(session: Session, actor: Actor, entity_key: str, key: str, old: str, new: str) -> int:
    """Rename a value, in the list and in every record that holds it. Returns the number of records."""
    require(actor, "custom_field", Action.MANAGE)
    spec = _spec(session, entity_key, key)
    text = _checked(new)
    offered = _offered(session, spec)
    if old not in offered:
        raise NotFound(f"The list “{spec.label}” has no value “{old}”.")
    if any(known.casefold() == text.casefold() for known in offered if known != old):
        raise Conflict(f"The list “{spec.label}” already has a value “{text}”.")
    if spec.custom:
        row = _custom(session, spec)
        row.options = [text if option == old else option for option in row.options]
        session.add(row)
    else:
        _option(session, spec, old).value = text
    count = _rename_in_records(session, spec, old, text)
    _saved(session, actor, spec, {"renamed": old, "to": text, "records": count})
    return count


def deactivate(session: Session, actor: Actor, entity_key: str, key: str, value: str) -> None:
    """Offer a value no longer. Records that hold it keep it."""
    require(actor, "custom_field", Action.MANAGE)
    spec = _spec(session, entity_key, key)
    offered = _offered(session, spec)
    if value not in offered:
        raise NotFound(f"The list “{spec.label}” has no value “{value}”.")
    if spec.custom and sum(offered.values()) == 1:
        raise Invalid(f"The list “{spec.label}” needs at least one value.")
    if spec.custom:
        row = _custom(session, spec)
        row.options = [option for option in row.options if option != value]
        session.add(row)
    else:
        _option(session, spec, value).active = False
    _saved(session, actor, spec, {"removed": value})


def _spec(session: Session, entity_key: str, key: str) -> FieldSpec:
    spec = registry(session, entity_key).get(key)
    if spec is None or not is_list(spec):
        raise NotFound("There is no such editable list.")
    return spec


def _offered(session: Session, spec: FieldSpec) -> dict[str, bool]:
    if spec.custom:
        return {str(option): True for option in _custom(session, spec).options}
    rows = session.exec(
        select(PickOption)
        .where(PickOption.entity == spec.entity, PickOption.field_key == spec.key)
        .order_by(PickOption.position, PickOption.value)  # type: ignore[arg-type]
    )
    return {row.value: row.active for row in rows}


def _used(session: Session, spec: FieldSpec) -> dict[str, int]:
    table = entity(spec.entity).table
    value = spec.expression(table)
    rows = session.execute(core_select(value, func.count()).where(value.is_not(None), value != "").group_by(value))
    return {str(found): count for found, count in rows}


def _custom(session: Session, spec: FieldSpec) -> CustomField:
    return session.exec(select(CustomField).where(CustomField.entity == spec.entity, CustomField.key == spec.key)).one()


def _option(session: Session, spec: FieldSpec, value: str) -> PickOption:
    return session.exec(
        select(PickOption).where(PickOption.entity == spec.entity, PickOption.field_key == spec.key, PickOption.value == value)
    ).one()


def _rename_in_records(session: Session, spec: FieldSpec, old: str, new: str) -> int:
    table = entity(spec.entity).table
    if spec.key in builtin(spec.entity):
        target: Any = {spec.key: new}
    elif is_sqlite(session):
        target = {"extra": func.json_set(table.c.extra, f"$.{spec.key}", new)}
    else:
        target = {"extra": table.c.extra.op("||")(func.jsonb_build_object(spec.key, literal(new, Text()), type_=JSONB))}
    changed = update(table).where(spec.expression(table) == old).values(**target, version=table.c.version + 1, updated_at=utcnow())
    bump(session, table.name)
    return int(session.execute(changed).rowcount)  # type: ignore[attr-defined]


def _checked(value: str) -> str:
    text = clean(str(value))
    if not text:
        raise Invalid(fields={"value": "The value needs a name."})
    if len(text) > MAX_LENGTH:
        raise Invalid(fields={"value": f"A value has at most {MAX_LENGTH} characters."})
    return text


def _saved(session: Session, actor: Actor, spec: FieldSpec, data: dict[str, Any]) -> None:
    session.flush()
    forget(session)
    events.record(session, actor, "pick_list.changed", entity="custom_field", data={"of": spec.entity, "field": spec.label, **data})
