"""Moving runs on. Every step takes effect in the transaction that also moves the run behind it, so it happens once or not at all.

Many runs go together inside one savepoint: their records are read at once, their places and logs written at once. As soon as one step fails,
all of that is taken back and they go one by one, each step inside a savepoint of its own: then a failure costs that step alone. What leaves
the database (mail, web calls) waits in tables with a key of its own. Workers share the work by locking rows and passing over locked ones.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from traceback import format_tb
from typing import Any

from sqlalchemy import bindparam, select, tuple_, update
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlmodel import Session

from crm_core import db, records
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.errors import CrmError, Unavailable
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.models import Event
from crm_core.services.automation import flow_rules, steps
from crm_core.services.automation.engine import AUTOMATIONS, OPEN, RUNS, STEPS_AT_ONCE, VERSIONS, end, owner_of, words
from crm_core.services.automation.sight import wanted
from crm_core.services.automation.steps.base import Branched, Context, Exit, Later, Skipped, Waited
from crm_core.services.automation.steps.notes import forget_notes, note, write_notes
from crm_core.services.automation.steps.outreach import ended
from crm_core.services.collaboration import notifications
from crm_core.services.routing import assign
from crm_core.vocabulary import AutomationState, FlowState, StepOutcome

log = logging.getLogger("rapport.automation")

RUNS_AT_ONCE = 50
ROUNDS = 5
"""How often to look for further runs when the records of some are kept by others."""

SOON = 5
"""Seconds until a run goes on that only met somebody else at the same rows."""

SECONDS_AT_ONCE = 1.0
"""So long, or one run longer, others wait for the runs and records of a transaction, however slow the machine is."""

AGAIN_AFTER = (60, 300, 1800, 7200)
"""Seconds until a step that failed for a passing reason is tried again; after the last one the run has failed."""
_KEPT = ("state", "step_id", "due_at", "ended_at", "attempts", "message")
_PLACE = (
    update(RUNS)
    .where(RUNS.c.id == bindparam("run_id"))
    .values({name: bindparam(name) for name in (*_KEPT, "updated_at", "version")})
)


@dataclass
class Moving:
    """A run while it is moved on; written back when it stands still."""

    id: int
    automation_id: int
    version_number: int
    entity: str
    record_id: int
    state: FlowState
    step_id: str
    due_at: datetime | None
    ended_at: datetime | None
    attempts: int
    message: str
    cause_id: int | None
    depth: int
    version: int

    def kept(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _KEPT}


@dataclass(frozen=True)
class Program:
    """What a run follows: its automation, the flow of its version, the person it acts for (None: it rests)."""

    automation: Any
    flow: Mapping[str, Any]
    actor: Actor | None


class Stumbled(Exception):
    """A step failed while runs went together."""

    def __init__(self, run_id: int, step_id: str) -> None:
        super().__init__(f"step {step_id} of run {run_id}")
        self.at = (run_id, step_id)


def advance(session: Session, limit: int = RUNS_AT_ONCE) -> int:
    """Move the runs that are due on, the longest due first, for about a second; gives how many. Runs of a paused automation rest.

    Locks are taken in one order: runs, the turn of assignment, records. Nobody is waited for but whoever assigns at this moment.
    """
    runs = _due(session, limit)
    if not runs:
        return 0
    ids = [run.id for run in runs]
    try:
        with session.begin_nested():
            return _Together(session, runs).move()
    except Exception as error:
        failed = {error.at: error.__cause__} if isinstance(error, Stumbled) else {}
        log.info("runs go one by one: %s", type(error).__name__)
        if not isinstance(error, (Stumbled, OperationalError)):
            log.error("runs could not go together: %s", _trouble(error))
        forget_notes(session)
        return _OneByOne(session, _read(session, ids), failed).move()


def _due(session: Session, limit: int) -> list[Moving]:
    """The runs to move on now. Those whose record somebody else just writes wait for the next round, and with them every later run of that record."""
    runs: list[Moving] = []
    seen: list[int] = []
    busy: set[tuple[str, int]] = set()
    for _ in range(ROUNDS):
        found = _read(session, _locked(session, limit - len(runs), seen))
        busy |= _turn_taken(session, found, nowait=bool(seen))
        seen += [run.id for run in found]
        busy |= _busy(session, found)
        free = [run for run in found if (run.entity, run.record_id) not in busy]
        runs += free
        if len(free) == len(found):
            break
    return runs


def _locked(session: Session, limit: int, seen: Sequence[int]) -> list[int]:
    """Runs that are due, kept from other workers."""
    due = (
        select(RUNS.c.id)
        .join(AUTOMATIONS, AUTOMATIONS.c.id == RUNS.c.automation_id)
        .where(RUNS.c.state.in_(OPEN), RUNS.c.due_at <= utcnow(), AUTOMATIONS.c.state == AutomationState.ACTIVE)
        .order_by(RUNS.c.due_at, RUNS.c.id)
        .limit(limit)
    )
    due = due.where(RUNS.c.id.not_in(seen)) if seen else due
    return list(session.execute(due if db.is_sqlite(session) else due.with_for_update(of=RUNS, skip_locked=True)).scalars())


def _busy(session: Session, runs: Sequence[Moving]) -> set[tuple[str, int]]:
    """Keep others from changing the records of these runs; gives those that somebody else keeps already. One that is gone is nobody's."""
    busy: set[tuple[str, int]] = set()
    if db.is_sqlite(session):
        return busy
    for key in sorted({run.entity for run in runs}):
        column = entity(key).table.c.id
        ids = {run.record_id for run in runs if run.entity == key}
        mine = select(column).where(column.in_(ids)).order_by(column).with_for_update(key_share=True, skip_locked=True)
        if missing := ids - set(session.execute(mine).scalars()):
            busy |= {(key, record_id) for record_id in session.execute(select(column).where(column.in_(missing))).scalars()}
    return busy


