"""Booking pages: what they offer, of whose time, on which terms; and what came of each."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import func
from sqlmodel import Session, col, select

from crm_core import events
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.kit.business_calendar import check_hours
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, slug
from crm_core.models import Activity, Booking, BookingPage, ServiceCalendar, User
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.services.booking import hosts, slot_rules
from crm_core.vocabulary import Action, BookingPlace, BookingState, Scope

LENGTHS = (15, 20, 30, 45, 60, 90, 120)
STEPS = (10, 15, 20, 30, 60)
MAX_QUESTIONS = 8
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_WITHIN = {
    "before_minutes": (0, 240, "Room before and after is at most four hours."),
    "after_minutes": (0, 240, "Room before and after is at most four hours."),
    "notice_hours": (0, 24 * 30, "The notice is at most 30 days."),
    "ahead_days": (1, 365, "Offer between one day and a year ahead."),
}


@dataclass(frozen=True)
class PageRow:
    """A page with its people, how many booked it in the last 30 days, how many meetings are to come, and the next free time (None: there is
    none); ``missed`` of the ``said`` visitors of whom somebody said whether they came did not."""

    page: BookingPage
    people: tuple[str, ...]
    lately: int
    coming: int
    next_free: datetime | None
    may_edit: bool
    missed: int
    said: int


@dataclass(frozen=True)
class Booked:
    """One booking as its list shows it."""

    id: int
    at: datetime
    who: str
    host: str
    state: BookingState
    activity_id: int | None


def may_for_others(actor: Actor) -> bool:
    """Whether somebody may make pages for colleagues, and change theirs."""
    return Scope.ALL in actor.scopes("booking", Action.MANAGE)


def may_edit(actor: Actor, page: BookingPage) -> bool:
    """Own pages, or all of them."""
    return may_for_others(actor) or (actor.can("booking", Action.MANAGE) and page.owner_id == actor.user_id)


def find(session: Session, actor: Actor) -> list[PageRow]:
    """All pages by name, the actor's own first."""
    require(actor, "booking", Action.READ)
    rows = list(session.exec(select(BookingPage).order_by(alphabetical(BookingPage.name))))
    names = {user.id: user.name for user in session.exec(select(User).where(User.is_active))}
    rows.sort(key=lambda page: page.owner_id != actor.user_id and actor.user_id not in page.host_ids)
    return [_row(session, actor, page, names) for page in rows]


def _row(session: Session, actor: Actor, page: BookingPage, names: Mapping[int, str]) -> PageRow:
    booked = select(func.count()).select_from(Booking).where(Booking.page_id == page.id, Booking.state != BookingState.CANCELLED)
    lately = session.exec(booked.where(Booking.created_at >= utcnow() - hosts.RECENT)).one()
    coming = session.exec(
        booked.join(Activity, col(Activity.id) == Booking.activity_id).where(
            Activity.at >= utcnow(), col(Activity.deleted_at).is_(None)
        )
    ).one()
    since, until = hosts.window(page)
    free = slot_rules.soonest(hosts.of(session, page, since, until), hosts.terms_of(page), since, until) if page.is_active else None
    people = tuple(names[one] for one in page.host_ids if one in names)
    said = dict(
        session.exec(
            select(Booking.state, func.count())
            .where(Booking.page_id == page.id, col(Booking.marked_at).is_not(None))
            .group_by(Booking.state)  # type: ignore[arg-type]
        ).all()
    )
    missed = said.get(BookingState.NO_SHOW, 0)
    return PageRow(page, people, lately, coming, free, may_edit(actor, page), missed, missed + said.get(BookingState.ATTENDED, 0))


