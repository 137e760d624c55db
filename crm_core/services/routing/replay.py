"""Would have: a rule dealt out over the records of the last months, beside who really had them."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import and_, true
from sqlmodel import Session, col
from sqlmodel import select as fetch

from crm_core import lists
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.filters import where
from crm_core.kit.business_calendar import BusinessCalendar
from crm_core.kit.clock import utcnow
from crm_core.kit.text import sort_key
from crm_core.models import Absence, RoutingRule, ServiceCalendar, WorkProfile
from crm_core.services.helpdesk.calendars import hours_of
from crm_core.services.routing import assign, choice_rules, standing
from crm_core.services.routing.choice_rules import Candidate
from crm_core.vocabulary import Action, RouteMethod

MAX_RECORDS = 5_000
_BEGINS = {"ticket": "opened_at", "lead": "created_at", "deal": "created_at"}
_ENDS = {"ticket": "solved_at", "lead": "converted_at", "deal": "closed_on"}


@dataclass(frozen=True)
class ReplayRow:
    """One person: how many they would have got and had, and the most they would have had open at once."""

    name: str
    would: int
    had: int
    most_open: int


@dataclass(frozen=True)
class Replay:
    """A rule on the past. ``waited``: nobody would have been free; ``same``: who had it would have got it; ``cut``: only the newest were looked at."""

    since: datetime
    records: int
    waited: int
    same: int
    cut: bool
    rows: tuple[ReplayRow, ...]


@dataclass
class _World:
    """The people at a moment of the past."""

    members: dict[int, int]
    base: dict[int, Candidate]
    skills: dict[int, dict[str, int]]
    hours: dict[int, BusinessCalendar]
    absent: dict[int, list[tuple[datetime, datetime]]]
    loads: Counter[int] = field(default_factory=Counter)
    last: dict[int, datetime] = field(default_factory=dict)
    ends: list[tuple[datetime, int]] = field(default_factory=list)

    def at(self, now: datetime, need: standing.Need, success: dict[int, float]) -> list[Candidate]:
        while self.ends and self.ends[0][0] <= now:
            self.loads[heapq.heappop(self.ends)[1]] -= 1
        return [self._one(user_id, now, need, success) for user_id in sorted(self.members)]

    def _one(self, user_id: int, now: datetime, need: standing.Need, success: dict[int, float]) -> Candidate:
        level = self.skills.get(user_id, {}).get(need.skill, 0)
        one = replace(
            self.base[user_id], load=self.loads[user_id], last_at=self.last.get(user_id), skill=level if need.skill else None, success=success.get(user_id)
        )  # fmt: skip
        if one.why_not:
            return one
        if any(first <= now < last for first, last in self.absent.get(user_id, ())):
            return replace(one, why_not="absent")
        if user_id in self.hours and not self.hours[user_id].is_open(now):
            return replace(one, why_not="off_shift")
        if need.skill and level < need.level:
            return replace(one, why_not="skill")
        return replace(one, why_not="full") if one.capacity is not None and one.load >= one.capacity else one


def replay(session: Session, actor: Actor, rule: RoutingRule, *, days: int = 90) -> Replay:
    """Deal the records that the actor may see and that fit the rule out again, in the order in which they came.

    Absences and shifts are those of each moment; rights, skills, capacities and success are today's; everybody starts with nothing open. A record
    for which nobody was free counts as waiting and is not dealt out later.
    """
    require(actor, "assignment", Action.READ)
    now = utcnow()
    since = now - timedelta(days=days)
    rows = _records(session, actor, rule, since)
    cut, rows = len(rows) > MAX_RECORDS, rows[:MAX_RECORDS][::-1]
    world = _world(session, rule, now)
    would, had, most, waited, same, state = Counter[int](), Counter[int](), Counter[int](), 0, 0, dict[str, int]()
    known: dict[Any, dict[int, float]] = {}
    for row in rows:
        begins, need = getattr(row, _BEGINS[rule.entity]), assign.need_of(rule, row)
        success = _success(session, rule, world, need, now, known)
        people = world.at(begins, need, success)
        if rule.method is RouteMethod.TERRITORY:
            home = choice_rules.territory_of(rule.territory.get("rows", ()), assign.place_of(session, rule, row))
            people = [one if one.user_id in home else replace(one, why_not="elsewhere") for one in people]
        made = choice_rules.choose(rule.method, people, state, rule.weights or None)
        state = dict(made.state)
        had.update([row.owner_id] if row.owner_id else [])
        if made.user_id is None:
            waited += 1
            continue
        would[made.user_id] += 1
        same += made.user_id == row.owner_id
        _give(world, made.user_id, begins, _end(rule.entity, row))
        most[made.user_id] = max(most[made.user_id], world.loads[made.user_id])
    return Replay(since, len(rows), waited, same, cut, _rows(session, actor, {*world.members, *had}, would, had, most))


def _give(world: _World, user_id: int, begins: datetime, end: datetime | None) -> None:
    world.loads[user_id] += 1
    world.last[user_id] = begins
    if end is not None:
        heapq.heappush(world.ends, (max(end, begins), user_id))


def _rows(
    session: Session, actor: Actor, ids: set[int], would: Counter[int], had: Counter[int], most: Counter[int]
) -> tuple[ReplayRow, ...]:
    names = lists.titles(session, actor, "user", ids)
    made = [ReplayRow(names.get(one, "Somebody"), would[one], had[one], most[one]) for one in ids if would[one] or had[one]]
    return tuple(sorted(made, key=lambda row: (-row.would, -row.had, sort_key(row.name))))


def _records(session: Session, actor: Actor, rule: RoutingRule, since: datetime) -> list[Any]:
    found = entity(rule.entity)
    begins = found.table.c[_BEGINS[rule.entity]]
    narrowed = where(session, rule.entity, rule.filter, actor) if rule.filter else true()
    clause = and_(visible(actor, rule.entity, found.table), begins >= since, narrowed)
    return list(
        session.exec(fetch(found.model).where(clause).order_by(begins.desc(), found.table.c.id.desc()).limit(MAX_RECORDS + 1))
    )


def _world(session: Session, rule: RoutingRule, now: datetime) -> _World:
    members = assign.members(session, rule)
    today = standing.candidates(session, rule.entity, members, standing.Need(), now)
    lasting = ("left", "no_right", "off")
    base = {one.user_id: replace(one, why_not=one.why_not if one.why_not in lasting else "", load=0, last_at=None) for one in today}
    profiles = list(session.exec(fetch(WorkProfile).where(col(WorkProfile.user_id).in_(list(members)))))
    calendars = {row.id: hours_of(row) for row in session.exec(fetch(ServiceCalendar))}
    hours = {row.user_id: calendars[row.calendar_id] for row in profiles if row.calendar_id in calendars}
    absent: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
    for user_id, first, last in _absences(session, list(members)):
        absent[user_id].append((first, last))
    return _World(members, base, {row.user_id: dict(row.skills) for row in profiles}, hours, absent)


def _absences(session: Session, ids: list[int]) -> Iterator[tuple[int, datetime, datetime]]:
    for row in session.exec(fetch(Absence).where(col(Absence.user_id).in_(ids))):
        first = datetime.combine(row.first_on, time(), UTC)
        yield row.user_id, first, datetime.combine(row.last_on + timedelta(days=1), time(), UTC)


def _success(
    session: Session, rule: RoutingRule, world: _World, need: standing.Need, now: datetime, known: dict[Any, dict[int, float]]
) -> dict[int, float]:
    if rule.method is not RouteMethod.CAPABLE:
        return {}
    if need.category not in known:
        known[need.category] = choice_rules.shrink(
            standing.successes(session, rule.entity, list(world.members), need.category, now)
        )
    return known[need.category]


def _end(key: str, row: Any) -> datetime | None:
    end = getattr(row, _ENDS[key])
    return datetime.combine(end, time(12), UTC) if key == "deal" and end is not None else end


__all__ = ["Replay", "ReplayRow", "replay"]
