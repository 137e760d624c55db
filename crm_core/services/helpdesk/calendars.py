"""Working hours: several sets of them, each with a time zone and days on which other hours hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlmodel import Session, select

from crm_core import events, idleness, jobs
from crm_core.access import Actor, require
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit.business_calendar import BusinessCalendar, DayException, Minutes, check_hours, the_same
from crm_core.kit.clock import today
from crm_core.kit.text import clean
from crm_core.models import ServiceCalendar, SlaPolicy, WorkProfile
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.services.helpdesk.sla_rules import ALWAYS
from crm_core.vocabulary import Action

MAX_EXCEPTIONS = 500


@dataclass(frozen=True)
class CalendarView:
    """Working hours as a screen edits them."""

    id: int
    version: int
    name: str
    hours: BusinessCalendar
    policies: int


def find(session: Session, actor: Actor) -> list[CalendarView]:
    """All sets of working hours by name."""
    require(actor, "ticket", Action.READ)
    used = list(session.exec(select(SlaPolicy.calendar_id)))
    rows = session.exec(select(ServiceCalendar).order_by(alphabetical(ServiceCalendar.name)))
    return [_view(row, used.count(row.id)) for row in rows]


def _view(row: ServiceCalendar, policies: int = 0) -> CalendarView:
    return CalendarView(row.id, row.version, row.name, hours_of(row), policies)


def save(
    session: Session,
    actor: Actor,
    calendar_id: int | None,
    *,
    name: str,
    timezone: str,
    week: Sequence[Sequence[Minutes]],
    exceptions: Sequence[DayException] = (),
    base_version: int | None = None,
) -> ServiceCalendar:
    """Create working hours or change them; open tickets under them are planned anew. Events: calendar.saved."""
    require(actor, "service_level", Action.MANAGE)
    row = _get(session, calendar_id) if calendar_id else ServiceCalendar(name="", timezone="UTC")
    refuse_stale("these working hours", row, base_version, lambda: _view(row))
    made = _checked(name, timezone, week, exceptions)
    _refuse_same_name(session, clean(name), row.id)
    row.name, row.timezone = clean(name)[:80], timezone
    row.week = [[list(span) for span in hours] for hours in made.week]
    row.exceptions = [_plain(one) for one in made.exceptions]
    session.add(row)
    session.flush()
    events.record(session, actor, "calendar.saved", entity="calendar", record_id=row.id, data={"name": row.name})
    jobs.enqueue(session, "helpdesk.sla_sweep")
    return row


def remove(session: Session, actor: Actor, calendar_id: int) -> None:
    """Delete working hours that no service level uses. Events: calendar.removed."""
    require(actor, "service_level", Action.MANAGE)
    row = _get(session, calendar_id)
    using = session.exec(select(SlaPolicy.name).where(SlaPolicy.calendar_id == row.id)).first()
    if using is not None:
        raise Conflict(f"The service level “{using}” uses these working hours. Give it others first.")
    session.delete(row)
    session.flush()
    events.record(session, actor, "calendar.removed", entity="calendar", record_id=calendar_id, data={"name": row.name})


def calendar_of(session: Session, calendar_id: int | None) -> BusinessCalendar:
    """The working hours of an id; round the clock for None."""
    row = session.get(ServiceCalendar, calendar_id) if calendar_id is not None else None
    return ALWAYS if row is None else hours_of(row)


def of_the_workspace(session: Session) -> BusinessCalendar:
    """The working hours in the settings of the workspace; nine to five before there are any."""
    return idleness.working_hours(session)


def of_person(session: Session, user_id: int | None) -> BusinessCalendar:
    """The working hours of somebody's shift; those of the workspace for whoever has none."""
    profile = session.exec(select(WorkProfile.calendar_id).where(WorkProfile.user_id == user_id)).first() if user_id else None
    return calendar_of(session, profile) if profile is not None else of_the_workspace(session)


def working_day(session: Session, user_id: int | None, now: datetime, days: int) -> date:
    """The day so many working days from now on by somebody's working hours: what a task of theirs is due."""
    calendar = of_person(session, user_id)
    return calendar.day_after(now.astimezone(ZoneInfo(calendar.timezone)).date(), days)


def proposed_day(session: Session, actor: Actor, days: int) -> date:
    """The day so many days from the actor's today on, or the next one on which they work: what a form proposes for a task of theirs."""
    return of_person(session, actor.user_id).day_after(today(actor.timezone) + timedelta(days=days), 0)


def free_days(session: Session, actor: Actor, first: date, last: date) -> set[date]:
    """The days from ``first`` to before ``last`` on which the actor does not work, holidays of their shift included."""
    calendar = of_person(session, actor.user_id)
    return {day for day in (first + timedelta(days=n) for n in range((last - first).days)) if not calendar.hours_of(day)}


def hours_of(row: ServiceCalendar) -> BusinessCalendar:
    """The stored hours as the business clock reads them."""
    week = tuple(tuple((int(start), int(end)) for start, end in hours) for hours in row.week)
    return the_same(BusinessCalendar(row.timezone, week, tuple(_exception(one) for one in row.exceptions)))


def _exception(one: dict[str, Any]) -> DayException:
    spans = tuple((int(start), int(end)) for start, end in one["hours"])
    return DayException(date.fromisoformat(one["first"]), date.fromisoformat(one["last"]), spans, one.get("name", ""))


def _plain(one: DayException) -> dict[str, Any]:
    hours = [list(span) for span in one.hours]
    return {"first": one.first.isoformat(), "last": one.last.isoformat(), "hours": hours, "name": clean(one.name)[:80]}


def _checked(name: str, timezone: str, week: Sequence[Sequence[Minutes]], exceptions: Sequence[DayException]) -> BusinessCalendar:
    wrong: dict[str, str] = {}
    if not clean(name):
        wrong["name"] = "Give the working hours a name."
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        wrong["timezone"] = "There is no such time zone."
    if len(exceptions) > MAX_EXCEPTIONS:
        wrong["exceptions"] = f"At most {MAX_EXCEPTIONS} special days."
    if not any(week):
        wrong["week"] = "With no working hours at all nothing would ever be due. Enter at least one."
    try:
        for hours in week:
            check_hours(tuple(hours))
        if not wrong:
            return BusinessCalendar(timezone, tuple(tuple(hours) for hours in week), tuple(exceptions))
    except ValueError as error:
        wrong["week"] = str(error)
    raise Invalid(fields=wrong)


def _get(session: Session, calendar_id: int) -> ServiceCalendar:
    row = session.get(ServiceCalendar, calendar_id)
    if row is None:
        raise NotFound("These working hours no longer exist.")
    return row


def _refuse_same_name(session: Session, name: str, own_id: int | None) -> None:
    for row in session.exec(select(ServiceCalendar)):
        if row.id != own_id and row.name.casefold() == name.casefold():
            raise Invalid(fields={"name": f"There are working hours called “{row.name}” already."})
