"""Reading many records: one page of a list, its count and sums, straight from SQL, within the reader's scope and masks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, select
from sqlmodel import Session

from crm_core import persons, search
from crm_core.access import Actor, require, visible
from crm_core.db import READS, shared
from crm_core.entities import ENTITIES, Entity, entity
from crm_core.errors import Invalid
from crm_core.fields import FieldSpec, registry
from crm_core.filters import where
from crm_core.kit.paging import Page
from crm_core.ordering import alphabetical, sort_text
from crm_core.veil import MASK, trace
from crm_core.vocabulary import Action, Scope

MAX_SIZE = 500
NEAREST = 500
FEW = 500
"""So many rows are sorted after they were found, not found along the order."""

OF_MINE = 5_000
"""So many records a person may see before a search asks the index of words first."""

SOUGHT = 5_000
"""So many hits of a search are counted, added up and sorted at once."""

EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Before everything that was deleted."""

AS_WRITTEN = ("number",)
"""Numbers of orders and tickets look alike: a list follows the index that keeps them unique."""

SHORT = 2_000
"""So many names of people, stages and the like are kept in memory; longer lists are asked name by name."""


@dataclass(frozen=True)
class ListQuery:
    """What a list shows. ``filter``: see crm_core.filters; ``q``: quick search; ``sort``: field key and whether descending; ``page`` counts from 1."""

    filter: Mapping[str, Any] | None = None
    q: str = ""
    sort: tuple[str, bool] | None = None
    columns: tuple[str, ...] = ()
    page: int = 1
    size: int = 50
    deleted: bool = False


class Extent(NamedTuple):
    """How far a query reaches: number of rows, sums by column, and the ids of the first rows in the order of the query, where they are known."""

    total: int
    sums: Mapping[str, int]
    ids: Sequence[int] = ()


def condition(
    session: Session, actor: Actor, entity_key: str, query: ListQuery, *, action: Action = Action.READ
) -> ColumnElement[bool]:
    """The rows that a query means: scope, bin, filter and quick search in one clause."""
    require(actor, entity_key, action)
    table = entity(entity_key).table
    parts = [visible(actor, entity_key, table, action, with_deleted=query.deleted)]
    if query.deleted:
        parts.append(table.c.deleted_at > EVER)  # "is not null" is no range of an index to SQLite
    if query.filter:
        parts.append(where(session, entity_key, query.filter, actor))
    if query.q and (query.deleted or sees_few(session, actor, entity_key)):
        parts.append(search.among(session, actor, entity_key, query.q))
    elif query.q and (found := search.within(session, actor, entity_key, query.q)) is not None:
        parts.append(table.c.id.in_(found))
    return and_(*parts)


def sees_few(session: Session, actor: Actor, entity_key: str) -> bool:
    """Whether the actor sees so few records of a kind that reading their words is less work than finding the words first."""
    if Scope.ALL in actor.scopes(entity_key, Action.READ):
        return False
    table = entity(entity_key).table
    rows = select(literal_column("1")).where(visible(actor, entity_key, table)).limit(OF_MINE + 1).subquery()
    return session.execute(select(func.count()).select_from(rows)).scalar_one() <= OF_MINE


def count(session: Session, actor: Actor, entity_key: str, query: ListQuery) -> int:
    """Number of records that the query means."""
    table = entity(entity_key).table
    return session.execute(select(func.count()).select_from(table).where(condition(session, actor, entity_key, query))).scalar_one()


def extent(session: Session, actor: Actor, entity_key: str, query: ListQuery) -> Extent:
    """``totals``; for a search also the first rows in its order, since finding the words is what costs: once for count, sums and pages.

    The page and the columns of the query make no difference.
    """
    found = entity(entity_key)
    key, spec = _sort_of(session, actor, found, query)
    sought = query.q and not query.deleted and not (spec is not None and spec.to in ENTITIES)
    if not sought or (known := _first_hits(session, actor, found, query, key, spec)) is None:
        return Extent(*totals(session, actor, entity_key, query))
    return known


