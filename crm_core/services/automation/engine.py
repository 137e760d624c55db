"""The engine: hears events, takes up records, moves runs on. Every step takes effect in the transaction that also moves the run behind it.

A worker that is killed leaves either both or neither, so a step happens once; what leaves the database (mail, web calls) waits in tables
with a key of its own. Several workers share the work by locking rows and passing over locked ones.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from sqlalchemy import delete, exists, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import access, db, events, filters
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.errors import Conflict, CrmError, NotPermitted, Unavailable
from crm_core.fields import registry
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.models import Automation, AutomationInbox, AutomationRun, AutomationStep, AutomationVersion, Event
from crm_core.services.automation import flow_rules, steps
from crm_core.services.automation.sight import wanted
from crm_core.services.automation.steps.base import Branched, Context, Exit, Later, Skipped, Waited, batch_of
from crm_core.services.automation.steps.outreach import over
from crm_core.services.collaboration import notifications, outbox
from crm_core.vocabulary import AutomationState, FlowState, Reentry, StepOutcome, Via

log = logging.getLogger("rapport.automation")

AUTOMATIONS: Any = Automation.__table__  # type: ignore[attr-defined]
RUNS: Any = AutomationRun.__table__  # type: ignore[attr-defined]
STEPS: Any = AutomationStep.__table__  # type: ignore[attr-defined]
VERSIONS: Any = AutomationVersion.__table__  # type: ignore[attr-defined]
INBOX: Any = AutomationInbox.__table__  # type: ignore[attr-defined]
EVENTS: Any = Event.__table__  # type: ignore[attr-defined]

EVENTS_AT_ONCE = 50
RUNS_AT_ONCE = 20
STEPS_AT_ONCE = 60
AGAIN_AFTER = (60, 300, 1800, 7200)
"""Seconds until a step that failed for a passing reason is tried again; after the last one the run has failed."""
OPEN = (FlowState.RUNNING, FlowState.WAITING)


@dataclass(frozen=True)
class Known:
    """An automation with the flow that new runs take and the person it acts for."""

    row: Any
    flow: Mapping[str, Any]
    actor: Actor


# --- hearing ----------------------------------------------------------------------------------------------------------------


def hear(session: Session, limit: int = EVENTS_AT_ONCE) -> int:
    """Take the oldest events out of the inbox and start the runs that they cause; gives how many were heard."""
    waiting = select(INBOX.c.event_id).order_by(INBOX.c.event_id).limit(limit)
    ids = list(session.execute(waiting if db.is_sqlite(session) else waiting.with_for_update(skip_locked=True)).scalars())
    if not ids:
        return 0
    heard = session.execute(select(EVENTS).where(EVENTS.c.id.in_(ids)).order_by(EVENTS.c.id)).all()
    alone(session, *{f"{event.entity}:{event.record_id}" for event in heard})
    for event in heard:
        for known in active(session, event.entity):
            if flow_rules.starts(known.flow, event.type, event.changes, event.data) and _through_the_door(known.flow, event.via):
                begin(session, known, event.record_id, f"event:{event.id}", event=event)
    session.execute(delete(INBOX).where(INBOX.c.event_id.in_(ids)))
    return len(ids)


def alone(session: Session, *names: str) -> None:
    """Wait until nobody else decides about these, and keep others waiting until this transaction ends; always before what is read about them.

    Two workers with one event each about the same lead would else both see no earlier run of it. SQLite has one writer anyway.
    """
    if not db.is_sqlite(session):
        keys = sorted({crc32(f"automation:{name}".encode()) for name in names})  # in one order: nobody waits in a circle
        session.execute(text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key"), {"keys": keys})


def _through_the_door(flow: Mapping[str, Any], via: Any) -> bool:
    return via != Via.IMPORT or bool((flow.get("trigger") or {}).get("imports"))


def active(session: Session, key: str | None = None) -> list[Known]:
    """The automations that are on, with what they do. One whose owner is gone is paused on the way."""
    kept = session.info.setdefault("automations", {})
    if "all" not in kept:
        found = select(AUTOMATIONS, VERSIONS.c.flow).join(
            VERSIONS, (VERSIONS.c.automation_id == AUTOMATIONS.c.id) & (VERSIONS.c.number == AUTOMATIONS.c.current)
        )
        rows = session.execute(found.where(AUTOMATIONS.c.state == AutomationState.ACTIVE).order_by(AUTOMATIONS.c.id)).all()
        kept["all"] = [known for row in rows if (known := _known(session, row)) is not None]
    return [known for known in kept["all"] if key is None or known.row.entity == key]


def _known(session: Session, row: Any) -> Known | None:
    actor = _owner(session, row)
    return Known(row, row.flow, actor) if actor is not None else None


def _owner(session: Session, row: Any) -> Actor | None:
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


# --- taking up --------------------------------------------------------------------------------------------------------------


def begin(
    session: Session,
    known: Known,
    record_id: int,
    trigger_key: str,
    *,
    event: Any = None,
    check: bool = True,
    now: datetime | None = None,
) -> int | None:
    """Start a run for a record if the conditions hold; gives its id, None when there is none. The same ``trigger_key`` starts it once.

    A condition that can't be asked is a failed run that says so, never "no match".
    """
    depth = (event.depth if event is not None else 0) + 1
    values = {"cause_id": event.id if event is not None else None, "depth": depth, "record_id": record_id}
    if depth > flow_rules.MAX_CHAIN:
        return _insert(
            session, known, trigger_key, state=FlowState.SKIPPED, message=f"Automations started each other {flow_rules.MAX_CHAIN} times in a row", **values
        )  # fmt: skip
    if check:
        try:
            with session.begin_nested():
                wanted = _matches(session, known, record_id, event, now or utcnow())
        except Exception as error:
            log.warning("the condition of automation %s failed: %s", known.row.id, type(error).__name__)
            return _insert(
                session,
                known,
                trigger_key,
                state=FlowState.FAILED,
                message=f"The condition could not be asked: {_words(error)}",
                **values,
            )
        if not wanted or not _again(session, known, record_id):
            return None
    if _over_cap(session, known):
        return None
    first = flow_rules.first(known.flow["steps"])
    made = _insert(session, known, trigger_key, state=FlowState.RUNNING, step_id=first, due_at=utcnow(), **values)
    _lately(session)[known.row.id] += made is not None
    return made


def _insert(session: Session, known: Known, trigger_key: str, **values: Any) -> int | None:
    now, ended = utcnow(), values["state"] not in OPEN
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    row = {
        "automation_id": known.row.id, "version_number": known.row.current, "trigger_key": trigger_key, "entity": known.row.entity, "step_id": "",
        "due_at": None, "ended_at": now if ended else None, "attempts": 0, "message": "", "created_at": now, "updated_at": now, "version": 1, **values,
    }  # fmt: skip
    made = insert(RUNS).values(**row).on_conflict_do_nothing(index_elements=["automation_id", "trigger_key"]).returning(RUNS.c.id)
    db.bump(session, RUNS.name)
    return session.execute(made).scalar()


def _matches(session: Session, known: Known, record_id: int, event: Any, now: datetime) -> bool:
    table = entity(known.row.entity).table
    clauses = wanted(session, known.actor, known.row.entity, known.flow.get("if"), now)
    row = session.execute(select(table).where(table.c.id == record_id, *clauses)).first()
    if row is None:
        return False
    return not known.flow.get("before") or event is None or _before(session, known, row, event)


def _before(session: Session, known: Known, row: Any, event: Any) -> bool:
    """The filter over the values as they were before the event: today's row with everything taken back that happened since."""
    since = select(EVENTS.c.changes).where(
        EVENTS.c.entity == known.row.entity, EVENTS.c.record_id == row.id, EVENTS.c.id >= event.id
    )
    taken_back = session.execute(since.order_by(EVENTS.c.id.desc())).scalars()
    return before_test(session, known.actor, known.flow)(row, taken_back)


