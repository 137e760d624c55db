"""Hearing what happened and taking up the records that automations want: conditions are asked of many records at once, runs begun together."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db, filters, merges
from crm_core.access import Actor
from crm_core.automation_inbox import BY_IMPORT, barring
from crm_core.entities import entity
from crm_core.errors import CrmError
from crm_core.fields import registry
from crm_core.kit.clock import utcnow
from crm_core.kit.numerals import written
from crm_core.kit.text import clip
from crm_core.services.automation import flow_rules
from crm_core.services.automation.engine import EVENTS, INBOX, OPEN, RUNS, STEPS, UNASKED, Known, active, alone, pause, words
from crm_core.services.automation.sight import wanted
from crm_core.services.collaboration import halts, notifications
from crm_core.vocabulary import FlowState, HaltKind, Reentry, Via

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

    @property
    def imported(self) -> bool:
        return self.key.startswith(BY_IMPORT)


@dataclass(frozen=True)
class Start:
    """A run to be: one that begins, at ``due_at`` if not now, or one that is only written down with the reason why not."""

    known: Known
    cause: Cause
    state: FlowState = FlowState.RUNNING
    message: str = ""
    due_at: datetime | None = None


def hear(session: Session, limit: int = EVENTS_AT_ONCE) -> int:
    """Take the oldest events out of the inbox and start the runs that they cause, in their order; gives how many were heard. While all
    automations stand still they wait."""
    if halts.halted(session, HaltKind.AUTOMATIONS):
        return 0
    waiting = select(INBOX.c.event_id).order_by(INBOX.c.event_id).limit(limit)
    ids = list(session.execute(waiting if db.is_sqlite(session) else waiting.with_for_update(skip_locked=True)).scalars())
    if not ids:
        return 0
    heard = session.execute(select(EVENTS).where(EVENTS.c.id.in_(ids)).order_by(EVENTS.c.id)).all()
    alone(session, *{f"{event.entity}:{event.record_id}" for event in heard})
    starts: list[Start] = []
    for known in active(session):
        causes = [Cause(event.record_id, _key(event), event) for event in heard if _starts(known, event)]
        starts += _chosen(session, known, causes, utcnow()) if causes else []
    _insert(session, sorted(starts, key=lambda start: (start.cause.event.id, start.known.row.id)))
    session.execute(delete(INBOX).where(INBOX.c.event_id.in_(ids)))
    return len(ids)


def _key(event: Any) -> str:
    return f"{BY_IMPORT if event.via == Via.IMPORT else 'event:'}{event.id}"


def _starts(known: Known, event: Any) -> bool:
    return (
        event.entity == known.row.entity
        and flow_rules.starts(known.flow, event.type, event.changes, event.data)
        and (event.via != Via.IMPORT or bool((known.flow.get("trigger") or {}).get("imports")))
    )


def take_up(session: Session, known: Known, causes: Sequence[Cause], *, now: datetime | None = None) -> list[int]:
    """Start a run for each cause whose record meets the conditions, until the hourly cap pauses the automation; gives the runs that are new.

    A condition that can't be asked is a failed run that says so, never "no match".
    """
    return _insert(session, _chosen(session, known, causes, now or utcnow()))


def begin(
    session: Session, known: Known, record_id: int, trigger_key: str, *, event: Any = None, now: datetime | None = None
) -> int | None:
    """Take up one record; gives the run, None when there is none. The same ``trigger_key`` starts it once."""
    return next(iter(take_up(session, known, [Cause(record_id, trigger_key, event)], now=now)), None)


def pass_over(session: Session, known: Known, causes: Sequence[Cause], why: str) -> list[int]:
    """Note that these causes start nothing, now or later; gives the runs that say so."""
    return _insert(session, [Start(known, cause, FlowState.SKIPPED, why) for cause in new(session, known, causes)])


def _chosen(session: Session, known: Known, causes: Sequence[Cause], now: datetime) -> list[Start]:
    """The runs that these causes shall have, in the order given."""
    told = f"Automations started each other {flow_rules.MAX_CHAIN} times in a row"
    deep = [Start(known, cause, FlowState.SKIPPED, told) for cause in causes if cause.depth > flow_rules.MAX_CHAIN]
    asked = new(session, known, [cause for cause in causes if cause.depth <= flow_rules.MAX_CHAIN])
    fitting, failed = _asked(session, known, asked, now) if asked else ([], [])
    taken, fresh = _taken(session, known, {cause.record_id for cause in fitting}), []
    for cause in fitting:
        if cause.record_id not in taken:
            fresh.append(Start(known, cause))
            taken |= {cause.record_id} if _rests(known) else set()
    return [*deep, *_within_cap(session, known, [*failed, *fresh])]


def new(session: Session, known: Known, causes: Sequence[Cause]) -> list[Cause]:
    """Causes that had no run yet: dates come again with each look at the clock. An event leaves the inbox with its runs and never comes again."""
    keys = {cause.key for cause in causes if cause.event is None}
    if not keys:
        return list(causes)
    had = select(RUNS.c.trigger_key).where(RUNS.c.automation_id == known.row.id, RUNS.c.trigger_key.in_(keys))
    keys = set(session.execute(had).scalars())
    return [cause for cause in causes if cause.key not in keys]


def _rests(known: Known) -> bool:
    """Whether a run that has just begun keeps the next cause from beginning another one for the same record."""
    return bool(int(known.flow.get("rest_days") or 0)) or known.flow.get("reentry") != Reentry.ALWAYS.value


def _taken(session: Session, known: Known, ids: Collection[int]) -> set[int]:
    """Records that may not be taken up now: one run for ever, none beside an open one, a rest of some days."""
    if not ids or not _rests(known):
        return set()
    mine = (RUNS.c.automation_id == known.row.id, RUNS.c.entity == known.row.entity, RUNS.c.record_id.in_(ids))
    taken = select(RUNS.c.record_id).where(*mine, barring(known.flow)).distinct()
    return set(session.execute(taken).scalars())


def _insert(session: Session, starts: Sequence[Start]) -> list[int]:
    """The ids of the runs that are new; they move on in this order."""
    if not starts:
        return []
    now = utcnow()
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    made = insert(RUNS).on_conflict_do_nothing(index_elements=["automation_id", "trigger_key"]).returning(RUNS.c.id)
    db.bump(session, RUNS.name)
    return list(session.execute(made, [_row(start, now) for start in starts]).scalars())


def _row(start: Start, now: datetime) -> dict[str, Any]:
    row, cause, begins = start.known.row, start.cause, start.state in OPEN
    return {
        "automation_id": row.id, "version_number": row.current, "trigger_key": cause.key, "entity": row.entity, "record_id": cause.record_id,
        "state": start.state, "step_id": flow_rules.first(start.known.flow["steps"]) if begins else "",
        "due_at": (start.due_at or now) if begins else None,
        "ended_at": None if begins else now, "attempts": 0, "message": start.message, "depth": cause.depth,
        "cause_id": cause.event.id if cause.event is not None else None, "created_at": now, "updated_at": now, "version": 1,
    }  # fmt: skip


# --- conditions -------------------------------------------------------------------------------------------------------------


def _asked(session: Session, known: Known, causes: Sequence[Cause], now: datetime) -> tuple[list[Cause], list[Start]]:
    """The causes whose records meet the conditions, and failures where they can't be asked: of all at once, or else of each by itself."""
    try:
        with session.begin_nested():
            return _fitting(session, known, causes, now), []
    except Exception as error:
        log.warning("the condition of automation %s failed for %d: %s", known.row.id, len(causes), type(error).__name__)
        if len(causes) == 1 or isinstance(error, CrmError):  # what is wrong with the condition itself is wrong for every record
            told = f"{UNASKED}: {words(error)}"
            _tell(session, known, told)
            return [], [Start(known, cause, FlowState.FAILED, told) for cause in causes]
    each = [_asked(session, known, [cause], now) for cause in causes]
    return [cause for fitting, _ in each for cause in fitting], [start for _, failed in each for start in failed]


