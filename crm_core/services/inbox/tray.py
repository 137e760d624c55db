"""The tray: mail that found no place by itself. A person says where it belongs, and may change their mind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_
from sqlalchemy import select as pick
from sqlmodel import Session

from crm_core import events, lists, records
from crm_core.access import Actor, require
from crm_core.errors import Conflict, NotFound
from crm_core.fields import to_json
from crm_core.kit.clock import utcnow
from crm_core.kit.paging import Page
from crm_core.kit.text import clean, clip
from crm_core.models import Activity, Attachment, Contact, InboundMail, Mailbox, Ticket, TicketMessage
from crm_core.services.collaboration import files
from crm_core.services.helpdesk import slas, tickets
from crm_core.services.inbox import message_rules, raws, writing
from crm_core.services.inbox.message_rules import Incoming
from crm_core.vocabulary import Action, InboundState, TicketKind

ROWS: Any = InboundMail.__table__  # type: ignore[attr-defined]
SOURCE_CHARS = 60_000
_DONE_AT = ("solved_at", "closed_at", "first_solved_at")


@dataclass(frozen=True)
class Opened:
    """A message of the tray, read: its words, its cleaned HTML, the names of its files, and what it seems to belong to, as far as the reader may see
    that."""

    row: InboundMail
    text: str
    html: str
    files: tuple[str, ...]
    to: tuple[str, ...]
    contact_title: str
    ticket_title: str
    meeting_title: str
    has_source: bool


def count(session: Session, actor: Actor) -> int:
    """How many messages wait; nothing for whoever may not see them."""
    if not actor.can("mailbox", Action.READ):
        return 0
    return session.execute(pick(func.count()).select_from(ROWS).where(ROWS.c.state == InboundState.TRAY)).scalar_one()


def counts(session: Session, actor: Actor) -> dict[InboundState, int]:
    """Messages by what became of them."""
    require(actor, "mailbox", Action.READ)
    rows = session.execute(pick(ROWS.c.state, func.count()).group_by(ROWS.c.state)).tuples()
    return {InboundState(state): n for state, n in rows}


def find(
    session: Session,
    actor: Actor,
    *,
    states: Sequence[InboundState] = (InboundState.TRAY,),
    q: str = "",
    mailbox_id: int | None = None,
    page: int = 1,
    size: int = 25,
) -> Page:
    """One page of messages, the youngest first. Addresses are personal: whoever may not see them sees none."""
    require(actor, "mailbox", Action.READ)
    clause = and_(ROWS.c.state.in_(states) if states else ROWS.c.id.is_not(None))
    if mailbox_id is not None:
        clause = and_(clause, ROWS.c.mailbox_id == mailbox_id)
    if text := clean(q):
        words = text.casefold()
        clause = and_(
            clause,
            or_(
                ROWS.c.sender_key.contains(words, autoescape=True), ROWS.c.subject.icontains(text, autoescape=True),
                ROWS.c.sender_name.icontains(text, autoescape=True),
            ),
        )  # fmt: skip
    total = session.execute(pick(func.count()).select_from(ROWS).where(clause)).scalar_one()
    page = min(max(1, page), max(1, -(-total // size)))
    found = session.execute(pick(ROWS).where(clause).order_by(ROWS.c.id.desc()).limit(size).offset((page - 1) * size))
    hidden = actor.masked("contact", "email")
    rows = [{**row._mapping, **({"sender": "", "sender_key": "", "sender_name": "Somebody"} if hidden else {})} for row in found]
    return Page(rows, total, page, size)


def get(session: Session, actor: Actor, mail_id: int) -> Opened:
    """A message with its words."""
    require(actor, "mailbox", Action.READ)
    row = _row(session, mail_id)
    raw = raws.read(row.raw)
    found = message_rules.read(raw) if raw else Incoming()
    names = tuple(one.name for one in found.files)
    about = {"contact": row.contact_id, "ticket": row.ticket_id, "activity": row.activity_id}
    titles = {
        key: lists.titles(session, actor, key, [known]).get(known, "") if known and actor.can(key, Action.READ) else ""
        for key, known in about.items()
    }
    return Opened(
        row,
        found.text or row.preview,
        found.html,
        names,
        found.to,
        titles["contact"],
        titles["ticket"],
        titles["activity"],
        bool(raw),
    )


def source(session: Session, actor: Actor, mail_id: int) -> bytes:
    """The untouched source of a message; empty when it was cleared away."""
    require(actor, "mailbox", Action.READ)
    return raws.read(_row(session, mail_id).raw)


def _row(session: Session, mail_id: int) -> InboundMail:
    row = session.get(InboundMail, mail_id) if 0 < mail_id < 2**31 else None
    if row is None:
        raise NotFound("This message does not exist any more.")
    return row


# --- settle -----------------------------------------------------------------------------------------------------------------


def _open_row(session: Session, actor: Actor, mail_id: int) -> tuple[InboundMail, Incoming]:
    require(actor, "mailbox", Action.READ)
    row = _row(session, mail_id)
    if row.state is not InboundState.TRAY:
        raise Conflict(f"Somebody settled this message already: {row.state.label.lower()}.")
    raw = raws.read(row.raw)
    found = (
        message_rules.read(raw)
        if raw
        else Incoming(sender=row.sender, sender_name=row.sender_name, subject=row.subject, text=row.preview)
    )
    return row, found


def make_ticket(
    session: Session, actor: Actor, mail_id: int, *, contact_id: int | None = None, new_contact: bool = False
) -> Ticket:
    """Make a ticket of a message, for a contact that is known, a new one, or none. Events: ticket.created, mailbox.mail_settled."""
    row, found = _open_row(session, actor, mail_id)
    undo: dict[str, Any] = {}
    if contact_id is None and new_contact and found.sender:
        contact_id = writing.make_contact(session, actor, found).id
        undo["contact_id"] = contact_id
    box = session.get(Mailbox, row.mailbox_id) if row.mailbox_id else None
    ticket, message = writing.open_ticket(session, actor, box, found, contact_id=contact_id)
    undo |= {"ticket_id": ticket.id, "version": ticket.version}
    row.contact_id = contact_id or row.contact_id
    row.ticket_id, row.ticket_message_id = ticket.id, message.id
    _settled(session, actor, row, InboundState.TICKET, undo)
    return ticket


def add_to_ticket(session: Session, actor: Actor, mail_id: int, ticket_id: int) -> TicketMessage:
    """Add a message to a ticket; a waiting or solved one is open again. Events: ticket.message_received, mailbox.mail_settled."""
    row, found = _open_row(session, actor, mail_id)
    ticket = tickets.get(session, actor, ticket_id, action=Action.EDIT)
    times = {key: to_json(getattr(ticket, key)) for key in _DONE_AT}
    before = {"status": ticket.status.value, "reopened": ticket.reopened_count, "times": times}
    message = writing.add(session, actor, ticket, found)
    row.ticket_id, row.ticket_message_id = ticket.id, message.id
    row.contact_id = row.contact_id or ticket.contact_id
    _settled(session, actor, row, InboundState.THREAD, {"message_id": message.id, "ticket": before})
    return message


def add_to_contact(session: Session, actor: Actor, mail_id: int, contact_id: int) -> Activity:
    """Put a message on the timeline of a person. Events: activity.created, mailbox.mail_settled."""
    row, found = _open_row(session, actor, mail_id)
    activity = writing.log(session, actor, "contact", contact_id, found)
    row.contact_id, row.activity_id = contact_id, activity.id
    _settled(session, actor, row, InboundState.TIMELINE, {"activity_id": activity.id})
    return activity


def discard(session: Session, actor: Actor, mail_ids: Sequence[int]) -> int:
    """Put messages away that need nothing; gives how many. Events: mailbox.mail_settled."""
    require(actor, "ticket", Action.EDIT)
    done = 0
    for mail_id in sorted(set(mail_ids))[:200]:
        row = _row(session, mail_id)
        if row.state is InboundState.TRAY:
            _settled(session, actor, row, InboundState.DISCARDED, {})
            done += 1
    return done


def _settled(session: Session, actor: Actor, row: InboundMail, state: InboundState, undo: dict[str, Any]) -> None:
    require(actor, "mailbox", Action.READ)
    row.undo = {**undo, "reason": row.reason}
    row.state, row.reason = state, clip(f"Settled by {actor.name}.", 500)
    row.settled_by_id, row.settled_at = actor.user_id, utcnow()
    session.add(row)
    session.flush()
    _log(session, actor, row, state.label)


def _log(session: Session, actor: Actor, row: InboundMail, outcome: str) -> None:
    data = {"outcome": outcome, "mail": row.id}
    events.record(session, actor, "mailbox.mail_settled", entity="mailbox", record_id=row.mailbox_id or 0, data=data)


# --- take back --------------------------------------------------------------------------------------------------------------


def undo(session: Session, actor: Actor, mail_id: int) -> None:
    """Take one's choice back: the message waits in the tray again. What somebody worked on since stays, and so does the choice."""
    require(actor, "ticket", Action.EDIT)
    row = _row(session, mail_id)
    if row.undo is None or row.settled_at is None:
        raise Conflict("This message was not settled by hand, so there is nothing to take back.")
    patch = row.undo
    if "ticket_id" in patch:
        _drop_ticket(session, actor, patch)
    if "message_id" in patch:
        _drop_message(session, actor, row, patch)
    if "activity_id" in patch:
        _drop(session, actor, "activity", Activity, patch["activity_id"], None)
    row.state, row.reason, row.undo, row.settled_at, row.settled_by_id = (
        InboundState.TRAY,
        str(patch.get("reason") or ""),
        None,
        None,
        None,
    )
    row.ticket_id = row.ticket_message_id = row.activity_id = None
    session.add(row)
    session.flush()
    _log(session, actor, row, "back in the tray")


