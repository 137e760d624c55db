"""Puts events that some active automation waits for into its inbox, in the very transaction of the event, and calls a worker with the commit.

A cursor over the log would not do: on PostgreSQL a transaction that began earlier may commit later, and its events would be passed over.
Loaded by crm_core.db, so that no session can exist without it.
"""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import event, insert, select
from sqlmodel import Session

from crm_core.models import Automation, AutomationInbox, Event
from crm_core.vocabulary import AutomationState

_AUTOMATIONS: Any = Automation.__table__  # type: ignore[attr-defined]
_INBOX: Any = AutomationInbox.__table__  # type: ignore[attr-defined]
_NEWS = "automation_news"
_EARS = "automation_ears"
callers: list[Callable[[Session], object]] = []
"""Who calls a worker: the job queue, once it is loaded. Without it the clock of the worker finds the news within a minute."""


@event.listens_for(Session, "after_flush")
def _hear(session: Session, _context: Any) -> None:
    hear(session, [one for one in session.new if isinstance(one, Event)])


def hear(session: Session, fresh: Iterable[Any]) -> None:
    """Put events that were just inserted into the inbox, if somebody waits for them. Only for who inserts them past the session."""
    heard = [one.id for one in fresh if _wanted(session, one)]
    if heard:
        session.connection().execute(insert(_INBOX), [{"event_id": event_id} for event_id in heard])
        session.info[_NEWS] = True


def listening(session: Session, entity: str) -> bool:
    """Whether some active automation is about this kind of record."""
    return entity in _ears(session)


def _wanted(session: Session, one: Any) -> bool:
    return any(
        one.type in listens.get("types", ()) or not one.changes.keys().isdisjoint(listens.get("fields", ()))
        for listens in _ears(session).get(one.entity, ())
    )


def _ears(session: Session) -> dict[str, list[dict[str, Any]]]:
    """Entity → what its active automations listen for; read once per transaction."""
    found: dict[str, list[dict[str, Any]]] | None = session.info.get(_EARS)
    if found is None:
        found = {}
        active = select(_AUTOMATIONS.c.entity, _AUTOMATIONS.c.listens).where(_AUTOMATIONS.c.state == AutomationState.ACTIVE)
        for entity, listens in session.connection().execute(active).tuples():
            found.setdefault(entity, []).append(listens)
        session.info[_EARS] = found
    return found


@event.listens_for(Session, "before_commit")
def _call(session: Session) -> None:
    if session.in_nested_transaction():  # a savepoint commits nothing
        return
    session.flush()
    if session.info.pop(_NEWS, False):
        call_worker(session)


def call_worker(session: Session) -> None:
    """Ask a worker to look after automations when the session commits."""
    for call in callers:
        call(session)


@event.listens_for(Session, "after_commit")
@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_EARS, None)
