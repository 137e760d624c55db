"""Putting work into the queue, in the transaction that causes it: a rolled-back session leaves no job behind."""

import threading
import uuid
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from crm_core import db
from crm_core.errors import Unavailable
from crm_core.jobs.registry import REGISTRY
from crm_core.jobs.tables import RUNS, statuses
from crm_core.kit.clock import utcnow
from crm_core.settings import settings

APPLICATION = "rapport"
VERSION = "rapport-1"
"""Pinned: the engine's default is a hash of the code, under which every deployment would strand the waiting jobs."""

_open: dict[str, Any] = {}
_lock = threading.Lock()


def client() -> Any:
    """The engine's client for the database of this process, made on first use (the import alone costs half a second)."""
    with _lock:
        url = settings().url
        if url not in _open:
            _close()
            _open[url] = _connect(url)
        return _open[url]


def _connect(url: str) -> Any:
    import logging

    from dbos import DBOSClient, DBOSPortableJSONSerializer

    logging.getLogger("dbos").setLevel(logging.WARNING)
    return DBOSClient(
        system_database_url=url,
        application_name=APPLICATION,
        serializer=DBOSPortableJSONSerializer(),
        lazy=True,
        retry_connection_errors=False,
    )


def close() -> None:
    """Give the client's connections back (between tests, before a restore)."""
    with _lock:
        _close()


def _close() -> None:
    while _open:
        _open.popitem()[1].destroy()


def prepare() -> None:
    """Create or update the job engine's own tables in our database."""
    import logging

    db.write_engine().connect().close()  # the first connection sets WAL, which the engine itself does not
    from dbos import DBOS

    logging.getLogger("dbos").setLevel(logging.WARNING)
    DBOS.migrate(settings().url)


def enqueue(
    session: Session,
    name: str,
    *args: Any,
    job_id: str | None = None,
    delay_seconds: float = 0,
    title: str = "",
    user_id: int | None = None,
    queue: str | None = None,
    unless_waiting: bool = False,
) -> str:
    """Put a job into the queue when the session commits; returns its id.

    ``args`` are ids and other small JSON values. The same ``job_id`` again is the same job: it does not run twice. ``delay_seconds`` lets
    it wait (for days, if need be). ``unless_waiting``: nothing is added while a job of this name still waits for its turn. ``title`` and
    ``user_id`` say on the jobs page what it is and who asked.
    """
    declared = REGISTRY.get(name)
    if unless_waiting and (waiting := _waiting(session, name)):
        return waiting
    options: dict[str, Any] = {
        "workflow_name": name,
        "queue_name": queue or (declared.queue if declared else "jobs"),
        "workflow_id": job_id or f"{name}:{uuid.uuid4().hex}",
        "application_name": APPLICATION,
        "app_version": VERSION,
    }
    if delay_seconds > 0:
        options["delay_seconds"] = delay_seconds
    try:
        client().enqueue_in_transaction(session, options, *args)
    except DBAPIError as error:
        if "workflow_status" in str(error.orig):
            raise Unavailable("The job queue is not set up yet. Run: python -m crm_core migrate.", permanent=True) from error
        raise
    note(session, options["workflow_id"], name, title or (declared.title if declared else name), user_id)
    return str(options["workflow_id"])


def _waiting(session: Session, name: str) -> str | None:
    status = statuses(session)
    return session.execute(
        select(status.c.workflow_uuid).where(status.c.name == name, status.c.status == "ENQUEUED").limit(1)
    ).scalar()


def note(session: Session, job_id: str, name: str, title: str, user_id: int | None) -> None:
    """Our own row about the job, once."""
    now = utcnow()
    values: dict[str, Any] = {
        "job_id": job_id, "name": name, "title": title[:200], "user_id": user_id, "attempt": 0, "progress_attempt": 0,
        "done": 0, "message": "", "cursor": {}, "created_at": now, "updated_at": now,
    }  # fmt: skip
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    session.execute(insert(RUNS).values(**values).on_conflict_do_nothing(index_elements=["job_id"]))
