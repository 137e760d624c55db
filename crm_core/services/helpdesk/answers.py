"""Answers that leave as mail: to the customer and whoever reads along, threaded, with files, and to be taken back for a moment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select as pick
from sqlalchemy import update as change
from sqlmodel import Session, col, select

from crm_core import db, events, house, lists
from crm_core.access import Actor, require
from crm_core.channels import email
from crm_core.errors import Conflict, Invalid, NotFound, Unavailable
from crm_core.kit.clock import utcnow
from crm_core.kit.text import email_key
from crm_core.models import Attachment, Contact, Mailbox, MailDelivery, Organisation, SubmitKey, Ticket, TicketMessage
from crm_core.services.collaboration import files, outbox
from crm_core.services.helpdesk import answer_rules, article_uses, slas, tickets
from crm_core.services.helpdesk.tickets import Mailed
from crm_core.vocabulary import Action, MailState, MessageDirection, TicketKind

KIND = "ticket"
UNDO_SECONDS = 20
MAX_FILES_MB = 20
_MAIL: Any = MailDelivery.__table__  # type: ignore[attr-defined]
_STATES = {
    MailState.PENDING: "waiting", MailState.SENDING: "being sent", MailState.HANDED: "handed over", MailState.SENT: "sent", MailState.HELD: "held back",
    MailState.FAILED: "not sent", MailState.BOUNCED: "came back", MailState.CANCELLED: "not sent",
}  # fmt: skip


@dataclass(frozen=True)
class Envelope:
    """Who an answer goes to when nobody says otherwise, from which address, and with which signature below. ``to`` is empty when no address is known."""

    to: tuple[str, ...]
    cc: tuple[str, ...]
    sender: str
    signature: str
    by_mail: bool


@dataclass(frozen=True)
class Delivery:
    """How far a mailed answer is. ``problem``: what the server said when it did not get through."""

    words: str
    good: bool
    problem: str = ""
    until: Any = None


@dataclass(frozen=True)
class NewFile:
    """A file chosen for an answer."""

    name: str
    content: bytes


def envelope(session: Session, actor: Actor, ticket_id: int) -> Envelope:
    """The envelope that the answer box starts with: the last writer and whoever they copied, without ourselves."""
    ticket = tickets.get(session, actor, ticket_id)
    box = mailbox_of(session, ticket)
    to, cc = _people(session, ticket)
    own = own_addresses(session)
    copied = tuple(one for one in cc if email_key(answer_rules.without_mark(one)) not in own and one not in to)
    if actor.masked("contact", "email"):
        to, copied = (), ()
    return Envelope(
        to, copied, box.address if box else email.sender_address(), _signature(session, actor, box), bool(to) and _works(box)
    )


def _works(box: Mailbox | None) -> bool:
    return box is not None or email.configured()


def mailbox_of(session: Session, ticket: Ticket) -> Mailbox | None:
    """The mailbox through which a ticket is answered: its own, else the first one for tickets."""
    own = session.get(Mailbox, ticket.mailbox_id) if ticket.mailbox_id else None
    if own is not None:
        return own
    query = select(Mailbox).where(Mailbox.is_active, Mailbox.becomes == "ticket").order_by(col(Mailbox.id))
    return session.exec(query).first()


def own_addresses(session: Session) -> set[str]:
    """Every address that is ours: mailboxes and the sender of all mail."""
    found = set(session.exec(select(Mailbox.address_key)))
    return found | ({email_key(email.sender_address())} if email.sender_address() else set())


def _people(session: Session, ticket: Ticket) -> tuple[tuple[str, ...], tuple[str, ...]]:
    query = select(TicketMessage.mail).where(
        TicketMessage.ticket_id == ticket.id,
        TicketMessage.direction == MessageDirection.INBOUND,
        col(TicketMessage.mail).is_not(None),
    )
    last = session.exec(query.order_by(col(TicketMessage.id).desc())).first()
    if last and last.get("from"):
        more = [one for one in (*last.get("to", ()), *last.get("cc", ())) if one != last["from"]]
        return (str(last["from"]),), tuple(dict.fromkeys(str(one) for one in more))
    contact = session.get(Contact, ticket.contact_id) if ticket.contact_id else None
    return ((contact.email,) if contact is not None and contact.email else ()), ()


def _signature(session: Session, actor: Actor, box: Mailbox | None) -> str:
    """The signature below answers, with the agent's name put in."""
    if box is None or not box.signature:
        return ""
    organisation = session.exec(select(Organisation)).first()
    return answer_rules.fill(box.signature, {"agent": actor.name, "workspace": organisation.name if organisation else ""})


