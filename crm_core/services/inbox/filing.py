"""Mail that a person sent from their own mail program, with their filing address as a blind copy: onto everybody whom it went to.

Never a ticket, never an answer by itself. The address is signed for one person, and the message must come from the address of that person.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_
from sqlmodel import Session, col, select

from crm_core import events, records
from crm_core.access import Actor
from crm_core.channels import email
from crm_core.errors import Conflict
from crm_core.kit import clock
from crm_core.kit.text import clip, email_key
from crm_core.models import Activity, Contact, ContactPoint, Deal, InboundMail, Interaction, Lead, Mailbox, User
from crm_core.services.collaboration import activities, files, interactions
from crm_core.services.inbox import addressees, loop_rules, mark_rules, message_rules, quote_rules, threading
from crm_core.services.inbox.message_rules import Incoming
from crm_core.vocabulary import ActivityKind, InboundState, MailBecomes, MessageDirection, PointKind, StageKind

MOST = 20
"""A message is filed on at most so many records."""

FILES = 10


@dataclass(frozen=True)
class Address:
    """Where a person sends copies to; ``plain``: it is the same for everybody, and the sender alone says whose mail it is; ``turn``: how often they
    had a new one."""

    address: str
    plain: bool
    turn: int = 0


def address_of(session: Session, actor: Actor) -> Address | None:
    """One's own filing address; None while no mailbox can take such mail."""
    if actor.user_id is None:
        return None
    boxes = list(session.exec(select(Mailbox).where(Mailbox.is_active).order_by(col(Mailbox.id))))
    plain = next((box for box in boxes if box.becomes is MailBecomes.FILED and not box.plus_address), None)
    plus = sorted((box for box in boxes if box.plus_address), key=lambda box: box.becomes is not MailBecomes.FILED)
    if plus:
        turn = session.get_one(User, actor.user_id).filing_turn
        return Address(mark_rules.address(plus[0].address, mark_rules.FILE, actor.user_id, turn), plain=False, turn=turn)
    return Address(plain.address, plain=True) if plain is not None else None


def renew(session: Session, actor: Actor, *, turn: int) -> Address:
    """Give the actor a new filing address; what comes to the one before lands in the mail tray from then on. ``turn``: that of the address that they
    saw, so that a second click takes away nothing. Raises Conflict when it was renewed since, or when the address is everybody's. Events: user.filing_renewed."""
    before = address_of(session, actor)
    if before is None or before.plain:
        raise Conflict("You have no filing address of your own that could be renewed.")
    person = session.exec(
        select(User).where(User.id == actor.user_id).with_for_update().execution_options(populate_existing=True)
    ).one()
    if person.filing_turn != turn:
        raise Conflict("Your filing address was renewed meanwhile. This is the new one.")
    person.filing_turn += 1
    session.add(person)
    session.flush()
    events.record(session, actor, "user.filing_renewed", entity="user", record_id=person.id)
    return address_of(session, actor) or before


def _whose(session: Session, found: Incoming) -> tuple[int | None, bool]:
    """Whose filing address a message was sent to, and whether only to one that was renewed since."""
    outdated = False
    for number, signature in mark_rules.marks(message_rules.known_addresses(found), mark_rules.FILE):
        person = session.get(User, number)
        turn = person.filing_turn if person is not None else 0
        if signature == mark_rules.mark(mark_rules.FILE, number, turn):
            return number, False
        outdated = outdated or any(signature == mark_rules.mark(mark_rules.FILE, number, before) for before in range(turn))
    return None, outdated


