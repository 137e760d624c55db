"""What strangers do with a booking page: look at free times, take one, move it, call it off. The page's address or the signed link is the permission."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlmodel import Session, col, select

from crm_core import records
from crm_core.access import Actor, system
from crm_core.errors import Conflict, CrmError, Invalid, NotFound, TooMany
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip, email_key, one_line
from crm_core.models import Activity, Booking, BookingPage, Contact, Lead, MeetingGuest, Organisation, Touchpoint, User
from crm_core.ordering import alphabetical
from crm_core.services.booking import hosts, slot_rules, tokens
from crm_core.services.booking.slot_rules import Host
from crm_core.services.collaboration import activities, invitation_rules, invitations
from crm_core.services.collaboration.notifications import notify
from crm_core.services.marketing import tracking, visits
from crm_core.services.sales import leads
from crm_core.settings import settings
from crm_core.vocabulary import ActivityKind, BookingPlace, BookingState, GuestState, Via

CLOSED = "There is no booking page here, or it takes no bookings at the moment. Ask whoever gave you the link for a time."
JUST_TAKEN = "Somebody else has just taken this time. Please choose another one."
TRAP = "fax_number"
"""A field that people don't see; what fills it in is no person."""
PER_SOURCE, PER_SOURCE_MINUTES = 10, 10
MOST_COMING = 5
"""Meetings to come that one address may have."""
_NOTE = 2_000
UTM = ("utm_source", "utm_medium", "utm_campaign")


class JustTaken(Conflict):
    """The time is gone. ``instead``: the next free ones."""

    def __init__(self, instead: Sequence[datetime], message: str = JUST_TAKEN) -> None:
        super().__init__(message)
        self.instead = list(instead)


@dataclass(frozen=True)
class Offer:
    """A page as a stranger sees it."""

    id: int
    slug: str
    name: str
    intro: str
    minutes: int
    where: str
    people: tuple[str, ...]
    questions: tuple[tuple[str, bool], ...]
    ask_phone: bool
    timezone: str
    workspace: str


@dataclass(frozen=True)
class Month:
    """The free times of a month in the visitor's zone. ``earlier``/``later``: whether the months beside it can have some."""

    first: date
    days: Mapping[date, list[datetime]]
    earlier: bool
    later: bool


@dataclass(frozen=True)
class Visit:
    """What the door knows of a sending besides its fields."""

    address: str = ""
    stamp: str = ""
    visitor: str = ""
    page: str = ""
    utm: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Meeting:
    """A booked meeting as its visitor sees it. ``why_not``: why it can't be changed any more."""

    token: str
    title: str
    start: datetime
    minutes: int
    host: str
    where: str
    name: str
    email: str
    timezone: str
    cancelled: bool
    why_not: str
    slug: str
    workspace: str


# --- look -------------------------------------------------------------------------------------------------------------------


def open_page(session: Session, slug: str) -> BookingPage:
    """The page at an address; NotFound when there is none, it is switched off, or nobody of it is here any more."""
    page = session.exec(select(BookingPage).where(BookingPage.slug == slug, BookingPage.is_active)).first()
    if page is None or not _people(session, page):
        raise NotFound(CLOSED)
    return page


def offer(session: Session, slug: str) -> Offer:
    """What the page at an address says."""
    page = open_page(session, slug)
    organisation = session.exec(select(Organisation)).first()
    people = _people(session, page)
    where = {BookingPlace.PHONE: "We call you", BookingPlace.VIDEO: "Video call"}.get(page.place, page.place_text)
    return Offer(
        page.id, page.slug, page.name, page.intro, page.minutes, where, tuple(people),
        tuple((one["label"], one["required"]) for one in page.questions), page.ask_phone or page.place is BookingPlace.PHONE,
        organisation.timezone if organisation else page.timezone, organisation.name if organisation else "",
    )  # fmt: skip


def _people(session: Session, page: BookingPage) -> list[str]:
    query = select(User.name).where(col(User.id).in_([int(one) for one in page.host_ids]), User.is_active)
    return list(session.exec(query.order_by(alphabetical(User.name))))


