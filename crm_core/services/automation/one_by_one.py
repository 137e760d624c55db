"""Moving runs on one by one: a failure costs the step that failed, and nothing else."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from traceback import format_tb
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from crm_core import db, records
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.errors import CrmError, Unavailable
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clip
from crm_core.services.automation import flow_rules, places, steps
from crm_core.services.automation.engine import AUTOMATIONS, OPEN, STEPS_AT_ONCE, VERSIONS, end, owner_of, words
from crm_core.services.automation.places import Moving
from crm_core.services.automation.sight import wanted
from crm_core.services.automation.steps.base import Branched, Context, Done, Later, Skipped, Waited
from crm_core.services.automation.steps.notes import forget_notes, note
from crm_core.services.automation.steps.outreach import ended
from crm_core.services.collaboration import halts, notifications
from crm_core.vocabulary import AutomationState, FlowState, HaltKind, StepOutcome

log = logging.getLogger("rapport.automation")

SOON = 5
"""Seconds until a run goes on that only met somebody else at the same rows."""

SECONDS_AT_ONCE = 1.0
"""So long, or one run longer, others wait for the runs and records of a transaction, however slow the machine is."""

AGAIN_AFTER = (60, 300, 1800, 7200)
"""Seconds until a step that failed for a passing reason is tried again; after the last one the run has failed."""


@dataclass(frozen=True)
class Program:
    """What a run follows: its automation, the flow of its version, the person it acts for (None: it rests)."""

    automation: Any
    flow: Mapping[str, Any]
    actor: Actor | None


@dataclass(frozen=True)
class Over:
    """The run ends before this step."""

    state: FlowState
    message: str


@dataclass
class OneByOne:
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
        with knowing(self.session):
            for count, run in enumerate(self.runs, start=1):
                try:
                    with self.session.begin_nested():
                        if (run.entity, run.record_id) in self.put_off:
                            self.later(run)
                        else:
                            self.go(run)
                        self.session.flush()
                        places.write(self.session, [run])
                except Exception as error:
                    self.give_up(run, error)
                if time.monotonic() - began > SECONDS_AT_ONCE:
                    return count
        return len(self.runs)

    def give_up(self, run: Moving, error: Exception) -> None:
        """Something beside its steps went wrong with a run: it ends there, or comes again soon when others were only in the way."""
        forget_notes(self.session)
        (fresh,) = places.read(self.session, [run.id])
        if db.busy(error):
            self.later(fresh)
        else:
            log.error("run %s broke off: %s", run.id, trouble(error))
            self.failed_for_good(fresh, words(error))
        places.write(self.session, [fresh])

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

    def go(self, run: Moving) -> None:
        program = self.program(run)
        if program.actor is None or program.automation.state is not AutomationState.ACTIVE or run.state not in OPEN:
            return
        self.session.info["cause"] = (run.cause_id, run.depth)
        try:
            for _ in range(STEPS_AT_ONCE):
                if run.state not in OPEN or (run.due_at is not None and run.due_at > utcnow()) or self.stopped():
                    return
                self.step(run, program, program.actor)
        finally:
            self.session.info.pop("cause", None)

    def stopped(self) -> bool:
        """Whether somebody stopped all automations meanwhile. On SQLite nobody can while this transaction writes."""
        return not db.is_sqlite(self.session) and halts.halted(self.session, HaltKind.AUTOMATIONS)

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
        if isinstance(result, Over):
            return end(run, result.state, result.message)
        if isinstance(result, Later):
            run.state, run.due_at, run.message = FlowState.WAITING, result.until, f"Waits for {result.why}"
            return None
        message = ("Yes" if result.yes else "No") if isinstance(result, Branched) else result.message
        outcome = StepOutcome.SKIPPED if isinstance(result, Skipped) else StepOutcome.DONE
        until = result.until if isinstance(result, Waited) else None
        cost = result.amount_minor if isinstance(result, Done) else None
        note(self.session, run, step, places.key_of(run, step), outcome, message, until, cost)
        run.attempts, run.due_at, run.message = 0, utcnow(), ""
        places.follow(program.flow, run, step, result)
        return None

    def take(self, run: Moving, program: Program, actor: Actor, step: Mapping[str, Any]) -> Any:
        if (run.id, step["id"]) in self.failed:
            raise self.failed[run.id, step["id"]]
        record = self.record(run, actor)
        if record is None:
            return Over(FlowState.STOPPED, "The record is gone, or no longer shared with the owner of the automation")
        automation = program.automation
        context = Context(
            self.session, actor, automation.id, automation.name, run.entity, record, places.key_of(run, step), utcnow()
        )
        if why := ended(context, program.flow, self.began):
            return Over(FlowState.DONE, why)
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
            log.error("step %s of run %s failed: %s", step["id"], run.id, trouble(error))
        note(self.session, run, step, f"{places.key_of(run, step)}:{run.version}:{run.attempts}", StepOutcome.FAILED, told)
        if passing and run.attempts <= len(AGAIN_AFTER):
            run.due_at, run.message = utcnow() + timedelta(seconds=AGAIN_AFTER[run.attempts - 1]), clip(told, 500)
            return None
        return self.failed_for_good(run, told)


@contextmanager
def knowing(session: Session) -> Iterator[None]:
    """Remember for these steps which records may be linked to."""
    session.info[records.LINKABLE] = set()
    try:
        yield
    finally:
        session.info.pop(records.LINKABLE, None)


def trouble(error: Exception) -> str:
    """What went wrong and where, for the log. Not the words of a database's error: they hold what customers entered."""
    said = "" if isinstance(error, SQLAlchemyError) else f": {error}"
    return f"{type(error).__name__}{said}\n{''.join(format_tb(error.__traceback__))}"