def take(session: Session, actor: Actor, mailbox: Mailbox, found: Incoming, row: InboundMail) -> bool:
    """File a message that was sent to be filed; ``row`` is filled with what became of it. False for every other message."""
    marked, outdated = _whose(session, found)
    if marked is None and not outdated and mailbox.becomes is not MailBecomes.FILED:
        return False
    if "x-rapport" in found.headers:
        return False
    if outdated:
        row.state, row.reason = InboundState.TRAY, "Sent to a filing address that was replaced by a new one."
        return True
    writer = threading.colleague(session, found.sender_key) if found.certain else None
    if writer is None or (marked is not None and writer.id != marked):
        if marked is None:
            return False  # who wrote to this mailbox may be a customer who answers: it goes the way of all mail
        row.state, row.reason = InboundState.TRAY, "Sent to a filing address, but not from the address of the person whose it is."
        return True
    if loop_rules.forged(found):
        row.state, row.reason = InboundState.TRAY, "Sent to be filed, but the mail server says that it is not from this sender."
        return True
    return _file(session, actor, writer, found, row)


def of_colleague(session: Session, actor: Actor, asked: Interaction, found: Incoming, row: InboundMail) -> bool:
    """What somebody of ours wrote into a conversation that a mailbox has in copy: it stands there and nowhere else, no customer says it and nobody has
    to answer it. False for everybody else's mail."""
    writer = threading.colleague(session, found.sender_key) if found.certain and not loop_rules.forged(found) else None
    if writer is None:
        return False
    place = (asked.entity, asked.record_id)
    if not _is_there(session, found, *place):
        subject = clip(f"To {records.get(session, actor, *place).name}: {found.subject or 'no subject'}", 300)
        at = min(found.sent_at or clock.utcnow(), clock.utcnow())
        activity = activities.log(
            session, actor, *place, kind=ActivityKind.EMAIL, text=_words(found), subject=subject, at=at, incoming=True
        )
        activity.owner_id = writer.id
        session.add(activity)
        interactions.note(
            session, activity, entity_key=asked.entity, record_id=asked.record_id, direction=MessageDirection.OUTBOUND, message_id=found.message_id,
            sender=found.sender, people=(*found.to, *found.cc), user_id=writer.id, thread_id=asked.thread_id, settled=True,
        )  # fmt: skip
        _attach(session, actor, found, *place)
        row.activity_id = activity.id
    interactions.answered(session, actor, *place)
    row.state, row.reason = InboundState.FILED, clip(f"Written by {writer.name} into a conversation of this record.", 500)
    return True


def _file(session: Session, actor: Actor, writer: User, found: Incoming, row: InboundMail) -> bool:
    people, leads = _known(session, _readers(session, found))
    if not people and not leads:
        row.state, row.reason = InboundState.TRAY, "Sent to be filed, but nobody here has the addresses that it went to."
        return True
    made = _activities(session, actor, writer, found, people, leads)
    row.contact_id, row.activity_id = (people[0].id if people else None), made[0].id
    row.state, row.reason = InboundState.FILED, clip(f"Filed for {writer.name} on {_named(people, leads)}.", 500)
    return True


def _readers(session: Session, found: Incoming) -> list[str]:
    """Whom a message went to, without ourselves and without the address that filed it."""
    own = threading.own_addresses(session, email.sender_address())
    keys = [email_key(one) for one in (*found.to, *found.cc) if not mark_rules.is_marked(one)]
    ours = set(session.exec(select(User.email_key).where(col(User.email_key).in_(keys)))) if keys else set()
    return [one for one in dict.fromkeys(keys) if one not in own and one not in ours][:MOST]


def _known(session: Session, addresses: Sequence[str]) -> tuple[list[Contact], list[Lead]]:
    """The contacts and the open leads with these addresses, each once."""
    people: dict[int, Contact] = {}
    leads: dict[int, Lead] = {}
    for one in addresses:
        point = select(ContactPoint.contact_id).where(ContactPoint.kind == PointKind.EMAIL, ContactPoint.value_key == one)
        theirs = or_(col(Contact.id).in_(point), col(Contact.id).in_(addressees.known(session, "contact", one)))
        for person in session.exec(
            select(Contact).where(theirs, col(Contact.deleted_at).is_(None)).order_by(col(Contact.id)).limit(MOST)
        ):
            people[person.id] = person
        ids = addressees.known(session, "lead", one)
        open_ones = select(Lead).where(col(Lead.id).in_(ids), col(Lead.deleted_at).is_(None), col(Lead.converted_at).is_(None))
        leads |= {lead.id: lead for lead in session.exec(open_ones.order_by(col(Lead.id)).limit(MOST))} if ids else {}
    return list(people.values())[:MOST], list(leads.values())[:MOST]


