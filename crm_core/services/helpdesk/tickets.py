"""Tickets: open, assign, answer, wait, solve, re-open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from crm_core import events, lists, merges, records
from crm_core.access import Actor
from crm_core.errors import Conflict, Invalid
from crm_core.fields import parse_one, registry
from crm_core.kit import clock
from crm_core.kit.numerals import written
from crm_core.kit.text import clean
from crm_core.models import SubmitKey, Ticket, TicketMessage
from crm_core.services.collaboration import incoming, mentions
from crm_core.services.helpdesk import article_uses, slas, ticket_rules
from crm_core.services.helpdesk.ticket_rules import DONE, WAITING
from crm_core.vocabulary import Action, InboundChannel, MessageDirection, TicketKind, Via

MAX_BODY = 50_000
_DOORS = {
    Via.MAIL: InboundChannel.EMAIL,
    Via.PHONE: InboundChannel.PHONE,
    Via.FORM: InboundChannel.FORM,
    Via.SURVEY: InboundChannel.SURVEY,
}


@dataclass(frozen=True)
class Mailed:
    """What is known of a message that came or went as a mail. ``mail``: see TicketMessage."""

    message_id: str = ""
    quoted: str = ""
    html: str = ""
    mail: Mapping[str, Any] = field(default_factory=dict)


def get(session: Session, actor: Actor, ticket_id: int | None, *, action: Action = Action.READ) -> Ticket:
    """The ticket, or NotFound."""
    return records.get(session, actor, "ticket", ticket_id, action=action)


def _prepare(session: Session, actor: Actor, ticket: Ticket, old: Mapping[str, Any]) -> None:
    ticket.priority = ticket_rules.priority_of(ticket.impact, ticket.urgency)
    if "status" in old:
        _enter(ticket, ticket.status, old["status"])


def _enter(ticket: Ticket, status: TicketKind, before: TicketKind) -> None:
    now = clock.utcnow()
    if status in DONE and before not in DONE:
        ticket.solved_at = now
    if status is TicketKind.CLOSED:
        ticket.closed_at = now
    if status not in DONE and before in DONE:
        ticket.solved_at = ticket.closed_at = None
        ticket.reopened_count += 1


def create(
    session: Session,
    actor: Actor,
    values: Mapping[str, Any],
    *,
    message: str = "",
    submit_key: str | None = None,
    author_name: str = "",
    mailed: Mailed | None = None,
    also: Mapping[str, Any] | None = None,
) -> Ticket:
    """Open a ticket; ``message`` is what the customer said. Without an account it belongs to the contact's one. ``also``: columns that no form has.
    Without an owner the assignment rules are asked."""
    filled = {"account_id"} if not values.get("account_id") else set()
    if values.get("contact_id") and not values.get("account_id"):
        asked = int(values["contact_id"])
        account_id = records.get(session, actor, "contact", merges.into(session, "contact", asked) or asked).account_id
        known = lists.titles(session, actor, "account", [account_id]) if actor.can("account", Action.READ) else {}
        values = {**values, **({"account_id": account_id} if account_id in known else {})}
    if not values.get("channel") and actor.via in _DOORS:
        values = {**values, "channel": _DOORS[actor.via].value}
    fixed = {"number": records.next_number(session, Ticket, "T"), "opened_at": clock.utcnow(), **(also or {})}
    ticket: Ticket = records.create(
        session, actor, "ticket", values, prepare=_prepare, submit_key=submit_key, fixed=fixed, filled=filled
    )
    if message.strip() and not session.exec(select(TicketMessage.id).where(TicketMessage.ticket_id == ticket.id)).first():
        name = author_name or _customer_name(session, actor, ticket)
        _add_message(session, ticket, MessageDirection.INBOUND, message, author_name=name, mailed=mailed)
    slas.sync(session, ticket)
    incoming.route_later(session, "ticket", ticket)
    return ticket


def update(
    session: Session, actor: Actor, ticket_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change facts of a ticket. A change of status through the form follows the same rules as the buttons."""
    status = parse_one("ticket", "status", changes.get("status"))
    if status is not None:
        current = get(session, actor, ticket_id, action=Action.EDIT)
        if current.status in DONE and status not in DONE:
            ticket_rules.check_can_reopen(current, clock.utcnow())
    saved = records.update(session, actor, "ticket", ticket_id, changes, base_version=base_version, prepare=_prepare)
    slas.sync(session, saved.record)
    return saved


def restore(session: Session, actor: Actor, ticket_id: int) -> Ticket:
    """Take a ticket back from the bin; what was promised runs on as its facts say."""
    ticket: Ticket = records.restore(session, actor, "ticket", ticket_id)
    slas.sync(session, ticket)
    return ticket


def messages(session: Session, actor: Actor, ticket_id: int) -> list[TicketMessage]:
    """The conversation, oldest first."""
    get(session, actor, ticket_id)
    query = select(TicketMessage).where(TicketMessage.ticket_id == ticket_id).order_by(col(TicketMessage.at), col(TicketMessage.id))
    return list(session.exec(query))


