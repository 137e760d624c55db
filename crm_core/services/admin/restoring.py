"""Putting a backup in the place of the database. Only from the command line, with Rapport stopped; the old database is kept aside."""

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

from crm_core import db, jobs, schema
from crm_core.errors import Conflict, Invalid, Unavailable
from crm_core.kit.clock import utcnow
from crm_core.services.admin import backup_files, backups
from crm_core.settings import settings


def restore(source: Path) -> Path | None:
    """Replace the database by a backup and migrate it to this code's shape; returns where the old one lies (None: there was none).

    Raises Invalid for a file that is not a backup of Rapport, Unavailable for a damaged or too new one, Conflict while Rapport runs.
    """
    if not source.is_file():
        raise Invalid(f"There is no file {source}.")
    aside = _restore_sqlite(source.absolute()) if settings().is_sqlite else _restore_postgres(source.absolute())
    schema.upgrade()
    backup_files.bring_back(source.absolute())
    return aside


def _refuse_version(found: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(schema.config()).walk_revisions()}
    if found not in known:
        raise Unavailable(
            "This backup was made by a newer version of Rapport. Update the program first. Nothing was changed.", permanent=True
        )


# --- SQLite ---------------------------------------------------------------------------------------------------------------------


def _restore_sqlite(source: Path) -> Path | None:
    _check_sqlite(source)
    target = Path(make_url(settings().url).database or "")
    db.dispose()
    jobs.close()
    with _exclusive(target):
        fresh = target.with_name(f"{target.name}.restoring")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, fresh)
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise Unavailable(f"The backup could not be copied ({error.strerror or error}). The database is as it was.") from error
        aside = _set_aside(target)
        fresh.replace(target)
    return aside


def _check_sqlite(source: Path) -> None:
    with source.open("rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise Invalid(f"{source.name} is not a backup of Rapport on SQLite. Nothing was changed.")
    backups.verify_sqlite(source)
    connection = sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)
    try:
        tables = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
        if not {"alembic_version", "organisation", "event_log"} <= tables:
            raise Invalid(f"{source.name} is a database, but not one of Rapport. Nothing was changed.")
        row = connection.execute("select version_num from alembic_version").fetchone()
    finally:
        connection.close()
    _refuse_version(row[0] if row else None)


class _exclusive:  # noqa: N801  (reads like a statement)
    """Hold the database alone: leaving WAL mode succeeds only for the last connection, and leaves one self-contained file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        if not self.path.exists():
            return
        connection = sqlite3.connect(self.path, timeout=2)
        try:
            mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
        except sqlite3.OperationalError as error:
            raise Conflict(
                "Rapport is still running on this database. Stop the app and the worker first. Nothing was changed."
            ) from error
        except sqlite3.DatabaseError:
            return  # the database to be replaced is no database any more: that is what the backup is for
        finally:
            connection.close()
        if mode != "delete":
            raise Conflict("Rapport is still running on this database. Stop the app and the worker first. Nothing was changed.")

    def __exit__(self, *_: Any) -> None:
        return None


def _set_aside(target: Path) -> Path | None:
    if not target.exists():
        return None
    aside = target.with_name(f"{target.stem}-before-restore-{utcnow():%Y%m%d-%H%M%S}{target.suffix}")
    target.rename(aside)
    for suffix in ("-wal", "-shm"):
        Path(f"{target}{suffix}").unlink(missing_ok=True)
    return aside


# --- PostgreSQL -----------------------------------------------------------------------------------------------------------------


def _restore_postgres(source: Path) -> Path | None:
    with source.open("rb") as file:
        if file.read(5) != b"PGDMP":
            raise Invalid(f"{source.name} is not a backup of Rapport on PostgreSQL (pg_dump, custom format). Nothing was changed.")
    listed = backups.postgres_tool("pg_restore", "--list", str(source)).stdout
    if b"TABLE DATA public alembic_version" not in listed or b"TABLE DATA public organisation" not in listed:
        raise Invalid(f"{source.name} is a dump, but not one of Rapport. Nothing was changed.")
    version = backups.postgres_tool("pg_restore", "--data-only", "--table=alembic_version", "--file=-", str(source)).stdout.decode()
    lines = version.splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith("COPY public.alembic_version")), len(lines))
    _refuse_version(lines[start + 1] if start + 1 < len(lines) else None)
    aside = backups.folder() / f"before-restore-{utcnow():%Y%m%d-%H%M%S}.dump" if schema.current() is not None else None
    if aside is not None:
        backups.make(aside)
    db.dispose()
    jobs.close()
    backups.postgres_tool(
        "pg_restore",
        "--clean",
        "--if-exists",
        "--no-owner",
        "--single-transaction",
        "--exit-on-error",
        "--dbname={url}",
        str(source),
    )
    return aside