def _first_hits(session: Session, actor: Actor, found: Entity, query: ListQuery, key: str, spec: FieldSpec | None) -> Extent | None:
    """None where there are too many hits to hold them all for a moment."""
    sums = _sums_of(actor, found)
    held = select(found.table.c.id, sorted_by(found, spec, key).label("sorted_by"), *(found.table.c[name] for name in sums))
    rows = held.where(condition(session, actor, found.key, query)).limit(SOUGHT + 1).subquery()
    over = [func.count().over(), *(func.sum(rows.c[name]).over() for name in sums)]
    order = _directed(rows.c.sorted_by, rows.c.id, (query.sort or found.sort)[1])
    hits = session.execute(select(rows.c.id, *over).order_by(*order).limit(FEW)).all()
    if not hits:
        return Extent(0, dict.fromkeys(sums, 0))
    total = hits[0][1]
    if total > SOUGHT:
        return None
    return Extent(total, {name: int(value or 0) for name, value in zip(sums, hits[0][2:], strict=True)}, [row[0] for row in hits])


def _directed(
    column: ColumnElement[Any], tie: ColumnElement[Any], descending: bool
) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return (column.desc().nulls_last(), tie.desc()) if descending else (column.asc().nulls_last(), tie.asc())


def _sums_of(actor: Actor, found: Entity) -> list[str]:
    return [key for key in found.totals if not actor.masked(found.key, key)]


def _sort_of(session: Session, actor: Actor, found: Entity, query: ListQuery) -> tuple[str, FieldSpec | None]:
    """The field that the list is sorted by. Where the actor may not read what it would follow, the order tells nothing of it."""
    key, _ = query.sort or found.sort
    if persons.blurs(actor, found.key, key):
        return "id", None
    return key, registry(session, found.key).get(key)


def totals(session: Session, actor: Actor, entity_key: str, query: ListQuery) -> tuple[int, dict[str, Any]]:
    """Count and sums (of the entity's total columns) over all rows that the query means, in one statement."""
    found = entity(entity_key)
    keys = _sums_of(actor, found)
    sums = [func.coalesce(func.sum(found.table.c[key]), 0) for key in keys]
    row = session.execute(
        select(func.count(), *sums).select_from(found.table).where(condition(session, actor, entity_key, query))
    ).one()
    return row[0], {key: int(value) for key, value in zip(keys, row[1:], strict=True)}


