"""Putting a message where it belongs: a ticket, a conversation, a timeline; its files, its pictures, and the note that it arrived."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from crm_core import records
from crm_core.access import Actor
from crm_core.channels import email
from crm_core.errors import Invalid
from crm_core.kit import clock
from crm_core.kit.text import clip, email_key
from crm_core.models import Activity, Contact, Interaction, Mailbox, MailDelivery, Organisation, Ticket, TicketMessage
from crm_core.services.collaboration import activities, files, interactions, outbox
from crm_core.services.customers import contacts
from crm_core.services.helpdesk import answer_rules, answers, ticket_rules, tickets
from crm_core.services.helpdesk.tickets import Mailed
from crm_core.services.inbox import loop_rules, quote_rules, threading
from crm_core.services.inbox.message_rules import Incoming
from crm_core.vocabulary import ActivityKind, MessageDirection

ACK = "ticket_ack"
ACK_SUBJECT = "We got your message [#{{number}}]"
ACK_BODY = "Hello {{name|}},\n\nthank you for writing to us. Your request has the number {{number}}; we will get back to you.\n\n{{workspace}}"
ACK_FIELDS = ("name", "number", "subject", "workspace")
NO_WORDS = "(This message has no text.)"
PREVIEW_FILES = 10


def may_reopen(ticket: Ticket) -> bool:
    """Whether an answer may still open this done ticket again."""
    done_at = ticket.solved_at or ticket.closed_at
    return done_at is None or clock.utcnow() - done_at <= timedelta(days=ticket_rules.REOPEN_DAYS)


def open_ticket(
    session: Session,
    actor: Actor,
    mailbox: Mailbox | None,
    found: Incoming,
    *,
    contact_id: int | None,
    follows: Ticket | None = None,
) -> tuple[Ticket, TicketMessage]:
    """A new ticket with this message as its first."""
    values: dict[str, Any] = {"subject": clip(answer_rules.untagged(found.subject) or "(no subject)", 300)}
    if mailbox is not None:
        values |= {
            "impact": mailbox.impact,
            "urgency": mailbox.urgency,
            "team_id": mailbox.team_id,
            "category": mailbox.category,
            "owner_id": mailbox.owner_id,
        }
    values["contact_id"] = contact_id
    if contact_id is None:
        account = threading.account_of(session, found.sender_key)
        values["account_id"] = account.id if account is not None else None
    body, mailed = _mailed(found)
    also = {"mailbox_id": mailbox.id if mailbox else None, "follows_id": follows.id if follows else None}
    with records.carrying(session):
        ticket = tickets.create(
            session,
            actor,
            {key: value for key, value in values.items() if value is not None},
            message=body,
            author_name=_who(found),
            mailed=mailed,
            also=also,
        )
    message = session.exec(
        select(TicketMessage).where(TicketMessage.ticket_id == ticket.id).order_by(col(TicketMessage.id))
    ).first()
    assert message is not None
    _keep_files(session, actor, ticket, message, found)
    return ticket, message


def add(session: Session, actor: Actor, ticket: Ticket, found: Incoming) -> TicketMessage:
    """The next message of the customer; a waiting or solved ticket is open again."""
    body, mailed = _mailed(found)
    message = tickets.receive(session, actor, ticket.id, body, author_name=_who(found), mailed=mailed)
    _keep_files(session, actor, ticket, message, found)
    return message


def auto_answer(session: Session, actor: Actor, ticket: Ticket, found: Incoming) -> TicketMessage:
    """What a machine answered, beside the conversation."""
    body, mailed = _mailed(found, auto=True)
    return tickets.overhear(
        session, actor, ticket.id, body, author_name=f"Automatic answer from {_who(found)}"[:200], mailed=mailed
    )


def overhear(session: Session, actor: Actor, ticket_id: int, words: str, who: str) -> TicketMessage:
    """What a mail server said about an answer."""
    return tickets.overhear(session, actor, ticket_id, words, author_name=who, mailed=Mailed(mail={"auto": True}))


def log(
    session: Session,
    actor: Actor,
    entity_key: str,
    record_id: int,
    found: Incoming,
    *,
    asked: Interaction | None = None,
    settled: bool = False,
) -> Activity:
    """An e-mail on the timeline of a record, waiting for an answer unless it is ``settled``. ``asked``: the mail of ours that it answers."""
    body, _ = _mailed(found)
    at = min(found.sent_at or clock.utcnow(), clock.utcnow())
    activity = activities.log(
        session, actor, entity_key, record_id, kind=ActivityKind.EMAIL, text=clip(body, 20_000), subject=clip(f"From {_who(found)}: {found.subject or 'no subject'}", 300), at=at,
        incoming=True,
    )  # fmt: skip
    interactions.note(
        session, activity, entity_key=entity_key, record_id=record_id, direction=MessageDirection.INBOUND, message_id=found.message_id,
        sender=found.sender, people=(*found.to, *found.cc), user_id=asked.user_id if asked is not None else None,
        thread_id=asked.thread_id if asked is not None else None, settled=settled,
    )  # fmt: skip
    for one in found.files[:PREVIEW_FILES]:
        if one.content and len(one.content) <= files.MAX_MB << 20:
            files.attach(session, actor, entity_key, record_id, name=one.name, content=one.content)
    return activity


def aside(session: Session, actor: Actor, entity_key: str, record_id: int, found: Incoming) -> Activity:
    """What a machine answered to a mail of ours: a note on the record, which nobody has to answer."""
    body, _ = _mailed(found, auto=True)
    words = clip(f"Automatic answer from {_who(found)}: {found.subject}", 300)
    return activities.log(
        session, actor, entity_key, record_id, kind=ActivityKind.NOTE, text=clip(body, 5_000), subject=words, incoming=True
    )


def make_contact(session: Session, actor: Actor, found: Incoming) -> Contact:
    """The sender as a contact, of the company that their address belongs to."""
    account = threading.account_of(session, found.sender_key)
    local = found.sender.partition("@")[0].replace(".", " ").replace("_", " ").replace("-", " ").title()
    name = found.sender_name if found.sender_name and "@" not in found.sender_name else local or found.sender
    with records.carrying(session):
        return contacts.create(
            session, actor, {"name": clip(name, 300), "email": found.sender, "account_id": account.id if account else None}
        )


def _who(found: Incoming) -> str:
    return clip(found.sender_name or found.sender or "Customer", 200)


def _mailed(found: Incoming, *, auto: bool = False) -> tuple[str, Mailed]:
    fresh, quoted = quote_rules.split(found.text)
    cut = fresh[tickets.MAX_BODY - 200 :] if len(fresh) > tickets.MAX_BODY - 200 else ""
    body = fresh[: tickets.MAX_BODY - 200] if cut else fresh
    mail: dict[str, Any] = {"from": found.sender, "to": list(found.to), "cc": list(found.cc), "subject": found.subject}
    if auto:
        mail["auto"] = True
    notes = [f"({found.left_out} more files were left out.)"] if found.left_out else []
    return "\n\n".join([body or NO_WORDS, *notes]), Mailed(
        found.message_id, clip("\n".join(part for part in (cut, quoted) if part), 200_000), found.html, mail
    )


def _keep_files(session: Session, actor: Actor, ticket: Ticket, message: TicketMessage, found: Incoming) -> None:
    """The files of a message on the ticket. One that is too large or too much is named in the conversation and stays in the source."""
    kept: list[int] = []
    inline: dict[str, int] = {}
    lost: list[str] = []
    for one in found.files:
        try:
            made = files.attach(session, actor, "ticket", ticket.id, name=one.name, content=one.content)
        except Invalid:
            lost.append(one.name)
            continue
        if one.content_id and one.media_type.startswith("image/") and f"cid:{one.content_id}" in found.html:
            inline[one.content_id] = made.id
        else:
            kept.append(made.id)
    mail: Mapping[str, Any] = message.mail or {}
    message.mail = {**mail, "files": list(dict.fromkeys(kept)), "inline": inline, **({"lost": lost} if lost else {})}
    session.add(message)
    session.flush()


# --- the note that it arrived -----------------------------------------------------------------------------------------------


def acknowledge(session: Session, actor: Actor, mailbox: Mailbox, found: Incoming, ticket: Ticket, message: TicketMessage) -> bool:
    """Tell the sender that their message arrived; False when they were told often enough, which ends every loop."""
    if not found.sender or _told(session, found.sender_key):
        return False
    organisation = session.exec(select(Organisation)).first()
    values = {
        "name": found.sender_name,
        "number": ticket.number,
        "subject": ticket.subject,
        "workspace": organisation.name if organisation else "",
    }
    subject = answer_rules.fill(mailbox.ack_subject or ACK_SUBJECT, values)
    text = answer_rules.fill_lines(mailbox.ack_body or ACK_BODY, values)
    key = f"{ACK}:{message.id}"
    head = answers.headers(session, mailbox.name, ticket, mailbox, email.message_id_of(key), [found.sender], [])
    head |= {"Auto-Submitted": "auto-replied", "X-Auto-Response-Suppress": "All", "Precedence": "auto_reply"}
    outbox.queue(
        session,
        actor,
        to=found.sender,
        name=found.sender_name,
        subject=subject,
        text=text,
        kind=ACK,
        dedupe_key=key,
        headers=head,
        contact_id=ticket.contact_id,
    )
    mail: Mapping[str, Any] = message.mail or {}
    message.mail = {**mail, "acknowledged": True}
    session.add(message)
    return True


def _told(session: Session, address_key: str) -> bool:
    now = clock.utcnow()
    query = select(func.count(), func.max(MailDelivery.created_at)).where(
        MailDelivery.address_key == email_key(address_key),
        MailDelivery.kind == ACK,
        MailDelivery.created_at > now - timedelta(days=1),
    )
    count, last = session.exec(query).one()
    return count >= loop_rules.ACKS_PER_SENDER_DAY or (
        last is not None and last > now - timedelta(minutes=loop_rules.ACK_PAUSE_MINUTES)
    )
