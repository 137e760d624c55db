"""Puts events that some active automation waits for into its inbox, in the very transaction of the event, and calls a worker with the commit.

A cursor over the log would not do: on PostgreSQL a transaction that began earlier may commit later, and its events would be passed over.
Loaded by crm_core.db, so that no session can exist without it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, event, exists, false, insert, or_, select, update
from sqlmodel import Session

from crm_core.kit.clock import utcnow
from crm_core.models import Automation, AutomationInbox, AutomationRun, AutomationStep, AutomationVersion, Event
from crm_core.vocabulary import AutomationState, FlowState, Reentry, Via

_AUTOMATIONS: Any = Automation.__table__  # type: ignore[attr-defined]
_VERSIONS: Any = AutomationVersion.__table__  # type: ignore[attr-defined]
_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_INBOX: Any = AutomationInbox.__table__  # type: ignore[attr-defined]
_RUNS: Any = AutomationRun.__table__  # type: ignore[attr-defined]
_STEPS: Any = AutomationStep.__table__  # type: ignore[attr-defined]
UNDER_WAY = (FlowState.RUNNING, FlowState.WAITING)
BY_IMPORT = "import:"
"""How the trigger key of a run begins that an import started; the number of the event follows."""
_NEWS = "automation_news"
_EARS = "automation_ears"
_FOR_IMPORTS = "automation_ears_for_imports"
_Ears = dict[str, list[dict[str, Any]]]
callers: list[Callable[[Session], object]] = []
"""Who calls a worker: the job queue, once it is loaded. Without it the clock of the worker finds the news within a minute."""


@event.listens_for(Session, "after_flush")
def _hear(session: Session, _context: Any) -> None:
    if fresh := [one for one in session.new if isinstance(one, Event)]:
        hear(session, fresh)


def hear(session: Session, fresh: Iterable[Any], *, imported: bool = False) -> None:
    """Put events that were just inserted into the inbox, if somebody waits for them. Only for who inserts them past the session.

    ``imported``: they are an import's, so that only automations that take imports count.
    """
    ears = _ears_for_imports(session) if imported else _ears(session)
    heard = [one.id for one in fresh if _wanted(ears, one)]
    if heard:
        session.connection().execute(insert(_INBOX), [{"event_id": event_id} for event_id in heard])
        session.info[_NEWS] = True


def listening(session: Session, entity: str, *, imported: bool = False) -> bool:
    """Whether some active automation is about this kind of record (and takes imports too)."""
    return entity in _ears(session) and (not imported or entity in _ears_for_imports(session))


def unhear(session: Session, import_id: int, entity: str, record_ids: Collection[int]) -> None:
    """Take what an import said about records back: it is being undone, and nothing shall begin with it any more. Runs that wait for their turn end."""
    if not record_ids:
        return
    about = (_EVENTS.c.entity == entity, _EVENTS.c.record_id.in_(record_ids), _EVENTS.c.via == Via.IMPORT)
    said = session.connection().execute(select(_EVENTS.c.id, _EVENTS.c.data).where(*about)).tuples()
    gone = [event_id for event_id, data in said if data.get("import") == import_id]
    if not gone:
        return
    session.connection().execute(delete(_INBOX).where(_INBOX.c.event_id.in_(gone)))
    waits = (
        _RUNS.c.entity == entity, _RUNS.c.record_id.in_(record_ids), _RUNS.c.state == FlowState.WAITING,
        _RUNS.c.trigger_key.in_([f"{BY_IMPORT}{event_id}" for event_id in gone]),
    )  # fmt: skip
    over = {"state": FlowState.STOPPED, "message": "The import was undone", "due_at": None, "ended_at": utcnow()}
    begun = exists().where(_STEPS.c.run_id == _RUNS.c.id)
    session.connection().execute(update(_RUNS).where(*waits, ~begun).values(**over, version=_RUNS.c.version + 1))


def barring(flow: Mapping[str, Any]) -> ColumnElement[bool]:
    """Which runs of an automation keep it from taking up their record now: one for ever, one that is open, one that began within its days of rest."""
    rest, reentry = int(flow.get("rest_days") or 0), flow.get("reentry") or Reentry.IDLE.value
    parts: list[ColumnElement[bool]] = []
    if rest:
        parts.append(and_(_RUNS.c.created_at > utcnow() - timedelta(days=rest), _RUNS.c.state != FlowState.SKIPPED))
    if reentry == Reentry.ONCE.value:
        parts.append(_RUNS.c.state != FlowState.SKIPPED)
    elif reentry == Reentry.IDLE.value:
        parts.append(_RUNS.c.state.in_(UNDER_WAY))
    return or_(false(), *parts)


def _wanted(ears: _Ears, one: Any) -> bool:
    return any(
        one.type in listens.get("types", ()) or not one.changes.keys().isdisjoint(listens.get("fields", ()))
        for listens in ears.get(one.entity, ())
    )


def _ears(session: Session) -> _Ears:
    """Entity → what its active automations listen for; read once per transaction."""
    found: _Ears | None = session.info.get(_EARS)
    if found is None:
        active = select(_AUTOMATIONS.c.entity, _AUTOMATIONS.c.listens).where(_AUTOMATIONS.c.state == AutomationState.ACTIVE)
        found = session.info[_EARS] = _by_entity(session.connection().execute(active).tuples())
    return found


def _ears_for_imports(session: Session) -> _Ears:
    """The same of those that take imports, which the flow in use says; asked for by imports only."""
    found: _Ears | None = session.info.get(_FOR_IMPORTS)
    if found is None:
        current = (_VERSIONS.c.automation_id == _AUTOMATIONS.c.id) & (_VERSIONS.c.number == _AUTOMATIONS.c.current)
        columns = select(_AUTOMATIONS.c.entity, _AUTOMATIONS.c.listens, _VERSIONS.c.flow).join(_VERSIONS, current)
        active = session.connection().execute(columns.where(_AUTOMATIONS.c.state == AutomationState.ACTIVE)).tuples()
        wide = ((entity, listens) for entity, listens, flow in active if (flow.get("trigger") or {}).get("imports"))
        found = session.info[_FOR_IMPORTS] = _by_entity(wide)
    return found


def _by_entity(pairs: Iterable[tuple[str, dict[str, Any]]]) -> _Ears:
    found: _Ears = {}
    for entity, listens in pairs:
        found.setdefault(entity, []).append(listens)
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
        session.info.pop(_FOR_IMPORTS, None)