def month(session: Session, slug: str, zone: ZoneInfo, wanted: date | None, *, token: str = "") -> Month:
    """The free times of a month, or of the first one that has some. ``token``: of a booking that is moved, which is in nobody's way."""
    page = open_page(session, slug)
    without = tokens.read(session, token).activity_id if token else None
    since, until = hosts.window(page)
    first, last = since.astimezone(zone).date().replace(day=1), until.astimezone(zone).date().replace(day=1)
    people = hosts.of(session, page, since, until, without=without)
    at = min(max(wanted.replace(day=1) if wanted else first, first), last)
    days = _of_month(people, page, zone, at, since, until)
    while wanted is None and not days and at < last:
        at = _next(at)
        days = _of_month(people, page, zone, at, since, until)
    return Month(at, days, at > first, at < last)


def _next(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)


def _of_month(
    people: Sequence[Host], page: BookingPage, zone: ZoneInfo, first: date, since: datetime, until: datetime
) -> Mapping[date, list[datetime]]:
    begins, ends = (datetime.combine(day, time(), zone) for day in (first, _next(first)))
    starts = slot_rules.together(people, hosts.terms_of(page), max(begins, since), min(ends, until))
    return slot_rules.by_day(starts, zone)


def stamp(session: Session, page_id: int) -> str:
    """When a form was drawn, signed: it comes back with the sending."""
    return tokens.stamp(session, page_id)


# --- take -------------------------------------------------------------------------------------------------------------------


def book(session: Session, slug: str, at: datetime, values: Mapping[str, str], visit: Visit) -> str:
    """Take a time: gives the token of the booking. The very same again is the same booking.

    Raises Invalid with a sentence per field, JustTaken with other times, TooMany. Two people at the same time wait for each other, and the second
    one finds it taken.
    """
    page = open_page(session, slug)
    typed = _typed(page, values)
    _refuse_robots(session, page, values, visit)
    since, until = hosts.window(page)
    people = hosts.of(session, page, min(since, at), until, lock=True)
    if (again := _same(session, page, typed["email"], at)) is not None:
        return tokens.make(session, again.id)
    source = _refuse_floods(session, typed["email"], visit)
    host = slot_rules.choose(people, hosts.terms_of(page), at) if since <= at < until else None
    if host is None:
        raise _taken(people, page, at)
    return _keep(session, page, host, at, typed, visit, source)


def _taken(people: Sequence[Host], page: BookingPage, at: datetime) -> JustTaken:
    since, until = hosts.window(page)
    starts = slot_rules.together(
        people, hosts.terms_of(page), max(since, at - timedelta(days=3)), min(until, max(since, at) + timedelta(days=14))
    )
    return JustTaken(slot_rules.nearest(starts, at))


def _typed(page: BookingPage, values: Mapping[str, str]) -> dict[str, str]:
    """The fields as they are kept. Raises Invalid with a sentence per field."""
    typed = {
        key: clip(one_line(str(values.get(key) or "")), limit) for key, limit in (("name", 200), ("email", 254), ("phone", 60))
    }
    typed["note"] = clip(str(values.get("note") or "").strip(), _NOTE)
    wrong: dict[str, str] = {}
    local, _, domain = typed["email"].partition("@")
    if not typed["name"]:
        wrong["name"] = "Tell us your name."
    if not local or not local.isascii() or "." not in domain.strip(".") or " " in typed["email"] or "@" in domain:
        wrong["email"] = "We need your e-mail address, to send you the appointment."
    needs_phone = page.place is BookingPlace.PHONE
    if (needs_phone or typed["phone"]) and sum(c.isdigit() for c in typed["phone"]) < 5:
        wrong["phone"] = "At which number do we reach you?" if needs_phone else "This is not a telephone number."
    for number, question in enumerate(page.questions):
        typed[f"q{number}"] = clip(str(values.get(f"q{number}") or "").strip(), _NOTE)
        if question["required"] and not typed[f"q{number}"]:
            wrong[f"q{number}"] = "Please answer this question."
    if wrong:
        raise Invalid(fields=wrong)
    return typed


def _refuse_robots(session: Session, page: BookingPage, values: Mapping[str, str], visit: Visit) -> None:
    if values.get(TRAP):
        raise Invalid(
            "This looked like the work of a robot, so nothing was booked. Leave out the field that says so, and press the button again."
        )
    if not tokens.waited(session, page.id, visit.stamp):
        raise Invalid("That was very quick. Look at your entries, then press the button once more.")


