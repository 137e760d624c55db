"""Bulk writes that leave the same rows behind as the kernel does one by one: records, search documents, events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Enum as SqlEnum
from sqlalchemy import bindparam, func, insert, select, text, update
from sqlmodel import Session

from crm_core import automation_inbox, db, erased, matching, search
from crm_core.access import Actor
from crm_core.entities import Entity, entity
from crm_core.events import sentence_of
from crm_core.fields import FieldSpec, to_json
from crm_core.models import Event, MatchKey, SearchDocument
from crm_core.models.base import sort_values
from crm_core.services.admin.imports.kinds.base import Written
from crm_core.summary_marks import day_of, mark, mark_all, zone_of

_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_DOCS: Any = SearchDocument.__table__  # type: ignore[attr-defined]
_KEYS: Any = MatchKey.__table__  # type: ignore[attr-defined]
_NEVER: Any = object()
_NOTHING: dict[str, Any] = {}


def reserve(session: Session, table: Any, count: int) -> list[int]:
    """Keys for rows that are about to be inserted. Knowing them beforehand allows the fastest kind of insert on both databases."""
    connection = session.connection()
    if db.is_sqlite(session):  # the write lock is ours, so nobody can take the same numbers
        known = connection.execute(text("select seq from sqlite_sequence where name = :name"), {"name": table.name}).scalar() or 0
        top = connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
        first = max(known, top) + 1
        return list(range(first, first + count))
    sequence = func.pg_get_serial_sequence(table.name, "id")
    numbers = select(func.nextval(sequence)).select_from(func.generate_series(1, count).table_valued("n"))
    return list(connection.execute(numbers).scalars())


def defaults(found: Entity) -> dict[str, Any]:
    """A new record's columns before anything is known about it, as the model itself would fill them."""
    blank = found.model()
    return {column.key: getattr(blank, column.key) for column in found.table.c if column.key != "id"}


def insert_records(session: Session, entity_key: str, rows: Sequence[Written]) -> None:
    """Insert new records with their keys already set, their search documents and their match keys."""
    found = entity(entity_key)
    fast_insert(session, found.table, [row.columns | sort_values(found.table, row.columns) for row in rows])
    _mark_days(session, entity_key, rows)
    things = [SimpleNamespace(**row.columns) for row in rows]
    if found.search:
        documents = [{"entity": entity_key, "record_id": each.id, "text": search.text_of(found, each)} for each in things]
        fast_insert(session, _DOCS, documents)
    if entity_key in matching.MATCHED:
        stamp = {"created_at": rows[0].columns["created_at"], "updated_at": rows[0].columns["updated_at"], "version": 1}
        keys = [
            {**stamp, "entity": entity_key, "record_id": each.id, "kind": kind, "key": key}
            for each in things
            for kind, key in matching.keys_of(entity_key, each)
        ]
        fast_insert(session, _KEYS, keys)
    if entity_key in matching.PEOPLE:
        erased.block(session, things)