def before_test(session: Session, actor: Actor, flow: Mapping[str, Any]) -> Callable[[Any, Iterable[Mapping[str, Any]]], bool]:
    """``test(row, changes)``: the flow's ``before`` over a row of the table after changes, the latest first, were taken back."""
    specs = registry(session, flow["entity"])
    test = filters.predicate(filters.bind(session, flow["entity"], flow["before"], filters.Context(actor)))

    def asked(row: Any, taken_back: Iterable[Mapping[str, Any]]) -> bool:
        values = {key: _value(spec, row) for key, spec in specs.items()}
        for changes in taken_back:
            values |= {key: specs[key].from_json(pair[0]) for key, pair in changes.items() if key in specs}
        return test(values)

    return asked


def _value(spec: Any, row: Any) -> Any:
    mapping = row._mapping
    return spec.from_json((mapping.get("extra") or {}).get(spec.key)) if spec.custom else mapping.get(spec.key)


def _again(session: Session, known: Known, record_id: int) -> bool:
    mine = [RUNS.c.automation_id == known.row.id, RUNS.c.entity == known.row.entity, RUNS.c.record_id == record_id]
    real = RUNS.c.state != FlowState.SKIPPED
    reentry, rest = known.flow.get("reentry") or Reentry.IDLE.value, int(known.flow.get("rest_days") or 0)
    if rest and _any(session, *mine, real, RUNS.c.created_at > utcnow() - timedelta(days=rest)):
        return False
    if reentry == Reentry.ONCE.value:
        return not _any(session, *mine, real)
    return reentry != Reentry.IDLE.value or not _any(session, *mine, RUNS.c.state.in_(OPEN))


