"""Imports in the background: closing the browser loses nothing, and a worker that is killed goes on where it stopped."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlmodel import Session

from crm_core import db, jobs, planner
from crm_core.access import Actor
from crm_core.errors import CrmError, Unavailable
from crm_core.jobs import Cancelled, Job, Superseded, job
from crm_core.models import ImportRun
from crm_core.services.admin.imports import driver, runs, undo
from crm_core.settings import settings
from crm_core.vocabulary import ImportState

INLINE_ROWS = 3_000
"""Up to so many rows a dry run answers while one waits; beyond that it is a job."""

_LOCKING_ROWS = 20_000
"""On SQLite a dry run holds the one write lock until it is rolled back; a longer one works on a copy of the database instead."""


# --- putting into the queue --------------------------------------------------------------------------------------------------


def check_in_background(session: Session, actor: Actor, run_id: int) -> ImportRun:
    """Queue the dry run of a plan that has no problems."""
    run = runs.begin_check(session, actor, run_id)
    return _enqueue(session, actor, run, "import.check", f"Check {run.file_name}")


def start_in_background(session: Session, actor: Actor, run_id: int) -> ImportRun:
    """Start an import and queue its work, both in this transaction."""
    run = runs.start(session, actor, run_id)
    return _enqueue(session, actor, run, "import.run", f"Import {run.file_name}")


def resume_in_background(session: Session, actor: Actor, run_id: int) -> ImportRun:
    """Let a stopped import go on."""
    run = runs.resume(session, actor, run_id)
    return _enqueue(session, actor, run, "import.run", f"Import {run.file_name}")


def undo_in_background(session: Session, actor: Actor, run_id: int) -> ImportRun:
    """Take an import back."""
    run = undo.revert(session, actor, run_id)
    return _enqueue(session, actor, run, "import.undo", f"Undo the import of {run.file_name}")


def _enqueue(session: Session, actor: Actor, run: ImportRun, name: str, title: str) -> ImportRun:
    job_id = jobs.enqueue(session, name, run.id, job_id=f"{name}:{run.id}:{run.version}", title=title, user_id=actor.user_id)
    run.report = {**run.report, "job": job_id}
    session.add(run)
    session.flush()
    return run


def waiting_words(session: Session, run: ImportRun) -> str:
    """Why a run that should be working shows no progress yet; empty while it does."""
    found = jobs.status(session, run.report.get("job", "")) if run.report.get("job") else None
    if found is None or found.state == "running":
        return ""
    if found.state == "waiting" and not jobs.worker_is_alive(session):
        return "No worker is running, so nothing happens. Ask an administrator to start one."
    words = {
        "waiting": "Waiting for its turn.",
        "delayed": "Waiting for its turn.",
        "failed": found.message or "The job failed.",
        "cancelled": "The job was stopped.",
    }
    return words.get(found.state, "")


# --- what the worker does ----------------------------------------------------------------------------------------------------


@job("import.run", title="Import a file")
def run_import(task: Job, run_id: int) -> None:
    """Import the rows of a started run, batch by batch."""
    _work(task, run_id, runs.run_batch, lambda run: run.done_rows)
    planner.count_anew()


@job("import.undo", title="Undo an import")
def undo_import(task: Job, run_id: int) -> None:
    """Take an import back, batch by batch."""
    _work(task, run_id, undo.undo_batch, lambda run: run.total_rows - undo.place(run))


def _work(task: Job, run_id: int, step: Callable[..., bool], done: Callable[[ImportRun], int]) -> None:
    kept: dict[str, Any] = {}
    more = True
    while more:
        try:
            with task.transaction() as session:
                more = step(session, run_id, kept)
                run = session.get_one(ImportRun, run_id)
                task.cursor = {"done": done(run), "version": run.version}
                task.report(done(run), run.total_rows)
        except Superseded:
            raise
        except Cancelled as error:
            driver.stopped(run_id, "Somebody stopped the job. The import can go on.")
            raise error
        except CrmError as error:
            if isinstance(error, Unavailable) and not error.permanent:
                raise  # the job waits and tries again
            driver.stopped(run_id, error.message)
            raise


@job("import.forget", title="Remove old uploads", cron="45 3 * * *")
def forget_uploads(task: Job) -> None:
    """Nightly: the files of imports that ended three months ago."""
    with task.transaction() as session:
        runs.forget_files(session)


@job("import.check", title="Check a file before import")
def check_import(task: Job, run_id: int) -> None:
    """The dry run of a large file."""
    try:
        report = _rehearse(run_id)
        with task.transaction() as session:
            run = session.get_one(ImportRun, run_id)
            runs.keep_report(session, runs.acting_for(session, run), run_id, report)
            task.report(run.total_rows, run.total_rows)
    except CrmError as error:
        if not isinstance(error, Superseded):
            check_failed(run_id, error.message)
        raise


def _rehearse(run_id: int) -> dict[str, Any]:
    with db.read_session() as session:
        rows = session.get_one(ImportRun, run_id).total_rows
    if settings().is_sqlite and rows > _LOCKING_ROWS:
        with _copy() as session:
            return _rehearse_in(session, run_id)
    with db.write_session() as session:
        return _rehearse_in(session, run_id)


def _rehearse_in(session: Session, run_id: int) -> dict[str, Any]:
    run = session.get_one(ImportRun, run_id)
    return runs.rehearse(session, runs.acting_for(session, run), run)


@contextmanager
def _copy() -> Iterator[Session]:
    """A session on a throw-away copy of the SQLite database: the real one stays free for everybody else."""
    with tempfile.TemporaryDirectory(dir=settings().data_dir) as folder:
        path = Path(folder) / "copy.db"
        raw = db.read_engine().raw_connection()
        try:
            with sqlite3.connect(path) as target:
                raw.driver_connection.backup(target)  # type: ignore[union-attr]
            target.close()
        finally:
            raw.close()
        engine = db._sqlite_engine(f"sqlite:///{path}", read_only=False)
        try:
            with Session(engine, expire_on_commit=False) as session:
                yield session
        finally:
            engine.dispose()


def check_failed(run_id: int, message: str) -> None:
    """A dry run that could not be done leaves its reason and the plan as it was."""
    with db.write_session() as session:
        run = session.get_one(ImportRun, run_id)
        if run.state is ImportState.CHECKING:
            run.state, run.message = ImportState.MAPPED, message[:1000]
            session.add(run)
