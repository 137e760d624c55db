"""Whose time a page offers, as the rules need it: hours, meetings, absences, what was booked."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlalchemy import select as pick
from sqlmodel import Session, col, select

from crm_core.kit.business_calendar import BusinessCalendar, Span
from crm_core.kit.clock import utcnow
from crm_core.models import Absence, Activity, Booking, BookingPage, Organisation, User, WorkProfile
from crm_core.services.booking.slot_rules import Host, Terms
from crm_core.services.helpdesk import calendars
from crm_core.vocabulary import ActivityKind, BookingState

DEFAULT_MINUTES = 30
RECENT = timedelta(days=30)
"""How far back counts who has had the fewest."""
_LONGEST = timedelta(days=1)


def terms_of(page: BookingPage) -> Terms:
    """What a page asks of a time."""
    return Terms(page.minutes, page.step_minutes, page.before_minutes, page.after_minutes, page.most_a_day)


def window(page: BookingPage) -> Span:
    """From when to when a page offers times, now."""
    now = utcnow()
    return now + timedelta(hours=page.notice_hours), now + timedelta(days=page.ahead_days)


def of(
    session: Session, page: BookingPage, since: datetime, until: datetime, *, without: int | None = None, lock: bool = False
) -> list[Host]:
    """The people of a page who are here, busy as they are between two instants. ``without``: a meeting that is about to be moved, so it is in nobody's
    way; ``lock``: hold the people until the transaction ends, so that nobody else books them meanwhile."""
    query = select(User).where(col(User.id).in_([int(one) for one in page.host_ids]), User.is_active).order_by(col(User.id))
    users = list(session.exec(query.with_for_update(key_share=True) if lock else query))
    ids = [user.id for user in users]
    meetings, absences = _meetings(session, ids, since - _LONGEST, until + _LONGEST, without), _absences(session, ids)
    booked, load = _booked(session, page, ids, without)
    hours = _hours(session, page, ids)
    return [
        Host(user.id, hours[user.id], tuple(meetings[user.id] + absences[user.id]), tuple(booked[user.id]), load.get(user.id, 0))
        for user in users
    ]


def _meetings(
    session: Session, ids: Sequence[int], since: datetime, until: datetime, without: int | None
) -> Mapping[int, list[Span]]:
    table: Any = Activity.__table__  # type: ignore[attr-defined]
    rows = session.execute(
        pick(table.c.id, table.c.owner_id, table.c.at, table.c.minutes).where(
            table.c.owner_id.in_(ids), table.c.kind == ActivityKind.MEETING, table.c.deleted_at.is_(None), table.c.at >= since, table.c.at < until
        )
    )  # fmt: skip
    found: dict[int, list[Span]] = defaultdict(list)
    for row in rows:
        if row.id != without:
            found[row.owner_id].append((row.at, row.at + timedelta(minutes=row.minutes or DEFAULT_MINUTES)))
    return found


def _absences(session: Session, ids: Sequence[int]) -> Mapping[int, list[Span]]:
    """Whole days, on the calendar of the workspace."""
    zone = ZoneInfo(session.exec(select(Organisation.timezone)).first() or "UTC")
    found: dict[int, list[Span]] = defaultdict(list)
    for row in session.exec(
        select(Absence).where(col(Absence.user_id).in_(ids), Absence.last_on >= utcnow().astimezone(zone).date())
    ):
        first, last = (
            datetime.combine(day, time(), zone).astimezone(UTC) for day in (row.first_on, row.last_on + timedelta(days=1))
        )
        found[row.user_id].append((first, last))
    return found


def _booked(
    session: Session, page: BookingPage, ids: Sequence[int], without: int | None
) -> tuple[Mapping[int, list[datetime]], Mapping[int, int]]:
    """When each has something of this page to come, and how much each had lately."""
    table: Any = Booking.__table__  # type: ignore[attr-defined]
    activity: Any = Activity.__table__  # type: ignore[attr-defined]
    mine = (table.c.page_id == page.id, table.c.state != BookingState.CANCELLED, table.c.user_id.in_(ids))
    rows = session.execute(
        pick(table.c.user_id, activity.c.at, activity.c.id)
        .join(activity, activity.c.id == table.c.activity_id)
        .where(*mine, activity.c.deleted_at.is_(None), activity.c.at >= utcnow() - _LONGEST)
    )
    starts: dict[int, list[datetime]] = defaultdict(list)
    for row in rows:
        if row.id != without:
            starts[row.user_id].append(row.at)
    lately = pick(table.c.user_id, func.count()).where(*mine, table.c.created_at >= utcnow() - RECENT).group_by(table.c.user_id)
    return starts, dict(session.execute(lately).tuples().all())


# --- hours ------------------------------------------------------------------------------------------------------------------


def _hours(session: Session, page: BookingPage, ids: Sequence[int]) -> Mapping[int, BusinessCalendar]:
    """The hours of the page itself or of a set of working hours, else each person's shift, else the workspace's. Holidays of a person's shift or of the
    page's set of hours hold for the page's own hours too."""
    shared = calendars.calendar_of(session, page.calendar_id) if page.calendar_id is not None else None
    profiles = {row.user_id: row.calendar_id for row in session.exec(select(WorkProfile).where(col(WorkProfile.user_id).in_(ids)))}
    found = {}
    for user_id in ids:
        shift = profiles.get(user_id)
        base = shared or (calendars.calendar_of(session, shift) if shift is not None else calendars.of_the_workspace(session))
        if page.week:
            closed = tuple(one for one in base.exceptions if not one.hours)
            base = replace(base, timezone=page.timezone, week=week_of(page.week), exceptions=closed)
        found[user_id] = base
    return found


def week_of(rows: Sequence[Sequence[Sequence[int]]]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Stored hours as the business clock reads them."""
    return tuple(tuple((int(start), int(end)) for start, end in hours) for hours in rows)
