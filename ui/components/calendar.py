"""The calendar as one element: day, week, month or list; entries move by dragging or with Shift and the arrow keys, a free place is picked."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from crm_core.access import Actor
from crm_core.kit import clock, numerals
from crm_core.services.collaboration.agenda import Entry
from crm_core.services.helpdesk import calendars
from ui import format as fmt
from ui.actions import load

_HERE = Path(__file__).parent
_CALENDAR = st.components.v2.component(
    "rapport_calendar",
    html='<div class="cal"></div>\n',
    css=(_HERE / "calendar.css").read_text(),
    js=(_HERE / "calendar.js").read_text(),
)
TONES = {"meeting": "violet", "task": "blue", "ticket": "red", "deal": "green", "campaign": "orange"}
LABELS = {"meeting": "Meeting", "task": "Task", "ticket": "Ticket due", "deal": "Expected close", "campaign": "Campaign"}
_DAY = 24 * 60


def span(view: str, day: date, first_weekday: int) -> tuple[date, date]:
    """The days that a view shows, from the first to the one after the last."""
    start = day - timedelta(days=(day.weekday() - first_weekday) % 7)
    if view == "Day":
        return day, day + timedelta(days=1)
    if view == "Week":
        return start, start + timedelta(days=7)
    if view == "Month":
        first = day.replace(day=1)
        start = first - timedelta(days=(first.weekday() - first_weekday) % 7)
        return start, start + timedelta(days=42)
    return day, day + timedelta(days=31)


def step(view: str, day: date, by: int) -> date:
    """The day to which "back" and "on" lead."""
    if view == "Month":
        month = day.month - 1 + by
        return date(day.year + month // 12, month % 12 + 1, 1)
    return day + timedelta(days=by * {"Day": 1, "Week": 7}.get(view, 31))


def calendar(
    actor: Actor,
    entries: Sequence[Entry],
    names: Mapping[int, str],
    *,
    view: str,
    day: date,
    days: tuple[date, date],
    may_plan: bool,
    key: str,
) -> Any:
    """Draw it; the result has ``opened`` ({kind, id}), ``moved`` ({kind, id, version, day, from, minutes}), ``picked`` ({day, from}) and ``day``."""
    zone = ZoneInfo(actor.timezone)
    now = clock.utcnow().astimezone(zone)
    several = len({entry.owner_id for entry in entries}) > 1
    parts = [part for entry in entries for part in _parts(actor, entry, zone, names if several else {})]
    data = {
        "view": {"Agenda": "agenda"}.get(view, view.lower()), "days": _days(actor, view, day, days, now.date()), "entries": parts,
        "now": now.hour * 60 + now.minute, "may": may_plan, "none": "Nothing is planned in these days.", "at": f"{view}-{day}",
        "face": numerals.clock_face(actor.locale),
    }  # fmt: skip
    return _CALENDAR(
        key=key,
        data=data,
        on_opened_change=_nothing,
        on_moved_change=_nothing,
        on_picked_change=_nothing,
        on_day_change=_nothing,
    )


def _days(actor: Actor, view: str, day: date, days: tuple[date, date], today: date) -> list[dict[str, Any]]:
    free = load(calendars.free_days, *days)
    found = [days[0] + timedelta(days=n) for n in range((days[1] - days[0]).days)]
    return [
        {
            "day": one.isoformat(), "number": str(one.day), "weekday": numerals.weekday(one, actor.locale, short=True), "long": f"{numerals.weekday(one, actor.locale)}, {fmt.day(actor, one)}",
            "today": one == today, "out": view == "Month" and one.month != day.month, "free": one in free,
        }
        for one in found
    ]  # fmt: skip


def _parts(actor: Actor, entry: Entry, zone: ZoneInfo, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """An entry as the element draws it; one that passes midnight is a piece per day, of which only the first moves."""
    base = {
        "kind": entry.kind, "id": entry.record_id, "title": entry.title, "tone": TONES[entry.kind], "label": LABELS[entry.kind],
        "who": names.get(entry.owner_id or 0, ""), "done": entry.done, "version": entry.version,
    }  # fmt: skip
    if entry.start is None or entry.end is None:
        first, last = entry.first or date.min, entry.last or entry.first or date.min
        words = fmt.days(actor, first, last)
        whole = {"whole": True, "day": first.isoformat(), "last": last.isoformat(), "from": 0, "minutes": 0}
        return [base | whole | {"when": words, "movable": False, "key": f"{entry.kind}-{entry.record_id}"}]
    start, end = entry.start.astimezone(zone), entry.end.astimezone(zone)
    words = fmt.instant(actor, entry.start)
    pieces: list[dict[str, Any]] = []
    here = start
    while here < end:
        midnight = datetime.combine(here.date() + timedelta(days=1), datetime.min.time(), zone)
        begin = here.hour * 60 + here.minute
        until = _DAY if end >= midnight else end.hour * 60 + end.minute
        pieces.append(
            base
            | {
                "whole": False, "day": here.date().isoformat(), "last": here.date().isoformat(), "from": begin,
                "minutes": max(until - begin, 1), "when": words, "movable": entry.movable and here is start,
                "key": f"{entry.kind}-{entry.record_id}-{len(pieces)}",
            }
        )  # fmt: skip
        here = midnight
    return pieces


def day_of(text: str, otherwise: date) -> date:
    """The day of an address, or the other one when it names none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return otherwise


def instant_at(actor: Actor, day: str, minutes: int) -> datetime:
    """The instant of a place on the calendar: the clock on the wall of the actor's zone."""
    wall = datetime.combine(date.fromisoformat(day), datetime.min.time()) + timedelta(minutes=minutes)
    return wall.replace(tzinfo=ZoneInfo(actor.timezone))


def _nothing() -> None:
    """CCv2 gives a result only for keys that have a callback."""