def bookings(session: Session, actor: Actor, page_id: int, *, page: int = 1, size: int = 20) -> tuple[list[Booked], int]:
    """What was booked on a page, the latest first: names only of meetings that the actor may see, and of fields that are not masked."""
    require(actor, "booking", Action.READ)
    found = _get(session, page_id)
    where = Booking.page_id == found.id
    total = session.exec(select(func.count()).select_from(Booking).where(where)).one()
    rows = list(
        session.exec(select(Booking).where(where).order_by(col(Booking.id).desc()).limit(size).offset((max(page, 1) - 1) * size))
    )
    table = entity("activity").table
    meetings = {
        row.id: row.at
        for row in session.execute(
            select(table.c.id, table.c.at).where(  # type: ignore[call-overload]
                table.c.id.in_([row.activity_id for row in rows]), visible(actor, "activity", table, with_deleted=True)
            )
        )
    }
    names = {user.id: user.name for user in session.exec(select(User).where(col(User.id).in_({row.user_id for row in rows})))}
    masked = actor.masked("lead", "name") or actor.masked("contact", "name")
    return [
        Booked(
            row.id, meetings.get(row.activity_id or 0, row.starts_at), row.name if row.activity_id in meetings and not masked else "Hidden person",
            names.get(row.user_id, ""), row.state, row.activity_id if row.activity_id in meetings else None,
        )
        for row in rows
    ], int(total)  # fmt: skip


def save(
    session: Session, actor: Actor, page_id: int | None, values: Mapping[str, Any], *, base_version: int | None = None
) -> BookingPage:
    """Create a page or change it: name, slug, intro, host_ids, minutes, step_minutes, before_minutes, after_minutes, notice_hours, ahead_days, most_a_day,
    week, timezone, calendar_id, place, place_text, ask_phone, questions, remind, is_active, base_url. What is booked stays. Events: booking.saved."""
    require(actor, "booking", Action.MANAGE)
    row = _get(session, page_id) if page_id else BookingPage(name="", slug="", owner_id=actor.user_id, host_ids=[actor.user_id])
    if not may_edit(actor, row):
        raise NotPermitted("Only the owner of this page and managers may change it.")
    refuse_stale("this page", row, base_version)
    for key, value in _checked(session, actor, {**row.model_dump(), **values}, row.id).items():
        setattr(row, key, value)
    session.add(row)
    session.flush()
    events.record(session, actor, "booking.saved", entity="booking", record_id=row.id, data={"name": row.name})
    return row


def remove(session: Session, actor: Actor, page_id: int) -> None:
    """Delete a page; the meetings that were booked stay. Events: booking.removed."""
    require(actor, "booking", Action.MANAGE)
    row = _get(session, page_id)
    if not may_edit(actor, row):
        raise NotPermitted("Only the owner of this page and managers may remove it.")
    session.delete(row)
    session.flush()
    events.record(session, actor, "booking.removed", entity="booking", record_id=page_id, data={"name": row.name})


def _get(session: Session, page_id: int) -> BookingPage:
    row = session.get(BookingPage, page_id)
    if row is None:
        raise NotFound("This booking page no longer exists.")
    return row


# --- checks -----------------------------------------------------------------------------------------------------------------


def _checked(session: Session, actor: Actor, given: Mapping[str, Any], own_id: int | None) -> dict[str, Any]:
    wrong: dict[str, str] = {}
    name = clean(str(given.get("name") or ""))[:120]
    if not name:
        wrong["name"] = "Say what is booked, for example “A first talk”."
    made = {
        "name": name, "slug": _slug(session, str(given.get("slug") or ""), name, own_id, wrong), "host_ids": _hosts(session, actor, given, wrong),
        **_lengths(given, wrong), **_numbers(given, wrong), **_hours(session, given, wrong), **_place(given, wrong),
        "questions": _questions(given.get("questions") or (), wrong), "intro": clean(str(given.get("intro") or ""))[:1000],
        "base_url": str(given.get("base_url") or "")[:200].rstrip("/"), "source": clean(str(given.get("source") or ""))[:120],
        **{key: bool(given.get(key)) for key in ("ask_phone", "remind", "is_active")},
    }  # fmt: skip
    if wrong:
        raise Invalid(fields=wrong)
    return made


