"""Guests of meetings: people from outside who get an invitation for their calendar, hear of changes, and answer.

Whatever changes a meeting (a form, the calendar, the API, many at once, the bin) raises its version; guests who were not looked at since are told
what they do not know yet. So no way of changing one can forget them, and two changes within a minute are one message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, exists, func, or_
from sqlalchemy import select as pick
from sqlmodel import Session, col, select

from crm_core import events, lists, records
from crm_core.access import Actor, require, system
from crm_core.errors import Conflict, Invalid
from crm_core.jobs import Job, enqueue, job
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, email_key
from crm_core.models import Activity, Contact, ContactPoint, MeetingGuest, Organisation, User
from crm_core.services.collaboration import agenda, feeds, invitation_rules, outbox
from crm_core.services.collaboration.invitation_rules import CANCEL, OFF, Guest, Meeting, Reply
from crm_core.services.collaboration.notifications import notify
from crm_core.vocabulary import Action, ActivityKind, GuestState, PointKind, PreferredChannel

MOST_GUESTS = 30
DEFAULT_MINUTES = 30
_GUEST: Any = MeetingGuest.__table__  # type: ignore[attr-defined]
_ACTIVITY: Any = Activity.__table__  # type: ignore[attr-defined]
_HAPPENED = timedelta(hours=24)
"""Of a meeting that is over nobody is told anything."""


@dataclass(frozen=True)
class GuestView:
    """A guest as the meeting shows them; ``contact_id`` and ``lead_id`` only of records that the reader may see."""

    id: int
    name: str
    email: str
    state: GuestState
    told: bool
    contact_id: int | None
    lead_id: int | None


def of(session: Session, actor: Actor, activity_id: int) -> list[GuestView]:
    """Who is invited to a meeting that the actor may see; addresses only where contacts' addresses are not masked for them."""
    records.get(session, actor, "activity", activity_id)
    rows = session.exec(
        select(MeetingGuest)
        .where(MeetingGuest.activity_id == activity_id, col(MeetingGuest.removed_at).is_(None))
        .order_by(col(MeetingGuest.id))
    ).all()
    seen = {
        key: lists.titles(session, actor, key, {getattr(row, f"{key}_id") for row in rows} - {None}) for key in ("contact", "lead")
    }
    hidden = actor.masked("contact", "email") or actor.masked("contact", "name")
    return [
        GuestView(
            row.id, "Hidden person" if hidden else row.name, "" if hidden else row.email, row.state, bool(row.told),
            row.contact_id if row.contact_id in seen["contact"] else None, row.lead_id if row.lead_id in seen["lead"] else None,
        )
        for row in rows
    ]  # fmt: skip


def plan(
    session: Session,
    actor: Actor,
    values: Mapping[str, Any],
    *,
    contact_ids: Sequence[int] = (),
    addresses: Sequence[str] = (),
    submit_key: str | None = None,
) -> Activity:
    """Plan a meeting and invite people to it in one step (see ``agenda.meet``)."""
    meeting = agenda.meet(session, actor, values, submit_key=submit_key)
    if contact_ids or any(one.strip() for one in addresses):
        invite(session, actor, meeting.id, contact_ids=contact_ids, addresses=addresses)
    return meeting


def invite(
    session: Session, actor: Actor, activity_id: int, *, contact_ids: Sequence[int] = (), addresses: Sequence[str] = ()
) -> list[MeetingGuest]:
    """Invite contacts and addresses to a meeting that the actor may change. Who is invited already stays so. Events: meeting.guest_invited.

    Raises Invalid for whoever asked not to get e-mail, whether or not the actor may see them: the invitation would be one.
    """
    meeting: Activity = records.get(session, actor, "activity", activity_id, action=Action.EDIT)
    if meeting.kind is not ActivityKind.MEETING:
        raise Invalid("Only to a meeting somebody can be invited.")
    if meeting.at < utcnow():
        raise Conflict("This meeting has begun already.")
    people = [_contact(session, actor, one) for one in contact_ids] + [_address(session, one) for one in addresses if one.strip()]
    there = session.exec(select(MeetingGuest).where(MeetingGuest.activity_id == activity_id)).all()
    if len({row.email_key for row in there if row.removed_at is None} | {one.email_key for one in people}) > MOST_GUESTS:
        raise Invalid(f"At most {MOST_GUESTS} people can be invited to one meeting.")
    return [add(session, actor, meeting, guest) for guest in people]


def _contact(session: Session, actor: Actor, contact_id: int) -> MeetingGuest:
    contact: Contact = records.get(session, actor, "contact", contact_id)
    if not contact.email:
        raise Invalid(fields={"contact_ids": f"{contact.name} has no e-mail address."})
    _refuse_unwanted(session, contact.email, "contact_ids")
    return MeetingGuest(
        activity_id=0, contact_id=contact.id, name=contact.name, email=contact.email, email_key=email_key(contact.email)
    )


