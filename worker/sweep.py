"""Signs of life, and taking over the work of workers that give none any more (only where several workers share PostgreSQL)."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlmodel import Session

from crm_core.db import is_sqlite, write_session
from crm_core.jobs.queue import client
from crm_core.jobs.tables import RUNNING, statuses
from crm_core.kit.clock import utcnow
from crm_core.models import WorkerHeartbeat
from crm_core.settings import settings

log = logging.getLogger("rapport.worker")
_BEATS = WorkerHeartbeat.__table__  # type: ignore[attr-defined]
_LOCK = 7_241_001


def _now(session: Session) -> datetime:
    """The database's clock where workers of several machines must agree."""
    return utcnow() if is_sqlite(session) else session.execute(select(func.clock_timestamp())).scalar_one()


def arrive(name: str) -> None:
    """Say that this worker starts now."""
    leave(name)
    beat(name)


def beat(name: str) -> None:
    """Give a sign of life."""
    with write_session() as session:
        now = _now(session)
        seen = session.execute(update(_BEATS).where(_BEATS.c.executor_id == name).values(seen_at=now))
        if seen.rowcount == 0:  # type: ignore[attr-defined]
            session.execute(_BEATS.insert().values(executor_id=name, started_at=now, seen_at=now))


def leave(name: str) -> None:
    """Say good-bye, so that what is left of this worker's jobs is taken over at once."""
    with write_session() as session:
        session.execute(delete(_BEATS).where(_BEATS.c.executor_id == name))


def sweep() -> list[str]:
    """Put running jobs whose worker is gone back into the queue; returns their ids. PostgreSQL only; one sweeper at a time.

    A worker that was only slow may still be at such a job: its attempt is fenced off by the next one (crm_core.jobs.run).
    """
    with write_session() as session:
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        silent = _now(session) - timedelta(seconds=settings().worker_silent_seconds)
        session.execute(delete(_BEATS).where(_BEATS.c.seen_at < silent))
        status = statuses(session)
        orphaned = status.c.executor_id.not_in(select(_BEATS.c.executor_id))
        columns = (status.c.workflow_uuid, status.c.queue_name, status.c.executor_id)
        orphans = session.execute(select(*columns).where(status.c.status == RUNNING, orphaned)).all()
        for job_id, queue, worker in orphans:
            log.warning("job %s of the silent worker %s goes back into the queue", job_id, worker)
            client().resume_workflow(job_id, queue_name=queue or "jobs")
    return [orphan.workflow_uuid for orphan in orphans]
