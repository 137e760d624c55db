"""Who is in a segment: added by hand, or kept in step with the rule; each stay keeps when it began, when it ended and why."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, literal, select, true, update
from sqlmodel import Session

from crm_core import access, events, lists, records
from crm_core.access import Actor, visible
from crm_core.db import bump
from crm_core.entities import entity
from crm_core.errors import Invalid, NotFound
from crm_core.filters import where
from crm_core.kit import clock
from crm_core.kit.numerals import written
from crm_core.lists import ListQuery
from crm_core.models import Segment, SegmentMember
from crm_core.vocabulary import Action, MembershipReason, SegmentKind, Visibility

_SEGMENTS: Any = Segment.__table__  # type: ignore[attr-defined]
_MEMBERS: Any = SegmentMember.__table__  # type: ignore[attr-defined]
MAX_ADD = 200_000
_BATCH = 10_000
MAX_TOLD = 1_000
"""More changes at once are one event of the segment rather than one of each record."""


def add(
    session: Session, actor: Actor, segment_id: int, record_ids: Iterable[int], *, reason: MembershipReason = MembershipReason.HAND
) -> tuple[int, int]:
    """Put records into a static segment; gives how many are new and how many were in. What the actor may not see is refused as missing."""
    segment = _static(session, actor, segment_id)
    wanted = sorted(set(record_ids))
    if len(wanted) > MAX_ADD:
        raise Invalid(f"At most {written(MAX_ADD)} records can be added at once.")
    table = entity(segment.entity).table
    seen = 0
    for part in _parts(wanted):
        clause = and_(table.c.id.in_(part), visible(actor, segment.entity, table))
        seen += session.execute(select(func.count()).select_from(table).where(clause)).scalar_one()
    if seen != len(wanted):
        words = entity(segment.entity).plural.lower()
        raise NotFound(f"Some of these {words} do not exist, or are not shared with you. Nobody was added.")
    now = clock.utcnow()
    new = sum(_enter(session, segment, table.c.id.in_(part), reason, now) for part in _parts(wanted))
    _counted(session, actor, segment, entered=new)
    _tell_each(session, actor, segment, now, new)
    return new, len(wanted) - new


def add_matching(session: Session, actor: Actor, segment_id: int, query: ListQuery) -> tuple[int, int]:
    """Put everything that a list shows into a static segment; gives how many are new and how many were in."""
    segment = _static(session, actor, segment_id)
    table = entity(segment.entity).table
    clause = lists.condition(session, actor, segment.entity, query)
    total = session.execute(select(func.count()).select_from(table).where(clause)).scalar_one()
    now = clock.utcnow()
    new = _enter(session, segment, clause, MembershipReason.LIST, now)
    _counted(session, actor, segment, entered=new)
    _tell_each(session, actor, segment, now, new)
    return new, total - new


def remove(session: Session, actor: Actor, segment_id: int, record_ids: Iterable[int]) -> int:
    """Take records out of a static segment; gives how many were in."""
    segment = _static(session, actor, segment_id)
    table = entity(segment.entity).table
    gone, now = 0, clock.utcnow()
    for part in _parts(sorted(set(record_ids))):
        clause = and_(table.c.id.in_(part), visible(actor, segment.entity, table))
        gone += _leave(session, segment, _MEMBERS.c.record_id.in_(select(table.c.id).where(clause)), now)
    _counted(session, actor, segment, left=gone)
    _tell_each(session, actor, segment, now, gone)
    return gone


def fill(
    session: Session,
    actor: Actor,
    segment: Segment,
    *,
    reason: MembershipReason = MembershipReason.FIRST,
    only: Collection[int] | None = None,
) -> tuple[int, int]:
    """Bring the members in step with the rule, as its owner sees the records; gives how many entered and how many left.

    ``actor`` already asked for the verb that leads here; a static segment is filled once by whoever makes it. ``only``: records that were
    touched, when the others are known to stand as they did.
    """
    eyes = actor if segment.kind is SegmentKind.STATIC or segment.owner_id == actor.user_id else owner_of(session, segment)
    table = entity(segment.entity).table
    matching = and_(visible(eyes, segment.entity, table), where(session, segment.entity, segment.rule, eyes))
    now = clock.utcnow()
    entered = left = 0
    for part in [None] if only is None else _parts(sorted(only)):
        here = true() if part is None else table.c.id.in_(part)
        of = true() if part is None else _MEMBERS.c.record_id.in_(part)
        entered += _enter(session, segment, and_(here, matching), reason, now)
        if segment.kind is SegmentKind.LIVE:
            matched = select(table.c.id).where(here, matching)
            left += _leave(session, segment, and_(of, _MEMBERS.c.record_id.not_in(matched)), now)
    _counted(session, actor, segment, entered=entered, left=left)
    if segment.kind is SegmentKind.LIVE and reason in (MembershipReason.RULE, MembershipReason.SWEEP):
        _tell(session, actor, segment, now, entered, left)
    return entered, left


def _tell(session: Session, actor: Actor, segment: Segment, now: datetime, entered: int, left: int) -> None:
    """Entering and leaving are events: one of the segment, and one of each record."""
    if entered + left:
        events.record(session, actor, "segment.members_changed", segment, data={"entered": entered, "left": left})
        _tell_each(session, actor, segment, now, entered + left)


def _tell_each(session: Session, actor: Actor, segment: Segment, now: datetime, moved_count: int) -> None:
    """An event of each record that entered or left, while they are few and everybody may know the segment."""
    if segment.visibility is not Visibility.SHARED or not 0 < moved_count <= MAX_TOLD:
        return
    for column, verb in ((_MEMBERS.c.entered_at, "segment_entered"), (_MEMBERS.c.left_at, "segment_left")):
        moved = select(_MEMBERS.c.record_id).where(_MEMBERS.c.segment_id == segment.id, column == now)
        for record_id in session.execute(moved).scalars():
            data = {"segment": segment.name, "segment_id": segment.id}
            events.record(
                session, actor, f"{segment.entity.value}.{verb}", entity=segment.entity.value, record_id=record_id, data=data
            )


def owner_of(session: Session, segment: Segment) -> Actor:
    """Whose eyes evaluate a live segment. Raises Invalid when there is nobody."""
    if segment.owner_id is None:
        raise Invalid("This segment has no owner whose eyes could evaluate it. Give it one.")
    return access.load(session, segment.owner_id)


def _static(session: Session, actor: Actor, segment_id: int) -> Segment:
    segment = records.get(session, actor, "segment", segment_id, action=Action.EDIT)
    if segment.kind is SegmentKind.LIVE:
        raise Invalid("The members of a live segment follow its rule. Change the rule, or make a static copy.")
    return segment


def _parts(ids: list[int]) -> list[list[int]]:
    return [ids[at : at + _BATCH] for at in range(0, len(ids), _BATCH)]  # databases bind a limited number of values


def _enter(session: Session, segment: Segment, clause: ColumnElement[bool], reason: MembershipReason, now: datetime) -> int:
    table = entity(segment.entity).table
    inside = select(_MEMBERS.c.record_id).where(_MEMBERS.c.segment_id == segment.id, _MEMBERS.c.left_at.is_(None))
    fixed = {"segment_id": segment.id, "entered_at": now, "reason": reason}
    values = [literal(value, _MEMBERS.c[key].type).label(key) for key, value in fixed.items()]
    rows = select(table.c.id, *values).where(clause, table.c.id.not_in(inside))
    done = session.execute(insert(_MEMBERS).from_select(["record_id", *fixed], rows))
    bump(session, _MEMBERS.name)
    return max(int(done.rowcount), 0)  # type: ignore[attr-defined]


def _leave(session: Session, segment: Segment, clause: ColumnElement[bool], now: datetime) -> int:
    mine = and_(_MEMBERS.c.segment_id == segment.id, _MEMBERS.c.left_at.is_(None), clause)
    done = session.execute(update(_MEMBERS).where(mine).values(left_at=now))
    bump(session, _MEMBERS.name)
    return max(int(done.rowcount), 0)  # type: ignore[attr-defined]


def _counted(session: Session, actor: Actor, segment: Segment, *, entered: int = 0, left: int = 0) -> None:
    """Keep the count beside the segment without raising its version: nobody edited it."""
    inside = and_(_MEMBERS.c.segment_id == segment.id, _MEMBERS.c.left_at.is_(None))
    total = session.execute(select(func.count()).select_from(_MEMBERS).where(inside)).scalar_one()
    mine = update(_SEGMENTS).where(_SEGMENTS.c.id == segment.id)
    session.execute(mine.values(member_count=total, counted_at=clock.utcnow(), updated_at=_SEGMENTS.c.updated_at))
    bump(session, _SEGMENTS.name)
    session.refresh(segment)
    if entered and segment.kind is SegmentKind.STATIC:
        events.record(session, actor, "segment.members_added", segment, data={"count": entered})
    if left and segment.kind is SegmentKind.STATIC:
        events.record(session, actor, "segment.members_removed", segment, data={"count": left})