def _slug(session: Session, text: str, name: str, own_id: int | None, wrong: dict[str, str]) -> str:
    asked = text.strip().lower()
    if not asked:
        base = slug(name, 40) or "meeting"
        return f"{base}-{secrets.token_hex(3)}"
    if not _SLUG.fullmatch(asked) or not 3 <= len(asked) <= 60:
        wrong["slug"] = "The end of the address has 3 to 60 small letters, digits and hyphens, like first-talk."
    elif session.exec(select(BookingPage.id).where(BookingPage.slug == asked, BookingPage.id != (own_id or 0))).first() is not None:
        wrong["slug"] = f"Another page is at “{asked}” already."
    return asked


def _hosts(session: Session, actor: Actor, given: Mapping[str, Any], wrong: dict[str, str]) -> list[int]:
    asked = list(dict.fromkeys(int(one) for one in given.get("host_ids") or ()))
    if not may_for_others(actor) and asked != [actor.user_id]:
        wrong["host_ids"] = "You can offer your own time only. Ask a manager for a page with colleagues."
    known = set(session.exec(select(User.id).where(col(User.id).in_(asked), User.is_active)))
    if not asked or known != set(asked):
        wrong["host_ids"] = "Choose whose time is offered: at least one person who is active."
    return asked


def _lengths(given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, int]:
    minutes, step = int(given.get("minutes") or 0), int(given.get("step_minutes") or 0)
    if not 5 <= minutes <= 480:
        wrong["minutes"] = "A meeting takes between 5 minutes and 8 hours."
    if step not in STEPS:
        wrong["step_minutes"] = "Times can begin every 10, 15, 20, 30 or 60 minutes."
    return {"minutes": minutes, "step_minutes": step}


def _numbers(given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for key, (low, high, sentence) in _WITHIN.items():
        found[key] = int(given.get(key) or 0)
        if not low <= (found[key] or 0) <= high:
            wrong[key] = sentence
    most = given.get("most_a_day")
    found["most_a_day"] = int(most) if most else None
    if most and not 1 <= int(most) <= 50:
        wrong["most_a_day"] = "Allow between 1 and 50 meetings a day, or leave it open."
    return found


def _hours(session: Session, given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, Any]:
    week, timezone, calendar_id = given.get("week") or [], str(given.get("timezone") or "UTC"), given.get("calendar_id") or None
    try:
        ZoneInfo(timezone)
        for hours in week:
            check_hours(tuple((int(a), int(b)) for a, b in hours))
    except (ZoneInfoNotFoundError, OSError):
        wrong["timezone"] = "There is no such time zone."
    except ValueError as error:
        wrong["week"] = str(error)
    if week and (len(week) != 7 or not any(week)):
        wrong["week"] = "Enter hours for at least one day of the week."
    if calendar_id is not None and session.get(ServiceCalendar, calendar_id) is None:
        wrong["calendar_id"] = "These working hours no longer exist."
    return {"week": [[[int(a), int(b)] for a, b in hours] for hours in week], "timezone": timezone, "calendar_id": calendar_id}


def _place(given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, Any]:
    place, text = BookingPlace(given.get("place") or BookingPlace.PHONE), clean(str(given.get("place_text") or ""))[:300]
    if place is BookingPlace.VIDEO and not text.startswith(("https://", "http://")):
        wrong["place_text"] = "Give the address of the video room. It begins with https://."
    if place is BookingPlace.VISIT and not text:
        wrong["place_text"] = "Say where you meet."
    return {"place": place, "place_text": text}


def _questions(rows: Sequence[Mapping[str, Any]], wrong: dict[str, str]) -> list[dict[str, Any]]:
    found = [
        {"label": label, "required": bool(row.get("required"))}
        for row in rows
        if (label := clean(str(row.get("label") or ""))[:120])
    ]
    if len(found) > MAX_QUESTIONS:
        wrong["questions"] = f"Nobody answers more than {MAX_QUESTIONS} questions."
    return found