def _turn_taken(session: Session, runs: Sequence[Moving], *, nowait: bool) -> set[tuple[str, int]]:
    """If one of these runs may assign by rule, take the lock of whoever assigns before any record, as everybody does who assigns; gives the records
    that have to wait because somebody keeps it. ``nowait``: this transaction has records already, so it may not wait."""
    if db.is_sqlite(session) or not runs:
        return set()
    pairs = {(run.automation_id, run.version_number) for run in runs}
    version = tuple_(VERSIONS.c.automation_id, VERSIONS.c.number)
    flows = session.execute(select(VERSIONS.c.automation_id, VERSIONS.c.number, VERSIONS.c.flow).where(version.in_(pairs)))
    routing = {(row.automation_id, row.number) for row in flows if '"route"' in json.dumps(row.flow)}
    if not routing:
        return set()
    try:
        with session.begin_nested():
            assign.lock(session, nowait=nowait)
    except DBAPIError as error:
        if not db.busy(error):
            raise
        return {(run.entity, run.record_id) for run in runs if (run.automation_id, run.version_number) in routing}
    return set()


def _read(session: Session, ids: Sequence[int]) -> list[Moving]:
    columns = [RUNS.c[name] for name in Moving.__dataclass_fields__]
    found = {row.id: Moving(**row._mapping) for row in session.execute(select(*columns).where(RUNS.c.id.in_(ids)))}
    return [found[run_id] for run_id in ids if run_id in found]