def _any(session: Session, *clause: Any) -> bool:
    return bool(session.execute(select(exists(select(RUNS.c.id).where(*clause)))).scalar_one())


def _lately(session: Session) -> Counter[int]:
    """Automation → runs within the last hour, counted once per transaction and carried on in it."""
    found: Counter[int] = session.info.setdefault("automation_runs_lately", Counter())
    return found


def _over_cap(session: Session, known: Known) -> bool:
    counted = _lately(session)
    if known.row.id not in counted:
        clause = (
            RUNS.c.automation_id == known.row.id,
            RUNS.c.created_at > utcnow() - timedelta(hours=1),
            RUNS.c.state != FlowState.SKIPPED,
        )
        counted[known.row.id] = session.execute(select(func.count()).select_from(RUNS).where(*clause)).scalar_one()
    if counted[known.row.id] < known.row.hourly_cap:
        return False
    pause(
        session,
        known.row.id,
        f"More than {known.row.hourly_cap:,} runs within an hour. It was stopped so that you can look whether that is right.",
    )
    return True


# --- moving on --------------------------------------------------------------------------------------------------------------


def advance(session: Session, limit: int = RUNS_AT_ONCE) -> int:
    """Move the runs that are due on, the longest due first; gives how many there were. Runs of a paused automation rest."""
    due = (
        select(RUNS.c.id)
        .join(AUTOMATIONS, AUTOMATIONS.c.id == RUNS.c.automation_id)
        .where(RUNS.c.state.in_(OPEN), RUNS.c.due_at <= utcnow(), AUTOMATIONS.c.state == AutomationState.ACTIVE)
        .order_by(RUNS.c.due_at, RUNS.c.id)
        .limit(limit)
    )
    ids = list(session.execute(due if db.is_sqlite(session) else due.with_for_update(of=RUNS, skip_locked=True)).scalars())
    for run_id in ids:
        run = session.get(AutomationRun, run_id, populate_existing=True)
        if run is not None and run.state in OPEN:
            _move(session, run)
            session.add(run)
            session.flush()
    return len(ids)


def _move(session: Session, run: AutomationRun) -> None:
    automation, flow = _program(session, run)
    actor = _owner(session, automation)
    if automation is None or actor is None or automation.state is not AutomationState.ACTIVE:
        return
    session.info["cause"] = (run.cause_id, run.depth)
    try:
        for _ in range(STEPS_AT_ONCE):
            if run.state not in OPEN or (run.due_at is not None and run.due_at > utcnow()):
                return
            _step(session, automation, flow, actor, run)
    finally:
        session.info.pop("cause", None)


def _program(session: Session, run: AutomationRun) -> tuple[Automation | None, Mapping[str, Any]]:
    """The automation of a run and the flow of its version, read once per transaction."""
    kept: dict[tuple[int, int], tuple[Automation | None, Mapping[str, Any]]] = session.info.setdefault("automation_programs", {})
    key = (run.automation_id, run.version_number)
    if key not in kept:
        flow = select(VERSIONS.c.flow).where(VERSIONS.c.automation_id == key[0], VERSIONS.c.number == key[1])
        kept[key] = session.get(Automation, key[0]), session.execute(flow).scalar_one()
    return kept[key]


def _step(session: Session, automation: Automation, flow: Mapping[str, Any], actor: Actor, run: AutomationRun) -> None:
    step = flow_rules.find(flow["steps"], run.step_id) if run.step_id else None
    if step is None:
        return _end(run, FlowState.DONE, "")
    try:
        with session.begin_nested():
            context = _context(session, automation, actor, run, step)
            if context is None:
                return _end(run, FlowState.STOPPED, "The record is gone, or no longer shared with the owner of the automation")
            if why := over(context, flow):
                outbox.recall(session, actor, f"{why}.", batch=batch_of(str(run.id)))
                return _end(run, FlowState.DONE, why)
            result = steps.kind(step["kind"]).run(context, step)
            session.flush()
    except Exception as error:
        return _failed(session, automation, run, step, error)
    if isinstance(result, Later):
        run.state, run.due_at = FlowState.WAITING, result.until
        return None
    _note(session, run, step, _key(run, step), result)
    run.attempts, run.due_at = 0, utcnow()
    _follow(flow, run, step, result)
    return None


