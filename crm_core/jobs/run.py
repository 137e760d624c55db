"""Running one job: its attempt, its cursor, its progress, and the fence that keeps an earlier attempt from writing on."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select, update
from sqlmodel import Session

from crm_core.access import Actor, load
from crm_core.db import write_session
from crm_core.errors import CrmError, Unavailable
from crm_core.jobs import tables
from crm_core.jobs.queue import note
from crm_core.jobs.registry import spec
from crm_core.jobs.tables import RUNS, statuses
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.vocabulary import Via

log = logging.getLogger("rapport.jobs")

MAX_STALLED_ATTEMPTS = 10
"""Starts without any progress after which a job is given up: a job that kills its worker must not do so for ever."""

_RETRY_SECONDS = (1, 2, 5, 10, 20)


class Superseded(CrmError):
    """Another attempt of the same job has taken over; this one must not write any more."""

    code = "superseded"


class Cancelled(CrmError):
    """Somebody stopped the job."""

    code = "cancelled"


class Job:
    """A running job, as its function sees it. ``cursor`` is where it stands: small JSON, saved with ``transaction``."""

    def __init__(self, job_id: str, name: str, attempt: int, cursor: dict[str, Any]) -> None:
        self.id = job_id
        self.name = name
        self.attempt = attempt
        self.cursor = cursor
        self._inside = False
        self._report: dict[str, Any] = {}
        self._told = 0.0
        self._fresh = False

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A unit of work that commits together with the cursor and the report, unless the job was cancelled or taken over meanwhile."""
        before = dict(self.cursor)
        self._inside = True
        try:
            with write_session() as session:
                yield session
                session.flush()
                self._save(session, moved=self.cursor != before or self._fresh)
            self._fresh = False
        except BaseException:
            self.cursor = before
            raise
        finally:
            self._inside = False

    def asker(self, session: Session) -> Actor:
        """Who asked for the job, with what they may do by now. Raises NotPermitted when they are gone, or when nobody asked."""
        user_id = session.execute(select(RUNS.c.user_id).where(RUNS.c.job_id == self.id)).scalar()
        return load(session, user_id or 0, via=Via.WORKER)

    def report(self, done: int, total: int | None = None, message: str = "") -> None:
        """Say how far the job is. Written with the transaction around it, else by itself, at most about once a second.

        Not inside a ``write_session`` of your own: on SQLite the second writer would wait for the first one until it gives up.
        """
        self._report = {"done": done, "total": total, "message": clip(message, 1000)}
        self._fresh = True
        if not self._inside and time.monotonic() - self._told >= 1:
            self._told = time.monotonic()
            with write_session() as session:
                self._save(session, moved=False)

    def _save(self, session: Session, *, moved: bool) -> None:
        values: dict[str, Any] = {**self._report, "updated_at": utcnow()}
        if moved:
            values |= {"cursor": self.cursor, "progress_attempt": self.attempt}
        mine = update(RUNS).where(RUNS.c.job_id == self.id, RUNS.c.attempt == self.attempt).values(**values)
        if session.execute(mine).rowcount != 1:  # type: ignore[attr-defined]
            raise Superseded("Another worker has taken this job over.")
        status = statuses(session)
        if session.execute(select(status.c.status).where(status.c.workflow_uuid == self.id)).scalar() == tables.CANCELLED:
            raise Cancelled("This job was stopped.")


def execute(job_id: str, name: str, args: tuple[Any, ...]) -> Any:
    """Run a job to its end. Troubles that pass by themselves are waited out; a failure leaves its sentence on the job and is raised."""
    declared = spec(name)
    try:
        if declared is None:
            raise Unavailable(f"This worker does not know the job “{name}”. Is it an older version than the app?", permanent=True)
        for wait in (*_RETRY_SECONDS, None):
            try:
                return _attempt(job_id, name, declared.function, args)
            except Unavailable as error:
                if error.permanent or wait is None:
                    raise
                log.warning("job %s waits %s s: %s", job_id, wait, error.message)
                time.sleep(wait)
    except (Superseded, Cancelled):
        raise
    except CrmError as error:
        _leave_message(job_id, error.message)
        log.warning("job %s failed: %s", job_id, error.message)
        raise
    except Exception as error:
        log.exception("job %s failed", job_id)
        _leave_message(
            job_id, f"A fault in the program ({type(error).__name__}); the worker's log holds the details under {job_id}."
        )
        raise
    return None


def _attempt(job_id: str, name: str, function: Any, args: tuple[Any, ...]) -> Any:
    job = begin(job_id, name)
    result = function(job, *args)
    with job.transaction():
        pass
    return result


def begin(job_id: str, name: str) -> Job:
    """Start the next attempt of a job; earlier ones can't commit any more."""
    with write_session() as session:
        declared = spec(name)
        note(session, job_id, name, declared.title if declared else name, None)
        session.execute(
            update(RUNS).where(RUNS.c.job_id == job_id).values(attempt=RUNS.c.attempt + 1, message="", updated_at=utcnow())
        )
        row = session.execute(select(RUNS).where(RUNS.c.job_id == job_id)).one()
        if declared is not None and row.title == name:  # enqueued by a process that had not loaded the declaration
            session.execute(update(RUNS).where(RUNS.c.job_id == job_id).values(title=declared.title))
    if row.attempt - row.progress_attempt > MAX_STALLED_ATTEMPTS:
        raise Unavailable(
            f"Given up after {MAX_STALLED_ATTEMPTS} starts without any progress; the worker's log may say why.", permanent=True
        )
    return Job(job_id, name, row.attempt, dict(row.cursor or {}))


def _leave_message(job_id: str, message: str) -> None:
    try:
        with write_session() as session:
            session.execute(update(RUNS).where(RUNS.c.job_id == job_id).values(message=clip(message, 1000), updated_at=utcnow()))
    except Exception:
        log.exception("the failure of job %s could not be noted", job_id)
