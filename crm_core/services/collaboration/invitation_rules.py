"""What guests of a meeting are told: when a message is due, its words, and the calendar file that goes with it (RFC 5546). Pure."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, vCalAddress, vText

from crm_core.kit.text import clip, email_key, one_line
from crm_core.services.collaboration import feeds
from crm_core.vocabulary import GuestState

OFF = "off"
"""What a guest was told last when they were told that there is no meeting (any more)."""
REQUEST, CANCEL = "REQUEST", "CANCEL"
_SAID = {"ACCEPTED": GuestState.ACCEPTED, "DECLINED": GuestState.DECLINED, "TENTATIVE": GuestState.TENTATIVE}


@dataclass(frozen=True)
class Meeting:
    """A meeting as a guest may know it. ``notes`` of colleagues are not part of it."""

    id: int
    title: str
    start: datetime
    minutes: int
    place: str
    host: str
    host_email: str
    gone: bool = False

    @property
    def end(self) -> datetime:
        return self.start + timedelta(minutes=self.minutes)


@dataclass(frozen=True)
class Guest:
    """Somebody from outside. ``link``: where they move or cancel it themselves."""

    name: str
    email: str
    timezone: str = "UTC"
    link: str = ""


@dataclass(frozen=True)
class Message:
    """What goes out."""

    method: str
    subject: str
    text: str


def digest(meeting: Meeting) -> str:
    """The same for as long as a guest needs no other message."""
    facts = "|".join((meeting.title, meeting.start.isoformat(), str(meeting.minutes), meeting.place, meeting.host_email))
    return hashlib.sha256(facts.encode()).hexdigest()[:32]


def when(start: datetime, minutes: int, timezone: str) -> str:
    """The time of a meeting on the clock of somebody's wall."""
    zone = ZoneInfo(timezone)
    begins, ends = start.astimezone(zone), (start + timedelta(minutes=minutes)).astimezone(zone)
    last = f"{ends:%H:%M}" if ends.date() == begins.date() else f"{ends:%A} {ends:%H:%M}"
    return f"{begins:%A}, {begins.day} {begins:%B} {begins.year}, {begins:%H:%M} to {last} ({timezone.replace('_', ' ')})"


def day_of(at: datetime, timezone: str) -> date:
    """The day on somebody's calendar."""
    return at.astimezone(ZoneInfo(timezone)).date()


def message(meeting: Meeting, guest: Guest, told: str, workspace: str) -> Message | None:
    """What a guest must be told now; None when they know it. ``told``: what the last message said."""
    if meeting.gone:
        return None if told in ("", OFF) else _cancelled(meeting, guest, workspace)
    if told == digest(meeting):
        return None
    first, booked = told in ("", OFF), bool(guest.link)
    head = ("Confirmed" if booked else "Invitation") if first else "Changed"
    said = {
        "Confirmed": "Your meeting is booked.", "Invitation": f"{meeting.host} invites you to a meeting.", "Changed": "Your meeting was changed. This holds now:",
    }[head]  # fmt: skip
    where = [f"Where: {meeting.place}"] if meeting.place else []
    change = ["", f"Another time, or not at all? {guest.link}"] if booked else []
    lines = [
        _hello(guest), "", said, "", meeting.title, f"When: {when(meeting.start, meeting.minutes, guest.timezone)}", *where, f"With: {meeting.host}", *change,
        "", f"Questions? Answer to {meeting.host_email}.", "", *_from(workspace),
    ]  # fmt: skip
    day = meeting.start.astimezone(ZoneInfo(guest.timezone))
    return Message(REQUEST, f"{head}: {clip(meeting.title, 150)}, {day.day} {day:%B}, {day:%H:%M}", "\n".join(lines))


def _cancelled(meeting: Meeting, guest: Guest, workspace: str) -> Message:
    lines = [
        _hello(guest), "", "This meeting does not take place:", "", meeting.title, f"When: {when(meeting.start, meeting.minutes, guest.timezone)}",
        f"With: {meeting.host}", "", f"Questions? Answer to {meeting.host_email}.", "", *_from(workspace),
    ]  # fmt: skip
    return Message(CANCEL, f"Called off: {clip(meeting.title, 150)}", "\n".join(lines))


def _hello(guest: Guest) -> str:
    return f"Hello {clip(guest.name, 80)}," if guest.name else "Hello,"


def _from(workspace: str) -> list[str]:
    return [workspace] if workspace else []


def file_of(meeting: Meeting, guest: Guest, *, method: str, place: str, sequence: int, changed: datetime) -> bytes:
    """The calendar file of a message. ``place`` makes the name that of this workspace; the name never changes, ``sequence`` only rises."""
    event = feeds.event_of(
        f"meeting-{meeting.id}@{place}", meeting.title, meeting.start, meeting.end, changed=changed, sequence=sequence,
        text=f"Another time, or not at all? {guest.link}" if guest.link else "",
    )  # fmt: skip
    if meeting.place:
        event.add("location", meeting.place)
    if guest.link:
        event.add("url", guest.link)
    event.add("status", "CANCELLED" if method == CANCEL else "CONFIRMED")
    event.add("organizer", _person(meeting.host, meeting.host_email))
    invited = _person(guest.name or guest.email, guest.email)
    booked = bool(guest.link)
    invited.params.update(
        {
            "ROLE": vText("REQ-PARTICIPANT"),
            "CUTYPE": vText("INDIVIDUAL"),
            "PARTSTAT": vText("ACCEPTED" if booked else "NEEDS-ACTION"),
            "RSVP": vText("FALSE" if booked or method == CANCEL else "TRUE"),
        }
    )
    event.add("attendee", invited, encode=False)
    return feeds.file_of([event], meeting.title, method)


def _person(name: str, address: str) -> vCalAddress:
    found = vCalAddress(f"MAILTO:{address}")
    found.params["CN"] = vText(one_line(name).replace('"', "”"))  # a parameter knows no way to write a quotation mark
    return found


@dataclass(frozen=True)
class Reply:
    """What a guest's calendar answered."""

    meeting_id: int
    place: str
    email: str
    state: GuestState


def read_reply(text: bytes) -> Reply | None:
    """The answer in a calendar file; None for anything else, however broken."""
    try:
        calendar = Calendar.from_ical(text)
        if str(calendar.get("method", "")).upper() != "REPLY":
            return None
        event = calendar.walk("VEVENT")[0]
        name, _, place = str(event.get("uid", "")).partition("@")
        attendee = event.get("attendee")
        attendee = attendee[0] if isinstance(attendee, list) else attendee
        state = _SAID.get(str(attendee.params.get("PARTSTAT", "")).upper())
        number = name.removeprefix("meeting-")
        if state is None or not name.startswith("meeting-") or not number.isdecimal() or len(number) > 9:
            return None
        address = str(attendee).split(":", 1)[-1]
        return Reply(int(number), place, email_key(address), state)
    except Exception:  # a stranger's file: the parser raises whatever it feels like
        return None