def _activities(
    session: Session, actor: Actor, writer: User, found: Incoming, people: Sequence[Contact], leads: Sequence[Lead]
) -> list[Activity]:
    """One entry per person. An account tells it once, however many of its people it went to."""
    at = min(found.sent_at or clock.utcnow(), clock.utcnow())
    told: set[int] = set()
    thread = threading.talk_of(session, found)
    thread_id = thread.thread_id if thread is not None else None
    made: list[Activity] = []
    for key, record in (*(("contact", one) for one in people), *(("lead", one) for one in leads)):
        if _is_there(session, found, key, record.id):
            continue
        activity = activities.log(
            session, actor, key, record.id, kind=ActivityKind.EMAIL, text=_words(found), at=at, incoming=True,
            subject=clip(f"To {_named(people, leads)}: {found.subject or 'no subject'}", 300), also=_deal_of(session, key, record.id),
        )  # fmt: skip
        if activity.account_id in told:
            activity.account_id = None
        told |= {activity.account_id} if activity.account_id else set()
        activity.owner_id = writer.id
        if isinstance(record, Lead) and record.first_response_at is None:
            record.first_response_at = at
            session.add(record)
        session.add(activity)
        talk = interactions.note(
            session, activity, entity_key=key, record_id=record.id, direction=MessageDirection.OUTBOUND, message_id=found.message_id, sender=found.sender,
            people=(*found.to, *found.cc), user_id=writer.id, thread_id=thread_id, settled=True,
        )  # fmt: skip
        thread_id = thread_id or talk.thread_id
        interactions.answered(session, actor, key, record.id)
        made.append(activity)
    _keep_files(session, actor, found, people, leads)
    return made or [_first(session, found, people, leads)]


def _is_there(session: Session, found: Incoming, entity_key: str, record_id: int) -> bool:
    if not found.message_id:
        return False
    same = select(Interaction.id).where(
        Interaction.message_id == found.message_id, Interaction.entity == entity_key, Interaction.record_id == record_id
    )
    return session.exec(same).first() is not None


def _first(session: Session, found: Incoming, people: Sequence[Contact], leads: Sequence[Lead]) -> Activity:
    """Where the message stood before this copy of it came."""
    row = session.exec(select(Interaction).where(Interaction.message_id == found.message_id).order_by(col(Interaction.id))).first()
    return session.get_one(Activity, row.activity_id if row is not None else 0)


def _words(found: Incoming) -> str:
    fresh, _ = quote_rules.split(found.text)
    return clip(fresh.strip() or found.text.strip() or "(This message has no text.)", 20_000)


def _named(people: Sequence[Contact], leads: Sequence[Lead]) -> str:
    names = [*(one.name for one in people), *(one.name for one in leads)]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _deal_of(session: Session, key: str, record_id: int) -> dict[str, int]:
    """The one open deal of a person: the mail is contact with the customer there too. Which of several is meant, nobody can tell."""
    if key != "contact":
        return {}
    open_ones: Any = select(Deal.id).where(
        Deal.contact_id == record_id, Deal.outcome == StageKind.OPEN, col(Deal.deleted_at).is_(None)
    )
    ids = list(session.exec(open_ones.limit(2)))
    return {"deal_id": ids[0]} if len(ids) == 1 else {}


def _keep_files(session: Session, actor: Actor, found: Incoming, people: Sequence[Contact], leads: Sequence[Lead]) -> None:
    """The files of the message, with the first person whom it went to."""
    _attach(session, actor, found, *(("contact", people[0].id) if people else ("lead", leads[0].id)))


def _attach(session: Session, actor: Actor, found: Incoming, key: str, record_id: int) -> None:
    for one in found.files[:FILES]:
        if one.content and len(one.content) <= files.MAX_MB << 20:
            files.attach(session, actor, key, record_id, name=one.name, content=one.content)
