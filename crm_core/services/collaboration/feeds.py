"""One's calendar for other programs: a secret address, and the file behind it (RFC 5545). Only the hash of the secret is kept."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from icalendar import Alarm, Calendar, Event, vText
from sqlalchemy import select
from sqlmodel import Session

from crm_core import access
from crm_core.access import Actor
from crm_core.errors import CrmError, NotFound
from crm_core.kit.clock import today, utcnow
from crm_core.kit.text import one_line
from crm_core.models import Organisation, UserPreference
from crm_core.services.collaboration import agenda, notifications
from crm_core.services.collaboration.agenda import Entry
from crm_core.vocabulary import Via

BACK, AHEAD, MONTH = timedelta(days=60), timedelta(days=365), timedelta(days=31)
GONE = "This address opens no calendar."
_PREFERENCE = UserPreference.__table__  # type: ignore[attr-defined]


def renew(session: Session, actor: Actor) -> str:
    """A new secret for the actor's own calendar; an earlier one stops working."""
    token = secrets.token_urlsafe(32)
    _set(session, actor, _hash(token))
    return token


def revoke(session: Session, actor: Actor) -> None:
    """Switch the actor's own address off."""
    _set(session, actor, None)


def _set(session: Session, actor: Actor, digest: str | None) -> None:
    row = notifications.preference(session, actor)
    row.feed_sha256, row.feed_since = digest, utcnow() if digest else None
    session.add(row)
    session.flush()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def open_feed(session: Session, token: str) -> bytes:
    """The calendar behind a secret, as its person may see it today. Raises NotFound for a wrong one and for people who left."""
    user_id = session.execute(select(_PREFERENCE.c.user_id).where(_PREFERENCE.c.feed_sha256 == _hash(token))).scalar()
    try:
        actor = access.load(session, user_id or 0, via=Via.API)
    except CrmError as error:
        raise NotFound(GONE) from error
    entries = _entries(session, actor)
    lead = notifications.preference(session, actor).meeting_minutes
    return file_of([_event(entry, lead, uid_place(session)) for entry in entries], f"Rapport: {actor.name}")


def _entries(session: Session, actor: Actor) -> list[Entry]:
    """What is theirs, month by month: however much there is in one, the months ahead are there too."""
    since, end = today(actor.timezone) - BACK, today(actor.timezone) + AHEAD
    found: dict[tuple[str, int], Entry] = {}
    while since < end:
        until = min(since + MONTH, end)
        entries, _ = agenda.find(session, actor, since, until, owners=[actor.user_id or 0], only=("meeting", "task", "campaign"))
        found |= {(entry.kind, entry.record_id): entry for entry in entries}  # what reaches into the next month is one thing
        since = until
    return list(found.values())


def uid_place(session: Session) -> str:
    """What makes the names of events those of this workspace, wherever it moves."""
    made = session.execute(select(Organisation.created_at)).scalar()  # type: ignore[call-overload]
    return f"{hashlib.sha256(str(made).encode()).hexdigest()[:12]}.rapport"


def file_of(events: list[Event], name: str, method: str = "PUBLISH") -> bytes:
    """A calendar file in UTC."""
    calendar = Calendar()
    calendar.add("prodid", "-//Rapport//Calendar//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    calendar.add("x-wr-calname", vText(one_line(name)), encode=False)  # an X property is written as it is given
    for event in events:
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def event_of(uid: str, title: str, start: datetime, end: datetime, *, changed: datetime, sequence: int, text: str = "") -> Event:
    """One event with instants."""
    event = Event()
    event.add("uid", uid)
    event.add("summary", title)
    event.add("dtstart", start.astimezone(UTC))
    event.add("dtend", end.astimezone(UTC))
    event.add("dtstamp", changed.astimezone(UTC).replace(microsecond=0))
    event.add("last-modified", changed.astimezone(UTC).replace(microsecond=0))
    event.add("sequence", sequence)
    if text:
        event.add("description", text)
    return event


def alarm_before(minutes: int, title: str) -> Alarm:
    """A reminder so long before an event."""
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", title)
    alarm.add("trigger", timedelta(minutes=-minutes))
    return alarm


def _event(entry: Entry, lead: int, place: str) -> Event:
    uid = f"{entry.kind}-{entry.record_id}@{place}"
    if entry.start is None or entry.end is None:
        event = Event()
        event.add("uid", uid)
        event.add("summary", entry.title)
        event.add("dtstart", entry.first)
        event.add("dtend", (entry.last or entry.first) + timedelta(days=1))  # type: ignore[operator]
        event.add("dtstamp", entry.updated_at.astimezone(UTC).replace(microsecond=0))
        event.add("sequence", entry.version - 1)
        event.add("transp", "TRANSPARENT")
        return event
    mark = "✓ " if entry.done else ""
    event = event_of(uid, mark + entry.title, entry.start, entry.end, changed=entry.updated_at, sequence=entry.version - 1)
    if entry.kind == "task":
        event.add("transp", "TRANSPARENT")
    if lead and not entry.done:
        event.add_component(alarm_before(lead if entry.kind == "meeting" else 0, entry.title))
    return event
