"""Log what was done: calls, e-mails, meetings, notes; with the follow-up task in the same step."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from crm_core import events, records
from crm_core.access import Actor
from crm_core.errors import Invalid
from crm_core.kit import clock
from crm_core.kit.text import clip
from crm_core.models import Activity, Lead
from crm_core.services.collaboration import interactions, mentions, tasks
from crm_core.services.collaboration.timeline import LINKS
from crm_core.vocabulary import Action, ActivityKind, CallOutcome

IN_VAIN = {CallOutcome.NO_ANSWER.value, CallOutcome.VOICEMAIL.value, CallOutcome.WRONG_NUMBER.value}


def log(
    session: Session,
    actor: Actor,
    entity_key: str,
    record_id: int,
    *,
    kind: ActivityKind,
    text: str,
    subject: str = "",
    at: datetime | None = None,
    minutes: int | None = None,
    outcome: str | None = None,
    follow_up: str = "",
    follow_up_on: date | None = None,
    submit_key: str | None = None,
    also: Mapping[str, int] | None = None,
    incoming: bool = False,
) -> Activity:
    """Log an activity on a record the actor may see, and its follow-up task when there is one. A call or meeting counts as the lead's first response,
    and as the answer to what came in before, unless it came in itself (``incoming``). ``also``: other records that it hangs on.

    Events: lead.price_asked or contact.price_asked when that was the outcome.
    """
    record = records.get(session, actor, entity_key, record_id)
    if entity_key not in LINKS:
        raise Invalid("Activities can't be logged here.")
    if not text.strip() and not subject.strip():
        raise Invalid(fields={"text": "Write a word about what happened."})
    if follow_up_on is not None and not follow_up.strip():
        raise Invalid(fields={"follow_up": "Say what the follow-up is."})
    when = at or clock.utcnow()
    if when > clock.utcnow() and kind is not ActivityKind.MEETING:
        raise Invalid(fields={"at": "Only a meeting can lie in the future."})
    links = {**(also or {}), **links_of(entity_key, record)}
    first_line = text.strip().split("\n", 1)[0]
    values: dict[str, Any] = {
        "kind": kind,
        "subject": subject.strip() or clip(first_line, 120),
        "body": text.strip() if text.strip() != subject.strip() else None,
        "at": when,
        "minutes": minutes,
        "outcome": outcome or None,
        **links,
    }

    filled = {*links, "kind", *(["at"] if at is None else []), *([] if subject.strip() else ["subject"])}

    def heard(
        _session: Session, _actor: Actor, row: Activity, _old: Mapping[str, Any]
    ) -> None:  # once, however often Save was pressed
        if row.outcome is CallOutcome.PRICE:
            price_asked(session, actor, entity_key, record)

    activity = records.create(session, actor, "activity", values, submit_key=submit_key, prepare=heard, filled=filled)
    _touch(session, entity_key, record, kind, when, ours=not incoming)
    if not incoming and kind is not ActivityKind.NOTE and outcome not in IN_VAIN and actor.user_id is not None:
        interactions.answered(session, actor, entity_key, record.id)
    mentions.tell(session, actor, f"{subject} {text}", key=entity_key, record_id=record.id, source=f"activity:{activity.id}")
    if follow_up.strip():
        key = f"{submit_key}-f" if submit_key else None
        tasks.create(session, actor, {"subject": follow_up.strip(), "due_at": follow_up_on, **links}, submit_key=key)
    return activity


def price_asked(session: Session, actor: Actor, entity_key: str, record: Any) -> None:
    """Write down that the person whom a record is about asked for a price. Part of what has asked for permission."""
    key, person_id = (
        (entity_key, record.id) if entity_key in ("lead", "contact") else ("contact", getattr(record, "contact_id", None))
    )
    if person_id:
        events.record(session, actor, f"{key}.price_asked", entity=key, record_id=person_id)


def links_of(entity_key: str, record: Any) -> dict[str, int]:
    """The columns by which an activity or task hangs on a record and on what stands above it (a deal's account)."""
    links = {LINKS[entity_key]: record.id}
    for column in ("account_id", "contact_id"):
        above = getattr(record, column, None)
        if above is not None and column not in links and entity_key != "lead":
            links[column] = above
    return links


def _touch(session: Session, entity_key: str, record: Any, kind: ActivityKind, when: datetime, *, ours: bool) -> None:
    if entity_key == "deal" and (record.last_activity_at is None or when > record.last_activity_at):
        record.last_activity_at = when
        session.add(record)
    if ours and isinstance(record, Lead) and record.first_response_at is None and kind is not ActivityKind.NOTE:
        record.first_response_at = when
        session.add(record)


def remove(session: Session, actor: Actor, activity_id: int) -> Activity:
    """Move an activity to the bin."""
    return records.archive(session, actor, "activity", activity_id)


def update(
    session: Session, actor: Actor, activity_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change an activity."""
    records.get(session, actor, "activity", activity_id, action=Action.EDIT)
    return records.update(session, actor, "activity", activity_id, changes, base_version=base_version)