def _refuse_floods(session: Session, email: str, visit: Visit) -> str:
    source = tokens.mac(session, f"source.{visit.address}")
    since = utcnow() - timedelta(minutes=PER_SOURCE_MINUTES)
    lately = select(func.count()).select_from(Booking).where(Booking.source_hash == source, Booking.created_at >= since)
    if session.exec(lately).one() >= PER_SOURCE:
        raise TooMany("Many meetings were booked from here within minutes. Please try again a little later.")
    coming = (
        select(func.count()).select_from(Booking).join(Activity, col(Activity.id) == Booking.activity_id)
        .where(Booking.email_key == email_key(email), Booking.state == BookingState.BOOKED, Activity.at > utcnow(), col(Activity.deleted_at).is_(None))
    )  # fmt: skip
    if session.exec(coming).one() >= MOST_COMING:
        raise TooMany(
            f"There are {MOST_COMING} meetings to come for this address already. Move one of them by the link in its message."
        )
    return source


def _same(session: Session, page: BookingPage, email: str, at: datetime) -> Booking | None:
    query = (
        select(Booking).join(Activity, col(Activity.id) == Booking.activity_id)
        .where(Booking.page_id == page.id, Booking.email_key == email_key(email), Booking.state == BookingState.BOOKED, Activity.at == at)
        .where(col(Activity.deleted_at).is_(None))
    )  # fmt: skip
    return session.exec(query).first()


def _keep(
    session: Session, page: BookingPage, host: Host, at: datetime, typed: Mapping[str, str], visit: Visit, source: str
) -> str:
    actor = system(Via.FORM)
    contact, lead = _person(session, actor, page, host, typed, visit)
    person: dict[str, Any] = {"contact_id": contact.id if contact else None, "lead_id": lead.id if lead else None}
    zone = typed_zone(visit.utm.get("tz", ""), page)
    meeting = records.create(
        session, actor, "activity",
        {
            "kind": ActivityKind.MEETING, "subject": f"{page.name}: {typed['name']}", "body": _body(page, typed) or None, "at": at, "minutes": page.minutes,
            "place": _where(page, typed)[:300] or None, "owner_id": host.id, "account_id": contact.account_id if contact else None, **person,
        },
    )  # fmt: skip
    row = Booking(
        page_id=page.id, user_id=host.id, activity_id=meeting.id, **person, name=typed["name"], email=typed["email"], email_key=email_key(typed["email"]),
        answers=[[one["label"], typed[f"q{n}"]] for n, one in enumerate(page.questions)], timezone=zone, starts_at=at, source_hash=source,
    )  # fmt: skip
    session.add(row)
    session.flush()
    token = tokens.make(session, row.id)
    base = settings().base_url(page.base_url)
    user = session.get(User, host.id)
    guest = MeetingGuest(
        activity_id=meeting.id, **person, name=typed["name"], email=typed["email"], email_key=row.email_key, timezone=zone,
        title=f"{page.name} with {user.name if user else ''}"[:300], link=f"{base}/b/{token}"[:300], state=GuestState.ACCEPTED,
    )  # fmt: skip
    row.guest_id = invitations.add(session, actor, meeting, guest).id
    session.add(row)
    notify(
        session,
        host.id,
        kind="booking.made",
        entity="activity",
        record_id=meeting.id,
        params={"at": at},
        dedupe_key=f"booking:{row.id}",
    )
    session.flush()
    return token


def typed_zone(text: str, page: BookingPage) -> str:
    """The zone that a visitor chose, if there is one of that name."""
    try:
        return ZoneInfo(text).key if text else page.timezone
    except (KeyError, ValueError, OSError):
        return page.timezone


def _where(page: BookingPage, typed: Mapping[str, str]) -> str:
    return f"By telephone: {typed['phone']}" if page.place is BookingPlace.PHONE else page.place_text


def _body(page: BookingPage, typed: Mapping[str, str]) -> str:
    lines = [f"{one['label']}\n{typed[f'q{n}']}\n" for n, one in enumerate(page.questions) if typed[f"q{n}"]]
    known = [f"{typed['name']}, {typed['email']}{', ' + typed['phone'] if typed['phone'] else ''}"]
    return "\n".join([*known, *(["", typed["note"]] if typed["note"] else []), *(["", *lines] if lines else [])]).strip()


