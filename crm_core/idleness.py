"""When an open deal is idle: the one rule that lists, cards, figures, reminders and tasks share. ``docs/metrics.md`` tells it in words.

Each stage says after how many working days; they are those of the working hours in the workspace's settings. They are counted back from now once,
which gives an instant for each stage: a deal is idle when neither its last contact (``contact_marks``) nor its arrival in the stage is later.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, bindparam, false, or_
from sqlmodel import Session, col, select

from crm_core.db import shared
from crm_core.kit import clock
from crm_core.kit.business_calendar import BusinessCalendar
from crm_core.models import Organisation, Stage
from crm_core.vocabulary import StageKind

NO_NEXT_STEP: dict[str, Any] = {
    "op": "and", "items": [{"field": "next_step", "cmp": "empty"}, {"field": "next_step_on", "cmp": "empty"}],
}  # fmt: skip
"""The filter of deals without a next step: neither words nor a day."""
IDLE: dict[str, Any] = {"field": "idle", "cmp": "eq", "value": True}
"""The filter of idle deals; such a filter can be saved, since it is reckoned when it is asked."""
_LONGEST = 3_650 * 7
Limits = Mapping[int, datetime]


def working_hours(session: Session) -> BusinessCalendar:
    """The working hours in the settings of the workspace; nine to five before there are any."""
    row = session.exec(select(Organisation.working_hours, Organisation.timezone)).first()
    if row is None:
        return BusinessCalendar("UTC", (((9 * 60, 17 * 60),),) * 5 + ((), ()))
    week = tuple(tuple((_minute(start), _minute(end)) for start, end in row[0].get(str(n), ())) for n in range(7))
    return BusinessCalendar(row[1], week)


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute or 0)


def back(calendar: BusinessCalendar, now: datetime, days: Iterable[int]) -> dict[int, datetime]:
    """The instant that lies so many working days before now, at the same time of day, for each number of days.

    A day counts whole when it has any working hours. On a day without, the clock stands at the end of the last one that had some. Where no day
    of the week has working hours, every day counts.
    """
    wanted = sorted(set(days))
    zone, every = ZoneInfo(calendar.timezone), not any(calendar.week)
    wall = now.astimezone(zone)
    day, at = wall.date(), wall.time()
    found: dict[int, datetime] = {}
    passed = 0
    for _ in range(_LONGEST):
        if not wanted:
            break
        if every or calendar.hours_of(day):
            while wanted and wanted[0] == passed:
                found[wanted.pop(0)] = datetime.combine(day, at, zone).astimezone(now.tzinfo)
            passed += 1
        elif not passed:
            at = time.max
        day -= timedelta(days=1)
    return found


def quiet_days(calendar: BusinessCalendar, since: datetime, now: datetime) -> int:
    """How many working days have passed since an instant, by the same count."""
    span = range(1, max(1, (now - since).days + 2))
    return sum(1 for at in back(calendar, now, span).values() if since <= at)


def limits(session: Session, now: datetime | None = None) -> dict[int, datetime]:
    """Stage → the instant since which nothing may have happened for a deal to be idle. Full minutes: two readers within one share an answer."""
    stages, calendar = shared(session, "idleness", ("stage", "organisation"), lambda: _rule(session))
    found = back(calendar, (now or clock.utcnow()).replace(second=0, microsecond=0), stages.values())
    return {stage_id: found[days] for stage_id, days in stages.items() if days in found}


def _rule(session: Session) -> tuple[dict[int, int], BusinessCalendar]:
    query = select(Stage.id, Stage.max_idle_days).where(Stage.kind == StageKind.OPEN, col(Stage.max_idle_days).is_not(None))
    return {int(stage_id or 0): int(days or 0) for stage_id, days in session.exec(query)}, working_hours(session)


def since(row: Any) -> datetime:
    """Since when a deal (or a row of its columns) is quiet: its last contact, or its arrival in the stage when that is later."""
    arrived: datetime = row.stage_since
    return max(row.last_contact_at or arrived, arrived)


def is_idle(row: Any, limits: Limits) -> bool:
    """The rule over the columns of an open deal: stage_id, stage_since, last_contact_at."""
    limit = limits.get(row.stage_id)
    return limit is not None and since(row) <= limit


def clause(table: Any, limits: Limits) -> ColumnElement[bool]:
    """The rule in SQL; it is never unknown. Stages with the same limit stand together."""
    stages: dict[datetime, list[int]] = {}
    for stage_id, limit in sorted(limits.items()):
        stages.setdefault(limit, []).append(stage_id)
    quiet = [
        and_(
            table.c.stage_id.in_(ids),
            table.c.stage_since <= limit,
            or_(table.c.last_contact_at.is_(None), table.c.last_contact_at <= limit),
        )
        for limit, ids in stages.items()
    ]
    # Written out, since SQLite finds the index of the open deals only by a condition that it can read.
    is_open = table.c.outcome == bindparam(None, StageKind.OPEN, type_=table.c.outcome.type, unique=True, literal_execute=True)
    return and_(is_open, or_(*quiet)) if quiet else false()
