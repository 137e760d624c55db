"""How everybody stands at an instant: rights, absence, shift, open records, skill, success; one statement each, whatever their number."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, case, func, select
from sqlmodel import Session, col
from sqlmodel import select as fetch

from crm_core.entities import entity
from crm_core.models import (
    Absence,
    LeadStatus,
    Organisation,
    RolePermission,
    RoutingDecision,
    ServiceCalendar,
    User,
    UserRole,
    WorkProfile,
)
from crm_core.services.helpdesk.calendars import hours_of
from crm_core.services.helpdesk.ticket_rules import DONE
from crm_core.services.routing.choice_rules import Candidate, shrink
from crm_core.vocabulary import Action, LeadKind, StageKind

KINDS = ("lead", "deal", "ticket")
CATEGORY = {"lead": "source", "deal": "source", "ticket": "category"}
"""The field that says of which category a record is, for success."""
SUCCESS_DAYS = 365
_LIVE = (LeadKind.OPEN, LeadKind.WORKING, LeadKind.QUALIFIED)


@dataclass(frozen=True)
class Need:
    """What a record asks of people: a skill of at least this level, and its category."""

    skill: str = ""
    level: int = 1
    category: str | None = None


def open_clause(key: str) -> Any:
    """Which records of a kind count as open work."""
    table = entity(key).table
    if key == "ticket":
        return and_(table.c.deleted_at.is_(None), table.c.status.not_in(DONE))
    if key == "deal":
        return and_(table.c.deleted_at.is_(None), table.c.outcome == StageKind.OPEN)
    live = select(LeadStatus.__table__.c.id).where(LeadStatus.__table__.c.kind.in_(_LIVE))  # type: ignore[attr-defined]
    return and_(table.c.deleted_at.is_(None), table.c.converted_at.is_(None), table.c.status_id.in_(live))


def loads(session: Session, key: str, user_ids: Iterable[int]) -> dict[int, int]:
    """Open records per person."""
    table = entity(key).table
    query = (
        select(table.c.owner_id, func.count())
        .where(table.c.owner_id.in_(list(user_ids)), open_clause(key))
        .group_by(table.c.owner_id)
    )
    return {user_id: int(number) for user_id, number in session.execute(query)}


def candidates(
    session: Session, key: str, members: Mapping[int, int], need: Need, now: datetime, *, success: bool = False
) -> list[Candidate]:
    """Everybody of ``members`` (id → weight) with what speaks against them. In the order of ids, so that turns are stable."""
    ids = sorted(members)
    users = {user.id: user for user in session.exec(fetch(User).where(col(User.id).in_(ids)))}
    profiles = {row.user_id: row for row in session.exec(fetch(WorkProfile).where(col(WorkProfile.user_id).in_(ids)))}
    facts = _Facts(
        loads(session, key, ids), _may_edit(session, key, ids), away(session, ids, now), _shifts(session, profiles.values(), now), _last(session, key, ids)
    )  # fmt: skip
    good = successes(session, key, ids, need.category, now) if success else {}
    shrunk = shrink(good) if good else {}
    made = [_standing(key, users.get(user_id), user_id, profiles.get(user_id), need, facts) for user_id in ids]
    return [
        replace(one, weight=members[one.user_id], success=shrunk.get(one.user_id), cases=good.get(one.user_id, (0, 0))[1])
        for one in made
    ]


@dataclass(frozen=True)
class _Facts:
    loads: Mapping[int, int]
    allowed: frozenset[int]
    away: Mapping[int, str]
    on_shift: Mapping[int, bool]
    last: Mapping[int, datetime]


def _standing(key: str, user: User | None, user_id: int, profile: WorkProfile | None, need: Need, facts: _Facts) -> Candidate:
    load = facts.loads.get(user_id, 0)
    capacity = profile.capacity.get(key) if profile else None
    level = int(profile.skills.get(need.skill, 0)) if profile and need.skill else 0
    one = Candidate(
        user_id, load=load, capacity=capacity, skill=level if need.skill else None, last_at=facts.last.get(user_id)
    )  # fmt: skip
    if user is None or not user.is_active:
        return replace(one, why_not="left")
    if user_id not in facts.allowed:
        return replace(one, why_not="no_right")
    if profile is not None and not profile.takes_work:
        return replace(one, why_not="off")
    if user_id in facts.away:
        return replace(one, why_not="absent", detail=facts.away[user_id])
    if profile is not None and profile.calendar_id is not None and not facts.on_shift.get(profile.calendar_id, True):
        return replace(one, why_not="off_shift")
    if need.skill and level < need.level:
        return replace(one, why_not="skill", detail=f"{need.skill} ({level} of {need.level})")
    if capacity is not None and load >= capacity:
        return replace(one, why_not="full", detail=f"{load} of {capacity}")
    return one


def away(session: Session, user_ids: Iterable[int], now: datetime) -> dict[int, str]:
    """Who is away today in the workspace's time zone: person → the last day, as an ISO date."""
    day = now.astimezone(ZoneInfo(session.exec(fetch(Organisation.timezone)).first() or "UTC")).date()
    rows = session.exec(
        fetch(Absence).where(col(Absence.user_id).in_(list(user_ids)), Absence.first_on <= day, Absence.last_on >= day)
    )
    found: dict[int, str] = {}
    for row in rows:
        found[row.user_id] = max(found.get(row.user_id, ""), row.last_on.isoformat())
    return found