def send(
    session: Session,
    actor: Actor,
    ticket_id: int,
    body: str,
    *,
    to: str | Iterable[str],
    cc: str | Iterable[str] = (),
    enclosed: Sequence[NewFile] = (),
    then: TicketKind | None = None,
    submit_key: str | None = None,
    read_until: int | None = None,
    articles: Sequence[int] = (),
) -> TicketMessage:
    """Answer the customer by mail. The message waits some seconds in the outbox, for a second thought. ``read_until``: as for ``tickets.reply``.
    Events: ticket.replied.

    The same ``submit_key`` again sends once. Raises Invalid for an address that is none, and when nobody is named.
    """
    ticket = tickets.get(session, actor, ticket_id, action=Action.EDIT)
    seen = session.get(SubmitKey, submit_key) if submit_key else None
    if seen is not None:
        return session.get_one(TicketMessage, seen.result["id"])
    readers = _readers(to, cc)
    kept = _enclose(session, actor, ticket_id, enclosed)
    before = {"status": ticket.status.value, "owner_id": ticket.owner_id, "first": ticket.first_response_at is None}
    mail = {"to": readers[0], "cc": readers[1], "files": [one.id for one in kept], "before": before}
    mailed = Mailed(mail=mail)
    message = tickets.reply(
        session, actor, ticket_id, body, then=then, submit_key=submit_key, read_until=read_until, mailed=mailed, articles=articles
    )
    _post(session, actor, ticket, message, kept)
    return message


def _readers(to: str | Iterable[str], cc: str | Iterable[str]) -> tuple[list[str], list[str]]:
    wrong = {}
    found: dict[str, list[str]] = {"to": [], "cc": []}
    for key, typed in (("to", to), ("cc", cc)):
        try:
            found[key] = answer_rules.people(typed)
        except ValueError as error:
            wrong[key] = str(error)
    if not found["to"] and not wrong:
        wrong["to"] = "Say who the answer goes to."
    if wrong:
        raise Invalid(fields=wrong)
    keys = {email_key(one) for one in found["to"]}
    return found["to"], [one for one in found["cc"] if email_key(one) not in keys]


def _enclose(session: Session, actor: Actor, ticket_id: int, enclosed: Sequence[NewFile]) -> list[Attachment]:
    if sum(len(one.content) for one in enclosed) > MAX_FILES_MB << 20:
        raise Invalid(fields={"files": f"The files are larger than {MAX_FILES_MB} MB together; most mail servers refuse that."})
    return [files.attach(session, actor, "ticket", ticket_id, name=one.name, content=one.content) for one in enclosed]


def _post(session: Session, actor: Actor, ticket: Ticket, message: TicketMessage, kept: Sequence[Attachment]) -> None:
    """Queue one copy per reader, all the same message: same Message-ID, same To and Cc."""
    box = mailbox_of(session, ticket)
    signature, earlier = _signature(session, actor, box), _earlier(session, actor, ticket, message)
    text = "\n\n".join(part for part in (message.body, f"-- \n{signature}" if signature else "", earlier) if part)
    shown = message.body + (f"\n\n{signature}" if signature else "")
    mail = dict(message.mail or {})
    message.message_id = email.message_id_of(f"{KIND}:{ticket.id}:{message.id}:{message.created_at.isoformat()}")
    head = headers(session, actor.name, ticket, box, message.message_id, mail["to"], mail["cc"])
    attachments = [{"sha256": one.sha256, "name": one.name, "media_type": one.media_type} for one in kept]
    later = utcnow() + timedelta(seconds=UNDO_SECONDS)
    mail["deliveries"] = [
        outbox.queue(
            session, actor, to=one, subject=answer_rules.tag(ticket.number, ticket.subject), text=text, html=answer_rules.html_of(shown, earlier),
            kind=KIND, dedupe_key=f"{KIND}:{message.id}:{email_key(one)}"[:200], headers=head, attachments=attachments, contact_id=ticket.contact_id,
            not_before=later,
        )
        for one in (*mail["to"], *mail["cc"])
    ]  # fmt: skip
    message.mail = {**mail, "from": box.address if box else email.sender_address()}
    message.quoted = earlier or None
    session.add(message)
    session.flush()