@dataclass
class _OneByOne:
    """The careful way: each record is read before each step, each step inside a savepoint. ``failed``: steps that need not fail once more."""

    session: Session
    runs: list[Moving]
    failed: Mapping[tuple[int, str], Any] = field(default_factory=dict)
    programs: dict[tuple[int, int], Program] = field(default_factory=dict)
    began: datetime = field(default_factory=utcnow)
    put_off: set[tuple[str, int]] = field(default_factory=set)
    """Records whose run met somebody else's lock: what comes later for them waits as long, so that it stays later."""

    def move(self) -> int:
        """Take the runs up to where they stand still; gives how many, since whoever waits for these rows shall not wait for long."""
        began = time.monotonic()
        with _knowing(self.session):
            for count, run in enumerate(self.runs, start=1):
                try:
                    with self.session.begin_nested():
                        if (run.entity, run.record_id) in self.put_off:
                            self.later(run)
                        else:
                            self.go(run)
                        self.session.flush()
                        self.write([run])
                except Exception as error:
                    self.give_up(run, error)
                if time.monotonic() - began > SECONDS_AT_ONCE:
                    return count
        return len(self.runs)

    def give_up(self, run: Moving, error: Exception) -> None:
        """Something beside its steps went wrong with a run: it ends there, or comes again soon when others were only in the way."""
        forget_notes(self.session)
        (fresh,) = _read(self.session, [run.id])
        if db.busy(error):
            self.later(fresh)
        else:
            log.error("run %s broke off: %s", run.id, _trouble(error))
            self.failed_for_good(fresh, words(error))
        self.write([fresh])

    def later(self, run: Moving) -> None:
        """Somebody else's work is in the way for a moment."""
        self.put_off.add((run.entity, run.record_id))
        run.due_at = utcnow() + timedelta(seconds=SOON)

    def failed_for_good(self, run: Moving, told: str) -> None:
        """End a run as failed and tell the owner of its automation."""
        end(run, FlowState.FAILED, told)
        row = self.session.execute(
            select(AUTOMATIONS.c.name, AUTOMATIONS.c.owner_id).where(AUTOMATIONS.c.id == run.automation_id)
        ).one()
        notifications.notify(
            self.session, row.owner_id, kind="automation.failed", params={"name": row.name, "reason": clip(told, 200)},
            dedupe_key=f"automation-failed-{run.id}-{run.version}",
        )  # fmt: skip
        self.session.flush()

    def write(self, runs: Sequence[Moving]) -> None:
        """Put down where runs stand now, and the log of their steps."""
        write_notes(self.session)
        now = utcnow()
        places = [{**run.kept(), "run_id": run.id, "updated_at": now, "version": run.version + 1} for run in runs]
        self.session.connection().execute(_PLACE, places)
        db.bump(self.session, RUNS.name)

    def go(self, run: Moving) -> None:
        program = self.program(run)
        if program.actor is None or program.automation.state is not AutomationState.ACTIVE or run.state not in OPEN:
            return
        self.session.info["cause"] = (run.cause_id, run.depth)
        try:
            for _ in range(STEPS_AT_ONCE):
                if run.state not in OPEN or (run.due_at is not None and run.due_at > utcnow()):
                    return
                self.step(run, program, program.actor)
        finally:
            self.session.info.pop("cause", None)

    def program(self, run: Moving) -> Program:
        """Read once per transaction."""
        key = (run.automation_id, run.version_number)
        if key not in self.programs:
            automation = self.session.execute(select(AUTOMATIONS).where(AUTOMATIONS.c.id == key[0])).one()
            flow = select(VERSIONS.c.flow).where(VERSIONS.c.automation_id == key[0], VERSIONS.c.number == key[1])
            self.programs[key] = Program(automation, self.session.execute(flow).scalar_one(), owner_of(self.session, automation))
        return self.programs[key]

    def step(self, run: Moving, program: Program, actor: Actor) -> None:
        step = flow_rules.find(program.flow["steps"], run.step_id) if run.step_id else None
        if step is None:
            return end(run, FlowState.DONE, "")
        try:
            with self.guard():
                result = self.take(run, program, actor, step)
        except Exception as error:
            return self.fail(run, program, step, error)
        if isinstance(result, _Over):
            return end(run, result.state, result.message)
        if isinstance(result, Later):
            run.state, run.due_at = FlowState.WAITING, result.until
            return None
        message = ("Yes" if result.yes else "No") if isinstance(result, Branched) else result.message
        outcome = StepOutcome.SKIPPED if isinstance(result, Skipped) else StepOutcome.DONE
        until = result.until if isinstance(result, Waited) else None
        note(self.session, run, step, _key(run, step), outcome, message, until)
        run.attempts, run.due_at = 0, utcnow()
        _follow(program.flow, run, step, result)
        return None

    def take(self, run: Moving, program: Program, actor: Actor, step: Mapping[str, Any]) -> Any:
        if (run.id, step["id"]) in self.failed:
            raise self.failed[run.id, step["id"]]
        record = self.record(run, actor)
        if record is None:
            return _Over(FlowState.STOPPED, "The record is gone, or no longer shared with the owner of the automation")
        automation = program.automation
        context = Context(self.session, actor, automation.id, automation.name, run.entity, record, _key(run, step), utcnow())
        if why := ended(context, program.flow, self.began):
            return _Over(FlowState.DONE, why)
        self.session.info[db.SEEN] = {}  # what one step asks for twice is read once
        try:
            result = steps.kind(step["kind"]).run(context, step)
        finally:
            self.session.info.pop(db.SEEN, None)
        self.settle(run, actor)
        return result

    @contextmanager
    def guard(self) -> Iterator[None]:
        self.session.info[records.LINKABLE].clear()
        with self.session.begin_nested():
            yield

    def settle(self, run: Moving, actor: Actor) -> None:
        self.session.flush()

    def record(self, run: Moving, actor: Actor) -> Any:
        """The record as it is now, if the owner of the automation sees it."""
        found = entity(run.entity)
        mine = select(found.model).where(found.table.c.id == run.record_id, *wanted(self.session, actor, found.key, None))
        return self.session.execute(mine.execution_options(populate_existing=True)).scalar()

    def fail(self, run: Moving, program: Program, step: Mapping[str, Any], error: Exception) -> None:
        """Try again later when the reason may pass; else the run has failed, visibly, and waits for a person."""
        if db.busy(error):  # others were in the way, which is no attempt
            return self.later(run)
        told, run.attempts = words(error), run.attempts + 1
        passing = not isinstance(error, CrmError) or (isinstance(error, Unavailable) and not error.permanent)
        if not isinstance(error, CrmError):
            log.error("step %s of run %s failed: %s", step["id"], run.id, _trouble(error))
        note(self.session, run, step, f"{_key(run, step)}:{run.version}:{run.attempts}", StepOutcome.FAILED, told)
        if passing and run.attempts <= len(AGAIN_AFTER):
            run.due_at, run.message = utcnow() + timedelta(seconds=AGAIN_AFTER[run.attempts - 1]), clip(told, 500)
            return None
        return self.failed_for_good(run, told)


