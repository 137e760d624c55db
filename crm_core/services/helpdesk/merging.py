"""Two tickets about the same thing become one: its messages, files, tasks and activities move; taken apart again as long as nobody minds."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select as pick
from sqlalchemy import update
from sqlmodel import Session, col, select

from crm_core import db, events, lists, persons, records
from crm_core.access import Actor, require
from crm_core.errors import Conflict, CrmError, Invalid, NotFound
from crm_core.fields import to_json
from crm_core.kit.clock import utcnow
from crm_core.models import Activity, Attachment, InboundMail, Task, Ticket, TicketMerge, TicketMessage
from crm_core.services.collaboration import following
from crm_core.services.helpdesk import article_uses, slas, ticket_rules, tickets
from crm_core.services.helpdesk.ticket_rules import DONE
from crm_core.vocabulary import Action, TicketKind

_TIMES = ("solved_at", "closed_at", "first_solved_at")
_MOVED: dict[str, Any] = {"messages": TicketMessage, "activities": Activity, "tasks": Task, "mail": InboundMail}


@dataclass(frozen=True)
class Ahead:
    """The ticket that would stay. ``customer``: who asked there; ``another``: that it is somebody else's; ``problem``: why it can't be, or empty."""

    number: str
    subject: str
    status: TicketKind
    customer: str
    another: bool
    problem: str


def ahead(session: Session, actor: Actor, source_id: int, target_id: int) -> Ahead:
    """What a merge would mean, before it is done."""
    source, target = (tickets.get(session, actor, one, action=Action.EDIT) for one in (source_id, target_id))
    try:
        _check(actor, source, target)
        problem = ""
    except CrmError as error:
        problem = str(error)
    key, customer_id = ("contact", target.contact_id) if target.contact_id else ("account", target.account_id)
    subject = lists.titles(session, actor, "ticket", [target.id]).get(target.id, "")
    customer = lists.titles(session, actor, key, [customer_id]).get(customer_id or 0, "")
    return Ahead(
        persons.hidden(actor, "ticket", "number", target.number),
        subject,
        target.status,
        customer,
        _another_customer(source, target),
        problem,
    )


def merge(
    session: Session,
    actor: Actor,
    source_id: int,
    target_id: int,
    *,
    base_version: int | None = None,
    another_customer: bool = False,
) -> Ticket:
    """Move everything of a ticket to another one and close it; mail to the old one finds the new one. Events: ticket.merged, ticket.merged_away.

    Raises Invalid when the other one is of another customer, who would be answered what this one wrote, unless ``another_customer`` says so;
    Conflict when it is done while this one still waits.
    """
    source = tickets.get(session, actor, source_id, action=Action.EDIT)
    target = tickets.get(session, actor, target_id, action=Action.EDIT)
    _check(actor, source, target)
    ticket_rules.refuse_stale(source, base_version)
    if _another_customer(source, target) and not another_customer:
        raise Invalid(
            fields={"target": f"{_called(actor, target)} is another customer’s. Tick that both are about the same thing."}
        )
    before: dict[str, Any] = {
        "status": source.status.value,
        "contact_id": target.contact_id,
        "account_id": target.account_id,
        **{key: to_json(getattr(source, key)) for key in _TIMES},
    }
    moved: dict[str, Any] = {name: _move(session, model, source_id, target_id) for name, model in _MOVED.items()}
    moved["files"] = _move_files(session, source_id, target_id)
    moved["follows"] = following.hand_on(session, "ticket", source_id, target_id)
    moved["uses"] = article_uses.moved(session, moved["messages"], target)
    row = TicketMerge(source_id=source_id, target_id=target_id, moved={**moved, "before": before}, by_id=actor.user_id)
    session.add(row)
    closed = {
        "status": TicketKind.CLOSED,
        "merged_into_id": target_id,
        "closed_at": utcnow(),
        "solved_at": source.solved_at or utcnow(),
    }
    events.record(session, actor, "ticket.merged_away", source, data={"number": target.number})
    records.update(session, actor, "ticket", source_id, {}, fixed=closed)
    gained = {
        key: getattr(source, key)
        for key in ("contact_id", "account_id")
        if getattr(target, key) is None and getattr(source, key) is not None
    }
    if gained:
        records.update(session, actor, "ticket", target_id, {}, fixed=gained)
    events.record(session, actor, "ticket.merged", target, data={"number": source.number})
    for ticket in (source, target):
        slas.sync(session, ticket)
    return target


def _called(actor: Actor, ticket: Ticket) -> str:
    """The other ticket at the beginning of a sentence."""
    return "The other ticket" if actor.masked("ticket", "number") else ticket.number


def _check(actor: Actor, source: Ticket, target: Ticket) -> None:
    if source.id == target.id:
        raise Invalid(fields={"target": "Choose another ticket."})
    if source.merged_into_id is not None:
        raise Conflict("This ticket was merged already.")
    if target.merged_into_id is not None:
        raise Conflict(f"{_called(actor, target)} was merged into another ticket itself. Choose that one.")
    if target.status in DONE and source.status not in DONE:
        state = target.status.label.lower()
        raise Conflict(
            f"{_called(actor, target)} is {state}, so that nobody would see what this customer waits for. Re-open it first, or merge it into this one."
        )


def _another_customer(source: Ticket, target: Ticket) -> bool:
    """Two people of one company are one customer; a ticket without anybody is nobody else's."""
    if source.account_id is not None and target.account_id is not None:
        return source.account_id != target.account_id
    return source.contact_id is not None and target.contact_id is not None and source.contact_id != target.contact_id


