"""The same verbs for every entity: finds the area's own service, so that generic screens, imports and the API obey each one's rules."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from sqlmodel import Session

from crm_core import records
from crm_core.access import Actor
from crm_core.services.collaboration import tasks
from crm_core.services.customers import accounts, contacts
from crm_core.services.helpdesk import articles, tickets
from crm_core.services.marketing import campaigns
from crm_core.services.sales import deals, leads, orders

_OWN: dict[str, ModuleType] = {
    "account": accounts,
    "article": articles,
    "campaign": campaigns,
    "contact": contacts,
    "deal": deals,
    "lead": leads,
    "order": orders,
    "task": tasks,
    "ticket": tickets,
}


def create(session: Session, actor: Actor, entity_key: str, values: Mapping[str, Any], *, submit_key: str | None = None) -> Any:
    """Create a record by its own service where it has one."""
    own = _OWN.get(entity_key)
    if own is not None:
        return own.create(session, actor, values, submit_key=submit_key)
    return records.create(session, actor, entity_key, values, submit_key=submit_key)


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
    own = getattr(_OWN.get(entity_key), "archive", None)
    if own is not None:
        return own(session, actor, record_id, base_version=base_version)
    return records.archive(session, actor, entity_key, record_id, base_version=base_version)


def restore(session: Session, actor: Actor, entity_key: str, record_id: int) -> Any:
    """Take a record back from the bin."""
    return records.restore(session, actor, entity_key, record_id)
