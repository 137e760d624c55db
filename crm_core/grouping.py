"""Records by groups: what a list can be grouped by, its groups with count and sums, and how one group is asked for. Counted in SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Table, and_, func, select
from sqlmodel import Session

from crm_core import lists, persons
from crm_core.access import Actor, visible
from crm_core.entities import ENTITIES, entity
from crm_core.errors import Invalid
from crm_core.fields import FieldSpec, registry
from crm_core.kit.text import sort_key
from crm_core.lists import ListQuery
from crm_core.ordering import alphabetical
from crm_core.vocabulary import Action, FieldKind, Scope

PAGE = 25
"""Groups on one page."""
FEW_ROWS = 20_000
"""So many records are put into groups at once; of more the linked records are walked by name, and only those of the page are counted."""
FEW_LINKED = 100_000
"""Up to so many records it is quicker to list the records that they link to than to ask each of those whether it has one."""
PER_COLUMN = 50
"""Cards of a column of a board, before more are asked for."""
_NAMED = (FieldKind.CHOICE, FieldKind.PICK)


@dataclass(frozen=True)
class Group:
    """One group: its value as a filter takes it (None: empty), its name, and what is in it."""

    value: Any
    label: str
    count: int
    sums: Mapping[str, int]


@dataclass(frozen=True)
class Groups:
    """One page of groups. ``more``: others come after these."""

    rows: tuple[Group, ...]
    more: bool = False


def groupable(session: Session, actor: Actor, entity_key: str) -> dict[str, FieldSpec]:
    """The fields that put records into groups for this person: closed vocabularies, switches, and links to what they may see all of."""
    return {key: spec for key, spec in registry(session, entity_key).items() if _fits(actor, spec)}


def _fits(actor: Actor, spec: FieldSpec) -> bool:
    if not spec.filterable or actor.masked(spec.entity, spec.key):
        return False
    if spec.to in ENTITIES:
        return ENTITIES[spec.to].lookup or Scope.ALL in actor.scopes(spec.to, Action.READ)
    return spec.kind is FieldKind.BOOLEAN or (spec.kind in _NAMED and spec.options is not None)


def within(query: ListQuery, by: str, value: Any) -> ListQuery:
    """The records of one group: the query with one more condition."""
    leaf = {"field": by, "cmp": "empty"} if value is None else {"field": by, "cmp": "eq", "value": value}
    return replace(query, filter={"op": "and", "items": [query.filter, leaf]} if query.filter else leaf, page=1)


def groups(session: Session, actor: Actor, entity_key: str, query: ListQuery, by: str, *, page: int = 1, total: int) -> Groups:
    """The groups of a query in a sensible order: that of the vocabulary, of the stages, of names; what is empty comes last. ``total``: how many
    records the query means."""
    spec = groupable(session, actor, entity_key).get(by)
    if spec is None:
        raise Invalid("The list can't be grouped by this.")
    if spec.to in ENTITIES and not ENTITIES[spec.to].lookup and total > FEW_ROWS:
        return _walked(session, actor, entity_key, query, spec, page, total)
    return _counted(session, actor, entity_key, query, spec, page)


def _figures(actor: Actor, entity_key: str) -> tuple[list[str], list[Any]]:
    found = entity(entity_key)
    keys = [key for key in found.totals if not actor.masked(entity_key, key)]
    return keys, [func.count(), *(func.coalesce(func.sum(found.table.c[key]), 0) for key in keys)]


def _tally(
    session: Session, actor: Actor, entity_key: str, query: ListQuery, spec: FieldSpec
) -> tuple[list[str], dict[Any, list[int]]]:
    """Which sums there are, and value → count and sums, in one statement."""
    keys, figures = _figures(actor, entity_key)
    value = spec.expression(entity(entity_key).table)
    if spec.to == "stage":  # as a column SQLite would follow an index in the order of the stages, and read each row beside it
        value = value + 0
    clause = lists.condition(session, actor, entity_key, query)
    found: dict[Any, list[int]] = {}
    beside = _beside(entity(entity_key).table, spec.key)
    for raw, *numbers in session.execute(select(value, *figures).where(clause).group_by(*beside, value)):
        known = found.setdefault(_stored(spec, raw), [0] * len(numbers))
        known[:] = [a + int(b) for a, b in zip(known, numbers, strict=True)]
    return keys, found


def _beside(table: Table, by: str) -> list[Any]:
    """Columns to group by as well, though nobody asks for them: then the groups come in the order of an index that holds all of them, where a
    sort of all rows would take three times as long."""
    for index in table.indexes:
        order: tuple[str, ...] = index.info.get("groups", ())
        if by in order:
            return [table.c[key] for key in order[: order.index(by)]]
    return []


def _counted(session: Session, actor: Actor, entity_key: str, query: ListQuery, spec: FieldSpec, page: int) -> Groups:
    """All groups at once; those that have a name in their order, then what is empty."""
    keys, found = _tally(session, actor, entity_key, query, spec)
    ranked = _ranked(session, actor, spec, [one for one in found if one is not None])
    ordered = [*ranked.items(), *([(None, empty_words(spec))] if None in found else [])]
    start = (max(1, page) - 1) * PAGE
    rows = tuple(_group(one, label, found[one], keys) for one, label in ordered[start : start + PAGE])
    return Groups(rows, len(ordered) > start + PAGE)


def _group(value: Any, label: str, numbers: list[int], keys: list[str]) -> Group:
    return Group(value, label, numbers[0], dict(zip(keys, numbers[1:], strict=True)))


def _stored(spec: FieldSpec, raw: Any) -> Any:
    """A value as a filter compares it: words without regard to case, an empty text as nothing."""
    if raw is None or raw == "":
        return None
    if spec.enum is not None:
        return spec.enum(raw).value
    if spec.kind is FieldKind.BOOLEAN:
        return bool(raw)
    if spec.to is None and isinstance(raw, str):
        return next((one for one in spec.options or {} if one.lower() == raw.lower()), raw.lower())
    return raw


def _ranked(session: Session, actor: Actor, spec: FieldSpec, values: list[Any]) -> dict[Any, str]:
    """Value → name in the order in which the groups stand."""
    if spec.to in ENTITIES:
        return _linked(session, actor, spec, values)
    if spec.kind is FieldKind.BOOLEAN:
        return {one: f"{spec.label}: {'yes' if one else 'no'}" for one in sorted(values, reverse=True)}
    options = dict(spec.options or {})
    rest = sorted((one for one in values if one not in options), key=lambda one: sort_key(str(one)))
    return {one: label for one, label in options.items() if one in values} | {one: str(one) for one in rest}


def _linked(session: Session, actor: Actor, spec: FieldSpec, values: list[Any]) -> dict[Any, str]:
    names = lists.titles(session, actor, spec.to or "", values)
    if spec.to in ("stage", "lead_status", "pipeline"):
        return _in_order(session, spec.to, names)
    known = sorted(names, key=lambda one: (sort_key(names[one]), one))
    return {one: names[one] for one in known} | {one: f"{entity(spec.to or '').label} {one}" for one in values if one not in names}


def _in_order(session: Session, to: str, names: Mapping[int, str]) -> dict[Any, str]:
    """Stages and statuses as they follow each other; a stage says its pipeline where several are meant."""
    table = entity(to).table
    if to != "stage":
        order = session.execute(select(table.c.id).where(table.c.id.in_(names)).order_by(table.c.position, table.c.id)).scalars()
        return {one: names[one] for one in order}
    ways = entity("pipeline").table
    rows = session.execute(
        select(table.c.id, ways.c.name)
        .join(ways, ways.c.id == table.c.pipeline_id)
        .where(table.c.id.in_(names))
        .order_by(ways.c.position, ways.c.id, table.c.position, table.c.id)
    ).all()
    several = len({name for _, name in rows}) > 1
    return {one: f"{names[one]} ({name})" if several else names[one] for one, name in rows}


def _walked(session: Session, actor: Actor, entity_key: str, query: ListQuery, spec: FieldSpec, page: int, total: int) -> Groups:
    """The linked records by name, a page of them; then only their records are counted. No statement reads all groups."""
    other, table = entity(spec.to or ""), entity(entity_key).table
    link, clause = table.c[spec.key], lists.condition(session, actor, entity_key, query)
    target = other.table.alias() if other.table is table else other.table
    if total > FEW_LINKED:
        filled: Any = select(table.c.id).where(link == target.c.id, clause).correlate(target).exists()
    else:  # of few records, most of the linked ones have none: the walk would ask thousands of them in vain
        filled = target.c.id.in_(select(link).where(link.is_not(None), clause))
    order = [target.c.id] if persons.blurs(actor, other.key, other.title) else [alphabetical(target.c[other.title]), target.c.id]
    seen = visible(actor, other.key, target, with_deleted=True)
    start = (max(1, page) - 1) * PAGE
    ids = list(session.execute(select(target.c.id).where(seen, filled).order_by(*order).limit(PAGE + 1).offset(start)).scalars())
    keys, figures = _figures(actor, entity_key)
    shown = ids[:PAGE]
    counts = {
        one: [int(number) for number in numbers]
        for one, *numbers in session.execute(select(link, *figures).where(clause, link.in_(shown)).group_by(link))
    }
    names = lists.titles(session, actor, other.key, shown)
    rows = [_group(one, names.get(one, f"{other.label} {one}"), counts[one], keys) for one in shown if one in counts]
    if len(ids) <= PAGE:
        numbers = [int(number) for number in session.execute(select(*figures).where(and_(clause, link.is_(None)))).one()]
        rows += [_group(None, empty_words(spec), numbers, keys)] if numbers[0] else []
    return Groups(tuple(rows), len(ids) > PAGE)


def empty_words(spec: FieldSpec) -> str:
    """The name of the group of records that have nothing in the field."""
    return f"No {spec.label.lower()}"


@dataclass(frozen=True)
class Pile:
    """A column of a board: how many there are and what they sum up to, and the first of them as rows of a list."""

    value: Any
    count: int
    sums: Mapping[str, int]
    rows: tuple[Mapping[str, Any], ...]


def piles(
    session: Session,
    actor: Actor,
    entity_key: str,
    query: ListQuery,
    by: str,
    values: Sequence[Any],
    limits: Mapping[Any, int] | None = None,
) -> list[Pile]:
    """The columns of a board, empty ones too. ``limits``: value → number of cards, where more than the usual number is wanted."""
    spec = groupable(session, actor, entity_key).get(by)
    if spec is None:
        raise Invalid("There is no board by this.")
    keys, found = _tally(session, actor, entity_key, query, spec)
    made = []
    for value in values:
        group = _group(value, "", found.get(value, [0] * (len(keys) + 1)), keys)
        rows: list[Any] = []
        if group.count:
            one = replace(within(query, by, value), size=(limits or {}).get(value, PER_COLUMN))
            rows = lists.find(session, actor, entity_key, one, known=lists.Extent(group.count, dict(group.sums))).rows
        made.append(Pile(value, group.count, group.sums, tuple(rows)))
    return made
