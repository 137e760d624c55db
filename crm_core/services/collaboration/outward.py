"""Records as other programs see them: plain JSON values, money in minor units with its currency, instants in UTC, masks kept.

Used by the API and by webhooks alike, so that both tell the same about a record.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor, require, visible
from crm_core.entities import ENTITIES, entity
from crm_core.errors import Invalid
from crm_core.fields import FieldSpec, registry, to_json
from crm_core.lists import ListQuery
from crm_core.models import Event
from crm_core.vocabulary import Action, Choice, FieldKind

_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
Position = tuple[Any, int]
"""Where a page ended: the value sorted by (as JSON) and the id."""


def wire(value: Any) -> Any:
    """A value as it goes over the line."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value.value if isinstance(value, Choice) else value


def chosen(session: Session, entity_key: str, fields: Sequence[str]) -> list[FieldSpec]:
    """The fields asked for, all of them when none is named. Raises Invalid for one that there is not."""
    specs = registry(session, entity_key)
    unknown = [key for key in fields if key not in specs]
    if unknown:
        raise Invalid(fields={"fields": f"There is no field “{unknown[0][:60]}”."})
    return [specs[key] for key in dict.fromkeys(fields)] if fields else list(specs.values())


def records_of(
    session: Session,
    actor: Actor,
    entity_key: str,
    ids: Sequence[int],
    *,
    fields: Sequence[str] = (),
    with_deleted: bool = False,
) -> list[dict[str, Any]]:
    """The records of these ids that the actor may see, in this order."""
    require(actor, entity_key, Action.READ)
    table, specs = entity(entity_key).table, chosen(session, entity_key, fields)
    seen = select(table.c.id).where(table.c.id.in_(ids), visible(actor, entity_key, table, with_deleted=with_deleted))
    allowed = set(session.execute(seen).scalars())
    rows = lists.rows_of(session, actor, entity_key, [one for one in ids if one in allowed], specs)
    own = _currencies(session, entity_key, allowed)
    return [_shaped(actor, entity_key, row, specs, own.get(row["id"], actor.currency)) for row in rows]


def _currencies(session: Session, entity_key: str, ids: Iterable[int]) -> dict[int, str]:
    table = entity(entity_key).table
    if "currency" not in table.c:
        return {}
    return dict(session.execute(select(table.c.id, table.c.currency).where(table.c.id.in_(ids))).tuples().all())


def _shaped(actor: Actor, entity_key: str, row: Mapping[str, Any], specs: Sequence[FieldSpec], currency: str) -> dict[str, Any]:
    hidden = [spec.key for spec in specs if actor.masked(entity_key, spec.key)]
    made: dict[str, Any] = {"id": row["id"], "version": row["version"]}
    made |= {spec.key: None if spec.key in hidden else wire(row[spec.key]) for spec in specs}
    if any(spec.kind is FieldKind.MONEY for spec in specs):
        made["currency"] = currency
    names = {spec.key: row[f"{spec.key}.title"] for spec in specs if spec.to in ENTITIES and row.get(f"{spec.key}.title")}
    return made | {"names": names, "masked": hidden}


def changes_since(session: Session, actor: Actor, entity_key: str, record_id: int, version: int) -> list[dict[str, Any]]:
    """What happened to each field of a record after a version: the value then and now, as far as the actor may see the field."""
    require(actor, entity_key, Action.READ)
    query = select(_EVENTS.c.changes).where(
        _EVENTS.c.entity == entity_key, _EVENTS.c.record_id == record_id, _EVENTS.c.record_version > version
    )
    specs = registry(session, entity_key)
    found: dict[str, tuple[Any, Any]] = {}
    for changes in session.execute(query.order_by(_EVENTS.c.id).limit(500)).scalars():
        for key, (old, new) in changes.items():
            if key in specs and not actor.masked(entity_key, key):
                found[key] = (found.get(key, (old,))[0], new)
    return [{"field": key, "then": old, "now": new} for key, (old, new) in found.items()]


# --- page by page ----------------------------------------------------------------------------------------------------------------


def ids_after(
    session: Session, actor: Actor, entity_key: str, query: ListQuery, *, position: Position | None, size: int
) -> tuple[list[int], Position | None]:
    """The ids of the next page of a list, and where it ended (None: that was all). No record twice and none left out, whatever is added meanwhile.

    Sorted by a field of the record itself; empty values come last.
    """
    require(actor, entity_key, Action.READ)
    table = entity(entity_key).table
    key, descending = query.sort or ("id", True)
    column, spec = _column(session, actor, entity_key, key)
    clause = lists.condition(session, actor, entity_key, query)
    nullable = spec is not None and (spec.custom or table.c[key].nullable)
    if position is not None:
        clause = and_(clause, _beyond(column, table.c.id, spec, position, descending, nullable))
    directed = column.desc() if descending else column.asc()
    order = [directed.nulls_last() if nullable else directed]
    if spec is not None:
        order.append(table.c.id.desc() if descending else table.c.id.asc())
    rows = session.execute(select(table.c.id, column.label("at_")).where(clause).order_by(*order).limit(size + 1)).all()
    if len(rows) <= size:
        return [row[0] for row in rows], None
    last = rows[size - 1]
    return [row[0] for row in rows[:size]], (to_json(last[1]), last[0])


def _column(session: Session, actor: Actor, entity_key: str, key: str) -> tuple[ColumnElement[Any], FieldSpec | None]:
    table = entity(entity_key).table
    if key == "id":
        return table.c.id, None
    spec = registry(session, entity_key).get(key)
    if spec is None or spec.to is not None or spec.kind is FieldKind.LONG_TEXT or actor.masked(entity_key, key):
        raise Invalid(fields={"sort": f"The list can't be sorted by “{key[:60]}”."})
    return lists.sorted_by(entity(entity_key), spec, key), spec


def _beyond(
    column: ColumnElement[Any], id_column: Any, spec: FieldSpec | None, position: Position, descending: bool, nullable: bool
) -> ColumnElement[bool]:
    raw, record_id = position
    later_id = id_column < record_id if descending else id_column > record_id
    if spec is None:
        return later_id
    if raw is None:
        return and_(column.is_(None), later_id)
    value = _typed(spec, raw)
    later = column < value if descending else column > value
    return or_(later, and_(column == value, later_id), *([column.is_(None)] if nullable else []))


def _typed(spec: FieldSpec, raw: Any) -> Any:
    """A value of a cursor as the column compares it. Cursors come back from outside, so anything may stand there."""
    wrong = Invalid(fields={"cursor": "This cursor is not one of ours. Begin again without it."})
    fits = isinstance(raw, bool) if spec.kind is FieldKind.BOOLEAN else isinstance(raw, int | float if spec.numeric else str)
    if not fits:
        raise wrong
    try:
        if spec.custom:
            return raw
        if spec.kind is FieldKind.DATETIME:
            return datetime.fromisoformat(raw)
        if spec.kind is FieldKind.DATE:
            return date.fromisoformat(raw)
        return spec.enum(raw) if spec.enum is not None else raw
    except ValueError as error:
        raise wrong from error
