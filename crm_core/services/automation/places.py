"""Where runs stand: read, led on behind each step, written back together with the log of their steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlmodel import Session

from crm_core import db
from crm_core.kit.clock import utcnow
from crm_core.services.automation import flow_rules
from crm_core.services.automation.engine import RUNS, end
from crm_core.services.automation.steps.base import Branched, Exit, Waited
from crm_core.services.automation.steps.notes import write_notes
from crm_core.vocabulary import FlowState

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


COLUMNS = [RUNS.c[name] for name in Moving.__dataclass_fields__]


def read(session: Session, ids: Sequence[int]) -> list[Moving]:
    """These runs as they stand now, in the order given; not those that are gone."""
    found = {row.id: Moving(*row) for row in session.execute(select(*COLUMNS).where(RUNS.c.id.in_(ids)))}
    return [found[run_id] for run_id in ids if run_id in found]


def write(session: Session, runs: Sequence[Moving]) -> None:
    """Put down where runs stand now, and the log of their steps."""
    write_notes(session)
    now = utcnow()
    places = [{**run.kept(), "run_id": run.id, "updated_at": now, "version": run.version + 1} for run in runs]
    session.connection().execute(_PLACE, places)
    db.bump(session, RUNS.name)


def key_of(run: Moving, step: Mapping[str, Any]) -> str:
    """The name of this step of this run, for ever."""
    return f"{run.id}:{step['id']}"


def follow(flow: Mapping[str, Any], run: Moving, step: Mapping[str, Any], result: Any) -> None:
    """Lead a run on to where the result of this step leads it."""
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