def _drop_ticket(session: Session, actor: Actor, patch: dict[str, Any]) -> None:
    ticket_id = int(patch["ticket_id"])
    said: Any = TicketMessage.__table__  # type: ignore[attr-defined]
    more = session.execute(pick(func.count()).select_from(said).where(said.c.ticket_id == ticket_id)).scalar_one() > 1
    if more:
        raise Conflict("Somebody answered on this ticket already. Delete the ticket instead.")
    _drop(session, actor, "ticket", Ticket, ticket_id, patch.get("version"))
    if "contact_id" in patch:
        table: Any = Ticket.__table__  # type: ignore[attr-defined]
        others = pick(table.c.id).where(table.c.contact_id == int(patch["contact_id"]), table.c.deleted_at.is_(None)).limit(1)
        if session.execute(others).first() is None:
            _drop(session, actor, "contact", Contact, int(patch["contact_id"]), None)


def _drop_message(session: Session, actor: Actor, row: InboundMail, patch: dict[str, Any]) -> None:
    message = session.get(TicketMessage, int(patch["message_id"]))
    if message is None:
        return
    ticket = tickets.get(session, actor, message.ticket_id, action=Action.EDIT)
    mail = message.mail or {}
    for file_id in (*mail.get("files", ()), *(mail.get("inline") or {}).values()):
        attached = session.get(Attachment, int(file_id))
        if attached is not None and attached.deleted_at is None:
            files.remove(session, actor, attached.id)
    row.ticket_message_id = None
    session.add(row)
    session.flush()
    session.delete(message)
    session.flush()
    _close_again(session, actor, ticket, patch["ticket"])
    slas.sync(session, ticket)


def _close_again(session: Session, actor: Actor, ticket: Ticket, old: dict[str, Any]) -> None:
    """A ticket that the message opened again stands as before, done since when it was."""
    before = TicketKind(old["status"])
    if ticket.status is not TicketKind.OPEN or before is ticket.status:
        return
    fixed: dict[str, Any] = {"status": before, "reopened_count": old["reopened"]}
    if before in tickets.DONE:
        times = old.get("times") or {"solved_at": utcnow().isoformat()}  # without: it was settled by an earlier version
        fixed |= {key: datetime.fromisoformat(value) if value else None for key, value in times.items()}
    records.update(session, actor, "ticket", ticket.id, {}, fixed=fixed)


def _drop(session: Session, actor: Actor, key: str, model: type[Any], record_id: int, version: int | None) -> None:
    """Remove what a choice made and nobody touched since; that takes no right to delete."""
    record = session.get(model, record_id)
    if record is None or record.deleted_at is not None:
        return
    if version is not None and record.version != version:
        raise Conflict("Somebody worked on it since. Delete it instead, if that is what you want.")
    records.discard(session, actor, key, record, data={"tray": True} if key == "ticket" else None)
