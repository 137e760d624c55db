"""The nightly purge of what nobody needs any more: finished jobs, old tries to sign in, keys of submitted forms, ended sessions, used links,
requests of programs, from where readers of the help centre answered, who followed what is gone for good."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, or_, select

from crm_core import planner
from crm_core.db import read_session
from crm_core.jobs import Job, job
from crm_core.jobs.queue import client
from crm_core.jobs.registry import REGISTRY
from crm_core.jobs.tables import CANCELLED, DONE, FAILED, GIVEN_UP, RUNS, statuses
from crm_core.kit.clock import utcnow
from crm_core.models import OneTimeLink, SubmitKey
from crm_core.records import LASTING
from crm_core.services.admin import api_door, sessions, signin
from crm_core.services.collaboration import following, webhook_run
from crm_core.services.helpdesk import help_pages
from crm_core.services.sales import shop_door

FAILED_DAYS, KEYS_DAYS, LASTING_DAYS = 60, 7, 400
_BATCH = 500


@job("upkeep.purge", title="Remove what is out of date", cron="15 3 * * *")
def purge(job: Job) -> None:
    """Every night at a quarter past three."""
    with job.transaction() as session:
        signin.purge(session)
        sessions.purge(session)
        webhook_run.purge(session)
        shop_door.purge(session)
        help_pages.forget_places(session)
        following.forget(session)
        for statement in (*_stale(), *api_door.stale()):
            session.execute(statement)
    planner.count_anew()
    while ids := _finished():
        client().delete_workflows(ids)
        with job.transaction() as session:
            session.execute(delete(RUNS).where(RUNS.c.job_id.in_(ids)))
            job.report(len(ids))


def _stale() -> list[Any]:
    now = utcnow()
    keys: Any = SubmitKey.__table__  # type: ignore[attr-defined]
    links: Any = OneTimeLink.__table__  # type: ignore[attr-defined]
    return [
        delete(keys).where(keys.c.at < now - timedelta(days=KEYS_DAYS), keys.c.key.not_like(f"{LASTING}%")),
        delete(keys).where(keys.c.at < now - timedelta(days=LASTING_DAYS)),
        delete(links).where(or_(links.c.expires_at < now - timedelta(days=30), links.c.used_at < now - timedelta(days=30))),
    ]


def _finished() -> list[str]:
    """Ids of finished jobs past their time; failures stay longer, for whoever wants to know why."""
    now = utcnow()

    def age(days: int) -> int:
        return int((now - timedelta(days=days)).timestamp() * 1000)

    with read_session() as session:
        status = statuses(session)
        old = [
            (status.c.status == DONE) & (status.c.name == spec.name) & (status.c.updated_at < age(spec.keep_days))
            for spec in REGISTRY.values()
        ]
        ended = status.c.status.in_((DONE, FAILED, GIVEN_UP, CANCELLED)) & (status.c.updated_at < age(FAILED_DAYS))
        return list(session.execute(select(status.c.workflow_uuid).where(or_(ended, *old)).limit(_BATCH)).scalars())
