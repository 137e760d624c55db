"""What was exchanged with somebody and stands on the timeline of a record: noted with its channel, and open until somebody answered or put it aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlmodel import Session

from crm_core import db, persons, records
from crm_core.access import Actor, require
from crm_core.errors import CrmError, NotFound
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.models import Activity, Interaction
from crm_core.vocabulary import Action, InboundChannel, MessageDirection

TALKS: Any = Interaction.__table__  # type: ignore[attr-defined]
_ACTIVITIES: Any = Activity.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Waiting:
    """Something that came in and that nobody answered yet. ``by_mail``: it can be answered by a mail."""

    id: int
    activity_id: int
    at: datetime
    title: str
    text: str
    channel: InboundChannel
    sender: str
    by_mail: bool


def note(
    session: Session,
    activity: Activity,
    *,
    entity_key: str,
    record_id: int,
    direction: MessageDirection,
    channel: InboundChannel = InboundChannel.EMAIL,
    message_id: str = "",
    sender: str = "",
    people: Sequence[str] = (),
    user_id: int | None = None,
    thread_id: int | None = None,
    settled: bool = False,
) -> Interaction:
    """Write down that an activity was exchanged with somebody; once per activity. Part of what logs it, which asks."""
    known = session.execute(select(Interaction).where(TALKS.c.activity_id == activity.id)).scalar()
    if known is not None:
        return known
    row = Interaction(
        activity_id=activity.id, channel=channel, direction=direction, entity=entity_key, record_id=record_id, thread_id=thread_id,
        message_id=message_id[:300] or None, sender=sender[:254], people=list(people)[:50], user_id=user_id, settled_at=utcnow() if settled else None,
    )  # fmt: skip
    session.add(row)
    session.flush()
    if row.thread_id is None:
        row.thread_id = row.id
        session.add(row)
        session.flush()
    return row


def answered(session: Session, actor: Actor, entity_key: str, record_id: int) -> None:
    """Nobody waits for an answer on this record any more. Part of writing or talking to its person, which asks."""
    mine = (TALKS.c.entity == entity_key, TALKS.c.record_id == record_id, TALKS.c.direction == MessageDirection.INBOUND)
    _settle(session, actor, *mine)


def put_aside(session: Session, actor: Actor, interaction_id: int) -> None:
    """Nothing needs to be answered; for whoever sees the record and may answer. Said twice is said once."""
    row = _get(session, actor, interaction_id)
    _settle(session, actor, TALKS.c.id == row.id)


def take_up(session: Session, actor: Actor, interaction_id: int) -> None:
    """It waits for an answer again: the way back from ``put_aside``."""
    row = _get(session, actor, interaction_id)
    session.execute(update(TALKS).where(TALKS.c.id == row.id).values(settled_at=None, settled_by_id=None, updated_at=utcnow()))
    db.bump(session, TALKS.name)
    session.expire_all()


def hand_on(session: Session, lead_id: int, entity_key: str, record_id: int) -> None:
    """What was exchanged with a lead goes on where somebody looks: on the contact that it became, or on the lead again. Part of converting a lead and of
    taking that back, which ask."""
    theirs = select(_ACTIVITIES.c.id).where(_ACTIVITIES.c.lead_id == lead_id)
    moved = {"entity": entity_key, "record_id": record_id, "updated_at": utcnow()}
    change = update(Interaction).where(TALKS.c.activity_id.in_(theirs)).values(**moved)
    session.execute(change, execution_options={"synchronize_session": "fetch"})
    db.bump(session, TALKS.name)


def _settle(session: Session, actor: Actor, *clauses: Any) -> None:
    done = {"settled_at": utcnow(), "settled_by_id": actor.user_id, "updated_at": utcnow()}
    found = session.execute(update(TALKS).where(*clauses, TALKS.c.settled_at.is_(None)).values(**done))
    if found.rowcount:  # type: ignore[attr-defined]
        db.bump(session, TALKS.name)


def _get(session: Session, actor: Actor, interaction_id: int) -> Interaction:
    require(actor, "activity", Action.CREATE)
    row = session.get(Interaction, interaction_id) if 0 < interaction_id < 2**31 else None
    if row is None or records.found(session, actor, row.entity, row.record_id) is None:
        raise NotFound("This message does not exist any more, or is not shared with you.")
    return row


def open_of(session: Session, actor: Actor, entity_key: str, record_id: int, *, limit: int = 3) -> list[Waiting]:
    """What came in on a record and waits for an answer, the oldest first; nothing where the record is out of sight."""
    try:
        records.get(session, actor, entity_key, record_id)
    except CrmError:
        return []
    names = (
        TALKS.c.id,
        TALKS.c.activity_id,
        TALKS.c.channel,
        TALKS.c.sender,
        _ACTIVITIES.c.at,
        _ACTIVITIES.c.subject,
        _ACTIVITIES.c.body,
    )
    query = (
        select(*names)
        .join(_ACTIVITIES, _ACTIVITIES.c.id == TALKS.c.activity_id)
        .where(
            TALKS.c.entity == entity_key,
            TALKS.c.record_id == record_id,
            TALKS.c.direction == MessageDirection.INBOUND,
            TALKS.c.settled_at.is_(None),
            _ACTIVITIES.c.deleted_at.is_(None),
        )
        .order_by(TALKS.c.id)
        .limit(limit)
    )
    hidden = actor.masked("contact", "email") or actor.masked(entity_key, "email")
    found = session.execute(query).all()
    subjects = persons.subjects(session, actor, "activity", {row.activity_id: row.subject for row in found})
    return [
        Waiting(
            row.id, row.activity_id, row.at, subjects[row.activity_id],
            clip(persons.hidden(actor, "activity", "body", row.body or ""), 300), row.channel, "" if hidden else row.sender,
            row.channel is InboundChannel.EMAIL and bool(row.sender),
        )
        for row in found
    ]  # fmt: skip