def _tell(session: Session, known: Known, told: str) -> None:
    """The owner hears once of each version whose condition can't be asked."""
    notifications.notify(
        session, known.row.owner_id, kind="automation.failed", params={"name": known.row.name, "reason": clip(told, 200)},
        dedupe_key=f"automation-unasked-{known.row.id}-{known.row.current}",
    )  # fmt: skip


def _fitting(session: Session, known: Known, causes: Sequence[Cause], now: datetime) -> list[Cause]:
    table, before = entity(known.row.entity).table, known.flow.get("before")
    clauses = wanted(session, known.actor, known.row.entity, known.flow.get("if"), now)
    ids = {cause.record_id for cause in causes}
    query = select(table if before else table.c.id).where(table.c.id.in_(ids), *clauses).order_by(table.c.id)
    found = {row.id: row for row in session.execute(merges.held(session, known.row.entity, query, table))}
    fitting = [cause for cause in causes if cause.record_id in found]
    return [
        cause
        for cause in fitting
        if not before or cause.event is None or _before(session, known, found[cause.record_id], cause.event)
    ]


def fits(session: Session, known: Known, cause: Cause) -> bool:
    """Whether the record of a cause meets the conditions now. Raises what is wrong with them."""
    return bool(_fitting(session, known, [cause], utcnow()))


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


