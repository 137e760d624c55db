"""What the clock starts: each scheduled job with its last and its next time, for the jobs page."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlmodel import Session

from crm_core import summaries
from crm_core.access import Actor, require
from crm_core.jobs.registry import REGISTRY
from crm_core.jobs.tables import RUNS
from crm_core.kit.clock import utcnow
from crm_core.models import Organisation
from crm_core.services.admin import audit, backups, retention, upkeep
from crm_core.services.admin.imports import jobs as import_jobs
from crm_core.services.admin.privacy import copying
from crm_core.services.analytics import reports, run_work, scores, snapshots
from crm_core.services.automation import upkeep as automation_upkeep
from crm_core.services.booking import showing
from crm_core.services.booking import upkeep as booking_upkeep
from crm_core.services.collaboration import (
    assignments,
    invitations,
    mail_run,
    notification_mail,
    notifications,
    reminders,
    webhook_run,
)
from crm_core.services.customers import duplicate_scan
from crm_core.services.feedback import inviting
from crm_core.services.helpdesk import sla_watch, slas
from crm_core.services.inbox import pulling
from crm_core.services.marketing import lead_pulling, segment_drift, segment_upkeep, sending, visits
from crm_core.services.routing import flow, nudges, points
from crm_core.services.sales import promotions
from crm_core.vocabulary import Action

DECLARED_IN = (
    assignments,
    audit,
    automation_upkeep,
    backups,
    booking_upkeep,
    copying,
    duplicate_scan,
    flow,
    import_jobs,
    invitations,
    inviting,
    lead_pulling,
    mail_run,
    notification_mail,
    notifications,
    nudges,
    points,
    promotions,
    pulling,
    reminders,
    reports,
    retention,
    run_work,
    scores,
    segment_drift,
    segment_upkeep,
    sending,
    showing,
    sla_watch,
    slas,
    snapshots,
    summaries,
    upkeep,
    visits,
    webhook_run,
)
"""Imported here so that their jobs are known without loading everything that a worker loads (a test compares)."""


@dataclass(frozen=True)
class Schedule:
    """One job that the clock starts. ``only_if_needed``: nothing is started while there is nothing to do."""

    name: str
    title: str
    last_at: datetime | None
    next_at: datetime
    only_if_needed: bool


def find(session: Session, actor: Actor) -> list[Schedule]:
    """All schedules, the next one first."""
    require(actor, "job", Action.READ)
    from croniter import croniter  # here: a page needs it once in a while

    timezone = session.execute(select(Organisation.timezone)).scalar() or "UTC"  # type: ignore[call-overload]
    now = utcnow().astimezone(ZoneInfo(timezone))
    last = dict(session.execute(select(RUNS.c.name, func.max(RUNS.c.created_at)).group_by(RUNS.c.name)).tuples().all())
    found = [
        Schedule(spec.name, spec.title, last.get(spec.name), croniter(spec.cron, now).get_next(datetime), spec.when is not None)
        for spec in REGISTRY.values()
        if spec.cron
    ]
    return sorted(found, key=lambda each: each.next_at)