def reply(
    session: Session,
    actor: Actor,
    ticket_id: int,
    body: str,
    *,
    internal: bool = False,
    then: TicketKind | None = None,
    submit_key: str | None = None,
    read_until: int | None = None,
    mailed: Mailed | None = None,
    articles: Sequence[int] = (),
) -> TicketMessage:
    """Answer the customer, or note something for colleagues. ``then`` is the status afterwards (an answer waits for the customer by default).
    ``articles``: help articles of which something was put into the answer; those that it still holds are noted. ``read_until``: the last message that
    the writer of an answer has read, 0 for none; Conflict when something else was said since (its ``details["messages"]``: how many).

    The first answer counts as the first response. The same ``submit_key`` again answers once.
    """
    ticket = get(session, actor, ticket_id, action=Action.EDIT)
    seen = session.get(SubmitKey, submit_key) if submit_key else None
    if seen is not None:
        return session.get_one(TicketMessage, seen.result["id"])
    if not internal:
        ticket_rules.check_open(ticket)
    if not body.strip():
        raise Invalid(fields={"body": "Write an answer first."})
    if not internal and read_until is not None:
        _refuse_unread(session, actor, ticket, read_until)
    direction = MessageDirection.INTERNAL if internal else MessageDirection.OUTBOUND
    message = _add_message(session, ticket, direction, body, author_id=actor.user_id, mailed=mailed)
    fixed: dict[str, Any] = {}
    if not internal:
        article_uses.note(session, actor, ticket, message, articles)
        fixed["first_response_at"] = ticket.first_response_at or message.at
        if ticket.owner_id is None:
            fixed["owner_id"] = actor.user_id
        then = then or TicketKind.WAITING_CUSTOMER
    if internal:
        mentions.tell(session, actor, body, key="ticket", record_id=ticket.id, source=f"message:{message.id}")
    _move(session, actor, ticket, then, fixed, "ticket.noted" if internal else "ticket.replied", base_version=None)
    if submit_key:
        session.add(SubmitKey(key=submit_key, at=clock.utcnow(), result={"id": message.id}))
        session.flush()
    return message


def _refuse_unread(session: Session, actor: Actor, ticket: Ticket, read_until: int) -> None:
    """Raise Conflict when somebody else said something that the writer of an answer has not read: two answers to one question confuse the customer."""
    others = func.coalesce(col(TicketMessage.author_id), 0) != actor.user_id
    query = select(TicketMessage.direction, TicketMessage.author_id, TicketMessage.mail).where(
        TicketMessage.ticket_id == ticket.id, col(TicketMessage.id) > read_until, others
    )
    found = session.exec(query.order_by(col(TicketMessage.id)))
    missed = [(MessageDirection(direction), author_id) for direction, author_id, mail in found if not (mail or {}).get("auto")]
    if not missed:
        return
    last, author_id = next((one for one in reversed(missed) if one[0] is MessageDirection.OUTBOUND), missed[-1])
    who = lists.titles(session, actor, "user", [author_id]).get(author_id or 0, "Somebody")
    said = {
        MessageDirection.INBOUND: "The customer wrote again",
        MessageDirection.OUTBOUND: f"{who} answered",
        MessageDirection.INTERNAL: f"{who} left a note",
    }[last]
    raise Conflict(f"{said} while you were writing. Read it first: what you wrote is still here.", messages=len(missed))


def receive(
    session: Session,
    actor: Actor,
    ticket_id: int,
    body: str,
    *,
    author_name: str = "",
    submit_key: str | None = None,
    mailed: Mailed | None = None,
) -> TicketMessage:
    """Enter what the customer answered (by phone, in person, by mail); a waiting or solved ticket is open again. The same ``submit_key`` enters it once."""
    ticket = get(session, actor, ticket_id, action=Action.EDIT)
    seen = session.get(SubmitKey, submit_key) if submit_key else None
    if seen is not None:
        return session.get_one(TicketMessage, seen.result["id"])
    if not body.strip():
        raise Invalid(fields={"body": "Write down what the customer said."})
    if ticket.status in DONE:
        ticket_rules.check_can_reopen(ticket, clock.utcnow())
    name = author_name or _customer_name(session, actor, ticket)
    message = _add_message(session, ticket, MessageDirection.INBOUND, body, author_name=name, mailed=mailed)
    then = TicketKind.OPEN if ticket.status in (*WAITING, *DONE) else None
    _move(session, actor, ticket, then, {}, "ticket.message_received", base_version=None)
    if submit_key:
        session.add(SubmitKey(key=submit_key, at=clock.utcnow(), result={"id": message.id}))
        session.flush()
    return message


def overhear(
    session: Session, actor: Actor, ticket_id: int, body: str, *, author_name: str, mailed: Mailed | None = None
) -> TicketMessage:
    """Keep what a machine answered (out of office, a report about the delivery) beside the conversation: nothing re-opens, no clock runs."""
    ticket = get(session, actor, ticket_id, action=Action.EDIT)
    message = _add_message(session, ticket, MessageDirection.INTERNAL, body, author_name=author_name, mailed=mailed)
    events.record(session, actor, "ticket.auto_answered", ticket, data={"from": author_name})
    return message


