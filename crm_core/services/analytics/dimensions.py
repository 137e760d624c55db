"""By which fields figures and reports can be split: own fields of a kind of record, custom ones too, and those of the records it links to."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.entities import ENTITIES, entity
from crm_core.errors import Invalid
from crm_core.fields import FieldSpec, registry, resolve
from crm_core.vocabulary import Action, FieldKind

GROUPED = (FieldKind.CHOICE, FieldKind.PICK, FieldKind.BOOLEAN, FieldKind.REFERENCE)
TEXTS = ("city", "country", "company", "job_title", "lost_reason", "competitor")
"""Text fields whose values repeat."""
DAYS = (FieldKind.DATE, FieldKind.DATETIME)
THROUGH = ("account", "campaign", "product", "contact")
_FAR = ("industry", "kind", "country", "city", "category_id", "status")


@dataclass(frozen=True)
class Dimension:
    """A field to group by. ``path``: as in filters; ``label``: for people; ``is_day``: needs a grain."""

    path: str
    label: str
    spec: FieldSpec
    is_day: bool = False


def find(session: Session, actor: Actor, entity_key: str, *, days: bool = False) -> dict[str, Dimension]:
    """All dimensions of a kind of record for this person, by path; ``days`` adds the fields that hold days and instants."""
    require(actor, entity_key, Action.READ)
    found: dict[str, Dimension] = {}
    for spec in registry(session, entity_key).values():
        if actor.masked(entity_key, spec.key) or spec.pii:
            continue
        if _groups(spec) or (days and spec.kind in DAYS):
            found[spec.key] = Dimension(spec.key, spec.label, spec, spec.kind in DAYS)
        if spec.to in THROUGH and actor.can(spec.to, Action.READ):
            found |= _beyond(session, actor, spec)
    return found


def _groups(spec: FieldSpec) -> bool:
    repeats = spec.kind is FieldKind.TEXT and (spec.custom or spec.key in TEXTS)
    return (spec.kind in GROUPED and (spec.to is None or spec.to in ENTITIES)) or repeats


def _beyond(session: Session, actor: Actor, link: FieldSpec) -> dict[str, Dimension]:
    """The telling fields of a linked record: ``account.industry``, and its custom fields."""
    name = link.key.removesuffix("_id")
    found = {}
    for spec in registry(session, link.to or "").values():
        wanted = spec.key in _FAR or (spec.custom and spec.kind is not FieldKind.LONG_TEXT and _groups(spec))
        if wanted and not spec.pii and not actor.masked(link.to or "", spec.key):
            path = f"{name}.{spec.key}"
            found[path] = Dimension(path, f"{spec.label} of the {link.label.lower()}", spec)
    return found


def numbers(session: Session, actor: Actor, entity_key: str) -> dict[str, FieldSpec]:
    """The numeric fields of a kind of record that this person may read."""
    require(actor, entity_key, Action.READ)
    return {key: spec for key, spec in registry(session, entity_key).items() if spec.numeric and not actor.masked(entity_key, key)}


def one(session: Session, actor: Actor, entity_key: str, path: str, *, days: bool = False) -> Dimension:
    """A dimension by its path. Raises Invalid for what can't be split by, or is hidden from this person."""
    found = find(session, actor, entity_key, days=days).get(path)
    if found is None:
        raise Invalid(f"{entity(entity_key).plural} can't be split by this field, or your role hides it.")
    return found


@dataclass(frozen=True)
class Column:
    """A dimension in SQL: its expression, and the FROM that it needs."""

    expression: Any
    source: Any


def link(session: Session, actor: Actor, entity_key: str, path: str) -> Any | None:
    """The column by which a dimension leaves the records themselves; None when it doesn't. Groups can be formed by it first: there are fewer
    linked records to look up then."""
    require(actor, entity_key, Action.READ)
    _, trail = resolve(session, entity_key, path)
    return entity(entity_key).table.c[trail[0]] if trail else None


def column(
    session: Session, actor: Actor, entity_key: str, path: str, source: Any | None = None, *, by: Any | None = None
) -> Column:
    """The SQL of a dimension. Of linked records only visible ones are read; others count as not filled in. ``by``: a column of ``source`` that
    holds the link, where the records themselves are not part of it."""
    require(actor, entity_key, Action.READ)
    table = entity(entity_key).table
    spec, trail = resolve(session, entity_key, path)
    source = table if source is None else source
    if not trail:
        return Column(spec.expression(table), source)
    here, key = table, entity_key
    for step in trail:
        to = registry(session, key)[step].to or ""
        target = entity(to).table.alias()
        reach = visible(actor, to, target, with_deleted=True) if not entity(to).lookup else None
        on = target.c.id == (by if by is not None and here is table else here.c[step])
        source = source.outerjoin(target, on if reach is None else and_(on, reach))
        here, key = target, to
    return Column(spec.expression(here), source)
