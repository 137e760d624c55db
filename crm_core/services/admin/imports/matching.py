"""Which column is which field: by the names that people give them, checked against what the column holds. A proposal, open to change."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from rapidfuzz import fuzz
from sqlmodel import Session, select

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.fields import FieldSpec
from crm_core.kit.text import fold
from crm_core.models import ImportMapping
from crm_core.services.admin import pick_lists
from crm_core.services.admin.imports import headings
from crm_core.services.admin.imports import profile as profiles
from crm_core.services.admin.imports.kinds import KINDS, Kind
from crm_core.services.admin.imports.plan import Column, Mode, NewField, Plan, Unknown, header_hash
from crm_core.services.admin.imports.targets import CREATABLE, targets
from crm_core.vocabulary import Action, FieldKind

CLOSE_ENOUGH = 88
"""Likeness (0–100) of two names from which a column is matched with a field that is not called the same."""

NEW = "new:"
"""In a plan's match key: the custom field that will be made from the column with this header."""

_CREATED_BY_DEFAULT = ("product_category", "team", "stage", "user")
_NUMBERS = (FieldKind.INTEGER, FieldKind.DECIMAL, FieldKind.MONEY, FieldKind.PERCENT)


def propose(session: Session, actor: Actor, kind: Kind, seen: profiles.Profile, *, remembered: bool = True) -> Plan:
    """A plan for a file: the one that was used for the same headers before, or else one made from names and contents."""
    if remembered:
        kept = _remembered(session, actor, kind, seen)
        if kept is not None:
            return kept
    specs = targets(session, actor, kind)
    matched = match(seen.columns, specs, kind)
    columns = tuple(_column(actor, each, specs.get(matched.get(each.header, "")), kind) for each in seen.columns)
    plan = Plan(columns=columns)
    plan = _with_key(actor, plan, kind, seen)
    return replace(plan, constants=_constants(plan, kind, specs, seen))


def match(columns: Sequence[profiles.Column], specs: Mapping[str, FieldSpec], kind: Kind) -> dict[str, str]:
    """Header → field key; the likeliest pairs first, each field once. Beside a column of one part of people's names, “Name” holds the other."""
    scored = [
        (score, -n, column.header, key)
        for n, column in enumerate(columns)
        for key, spec in specs.items()
        if (score := _likeness(column, spec, kind)) >= CLOSE_ENOUGH
    ]
    found: dict[str, str] = {}
    for _score, _n, header, key in sorted(scored, reverse=True):
        if header not in found and key not in found.values():
            found[header] = key
    return _parts_of_names(columns, specs, found)


def _parts_of_names(columns: Sequence[profiles.Column], specs: Mapping[str, FieldSpec], found: dict[str, str]) -> dict[str, str]:
    """“Vorname” and “Name”, “Nom” and “Prénom”, “Nombre” and “Apellidos”: what was taken for the whole name is one word in most rows."""
    fed = set(found.values()) & {"first_name", "last_name"}
    if len(fed) != 1:
        return found
    missing = "last_name" if "first_name" in fed else "first_name"
    whole = next((column for column in columns if found.get(column.header) == "name"), None)
    if whole is None or missing not in specs or 2 * sum(" " in text for text in whole.values) > len(whole.values):
        return found
    return {**found, whole.header: missing}


