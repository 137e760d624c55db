"""What the clock and the queue do for automations: hear and move on, look at dates and schedules, forget old runs."""

from calendar import isleap
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, delete, exists, extract, func, or_, select, update
from sqlmodel import Session

from crm_core.access import visible
from crm_core.automation_inbox import call_worker
from crm_core.db import is_sqlite
from crm_core.entities import entity
from crm_core.errors import CrmError, Invalid
from crm_core.fields import FieldSpec, registry, to_json
from crm_core.jobs import Job, job
from crm_core.jobs.tables import RUNNING, statuses
from crm_core.kit.clock import utcnow
from crm_core.models import WorkerHeartbeat
from crm_core.services.automation import flow_rules
from crm_core.services.automation.engine import AUTOMATIONS, INBOX, RUNS, VERSIONS, Known, active, alone, pause
from crm_core.services.automation.moving import advance
from crm_core.services.automation.picking import due_runs
from crm_core.services.automation.sight import wanted
from crm_core.services.automation.taking_up import EVENTS_AT_ONCE, Cause, hear, take_up
from crm_core.services.collaboration import halts
from crm_core.services.collaboration.halts import HALTS
from crm_core.settings import settings
from crm_core.vocabulary import AutomationState, FieldKind, HaltKind, Reentry, TriggerKind

BEATS: Any = WorkerHeartbeat.__table__  # type: ignore[attr-defined]
KEPT_DAYS = 400
AT_ONCE = 2_000
"""Records that are asked about together; the hourly cap usually ends it after the first of them."""
YEARS_BACK = 60
"""How old an instant may be that is celebrated every year."""
LATE_DAYS = 3
"""Dates that passed while no worker ran are made up for this long."""


def _anything(session: Session) -> bool:
    return not halts.halted(session, HaltKind.AUTOMATIONS) and bool(
        session.execute(select(or_(exists(select(INBOX.c.event_id)), exists(due_runs(RUNS.c.id))))).scalar_one()
    )


@job("automation.work", title="Automations", cron="* * * * *", when=_anything, keep_days=2)
def work(job: Job) -> None:
    """Hear what happened and move every run on that is due, until nothing is left."""
    done = 0
    while True:
        with job.transaction() as session:
            fresh = hear(session)
            if fresh == EVENTS_AT_ONCE:
                _call_help(session)
            steps = advance(session)
            job.report(done + fresh + steps)
        done += fresh + steps
        if not fresh and not steps:
            return


def _call_help(session: Session) -> None:
    """Many events came at once, as one import brings them: let another worker take a share, if one has nothing to do with automations.

    One job per worker at most, so that mail and promises do not wait behind them. SQLite has one writer, whom help would only hinder.
    """
    if is_sqlite(session):
        return
    status, alive = statuses(session), utcnow() - timedelta(seconds=settings().worker_silent_seconds)
    busy = select(func.count()).select_from(status).where(status.c.name == "automation.work", status.c.status == RUNNING)
    workers = select(func.count()).select_from(BEATS).where(BEATS.c.seen_at > alive)
    if session.execute(busy).scalar_one() < session.execute(workers).scalar_one():
        call_worker(session)


def _any_by_clock(session: Session) -> bool:
    return not halts.halted(session, HaltKind.AUTOMATIONS) and bool(
        session.execute(select(exists(select(AUTOMATIONS.c.id).where(AUTOMATIONS.c.state == AutomationState.ACTIVE)))).scalar_one()
    )


@job("automation.clock", title="Automations by date and clock", cron="*/5 * * * *", when=_any_by_clock, keep_days=2)
def look_at_the_clock(job: Job) -> None:
    """Start what a date or a schedule wants. Each date of each record has a key of its own, so it counts once whatever is repeated."""
    with job.transaction() as session:
        ids = [known.row.id for known in active(session)]
    for automation_id in ids:
        with job.transaction() as session:
            known = next((one for one in active(session) if one.row.id == automation_id), None)
            if known is not None and not halts.halted(session, HaltKind.AUTOMATIONS):
                _look(session, known, utcnow())
    work(job)


def _look(session: Session, known: Known, now: datetime) -> None:
    """Take up what the clock wants of one automation. One whose condition can't be asked is paused, and the others go on."""
    alone(session, f"clock:{known.row.id}")
    kind = known.flow["trigger"].get("kind")
    try:
        if kind == TriggerKind.DATE.value:
            _take_all(session, known, by_date(session, known, now), now)
        elif kind == TriggerKind.SCHEDULE.value:
            _look_at_slot(session, known, now)
    except CrmError as error:
        pause(session, known.row.id, f"Its condition could not be asked: {error.message}")


def _look_at_slot(session: Session, known: Known, now: datetime) -> None:
    mine = AUTOMATIONS.c.id == known.row.id
    looked = session.execute(select(AUTOMATIONS.c.checked_at).where(mine)).scalar()  # perhaps just now
    slot = slot_of(known.flow["trigger"], looked or now, now, known.actor.timezone)
    if slot is not None:
        _take_all(session, known, (Cause(one, f"clock:{slot:%Y-%m-%dT%H:%M}:{one}") for one in matching(session, known, now)), now)
        session.execute(update(AUTOMATIONS).where(mine).values(checked_at=now))


def _take_all(session: Session, known: Known, due: Iterable[Cause], now: datetime) -> None:
    """Some thousand at a time, until there are no more or too many began: what is up to date already takes nobody's place."""
    waiting = iter(due)
    while part := list(islice(waiting, AT_ONCE)):
        take_up(session, known, part, now=now)
        if all(one.row.id != known.row.id for one in active(session)):
            return


