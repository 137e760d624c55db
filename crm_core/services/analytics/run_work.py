"""The worker's side of analysis runs: compute with the asker's own eyes, keep the outcome in one transaction, forget old runs."""

import json
import logging
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlmodel import Session

from crm_core import access
from crm_core.access import Actor
from crm_core.db import bump, read_session
from crm_core.errors import CrmError, Unavailable
from crm_core.frames.arrow import pack
from crm_core.jobs import Cancelled, Job, Superseded, job
from crm_core.kit import clock
from crm_core.kit.text import clip
from crm_core.models import AnalysisRun, AnalysisTable
from crm_core.services.analytics import run_keys
from crm_core.services.analytics.methods import Method, Outcome, method
from crm_core.services.collaboration import notifications
from crm_core.vocabulary import Reliance, RunState, Via

log = logging.getLogger("rapport.analytics")

MARKS = "_marks"
WORTH_TELLING = timedelta(seconds=15)
KEEP_DAYS, ARCHIVED_DAYS = 180, 30
_RUNS: Any = AnalysisRun.__table__  # type: ignore[attr-defined]
_TABLES: Any = AnalysisTable.__table__  # type: ignore[attr-defined]


class Refused(Exception):
    """The data can't carry the question; the sentence says what is missing."""


@job("analysis.run", title="Analysis", queue="heavy")
def run_analysis(task: Job, run_id: int) -> None:
    """Compute a run. Killed, it starts again from the top: nothing of it is kept before the end."""
    begun = _begin(task, run_id)
    if begun is None:
        return
    found, actor, params = begun
    try:
        outcome = _compute(task, found, actor, params, run_id)
    except Refused as refusal:
        _end(task, run_id, RunState.REFUSED, str(refusal))
    except (Superseded, Cancelled):
        raise
    except Unavailable as error:
        if not error.permanent:
            raise
        _end(task, run_id, RunState.FAILED, error.message)
        raise
    except Exception as error:
        _end(task, run_id, RunState.FAILED, f"A fault in the program ({type(error).__name__}); the worker's log holds the details.")
        raise
    else:
        _keep(task, run_id, outcome)


def _begin(task: Job, run_id: int) -> tuple[Method, Actor, dict[str, Any]] | None:
    with task.transaction() as session:
        run = session.get(AnalysisRun, run_id)
        if run is None or run.archived_at is not None or run.state in (RunState.DONE, RunState.REFUSED):
            return None
        run.state, run.started_at = RunState.RUNNING, clock.utcnow()
        session.add(run)
        problem = ""
        try:
            found = method(run.kind)
            actor = access.load(session, run.requested_by or 0, via=Via.WORKER)
            if run_keys.scope(session, actor, found, run.params) != run.scope:
                problem = "What you may see has changed since you asked. Run it again."
        except CrmError as error:
            problem = error.message
        if problem:
            run.state, run.verdict, run.finished_at = RunState.FAILED, problem, clock.utcnow()
            return None
        return found, actor, dict(run.params)


def _compute(task: Job, found: Method, actor: Actor, params: dict[str, Any], run_id: int) -> Outcome:
    from ml.errors import DataError

    def report(share: float, words: str = "") -> None:
        task.report(int(max(0.0, min(1.0, share)) * 100), 100, words)

    with read_session() as session:
        as_of = run_keys.end_of(session.get_one(AnalysisRun, run_id).as_of, actor.timezone)
        report(0.0, "Reading the data")
        try:
            return found.compute(session, actor, params, as_of, report)
        except DataError as error:
            raise Refused(sentence(error)) from error
        except Unavailable:
            raise
        except CrmError as error:
            raise Refused(error.message) from error


def sentence(error: Any) -> str:
    """A refusal of the mathematics in words."""
    return f"This needs {error.needed}; found: {error.found}."


def _keep(task: Job, run_id: int, outcome: Outcome) -> None:
    packed = {name: (len(frame), pack(frame)) for name, frame in outcome.tables.items()}
    if len(outcome.marks):
        packed[MARKS] = (len(outcome.marks), pack(_marks_frame(outcome)))
    with task.transaction() as session:
        session.execute(delete(_TABLES).where(_TABLES.c.run_id == run_id))
        for name, (rows, data) in packed.items():
            session.add(AnalysisTable(run_id=run_id, name=name, rows=rows, data=data))
        run = session.get_one(AnalysisRun, run_id)
        run.verdict, run.reliable = outcome.verdict, Reliance(outcome.reliable)
        run.result = _jsonable(
            {"summary": outcome.summary, "missing": outcome.missing, "sql": outcome.sql, "python": outcome.python}
        )
        run.warnings = list(outcome.warnings)
        run.state, run.finished_at = RunState.DONE, clock.utcnow()
        session.add(run)
        _tell(session, run, "analysis.finished")
        task.report(100, 100, "")


def _tell(session: Session, run: AnalysisRun, kind: str) -> None:
    """The asker hears of what took long enough to walk away from."""
    if run.finished_at is None or run.finished_at - run.created_at < WORTH_TELLING:
        return
    found = method(run.kind)
    params = {"name": run.name or found.title, "page": found.page or found.kind, **found.address(run.id)}
    notifications.notify(session, run.requested_by, kind=kind, params=params, dedupe_key=f"analysis:{run.id}:{kind}")


def _marks_frame(outcome: Outcome) -> Any:
    import pandas as pd

    columns = ["kind", "entity", "record_id", "number", "label", "detail"]
    if isinstance(outcome.marks, pd.DataFrame):
        frame = outcome.marks.reindex(columns=columns)
    else:
        frame = pd.DataFrame([[getattr(mark, name) for name in columns] for mark in outcome.marks], columns=columns)
    frame["number"] = pd.to_numeric(frame["number"]).astype(float)
    return frame


def _jsonable(value: Any) -> Any:
    """What numpy and dates leave behind, as plain JSON; a number that is none becomes nothing."""
    text = json.dumps(value, default=_plain)
    return json.loads(text, parse_constant=lambda _: None)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _end(task: Job, run_id: int, state: RunState, words: str) -> None:
    with task.transaction() as session:
        run = session.get(AnalysisRun, run_id)
        if run is not None:
            run.state, run.verdict, run.finished_at = state, clip(words, 2000), clock.utcnow()
            session.add(run)
            _tell(session, run, "analysis.failed")


@job("analysis.forget", title="Remove old analysis runs", cron="15 4 * * *")
def forget(task: Job) -> None:
    """Nightly: archived runs after a month; runs that nobody named or published after half a year."""
    with task.transaction() as session:
        _forget(session)


def _forget(session: Session) -> int:
    now = clock.utcnow()
    old = (_RUNS.c.archived_at < now - timedelta(days=ARCHIVED_DAYS)) | (
        (_RUNS.c.name == "") & _RUNS.c.published_at.is_(None) & (_RUNS.c.created_at < now - timedelta(days=KEEP_DAYS))
    )
    ids = list(session.execute(select(_RUNS.c.id).where(old)).scalars())
    for start in range(0, len(ids), 500):
        session.execute(delete(_RUNS).where(_RUNS.c.id.in_(ids[start : start + 500])))
    if ids:
        bump(session, "analysis_run")
    return len(ids)
