"""What is watched about deals and leads: idle deals, missing next steps, leads that nobody has answered, first contact that comes too late."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import and_, exists, select
from sqlmodel import Session, col
from sqlmodel import select as fetch

from crm_core import events, filters, idleness, records
from crm_core.access import Actor, require, system, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.jobs import Job, job
from crm_core.kit.clock import utcnow
from crm_core.kit.counted import Counted
from crm_core.models import LeadWatch, RoutingSetting, ServiceCalendar, SpeedTarget, SubmitKey, User
from crm_core.records import LASTING
from crm_core.services.analytics.metric_rules import ninetieth
from crm_core.services.collaboration import notifications, tasks
from crm_core.services.collaboration.incoming import came_in
from crm_core.services.helpdesk.calendars import calendar_of
from crm_core.services.routing.rules import require_all
from crm_core.services.routing.standing import open_clause
from crm_core.vocabulary import Action, TaskStatus

START = {"idle": False, "steps": False, "steps_days": 7, "leads": False, "leads_days": 2}
"""Switches of the tasks that are raised by themselves; all are off until somebody switches them on. Idle days stand at each stage."""
FEW = 500
WATCH_DAYS = 14
MOST = 20_000
"""So many of the latest leads are looked at for the figures of the first contact."""
OUTCOME_DAYS = 90
"""So far back leads are asked what became of them: a conversion takes its time."""
_DEALS: Any = entity("deal").table
_LEADS: Any = entity("lead").table
_TASKS: Any = entity("task").table
_KEYS: Any = SubmitKey.__table__  # type: ignore[attr-defined]
Raised = tuple[str, dict[str, Any]]
"""The name of a quiet spell, and the task that it raises."""


@dataclass(frozen=True)
class SpeedView:
    """A promise how soon a new lead is contacted; ``source`` None: all other sources."""

    source: str | None
    minutes: int
    calendar_id: int | None
    escalate_to_id: int | None


@dataclass(frozen=True)
class Became:
    """Leads that were reached in time, or later or not at all: how many, and how many of them were converted since."""

    leads: int
    converted: int


@dataclass(frozen=True)
class SpeedFigures:
    """First contact with the leads of the last 30 days that have a target. ``median_seconds``, ``p90_seconds``: working time it took, at the median
    and the 90th percentile; ``waiting``: how many nobody has reached yet, who are in neither. ``in_time``, ``late``: what became of the leads of the last ``OUTCOME_DAYS`` days, since a conversion takes its time."""

    leads: int
    decided: int
    within: int
    waiting: int
    median_seconds: float | None
    p90_seconds: float | None
    in_time: Became
    late: Became


def switches(session: Session, actor: Actor) -> dict[str, Any]:
    """Which tasks are raised by themselves."""
    require(actor, "assignment", Action.READ)
    return _switches(session)


def set_switches(session: Session, actor: Actor, values: Mapping[str, Any]) -> None:
    """Switch tasks on or off. Events: assignment.nudges_saved."""
    require_all(actor)
    made = {**START, **{key: values[key] for key in START if key in values}}
    if any(not 1 <= int(made[key]) <= 365 for key in ("steps_days", "leads_days")):
        raise Invalid("Days are a whole number from 1 to 365.")
    row = session.exec(fetch(RoutingSetting).where(RoutingSetting.key == "nudges")).first() or RoutingSetting(key="nudges")
    row.value = made
    session.add(row)
    events.record(session, actor, "assignment.nudges_saved", entity="assignment")


def targets(session: Session, actor: Actor) -> list[SpeedView]:
    """The promises, the one for all other sources last."""
    require(actor, "lead", Action.READ)
    rows = session.exec(fetch(SpeedTarget).order_by(col(SpeedTarget.source).is_(None), col(SpeedTarget.source)))
    return [SpeedView(row.source, row.minutes, row.calendar_id, row.escalate_to_id) for row in rows]


def set_targets(session: Session, actor: Actor, made: list[SpeedView], *, base: Sequence[SpeedView] | None = None) -> None:
    """Replace all promises. ``base``: those that the caller began with; a Conflict when somebody changed them since. Events: assignment.speed_saved."""
    require_all(actor)
    if base is not None:
        records.refuse_stale_rows("the targets of speed", targets(session, actor), stale=False, base=base)
    if len({one.source for one in made}) != len(made):
        raise Invalid("Each source has one target.")
    if any(not 1 <= one.minutes <= 60 * 24 * 31 for one in made):
        raise Invalid("A target is between one minute and a month.")
    for one in made:
        if one.calendar_id is not None and session.get(ServiceCalendar, one.calendar_id) is None:
            raise Invalid("These working hours no longer exist.")
    for row in session.exec(fetch(SpeedTarget)):
        session.delete(row)
    session.flush()
    session.add_all(SpeedTarget(**one.__dict__) for one in made)
    session.flush()
    events.record(session, actor, "assignment.speed_saved", entity="assignment")


def figures(session: Session, actor: Actor, *, days: int = 30) -> SpeedFigures | None:
    """How soon the leads that the actor may see were contacted; None while nothing is promised."""
    require(actor, "lead", Action.READ)
    known, now = _targets(session), utcnow()
    if not known:
        return None
    columns = [_LEADS.c[name] for name in ("source", "created_at", "first_response_at", "converted_at")]
    lately = _LEADS.c.created_at >= now - timedelta(days=max(days, OUTCOME_DAYS))
    query = select(*columns).where(visible(actor, "lead", _LEADS), lately, came_in("lead", _LEADS))
    number = 0
    took: list[int] = []
    kept: list[bool] = []
    became: dict[bool, list[bool]] = {True: [], False: []}
    for row in session.execute(query.order_by(_LEADS.c.created_at.desc()).limit(MOST)):
        target = known.get(row.source) or known.get(None)
        if target is None:
            continue
        seconds = calendar_of(session, target.calendar_id).between(row.created_at, row.first_response_at or now)
        reached, over = row.first_response_at is not None, seconds > target.minutes * 60
        if reached or over:
            became[not over].append(row.converted_at is not None)
        if row.created_at < now - timedelta(days=days):
            continue
        number += 1
        took += [seconds] if reached else []
        kept += [not over] if reached or over else []
    in_time, late = (Became(len(became[kind]), sum(became[kind])) for kind in (True, False))
    return SpeedFigures(
        number, len(kept), sum(kept), number - len(took), median(took) if took else None, ninetieth(Counted(took)), in_time, late
    )


# --- jobs -------------------------------------------------------------------------------------------------------------------


def _switches(session: Session) -> dict[str, Any]:
    row = session.exec(fetch(RoutingSetting).where(RoutingSetting.key == "nudges")).first()
    return {**START, **(row.value if row else {})}


def _targets(session: Session) -> dict[str | None, SpeedTarget]:
    return {row.source: row for row in session.exec(fetch(SpeedTarget))}


def _any_target(session: Session) -> bool:
    return session.exec(fetch(SpeedTarget.id)).first() is not None


@job("routing.first_contact", title="Watch the first contact with new leads", cron="*/2 * * * *", when=_any_target, keep_days=2)
def first_contact(job: Job) -> None:
    """Tell the owner of a lead that waits too long, once; after twice the time its owner's manager, or whom the target names."""
    last = 0
    while True:
        with job.transaction() as session:
            known, now = _targets(session), utcnow()
            rows = session.execute(_unanswered_so_far(known, now).where(_LEADS.c.id > last).order_by(_LEADS.c.id).limit(FEW)).all()
            for row in rows:
                _look_at(session, row, known.get(row.source) or known[None], now)
                last = row.id
            job.report(len(rows))
        if len(rows) < FEW:
            return