def words_of(name: str) -> str:
    """A name of a column as plain words: ``officeLocation`` and ``office_location`` are the same."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"[^\W_]+", fold(spaced)))


def _likeness(column: profiles.Column, spec: FieldSpec, kind: Kind) -> float:
    header = words_of(column.header)
    if header == words_of(spec.label):
        return 101
    if not _can_hold(column, spec):
        return 0
    own = {words_of(spec.label), words_of(spec.key.removesuffix("_minor").removesuffix("_id").removeprefix("x_"))}
    if header in own:
        return 100
    others = _other_names(kind.entity, spec.key)
    if header in others:
        return 98
    return max((fuzz.token_sort_ratio(header, name) - 2 for name in own | others), default=0)


@cache
def _other_names(entity_key: str, field_key: str) -> frozenset[str]:
    own = KINDS[entity_key].synonyms.get(field_key, ())
    return frozenset(words_of(name) for name in (*own, *headings.names(entity_key, field_key)))


def _can_hold(column: profiles.Column, spec: FieldSpec) -> bool:
    """False when the content speaks against the name: a "Revenue" full of words is not the revenue."""
    if not column.filled:
        return True
    if spec.kind in _NUMBERS:
        return bool(column.decimal)
    if spec.kind in (FieldKind.DATE, FieldKind.DATETIME):
        return bool(column.date)
    if spec.kind is FieldKind.EMAIL:
        return column.kind == FieldKind.EMAIL.value or any("@" in text for text in column.samples)
    if spec.kind is FieldKind.REFERENCE or spec.key == "name":
        return column.kind not in (FieldKind.MONEY.value, FieldKind.DATE.value, FieldKind.BOOLEAN.value)
    return True


def _column(actor: Actor, seen: profiles.Column, spec: FieldSpec | None, kind: Kind) -> Column:
    column = Column(header=seen.header, date=seen.date or "dmy", decimal=seen.decimal or ".")
    return replace(column, to=spec.key, unknown=default_unknown(actor, spec, kind)) if spec is not None else column


def default_unknown(actor: Actor, spec: FieldSpec, kind: Kind) -> Unknown:
    """What happens to unknown values unless somebody chooses: small lists grow, records that matter are not made from typing errors."""
    if pick_lists.is_list(spec):
        return Unknown.ADD if actor.can("custom_field", Action.MANAGE) else Unknown.REJECT
    if spec.to == kind.entity and spec.to != "user":
        return Unknown.EMPTY
    return Unknown.ADD if spec.to in _CREATED_BY_DEFAULT and (spec.to != "user" or kind.entity == "user") else Unknown.REJECT


def offers(spec: FieldSpec) -> tuple[Unknown, ...]:
    """What can be done with unknown values of a field; nothing when it has no list."""
    if pick_lists.is_list(spec) or spec.to in CREATABLE:
        return tuple(Unknown)
    return (Unknown.REJECT, Unknown.EMPTY) if spec.kind in (FieldKind.CHOICE, FieldKind.REFERENCE) else ()


def label_for(header: str) -> str:
    """A field's name made from a column's: ``opportunity_id`` becomes ``Opportunity ID``."""
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", header))
    text = " ".join(word if word.isupper() and len(word) < 5 else word.lower() for word in words) or header
    text = re.sub(r"\bid\b", "ID", text, flags=re.IGNORECASE)
    return (text[:1].upper() + text[1:])[:120]


def new_field_for(seen: profiles.Column) -> NewField:
    """The custom field that a column would become, of the kind that its content suggests."""
    kind = FieldKind(seen.kind)
    if is_key(seen, None):
        kind = FieldKind.TEXT
    return NewField(label_for(seen.header), kind, pii=kind in (FieldKind.EMAIL, FieldKind.PHONE))


def is_key(seen: profiles.Column, rows: int | None) -> bool:
    """True for a column that numbers its rows: called an id, filled everywhere, no value twice."""
    named = re.search(r"(^| )(id|key|code|ref|reference|uuid|guid|number|no)$", words_of(seen.header)) is not None
    return named and seen.distinct == seen.filled and (rows is None or seen.filled == rows)


def _with_key(actor: Actor, plan: Plan, kind: Kind, seen: profiles.Profile) -> Plan:
    """By what are records recognised? A natural key that is matched, else a column of ids, which becomes a custom field."""
    for keys in kind.match:
        if all(plan.column_for(key) for key in keys):
            return replace(plan, match=keys, mode=Mode.BOTH)
    for column in seen.columns:
        planned = next(each for each in plan.columns if each.header == column.header)
        if is_key(column, seen.rows) and planned.to.startswith("x_"):
            return replace(plan, match=(planned.to,), mode=Mode.BOTH)
        may_add = actor.can("custom_field", Action.MANAGE) and kind.entity != "user"
        if is_key(column, seen.rows) and not planned.used and may_add:
            plan = plan.with_column(column.header, new=new_field_for(column))
            return replace(plan, match=(NEW + column.header,), mode=Mode.BOTH)
    return replace(plan, match=(), mode=Mode.CREATE)


def _constants(plan: Plan, kind: Kind, specs: Mapping[str, FieldSpec], seen: profiles.Profile) -> dict[str, str]:
    """Values for required fields that no column feeds, made from other columns where that gives a name."""
    fed = frozenset(column.to for column in plan.columns if column.to)
    found: dict[str, str] = {}
    for key, spec in specs.items():
        if not spec.required or key in fed or key in kind.satisfied(fed) or spec.kind is not FieldKind.TEXT:
            continue
        parts = next((names for field, names in kind.templates if field == key), ())
        named = [column.header for part in parts if (column := plan.column_for(part)) is not None]
        ids = [column.header for column in seen.columns if is_key(column, seen.rows)]
        if named:
            found[key] = " · ".join(f"{{{header}}}" for header in named)
        elif ids:
            found[key] = f"{entity(kind.entity).label} {{{ids[0]}}}"
    return found


def _remembered(session: Session, actor: Actor, kind: Kind, seen: profiles.Profile) -> Plan | None:
    row = session.exec(
        select(ImportMapping).where(ImportMapping.entity == kind.entity, ImportMapping.header_hash == header_hash(seen.headers))
    ).first()
    if row is None:
        return None
    plan, specs = Plan.from_json(row.mapping), targets(session, actor, kind)
    if {column.header for column in plan.columns} != set(seen.headers):
        return None
    columns = []
    for column in plan.columns:
        now = seen.column(column.header)
        fresh = replace(column, date=now.date or column.date, decimal=now.decimal or column.decimal) if now else column
        columns.append(fresh if fresh.to in specs or not fresh.to else replace(fresh, to=""))
    return replace(plan, columns=tuple(columns), match=tuple(key for key in plan.match if key in specs))


def remember(session: Session, kind: Kind, plan: Plan) -> None:
    """Keep the plan for the next file with the same headers."""
    name = header_hash(column.header for column in plan.columns)
    row = session.exec(select(ImportMapping).where(ImportMapping.entity == kind.entity, ImportMapping.header_hash == name)).first()
    row = row or ImportMapping(entity=kind.entity, header_hash=name)
    row.mapping = plan.to_json()
    session.add(row)
    session.flush()
