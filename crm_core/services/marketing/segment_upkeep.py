"""Live segments follow their rules: touched records within a minute, everything every night, because time passes without a write.

A segment remembers the versions of the tables that its rule reads. When they rose, the log of events says which records were touched; only
these are looked at again. Where the log can't say (lines of orders, analyses, imports), the whole rule runs, the rarer the longer it takes.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlmodel import Session

from crm_core import db
from crm_core.access import Actor, system
from crm_core.entities import ENTITIES, entity, relations
from crm_core.errors import CrmError
from crm_core.fields import resolve
from crm_core.jobs import Job, job
from crm_core.kit import clock
from crm_core.models import Event, Segment, SegmentMember
from crm_core.services.marketing import segment_members, segment_rules
from crm_core.vocabulary import MembershipReason, SegmentKind

log = logging.getLogger("rapport.segments")
_SEGMENTS: Any = Segment.__table__  # type: ignore[attr-defined]
_MEMBERS: Any = SegmentMember.__table__  # type: ignore[attr-defined]
_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
MAX_TOUCHED = 5_000
_OVERLAP = 500
"""Events looked at once more: on PostgreSQL an earlier number may be committed later."""
_REST = 60
"""A whole evaluation that took n seconds rests for 60 n seconds, at most a quarter of an hour: a busy hour must not become a busy worker."""
_ALWAYS = ("role_permission", "role_field_mask", "user_role", "app_user", "user_closure")
"""What the owner may see decides too."""


@dataclass(frozen=True)
class Reads:
    """What a rule reads: tables by name, and those among them whose touched records the log of events can name (entity keys)."""

    tables: frozenset[str]
    own: str
    children: frozenset[str]
    parents: frozenset[str]
    events: frozenset[str]
    segments: frozenset[int]


def reads(session: Session, segment: Segment) -> Reads:
    """What the rule of a segment depends on."""
    own = segment.entity.value
    tables = {entity(own).table.name, *_ALWAYS}
    children, parents, events = set(), set(), set()
    for leaf in segment_rules.leaves_by_entity(own, segment.rule):
        if "agg" in leaf.ast:
            children.add(leaf.ast["rel"])
            tables |= {entity(relation.child).table.name for relation in leaf.relations}
        elif "event" in leaf.ast:
            events.add(str(leaf.ast["event"]))
            tables |= {"touchpoint" if str(leaf.ast["event"]).startswith("touch.") else "event_log"}
        elif "segment" in leaf.ast:
            tables.add("segment_member")
        elif "mark" in leaf.ast:
            tables.add("analysis_mark")
        else:
            _spec, trail = resolve(session, leaf.entity, str(leaf.ast.get("field", "")))
            here = leaf.entity
            for key in trail:
                here = _target(here, key)
                parents.add(here)
                tables.add(entity(here).table.name)
        if leaf.ast.get("on"):
            parents.add(str(leaf.ast["on"]).removesuffix("_id"))
    return Reads(
        frozenset(tables),
        own,
        frozenset(children),
        frozenset(parents),
        frozenset(events),
        frozenset(segment_rules.references(segment.rule)),
    )


def _target(entity_key: str, key: str) -> str:
    return str(entity(entity_key).table.c[key].info.get("to"))


def stale(session: Session, segment: Segment) -> bool:
    """Whether something that the rule reads was written since the members were counted."""
    if segment.kind is not SegmentKind.LIVE:
        return False
    known = (segment.progress or {}).get("versions", {})
    return dict(db.versions(session, reads(session, segment).tables)) != known


@dataclass(frozen=True)
class Mark:
    """A point in the life of the database, taken before a segment is evaluated: what is written later is looked at the next time."""

    versions: dict[str, int]
    event_id: int


def here(session: Session, segment: Segment) -> Mark:
    """Where the database stands now, as far as the rule of a segment reads it."""
    last = session.execute(select(func.max(_EVENTS.c.id))).scalar() or 0
    return Mark(dict(db.versions(session, reads(session, segment).tables)), last)


def remember(session: Session, segment: Segment, mark: Mark, *, seconds: float | None = None) -> None:
    """Note up to where a segment is in step; ``seconds``: how long a whole evaluation took."""
    before = segment.progress or {}
    progress = {
        "versions": mark.versions,
        "event_id": mark.event_id,
        "seconds": before.get("seconds", 0.0) if seconds is None else round(seconds, 3),
        "full_at": before.get("full_at") if seconds is None else clock.utcnow().isoformat(),
        "problem": "",
    }
    _keep(session, segment, progress)


def _keep(session: Session, segment: Segment, progress: dict[str, Any]) -> None:
    """Beside the version of the segment: nobody edited it."""
    mine = update(_SEGMENTS).where(_SEGMENTS.c.id == segment.id)
    session.execute(mine.values(progress=progress, updated_at=_SEGMENTS.c.updated_at))
    session.refresh(segment)


def count_now(session: Session, actor: Actor, segment: Segment, reason: MembershipReason) -> tuple[int, int]:
    """Evaluate the whole rule and remember where it stands."""
    began, mark = time.perf_counter(), here(session, segment)
    moved = segment_members.fill(session, actor, segment, reason=reason)
    remember(session, segment, mark, seconds=time.perf_counter() - began)
    return moved


# --- the jobs -------------------------------------------------------------------------------------------------------------------


def _live(session: Session) -> list[Segment]:
    """Live segments, those that others read first."""
    mine = select(Segment).where(_SEGMENTS.c.kind == SegmentKind.LIVE, _SEGMENTS.c.deleted_at.is_(None)).order_by(_SEGMENTS.c.id)
    found = {row.id: row for row in session.execute(mine).scalars()}
    ordered: dict[int, Segment] = {}

    def add(segment: Segment) -> None:
        if segment.id not in ordered:
            for other in sorted(segment_rules.references(segment.rule)):
                if other in found and other not in ordered and other != segment.id:
                    add(found[other])
            ordered[segment.id] = segment

    for segment in found.values():
        add(segment)
    return list(ordered.values())


def _due(session: Session) -> bool:
    return any(_may_run(session, segment) for segment in _live(session))


def _may_run(session: Session, segment: Segment) -> bool:
    try:
        return stale(session, segment)
    except CrmError:
        return not (segment.progress or {}).get("problem")


@job("segments.follow", title="Segments follow their rules", cron="* * * * *", when=_due, keep_days=1)
def follow(job: Job) -> None:
    """Every minute, if something was written that a rule reads."""
    _each(job, MembershipReason.RULE)


@job("segments.sweep", title="Segments counted anew, as time passes", cron="35 2 * * *", keep_days=14)
def sweep(job: Job) -> None:
    """Every night: conditions such as "in the last 90 days" change without a write."""
    _each(job, MembershipReason.SWEEP)


def _each(job: Job, reason: MembershipReason) -> None:
    with job.transaction() as session:
        ids = [segment.id for segment in _live(session)]
    for done, segment_id in enumerate(ids, 1):
        with job.transaction() as session:
            job.report(done, len(ids))
            segment = session.get(Segment, segment_id)
            if segment is not None and segment.deleted_at is None:
                step(session, segment, reason)


def step(session: Session, segment: Segment, reason: MembershipReason) -> None:
    """Bring one segment in step. What stands in the way (an owner who left, a field that is gone) is kept beside it; members stay."""
    try:
        if reason is MembershipReason.SWEEP:
            count_now(session, system(), segment, reason)
            return
        if not stale(session, segment):
            return
        mark = here(session, segment)
        touched = touched_by(session, segment)
        if touched is not None:
            segment_members.fill(session, system(), segment, reason=reason, only=touched)
            remember(session, segment, mark)
        elif _rested(segment):
            count_now(session, system(), segment, reason)
    except CrmError as error:
        log.warning("segment %s: %s", segment.id, error.message)
        _stopped(session, segment, error.message)


def _stopped(session: Session, segment: Segment, message: str) -> None:
    progress = {**(segment.progress or {}), "problem": message}
    session.execute(
        update(_SEGMENTS).where(_SEGMENTS.c.id == segment.id).values(progress=progress, updated_at=_SEGMENTS.c.updated_at)
    )


def _rested(segment: Segment) -> bool:
    progress = segment.progress or {}
    if not progress.get("full_at"):
        return True
    rest = timedelta(seconds=min(900.0, _REST * float(progress.get("seconds") or 0)))
    return clock.utcnow() - datetime.fromisoformat(progress["full_at"]) >= rest


# --- which records were touched ----------------------------------------------------------------------------------------------------


def touched_by(session: Session, segment: Segment) -> set[int] | None:
    """The records whose membership may have changed since the last look; None when only the whole rule can tell."""
    found, progress = reads(session, segment), segment.progress or {}
    known = progress.get("versions", {})
    now = dict(db.versions(session, found.tables))
    changed = {name for name in found.tables if now.get(name) != known.get(name)}
    since = max(0, int(progress.get("event_id") or 0) - _OVERLAP)
    if not known or set(known) != set(now):
        return None
    ids: set[int] = set()
    for name in changed:
        some = _touched(session, segment, found, name, since)
        if some is None or len(ids) > MAX_TOUCHED:
            return None
        ids |= some
    return ids if len(ids) <= MAX_TOUCHED else None


def _touched(session: Session, segment: Segment, found: Reads, table: str, since: int) -> set[int] | None:
    if table == entity(found.own).table.name:
        return _records(session, found.own, since)
    if table == "event_log":
        own = all(event.partition(".")[0] == found.own for event in found.events)
        return _records(session, found.own, since) if own else None
    if table == "segment_member" and "account" not in found.parents:
        moved = segment.counted_at or clock.utcnow()
        mine = _MEMBERS.c.segment_id.in_(found.segments) & or_(_MEMBERS.c.entered_at >= moved, _MEMBERS.c.left_at >= moved)
        return _few(session.execute(select(_MEMBERS.c.record_id).where(mine).limit(MAX_TOUCHED + 1)).scalars())
    key = next((key for key in ENTITIES if ENTITIES[key].table.name == table), "")
    links = [relation.foreign_key for relation in relations(found.own).values() if relation.child == key and not relation.through]
    if len(links) == 1 and key not in found.parents:
        return _parents(session, key, links[0], since)
    return None


def _few(ids: Iterable[int]) -> set[int] | None:
    found = set(ids)
    return found if len(found) <= MAX_TOUCHED else None


def _records(session: Session, key: str, since: int) -> set[int] | None:
    clause = (_EVENTS.c.entity == key, _EVENTS.c.id > since)
    return _few(session.execute(select(_EVENTS.c.record_id).where(*clause).distinct().limit(MAX_TOUCHED + 1)).scalars())


def _parents(session: Session, key: str, link: str, since: int) -> set[int] | None:
    """Parents of the touched children: the present one, and the one before where an event changed the link."""
    rows = session.execute(
        select(_EVENTS.c.record_id, _EVENTS.c.changes).where(_EVENTS.c.entity == key, _EVENTS.c.id > since).limit(MAX_TOUCHED + 1)
    ).all()
    if len(rows) > MAX_TOUCHED:
        return None
    before = {value for row in rows for value in (row.changes or {}).get(link, ()) if isinstance(value, int)}
    table, children = entity(key).table, sorted({row.record_id for row in rows})
    for at in range(0, len(children), 1_000):
        now = select(table.c[link]).where(table.c.id.in_(children[at : at + 1_000]), table.c[link].is_not(None))
        before |= set(session.execute(now).scalars())
    return before
