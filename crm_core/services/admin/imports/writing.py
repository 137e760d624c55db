"""Bulk writes that leave the same rows behind as the kernel does one by one: records, search documents, events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Enum as SqlEnum
from sqlalchemy import bindparam, func, insert, select, text, update
from sqlmodel import Session

from crm_core import db, search
from crm_core.access import Actor
from crm_core.entities import Entity, entity
from crm_core.events import sentence_of
from crm_core.fields import FieldSpec, to_json
from crm_core.models import Event
from crm_core.services.admin.imports.kinds.base import Written
from crm_core.summary_marks import day_of, mark, mark_all, zone_of

_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]


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
    """Insert new records with their keys already set, and their search documents."""
    found = entity(entity_key)
    session.execute(insert(found.table), [row.columns for row in rows])
    search.index_many(session, entity_key, (SimpleNamespace(**row.columns) for row in rows))
    db.bump(session, found.table.name, "search_document")


def update_records(session: Session, entity_key: str, rows: Sequence[Written]) -> None:
    """Write changed columns; rows that change the same columns go in one statement. Versions rise."""
    found = entity(entity_key)
    table = found.table
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        keys = tuple(sorted({*row.old, "version", "updated_at"}))
        groups.setdefault(keys, []).append({"at_id": row.id, **{f"to_{key}": row.columns[key] for key in keys}})
    for keys, parameters in groups.items():
        values = {key: bindparam(f"to_{key}", type_=table.c[key].type) for key in keys}
        session.connection().execute(update(table).where(table.c.id == bindparam("at_id")).values(**values), parameters)
    _mark_days(session, entity_key, rows)
    for row in rows:
        if set(row.old) & set(found.search):
            search.index(session, entity_key, SimpleNamespace(**row.columns))
    db.bump(session, table.name, "search_document")


def _mark_days(session: Session, entity_key: str, rows: Sequence[Written]) -> None:
    """The summaries' days that an update touches, before and after it."""
    states = [state for row in rows for state in (row.columns, {**row.columns, **row.old})]
    if entity_key == "deal":
        mark(session, "deal", {state["closed_on"] for state in states})
    elif entity_key == "order":
        zone = zone_of(session)
        for summary in ("order", "sale"):
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
) -> None:
    """One event per written record, as ``events.record`` would have made it, with the import that caused it."""
    made = [_event(actor, entity_key, row, specs, run_id, at) for row in rows]
    if made:
        session.connection().execute(insert(_EVENTS), made)
        db.bump(session, "event_log")


def _event(
    actor: Actor, entity_key: str, row: Written, specs: Mapping[str, FieldSpec], run_id: int, at: datetime
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
        "changes": _changes(row, specs),
        "data": {"import": run_id, **row.event_data},
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
    python = column.type.python_type
    if python is datetime:
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if python is date else value


__all__ = ["before_json", "before_values", "defaults", "insert_records", "reserve", "update_records", "write_events"]
