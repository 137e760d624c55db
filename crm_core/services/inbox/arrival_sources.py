"""Where things lie that came in and wait: each source says which of its rows wait, since when, by which channel and for whom, as one SELECT.

Nothing is copied: the inbox is the union of these. A source that the reader has no right to is left out.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, and_, case, false, func, literal, or_, select, type_coerce
from sqlmodel import Session

from crm_core import persons
from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.kit.clock import utcnow
from crm_core.models import (
    Activity,
    FormSubmission,
    InboundMail,
    InboxDone,
    Interaction,
    LeadStatus,
    SurveyAnswer,
    SurveyInvitation,
    Task,
    TicketMessage,
    VoiceCall,
)
from crm_core.services.inbox.correspondence import WRITABLE
from crm_core.vocabulary import (
    Action,
    CallEnd,
    InboundChannel,
    InboundState,
    LeadKind,
    MessageDirection,
    SubmissionState,
    TaskStatus,
    TicketKind,
)

TICKET, MAIL, LEAD, CALL, COMMENT, TALK = "ticket", "mail", "lead", "call", "comment", "talk"
DAYS = 30
"""Calls and comments that nobody took up fall out of the inbox after so many days; they stay where they are."""

WAITING = (TicketKind.NEW, TicketKind.OPEN)
MISSED = frozenset(one for one in CallEnd if one.name in ("ABANDONED", "MISSED"))
_SAID: Any = TicketMessage.__table__  # type: ignore[attr-defined]
_MAIL: Any = InboundMail.__table__  # type: ignore[attr-defined]
_TALKS: Any = Interaction.__table__  # type: ignore[attr-defined]
_DONE: Any = InboxDone.__table__  # type: ignore[attr-defined]
_CALLS: Any = VoiceCall.__table__  # type: ignore[attr-defined]
_TASKS: Any = Task.__table__  # type: ignore[attr-defined]
_ANSWERS: Any = SurveyAnswer.__table__  # type: ignore[attr-defined]
_ASKED: Any = SurveyInvitation.__table__  # type: ignore[attr-defined]
_SENT: Any = FormSubmission.__table__  # type: ignore[attr-defined]
_ACTIVITIES: Any = Activity.__table__  # type: ignore[attr-defined]
_STATUS: Any = LeadStatus.__table__  # type: ignore[attr-defined]


def of(session: Session, actor: Actor, words: str = "", *, timed: bool = True) -> list[Any]:
    """The SELECTs (kind, id, at, channel, owner_id) of what waits within the actor's reach; ``words``: only what has them in its title. To be counted
    it need not be known since when a ticket waits (``timed``): that is read off its conversation."""
    parts = [
        _tickets(session, actor, words, timed),
        _tray(actor, words),
        _leads(actor, words),
        _calls(actor, words),
        _comments(actor, words),
    ]
    return [part for part in (*parts, *_talks(session, actor, words)) if part is not None]


def _row(kind: str, number: Any, at: Any, channel: Any, owner: Any, *clauses: Any) -> Any:
    named = literal(channel.value, String) if isinstance(channel, InboundChannel) else type_coerce(channel, String)
    return select(
        literal(kind, String).label("kind"), number.label("id"), at.label("at"), named.label("channel"), owner.label("owner_id")
    ).where(*clauses)


def _with(words: str, *columns: Any) -> ColumnElement[bool]:
    return or_(*(column.icontains(words, autoescape=True) for column in columns)) if words else literal(True)


def _said(session: Session, actor: Actor, key: str, words: str, *more: str) -> list[ColumnElement[bool]]:
    """Tickets or activities that have the words in their subject as the actor reads it, or in another column."""
    if not words:
        return []
    table, columns = entity(key).table, ("subject", *more)
    fits = _with(words, *(table.c[name] for name in columns))
    wrong = persons.misread(
        session, actor, key, fits, columns, lambda row: any(words.lower() in (row[name] or "").lower() for name in columns)
    )
    return [fits, table.c.id.not_in(persons.numbers(wrong))] if wrong else [fits]


def _tickets(session: Session, actor: Actor, words: str, timed: bool) -> Any:
    if not actor.can("ticket", Action.EDIT):
        return None
    table = entity("ticket").table
    heard = (
        select(func.max(_SAID.c.at))
        .where(_SAID.c.ticket_id == table.c.id, _SAID.c.direction == MessageDirection.INBOUND)
        .correlate(table)
        .scalar_subquery()
    )
    channel = func.coalesce(type_coerce(table.c.channel, String), literal(InboundChannel.PERSON.value, String))
    mine = (visible(actor, "ticket", table, Action.EDIT), table.c.status.in_(WAITING), table.c.merged_into_id.is_(None))
    at = func.coalesce(heard, table.c.opened_at) if timed else table.c.opened_at
    return _row(TICKET, table.c.id, at, channel, table.c.owner_id, *mine, *_said(session, actor, "ticket", words, "number"))


def _tray(actor: Actor, words: str) -> Any:
    if not actor.can("mailbox", Action.READ):
        return None
    columns = (_MAIL.c.subject,) if actor.masked("contact", "email") else (_MAIL.c.subject, _MAIL.c.sender_name, _MAIL.c.sender_key)
    nobody = literal(None, _MAIL.c.ticket_id.type)
    return _row(
        MAIL,
        _MAIL.c.id,
        _MAIL.c.created_at,
        InboundChannel.EMAIL,
        nobody,
        _MAIL.c.state == InboundState.TRAY,
        _with(words, *columns),
    )


def _leads(actor: Actor, words: str) -> Any:
    """Leads that came through a form and that nobody answered yet."""
    if not actor.can("lead", Action.EDIT):
        return None
    table = entity("lead").table
    sent = select(_SENT.c.lead_id).where(_SENT.c.state == SubmissionState.LEAD, _SENT.c.lead_id.is_not(None))
    open_ones = select(_STATUS.c.id).where(_STATUS.c.kind.in_((LeadKind.OPEN, LeadKind.WORKING)))
    waits = (
        table.c.first_response_at.is_(None),
        table.c.converted_at.is_(None),
        table.c.status_id.in_(open_ones),
        table.c.id.in_(sent),
    )
    named = [table.c[key] for key in ("name", "company") if not actor.masked("lead", key)]
    fits = _with(words, *named) if named else false() if words else literal(True)
    return _row(
        LEAD,
        table.c.id,
        table.c.created_at,
        InboundChannel.FORM,
        table.c.owner_id,
        visible(actor, "lead", table, Action.EDIT),
        *waits,
        fits,
    )


def _undone(kind: str, number: Any) -> ColumnElement[bool]:
    return ~select(_DONE.c.id).where(_DONE.c.kind == kind, _DONE.c.record_id == number).exists()


def _calls(actor: Actor, words: str) -> Any:
    """Callers who want a call back that is not done, and those who gave up."""
    if not actor.can("telephony", Action.READ):
        return None
    pending = (
        select(_TASKS.c.id)
        .where(_TASKS.c.id == _CALLS.c.task_id, _TASKS.c.status == TaskStatus.OPEN, _TASKS.c.deleted_at.is_(None))
        .exists()
    )
    waits = or_(and_(_CALLS.c.outcome == CallEnd.CALLBACK, pending), _CALLS.c.outcome.in_(MISSED))
    lately = _CALLS.c.started_at >= utcnow() - timedelta(days=DAYS)
    fits = _with(words, _CALLS.c.caller_key) if not actor.masked("contact", "phone") else false() if words else literal(True)
    return _row(
        CALL,
        _CALLS.c.id,
        _CALLS.c.started_at,
        InboundChannel.PHONE,
        _CALLS.c.owner_id,
        lately,
        waits,
        _undone(CALL, _CALLS.c.id),
        fits,
    )


def _comments(actor: Actor, words: str) -> Any:
    """What people wrote into surveys, about records that the reader may see."""
    if not actor.can("survey", Action.READ):
        return None
    seen = [
        and_(
            _ASKED.c.entity == key,
            select(table.c.id).where(table.c.id == _ASKED.c.record_id, visible(actor, key, table)).correlate(_ASKED).exists(),
        )
        for key in ("contact", "ticket", "deal", "order")
        if actor.can(key, Action.READ)
        for table in (entity(key).table,)
    ]
    asked = select(_ASKED.c.owner_id).where(_ASKED.c.id == _ANSWERS.c.invitation_id).correlate(_ANSWERS).scalar_subquery()
    within = select(_ASKED.c.id).where(_ASKED.c.id == _ANSWERS.c.invitation_id, or_(false(), *seen)).correlate(_ANSWERS).exists()
    lately = (_ANSWERS.c.at >= utcnow() - timedelta(days=DAYS), _ANSWERS.c.comment != "")
    return _row(
        COMMENT, _ANSWERS.c.id, _ANSWERS.c.at, InboundChannel.SURVEY, asked, *lately, _undone(COMMENT, _ANSWERS.c.id), within, _with(words, _ANSWERS.c.comment)
    )  # fmt: skip


def _talks(session: Session, actor: Actor, words: str) -> Sequence[Any]:
    """What stands on a record and waits for an answer: answers to our mail, mail onto customers, what was logged by hand."""
    found, said = [], _said(session, actor, "activity", words)
    for key in WRITABLE:
        if not actor.can(key, Action.READ) or not actor.can("activity", Action.CREATE):
            continue
        table = entity(key).table
        owner = case((table.c.owner_id.is_not(None), table.c.owner_id), else_=_TALKS.c.user_id)
        part = _row(
            TALK, _TALKS.c.id, _ACTIVITIES.c.at, _TALKS.c.channel, owner,
            _TALKS.c.direction == MessageDirection.INBOUND, _TALKS.c.settled_at.is_(None), _TALKS.c.entity == key, _ACTIVITIES.c.id == _TALKS.c.activity_id,
            _ACTIVITIES.c.deleted_at.is_(None), table.c.id == _TALKS.c.record_id, visible(actor, key, table), *said,
        )  # fmt: skip
        found.append(part)
    return found