def _address(session: Session, text: str) -> MeetingGuest:
    address = clean(text)[:254]
    local, _, domain = address.partition("@")
    if not local or "." not in domain or " " in address or not local.isascii():
        raise Invalid(fields={"addresses": f"“{address}” is not an e-mail address."})
    key = email_key(address)
    _refuse_unwanted(session, address, "addresses")
    known = session.exec(
        select(Contact.id).where(func.lower(Contact.email) == key, col(Contact.deleted_at).is_(None)).order_by(col(Contact.id))
    ).first()
    return MeetingGuest(activity_id=0, contact_id=known, email=address, email_key=key)


def _refuse_unwanted(session: Session, address: str, field: str) -> None:
    """Their own no holds for every address of theirs; one of several may be ruled out by itself."""
    key = email_key(address)
    points = select(ContactPoint).where(ContactPoint.kind == PointKind.EMAIL, ContactPoint.value_key == key)
    owners = [point.contact_id for point in session.exec(points)]
    theirs = or_(func.lower(Contact.email) == key, col(Contact.id).in_(owners))
    asked = or_(col(Contact.do_not_email), col(Contact.preferred_channel) == PreferredChannel.NONE)
    no = select(Contact.id).where(theirs, asked, col(Contact.deleted_at).is_(None))
    out = points.where(or_(col(ContactPoint.opted_out), col(ContactPoint.invalid)))
    if session.exec(no).first() is not None or session.exec(out).first() is not None:
        raise Invalid(fields={field: f"No e-mail is wanted at {address}, and an invitation is one. Plan the meeting without it."})


def add(session: Session, actor: Actor, meeting: Activity, guest: MeetingGuest) -> MeetingGuest:
    """Put a guest on a meeting; they are told when the session has committed. The caller has asked."""
    found = session.exec(
        select(MeetingGuest).where(MeetingGuest.activity_id == meeting.id, MeetingGuest.email_key == guest.email_key)
    ).first()
    if found is not None and found.removed_at is None:
        return found
    row = found or guest
    row.activity_id, row.removed_at, row.told_version, row.state = meeting.id, None, 0, guest.state
    session.add(row)
    session.flush()
    events.record(
        session, actor, "meeting.guest_invited", meeting, data={"guest": row.name or row.email, "meeting": meeting.subject}
    )
    soon(session)
    return row


def uninvite(session: Session, actor: Actor, guest_id: int) -> None:
    """Take a guest off a meeting; who got an invitation gets a cancellation. Events: meeting.guest_removed."""
    require(actor, "activity", Action.EDIT)
    row = session.get(MeetingGuest, guest_id)
    meeting = records.get(session, actor, "activity", row.activity_id if row is not None else 0, action=Action.EDIT)
    if row is None or row.removed_at is not None:
        return
    row.removed_at, row.told_version = utcnow(), 0
    session.add(row)
    session.flush()
    events.record(
        session, actor, "meeting.guest_removed", meeting, data={"guest": row.name or row.email, "meeting": meeting.subject}
    )
    soon(session)


def soon(session: Session) -> None:
    """Look at the guests as soon as the session has committed, not only with the next minute."""
    enqueue(session, "collaboration.invitations", unless_waiting=True)


# --- telling ----------------------------------------------------------------------------------------------------------------


def _waiting() -> Any:
    """Guests of meetings to come whom nobody looked at since the meeting changed."""
    return and_(
        _GUEST.c.activity_id == _ACTIVITY.c.id, _GUEST.c.told_version != _ACTIVITY.c.version, _ACTIVITY.c.at > utcnow() - _HAPPENED,
        _ACTIVITY.c.kind == ActivityKind.MEETING,
    )  # fmt: skip


def anybody_waits(session: Session) -> bool:
    """Whether somebody must be told something."""
    return bool(session.execute(pick(exists().where(_waiting()))).scalar())


@job("collaboration.invitations", title="Tell guests of meetings", cron="* * * * *", when=anybody_waits, keep_days=2)
def tell_due(job: Job) -> None:
    """Tell the guests of meetings what changed for them."""
    with job.transaction() as session:
        job.report(tell(session))


def tell(session: Session) -> int:
    """Queue a message for each guest who does not know yet how things stand; gives how many."""
    rows = session.execute(
        pick(_GUEST.c.id, _ACTIVITY.c.id)
        .where(_waiting())
        .order_by(_GUEST.c.id)
        .limit(500)
        .with_for_update(skip_locked=True, of=_GUEST)
    ).all()
    organisation = session.exec(select(Organisation)).first()
    return sum(
        _tell_one(session, session.get_one(MeetingGuest, guest_id), session.get_one(Activity, activity_id), organisation)
        for guest_id, activity_id in rows
    )


