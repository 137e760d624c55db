"""Backups of the whole database: made online, verified before they count, kept in the data folder, restored from the command line.

SQLite: ``VACUUM INTO`` beside running writers, then ``quick_check``. PostgreSQL: ``pg_dump`` in the custom format. Restoring: see
``crm_core.services.admin.restoring``.
"""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlmodel import Session

from crm_core import events
from crm_core.access import Actor, require
from crm_core.db import read_session, write_session
from crm_core.errors import CrmError, NotFound, Unavailable
from crm_core.jobs import Job, enqueue, job
from crm_core.kit.clock import utcnow
from crm_core.models import BackupRun
from crm_core.services.admin import backup_files
from crm_core.settings import settings
from crm_core.vocabulary import Action

KEEP = 14
"""So many verified backups stay in the data folder; older ones are removed after a newer one was verified."""

_RUNS: Any = BackupRun.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Backup:
    """One backup as people see it. ``exists``: the file still lies where it was written."""

    id: int
    at: datetime
    path: Path
    size_bytes: int
    seconds: float
    verified: bool
    message: str

    @property
    def exists(self) -> bool:
        return self.path.is_file()


def folder() -> Path:
    """Where backups lie unless a path is given."""
    path = settings().data_dir / "backups"
    path.mkdir(parents=True, exist_ok=True)
    return path


def suggested() -> Path:
    """A fresh file name in the backup folder."""
    return folder() / f"rapport-{utcnow():%Y%m%d-%H%M%S}{'.db' if settings().is_sqlite else '.dump'}"


def make(target: Path | None = None) -> Backup:
    """Write and verify a backup now, and note it. An existing file is not overwritten; nothing half-written is left behind."""
    target = (target or suggested()).absolute()
    began = time.perf_counter()
    try:
        with _written(target) as part:
            (_copy_sqlite if settings().is_sqlite else _dump_postgres)(part)
        backup_files.save(target)
    except CrmError as error:
        with suppress(Exception):  # a full disk takes no note either
            _note(target, 0, time.perf_counter() - began, verified=False, message=error.message)
        raise
    return _note(target, target.stat().st_size, time.perf_counter() - began, verified=True)


@contextmanager
def _written(target: Path) -> Iterator[Path]:
    """A file beside the target that takes its place once it is complete."""
    if target.exists():
        raise Unavailable(f"{target} exists already; nothing was written. Choose another name.", permanent=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise Unavailable(f"The backup could not be written to {target}: {error.strerror or error}.", permanent=True) from error
    finally:
        for left in (part, part.with_name(f"{part.name}-journal")):
            left.unlink(missing_ok=True)


def _copy_sqlite(part: Path) -> None:
    source = make_url(settings().url).database or ""
    _require_space(part, Path(source).stat().st_size)
    connection = sqlite3.connect(source, timeout=30)
    try:
        connection.execute("VACUUM INTO ?", (str(part),))
    except sqlite3.Error as error:
        full = "full" in str(error).lower()
        reason = "The disk is full" if full else f"The database could not be copied ({error})"
        raise Unavailable(f"{reason}, so there is no new backup. Nothing was changed.") from error
    finally:
        connection.close()
    verify_sqlite(part)


def _require_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise Unavailable(
            f"The backup needs up to {needed >> 20} MB, but only {free >> 20} MB are free in {part.parent}. Nothing was written."
        )


def verify_sqlite(path: Path) -> None:
    """Raise Unavailable unless the file is a sound SQLite database."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Unavailable(f"{path.name} is not a sound database ({error}).", permanent=True) from error
    if result != "ok":
        raise Unavailable(f"{path.name} is damaged: {result}.", permanent=True)


def postgres_tool(name: str, *arguments: str, url: str | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run one of PostgreSQL's own programs against our database; its password travels in the environment, not on the command line."""
    program = shutil.which(name)
    if program is None:
        raise Unavailable(
            f"{name} is not installed here. Install PostgreSQL's client programs (Debian: postgresql-client), or let your database's "
            "provider make backups; see docs/operations.md.",
            permanent=True,
        )
    parsed = make_url(url or settings().url).set(drivername="postgresql")
    environment = {**os.environ, **({"PGPASSWORD": str(parsed.password)} if parsed.password else {})}
    address = parsed.set(password=None).render_as_string(hide_password=False)
    command = [program, *[argument.replace("{url}", address) for argument in arguments]]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise Unavailable(f"{name} failed: {words[-1] if words else 'no message'}")
    return done


def _dump_postgres(part: Path) -> None:
    postgres_tool("pg_dump", "--format=custom", "--compress=1", "--no-owner", f"--file={part}", "--dbname={url}")
    if b"alembic_version" not in postgres_tool("pg_restore", "--list", str(part)).stdout:
        raise Unavailable("pg_dump wrote a file without our tables.", permanent=True)


def _note(target: Path, size: int, seconds: float, *, verified: bool, message: str = "") -> Backup:
    with write_session() as session:
        row = BackupRun(at=utcnow(), path=str(target), size_bytes=size, seconds=seconds, verified=verified, message=message[:500])
        session.add(row)
        session.flush()
        return _backup(row)


def _backup(row: Any) -> Backup:
    return Backup(row.id, row.at, Path(row.path), row.size_bytes, row.seconds, row.verified, row.message)


def prune() -> list[Path]:
    """Remove backups beyond the newest ``KEEP`` verified ones from the backup folder, and never any other file."""
    with read_session() as session:
        rows = session.execute(select(_RUNS).where(_RUNS.c.verified).order_by(_RUNS.c.id.desc())).all()
    ours = [path for row in rows if (path := Path(row.path)).parent == folder() and path.is_file()]
    for path in ours[KEEP:]:
        path.unlink(missing_ok=True)
        backup_files.companion(path).unlink(missing_ok=True)
    for part in folder().glob(".rapport-*.part"):
        if time.time() - part.stat().st_mtime > 86_400:
            part.unlink(missing_ok=True)
    return ours[KEEP:]


@job("backup", title="Backup", queue="heavy", cron="30 2 * * *", keep_days=60)
def run(_job: Job) -> None:
    """Every night at half past two, and when somebody asks."""
    make()
    prune()


# --- for the pages --------------------------------------------------------------------------------------------------------------


def start(session: Session, actor: Actor) -> str:
    """Ask for a backup; returns the job's id. Events: organisation.backed_up."""
    require(actor, "organisation", Action.MANAGE)
    events.record(session, actor, "organisation.backed_up", entity="organisation")
    return enqueue(session, "backup", user_id=actor.user_id, unless_waiting=True)


def find(session: Session, actor: Actor, *, limit: int = 20) -> list[Backup]:
    """The youngest backups and failed tries."""
    require(actor, "organisation", Action.MANAGE)
    return [_backup(row) for row in session.execute(select(_RUNS).order_by(_RUNS.c.id.desc()).limit(limit))]


def latest(session: Session) -> Backup | None:
    """The youngest verified backup."""
    row = session.execute(select(_RUNS).where(_RUNS.c.verified).order_by(_RUNS.c.id.desc()).limit(1)).first()
    return _backup(row) if row is not None else None


def file_of(session: Session, actor: Actor, backup_id: int) -> Path:
    """The file of a verified backup, to download."""
    require(actor, "organisation", Action.MANAGE)
    row = session.execute(select(_RUNS).where(_RUNS.c.id == backup_id, _RUNS.c.verified)).first()
    if row is None or not Path(row.path).is_file():
        raise NotFound("This backup's file is not there any more.")
    return Path(row.path)
