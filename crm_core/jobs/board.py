"""What the jobs page and a page that waits for its job see and do. Reading needs no job engine, only its status table."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import event, func, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from crm_core import events
from crm_core.access import Actor, require
from crm_core.errors import Conflict, NotFound
from crm_core.jobs import tables
from crm_core.jobs.queue import client
from crm_core.jobs.tables import RUNS, statuses
from crm_core.kit.clock import utcnow
from crm_core.kit.paging import Page
from crm_core.models import WorkerHeartbeat
from crm_core.settings import settings
from crm_core.vocabulary import Action

STATES = {
    "waiting": (tables.WAITING,),
    "delayed": (tables.DELAYED,),
    "running": (tables.RUNNING,),
    "done": (tables.DONE,),
    "failed": (tables.FAILED, tables.GIVEN_UP),
    "cancelled": (tables.CANCELLED,),
}
"""State for people → states of the engine."""


@dataclass(frozen=True)
class JobRow:
    """One job as people see it. ``state``: waiting, delayed, running, done, failed or cancelled."""

    id: str
    name: str
    title: str
    state: str
    done: int
    total: int | None
    message: str
    user_id: int | None
    queue: str
    worker: str
    attempts: int
    created_at: datetime
    due_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def active(self) -> bool:
        return self.state in ("waiting", "delayed", "running")

    @property
    def share(self) -> float | None:
        """Part that is done, 0 to 1; None while the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else None


@dataclass(frozen=True)
class WorkerRow:
    """One worker process and whether it gave a sign of life lately."""

    executor_id: str
    started_at: datetime
    seen_at: datetime
    alive: bool