def fast_insert(session: Session, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns. The usual insert spends most of its time turning the same values into the same parameters."""
    if not rows:
        return
    connection = session.connection()
    keys = list(rows[0])
    statement = insert(table).compile(dialect=connection.dialect, column_keys=keys)
    order = list(statement.positiontup or keys) if statement.positional else keys
    columns = [_parameters([row[key] for row in rows], table.c[key].type, connection.dialect) for key in order]
    parameters: Any = list(zip(*columns, strict=True))
    if not statement.positional:
        parameters = [dict(zip(order, row, strict=True)) for row in parameters]
    connection.exec_driver_sql(str(statement), parameters)
    db.bump(session, table.name)


def _parameters(values: list[Any], kind: Any, dialect: Any) -> list[Any]:
    """A column's values as the driver wants them, by the type's own conversion; the same object again is not converted again."""
    convert = kind.dialect_impl(dialect).bind_processor(dialect)
    if convert is None:
        return values
    last, result, done = _NEVER, None, []
    for value in values:
        if value is not last:
            last, result = value, convert(value)
        done.append(result)
    return done


def update_records(session: Session, entity_key: str, rows: Sequence[Written]) -> None:
    """Write changed columns; rows that change the same columns go in one statement. Versions rise."""
    found = entity(entity_key)
    table = found.table
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        written = {key: row.columns[key] for key in (*row.old, "version", "updated_at")}
        written |= sort_values(table, written)
        groups.setdefault(tuple(sorted(written)), []).append(
            {"at_id": row.id, **{f"to_{key}": value for key, value in written.items()}}
        )
    for keys, parameters in groups.items():
        values = {key: bindparam(f"to_{key}", type_=table.c[key].type) for key in keys}
        session.connection().execute(update(table).where(table.c.id == bindparam("at_id")).values(**values), parameters)
    _mark_days(session, entity_key, rows)
    for row in rows:
        if set(row.old) & set(found.search):
            search.index(session, entity_key, SimpleNamespace(**row.columns))
    db.bump(session, table.name, "search_document")


def _mark_days(session: Session, entity_key: str, rows: Sequence[Written]) -> None:
    """The summaries' days that a write touches, before and after it."""
    if entity_key not in ("deal", "order", "product"):
        return
    states = [state for row in rows for state in ((row.columns, {**row.columns, **row.old}) if row.old else (row.columns,))]
    if entity_key == "deal":
        mark(session, "deal", {state["closed_on"] for state in states})
    elif entity_key == "order":
        zone = zone_of(session)
        for summary in ("order", "sale", "product"):
            mark(session, summary, {day_of(state["ordered_at"], zone) for state in states})
    elif entity_key == "product" and any("category_id" in row.old for row in rows):
        mark_all(session, "sale")


def write_events(
    session: Session,
    actor: Actor,
    entity_key: str,
    rows: Iterable[Written],
    specs: Mapping[str, FieldSpec],
    run_id: int,
    at: datetime,
    *,
    silent: bool = False,
) -> None:
    """One event per written record, as ``events.record`` would have made it, with the import that caused it.

    Automations that take imports hear of them, unless ``silent``: an undo begins nothing new.
    """
    data = {"import": run_id}
    made = [_event(actor, entity_key, row, specs, data, at) for row in rows]
    if not made:
        return
    heard = not silent and automation_inbox.listening(session, entity_key, imported=True)
    if heard:
        made = [{"id": key, **one} for key, one in zip(reserve(session, _EVENTS, len(made)), made, strict=True)]
    fast_insert(session, _EVENTS, made)
    if heard:
        automation_inbox.hear(session, [SimpleNamespace(**one) for one in made], imported=True)


def _event(
    actor: Actor, entity_key: str, row: Written, specs: Mapping[str, FieldSpec], data: dict[str, Any], at: datetime
) -> dict[str, Any]:
    event_type = row.event_type or f"{entity_key}.{'updated' if row.old else 'created'}"
    sentence_of(event_type)
    return {
        "type": event_type,
        "entity": entity_key,
        "record_id": row.id,
        "record_version": row.columns["version"],
        "account_id": row.id if entity_key == "account" else row.columns.get("account_id"),
        "at": at,
        "actor_id": actor.user_id,
        "via": actor.via,
        "changes": _changes(row, specs) if row.old else _NOTHING,
        "data": {**data, **row.event_data} if row.event_data else data,
        "cause_id": None,
        "depth": 0,
    }


def _changes(row: Written, specs: Mapping[str, FieldSpec]) -> dict[str, list[Any]]:
    changes = {
        key: [to_json(old), to_json(row.columns[key])] for key, old in row.old.items() if key in specs and key != "updated_at"
    }
    if "extra" in row.old:
        before, after = row.old["extra"] or {}, row.columns["extra"] or {}
        changes |= {key: [before.get(key), after.get(key)] for key in {*before, *after} if before.get(key) != after.get(key)}
    return changes


def before_json(old: Mapping[str, Any]) -> dict[str, Any]:
    """What an undo puts back, as JSON."""
    return {key: dict(value or {}) if key == "extra" else to_json(value) for key, value in old.items()}


def before_values(found: Entity, kept: Mapping[str, Any]) -> dict[str, Any]:
    """The column values that ``before_json`` kept."""
    return {key: _from_json(found.table.c[key], value) for key, value in kept.items() if key in found.table.c}


def _from_json(column: Any, value: Any) -> Any:
    if value is None or column.key == "extra":
        return value
    if isinstance(column.type, SqlEnum) and column.type.enum_class is not None:
        return column.type.enum_class(value)
    python = getattr(column.type, "impl", column.type).python_type  # instants wrap the type that they are kept as
    if python is datetime:
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if python is date else value


__all__ = ["before_json", "before_values", "defaults", "insert_records", "reserve", "update_records", "write_events"]
