"""What becomes of a message that came in: kept once, weighed, and put where it belongs. Nothing that came in is lost or taken twice."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func
from sqlalchemy import select as pick
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, select

from crm_core import db
from crm_core.access import Actor, system
from crm_core.channels import email
from crm_core.errors import CrmError
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.models import Contact, InboundMail, Mailbox, MailDelivery, TicketMessage
from crm_core.services.collaboration import invitation_rules, invitations, notifications, timeline_rules
from crm_core.services.customers import delivery_reports
from crm_core.services.helpdesk import ticket_rules
from crm_core.services.inbox import answering, filing, loop_rules, message_rules, quote_rules, raws, threading, writing
from crm_core.services.inbox.loop_rules import Nature
from crm_core.services.inbox.message_rules import Incoming
from crm_core.services.marketing import tracking
from crm_core.vocabulary import InboundState, MailBecomes, UnknownSender, Via

log = logging.getLogger("rapport.mail")
ROWS: Any = InboundMail.__table__  # type: ignore[attr-defined]
MAX_BYTES = 30 << 20


@dataclass(frozen=True)
class Taken:
    """What became of a message; ``new`` is false for one that was known."""

    id: int
    state: InboundState
    new: bool = True


def take(session: Session, mailbox: Mailbox, raw: bytes) -> Taken:
    """Take a message in, once. Whatever goes wrong with one is written on it and waits in the tray; only trouble of the whole system is raised."""
    found = message_rules.read(raw)
    row = _claim(session, mailbox, found, raw)
    if row is None:
        known = session.exec(select(InboundMail).where(InboundMail.dedupe_key == message_rules.key_of(found, raw))).one()
        return Taken(known.id, known.state, new=False)
    try:
        with session.begin_nested():
            decide(session, mailbox, found, row, raw)
            session.flush()
    except CrmError as error:
        if error.status == 503:
            raise
        words = " ".join((getattr(error, "fields", None) or {}).values()) or error.message
        _to_tray(session, row.id, words)
    except (ValueError, LookupError, TypeError, RecursionError, OverflowError) as error:
        log.exception("message %s could not be worked on", row.id)
        _to_tray(session, row.id, f"This message could not be worked on ({type(error).__name__}). Its source is kept.")
    session.flush()
    fresh = session.get_one(InboundMail, row.id, populate_existing=True)
    return Taken(fresh.id, fresh.state)


def _to_tray(session: Session, row_id: int, reason: str) -> None:
    session.expire_all()
    row = session.get_one(InboundMail, row_id)
    row.state, row.reason, row.ticket_id, row.ticket_message_id, row.activity_id = (
        InboundState.TRAY,
        clip(reason, 500),
        None,
        None,
        None,
    )
    session.add(row)
    session.flush()


def _claim(session: Session, mailbox: Mailbox, found: Incoming, raw: bytes) -> InboundMail | None:
    """The row of this message, made now; None when it is there already, even if another worker made it this instant."""
    now = utcnow()
    values: dict[str, Any] = {
        "dedupe_key": message_rules.key_of(found, raw), "mailbox_id": mailbox.id, "message_id": found.message_id, "sender": found.sender[:254],
        "sender_key": found.sender_key, "sender_name": found.sender_name[:200], "subject": found.subject[:500],
        "preview": clip(" ".join(found.text[:600].split()), 300), "sent_at": found.sent_at, "size_bytes": len(raw), "state": InboundState.TRAY,
        "reason": "", "raw": raws.keep(raw), "created_at": now, "updated_at": now, "version": 1,
    }  # fmt: skip
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    made = session.execute(
        insert(ROWS).values(**values).on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(ROWS.c.id)
    ).scalar()
    if made is None:
        return None
    db.bump(session, ROWS.name)
    return session.get_one(InboundMail, made)


# --- decide -----------------------------------------------------------------------------------------------------------------


def decide(session: Session, mailbox: Mailbox, found: Incoming, row: InboundMail, raw: bytes) -> None:
    """Where the message belongs. ``row`` is filled with what became of it."""
    if found.broken:
        _wait(row, found.broken)
        return
    actor = system(Via.MAIL)
    if filing.take(session, actor, mailbox, found, row):
        return
    nature = loop_rules.nature(found, threading.own_addresses(session, email.sender_address()))
    if nature.own:
        row.state, row.reason = InboundState.OWN, "It was sent from here."
        return
    if nature.report and _is_bounce(session, actor, row, raw):
        return
    if _answers_an_invitation(session, actor, found, row, raw):
        return
    person = threading.contact_of(session, found.sender_key) if found.certain else None
    row.contact_id = person.id if person is not None else None
    if _answers_a_colleague(session, actor, found, row, person, nature):
        return
    match = threading.ticket_of(session, found, person)
    if match is not None:
        _continue(session, actor, mailbox, found, row, match, nature)
        return
    if nature.answer or nature.report:
        row.state, row.reason = InboundState.AUTO, "An automatic answer that belongs to no ticket."
        return
    if _too_many(session, row):
        _wait(row, f"More than {loop_rules.PER_SENDER_HOUR} messages from this sender in an hour.")
        return
    if _answers_a_letter(session, actor, mailbox, found, row, person):
        return
    if nature.machine:
        _wait(row, "Sent by a machine, or to many at once.")
        return
    if not found.certain:
        _wait(row, "It names more than one sender, or none that every mail program would read the same way.")
        return
    _begin(session, actor, mailbox, found, row, person, nature)


def _wait(row: InboundMail, reason: str) -> None:
    row.state, row.reason = InboundState.TRAY, clip(reason, 500)


def _is_bounce(session: Session, actor: Actor, row: InboundMail, raw: bytes) -> bool:
    """A report that something did not arrive or was not wanted: noted on the message that it tells of, and beside the ticket it was about."""
    report = delivery_reports.note(session, actor, raw)
    if report is None:
        return False
    row.state, row.reason = InboundState.BOUNCE, clip(f"{report.address}: {report.words}", 500)
    about = session.get(MailDelivery, report.mail_id)
    if about is not None and about.kind == "ticket" and about.message_id and not report.complaint:
        message = session.exec(select(TicketMessage).where(TicketMessage.message_id == about.message_id)).first()
        if message is not None:
            words = f"The answer did not reach {report.address}: {report.words}"
            noted = writing.overhear(session, actor, message.ticket_id, words, "Mail server")
            row.ticket_id, row.ticket_message_id = message.ticket_id, noted.id
            key = f"mail.unreachable:{report.mail_id}"
            notifications.notify(
                session, message.author_id, kind="mail.unreachable", entity="ticket", record_id=message.ticket_id, dedupe_key=key
            )
    if about is not None and about.kind == timeline_rules.PERSONAL and not report.complaint:
        row.activity_id = answering.unreachable(session, about)
    return True


def _answers_an_invitation(session: Session, actor: Actor, found: Incoming, row: InboundMail, raw: bytes) -> bool:
    """What the calendar of a guest answered: noted at the meeting, and no request of anybody."""
    file = message_rules.calendar_of(raw)
    reply = invitation_rules.read_reply(file) if file else None
    forged = not found.certain or loop_rules.forged(found)
    answer = invitations.answered(session, actor, reply, found.sender, forged=forged) if reply is not None else None
    if reply is None or answer is None:
        return False
    row.activity_id = answer.guest.activity_id
    if answer.doubt:  # whose mail it is stays open: it may be anybody's
        _wait(row, f"{answer.doubt} Nothing was noted at the meeting; ask the guest.")
        return True
    row.contact_id, row.state = answer.guest.contact_id, InboundState.REPLY
    row.reason = clip(f"Answer to an invitation: {reply.state.label.lower()}.", 500)
    return True


def _continue(
    session: Session, actor: Actor, mailbox: Mailbox, found: Incoming, row: InboundMail, match: threading.Match, nature: Nature
) -> None:
    """Add to the conversation. What a machine answered is kept beside it; a ticket that is done for long gets a successor."""
    ticket = match.ticket
    if nature.answer or nature.report:
        message = writing.auto_answer(session, actor, ticket, found)
        row.state, row.reason = InboundState.AUTO, "Kept beside the ticket; nothing was re-opened."
        row.ticket_id, row.ticket_message_id = ticket.id, message.id
        return
    if _too_many(session, row):
        _wait(row, f"More than {loop_rules.PER_SENDER_HOUR} messages from this sender in an hour. It belongs to {ticket.number}.")
        return
    row.reason = f"Found by the {match.by}."
    if ticket.status in ticket_rules.DONE and not writing.may_reopen(ticket):
        made, message = writing.open_ticket(
            session, actor, mailbox, found, contact_id=ticket.contact_id or row.contact_id, follows=ticket
        )
        row.state, row.ticket_id, row.ticket_message_id = InboundState.TICKET, made.id, message.id
        row.reason = f"{ticket.number} was solved too long ago to be opened again."
        return
    message = writing.add(session, actor, ticket, found)
    row.state, row.ticket_id, row.ticket_message_id = InboundState.THREAD, ticket.id, message.id
    key = f"mail.answer:{message.id}"
    notifications.notify(session, ticket.owner_id, kind="mail.answer", entity="ticket", record_id=ticket.id, dedupe_key=key)
    row.contact_id = row.contact_id or ticket.contact_id


def _answers_a_letter(
    session: Session, actor: Actor, mailbox: Mailbox, found: Incoming, row: InboundMail, person: Contact | None
) -> bool:
    """The answer to a campaign's letter: noted there, and then taken like any other, since it may hold a question."""
    letter = threading.letter_of(session, found.references)
    member = tracking.member_of(session, letter.id if letter is not None else None, found.text)
    if member is None:
        return False
    answer = tracking.replied(session, member, quote_rules.split(found.text)[0])
    contact_id = answer.contact_id or (person.id if person is not None else None)
    if mailbox.becomes is not MailBecomes.TIMELINE:
        ticket, message = writing.open_ticket(session, actor, mailbox, found, contact_id=contact_id)
        row.ticket_id, row.ticket_message_id = ticket.id, message.id
    else:
        key, record_id = ("contact", contact_id) if contact_id else ("lead", answer.lead_id)
        if record_id is not None:
            row.activity_id = writing.log(session, actor, key, record_id, found).id
    row.contact_id = contact_id
    row.state, row.reason = InboundState.REPLY, clip(f"Answer to the campaign “{answer.campaign}”.", 500)
    return True


