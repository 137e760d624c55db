"""Hearing what happened and taking up the records that automations want: conditions are asked of many records at once, runs begun together."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db, filters
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.fields import registry
from crm_core.kit.clock import utcnow
from crm_core.services.automation import flow_rules
from crm_core.services.automation.engine import EVENTS, INBOX, OPEN, RUNS, Known, active, alone, pause, words
from crm_core.services.automation.sight import wanted
from crm_core.vocabulary import FlowState, Reentry, Via

log = logging.getLogger("rapport.automation")

EVENTS_AT_ONCE = 50


@dataclass(frozen=True)
class Cause:
    """Why a record is taken up: the same ``key`` starts it once. ``event``: the row of the log, None for the clock and by hand."""

    record_id: int
    key: str
    event: Any = None

    @property
    def depth(self) -> int:
        return (self.event.depth if self.event is not None else 0) + 1


def hear(session: Session, limit: int = EVENTS_AT_ONCE) -> int:
    """Take the oldest events out of the inbox and start the runs that they cause; gives how many were heard."""
    waiting = select(INBOX.c.event_id).order_by(INBOX.c.event_id).limit(limit)
    ids = list(session.execute(waiting if db.is_sqlite(session) else waiting.with_for_update(skip_locked=True)).scalars())
    if not ids:
        return 0
    heard = session.execute(select(EVENTS).where(EVENTS.c.id.in_(ids)).order_by(EVENTS.c.id)).all()
    alone(session, *{f"{event.entity}:{event.record_id}" for event in heard})
    for known in active(session):
        causes = [Cause(event.record_id, f"event:{event.id}", event) for event in heard if _starts(known, event)]
        take_up(session, known, causes)
    session.execute(delete(INBOX).where(INBOX.c.event_id.in_(ids)))
    return len(ids)


def _starts(known: Known, event: Any) -> bool:
    return (
        event.entity == known.row.entity
        and flow_rules.starts(known.flow, event.type, event.changes, event.data)
        and (event.via != Via.IMPORT or bool((known.flow.get("trigger") or {}).get("imports")))
    )


def take_up(session: Session, known: Known, causes: Sequence[Cause], *, now: datetime | None = None) -> None:
    """Start a run for each cause whose record meets the conditions, in the order given, until the hourly cap pauses the automation."""
    for deep in (cause for cause in causes if cause.depth > flow_rules.MAX_CHAIN):
        begin(session, known, deep.record_id, deep.key, event=deep.event)
    causes = [cause for cause in causes if cause.depth <= flow_rules.MAX_CHAIN]
    fitting = _fitting(session, known, causes, now or utcnow()) if causes else set()
    if fitting is None:  # no condition of all at once: each by itself says what is wrong with it
        for cause in causes:
            begin(session, known, cause.record_id, cause.key, event=cause.event, now=now)
        return
    taken, chosen = _taken(session, known, fitting), []
    for cause in causes:
        if cause.record_id in fitting - taken:
            chosen.append(cause)
            taken |= {cause.record_id} if _rests(known) else set()
    if chosen:
        _begin_all(session, known, chosen)


def _fitting(session: Session, known: Known, causes: Sequence[Cause], now: datetime) -> set[int] | None:
    """The records that meet the conditions; None when that can't be asked of all of them together."""
    if known.flow.get("before"):
        return None
    table = entity(known.row.entity).table
    try:
        with session.begin_nested():
            clauses = wanted(session, known.actor, known.row.entity, known.flow.get("if"), now)
            ids = {cause.record_id for cause in causes}
            return set(session.execute(select(table.c.id).where(table.c.id.in_(ids), *clauses)).scalars())
    except Exception:
        return None


def _rests(known: Known) -> bool:
    """Whether a run that has just begun keeps the next cause from beginning another one for the same record."""
    return bool(int(known.flow.get("rest_days") or 0)) or _reentry(known) != Reentry.ALWAYS.value


def _reentry(known: Known) -> str:
    return str(known.flow.get("reentry") or Reentry.IDLE.value)