def _move(session: Session, model: Any, source_id: int, target_id: int, only: list[int] | None = None) -> list[int]:
    table = model.__table__
    clause = table.c.ticket_id == source_id
    if only is not None:
        clause = clause & table.c.id.in_(only)
    ids = list(session.execute(pick(table.c.id).where(clause)).scalars())
    if ids:
        session.execute(
            update(model).where(table.c.id.in_(ids)).values(ticket_id=target_id).execution_options(synchronize_session="fetch")
        )
        db.bump(session, table.name)
    return ids


def _move_files(session: Session, source_id: int, target_id: int, only: list[int] | None = None) -> list[int]:
    rows = list(session.exec(select(Attachment).where(Attachment.entity == "ticket", Attachment.record_id == source_id)))
    chosen = [row for row in rows if only is None or row.id in only]
    for row in chosen:
        row.record_id = target_id
        session.add(row)
    session.flush()
    return [row.id for row in chosen]


def of(session: Session, actor: Actor, ticket_id: int) -> list[tuple[int, str, int]]:
    """The merges that can be taken apart: (id, number of the ticket that came in, its id), the newest first."""
    tickets.get(session, actor, ticket_id)
    query = (
        select(TicketMerge.id, Ticket.number, Ticket.id)
        .join(Ticket, col(Ticket.id) == TicketMerge.source_id)
        .where(TicketMerge.target_id == ticket_id, col(TicketMerge.undone_at).is_(None))
    )
    rows = session.exec(query.order_by(col(TicketMerge.id).desc()))
    return [(merge_id, persons.hidden(actor, "ticket", "number", number), source_id) for merge_id, number, source_id in rows]


def undo(session: Session, actor: Actor, merge_id: int) -> Ticket:
    """Take a merge apart: what came along goes back, what was said or changed since stays. Events: ticket.merge_undone.

    Raises Conflict when it was done already, or when the ticket that stayed was merged itself: what came along is further on then.
    """
    from datetime import datetime

    require(actor, "ticket", Action.EDIT)
    row = session.get(TicketMerge, merge_id) if 0 < merge_id < 2**31 else None
    if row is None:
        raise NotFound("This ticket does not exist, or is not shared with you.")  # what is said of a merge that is out of sight
    source = tickets.get(session, actor, row.source_id, action=Action.EDIT)
    target = tickets.get(session, actor, row.target_id, action=Action.EDIT)
    if row.undone_at is not None:
        raise Conflict("This merge was taken apart already.")
    if target.merged_into_id is not None:
        raise Conflict(f"{_called(actor, target)} was merged into another ticket since. Take that apart first.")
    for name, model in _MOVED.items():
        _move(session, model, target.id, source.id, [int(one) for one in row.moved.get(name, ())])
    _move_files(session, target.id, source.id, [int(one) for one in row.moved.get("files", ())])
    following.take_off(session, "ticket", target.id, [int(one) for one in row.moved.get("follows", ())])
    article_uses.moved_back(session, row.moved.get("uses") or {})
    before = row.moved["before"]
    times = {key: datetime.fromisoformat(before[key]) if before[key] else None for key in _TIMES if key in before}
    records.update(
        session, actor, "ticket", source.id, {}, fixed={"status": TicketKind(before["status"]), "merged_into_id": None, **times}
    )
    gained = [key for key in ("contact_id", "account_id") if before[key] is None and getattr(target, key) == getattr(source, key)]
    records.update(session, actor, "ticket", target.id, {}, fixed=dict.fromkeys(gained))
    row.undone_at = utcnow()
    session.add(row)
    session.flush()
    events.record(session, actor, "ticket.merge_undone", target, data={"number": source.number})
    events.record(session, actor, "ticket.merge_undone", source, data={"number": target.number})
    for ticket in (source, target):
        slas.sync(session, ticket)
    return source