def _may_edit(session: Session, key: str, ids: list[int]) -> frozenset[int]:
    """Who has a role that lets them work on such records."""
    grants, roles = RolePermission.__table__, UserRole.__table__  # type: ignore[attr-defined]
    query = (
        select(roles.c.user_id)
        .join(grants, grants.c.role_id == roles.c.role_id)
        .where(roles.c.user_id.in_(ids), grants.c.entity == key, grants.c.action == Action.EDIT)
    )
    return frozenset(session.execute(query).scalars())


def _shifts(session: Session, profiles: Iterable[WorkProfile], now: datetime) -> dict[int, bool]:
    ids = {row.calendar_id for row in profiles if row.calendar_id is not None}
    rows = session.exec(fetch(ServiceCalendar).where(col(ServiceCalendar.id).in_(ids))) if ids else ()
    return {row.id: hours_of(row).is_open(now) for row in rows}


def _last(session: Session, key: str, ids: list[int]) -> dict[int, datetime]:
    log = RoutingDecision.__table__  # type: ignore[attr-defined]
    query = select(log.c.user_id, func.max(log.c.at)).where(log.c.user_id.in_(ids), log.c.entity == key).group_by(log.c.user_id)
    return dict(session.execute(query).tuples().all())


def successes(session: Session, key: str, ids: Iterable[int], category: str | None, now: datetime) -> dict[int, tuple[int, int]]:
    """Person → (good ends, all ends) of the last year in a category: tickets solved and not re-opened, deals won, leads converted."""
    table = entity(key).table
    ended = {"ticket": "solved_at", "deal": "closed_on", "lead": "created_at"}[key]
    good = (
        table.c.converted_at.is_not(None)
        if key == "lead"
        else table.c.outcome == StageKind.WON
        if key == "deal"
        else table.c.reopened_count == 0
    )
    since = now - timedelta(days=SUCCESS_DAYS)
    parts = [
        table.c.owner_id.in_(list(ids)),
        table.c.deleted_at.is_(None),
        table.c[ended] >= (since.date() if key == "deal" else since),
    ]
    if key == "lead":
        parts.append(~open_clause("lead"))
    elif key == "ticket":
        parts.append(table.c.status.in_(DONE))
    if category:
        parts.append(table.c[CATEGORY[key]] == category)
    query = select(table.c.owner_id, func.sum(case((good, 1), else_=0)), func.count()).where(*parts).group_by(table.c.owner_id)
    found = {user_id: (int(won or 0), int(number)) for user_id, won, number in session.execute(query)}
    return {user_id: found.get(user_id, (0, 0)) for user_id in ids}