def _within_cap(session: Session, known: Known, starts: list[Start]) -> list[Start]:
    """As many as the hour still allows; an automation that wants more is paused. Many that an import brings are no mistake: they wait their turn."""
    own = [start for start in starts if not start.cause.imported or start.state is FlowState.FAILED]
    brought = [start for start in starts if start.cause.imported and start.state is not FlowState.FAILED]
    if not own:
        return _paced(session, known, brought)
    room = max(0, known.row.hourly_cap - _lately(session, known))
    session.info["automation_runs_lately"][known.row.id] += len(own[:room])
    if len(own) > room:
        told = f"More than {written(known.row.hourly_cap)} runs within an hour. It was stopped so that you can look whether that is right."
        pause(session, known.row.id, told)
    return [*own[:room], *_paced(session, known, brought)]


def _lately(session: Session, known: Known) -> int:
    """Runs of an automation within the last hour, counted once per transaction and carried on in it. Those of imports have their own pace."""
    counted: Counter[int] = session.info.setdefault("automation_runs_lately", Counter())
    if known.row.id not in counted:
        clause = (*_of_last_hour(known), RUNS.c.trigger_key.not_like(f"{BY_IMPORT}%") | (RUNS.c.state == FlowState.FAILED))
        counted[known.row.id] = session.execute(select(func.count()).select_from(RUNS).where(*clause)).scalar_one()
    return counted[known.row.id]


def _of_last_hour(known: Known) -> tuple[Any, ...]:
    since = utcnow() - timedelta(hours=1)
    return (RUNS.c.automation_id == known.row.id, RUNS.c.created_at > since, RUNS.c.state != FlowState.SKIPPED)


def _paced(session: Session, known: Known, starts: list[Start]) -> list[Start]:
    """What imports bring: as many as the limit of an hour begin at once, the others behind each other, so many an hour."""
    if not starts:
        return []
    imported, cap, now = RUNS.c.trigger_key.like(f"{BY_IMPORT}%"), known.row.hourly_cap, utcnow()
    waits = (
        RUNS.c.automation_id == known.row.id,
        RUNS.c.state == FlowState.WAITING,
        imported,
        ~exists().where(STEPS.c.run_id == RUNS.c.id),
    )
    last = session.execute(select(func.max(RUNS.c.due_at)).where(*waits)).scalar()
    room = 0 if last is not None and last > now else max(0, cap - _begun_lately(session, known, imported))
    later = starts[room:]
    behind = [max(now, last or now) + timedelta(hours=1) * number / cap for number in range(1, len(later) + 1)]
    return [*starts[:room], *(replace(one, state=FlowState.WAITING, due_at=at) for one, at in zip(later, behind, strict=True))]


def _begun_lately(session: Session, known: Known, imported: Any) -> int:
    """Runs of imports that were made within the last hour, and those that were made before and waited for their turn until then."""
    since = utcnow() - timedelta(hours=1)
    made = select(func.count()).select_from(RUNS).where(*_of_last_hour(known), imported)
    first = select(func.min(STEPS.c.at)).where(STEPS.c.run_id == RUNS.c.id).scalar_subquery()
    waited = (
        RUNS.c.automation_id == known.row.id,
        RUNS.c.created_at <= since,
        imported,
        or_(RUNS.c.ended_at.is_(None), RUNS.c.ended_at > since),
    )
    begun = select(func.count()).select_from(RUNS).where(*waited, first > since)
    return int(session.execute(made).scalar_one() + session.execute(begun).scalar_one())
