"""What hearing and moving on share: the tables, which automations are on and for whom they act, pausing one, ending a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from sqlalchemy import select, text
from sqlmodel import Session

from crm_core import access, automation_inbox, db, events
from crm_core.access import Actor
from crm_core.errors import Conflict, CrmError, NotPermitted
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.models import Automation, AutomationInbox, AutomationRun, AutomationStep, AutomationVersion, Event
from crm_core.services.automation.steps.base import batch_of
from crm_core.services.collaboration import notifications, outbox
from crm_core.vocabulary import AutomationState, FlowState, Via

AUTOMATIONS: Any = Automation.__table__  # type: ignore[attr-defined]
RUNS: Any = AutomationRun.__table__  # type: ignore[attr-defined]
STEPS: Any = AutomationStep.__table__  # type: ignore[attr-defined]
VERSIONS: Any = AutomationVersion.__table__  # type: ignore[attr-defined]
INBOX: Any = AutomationInbox.__table__  # type: ignore[attr-defined]
EVENTS: Any = Event.__table__  # type: ignore[attr-defined]

STEPS_AT_ONCE = 60
UNASKED = "The condition could not be asked"
"""How the message of a run begins that failed before its first step."""
OPEN = automation_inbox.UNDER_WAY


@dataclass(frozen=True)
class Known:
    """An automation with the flow that new runs take and the person it acts for."""

    row: Any
    flow: Mapping[str, Any]
    actor: Actor


def alone(session: Session, *names: str) -> None:
    """Wait until nobody else decides about these, and keep others waiting until this transaction ends; always before what is read about them.

    Two workers with one event each about the same lead would else both see no earlier run of it. SQLite has one writer anyway.
    """
    if not db.is_sqlite(session):
        keys = sorted({crc32(f"automation:{name}".encode()) for name in names})  # in one order: nobody waits in a circle
        session.execute(text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key"), {"keys": keys})


def active(session: Session, key: str | None = None) -> list[Known]:
    """The automations that are on, with what they do. One whose owner is gone is paused on the way."""
    kept = session.info.setdefault("automations", {})
    if "all" not in kept:
        kept["all"] = [known for row in programs(session) if (known := _known(session, row)) is not None]
    return [known for known in kept["all"] if key is None or known.row.entity == key]


def programs(session: Session) -> Sequence[Any]:
    """The rows of the automations that are on, each with its ``flow``."""
    current = (VERSIONS.c.automation_id == AUTOMATIONS.c.id) & (VERSIONS.c.number == AUTOMATIONS.c.current)
    found = select(AUTOMATIONS, VERSIONS.c.flow).join(VERSIONS, current)
    return session.execute(found.where(AUTOMATIONS.c.state == AutomationState.ACTIVE).order_by(AUTOMATIONS.c.id)).all()


def _known(session: Session, row: Any) -> Known | None:
    actor = owner_of(session, row)
    return Known(row, row.flow, actor) if actor is not None else None


def owner_of(session: Session, row: Any) -> Actor | None:
    """The person an automation acts for, with their rights, read once per transaction; None pauses it."""
    kept: dict[int, Actor] = session.info.setdefault("owners", {})
    try:
        if row.owner_id not in kept:
            kept[row.owner_id] = access.load(session, row.owner_id or 0, via=Via.WORKER)
        return kept[row.owner_id]
    except NotPermitted:
        pause(session, row.id, "The person it acts for was deactivated. Take it over to switch it on again.")
        return None


def pause(session: Session, automation_id: int, reason: str) -> None:
    """Stop an automation until somebody looks at it, and tell its owner."""
    row = session.get(Automation, automation_id)
    if row is None or row.state is not AutomationState.ACTIVE:
        return
    row.state, row.reason = AutomationState.PAUSED, clip(reason, 300)
    session.add(row)
    session.flush()
    session.info.pop("automations", None)
    notifications.notify(
        session, row.owner_id, kind="automation.paused", params={"name": row.name, "reason": row.reason},
        dedupe_key=f"automation-paused-{row.id}-{row.version}",
    )  # fmt: skip


def stop_run(session: Session, actor: Actor, run: AutomationRun, name: str) -> AutomationRun:
    """End a run that is under way, for somebody who may. ``name``: the automation's. Events: automation.run_stopped."""
    if run.state not in OPEN:
        raise Conflict("This run has ended already.")
    end(run, FlowState.STOPPED, f"Stopped by {actor.name}")
    outbox.recall(session, actor, f"{actor.name} took the record out of the automation.", batch=batch_of(str(run.id)))
    session.add(run)
    session.flush()
    events.record(session, actor, "automation.run_stopped", entity="automation", record_id=run.automation_id, data={"name": name})
    return run


def end(run: Any, state: FlowState, message: str) -> None:
    """What an ended run looks like; for a record of it and for one that is being moved on."""
    run.state, run.message, run.ended_at, run.due_at = state, clip(message, 500), utcnow(), None


def words(error: Exception) -> str:
    """What went wrong, for people."""
    return (
        error.message
        if isinstance(error, CrmError)
        else f"A fault in the program ({type(error).__name__}); the worker's log holds the details"
    )
