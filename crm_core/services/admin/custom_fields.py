"""Fields that an administrator adds to a kind of record. The definition is a row, the values lie in the record's ``extra``.

The key is made from the label once and never changes, so that filters, views and imports that name it survive a new label. The kind never
changes either: old values would no longer fit. Taking a field out of use hides it and keeps what was entered.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Index, MetaData, Table, func
from sqlalchemy import select as core_select
from sqlalchemy.schema import CreateIndex, DropIndex
from sqlmodel import Session, select

from crm_core import events
from crm_core.access import Actor, require, visible
from crm_core.db import is_sqlite
from crm_core.entities import ENTITIES, Entity, entity
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.fields import CUSTOM_PREFIX, TEXTS, custom_spec, forget, registry
from crm_core.kit.text import clean, fold
from crm_core.models import CustomField, LeadForm, RoleFieldMask
from crm_core.models.base import Customisable
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.services.admin import field_uses
from crm_core.vocabulary import Action, FieldKind, FieldLevel

KINDS: tuple[FieldKind, ...] = tuple(kind for kind in FieldKind if kind not in (FieldKind.REFERENCE, FieldKind.PICK))
"""Kinds that a custom field may have. A list of a custom field is always editable, so ``CHOICE`` covers both kinds of list."""

MAX_FIELDS, MAX_OPTIONS, MAX_KEY = 150, 500, 40
MOST_NAMED = 5


def customisable() -> tuple[Entity, ...]:
    """The kinds of record that can carry custom fields."""
    return tuple(found for found in ENTITIES.values() if issubclass(found.model, Customisable))


def find(session: Session, actor: Actor, entity_key: str, *, inactive: bool = False) -> list[CustomField]:
    """The custom fields of an entity in their order; ``inactive`` adds those out of use."""
    require(actor, "custom_field", Action.READ)
    statement = select(CustomField).where(CustomField.entity == entity_key)
    if not inactive:
        statement = statement.where(CustomField.active)
    return list(session.exec(statement.order_by(CustomField.position, CustomField.id)))  # type: ignore[arg-type]


def get(session: Session, actor: Actor, field_id: int, *, action: Action = Action.READ) -> CustomField:
    """One custom field, or NotFound."""
    require(actor, "custom_field", action)
    row = session.get(CustomField, field_id)
    if row is None:
        raise NotFound("There is no such custom field.")
    return row


def create(
    session: Session,
    actor: Actor,
    entity_key: str,
    *,
    label: str,
    kind: FieldKind | str,
    options: Iterable[str] = (),
    required: bool = False,
    pii: bool = False,
    filterable: bool = True,
    section: str = "",
    help: str = "",
    index: bool = True,
) -> CustomField:
    """Add a field to an entity. A filterable one gets an expression index (unless ``index`` is off: a dry run wants no lock for it)."""
    require(actor, "custom_field", Action.MANAGE)
    _check_entity(entity_key)
    present = list(session.exec(select(CustomField).where(CustomField.entity == entity_key)))
    row = CustomField(
        entity=entity_key,
        key=_new_key(label, {found.key for found in present}),
        label=_checked_label(session, entity_key, label),
        kind=_checked_kind(kind),
        required=required,
        pii=pii,
        filterable=filterable,
        section=clean(section)[:80],
        help=clean(help)[:300],
        position=max((found.position for found in present), default=-1) + 1,
    )
    row.options = _checked_options(row.kind, options)
    if sum(found.active for found in present) >= MAX_FIELDS:
        raise Invalid(f"{entity(entity_key).plural} already have {MAX_FIELDS} custom fields, which is the limit.")
    _check_forms(session, row)
    session.add(row)
    session.flush()
    forget(session)
    if index and filterable:
        create_index(session, row)
    if pii:
        _hide(session, row)
    _log(session, actor, "custom_field.created", row)
    return row


def _check_forms(session: Session, row: CustomField) -> None:
    """A public form that does not ask for what leads must have would lose every lead of its visitors."""
    if not row.required or row.entity != "lead":
        return
    open_forms = session.exec(select(LeadForm).where(LeadForm.is_active).order_by(alphabetical(LeadForm.name)))
    if silent := [form.name for form in open_forms if not any(one["key"] == row.key for one in form.fields)]:
        named = ", ".join(f"“{name}”" for name in silent[:MOST_NAMED])
        do = "form does" if len(silent) == 1 else "forms do"
        way = "Let a field that may be empty be asked there first, then make it required."
        raise Invalid(fields={"required": f"The {do} not ask for it ({named}), so no lead of their visitors could be kept. {way}"})


def _hide(session: Session, row: CustomField) -> None:
    """Roles that must not see personal data do not see a new personal field either; an administrator may show it to them. Where a role kept a
    field to itself already, no other role of the same person undoes that any more."""
    veiled = select(RoleFieldMask.role_id).where(RoleFieldMask.level != FieldLevel.READ)
    hiding = set(session.exec(veiled))
    have = set(
        session.exec(select(RoleFieldMask.role_id).where(RoleFieldMask.entity == row.entity, RoleFieldMask.field_key == row.key))
    )
    for known in session.exec(select(RoleFieldMask).where(RoleFieldMask.entity == row.entity, RoleFieldMask.field_key == row.key)):
        known.strict = known.strict or known.level is not FieldLevel.READ
    session.add_all(RoleFieldMask(role_id=role_id, entity=row.entity, field_key=row.key) for role_id in sorted(hiding - have))
    session.flush()


def update(
    session: Session, actor: Actor, field_id: int, changes: dict[str, Any], *, base_version: int | None = None
) -> CustomField:
    """Change label, options, required, pii, filterable, section or help. Key and kind stay what they are."""
    row = get(session, actor, field_id, action=Action.MANAGE)
    refuse_stale("this field", row, base_version)
    refused = set(changes) - {"label", "options", "required", "pii", "filterable", "section", "help"}
    if refused:
        raise Invalid(fields=dict.fromkeys(refused, "This can't be changed; add a new field instead."))
    before = {key: getattr(row, key) for key in changes}
    if "label" in changes and clean(str(changes["label"])) != row.label:
        row.label = _checked_label(session, row.entity, changes["label"])
    if "options" in changes:
        row.options = _checked_options(row.kind, changes["options"])
    for key, limit in (("section", 80), ("help", 300)):
        if key in changes:
            setattr(row, key, clean(str(changes[key] or ""))[:limit])
    for key in ("required", "pii", "filterable"):
        if key in changes:
            setattr(row, key, bool(changes[key]))
    if before.get("required") is False:
        _check_forms(session, row)
    if row.pii and before.get("pii") is False:
        _hide(session, row)
    if row.filterable != before.get("filterable", row.filterable):
        (create_index if row.filterable else drop_index)(session, row)
    after = {key: getattr(row, key) for key in changes}
    _save(session, actor, row, {key: (before[key], after[key]) for key in changes if before[key] != after[key]})
    return row


def deactivate(session: Session, actor: Actor, field_id: int) -> CustomField:
    """Take a field out of use: hidden everywhere, its values stay in the records. Not while something that works by itself asks for it."""
    row = get(session, actor, field_id, action=Action.MANAGE)
    if row.active:
        if asking := field_uses.uses(session, actor, row.entity, row.key):
            more = f" and {len(asking) - MOST_NAMED} more" if len(asking) > MOST_NAMED else ""
            named = ", ".join(asking[:MOST_NAMED])
            raise Conflict(f"Something still asks for “{row.label}”: {named}{more}. Change that first, or switch it off.")
        row.active = False
        drop_index(session, row)
        _save(session, actor, row, {"active": (True, False)})
    return row


def activate(session: Session, actor: Actor, field_id: int) -> CustomField:
    """Take a field into use again, with the values it had."""
    row = get(session, actor, field_id, action=Action.MANAGE)
    if not row.active:
        _checked_label(session, row.entity, row.label)
        _check_forms(session, row)
        row.active = True
        if row.filterable:
            create_index(session, row)
        _save(session, actor, row, {"active": (False, True)})
    return row


def reorder(session: Session, actor: Actor, entity_key: str, field_ids: Sequence[int]) -> None:
    """Put the custom fields of an entity into the given order; fields that are not named follow as they were."""
    require(actor, "custom_field", Action.MANAGE)
    place = {field_id: n for n, field_id in enumerate(field_ids)}
    rows = find(session, actor, entity_key, inactive=True)
    if set(place) - {row.id for row in rows}:
        raise NotFound("There is no such custom field.")
    rows.sort(key=lambda row: (place.get(row.id or 0, len(place)), row.position, row.id or 0))
    for position, row in enumerate(rows):
        row.position = position
        session.add(row)
    session.flush()
    forget(session)


def filled(session: Session, actor: Actor, field_id: int) -> int:
    """In how many records (outside the bin) the field holds a value."""
    row = get(session, actor, field_id)
    table = entity(row.entity).table
    has_value = custom_spec(row).expression(table).is_not(None)
    return session.execute(
        core_select(func.count()).select_from(table).where(has_value, visible(actor, row.entity, table))
    ).scalar_one()


# --- the index of a filterable field ----------------------------------------------------------------------------------------


def index_name(row: CustomField) -> str:
    return f"ix_x_{row.entity}_{row.key}"


def _index(session: Session, row: CustomField) -> Index:
    """The index on a copy of the table: on the real one it would become part of the schema that migrations compare."""
    copy = Table(
        entity(row.entity).table.name, MetaData(), *(c._copy() for c in entity(row.entity).table.c if c.key in ("id", "extra"))
    )
    expression: Any = custom_spec(row).expression(copy)
    if not is_sqlite(session) and (row.kind in TEXTS or row.kind is FieldKind.CHOICE):
        # Filters compare text in lower case. On SQLite that is a function of ours, which an index must not need: tools without it could not open the table.
        expression = func.lower(expression)
    return Index(index_name(row), expression)


def create_index(session: Session, row: CustomField) -> None:
    """Index the values of a field. Long texts are searched, not compared, and may be too long for an index."""
    if row.kind is not FieldKind.LONG_TEXT:
        session.connection().execute(CreateIndex(_index(session, row), if_not_exists=True))


def drop_index(session: Session, row: CustomField) -> None:
    """Drop the index of a field, if there is one."""
    session.connection().execute(DropIndex(_index(session, row), if_exists=True))


# --- checks -------------------------------------------------------------------------------------------------------------------


def _check_entity(entity_key: str) -> None:
    if entity_key not in {found.key for found in customisable()}:
        raise Invalid(f"{entity(entity_key).plural} can't have custom fields.")


def _new_key(label: str, taken: set[str]) -> str:
    slug = "_".join(re.findall(r"[a-z0-9]+", fold(str(label))))[: MAX_KEY - 4].strip("_") or "field"
    key, n = CUSTOM_PREFIX + slug, 2
    while key in taken:
        key, n = f"{CUSTOM_PREFIX}{slug}_{n}", n + 1
    return key


def _checked_label(session: Session, entity_key: str, label: Any) -> str:
    text = clean(str(label))
    if not text:
        raise Invalid(fields={"label": "The field needs a name."})
    if len(text) > 120:
        raise Invalid(fields={"label": "The name of a field has at most 120 characters."})
    if fold(text) in {fold(spec.label) for spec in registry(session, entity_key).values()}:
        raise Invalid(fields={"label": f"{entity(entity_key).plural} already have a field “{text}”."})
    return text


def _checked_kind(kind: Any) -> FieldKind:
    if kind not in {found.value for found in KINDS}:
        raise Invalid(fields={"kind": f"A field can't be of the kind “{kind}”."})
    return FieldKind(kind)


def _checked_options(kind: FieldKind, options: Iterable[Any]) -> list[str]:
    found: dict[str, str] = {}
    for option in options:
        text = clean(str(option))
        if len(text) > 120:
            raise Invalid(fields={"options": f"“{text[:40]}…” is longer than 120 characters."})
        if text:
            found.setdefault(text.casefold(), text)
    if kind is not FieldKind.CHOICE:
        return []
    if not found:
        raise Invalid(fields={"options": "A list needs at least one value."})
    if len(found) > MAX_OPTIONS:
        raise Invalid(fields={"options": f"A list has at most {MAX_OPTIONS} values; use a text field instead."})
    return list(found.values())


def _save(session: Session, actor: Actor, row: CustomField, changes: dict[str, tuple[Any, Any]]) -> None:
    session.add(row)
    session.flush()
    forget(session)
    if changes:
        _log(session, actor, "custom_field.updated", row, changes)


def _log(
    session: Session, actor: Actor, event_type: str, row: CustomField, changes: dict[str, tuple[Any, Any]] | None = None
) -> None:
    data = {"of": row.entity, "key": row.key, "label": row.label}
    events.record(session, actor, event_type, entity="custom_field", record_id=row.id or 0, changes=changes, data=data)