@dataclass
class _Together(_OneByOne):
    """The quick way: everything is read once and written once, and nothing may fail. ``seen``: records with the version that was read."""

    seen: dict[tuple[str, int, int | None], tuple[Any, int]] = field(default_factory=dict)

    def move(self) -> int:
        began, moved = time.monotonic(), []
        with _knowing(self.session):
            self.look()
            for run in self.runs:
                self.go(run)
                moved.append(run)
                if time.monotonic() - began > SECONDS_AT_ONCE:
                    break
            self.session.flush()
            self.write(moved)
        return len(moved)

    def look(self) -> None:
        """Read the records of all runs, as the owners of their automations see them."""
        groups: dict[tuple[str, int | None], tuple[Actor, set[int]]] = {}
        for run in self.runs:
            actor = self.program(run).actor
            if actor is not None:
                groups.setdefault((run.entity, actor.user_id), (actor, set()))[1].add(run.record_id)
        for (key, user_id), (actor, ids) in groups.items():
            found = entity(key)
            mine = select(found.model).where(found.table.c.id.in_(ids), *wanted(self.session, actor, key, None))
            for record in self.session.execute(mine.execution_options(populate_existing=True)).scalars():
                self.seen[key, record.id, user_id] = (record, record.version)
                self.session.info[records.LINKABLE].add((key, record.id, user_id))

    @contextmanager
    def guard(self) -> Iterator[None]:
        yield

    def settle(self, run: Moving, actor: Actor) -> None:
        """Events alone may wait: whoever reads the log flushes them first."""
        if self.session.dirty or self.session.deleted or any(not isinstance(one, Event) for one in self.session.new):
            self.session.flush()

    def record(self, run: Moving, actor: Actor) -> Any:
        key = (run.entity, run.record_id, actor.user_id)
        known, version = self.seen.get(key, (None, 0))
        if known is not None and known.version == version:
            return known
        self.session.info[records.LINKABLE].discard(
            key
        )  # a step changed it, perhaps who may see it, or has just made it to be seen
        record = super().record(run, actor)
        if record is None:
            self.seen.pop(key, None)
        else:
            self.seen[key] = (record, record.version)
            self.session.info[records.LINKABLE].add(key)
        return record

    def fail(self, run: Moving, program: Program, step: Mapping[str, Any], error: Exception) -> None:
        if isinstance(error, SQLAlchemyError):  # perhaps not of this step: others wrote at the same moment
            raise error
        raise Stumbled(run.id, step["id"]) from error


@dataclass(frozen=True)
class _Over:
    """The run ends before this step."""

    state: FlowState
    message: str


@contextmanager
def _knowing(session: Session) -> Iterator[None]:
    """Remember for these steps which records may be linked to."""
    session.info[records.LINKABLE] = set()
    try:
        yield
    finally:
        session.info.pop(records.LINKABLE, None)


def _trouble(error: Exception) -> str:
    """What went wrong and where, for the log. Not the words of a database's error: they hold what customers entered."""
    said = "" if isinstance(error, SQLAlchemyError) else f": {error}"
    return f"{type(error).__name__}{said}\n{''.join(format_tb(error.__traceback__))}"


def _key(run: Moving, step: Mapping[str, Any]) -> str:
    """The name of this step of this run, for ever."""
    return f"{run.id}:{step['id']}"


def _follow(flow: Mapping[str, Any], run: Moving, step: Mapping[str, Any], result: Any) -> None:
    if isinstance(result, Exit):
        return end(run, FlowState.DONE, result.message)
    if isinstance(result, Branched):
        run.step_id = flow_rules.into(flow["steps"], step["id"], "yes" if result.yes else "no")
    else:
        run.step_id = flow_rules.after(flow["steps"], step["id"])
    if isinstance(result, Waited) and result.until > utcnow():
        run.state, run.due_at = FlowState.WAITING, result.until
    elif not run.step_id:
        end(run, FlowState.DONE, "")
    else:
        run.state = FlowState.RUNNING
    return None
