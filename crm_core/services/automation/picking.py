"""Picking the runs that are due, and keeping them and their records from others. Workers share the work by locking rows and passing over locked ones."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select, tuple_
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from crm_core import db
from crm_core.entities import entity
from crm_core.kit.clock import utcnow
from crm_core.services.automation import flow_rules
from crm_core.services.automation.engine import AUTOMATIONS, OPEN, RUNS, VERSIONS
from crm_core.services.automation.places import COLUMNS, Moving
from crm_core.services.routing import assign
from crm_core.vocabulary import AutomationState

ROUNDS = 5
"""How often to look for further runs when the records of some are kept by others."""


def pick(session: Session, limit: int) -> list[Moving]:
    """The runs to move on now. Those whose record somebody else just writes wait for the next round, and with them every later run of that record."""
    runs: list[Moving] = []
    seen: list[int] = []
    busy: set[tuple[str, int]] = set()
    for _ in range(ROUNDS):
        found = _locked(session, limit - len(runs), seen)
        busy |= _turn_taken(session, found, nowait=bool(seen))
        seen += [run.id for run in found]
        busy |= _busy(session, found)
        busy |= _kept_earlier(session, found, seen)
        free = [run for run in found if (run.entity, run.record_id) not in busy]
        runs += free
        if len(free) == len(found):
            break
    return runs


def due_runs(*columns: Any) -> Select[Any]:
    """Runs that are to move on now; those of a paused automation rest."""
    joined = select(*columns).join(AUTOMATIONS, AUTOMATIONS.c.id == RUNS.c.automation_id)
    return joined.where(RUNS.c.state.in_(OPEN), RUNS.c.due_at <= utcnow(), AUTOMATIONS.c.state == AutomationState.ACTIVE)


def _locked(session: Session, limit: int, seen: Sequence[int]) -> list[Moving]:
    """Runs that are due, kept from other workers."""
    found = due_runs(*COLUMNS).where(RUNS.c.id.not_in(seen)).order_by(RUNS.c.due_at, RUNS.c.id).limit(limit)
    rows = session.execute(found if db.is_sqlite(session) else found.with_for_update(of=RUNS, skip_locked=True))
    return [Moving(*row) for row in rows]


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


def _kept_earlier(session: Session, runs: Sequence[Moving], seen: Sequence[int]) -> set[tuple[str, int]]:
    """Records of these runs of which another worker keeps an earlier run that is due: it may wait for its turn of assignment and come in a moment."""
    if db.is_sqlite(session) or not runs:
        return set()
    mine = {(run.entity, run.record_id): (run.due_at, run.id) for run in reversed(runs)}  # of each record the first
    theirs = due_runs(RUNS.c.entity, RUNS.c.record_id, RUNS.c.due_at, RUNS.c.id).where(
        tuple_(RUNS.c.entity, RUNS.c.record_id).in_(list(mine)), RUNS.c.id.not_in(seen)
    )
    return {
        (row.entity, row.record_id) for row in session.execute(theirs) if (row.due_at, row.id) < mine[row.entity, row.record_id]
    }


def _turn_taken(session: Session, runs: Sequence[Moving], *, nowait: bool) -> set[tuple[str, int]]:
    """If one of these runs may assign by rule, take the lock of whoever assigns before any record, as everybody does who assigns; gives the records
    that have to wait because somebody keeps it. ``nowait``: this transaction has records already, so it may not wait."""
    if db.is_sqlite(session) or not runs:
        return set()
    pairs = {(run.automation_id, run.version_number) for run in runs}
    version = tuple_(VERSIONS.c.automation_id, VERSIONS.c.number)
    flows = session.execute(select(VERSIONS.c.automation_id, VERSIONS.c.number, VERSIONS.c.flow).where(version.in_(pairs)))
    routing = {(row.automation_id, row.number) for row in flows if _routes(row.flow)}
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


def _routes(flow: flow_rules.Flow) -> bool:
    return any(step["kind"] == "route" for step, _ in flow_rules.walk(flow["steps"]))
