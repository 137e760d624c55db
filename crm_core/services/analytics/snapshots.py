"""Remembering how the pipeline stands: a look at it every evening, and once the past as far as the log of changes tells it honestly.

A stretch of unchanged days is one row, so a year of evenings costs about as many rows as there were changes. Read it through
``pipeline_history``. See docs/decisions/0020-pipeline-snapshots.md.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, exists, func, insert, literal, or_, select, update
from sqlmodel import Session

from crm_core import db
from crm_core.jobs import Job, job
from crm_core.kit.clock import utcnow
from crm_core.models import Deal, Event, PipelineSnapshot, PipelineSnapshotDay, Stage, StageEvent
from crm_core.services.analytics.snapshot_rules import REPLAYED, Change, StageFacts, stretches
from crm_core.summary_marks import day_of, zone_of
from crm_core.vocabulary import StageKind

SNAPSHOT: Any = PipelineSnapshot.__table__  # type: ignore[attr-defined]
_DAYS: Any = PipelineSnapshotDay.__table__  # type: ignore[attr-defined]
_DEALS: Any = Deal.__table__  # type: ignore[attr-defined]
_STAGES: Any = Stage.__table__  # type: ignore[attr-defined]
_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_MOVES: Any = StageEvent.__table__  # type: ignore[attr-defined]
_STANDING = ("owner_id", "pipeline_id", "stage_id", "amount_minor", "expected_close_on", "probability_pct", "category")
_BATCH = 2_000


# --- taking -------------------------------------------------------------------------------------------------------------------


@job("pipeline.snapshot", title="Remember how the pipeline stands", cron="45 23 * * *")
def snapshot_job(job: Job) -> None:
    """Every evening at a quarter to midnight; the first one also reads the past off the log of changes."""
    with job.transaction() as session:
        first = session.execute(select(_DAYS.c.taken_on).limit(1)).first() is None
    if first:
        _read_the_past(job)
    with job.transaction() as session:
        take(session)


def take(session: Session, day: date | None = None) -> int:
    """Remember how the pipeline stands as the evening of a day (default: today in the workspace's zone); returns the number of open deals.

    Again on the same day it only brings that day up to date. A day before the last one taken is left alone.
    """
    day = day or day_of(utcnow(), zone_of(session))
    last = session.execute(select(func.max(_DAYS.c.taken_on))).scalar()
    if last is None or last <= day:
        _close_changed(session, day)
        _open_new(session, day)
        _note_day(session, day)
        db.bump(session, SNAPSHOT.name, _DAYS.name)
    return int(session.execute(select(func.count()).select_from(SNAPSHOT).where(SNAPSHOT.c.until_on.is_(None))).scalar_one())


def _open_deals() -> Any:
    category = func.coalesce(_DEALS.c.forecast_category, _STAGES.c.forecast_category).label("category")
    columns = [_DEALS.c[name] for name in _STANDING if name != "category"]
    return (
        select(_DEALS.c.id.label("deal_id"), *columns, category)
        .join(_STAGES, _STAGES.c.id == _DEALS.c.stage_id)
        .where(_DEALS.c.outcome == StageKind.OPEN, _DEALS.c.deleted_at.is_(None))
    )


def _close_changed(session: Session, day: date) -> None:
    """End the stretch of every deal that stands differently now, or not at all; one that began today simply goes."""
    now = _open_deals().subquery()
    differs = or_(now.c.deal_id.is_(None), *[SNAPSHOT.c[name].is_distinct_from(now.c[name]) for name in _STANDING])
    changed = (
        select(SNAPSHOT.c.id)
        .select_from(SNAPSHOT.outerjoin(now, now.c.deal_id == SNAPSHOT.c.deal_id))
        .where(SNAPSHOT.c.until_on.is_(None), differs)
    )
    ids = list(session.execute(changed).scalars())
    for start in range(0, len(ids), 500):
        part = SNAPSHOT.c.id.in_(ids[start : start + 500])
        session.execute(delete(SNAPSHOT).where(part, SNAPSHOT.c.from_on >= day))
        session.execute(update(SNAPSHOT).where(part).values(until_on=day))


def _open_new(session: Session, day: date) -> None:
    now = _open_deals().subquery()
    running = exists().where(SNAPSHOT.c.deal_id == now.c.deal_id, SNAPSHOT.c.until_on.is_(None))
    names = ("deal_id", *_STANDING)
    fresh = select(*[now.c[name] for name in names], literal(day).label("from_on"), literal(False).label("backfilled"))
    session.execute(insert(SNAPSHOT).from_select([*names, "from_on", "backfilled"], fresh.where(~running)))


def _note_day(session: Session, day: date) -> None:
    standing = select(func.count(), func.coalesce(func.sum(SNAPSHOT.c.amount_minor), 0)).where(SNAPSHOT.c.until_on.is_(None))
    count, amount = session.execute(standing).one()
    session.execute(delete(_DAYS).where(_DAYS.c.taken_on == day))
    session.execute(insert(_DAYS).values(taken_on=day, taken_at=utcnow(), deals=int(count), amount_minor=int(amount)))


# --- the past -----------------------------------------------------------------------------------------------------------------


def _read_the_past(job: Job) -> None:
    """Fill the days before the first evening, a batch of deals per transaction; a kill goes on at the cursor."""
    done = 0
    while True:
        with job.transaction() as session:
            total = session.execute(select(func.count()).select_from(_DEALS)).scalar_one()
            after = int(job.cursor.get("deal", 0))
            ids = list(
                session.execute(select(_DEALS.c.id).where(_DEALS.c.id > after).order_by(_DEALS.c.id).limit(_BATCH)).scalars()
            )
            if not ids:
                return
            backfill(session, ids)
            job.cursor = {"deal": ids[-1]}
            done += len(ids)
            job.report(done, total, "Reading past days off the log")


def backfill(session: Session, deal_ids: Iterable[int]) -> int:
    """Write the past stretches of deals that have none yet; returns how many.

    A deal's past begins where the log knows it: with its creation in Rapport. What happened to an imported deal before the import is
    unknown and stays so.
    """
    ids = list(deal_ids)
    known = set(session.execute(select(SNAPSHOT.c.deal_id).where(SNAPSHOT.c.deal_id.in_(ids)).distinct()).scalars())
    rows = list(session.execute(select(_DEALS).where(_DEALS.c.id.in_(ids), _DEALS.c.deleted_at.is_(None))))
    stages = _stage_facts(session)
    created, changes = _log_of(session, ids)
    made = [
        {"deal_id": row.id, "backfilled": True, **asdict(stretch)}
        for row in rows
        if row.id in created and row.id not in known
        for stretch in stretches(row._asdict(), created[row.id], changes[row.id], stages)
    ]
    if made:
        session.execute(insert(SNAPSHOT), made)
        db.bump(session, SNAPSHOT.name)
    return len(made)


def _stage_facts(session: Session) -> dict[int, StageFacts]:
    rows = session.execute(select(_STAGES))
    return {row.id: StageFacts(row.kind, row.pipeline_id, row.probability_pct, row.forecast_category) for row in rows}


def _log_of(session: Session, ids: list[int]) -> tuple[dict[int, date], dict[int, list[Change]]]:
    """Of each deal the day on which it was created in Rapport, and its changes in the order of the log, days in the workspace's zone."""
    zone = zone_of(session)
    created: dict[int, date] = {}
    found: dict[int, list[tuple[datetime, Change]]] = defaultdict(list)
    columns = (_EVENTS.c.record_id, _EVENTS.c.at, _EVENTS.c.type, _EVENTS.c.changes)
    log = select(*columns).where(_EVENTS.c.entity == "deal", _EVENTS.c.record_id.in_(ids)).order_by(_EVENTS.c.id)
    for record_id, at, kind, changed in session.execute(log):
        day = day_of(at, zone)
        if kind == "deal.created":
            created.setdefault(record_id, day)
        for name, (old, new) in (changed or {}).items():
            if name in REPLAYED:
                found[record_id].append((at, Change(day, name, old, new)))
    moves = select(_MOVES.c.deal_id, _MOVES.c.at, _MOVES.c.from_stage_id, _MOVES.c.to_stage_id).where(_MOVES.c.deal_id.in_(ids))
    for deal_id, at, origin, target in session.execute(moves.order_by(_MOVES.c.id)):
        found[deal_id].append((at, Change(day_of(at, zone), "stage_id", origin, target)))
    ordered = {key: [change for _, change in sorted(rows, key=lambda row: row[0])] for key, rows in found.items()}
    return created, defaultdict(list, ordered)