def _person(
    session: Session, actor: Actor, page: BookingPage, host: Host, typed: Mapping[str, str], visit: Visit
) -> tuple[Contact | None, Lead | None]:
    """Whose meeting it is: a contact or an open lead with this address, else a new lead. Nothing known is overwritten: anybody can type any address."""
    key = email_key(typed["email"])
    contact = session.exec(
        select(Contact).where(func.lower(Contact.email) == key, col(Contact.deleted_at).is_(None)).order_by(col(Contact.id).desc())
    ).first()
    lead = None
    if contact is None:
        open_lead = select(Lead).where(
            func.lower(Lead.email) == key, col(Lead.deleted_at).is_(None), col(Lead.converted_at).is_(None)
        )
        lead = session.exec(open_lead.order_by(col(Lead.id).desc())).first() or _new_lead(session, actor, page, host, typed, visit)
    if contact is not None or lead is not None:
        campaign = visits.campaign_of(session, dict(visit.utm))
        session.add(
            Touchpoint(
                contact_id=contact.id if contact else None, lead_id=lead.id if lead else None, anonymous_id=visit.visitor or None,
                channel=visits.channel_of(dict(visit.utm), "", visit.page), campaign_id=campaign, at=utcnow(), kind="booking", url=_url(page, visit),
            )
        )  # fmt: skip
    return contact, lead


def _url(page: BookingPage, visit: Visit) -> str:
    asked = {key: value for key in UTM if (value := visit.utm.get(key))}
    return clip(f"/book/{page.slug}" + (f"?{urlencode(asked)}" if asked else ""), 1000)


def _new_lead(session: Session, actor: Actor, page: BookingPage, host: Host, typed: Mapping[str, str], visit: Visit) -> Lead | None:
    """A lead of the one whose time it is. What this workspace asks of leads beyond a name must not keep anybody from a meeting."""
    values = {
        "name": typed["name"],
        "email": typed["email"],
        "phone": typed["phone"] or None,
        "owner_id": host.id,
        "source": page.source or None,
    }
    for given in (values, {key: value for key, value in values.items() if key not in ("phone", "source")}):
        try:
            with session.begin_nested():
                lead = leads.create(session, actor, given)
                tracking.join(session, visit.visitor, lead_id=lead.id)
                return lead
        except CrmError:
            continue
    return None


# --- afterwards -------------------------------------------------------------------------------------------------------------


def show(session: Session, token: str) -> Meeting:
    """The booked meeting behind a link."""
    row = tokens.read(session, token)
    meeting, page, organisation = (
        _meeting(session, row),
        session.get(BookingPage, row.page_id or 0),
        session.exec(select(Organisation)).first(),
    )
    host = session.get(User, meeting.owner_id or row.user_id) if meeting is not None else session.get(User, row.user_id)
    guest = session.get(MeetingGuest, row.guest_id or 0)
    cancelled = row.state is BookingState.CANCELLED or meeting is None
    return Meeting(
        token, (guest.title if guest else "") or (page.name if page else "Meeting"), meeting.at if meeting else row.starts_at,
        (meeting.minutes if meeting else page.minutes if page else None) or hosts.DEFAULT_MINUTES, host.name if host else "",
        (meeting.place or "") if meeting else "", row.name, row.email, row.timezone, cancelled, _why_not(row, meeting),
        page.slug if page is not None and page.is_active and _people(session, page) else "", organisation.name if organisation else "",
    )  # fmt: skip


def _meeting(session: Session, row: Booking) -> Activity | None:
    """The meeting on the calendar; None when it was called off."""
    found = session.get(Activity, row.activity_id or 0)
    return found if found is not None and found.deleted_at is None else None


def _why_not(row: Booking, meeting: Activity | None) -> str:
    if row.state is BookingState.CANCELLED or meeting is None:
        return "This meeting was called off."
    return "This meeting has begun or is over." if meeting.at <= utcnow() else ""