def _taken(session: Session, known: Known, ids: Iterable[int]) -> set[int]:
    """Records that may not be taken up now: one run for ever, none beside an open one, a rest of some days."""
    rest, again = int(known.flow.get("rest_days") or 0), []
    if rest:
        again.append((RUNS.c.created_at > utcnow() - timedelta(days=rest)) & (RUNS.c.state != FlowState.SKIPPED))
    if _reentry(known) == Reentry.ONCE.value:
        again.append(RUNS.c.state != FlowState.SKIPPED)
    elif _reentry(known) == Reentry.IDLE.value:
        again.append(RUNS.c.state.in_(OPEN))
    if not again or not (ids := set(ids)):
        return set()
    mine = (RUNS.c.automation_id == known.row.id, RUNS.c.entity == known.row.entity, RUNS.c.record_id.in_(ids))
    return set(session.execute(select(RUNS.c.record_id).where(*mine, or_(*again)).distinct()).scalars())


def _begin_all(session: Session, known: Known, causes: Sequence[Cause]) -> None:
    room = max(0, known.row.hourly_cap - _lately(session, known))
    first = flow_rules.first(known.flow["steps"])
    if causes[:room]:
        made = _insert(session, known, causes[:room], state=FlowState.RUNNING, step_id=first, due_at=utcnow())
        session.info["automation_runs_lately"][known.row.id] += len(made)
    if len(causes) > room:
        _over_cap(session, known)


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
    """Start a run for one record if the conditions hold; gives its id, None when there is none. The same ``trigger_key`` starts it once.

    A condition that can't be asked is a failed run that says so, never "no match".
    """
    cause = Cause(record_id, trigger_key, event)
    if cause.depth > flow_rules.MAX_CHAIN:
        told = f"Automations started each other {flow_rules.MAX_CHAIN} times in a row"
        return next(iter(_insert(session, known, [cause], state=FlowState.SKIPPED, message=told)), None)
    if check:
        try:
            with session.begin_nested():
                fits = _matches(session, known, record_id, event, now or utcnow())
        except Exception as error:
            log.warning("the condition of automation %s failed: %s", known.row.id, type(error).__name__)
            told = f"The condition could not be asked: {words(error)}"
            return next(iter(_insert(session, known, [cause], state=FlowState.FAILED, message=told)), None)
        if not fits or _taken(session, known, {record_id}):
            return None
    if _lately(session, known) >= known.row.hourly_cap:
        _over_cap(session, known)
        return None
    first = flow_rules.first(known.flow["steps"])
    made = _insert(session, known, [cause], state=FlowState.RUNNING, step_id=first, due_at=utcnow())
    session.info["automation_runs_lately"][known.row.id] += len(made)
    return next(iter(made), None)


def _insert(session: Session, known: Known, causes: Sequence[Cause], **values: Any) -> list[int]:
    """The ids of the runs that are new."""
    now = utcnow()
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    common = {
        "automation_id": known.row.id, "version_number": known.row.current, "entity": known.row.entity, "step_id": "", "due_at": None,
        "ended_at": None if values["state"] in OPEN else now, "attempts": 0, "message": "", "created_at": now, "updated_at": now, "version": 1,
    }  # fmt: skip
    rows = [
        {**common, "trigger_key": cause.key, "record_id": cause.record_id, "depth": cause.depth,
         "cause_id": cause.event.id if cause.event is not None else None, **values}
        for cause in causes
    ]  # fmt: skip
    made = insert(RUNS).on_conflict_do_nothing(index_elements=["automation_id", "trigger_key"]).returning(RUNS.c.id)
    db.bump(session, RUNS.name)
    return list(session.execute(made, rows).scalars())


# --- conditions -------------------------------------------------------------------------------------------------------------


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


# --- the hourly cap ---------------------------------------------------------------------------------------------------------


def _lately(session: Session, known: Known) -> int:
    """Runs of an automation within the last hour, counted once per transaction and carried on in it."""
    counted: Counter[int] = session.info.setdefault("automation_runs_lately", Counter())
    if known.row.id not in counted:
        clause = (
            RUNS.c.automation_id == known.row.id,
            RUNS.c.created_at > utcnow() - timedelta(hours=1),
            RUNS.c.state != FlowState.SKIPPED,
        )
        counted[known.row.id] = session.execute(select(func.count()).select_from(RUNS).where(*clause)).scalar_one()
    return counted[known.row.id]


def _over_cap(session: Session, known: Known) -> None:
    pause(
        session,
        known.row.id,
        f"More than {known.row.hourly_cap:,} runs within an hour. It was stopped so that you can look whether that is right.",
    )
