"""Keeps on each deal when its customer was last in touch, whatever way an activity was written, changed, moved or removed.

Contact goes both ways: a call, an e-mail or a meeting. A note is none, nor is an attempt whose outcome says that nobody was reached. Loaded by
crm_core.db, so that no session can exist without it.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import and_, event, func, inspect, or_, select, update
from sqlmodel import Session

from crm_core.models import Activity, Deal
from crm_core.vocabulary import ActivityKind, CallOutcome

CONTACT = (ActivityKind.CALL, ActivityKind.EMAIL, ActivityKind.MEETING)
IN_VAIN = (CallOutcome.NO_ANSWER, CallOutcome.BUSY, CallOutcome.VOICEMAIL, CallOutcome.WRONG_NUMBER)
_ACTIVITIES: Any = Activity.__table__  # type: ignore[attr-defined]
_DEALS: Any = Deal.__table__  # type: ignore[attr-defined]
_KEYS = ("kind", "outcome", "at", "deal_id", "deleted_at")
_CHUNK = 500


def is_contact(table: Any = _ACTIVITIES) -> Any:
    """The activities that are contact with the customer."""
    heard = or_(table.c.outcome.is_(None), table.c.outcome.not_in(IN_VAIN))
    return and_(table.c.kind.in_(CONTACT), heard, table.c.deleted_at.is_(None))


def refresh(session: Session, deal_ids: Iterable[int | None]) -> None:
    """Write the last contact of some deals anew. Their version stays: nobody's form is about it."""
    wanted = sorted({deal_id for deal_id in deal_ids if deal_id is not None})
    last = select(func.max(_ACTIVITIES.c.at)).where(_ACTIVITIES.c.deal_id == _DEALS.c.id, is_contact()).scalar_subquery()
    for start in range(0, len(wanted), _CHUNK):
        chunk = _DEALS.c.id.in_(wanted[start : start + _CHUNK])
        if (
            session.get_bind().dialect.name == "postgresql"
        ):  # who logs at the same moment first commits, and is then seen by the statement below
            session.connection().execute(select(_DEALS.c.id).where(chunk).order_by(_DEALS.c.id).with_for_update(key_share=True))
        session.connection().execute(update(_DEALS).where(chunk).values(last_contact_at=last))
    if wanted:
        session.info.setdefault("touched", set()).add("deal")


@event.listens_for(Session, "after_flush")
def _on_flush(session: Session, _context: Any) -> None:
    found: set[int | None] = set()
    whole = {id(each) for each in (*session.new, *session.deleted)}
    for instance in (*session.new, *session.dirty, *session.deleted):
        if isinstance(instance, Activity):
            attributes = inspect(instance).attrs
            if id(instance) in whole or any(attributes[key].history.has_changes() for key in _KEYS):
                history = attributes["deal_id"].history
                found.update((*history.deleted, *history.unchanged, *history.added))
    refresh(session, found)


def _keep_old(_instance: Any, _value: Any, _old: Any, _initiator: Any) -> None:
    """Listening with ``active_history`` makes the mapper load an old value that a partly loaded row does not hold."""


event.listen(Activity.deal_id, "set", _keep_old, active_history=True)