def headers(
    session: Session, name: str, ticket: Ticket, box: Mailbox | None, message_id: str, to: Sequence[str], cc: Sequence[str]
) -> dict[str, str]:
    """What stands at the head of a mail about a ticket. The sender is the mailbox where the mail server may speak for it, else it is named for answers."""
    ours = email.sender_address()
    found = {"To": ", ".join(to), "Message-ID": message_id, "X-Rapport": f"ticket {ticket.number}"}
    if cc:
        found["Cc"] = ", ".join(cc)
    if box is not None:
        same = not ours or ours.rpartition("@")[2] == box.address.rpartition("@")[2]
        found["From"] = email.written(name, box.address if same else ours)
        back = answer_rules.reply_address(box.address, ticket.id) if box.plus_address else box.address
        found["Reply-To"] = email.written(box.name, back)
    above = [one for one in _thread(session, ticket) if one != message_id]
    if above:
        found["In-Reply-To"], found["References"] = above[-1], " ".join(above[-20:])
    return found


def _thread(session: Session, ticket: Ticket) -> list[str]:
    query = select(TicketMessage.message_id).where(
        TicketMessage.ticket_id == ticket.id, col(TicketMessage.message_id).is_not(None),
        TicketMessage.direction != MessageDirection.INTERNAL,
    )  # fmt: skip
    return [str(one) for one in session.exec(query.order_by(col(TicketMessage.at), col(TicketMessage.id)))]


def _earlier(session: Session, actor: Actor, ticket: Ticket, message: TicketMessage) -> str:
    query = select(TicketMessage).where(
        TicketMessage.ticket_id == ticket.id, TicketMessage.direction == MessageDirection.INBOUND, TicketMessage.id != message.id
    )
    last = session.exec(query.order_by(col(TicketMessage.at).desc(), col(TicketMessage.id).desc())).first()
    return answer_rules.quote(last.body, last.author_name or "you", house.written(session, last.at)) if last is not None else ""


def deliveries(session: Session, actor: Actor, ticket_id: int, messages: Sequence[TicketMessage]) -> dict[int, Delivery]:
    """How far each mailed message of a ticket is: message → the state that its reader should know."""
    tickets.get(session, actor, ticket_id)
    wanted = {int(one): row for row in messages if row.mail for one in row.mail.get("deliveries", ())}
    if not wanted:
        return {}
    found: dict[int, list[Any]] = {}
    for mail in session.execute(
        pick(_MAIL.c.id, _MAIL.c.state, _MAIL.c.message, _MAIL.c.address, _MAIL.c.next_at).where(_MAIL.c.id.in_(wanted))
    ):
        found.setdefault(wanted[mail.id].id, []).append(mail)
    return {key: _worst(actor, rows) for key, rows in found.items()}


def _worst(actor: Actor, rows: Sequence[Any]) -> Delivery:
    bad = (MailState.BOUNCED, MailState.FAILED, MailState.CANCELLED)
    order = [*bad, MailState.HELD, MailState.PENDING, MailState.SENDING, MailState.HANDED, MailState.SENT]
    worst = min(rows, key=lambda row: order.index(MailState(row.state)))
    state = MailState(worst.state)
    problem = (
        f"{worst.address}: {worst.message}"
        if state in bad and not actor.masked("contact", "email")
        else worst.message
        if state in bad
        else ""
    )
    return Delivery(_STATES[state], state not in bad, problem, worst.next_at if state is MailState.PENDING else None)


def retry(session: Session, actor: Actor, ticket_id: int, message_id: int) -> None:
    """Send an answer again that did not get through. Not to an address that does not exist: that needs a new answer."""
    message = _mine(session, actor, ticket_id, message_id)
    again = change(_MAIL).where(_MAIL.c.id.in_((message.mail or {}).get("deliveries", ())), _MAIL.c.state == MailState.FAILED)
    fresh = {"state": MailState.PENDING, "attempts": 0, "next_at": utcnow(), "claim": None, "message": "", "updated_at": utcnow()}
    if not session.execute(again.values(**fresh)).rowcount:  # type: ignore[attr-defined]
        raise Conflict("Nothing of this answer waits to be sent again.")
    db.bump(session, _MAIL.name)
    from crm_core.jobs import enqueue

    enqueue(session, "mail.send", unless_waiting=True)


@dataclass(frozen=True)
class TakenBack:
    """The words of an answer that was taken back, and the articles that it held."""

    words: str
    articles: tuple[int, ...]


