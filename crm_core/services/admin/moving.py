"""Moving a workspace to another database (usually from SQLite to PostgreSQL), table by table, with row counts and checksums of both sides.

The source is read in one transaction and stays as it is; the target fills in one transaction, so a failed move leaves it empty.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Table, create_engine, func, insert, inspect, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session
from sqlmodel import select as sqlmodel_select

from crm_core import db, schema
from crm_core.errors import Conflict, Invalid, Unavailable
from crm_core.models import Base, CustomField, Organisation
from crm_core.services.admin import custom_fields
from crm_core.settings import ROOT, Settings, settings

_BATCH = 2_000
_LEFT = {"worker_heartbeat"}
_JOBS = ("workflow_status", "workflow_input")

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Moved:
    """One table after the move: rows and checksum on both sides."""

    table: str
    rows: int
    rows_there: int
    checksum: str
    checksum_there: str

    @property
    def equal(self) -> bool:
        return self.rows == self.rows_there and self.checksum == self.checksum_there


def move(target_url: str, *, progress: Progress | None = None) -> list[Moved]:
    """Copy everything into an empty database. Raises Conflict when the target holds a workspace, Unavailable when a copy differs."""
    url = Settings(database_url=target_url).url
    if make_url(url) == make_url(settings().url):
        raise Invalid("The workspace is in this database already.")
    if not schema.is_current():
        raise Unavailable("The database is not up to date. Run: python -m crm_core migrate.", permanent=True)
    _migrate_there(target_url)
    there = create_engine(url)
    try:
        with db.read_engine().connect() as source, there.begin() as target:
            _require_empty(target)
            report = [_move_table(source, target, table, progress) for table in _tables()]
            _move_jobs(source, target)
            _set_sequences(target)
            _index_custom_fields(target)
            wrong = [each.table for each in report if not each.equal]
            if wrong:
                raise Unavailable(
                    f"The copy of {', '.join(wrong)} differs from its source; the target was left empty.", permanent=True
                )
    except DBAPIError as error:
        raise Unavailable(
            f"The other database refused the move: {str(error.orig).splitlines()[0]} It was left as it was."
        ) from error
    finally:
        there.dispose()
    return report


def _tables() -> list[Table]:
    return [table for table in Base.metadata.sorted_tables if table.name not in _LEFT]


def _migrate_there(target_url: str) -> None:
    """Give the target its shape: a process of its own, as the settings of this one point at the source."""
    environment = {**os.environ, "RAPPORT_DATABASE_URL": target_url}
    command = [sys.executable, "-m", "crm_core", "migrate", "--bare", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise Unavailable(f"The other database could not be prepared: {_last_words(done.stdout)}", permanent=True)


def _last_words(answer: str) -> str:
    """The sentence in what the other process answered as JSON."""
    try:
        return str(json.loads(answer.strip().splitlines()[-1])["message"]).replace(
            "RAPPORT_DATABASE_URL", "the address behind --to"
        )
    except (IndexError, ValueError, KeyError, TypeError):
        return "it gave no answer."


def _require_empty(target: Connection) -> None:
    organisation = Organisation.__table__  # type: ignore[attr-defined]
    if target.execute(select(func.count()).select_from(organisation)).scalar_one():
        raise Conflict("The other database holds a workspace already. Nothing was moved.")


def _move_table(source: Connection, target: Connection, table: Table, progress: Progress | None) -> Moved:
    target.execute(table.delete())
    own = [column for column in table.c if any(key.column.table is table for key in column.foreign_keys)]
    key = list(table.primary_key.columns)
    rows = total = 0
    for batch in _batches(source, table):
        total = (total + sum(map(_digest, batch))) % 2**64
        target.execute(insert(table), [{**row, **{column.key: None for column in own}} for row in batch])
        rows += len(batch)
        if progress:
            progress(table.name, len(batch))
    unchanged = {name: table.c[name] for name in ("updated_at",) if name in table.c}  # or the update would set it to now
    for column in own:  # a row may point at a later one of the same table
        linked = select(*key, column).where(column.is_not(None))
        for row in source.execute(linked).mappings():
            target.execute(
                update(table).where(*[each == row[each.key] for each in key]).values({column.key: row[column.key], **unchanged})
            )
    there = [(len(batch), sum(map(_digest, batch))) for batch in _batches(target, table)]
    checksum_there = sum(each for _, each in there) % 2**64
    return Moved(table.name, rows, sum(count for count, _ in there), f"{total:016x}", f"{checksum_there:016x}")


def _batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    result = connection.execute(select(table), execution_options={"yield_per": _BATCH})
    for part in result.mappings().partitions(_BATCH):
        yield [dict(row) for row in part]


def _digest(row: dict[str, Any]) -> int:
    """A number for a row that both databases agree on, whatever order they give rows and JSON keys in."""
    canonical = json.dumps({key: _plain(value) for key, value in row.items()}, sort_keys=True, ensure_ascii=False)
    return int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:8], "big")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _move_jobs(source: Connection, target: Connection) -> None:
    """Jobs that still have to run go along; finished ones stay behind."""
    active = "status in ('ENQUEUED', 'DELAYED', 'PENDING')"
    of_active = f"workflow_uuid in (select workflow_uuid from {_name(source, 'workflow_status')} where {active})"  # noqa: S608
    for name, where in zip(_JOBS, (active, of_active), strict=True):
        kept = {column["name"] for column in inspect(target).get_columns(name, schema=_schema(target))}
        for row in source.execute(text(f"select * from {_name(source, name)} where {where}")).mappings():  # noqa: S608
            values = {key: _job_value(key, value) for key, value in row.items() if key in kept}
            columns, marks = ", ".join(values), ", ".join(_mark(target, name, key) for key in values)
            target.execute(text(f"insert into {_name(target, name)} ({columns}) values ({marks})"), values)  # noqa: S608


def _job_value(key: str, value: Any) -> Any:
    """What was running waits again: its worker is not there any more. Flags are numbers on SQLite."""
    if key == "status" and value == "PENDING":
        return "ENQUEUED"
    if key in ("owner_xid", "executor_id", "started_at_epoch_ms"):
        return None
    if key in ("was_forked_from", "rate_limited", "is_debounced"):
        return bool(value)
    return json.dumps(value) if isinstance(value, dict | list) else value


def _mark(target: Connection, table: str, key: str) -> str:
    return f"cast(:{key} as jsonb)" if key == "attributes" and target.dialect.name != "sqlite" else f":{key}"


def _schema(connection: Connection) -> str | None:
    return None if connection.dialect.name == "sqlite" else "dbos"


def _name(connection: Connection, table: str) -> str:
    return table if connection.dialect.name == "sqlite" else f"dbos.{table}"


def _set_sequences(target: Connection) -> None:
    """The next new row must get a number that no moved row has."""
    if target.dialect.name == "sqlite":
        return
    for table in _tables():
        if "id" in table.c:
            target.execute(
                text(
                    f"select setval(pg_get_serial_sequence('{table.name}', 'id'), greatest((select max(id) from {table.name}), 1), "  # noqa: S608
                    f"(select max(id) from {table.name}) is not null)"
                )
            )


def _index_custom_fields(target: Connection) -> None:
    """The indexes of filterable custom fields are made by an administrator's click, not by a migration."""
    with Session(bind=target, join_transaction_mode="create_savepoint") as session:
        for row in session.exec(sqlmodel_select(CustomField).where(CustomField.filterable, CustomField.active)):
            custom_fields.create_index(session, row)
        session.commit()
