"""Moving runs on. Every step takes effect in the transaction that also moves the run behind it, so it happens once or not at all.

Many runs go together inside one savepoint: their records are read at once, their places and logs written at once. As soon as one step fails,
all of that is taken back and they go one by one, each step inside a savepoint of its own: then a failure costs that step alone. What leaves
the database (mail, web calls) waits in tables with a key of its own.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlmodel import Session

from crm_core import records
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.models import Event
from crm_core.services.automation import places
from crm_core.services.automation.one_by_one import SECONDS_AT_ONCE, OneByOne, Program, knowing, trouble
from crm_core.services.automation.picking import pick
from crm_core.services.automation.places import Moving
from crm_core.services.automation.sight import wanted
from crm_core.services.automation.steps.notes import forget_notes
from crm_core.services.collaboration import halts
from crm_core.vocabulary import HaltKind

log = logging.getLogger("rapport.automation")

RUNS_AT_ONCE = 50


class _Stumbled(Exception):
    """A step failed while runs went together."""

    def __init__(self, run_id: int, step_id: str) -> None:
        super().__init__(f"step {step_id} of run {run_id}")
        self.at = (run_id, step_id)


def advance(session: Session, limit: int = RUNS_AT_ONCE) -> int:
    """Move the runs that are due on, the longest due first, for about a second; gives how many. Runs of a paused automation rest.

    Locks are taken in one order: runs, the turn of assignment, records. Nobody is waited for but whoever assigns at this moment.
    """
    runs = [] if halts.halted(session, HaltKind.AUTOMATIONS) else pick(session, limit)
    if not runs:
        return 0
    ids = [run.id for run in runs]
    try:
        with session.begin_nested():
            return _Together(session, runs).move()
    except Exception as error:
        failed = {error.at: error.__cause__} if isinstance(error, _Stumbled) else {}
        log.debug("runs go one by one: %s", type(error).__name__)
        if not isinstance(error, (_Stumbled, OperationalError)):
            log.error("runs could not go together: %s", trouble(error))
        forget_notes(session)
        return OneByOne(session, places.read(session, ids), failed).move()


@dataclass
class _Together(OneByOne):
    """The quick way: everything is read once and written once, and nothing may fail. ``seen``: records with the version that was read."""

    seen: dict[tuple[str, int, int | None], tuple[Any, int]] = field(default_factory=dict)

    def move(self) -> int:
        began, moved = time.monotonic(), []
        with knowing(self.session):
            self.look()
            for run in self.runs:
                self.go(run)
                moved.append(run)
                if time.monotonic() - began > SECONDS_AT_ONCE:
                    break
            self.session.flush()
            places.write(self.session, moved)
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
        # a step changed it, perhaps who may see it, or has just made it to be seen
        self.session.info[records.LINKABLE].discard(key)
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
        raise _Stumbled(run.id, step["id"]) from error