def take_back(session: Session, actor: Actor, ticket_id: int, message_id: int) -> TakenBack:
    """Take an answer back that has not left yet, and put the ticket back as it was; gives what it held. Events: ticket.answer_taken_back."""
    message = _mine(session, actor, ticket_id, message_id)
    if message.author_id != actor.user_id:
        raise Conflict("Only its author can take an answer back.")
    ids = list((message.mail or {}).get("deliveries", ()))
    waiting = change(_MAIL).where(_MAIL.c.id.in_(ids), _MAIL.c.state == MailState.PENDING, _MAIL.c.attempts == 0)
    done = session.execute(
        waiting.values(state=MailState.CANCELLED, message="Taken back by its author.", updated_at=utcnow())
    ).rowcount  # type: ignore[attr-defined]
    if not ids or done != len(ids):
        raise Conflict("This answer is on its way already.")
    db.bump(session, _MAIL.name)
    before = dict((message.mail or {}).get("before") or {})
    taken = TakenBack(message.body, article_uses.noted(session, message_id))
    session.delete(message)
    session.flush()
    _restore(session, actor, ticket_id, before)
    return taken


def _restore(session: Session, actor: Actor, ticket_id: int, before: dict[str, Any]) -> None:
    from crm_core import records

    ticket = tickets.get(session, actor, ticket_id, action=Action.EDIT)
    fixed: dict[str, Any] = {"status": TicketKind(before["status"])} if before.get("status") else {}
    if fixed and ticket.status in tickets.DONE and fixed["status"] not in tickets.DONE:
        fixed |= {"solved_at": None, "closed_at": None}
    if before.get("first"):
        fixed["first_response_at"] = None
    if "owner_id" in before:
        fixed["owner_id"] = before["owner_id"]
    saved = records.update(session, actor, "ticket", ticket_id, {}, fixed=fixed, event_type="ticket.answer_taken_back")
    if not saved.changed:
        events.record(session, actor, "ticket.answer_taken_back", saved.record)
    slas.sync(session, saved.record)


def _mine(session: Session, actor: Actor, ticket_id: int, message_id: int) -> TicketMessage:
    tickets.get(session, actor, ticket_id, action=Action.EDIT)
    message = session.get(TicketMessage, message_id)
    if message is None or message.ticket_id != ticket_id or message.direction is not MessageDirection.OUTBOUND:
        raise NotFound("There is no such answer.")
    return message


def html_of(session: Session, actor: Actor, ticket_id: int, message_id: int) -> str:
    """The cleaned HTML of a message with the pictures that came inside it, for a frame without scripts."""
    import base64

    require(actor, "ticket", Action.READ)
    tickets.get(session, actor, ticket_id)
    message = session.get(TicketMessage, message_id)
    if message is None or message.ticket_id != ticket_id or not message.html:
        raise NotFound("This message has no other form.")
    html, room = message.html, 4 << 20
    for name, file_id in ((message.mail or {}).get("inline") or {}).items():
        row = session.get(Attachment, int(file_id))
        if (
            row is None
            or row.deleted_at is not None
            or not row.media_type.startswith("image/")
            or row.media_type not in files.HARMLESS
            or row.size_bytes > room
        ):
            continue
        try:
            picture = base64.b64encode(files.content_of(row.sha256)).decode()
        except Unavailable:
            continue
        room -= row.size_bytes
        html = html.replace(f"cid:{name}", f"data:{row.media_type};base64,{picture}")
    return html


def names_of(session: Session, actor: Actor, ticket_id: int, messages: Sequence[TicketMessage]) -> dict[int, list[str]]:
    """The names of the files that came or went with each message."""
    tickets.get(session, actor, ticket_id)
    ids = {int(one) for row in messages if row.mail for one in row.mail.get("files", ())}
    if not ids:
        return {}
    rows = session.exec(
        select(Attachment.id, Attachment.name).where(col(Attachment.id).in_(ids), col(Attachment.deleted_at).is_(None))
    )
    names = dict(rows.all())
    return {
        row.id: [names[int(one)] for one in (row.mail or {}).get("files", ()) if int(one) in names] for row in messages if row.mail
    }


def links_of(session: Session, actor: Actor, ticket_id: int) -> dict[str, tuple[int, str] | None]:
    """Where a ticket went (``into``) and which one it continues (``follows``), as far as the actor may see them."""
    ticket = tickets.get(session, actor, ticket_id)
    ids = {"into": ticket.merged_into_id, "follows": ticket.follows_id}
    if not any(ids.values()):
        return {"into": None, "follows": None}
    named = lists.titles(session, actor, "ticket", ids.values())
    return {key: (one, named[one]) if one in named else None for key, one in ids.items()}  # type: ignore[index]