def _instant(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _select(session: Session) -> tuple[Any, Any]:
    status = statuses(session)
    columns = [status.c[key] for key in ("workflow_uuid", "name", "status", "queue_name", "executor_id", "created_at")]
    times = [status.c[key] for key in ("delay_until_epoch_ms", "started_at_epoch_ms", "completed_at")]
    own = [RUNS.c[key] for key in ("title", "done", "total", "message", "user_id", "attempt")]
    joined = status.outerjoin(RUNS, RUNS.c.job_id == status.c.workflow_uuid)
    return status, select(*columns, *times, *own).select_from(joined)


def _row(found: Any) -> JobRow:
    state = next((name for name, known in STATES.items() if found.status in known), found.status.lower())
    started = _instant(found.started_at_epoch_ms)
    return JobRow(
        id=found.workflow_uuid,
        name=found.name,
        title=found.title or found.name,
        state=state,
        done=found.done or 0,
        total=found.total,
        message=found.message or "",
        user_id=found.user_id,
        queue=found.queue_name or "",
        worker=found.executor_id or "",
        attempts=found.attempt or 0,
        created_at=_instant(found.created_at) or utcnow(),
        due_at=_instant(found.delay_until_epoch_ms),
        started_at=started,
        finished_at=_instant(found.completed_at),
    )


def status(session: Session, job_id: str) -> JobRow | None:
    """Where one job stands, for a page that waits for it; None when there is no such job (any more). The caller checks who may look."""
    known, statement = _select(session)
    found = session.execute(statement.where(known.c.workflow_uuid == job_id)).first()
    return _row(found) if found is not None else None


def find(session: Session, actor: Actor, job_id: str) -> JobRow | None:
    """One job, for whoever asked for it or may see all; None when there is no such job (any more)."""
    row = status(session, job_id) if job_id else None
    if row is not None and (actor.user_id is None or row.user_id != actor.user_id):
        require(actor, "job", Action.READ)
    return row


def find_jobs(session: Session, actor: Actor, *, state: str = "", name: str = "", page: int = 1, size: int = 50) -> Page:
    """One page of jobs, the youngest first; ``rows`` hold ``{"job": JobRow}``."""
    require(actor, "job", Action.READ)
    known, statement = _select(session)
    conditions = [known.c.status.in_(STATES[state])] if state in STATES else []
    if name:
        conditions.append(known.c.name == name)
    total = session.execute(select(func.count()).select_from(known).where(*conditions)).scalar_one()
    page = min(max(1, page), max(1, -(-total // size)))
    found = session.execute(
        statement.where(*conditions)
        .order_by(known.c.created_at.desc(), known.c.workflow_uuid)
        .limit(size)
        .offset((page - 1) * size)
    )
    return Page([{"job": _row(row)} for row in found], total, page, size)


def counts(session: Session, actor: Actor) -> dict[str, int]:
    """Number of jobs in each state."""
    require(actor, "job", Action.READ)
    known = statuses(session)
    found = {row[0]: row[1] for row in session.execute(select(known.c.status, func.count()).group_by(known.c.status))}
    return {name: sum(found.get(each, 0) for each in of) for name, of in STATES.items()}


def lag(session: Session, actor: Actor) -> float:
    """Seconds for which the oldest job that could run has been waiting; 0 when none waits."""
    require(actor, "job", Action.READ)
    known = statuses(session)
    due = func.min(func.coalesce(known.c.delay_until_epoch_ms, known.c.created_at))
    now = utcnow().timestamp() * 1000
    ready = or_(known.c.status == tables.WAITING, (known.c.status == tables.DELAYED) & (known.c.delay_until_epoch_ms <= now))
    oldest = session.execute(select(due).where(ready)).scalar()
    return max(0.0, (now - oldest) / 1000) if oldest else 0.0


def workers(session: Session, actor: Actor) -> list[WorkerRow]:
    """The worker processes that have shown themselves, the youngest sign of life first."""
    require(actor, "job", Action.READ)
    table = WorkerHeartbeat.__table__  # type: ignore[attr-defined]
    now = utcnow()
    return [
        WorkerRow(
            row.executor_id, row.started_at, row.seen_at, (now - row.seen_at).total_seconds() < settings().worker_silent_seconds
        )
        for row in session.execute(select(table).order_by(table.c.seen_at.desc()))
    ]


def worker_is_alive(session: Session) -> bool:
    """True when some worker has shown itself lately; for a page that waits for its job."""
    table = WorkerHeartbeat.__table__  # type: ignore[attr-defined]
    latest = session.execute(select(func.max(table.c.seen_at))).scalar()
    return latest is not None and (utcnow() - latest).total_seconds() < settings().worker_silent_seconds


def _manageable(session: Session, actor: Actor, job_id: str) -> JobRow:
    require(actor, "job", Action.MANAGE)
    row = status(session, job_id)
    if row is None:
        raise NotFound("This job does not exist any more.")
    return row


def retry(session: Session, actor: Actor, job_id: str) -> None:
    """Put a failed or cancelled job back into the queue, once the session commits. It goes on from its cursor, so nothing is done twice."""
    row = _manageable(session, actor, job_id)
    if row.state not in ("failed", "cancelled"):
        raise Conflict("Only a job that failed or was stopped can be started again.")
    session.execute(
        update(RUNS).where(RUNS.c.job_id == job_id).values(progress_attempt=RUNS.c.attempt, message="", updated_at=utcnow())
    )
    events.record(session, actor, "job.retried", entity="job", data={"job": row.title, "id": job_id})
    _after_commit(session, lambda: _requeue(row))


def _requeue(row: JobRow) -> None:
    if row.state == "failed":
        client().rewind_workflow(row.id, queue_name=row.queue or "jobs")
    else:
        client().resume_workflow(row.id, queue_name=row.queue or "jobs")


def cancel(session: Session, actor: Actor, job_id: str) -> None:
    """Stop a job, once the session commits: a waiting one never starts, a running one stops at its next transaction."""
    row = _manageable(session, actor, job_id)
    if not row.active:
        raise Conflict("This job has already ended.")
    events.record(session, actor, "job.cancelled", entity="job", data={"job": row.title, "id": job_id})
    _after_commit(session, lambda: client().cancel_workflow(job_id))


def _after_commit(session: Session, action: Any) -> None:
    """The engine writes through a connection of its own, which on SQLite would wait for ours: so it comes after the commit."""
    event.listen(session, "after_commit", lambda _session: action(), once=True)


def ready(session: Session) -> bool:
    """True when the job engine's tables exist."""
    try:
        session.execute(select(statuses(session).c.status).limit(1)).first()
        return True
    except DBAPIError:
        session.rollback()
        return False


__all__ = [
    "JobRow",
    "WorkerRow",
    "cancel",
    "counts",
    "find",
    "find_jobs",
    "lag",
    "ready",
    "retry",
    "status",
    "worker_is_alive",
    "workers",
]
