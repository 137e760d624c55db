"""A day before a booked meeting its visitor is reminded, once per time at which it is."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, or_
from sqlalchemy import select as pick
from sqlmodel import Session, select

from crm_core.access import system
from crm_core.jobs import Job, job
from crm_core.kit.clock import utcnow
from crm_core.models import Activity, Booking, BookingPage, MeetingGuest, Organisation
from crm_core.services.booking import showing
from crm_core.services.collaboration import invitation_rules, invitations, outbox

AHEAD = timedelta(hours=24)
SOON = timedelta(hours=2)
"""Closer to the meeting a reminder helps nobody."""
_BOOKING: Any = Booking.__table__  # type: ignore[attr-defined]
_ACTIVITY: Any = Activity.__table__  # type: ignore[attr-defined]
_PAGE: Any = BookingPage.__table__  # type: ignore[attr-defined]


def _due(now: datetime) -> Any:
    """Meetings of the next day that nobody was reminded of yet."""
    return and_(
        _BOOKING.c.activity_id == _ACTIVITY.c.id, _BOOKING.c.page_id == _PAGE.c.id, _PAGE.c.remind, showing.to_come(),
        _ACTIVITY.c.deleted_at.is_(None), _ACTIVITY.c.at > now + SOON, _ACTIVITY.c.at <= now + AHEAD,
        or_(_BOOKING.c.reminded_for.is_(None), _BOOKING.c.reminded_for != _ACTIVITY.c.at),
    )  # fmt: skip


def anybody_due(session: Session) -> bool:
    """Whether somebody must be reminded."""
    return bool(session.execute(pick(exists().where(_due(utcnow())))).scalar())


@job("booking.remind", title="Remind visitors of booked meetings", cron="*/10 * * * *", when=anybody_due, keep_days=2)
def remind(job: Job) -> None:
    """Remind the visitors of the next day."""
    with job.transaction() as session:
        job.report(remind_now(session, utcnow()))


def remind_now(session: Session, now: datetime) -> int:
    """Queue the reminders that are due; gives how many."""
    rows = session.execute(pick(_BOOKING.c.id).where(_due(now)).order_by(_BOOKING.c.id).limit(500)).scalars().all()
    organisation = session.exec(select(Organisation)).first()
    return sum(_remind_one(session, session.get_one(Booking, one), organisation) for one in rows)


def _remind_one(session: Session, row: Booking, organisation: Organisation | None) -> int:
    meeting, guest = session.get_one(Activity, row.activity_id), session.get(MeetingGuest, row.guest_id or 0)
    row.reminded_for = meeting.at
    session.add(row)
    if guest is None or guest.removed_at is not None or meeting.at - row.created_at < AHEAD:
        return 0  # who booked it within the day needs no reminder
    known, person = invitations.as_known(session, guest, meeting, organisation)
    lines = [
        f"Hello {row.name},", "", "this is to remind you of your meeting.", "", known.title,
        f"When: {invitation_rules.when(known.start, known.minutes, person.timezone)}", *([f"Where: {known.place}"] if known.place else []),
        f"With: {known.host}", "", f"Another time, or not at all? {person.link}", "", organisation.name if organisation else "",
    ]  # fmt: skip
    outbox.queue(
        session, system(), to=row.email, name=row.name, subject=f"Tomorrow: {known.title}" if _is_tomorrow(known, person) else f"Soon: {known.title}",
        text="\n".join(lines).strip(), kind="booking_reminder", dedupe_key=f"booking-reminder:{row.id}:{meeting.at:%Y%m%dT%H%M}",
        contact_id=row.contact_id, lead_id=row.lead_id, headers={"Reply-To": known.host_email} if known.host_email else None,
    )  # fmt: skip
    return 1


def _is_tomorrow(known: invitation_rules.Meeting, person: invitation_rules.Guest) -> bool:
    return invitation_rules.day_of(known.start, person.timezone) > invitation_rules.day_of(utcnow(), person.timezone)
