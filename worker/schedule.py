"""Jobs that the clock starts. Each due instant has a job id of its own, so any number of workers start it once.

Only the latest due instant counts: after a weekend switched off there is one backup, not three.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlmodel import Session

from crm_core.db import read_session, write_session
from crm_core.jobs import enqueue
from crm_core.jobs.registry import JobSpec
from crm_core.jobs.tables import RUNS
from crm_core.kit.clock import utcnow
from crm_core.models import Organisation

log = logging.getLogger("rapport.worker")


def due_at(cron: str, now: datetime, timezone: str) -> datetime:
    """The latest instant at or before ``now`` that the cron fields name (five, or a sixth for seconds), read in a time zone."""
    from croniter import croniter

    return croniter(cron, now.astimezone(ZoneInfo(timezone))).get_prev(datetime).astimezone(UTC)


def tick(specs: Iterable[JobSpec], started_at: datetime) -> list[str]:
    """Enqueue what is due; returns the ids of the jobs that were added.

    What fell due before this worker started is made up for only if the clock started the job before: a new workspace does not begin with a backup.
    """
    now = utcnow()
    added = []
    with read_session() as session:
        organisation = session.execute(select(Organisation.timezone)).scalar() or "UTC"  # type: ignore[call-overload]
        wanted = [
            (spec, job_id)
            for spec in specs
            if spec.cron and (job_id := _wanted(session, spec, due_at(spec.cron, now, organisation), started_at))
        ]
    for spec, job_id in wanted:
        with write_session() as session:
            added.append(enqueue(session, spec.name, job_id=job_id))
    return added


def _wanted(session: Session, spec: JobSpec, due: datetime, started_at: datetime) -> str | None:
    job_id = f"{spec.name}@{due:%Y-%m-%dT%H:%M}{f':{due:%S}' if due.second else ''}Z"
    known = select(RUNS.c.job_id).limit(1)
    if session.execute(known.where(RUNS.c.job_id == job_id)).first() is not None:
        return None
    earlier = known.where(RUNS.c.job_id.startswith(f"{spec.name}@", autoescape=True))
    if due < started_at and session.execute(earlier).first() is None:
        return None
    return job_id if spec.when is None or spec.when(session) else None
