"""Who came to a booked meeting and who did not: said by a press after it began, asked for once when nobody says it, and a way to try again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, func, or_
from sqlalchemy import select as pick
from sqlmodel import Session, col, select

from crm_core import events, records
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Conflict, NotFound, NotPermitted
from crm_core.jobs import Job, job
from crm_core.kit.clock import utcnow
from crm_core.models import Activity, Booking, BookingPage, Organisation, User
from crm_core.services.booking import hosts
from crm_core.services.collaboration import outbox
from crm_core.services.collaboration.notifications import notify
from crm_core.settings import settings
from crm_core.vocabulary import Action, BookingState

SAID = (BookingState.ATTENDED, BookingState.NO_SHOW)
ASK_FOR = timedelta(days=3)
"""A meeting that ended longer ago is not asked about any more."""
_BOOKING: Any = Booking.__table__  # type: ignore[attr-defined]
_ACTIVITY: Any = Activity.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Shown:
    """A booked meeting with what is known of it. ``open``: it has begun, and nobody said yet whether they came; ``may_mark``: whether the asker may say
    so; ``again``: when they were sent a link to try again, and ``may_ask_again`` whether they can be."""

    id: int
    at: datetime
    name: str
    page: str
    state: BookingState
    activity_id: int | None
    open: bool
    may_mark: bool
    again: datetime | None
    may_ask_again: bool


def of_meeting(session: Session, actor: Actor, activity_id: int) -> Shown | None:
    """The booking of a meeting that the actor may see; None for a meeting that nobody booked."""
    records.get(session, actor, "activity", activity_id)
    row = session.exec(select(Booking).where(Booking.activity_id == activity_id).order_by(col(Booking.id).desc())).first()
    return _shown(session, actor, [row])[0] if row is not None else None


def of_person(session: Session, actor: Actor, entity_key: str, record_id: int, *, limit: int = 5) -> list[Shown]:
    """What a contact or lead booked, the latest first, of the meetings that the actor may see."""
    records.get(session, actor, entity_key, record_id)
    meeting = entity("activity").table
    mine = pick(meeting.c.id).where(visible(actor, "activity", meeting, with_deleted=True))
    person = Booking.contact_id if entity_key == "contact" else Booking.lead_id
    query = (
        select(Booking)
        .where(person == record_id, _BOOKING.c.activity_id.in_(mine))
        .order_by(_BOOKING.c.starts_at.desc(), _BOOKING.c.id.desc())
    )
    return _shown(session, actor, list(session.exec(query.limit(limit))))


def unmarked(session: Session, actor: Actor, page_id: int, *, limit: int = 10) -> list[Shown]:
    """Meetings of a page that began, of which nobody said whether the visitor came; those on which the actor may say it, the latest first."""
    require(actor, "booking", Action.READ)
    query = (
        select(Booking)
        .join(Activity, _ACTIVITY.c.id == _BOOKING.c.activity_id)
        .where(_waiting(), _BOOKING.c.page_id == page_id, _ACTIVITY.c.at <= utcnow())
    )
    found = _shown(session, actor, list(session.exec(query.order_by(_ACTIVITY.c.at.desc()).limit(50))))
    return [one for one in found if one.may_mark][:limit]


def to_come() -> Any:
    """SQL: nobody said yet whether they came. What was said before the meeting was moved to another day is about the day that was."""
    moved = and_(_BOOKING.c.state.in_(SAID), _ACTIVITY.c.at > _BOOKING.c.marked_at)
    return or_(_BOOKING.c.state == BookingState.BOOKED, func.coalesce(moved, False))


def _state(row: Booking, meeting: Activity | None) -> BookingState:
    """The same of one booking, and of a meeting that is gone."""
    if meeting is None or meeting.deleted_at is not None:
        return row.state if row.state in SAID else BookingState.CANCELLED
    moved = row.state in SAID and row.marked_at is not None and meeting.at > row.marked_at
    return BookingState.BOOKED if moved else row.state


def _waiting() -> Any:
    return and_(to_come(), _ACTIVITY.c.deleted_at.is_(None))


def _shown(session: Session, actor: Actor, rows: Sequence[Booking]) -> list[Shown]:
    if not rows:
        return []
    meetings = {one.id: one for one in session.exec(select(Activity).where(_ACTIVITY.c.id.in_([row.activity_id for row in rows])))}
    pages = {one.id: one for one in session.exec(select(BookingPage).where(col(BookingPage.id).in_([row.page_id for row in rows])))}
    masked = actor.masked("lead", "name") or actor.masked("contact", "name")
    found = []
    for row in rows:
        meeting, page = meetings.get(row.activity_id or 0), pages.get(row.page_id or 0)
        there = meeting is not None and meeting.deleted_at is None
        at = meeting.at if meeting else row.starts_at
        mine = _may_mark(session, actor, row)
        state = _state(row, meeting)
        began = there and at <= utcnow() and state is not BookingState.CANCELLED
        missed = state is BookingState.NO_SHOW and page is not None and page.is_active
        found.append(
            Shown(
                row.id, at, "This person" if masked else row.name, page.name if page else "", state,
                row.activity_id, began and state is BookingState.BOOKED, mine and began, row.again_at, missed and mine and row.again_at is None,
            )
        )  # fmt: skip
    return found


def _may_mark(session: Session, actor: Actor, row: Booking) -> bool:
    """Whose time it was, and whoever may change the meeting."""
    if row.user_id == actor.user_id:
        return True
    table = entity("activity").table
    mine = visible(actor, "activity", table, Action.EDIT)
    return (
        row.activity_id is not None
        and session.execute(pick(table.c.id).where(table.c.id == row.activity_id, mine)).first() is not None
    )


def mark(session: Session, actor: Actor, booking_id: int, state: str) -> None:
    """Say that the visitor came or did not, or take that back (``booked``). Twice is the same as once. Events: contact.no_show or lead.no_show (attended)."""
    row = _known(session, actor, booking_id)
    said = BookingState(state) if state in (*SAID, BookingState.BOOKED) else None
    meeting = session.get(Activity, row.activity_id or 0)
    if said is None or row.state is BookingState.CANCELLED or meeting is None or meeting.deleted_at is not None:
        raise Conflict("This meeting was called off.")
    if meeting.at > utcnow():
        raise Conflict("This meeting has not begun yet.")
    if _state(row, meeting) is said:
        return
    row.state = said
    row.marked_at, row.marked_by_id = (utcnow(), actor.user_id) if said in SAID else (None, None)
    session.add(row)
    session.flush()
    if said in SAID:
        key, person = _person(session, row)
        if person is not None:
            data = {"meeting": meeting.subject, "booking_id": row.id}
            events.record(session, actor, f"{key}.{said.value}", entity=key, record_id=person, data=data)


def _known(session: Session, actor: Actor, booking_id: int) -> Booking:
    require(actor, "activity", Action.READ)
    row = session.get(Booking, booking_id)
    if row is None:
        raise NotFound("This booking no longer exists.")
    if not _may_mark(session, actor, row):
        raise NotPermitted("Only whoever’s meeting it was, or their manager, can say that.")
    return row


def _person(session: Session, row: Booking) -> tuple[str, int | None]:
    """Whose booking it is by now: a lead that became a contact is that contact."""
    if row.contact_id is None and row.lead_id is not None:
        leads = entity("lead").table
        became = session.execute(pick(leads.c.converted_contact_id).where(leads.c.id == row.lead_id)).scalar()
        return ("contact", int(became)) if became else ("lead", row.lead_id)
    return "contact", row.contact_id


def ask_again(session: Session, actor: Actor, booking_id: int) -> None:
    """Send somebody who did not come a link with which they choose another time, once. Events: contact.rebook_sent or lead.rebook_sent."""
    row = _known(session, actor, booking_id)
    page = session.get(BookingPage, row.page_id or 0)
    missed = _state(row, session.get(Activity, row.activity_id or 0)) is BookingState.NO_SHOW
    if not missed or page is None or not page.is_active:
        raise Conflict("Only somebody who did not come can be asked again, as long as the booking page is open.")
    if row.again_at is not None:
        raise Conflict("They were sent the link already.")
    host, organisation = session.get(User, row.user_id), session.exec(select(Organisation)).first()
    link = f"{settings().base_url(page.base_url)}/book/{page.slug}"
    lines = [
        f"Hello {row.name},", "", f"we missed you at our meeting “{page.name}”. That happens.", "", f"Here you choose another time that suits you:\n{link}", "",
        host.name if host else "", organisation.name if organisation else "",
    ]  # fmt: skip
    outbox.queue(
        session, actor, to=row.email, name=row.name, subject=f"Another time for “{page.name}”?"[:200], text="\n".join(lines).strip(), kind="booking_again",
        dedupe_key=f"booking-again:{row.id}", contact_id=row.contact_id, lead_id=row.lead_id, headers={"Reply-To": host.email} if host else None,
    )  # fmt: skip
    row.again_at = utcnow()
    session.add(row)
    session.flush()
    key, person = _person(session, row)
    if person is not None:
        events.record(session, actor, f"{key}.rebook_sent", entity=key, record_id=person, data={"meeting": page.name})


# --- asked once -------------------------------------------------------------------------------------------------------------


def _due(now: datetime) -> Any:
    """Booked meetings that began, were not asked about, and may be over; how long each takes is looked at one by one."""
    return and_(
        _BOOKING.c.activity_id == _ACTIVITY.c.id, _waiting(), or_(_BOOKING.c.asked_at.is_(None), _BOOKING.c.asked_at < _ACTIVITY.c.at), _ACTIVITY.c.at <= now, _ACTIVITY.c.at > now - ASK_FOR,
    )  # fmt: skip


def anybody_due(session: Session) -> bool:
    """Whether somebody must be asked."""
    return bool(session.execute(pick(exists().where(_due(utcnow())))).scalar())


@job("booking.ask", title="Ask whether visitors came", cron="*/10 * * * *", when=anybody_due, keep_days=2)
def ask(job: Job) -> None:
    """Ask the hosts of meetings that are over."""
    with job.transaction() as session:
        job.report(ask_now(session, utcnow()))


def ask_now(session: Session, now: datetime) -> int:
    """Ask the host of each meeting that is over and of which nobody said whether the visitor came, once; gives how many."""
    found = session.execute(
        pick(_BOOKING.c.id, _ACTIVITY.c.at, _ACTIVITY.c.minutes).where(_due(now)).order_by(_BOOKING.c.id).limit(500)
    ).all()
    over = [row.id for row in found if row.at + timedelta(minutes=row.minutes or hosts.DEFAULT_MINUTES) <= now]
    at = {row.id: row.at for row in found}
    for booking_id in over:
        row = session.get_one(Booking, booking_id)
        row.asked_at = now
        session.add(row)
        notify(
            session, row.user_id, kind="booking.unmarked", entity="activity", record_id=row.activity_id, params={"who": row.name},
            dedupe_key=f"booking:{row.id}:came:{at[booking_id]:%Y%m%dT%H%M}",
        )  # fmt: skip
    session.flush()
    return len(over)


__all__ = ["Shown", "ask", "ask_again", "ask_now", "mark", "of_meeting", "of_person", "to_come", "unmarked"]