def as_known(session: Session, row: MeetingGuest, meeting: Activity, organisation: Organisation | None) -> tuple[Meeting, Guest]:
    """The meeting and the guest as a message needs them."""
    host = session.get(User, meeting.owner_id or 0)
    zone = row.timezone or (host.timezone if host is not None else None) or (organisation.timezone if organisation else "UTC")
    found = Meeting(
        meeting.id, row.title or meeting.subject, meeting.at, meeting.minutes or DEFAULT_MINUTES, meeting.place or "",
        host.name if host is not None else organisation.name if organisation else "", host.email if host is not None else "",
        gone=meeting.deleted_at is not None or row.removed_at is not None,
    )  # fmt: skip
    return found, Guest(row.name, row.email, zone, row.link)


def _tell_one(session: Session, row: MeetingGuest, meeting: Activity, organisation: Organisation | None) -> int:
    known, guest = as_known(session, row, meeting, organisation)
    over = known.end < utcnow()
    message = None if over else invitation_rules.message(known, guest, row.told, organisation.name if organisation else "")
    if message is not None and message.method != CANCEL and row.told not in ("", OFF) and not row.link:
        row.state, row.answered_at = GuestState.INVITED, None  # what they said was about another time
    row.told, row.told_version = OFF if known.gone else invitation_rules.digest(known), meeting.version
    session.add(row)
    session.flush()
    if message is None:
        return 0
    file = invitation_rules.file_of(
        known, guest, method=message.method, place=feeds.uid_place(session), sequence=meeting.version + row.version - 2, changed=utcnow()
    )  # fmt: skip
    outbox.queue(
        session, system(), to=row.email, name=row.name, subject=message.subject, text=message.text, kind="invitation",
        dedupe_key=f"meeting:{meeting.id}:{row.id}:{row.version}", contact_id=row.contact_id, lead_id=row.lead_id,
        headers={"Reply-To": known.host_email} if known.host_email else None,
        attachments=[{"name": "meeting.ics", "media_type": f"text/calendar; method={message.method}", "text": file.decode()}],
    )  # fmt: skip
    return 1


# --- answers ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """A guest and, when their answer was not believed and nothing was noted, why."""

    guest: MeetingGuest
    doubt: str = ""


def answered(session: Session, actor: Actor, reply: Reply, sender: str, *, forged: bool = False) -> Answer | None:
    """Note what a guest's calendar answered; None when it is not about a meeting and a guest of ours. Events: meeting.guest_answered.

    ``sender``: the address it came from, which must be one of the guest's own: everybody who saw the invitation knows its number. ``forged``: it is
    doubtful whether it came from there.
    """
    if reply.place != feeds.uid_place(session):
        return None
    known = select(MeetingGuest).where(MeetingGuest.activity_id == reply.meeting_id, col(MeetingGuest.removed_at).is_(None))
    guests = {row.email_key: row for row in session.exec(known)}
    named = guests.get(reply.email)
    wrote = _who_wrote(session, guests, named, email_key(sender))
    row, meeting = named or wrote, session.get(Activity, reply.meeting_id)
    if row is None or meeting is None:
        return None
    if wrote is None or (named is not None and named is not wrote):
        return _doubted(session, row, meeting, reply, "An answer to an invitation that came from another address than the guest's.")
    if forged:
        return _doubted(session, row, meeting, reply, "An answer to an invitation whose sender could not be confirmed.")
    if row.state is not reply.state:
        row.state, row.answered_at = reply.state, utcnow()
        session.add(row)
        session.flush()
        who = row.name or row.email
        facts = {"guest": who, "meeting": meeting.subject, "state": reply.state.label}
        events.record(session, actor, "meeting.guest_answered", meeting, data=facts)
        notify(
            session, meeting.owner_id, kind="meeting.answered", entity="activity", record_id=meeting.id,
            params={"guest": who, "state": reply.state.label.lower()}, dedupe_key=f"guest:{row.id}:{row.version}",
        )  # fmt: skip
    return Answer(row)


def _who_wrote(
    session: Session, guests: Mapping[str, MeetingGuest], named: MeetingGuest | None, address_key: str
) -> MeetingGuest | None:
    """The guest with this address, or whose contact has it as a further one; of several who share it the one whom the answer names."""
    if address_key in guests:
        return guests[address_key]
    contacts = {row.contact_id for row in guests.values()} - {None}
    points = select(ContactPoint.contact_id).where(
        ContactPoint.kind == PointKind.EMAIL, ContactPoint.value_key == address_key, col(ContactPoint.contact_id).in_(contacts)
    )
    owners = set(session.exec(points)) if address_key and contacts else set()
    theirs = [row for row in guests.values() if row.contact_id in owners]
    return named if named in theirs else theirs[0] if len(theirs) == 1 else None


def _doubted(session: Session, row: MeetingGuest, meeting: Activity, reply: Reply, why: str) -> Answer:
    """Nothing is noted, and the host hears that an answer waits. ``why`` names nobody: who reads the tray need not see the meeting."""
    notify(
        session, meeting.owner_id, kind="meeting.unsure", entity="activity", record_id=meeting.id,
        params={"guest": row.name or row.email, "state": reply.state.label.lower()},
        dedupe_key=f"guest-unsure:{row.id}:{row.version}:{reply.state.value}",
    )  # fmt: skip
    return Answer(row, why)