def _context(session: Session, automation: Automation, actor: Actor, run: AutomationRun, step: Mapping[str, Any]) -> Context | None:
    found = entity(run.entity)
    mine = select(found.model).where(found.table.c.id == run.record_id, *wanted(session, actor, found.key, None))
    record = session.execute(mine.execution_options(populate_existing=True)).scalar()
    if record is None:
        return None
    return Context(session, actor, automation.id, automation.name, run.entity, record, _key(run, step), utcnow())


def _key(run: AutomationRun, step: Mapping[str, Any]) -> str:
    """The name of this step of this run, for ever."""
    return f"{run.id}:{step['id']}"


def _follow(flow: Mapping[str, Any], run: AutomationRun, step: Mapping[str, Any], result: Any) -> None:
    if isinstance(result, Exit):
        return _end(run, FlowState.DONE, result.message)
    if isinstance(result, Branched):
        run.step_id = flow_rules.into(flow["steps"], step["id"], "yes" if result.yes else "no")
    else:
        run.step_id = flow_rules.after(flow["steps"], step["id"])
    if isinstance(result, Waited) and result.until > utcnow():
        run.state, run.due_at = FlowState.WAITING, result.until
    elif not run.step_id:
        _end(run, FlowState.DONE, "")
    else:
        run.state = FlowState.RUNNING
    return None


def stop_run(session: Session, actor: Actor, run: AutomationRun, name: str) -> AutomationRun:
    """End a run that is under way, for somebody who may. ``name``: the automation's. Events: automation.run_stopped."""
    if run.state not in OPEN:
        raise Conflict("This run has ended already.")
    _end(run, FlowState.STOPPED, f"Stopped by {actor.name}")
    outbox.recall(session, actor, f"{actor.name} took the record out of the automation.", batch=batch_of(str(run.id)))
    session.add(run)
    session.flush()
    events.record(session, actor, "automation.run_stopped", entity="automation", record_id=run.automation_id, data={"name": name})
    return run


def _end(run: AutomationRun, state: FlowState, message: str) -> None:
    run.state, run.message, run.ended_at, run.due_at = state, clip(message, 500), utcnow(), None


def _note(session: Session, run: AutomationRun, step: Mapping[str, Any], key: str, result: Any) -> None:
    outcome = (
        StepOutcome.FAILED if isinstance(result, str) else StepOutcome.SKIPPED if isinstance(result, Skipped) else StepOutcome.DONE
    )
    if isinstance(result, Branched):
        message = "Yes" if result.yes else "No"
    else:
        message = result if isinstance(result, str) else result.message
    session.add(
        AutomationStep(
            run_id=run.id, automation_id=run.automation_id, key=key, step_id=step["id"], kind=step["kind"], record_id=run.record_id,
            outcome=outcome, message=clip(message, 500),
        )
    )  # fmt: skip


def _failed(session: Session, automation: Automation, run: AutomationRun, step: Mapping[str, Any], error: Exception) -> None:
    """Try again later when the reason may pass; else the run has failed, visibly, and waits for a person."""
    words, run.attempts = _words(error), run.attempts + 1
    passing = not isinstance(error, CrmError) or (isinstance(error, Unavailable) and not error.permanent)
    if not isinstance(error, CrmError):
        log.error("step %s of run %s failed", step["id"], run.id, exc_info=error)
    _note(session, run, step, f"{_key(run, step)}:{run.version}:{run.attempts}", words)
    if passing and run.attempts <= len(AGAIN_AFTER):
        run.due_at, run.message = utcnow() + timedelta(seconds=AGAIN_AFTER[run.attempts - 1]), clip(words, 500)
        return
    _end(run, FlowState.FAILED, words)
    notifications.notify(
        session, automation.owner_id, kind="automation.failed", params={"name": automation.name, "reason": clip(words, 200)},
        dedupe_key=f"automation-failed-{run.id}-{run.version}",
    )  # fmt: skip


def _words(error: Exception) -> str:
    return (
        error.message
        if isinstance(error, CrmError)
        else f"A fault in the program ({type(error).__name__}); the worker's log holds the details"
    )
