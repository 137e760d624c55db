"""The same verbs for every entity: finds the area's own service, so that generic screens, imports and the API obey each one's rules."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from sqlmodel import Session, col, select

from crm_core import events, records
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.errors import Conflict
from crm_core.models import SubmitKey
from crm_core.services.collaboration import tasks
from crm_core.services.customers import accounts, contacts, created_anyway
from crm_core.services.helpdesk import articles, tickets
from crm_core.services.marketing import campaigns, segments
from crm_core.services.sales import deals, leads, orders, promotions

_OWN: dict[str, ModuleType] = {
    "account": accounts,
    "article": articles,
    "campaign": campaigns,
    "contact": contacts,
    "deal": deals,
    "lead": leads,
    "order": orders,
    "promotion": promotions,
    "task": tasks,
    "ticket": tickets,
}

_BIN: dict[str, ModuleType] = {**_OWN, "segment": segments}
"""Whose service may have its own word about going to the bin and coming back."""


def create(session: Session, actor: Actor, entity_key: str, values: Mapping[str, Any], *, submit_key: str | None = None) -> Any:
    """Create a record by its own service where it has one."""
    own = _OWN.get(entity_key)
    if own is not None:
        return own.create(session, actor, values, submit_key=submit_key)
    return records.create(session, actor, entity_key, values, submit_key=submit_key)


def create_anyway(
    session: Session,
    actor: Actor,
    entity_key: str,
    values: Mapping[str, Any],
    *,
    why: created_anyway.Why,
    submit_key: str | None = None,
) -> Any:
    """Create a lead, a contact or an account from a form that showed what is like it: with a reason, which the timeline and the audit trail keep,
    as long as there still is something like it."""
    found = created_anyway.matches(session, actor, entity_key, values)
    if not (found.shown or found.hidden):
        return create(session, actor, entity_key, values, submit_key=submit_key)
    settled = created_anyway.settle(why)
    again = (
        submit_key is not None and session.get(SubmitKey, submit_key) is not None
    )  # a second click: what is like it is the first one's record
    record = create(session, actor, entity_key, values, submit_key=submit_key)
    if not again:
        created_anyway.note(session, actor, record, found, settled)
    return record


def update(
    session: Session, actor: Actor, entity_key: str, record_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change a record by its own service where it has one."""
    own = _OWN.get(entity_key)
    if own is not None:
        return own.update(session, actor, record_id, changes, base_version=base_version)
    return records.update(session, actor, entity_key, record_id, changes, base_version=base_version)


def archive(session: Session, actor: Actor, entity_key: str, record_id: int, *, base_version: int | None = None) -> Any:
    """Move a record to the bin by its own service where that has something to say about it."""
    own = getattr(_BIN.get(entity_key), "archive", None)
    if own is not None:
        return own(session, actor, record_id, base_version=base_version)
    return records.archive(session, actor, entity_key, record_id, base_version=base_version)


def restore(session: Session, actor: Actor, entity_key: str, record_id: int) -> Any:
    """Take a record back from the bin, by its own service where that has something to do then. What was taken back together with the lead or
    the message that it was made from stays, as long as that can be used again."""
    record = records.get(session, actor, entity_key, record_id, with_deleted=True)
    if record.deleted_at is not None:
        _refuse_taken_back(session, entity_key, record_id)
    own = getattr(_BIN.get(entity_key), "restore", None)
    return own(session, actor, record_id) if own is not None else records.restore(session, actor, entity_key, record_id)


def _refuse_taken_back(session: Session, entity_key: str, record_id: int) -> None:
    log = select(events.Event).where(
        events.Event.entity == entity_key, events.Event.record_id == record_id, events.Event.type == f"{entity_key}.archived"
    )
    last = session.exec(log.order_by(col(events.Event.id).desc())).first()
    why = (last.data if last is not None else None) or {}
    label = entity(entity_key).label.lower()
    lead = session.get(entity("lead").model, why["lead"]) if "lead" in why else None
    if lead is not None and lead.deleted_at is None:
        raise Conflict(f"This {label} was made from a lead, and that was taken back. Convert the lead again instead.")
    if "tray" in why:
        raise Conflict(f"This {label} was made from a message, and that lies in the mail tray again. Settle it there instead.")