def _customer_name(session: Session, actor: Actor, ticket: Ticket) -> str:
    if not actor.can("contact", Action.READ):
        return "Customer"
    return lists.titles(session, actor, "contact", [ticket.contact_id]).get(ticket.contact_id or 0, "Customer")[:200]


def solve(session: Session, actor: Actor, ticket_id: int, *, base_version: int | None = None) -> Ticket:
    """Mark as solved."""
    _refuse_status(session, actor)
    ticket = get(session, actor, ticket_id, action=Action.EDIT)
    ticket_rules.check_open(ticket)
    return _move(session, actor, ticket, TicketKind.SOLVED, {}, "ticket.solved", base_version=base_version)


def wait(session: Session, actor: Actor, ticket_id: int, status: TicketKind, *, base_version: int | None = None) -> Ticket:
    """Say for whom the ticket waits."""
    _refuse_status(session, actor)
    ticket = get(session, actor, ticket_id, action=Action.EDIT)
    ticket_rules.check_open(ticket)
    if status not in WAITING:
        raise Invalid(fields={"status": "Choose for whom the ticket waits."})
    return _move(session, actor, ticket, status, {}, None, base_version=base_version)


def reopen(session: Session, actor: Actor, ticket_id: int, *, base_version: int | None = None) -> Ticket:
    """Open a done ticket again under its number."""
    _refuse_status(session, actor)
    ticket = get(session, actor, ticket_id, action=Action.EDIT)
    ticket_rules.check_can_reopen(ticket, clock.utcnow())
    return _move(session, actor, ticket, TicketKind.OPEN, {}, "ticket.reopened", base_version=base_version)


def move(session: Session, actor: Actor, ticket_id: int, status: TicketKind, *, base_version: int | None = None) -> Ticket:
    """Put a ticket into another status, by the rules of the buttons: solve, wait, re-open, else as the form does it."""
    ticket = get(session, actor, ticket_id, action=Action.EDIT)
    if status is ticket.status:
        return ticket
    if ticket.status in DONE and status not in DONE:
        ticket_rules.check_can_reopen(ticket, clock.utcnow())
        return _move(session, actor, ticket, status, {}, "ticket.reopened", base_version=base_version)
    if status is TicketKind.SOLVED and ticket.status not in DONE:
        return solve(session, actor, ticket_id, base_version=base_version)
    return _move(session, actor, ticket, status, {}, None, base_version=base_version)


def assign(session: Session, actor: Actor, ticket_id: int, owner_id: int | None, *, base_version: int | None = None) -> Ticket:
    """Give a ticket to somebody; a new one counts as open from then on."""
    ticket = get(session, actor, ticket_id, action=Action.EDIT)
    changes: dict[str, Any] = {"owner_id": owner_id}
    if ticket.status is TicketKind.NEW and owner_id is not None:
        changes["status"] = TicketKind.OPEN.value
    return update(session, actor, ticket_id, changes, base_version=base_version).record


def _refuse_status(session: Session, actor: Actor) -> None:
    """Buttons that say a new state need the right to write it; a state that follows from an answer does not."""
    records.refuse_locked(session, actor, registry(session, "ticket"), ["status"])


def _move(
    session: Session,
    actor: Actor,
    ticket: Ticket,
    status: TicketKind | None,
    fixed: Mapping[str, Any],
    event_type: str | None,
    *,
    base_version: int | None,
) -> Ticket:
    before = ticket.status

    def prepare(_session: Session, _actor: Actor, row: Ticket, _old: Mapping[str, Any]) -> None:
        if status is not None and status is not before:
            row.status = status
            _enter(row, status, before)

    ticket_rules.refuse_stale(ticket, base_version)
    saved = records.update(session, actor, "ticket", ticket.id, {}, prepare=prepare, event_type=event_type, fixed=fixed)
    if not saved.changed and event_type is not None:
        events.record(session, actor, event_type, saved.record)
    slas.sync(session, saved.record)
    return saved.record


def _add_message(
    session: Session,
    ticket: Ticket,
    direction: MessageDirection,
    body: str,
    *,
    author_id: int | None = None,
    author_name: str | None = None,
    mailed: Mailed | None = None,
) -> TicketMessage:
    if len(body) > MAX_BODY:
        raise Invalid(fields={"body": f"A message can have at most {written(MAX_BODY)} characters."})
    message = TicketMessage(
        ticket_id=ticket.id, direction=direction, body=clean(body), at=clock.utcnow(), author_id=author_id, author_name=author_name
    )
    if mailed is not None:
        message.message_id, message.mail = mailed.message_id[:300] or None, dict(mailed.mail)
        message.quoted, message.html = clean(mailed.quoted) or None, mailed.html or None
    session.add(message)
    session.flush()
    return message
