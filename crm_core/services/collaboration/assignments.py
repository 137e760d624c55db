"""Telling people what became theirs: read from the log of events, so that every way of handing a record over is covered.

Each minute the whole minutes since the last look are read. A key per event keeps a second look from telling twice; many records at once
(a bulk change, a rule) are told in one sentence.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session

from crm_core.entities import entity
from crm_core.jobs import Job, job
from crm_core.jobs.tables import RUNS
from crm_core.kit.clock import utcnow
from crm_core.models import Event
from crm_core.services.collaboration import followers, notifications
from crm_core.vocabulary import Via

NAME = "collaboration.assignments"
WATCHED = ("task", "lead", "deal", "account", "contact", "ticket", "campaign", "promotion", "article")
SINGLE = 3
"""Up to so many records of one kind at once are told one by one."""

_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_OVERLAP, _FURTHEST = timedelta(minutes=3), timedelta(days=2)
_SILENT = (Via.IMPORT, Via.DEMO)


@dataclass(frozen=True)
class Given:
    """A record that got an owner."""

    event_id: int
    entity: str
    record_id: int
    owner_id: int
    by: int | None
    minute: datetime
    via: Via


def _last_look(session: Session, but: str = "") -> datetime:
    """From where to read on: a little before the last run began, at most two days back."""
    last = session.execute(select(func.max(RUNS.c.created_at)).where(RUNS.c.name == NAME, RUNS.c.job_id != but)).scalar()
    return max((last or utcnow()) - _OVERLAP, utcnow() - _FURTHEST)


def _something_new(session: Session) -> bool:
    newest = session.execute(select(func.max(_EVENTS.c.at))).scalar()
    return newest is not None and newest >= _last_look(session)


@job(NAME, title="Tell people what became theirs, and of what they follow", cron="* * * * *", when=_something_new, keep_days=2)
def tell(job: Job) -> None:
    """Read what happened and tell the new owners and the followers."""
    with job.transaction() as session:
        until = utcnow().replace(second=0, microsecond=0)
        since = _last_look(session, job.id).replace(second=0, microsecond=0)
        job.report(tell_new(session, since, until) + followers.tell_news(session, since, until))


def tell_new(session: Session, since: datetime, until: datetime) -> int:
    """Tell the owners of the records that were handed over between two whole minutes; gives how many sentences that were."""
    groups: dict[tuple[Any, ...], list[Given]] = defaultdict(list)
    for one in _still_theirs(session, _given(session, since, until)):
        if one.by is None and _told_by_a_rule(session, one):
            continue
        groups[one.entity, one.owner_id, one.by, one.minute].append(one)
    return sum(_tell(session, group) for group in groups.values())


def _given(session: Session, since: datetime, until: datetime) -> list[tuple[Any, int | None]]:
    """Events that made somebody the owner, with that person (None: as the record says)."""
    query = select(_EVENTS.c[*("id", "type", "entity", "record_id", "at", "actor_id", "via", "changes")]).where(
        _EVENTS.c.at >= since, _EVENTS.c.at < until, _EVENTS.c.entity.in_(WATCHED), _EVENTS.c.via.not_in(_SILENT)
    )
    found: list[tuple[Any, int | None]] = []
    for row in session.execute(query.order_by(_EVENTS.c.id)):
        change = row.changes.get("owner_id")
        if change and change[1]:
            found.append((row, int(change[1])))
        elif row.type.endswith(".created"):
            found.append((row, None))
    return found


def _still_theirs(session: Session, rows: Sequence[tuple[Any, int | None]]) -> Iterable[Given]:
    """Those whose record still belongs to that person, each record once with its latest event."""
    owners: dict[tuple[str, int], int | None] = {}
    for key in {row.entity for row, _ in rows}:
        table = entity(key).table
        ids = [row.record_id for row, _ in rows if row.entity == key]
        for start in range(0, len(ids), 500):
            clause = table.c.id.in_(ids[start : start + 500]) & table.c.deleted_at.is_(None)
            owners |= {(key, one.id): one.owner_id for one in session.execute(select(table.c.id, table.c.owner_id).where(clause))}
    latest: dict[tuple[str, int], Given] = {}
    for row, owner in rows:
        now = owners.get((row.entity, row.record_id))
        if now is not None and now == (owner or now) and row.actor_id != now:
            minute = row.at.replace(second=0, microsecond=0)
            latest[row.entity, row.record_id] = Given(row.id, row.entity, row.record_id, now, row.actor_id, minute, row.via)
    return latest.values()


def _told_by_a_rule(session: Session, one: Given) -> bool:
    """Whether the rule that gave the record away told its new owner itself."""
    notes = notifications.NOTES
    mine = (notes.c.entity == one.entity, notes.c.record_id == one.record_id, notes.c.user_id == one.owner_id)
    since = one.minute - timedelta(minutes=1)
    return (
        session.execute(select(notes.c.id).where(*mine, notes.c.kind == "assigned.rule", notes.c.at >= since)).first() is not None
    )


def _tell(session: Session, group: Sequence[Given]) -> int:
    first = group[0]
    if len(group) > SINGLE:
        return notifications.notify(
            session, first.owner_id, kind="assigned.record", params={"by": first.by, "count": len(group)}, entity=first.entity,
            dedupe_key=f"assigned:{first.entity}:{first.by or 0}:{first.minute:%Y%m%d%H%M}", at=first.minute,
        )  # fmt: skip
    return sum(
        notifications.notify(
            session, one.owner_id, kind=_kind(one), params={"by": one.by}, entity=one.entity, record_id=one.record_id,
            dedupe_key=f"assigned:{one.event_id}", at=one.minute,
        )
        for one in group
    )  # fmt: skip


def _kind(one: Given) -> str:
    if one.entity == "lead" and one.via is Via.FORM:
        return "assigned.form_lead"
    return "assigned.task" if one.entity == "task" else "assigned.record"