def move(session: Session, token: str, at: datetime) -> None:
    """Move a booked meeting to another free time of its page: with the same person if they have time, else with another. The same again changes nothing."""
    row = tokens.read(session, token)
    page = session.get(BookingPage, row.page_id or 0)
    meeting = _open_meeting(session, row)
    if page is None or not page.is_active:
        raise Conflict("This meeting can no longer be moved here. Please answer to the message about it.")
    if meeting.at == at:
        return
    since, until = hosts.window(page)
    people = hosts.of(session, page, min(since, at), until, without=meeting.id, lock=True)
    terms = hosts.terms_of(page)
    same = [host for host in people if host.id == meeting.owner_id and slot_rules.fits(host, terms, at)]
    host = (same[0] if same else slot_rules.choose(people, terms, at)) if since <= at < until else None
    if host is None:
        raise _taken(people, page, at)
    before = meeting.owner_id
    activities.update(session, system(Via.FORM), meeting.id, {"at": at, "owner_id": host.id})
    if host.id != before:
        _hand_over(session, row, host)
    row.user_id, row.moved = host.id, row.moved + 1
    session.add(row)
    session.flush()
    kind = "booking.moved" if host.id == before else "booking.made"
    notify(session, host.id, kind=kind, entity="activity", record_id=meeting.id, dedupe_key=f"booking:{row.id}:{row.moved}")
    if host.id != before:
        _tell_cancelled(session, row, before, meeting.subject, meeting.at, f"{row.moved}")
    invitations.soon(session)


def _hand_over(session: Session, row: Booking, host: Host) -> None:
    guest, user, page = (
        session.get(MeetingGuest, row.guest_id or 0),
        session.get(User, host.id),
        session.get(BookingPage, row.page_id or 0),
    )
    if guest is not None and user is not None and page is not None:
        guest.title = f"{page.name} with {user.name}"[:300]
        session.add(guest)


def cancel(session: Session, token: str, reason: str = "") -> None:
    """Call a booked meeting off: it leaves the calendar, the visitor gets a cancellation, the timeline keeps a note. Twice is the same as once."""
    row = tokens.read(session, token)
    if row.state is BookingState.CANCELLED or _meeting(session, row) is None:
        return
    meeting = _open_meeting(session, row)
    actor = system(Via.FORM)
    reason = clip(reason.strip(), _NOTE)
    key, record_id = ("contact", row.contact_id) if row.contact_id else ("lead", row.lead_id)
    activities.remove(session, actor, meeting.id)
    if record_id is not None and _is_there(session, key, record_id):
        when = invitation_rules.when(meeting.at, meeting.minutes or hosts.DEFAULT_MINUTES, row.timezone)
        text = f"{when}\n{reason}".strip()
        activities.log(session, actor, key, record_id, kind=ActivityKind.NOTE, subject=f"Called off: {meeting.subject}", text=text)
    row.state, row.cancelled_at = BookingState.CANCELLED, utcnow()
    session.add(row)
    session.flush()
    _tell_cancelled(session, row, meeting.owner_id, meeting.subject, meeting.at, "off")
    invitations.soon(session)


def _is_there(session: Session, key: str, record_id: int) -> bool:
    found = session.get(Contact if key == "contact" else Lead, record_id)
    return found is not None and found.deleted_at is None


def _tell_cancelled(session: Session, row: Booking, user_id: int | None, subject: str, at: datetime, mark: str) -> None:
    user = session.get(User, user_id or 0)
    organisation = session.exec(select(Organisation)).first()
    zone = (user.timezone if user is not None else None) or (organisation.timezone if organisation else "UTC")
    local = at.astimezone(ZoneInfo(zone))
    params = {"who": row.name, "meeting": subject, "when": f"{local.day} {local:%B}, {local:%H:%M}"}
    notify(session, user_id, kind="booking.cancelled", params=params, dedupe_key=f"booking:{row.id}:gone:{mark}")


def _open_meeting(session: Session, row: Booking) -> Activity:
    meeting = _meeting(session, row)
    if meeting is None or (problem := _why_not(row, meeting)):
        raise Conflict("This meeting was called off." if meeting is None else problem)
    return meeting


def calendar_file(session: Session, token: str) -> bytes:
    """The meeting as a file for the visitor's calendar."""
    row = tokens.read(session, token)
    meeting, guest = _meeting(session, row), session.get(MeetingGuest, row.guest_id or 0)
    if meeting is None or guest is None or row.state is BookingState.CANCELLED:
        raise NotFound("This meeting was called off.")
    known, person = invitations.as_known(session, guest, meeting, session.exec(select(Organisation)).first())
    place = invitations.feeds.uid_place(session)
    sequence = meeting.version + guest.version - 2
    return invitation_rules.file_of(known, person, method="PUBLISH", place=place, sequence=sequence, changed=meeting.updated_at)