def by_date(session: Session, known: Known, now: datetime) -> Iterator[Cause]:
    """What dates would start now or have started already: each date of each record has a key of its own."""
    return (Cause(one, f"date:{one}:{day.isoformat()}") for one, day in dates(session, known, now))


def dates(session: Session, known: Known, now: datetime) -> Iterator[tuple[int, date]]:
    """Records whose date, moved by the wanted number of days, has come: id and the date that is meant."""
    trigger = known.flow["trigger"]
    found = entity(known.row.entity)
    spec = registry(session, found.key).get(trigger["field"])
    if spec is None:
        raise Invalid("The date to count from is gone.")
    local = now.astimezone(ZoneInfo(known.actor.timezone))
    if local.hour < flow_rules.hour_of(trigger):
        local -= timedelta(days=1)
    since = (known.row.active_since or now).astimezone(ZoneInfo(known.actor.timezone)).date()
    for back in range(late_days(session, now)):
        due_on = local.date() - timedelta(days=back)
        if due_on < since:
            return
        meant = due_on - timedelta(days=int(trigger.get("days") or 0))
        clause = on_day(spec, found.table, meant, bool(trigger.get("yearly")), known.actor.timezone)
        query = select(found.table.c.id).where(clause, visible(known.actor, found.key, found.table)).order_by(found.table.c.id)
        for record_id in session.execute(query).scalars().all():
            yield record_id, meant


def late_days(session: Session, now: datetime) -> int:
    """How many days of dates are looked at: some more while it is not long ago that all automations stood still."""
    lately = (
        HALTS.c.kind == HaltKind.AUTOMATIONS,
        or_(HALTS.c.ended_at.is_(None), HALTS.c.ended_at > now - timedelta(days=LATE_DAYS)),
    )
    since = session.execute(select(func.min(HALTS.c.at)).where(*lately)).scalar()
    return LATE_DAYS + ((now - since).days if since is not None else 0)


def on_day(spec: FieldSpec, table: Any, day: date, yearly: bool, timezone: str) -> Any:
    """The records whose date is that day, or its day of any year; an instant counts on its day in that time zone."""
    column = spec.expression(table)
    if spec.kind is FieldKind.DATETIME:
        return or_(*(_within(spec, column, one, timezone) for one in (_each_year(day) if yearly else [day])))
    if not yearly:
        return column == (day.isoformat() if spec.custom else day)  # a custom one is kept as text: 2026-04-30
    if spec.custom:
        return or_(*(column.like(f"%-{month:02}-{number:02}") for month, number in _same_days(day)))
    return or_(*(and_(extract("month", column) == month, extract("day", column) == number) for month, number in _same_days(day)))


def _within(spec: FieldSpec, column: Any, day: date, timezone: str) -> Any:
    """Instants from midnight to midnight, which may be 23 or 25 hours."""
    start, end = (datetime.combine(one, time(), ZoneInfo(timezone)).astimezone(UTC) for one in (day, day + timedelta(days=1)))
    return and_(column >= to_json(start), column < to_json(end)) if spec.custom else and_(column >= start, column < end)


def _same_days(day: date) -> list[tuple[int, int]]:
    """Month and day of what comes back on this day each year: the 29th of February on the 28th where there is none."""
    more = [(2, 29)] if (day.month, day.day) == (2, 28) and not isleap(day.year) else []
    return [(day.month, day.day), *more]


def _each_year(day: date) -> list[date]:
    """The same day of this year and of those before it."""
    years = range(day.year - YEARS_BACK, day.year + 1)
    return [date(year, *one) for year in years for one in _same_days(day) if one != (2, 29) or isleap(year)]


def slot_of(trigger: dict[str, Any], checked_at: datetime, now: datetime, timezone: str) -> datetime | None:
    """The latest instant that a schedule wants, if it lies after the last look; None else."""
    local = now.astimezone(ZoneInfo(timezone))
    slot = datetime.combine(local.date(), time(flow_rules.hour_of(trigger)), ZoneInfo(timezone))
    step = 1
    if trigger.get("every") == "week":
        slot -= timedelta(days=(slot.weekday() - int(trigger.get("weekday") or 0)) % 7)
        step = 7
    slot = slot - timedelta(days=step) if slot > local else slot
    return slot if slot > checked_at else None


def matching(session: Session, known: Known, now: datetime) -> list[int]:
    """The records that match the conditions of an automation by the clock, as its owner sees them."""
    table = entity(known.row.entity).table
    query = (
        select(table.c.id).where(*wanted(session, known.actor, known.row.entity, known.flow.get("if"), now)).order_by(table.c.id)
    )
    return list(session.execute(query).scalars())


@job("automation.purge", title="Forget old runs of automations", cron="40 3 * * *", keep_days=7)
def purge(job: Job) -> None:
    """Runs that ended long ago go with their steps, unless their automation has to know of them for ever."""
    with job.transaction() as session:
        current = (VERSIONS.c.automation_id == AUTOMATIONS.c.id) & (VERSIONS.c.number == AUTOMATIONS.c.current)
        flows = session.execute(select(AUTOMATIONS.c.id, VERSIONS.c.flow).join(VERSIONS, current)).tuples()
        kept = [automation_id for automation_id, flow in flows if _remembers(flow)]
        old = RUNS.c.ended_at < utcnow() - timedelta(days=KEPT_DAYS)
        session.execute(delete(RUNS).where(old, RUNS.c.automation_id.not_in(kept)))


def _remembers(flow: flow_rules.Flow) -> bool:
    """Whether what was long ago still counts: once per record, a rest of years, offers that are counted in all."""
    rest, kinds = int(flow.get("rest_days") or 0), {step["kind"] for step, _ in flow_rules.walk(flow["steps"])}
    return flow.get("reentry") == Reentry.ONCE.value or rest >= KEPT_DAYS or "offer" in kinds