def find(
    session: Session,
    actor: Actor,
    entity_key: str,
    query: ListQuery,
    *,
    known: Extent | None = None,
    sums: bool = True,
) -> Page:
    """One page. Each row is a dict: ``id``, ``version``, every column key, and ``<key>.title`` for references.

    ``known`` is what the caller kept of the query (under the table's version), so that it is not computed again; ids in it are of the same
    order. Without ``sums`` a first page that is not full counts itself.
    """
    found, size = entity(entity_key), min(max(1, query.size), MAX_SIZE)
    specs = _specs(session, entity_key, dict.fromkeys((*(query.columns or found.columns), *found.also)))
    first = _page_ids(session, actor, entity_key, query, size, 0) if known is None and not sums and query.page <= 1 else None
    if first is not None and len(first) < size:
        known = Extent(len(first), {})
    total, summed, ahead = known if known is not None else Extent(*totals(session, actor, entity_key, query))
    page = min(max(1, query.page), max(1, -(-total // size)))
    start, end = (page - 1) * size, min(page * size, total)
    ids = first if first is not None else ahead[start:end]
    if first is None and len(ids) < end - start:
        ids = _page_ids(session, actor, entity_key, query, size, start, total)
    return Page(rows_of(session, actor, entity_key, ids, specs), total, page, size, dict(summed))


def _specs(session: Session, entity_key: str, columns: Iterable[str]) -> list[FieldSpec]:
    fields = registry(session, entity_key)
    return [fields[key] for key in columns if key in fields]


def _page_ids(
    session: Session,
    actor: Actor,
    entity_key: str,
    query: ListQuery,
    size: int,
    offset: int,
    total: int | None = None,
    action: Action = Action.READ,
) -> list[int]:
    """The ids of one page in the order of the list.

    ``total``: how many rows the query means, when that is known; ``action``: what else they must be allowed to do with each row.
    """
    found = entity(entity_key)
    key, spec = _sort_of(session, actor, found, query)
    descending = (query.sort or found.sort)[1]
    clause = _reachable(session, actor, entity_key, query, action)
    if spec is not None and spec.to in ENTITIES:
        by_title = _ids_by_lookup if entity(spec.to).lookup else _ids_by_title
        return by_title(session, actor, found, spec, clause, descending, size, offset)
    if total is not None and total <= FEW and (query.filter or query.q):
        return _few_ids(session, found, spec, key, descending, clause, size, offset)
    order = _order(found, spec, key, descending)
    # No index gives the order of such texts. SQLite reads the table then, but only when it can see how few rows are wanted.
    few: Any = literal_column(str(size)) if isinstance(sorted_by(found, spec, key), sort_text) else size
    return list(session.execute(select(found.table.c.id).where(clause).order_by(*order).limit(few).offset(offset)).scalars())


def _few_ids(
    session: Session,
    found: Entity,
    spec: FieldSpec | None,
    key: str,
    descending: bool,
    clause: ColumnElement[bool],
    size: int,
    offset: int,
) -> list[int]:
    """Few rows are found first and sorted then. The limit inside keeps the database from walking the whole list in its order to meet them."""
    column = sorted_by(found, spec, key)
    rows = select(found.table.c.id, column.label("sorted_by")).where(clause).limit(2 * FEW).subquery()
    order = _directed(rows.c.sorted_by, rows.c.id, descending)
    return list(session.execute(select(rows.c.id).order_by(*order).limit(size).offset(offset)).scalars())


def sorted_by(found: Entity, spec: FieldSpec | None, key: str) -> ColumnElement[Any]:
    """What a list of the entity is ordered by when it is sorted by a field; Invalid when it can't be."""
    if spec is None and key not in ("id", "position"):
        raise Invalid(f"The list can't be sorted by “{key}”.")
    if spec is None or key in AS_WRITTEN:
        return found.table.c[key]
    value = spec.expression(found.table)
    return alphabetical(value) if spec.textual else value


def _order(found: Entity, spec: FieldSpec | None, key: str, descending: bool) -> list[Any]:
    table = found.table
    column = sorted_by(found, spec, key)
    directed = column.desc() if descending else column.asc()
    tie = table.c.id.desc() if descending else table.c.id.asc()
    nullable = spec is not None and (spec.custom or table.c[key].nullable)
    return [directed.nulls_last() if nullable else directed, tie]


def _ids_by_lookup(
    session: Session,
    actor: Actor,
    found: Entity,
    spec: FieldSpec,
    clause: ColumnElement[bool],
    descending: bool,
    size: int,
    offset: int,
) -> list[int]:
    """Sorted by a short list (people, stages): count per value, then read only the values that this page touches."""
    link, target = found.table.c[spec.key], entity(spec.to or "").table
    counts = dict(session.execute(select(link, func.count()).where(clause).group_by(link)).tuples().all())
    title = target.c.position if spec.to in ("stage", "lead_status") else alphabetical(target.c[entity(spec.to or "").title])
    if persons.blurs(actor, spec.to or "", entity(spec.to or "").title):
        title = target.c.id
    ranked = list(session.execute(select(target.c.id).order_by(title.desc() if descending else title, target.c.id)).scalars())
    ids: list[int] = []
    for value in [*ranked, None]:
        here = counts.get(value, 0)
        if offset >= here:
            offset -= here
            continue
        same = link.is_(None) if value is None else link == value
        ids += session.execute(
            select(found.table.c.id).where(clause, same).order_by(found.table.c.id).limit(size - len(ids)).offset(offset)
        ).scalars()
        offset = 0
        if len(ids) >= size:
            break
    return ids


def _ids_by_title(
    session: Session,
    actor: Actor,
    found: Entity,
    spec: FieldSpec,
    clause: ColumnElement[bool],
    descending: bool,
    size: int,
    offset: int,
) -> list[int]:
    """Sorted by the name of a linked record: walk those records by name. Rows without one, or with a hidden one, come last."""
    table, other = found.table, entity(spec.to or "")
    target = other.table.alias()
    link = table.c[spec.key]
    title = target.c.id if persons.blurs(actor, other.key, other.title) else _by_title(other, target)
    seen = visible(actor, other.key, target, with_deleted=True)
    joined = target.join(table, link == target.c.id)
    order = (title.desc(), target.c.id.desc(), table.c.id.desc()) if descending else (title, target.c.id, table.c.id)
    query = select(table.c.id).select_from(joined).where(clause, seen).order_by(*order)
    ids = list(session.execute(query.limit(size).offset(offset)).scalars())
    if len(ids) == size:
        return ids
    named = session.execute(select(func.count()).select_from(joined).where(clause, seen)).scalar_one()
    bare = select(table.c.id).where(clause, link.is_(None) | link.not_in(select(target.c.id).where(seen))).order_by(table.c.id)
    return ids + list(session.execute(bare.limit(size - len(ids)).offset(max(0, offset - named))).scalars())


def _by_title(found: Entity, table: Any) -> ColumnElement[Any]:
    return table.c[found.title] if found.title in AS_WRITTEN else alphabetical(table.c[found.title])


def rows_of(
    session: Session, actor: Actor, entity_key: str, ids: Sequence[int], specs: Iterable[FieldSpec]
) -> list[dict[str, Any]]:
    """Rows of ids that were already found visible, in the given order, with reference titles and masks applied."""
    if not ids:
        return []
    table = entity(entity_key).table
    chosen = list(specs)
    statement: Select[Any] = select(
        table.c.id, table.c.version, *[spec.expression(table).label(spec.key) for spec in chosen]
    ).where(table.c.id.in_(ids))
    by_id = {row.id: dict(row._mapping) for row in session.execute(statement)}
    rows = [by_id[record_id] for record_id in ids if record_id in by_id]
    for spec in chosen:
        if spec.to in ENTITIES:
            _add_titles(session, actor, rows, spec)
        if actor.masked(entity_key, spec.key):
            for row in rows:
                row[spec.key] = instead(actor, spec, row[spec.key])
        elif spec.key == "subject" and persons.hides(actor):
            said = persons.subjects(session, actor, entity_key, {row["id"]: row["subject"] for row in rows})
            for row in rows:
                row["subject"] = said[row["id"]]
        elif spec.custom:
            for row in rows:
                row[spec.key] = spec.from_json(row[spec.key])
        elif spec.enum is not None:
            for row in rows:
                row[spec.key] = spec.enum(row[spec.key]) if row[spec.key] is not None else None
    return rows


def instead(actor: Actor, spec: FieldSpec, value: Any) -> Any:
    """What is shown of a value that is masked for the actor; nothing stays nothing."""
    if value is None:
        return None
    return trace(spec.kind, value) if actor.veiled(spec.entity, spec.key) else MASK


def _add_titles(session: Session, actor: Actor, rows: list[dict[str, Any]], spec: FieldSpec) -> None:
    known = titles(session, actor, spec.to or "", {row[spec.key] for row in rows})
    for row in rows:
        row[f"{spec.key}.title"] = known.get(row[spec.key])


def titles(session: Session, actor: Actor, entity_key: str, ids: Iterable[int | None]) -> dict[int, str]:
    """Names of records by id, as the actor may see them: hidden records have none, masked names are masked."""
    wanted = {record_id for record_id in ids if record_id is not None}
    if not wanted:
        return {}
    found = entity(entity_key)
    known = _kept_titles(session, actor, found, wanted) if READS in session.info else _titles(session, actor, found, wanted)
    if actor.masked(entity_key, found.title):
        return {record_id: f"{found.label} {record_id}" for record_id in known}
    return persons.subjects(session, actor, entity_key, known)


def _titles(session: Session, actor: Actor, found: Entity, wanted: Iterable[int] | None) -> dict[int, str]:
    query = select(found.table.c.id, found.table.c[found.title])
    query = query.limit(SHORT + 1) if wanted is None else query.where(found.table.c.id.in_(wanted))
    if not found.lookup:
        query = query.where(visible(actor, found.key, found.table, with_deleted=True))
    return dict(session.execute(query).tuples().all())


def _kept_titles(session: Session, actor: Actor, found: Entity, wanted: set[int]) -> dict[int, str]:
    """What a reading session asked once it does not ask again; short lists (people, stages) are shared by all until they change."""
    if found.lookup:
        everything = shared(session, ("titles", found.key), (found.table.name,), lambda: _titles(session, actor, found, None))
        if len(everything) <= SHORT:
            return {record_id: everything[record_id] for record_id in wanted if record_id in everything}
    kept: dict[int, str | None] = session.info.setdefault("titles", {}).setdefault((found.key, actor), {})
    missing = wanted - kept.keys()
    if missing:
        kept |= dict.fromkeys(missing) | _titles(session, actor, found, missing)
    return {record_id: title for record_id in wanted if (title := kept[record_id]) is not None}


def choices(
    session: Session, actor: Actor, entity_key: str, q: str = "", *, limit: int = 50, include: Iterable[int | None] = ()
) -> dict[int, str]:
    """Id → name of records to choose from in a form: the first ones by name that match, and those already chosen."""
    found = entity(entity_key)
    if found.lookup and not q and not actor.masked(entity_key, found.title):
        read = lambda: _choices(session, actor, entity_key, "", limit)  # noqa: E731
        chosen = dict(shared(session, ("choices", entity_key, limit), (found.table.name,), read))
    else:
        chosen = _choices(session, actor, entity_key, q, limit)
    if actor.masked(entity_key, found.title):
        chosen = {record_id: f"{found.label} {record_id}" for record_id in chosen}
    else:
        chosen = persons.subjects(session, actor, entity_key, chosen)
    return {**titles(session, actor, entity_key, include), **chosen}


def _choices(session: Session, actor: Actor, entity_key: str, q: str, limit: int) -> dict[int, str]:
    """The first ones by name, which of a lookup are the same for everybody."""
    found = entity(entity_key)
    table = found.table
    statement = select(table.c.id, table.c[found.title])
    if found.lookup:
        statement = statement.where(table.c.is_active) if "is_active" in table.c else statement
        order = [alphabetical(table.c[found.sort[0]]), table.c.id]
    else:
        statement = statement.where(visible(actor, entity_key, table))
        order = [_by_title(found, table), table.c.id]
    if persons.blurs(actor, entity_key, found.title):
        order = [table.c.id]
    hits = search.within(session, actor, entity_key, q) if q and found.search else None
    if hits is not None:
        if found.lookup or Scope.ALL in actor.scopes(entity_key, Action.READ):
            # A frequent word has thousands of hits; those that were entered last are enough to choose from.
            hits = hits.order_by(hits.selected_columns.record_id.desc()).limit(NEAREST)
        statement = statement.where(table.c.id.in_(hits))
    return dict(session.execute(statement.order_by(*order).limit(limit)).tuples().all())


BY_ID = ("id", False)
IN_ORDER = 100_000
"""So many rows of an export are put in the order of the list: their ids are held in memory meanwhile."""


def _reachable(session: Session, actor: Actor, entity_key: str, query: ListQuery, action: Action) -> ColumnElement[bool]:
    """The rows that a query means and on which the actor may do that too."""
    seen = condition(session, actor, entity_key, query)
    return seen if action is Action.READ else and_(seen, condition(session, actor, entity_key, query, action=action))


def iterate(
    session: Session, actor: Actor, entity_key: str, query: ListQuery, *, batch: int = 2_000
) -> Iterable[list[dict[str, Any]]]:
    """All rows of a query in batches, for exports; needs the export permission and keeps to its reach. In the order of the list, which is found
    once, so that no row comes twice and none is left out; more than ``IN_ORDER`` rows come by id."""
    specs = _specs(session, entity_key, query.columns or entity(entity_key).columns)
    table = entity(entity_key).table
    clause = _reachable(session, actor, entity_key, query, Action.EXPORT)
    total = session.execute(select(func.count()).select_from(table).where(clause)).scalar_one() if query.sort != BY_ID else 0
    if 0 < total <= IN_ORDER:
        ids = _page_ids(session, actor, entity_key, query, total, 0, action=Action.EXPORT)
        for at in range(0, total, batch):
            yield rows_of(session, actor, entity_key, ids[at : at + batch], specs)
        return
    last = 0
    while True:
        ids = list(session.execute(select(table.c.id).where(clause, table.c.id > last).order_by(table.c.id).limit(batch)).scalars())
        if not ids:
            return
        yield rows_of(session, actor, entity_key, ids, specs)
        last = ids[-1]
