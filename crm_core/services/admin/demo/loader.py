"""Fast writing of whole tables: prepared rows on SQLite, COPY on PostgreSQL, both inside the caller's transaction."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import numpy as np
from sqlalchemy import Column, Table, text
from sqlmodel import Session

from crm_core import db
from crm_core.kit.text import sort_key
from crm_core.models import Base
from crm_core.models.base import sort_columns

BATCH = 50_000
LARGE, CACHE_KIB = 1_000_000, 2_000_000
Progress = Callable[[str, int], None]
"""``progress(table, rows)`` after each batch."""


@contextmanager
def room(session: Session, rows: int) -> Iterator[None]:
    """Let SQLite keep the growing indexes of a large load in memory: with the usual cache each row would read its pages back from disk."""
    large = db.is_sqlite(session) and rows > LARGE
    if large:
        session.execute(text(f"PRAGMA cache_size=-{CACHE_KIB}"))
    try:
        yield
    finally:
        if large:
            session.execute(text("PRAGMA cache_size=-65536"))


def insert(
    session: Session, table_name: str, columns: Mapping[str, Any], now: np.datetime64, progress: Progress | None = None
) -> int:
    """Write all rows of a table; a scalar stands for a whole column, 0 in a link means no link, NaT and None mean empty. Returns their number."""
    table = Base.metadata.tables[table_name]
    filled = {**_defaults(table, now), **columns}
    filled |= {key: [sort_key(text) for text in filled[of]] for key, of in sort_columns(table) if of in columns}
    length = next(len(values) for values in filled.values() if isinstance(values, np.ndarray | list))
    write = _write_sqlite if db.is_sqlite(session) else _write_postgres
    for start in range(0, length, BATCH):
        stop = min(start + BATCH, length)
        cells = [_cells(table.c[name], values, start, stop) for name, values in filled.items()]
        write(session, table, list(filled), zip(*cells, strict=True))
        if progress is not None:
            progress(table_name, stop - start)
    db.bump(session, table_name)
    return length


def finish(session: Session, tables: list[str]) -> None:
    """Let new keys follow the loaded ones, and tell the query planner what is there."""
    if not db.is_sqlite(session):
        for name in tables:
            if "id" in Base.metadata.tables[name].c:
                session.execute(text(f"select setval(pg_get_serial_sequence('{name}', 'id'), (select max(id) from {name}))"))  # noqa: S608
    session.execute(text("ANALYZE"))


def _defaults(table: Table, now: np.datetime64) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in table.c:
        if column.key in ("created_at", "updated_at"):
            found[column.key] = now
        elif column.key in ("extra", "changes", "data", "layout"):
            found[column.key] = "{}"
        elif column.default is not None and column.default.is_scalar:
            value = column.default.arg  # type: ignore[attr-defined]
            found[column.key] = float(value) if isinstance(value, Decimal) else getattr(value, "value", value)
    return found


def _cells(column: Column[Any], values: Any, start: int, stop: int) -> list[Any]:
    if not isinstance(values, np.ndarray | list):
        values = np.full(stop - start, values) if isinstance(values, np.datetime64) else [values] * (stop - start)
        start, stop = 0, stop - start
    part = values[start:stop]
    if isinstance(part, list):
        return part
    if part.dtype.kind == "M":
        return _stamps(part)
    if part.dtype.kind in "iu" and column.foreign_keys:
        return [value or None for value in part.tolist()]
    return part.tolist()  # type: ignore[no-any-return]


def _stamps(part: Any) -> list[str | None]:
    return [None if value == "NaT" else value.replace("T", " ") for value in np.datetime_as_string(part).tolist()]


def _write_sqlite(session: Session, table: Table, names: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    marks = ", ".join("?" * len(names))
    statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
    session.connection().exec_driver_sql(statement, list(rows))


def _write_postgres(session: Session, table: Table, names: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    session.execute(text("SET LOCAL TIME ZONE 'UTC'"))
    connection: Any = session.connection().connection.driver_connection
    with connection.cursor() as cursor, cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