def _unanswered_so_far(known: Mapping[str | None, SpeedTarget], now: datetime) -> Any:
    """New leads with a target that nobody has contacted, for which the shortest target is over, and of which not everybody was told."""
    soonest = min((one.minutes for one in known.values()), default=0)
    fresh = and_(
        _LEADS.c.created_at.between(now - timedelta(days=WATCH_DAYS), now - timedelta(minutes=soonest)), came_in("lead", _LEADS)
    )
    watch = LeadWatch.__table__  # type: ignore[attr-defined]
    settled = select(watch.c.lead_id).where(watch.c.escalated_at.is_not(None))
    columns = [_LEADS.c[name] for name in ("id", "source", "created_at", "owner_id")]
    query = select(*columns).where(fresh, _LEADS.c.first_response_at.is_(None), open_clause("lead"), _LEADS.c.id.not_in(settled))
    return query if None in known else query.where(_LEADS.c.source.in_([source for source in known if source is not None]))


def _look_at(session: Session, row: Any, target: SpeedTarget, now: datetime) -> None:
    spent = calendar_of(session, target.calendar_id).between(row.created_at, now)
    if spent <= target.minutes * 60:
        return
    due = calendar_of(session, target.calendar_id).add(row.created_at, target.minutes * 60)
    kept = session.exec(fetch(LeadWatch).where(LeadWatch.lead_id == row.id)).first() or LeadWatch(lead_id=row.id, due_at=due)
    owner = session.get(User, row.owner_id) if row.owner_id else None
    told = {"entity": "lead", "record_id": row.id, "params": {}}
    if kept.told_at is None:
        kept.told_at = now
        notifications.notify(session, row.owner_id, kind="lead.late", dedupe_key=f"late-{row.id}", **told)  # type: ignore[arg-type]
    if spent > 2 * target.minutes * 60 or owner is None:
        kept.escalated_at = now
        to = target.escalate_to_id or (owner.manager_id if owner else None)
        notifications.notify(session, to, kind="lead.late", dedupe_key=f"late-{row.id}-up", **told)  # type: ignore[arg-type]
    session.add(kept)