def _answers_a_colleague(
    session: Session, actor: Actor, found: Incoming, row: InboundMail, person: Contact | None, nature: Nature
) -> bool:
    """The answer to a mail that somebody wrote from a record: it stands there, and its writer is told. False when that record is gone."""
    asked = threading.talk_of(session, found, person)
    if asked is None or not answering.is_there(session, actor, asked):
        return False
    if nature.answer or nature.report:
        row.activity_id = writing.aside(session, actor, asked.entity, asked.record_id, found).id
        row.state, row.reason = InboundState.AUTO, "Kept on the timeline of the record it is about."
    elif filing.of_colleague(session, actor, asked, found, row):
        pass
    elif _too_many(session, row):
        _wait(
            row, f"More than {loop_rules.PER_SENDER_HOUR} messages from this sender in an hour. It answers a mail of a colleague."
        )
    else:
        row.activity_id = answering.take(session, actor, asked, found).id
        row.state, row.reason = InboundState.TIMELINE, "The answer to a mail that was written from a record."
    if asked.entity == "contact" and row.contact_id is None:
        row.contact_id = asked.record_id
    return True


def _begin(
    session: Session, actor: Actor, mailbox: Mailbox, found: Incoming, row: InboundMail, person: Contact | None, nature: Nature
) -> None:
    """A new conversation, as the mailbox says."""
    if mailbox.becomes is MailBecomes.FILED:
        _wait(row, "This mailbox files the mail of colleagues, and the sender is none.")
        return
    if person is None:
        if threading.colleague(session, found.sender_key) is not None:
            _wait(row, "Sent by a colleague. Choose whose request it is.")
            return
        if mailbox.unknown is UnknownSender.TRAY or (
            mailbox.becomes is MailBecomes.TIMELINE and mailbox.unknown is UnknownSender.PLAIN
        ):
            _wait(row, "Nobody here has this address.")
            return
        if mailbox.unknown is UnknownSender.CONTACT:
            person = writing.make_contact(session, actor, found)
            row.contact_id = person.id
    if mailbox.becomes is MailBecomes.TIMELINE and person is not None:
        row.activity_id, row.state = writing.log(session, actor, "contact", person.id, found).id, InboundState.TIMELINE
        return
    ticket, message = writing.open_ticket(session, actor, mailbox, found, contact_id=person.id if person is not None else None)
    row.state, row.ticket_id, row.ticket_message_id = InboundState.TICKET, ticket.id, message.id
    if mailbox.acknowledge and not nature.by_machine and not nature.hush:
        writing.acknowledge(session, actor, mailbox, found, ticket, message)


def _too_many(session: Session, row: InboundMail) -> bool:
    since = utcnow() - timedelta(hours=1)
    same = pick(func.count()).select_from(ROWS).where(ROWS.c.sender_key == row.sender_key, ROWS.c.created_at >= since)
    return bool(row.sender_key) and session.execute(same).scalar_one() > loop_rules.PER_SENDER_HOUR


def keep_aside(session: Session, mailbox: Mailbox, raw: bytes, reason: str) -> Taken:
    """Put a message into the tray as it is: when working on it failed in a way that nobody foresaw."""
    row = _claim(session, mailbox, message_rules.read(raw), raw)
    if row is None:
        known = session.exec(
            select(InboundMail).where(InboundMail.dedupe_key == message_rules.key_of(message_rules.read(raw), raw))
        ).one()
        return Taken(known.id, known.state, new=False)
    _wait(row, reason)
    session.add(row)
    session.flush()
    return Taken(row.id, row.state)