def _any_switch(session: Session) -> bool:
    found = _switches(session)
    return bool(found["idle"] or found["steps"] or found["leads"])


@job("routing.nudges", title="Raise tasks for what has gone quiet", cron="15 5 * * *", when=_any_switch, keep_days=14)
def raise_tasks(job: Job) -> None:
    """A task for idle deals, deals without a next step and unanswered leads: once for each quiet spell."""
    for key, find in (("idle", _idle), ("steps", _without_step), ("leads", _unanswered)):
        with job.transaction() as session:
            found = _switches(session)
            rows = find(session, found) if found[key] else []
            for submit_key, values in rows:
                tasks.create(
                    session, system(), {**values, "due_at": utcnow() + timedelta(hours=8)}, submit_key=LASTING + submit_key
                )
            job.report(len(rows))


def _here() -> Any:
    """People who have not left."""
    return select(User.__table__.c.id).where(User.__table__.c.is_active)  # type: ignore[attr-defined]


def _open_task(column: str, record: Any) -> Any:
    live = and_(_TASKS.c[column] == record, _TASKS.c.status == TaskStatus.OPEN, _TASKS.c.deleted_at.is_(None))
    return exists(select(_TASKS.c.id).where(live))


def _idle(session: Session, _switches: Mapping[str, Any]) -> list[Raised]:
    """Open deals that are idle, and for which nothing is planned."""
    now, calendar = utcnow(), idleness.working_hours(session)
    clause = and_(
        open_clause("deal"),
        idleness.clause(_DEALS, idleness.limits(session, now)),
        _DEALS.c.owner_id.in_(_here()),
        ~_open_task("deal_id", _DEALS.c.id),
    )

    def made(row: Any) -> Raised:
        latest = idleness.since(row)
        days = idleness.quiet_days(calendar, latest, now)
        return f"idle-{row.id}-{latest:%Y%m%d%H%M}", _deal_task(row, f"Pick up {row.name}: quiet for {days} working days")

    return _fresh(session, _DEALS, clause, made)


def _fresh(session: Session, table: Any, clause: Any, made: Callable[[Any], Raised]) -> list[Raised]:
    """The tasks of these rows, page by page, without those that were raised before (and done or dropped since); at most ``FEW``."""
    found: list[Raised] = []
    last = 0
    while len(found) < FEW:
        rows = session.execute(select(table).where(clause, table.c.id > last).order_by(table.c.id).limit(FEW)).all()
        if not rows:
            break
        given, last = [made(row) for row in rows], rows[-1].id
        asked = select(_KEYS.c.key).where(_KEYS.c.key.in_([LASTING + key for key, _ in given]))
        raised = set(session.execute(asked).scalars())
        found += [one for one in given if LASTING + one[0] not in raised]
    return found[:FEW]


def _without_step(session: Session, switches: Mapping[str, Any]) -> list[Raised]:
    limit = utcnow() - timedelta(days=int(switches["steps_days"]))
    missing = filters.where(session, "deal", idleness.NO_NEXT_STEP, system())
    clause = and_(
        open_clause("deal"),
        missing,
        _DEALS.c.stage_since <= limit,
        _DEALS.c.owner_id.in_(_here()),
        ~_open_task("deal_id", _DEALS.c.id),
    )

    def made(row: Any) -> Raised:
        return f"step-{row.id}-{row.stage_since:%Y%m%d%H%M}", _deal_task(row, f"Plan the next step of {row.name}")

    return _fresh(session, _DEALS, clause, made)


def _deal_task(row: Any, subject: str) -> dict[str, Any]:
    return {"subject": subject[:300], "owner_id": row.owner_id, "deal_id": row.id, "account_id": row.account_id}


def _unanswered(session: Session, switches: Mapping[str, Any]) -> list[Raised]:
    now = utcnow()
    limit, oldest = now - timedelta(days=int(switches["leads_days"])), now - timedelta(days=180)
    waiting = and_(_LEADS.c.first_response_at.is_(None), _LEADS.c.created_at <= limit, _LEADS.c.created_at >= oldest)
    clause = and_(
        open_clause("lead"), waiting, _LEADS.c.owner_id.in_(_here()), ~_open_task("lead_id", _LEADS.c.id), came_in("lead", _LEADS)
    )

    def made(row: Any) -> Raised:
        task = {"subject": f"Contact {row.name}"[:300], "owner_id": row.owner_id, "lead_id": row.id}
        return f"lead-{row.id}-{row.owner_id}", task

    return _fresh(session, _LEADS, clause, made)
