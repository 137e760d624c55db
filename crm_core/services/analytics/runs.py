"""Analysis runs: asked for once, computed in the worker, kept with parameters and evidence, seen by those who may see the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db, jobs
from crm_core.access import Actor, require
from crm_core.entities import label_of
from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.kit.text import clean
from crm_core.models import AnalysisRun, AnalysisTable, User
from crm_core.services.analytics import run_keys
from crm_core.services.analytics.methods import Method, method
from crm_core.vocabulary import Action, Reliance, RunState

if TYPE_CHECKING:
    import pandas as pd

_RUNS: Any = AnalysisRun.__table__  # type: ignore[attr-defined]
_TABLES: Any = AnalysisTable.__table__  # type: ignore[attr-defined]
_USERS: Any = User.__table__  # type: ignore[attr-defined]
OLDEST = date(1970, 1, 1)


@dataclass(frozen=True)
class Run:
    """A run as people see it. ``current``: nothing that it read has changed since; ``waits``: why nothing happens yet; ``share``: part that is done."""

    id: int
    kind: str
    title: str
    params: Mapping[str, Any]
    as_of: date
    state: RunState
    verdict: str
    reliable: Reliance | None
    summary: Mapping[str, Any]
    warnings: tuple[str, ...]
    missing: tuple[str, ...]
    sql: str
    python: str
    tables: Mapping[str, int]
    asked_by: str
    asked_at: datetime
    finished_at: datetime | None
    published_at: datetime | None
    code_version: str
    current: bool
    mine: bool
    may_manage: bool
    named: bool
    marks: int = 0
    waits: str = ""
    share: float | None = None
    step: str = ""

    @property
    def active(self) -> bool:
        return self.state in (RunState.QUEUED, RunState.RUNNING)


@dataclass(frozen=True)
class RunRow:
    """A run in a list to choose from."""

    id: int
    title: str
    state: RunState
    as_of: date
    asked_by: str
    asked_at: datetime
    reliable: Reliance | None
    published: bool
    params: Mapping[str, Any] = field(default_factory=dict)


# --- asking ------------------------------------------------------------------------------------------------------------------


def request(session: Session, actor: Actor, kind: str, params: Mapping[str, Any] | None = None, as_of: date | None = None) -> int:
    """Ask for an analysis; returns the id of its run at once. The same question over the same rows and data is the same run.

    The worker computes it with the asker's own permissions. Raises NotPermitted when the asker may not read what it is about.
    """
    wanted = _method(actor, kind)
    chosen = wanted.normalise(params or {}, session, actor)
    day = as_of or clock.today(actor.timezone)
    if not OLDEST <= day <= clock.today(actor.timezone):
        raise Invalid(fields={"as_of": "The day must not lie in the future." if day > OLDEST else "The day lies too far back."})
    reach = run_keys.scope(session, actor, wanted, chosen)
    versions = run_keys.data_versions(session, wanted, chosen)
    key = run_keys.key(wanted, chosen, reach, day, versions)
    run = _new_or_known(session, actor, wanted, key, params=chosen, scope=reach, data_versions=versions, as_of=day)
    if run.state is RunState.FAILED or (run.state in (RunState.QUEUED, RunState.RUNNING) and not _has_work(session, run)):
        _enqueue(session, actor, run, wanted)
    return run.id


def _method(actor: Actor, kind: str) -> Method:
    """The method, if the actor may read everything that it is about."""
    require(actor, "analytics", Action.READ)
    found = method(kind)
    for entity in found.entities:
        require(actor, entity, Action.READ)
    return found


def _new_or_known(session: Session, actor: Actor, wanted: Method, key: str, **values: Any) -> AnalysisRun:
    now = clock.utcnow()
    row = {
        "kind": wanted.kind, "name": "", "key": key, "code_version": run_keys.code_version(wanted), "requested_by": actor.user_id,
        "state": RunState.QUEUED, "job_id": "", "verdict": "", "result": {}, "warnings": [], "created_at": now, "updated_at": now,
        "version": 1, **values,
    }  # fmt: skip
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    session.execute(insert(_RUNS).values(**row).on_conflict_do_nothing(index_elements=["key"]))
    db.bump(session, "analysis_run")
    return session.execute(select(AnalysisRun).where(_RUNS.c.key == key)).scalars().one()


def _has_work(session: Session, run: AnalysisRun) -> bool:
    job = jobs.status(session, run.job_id) if run.job_id else None
    return job is not None and job.active


def _enqueue(session: Session, actor: Actor, run: AnalysisRun, wanted: Method) -> None:
    run.job_id = f"analysis.run:{run.id}:{run.version}"
    run.state, run.requested_by, run.verdict = RunState.QUEUED, actor.user_id, ""
    session.add(run)
    session.flush()
    jobs.enqueue(
        session, "analysis.run", run.id, job_id=run.job_id, title=f"Analysis: {wanted.title}", user_id=actor.user_id, queue="heavy"
    )


# --- reading -----------------------------------------------------------------------------------------------------------------


def get(session: Session, actor: Actor, run_id: int, kind: str | None = None) -> Run:
    """One run with its result. NotFound for whoever would see other rows than the run has seen."""
    run = _own(session, actor, run_id)
    if kind is not None and run.kind != kind:
        raise NotFound("There is no such run.")
    return _view(session, actor, run)


def find(session: Session, actor: Actor, kind: str, *, limit: int = 50) -> list[RunRow]:
    """The runs of a kind that the actor may see, the latest first; named and published ones stay in front of the limit."""
    wanted = _method(actor, kind)
    columns = [_RUNS.c[name] for name in ("id", "name", "state", "as_of", "reliable", "created_at", "published_at", "params")]
    rows = session.execute(
        select(*columns, _USERS.c.name.label("person"))
        .outerjoin(_USERS, _USERS.c.id == _RUNS.c.requested_by)
        .where(_RUNS.c.kind == kind, _RUNS.c.scope.in_(run_keys.scopes(session, actor, wanted)), _RUNS.c.archived_at.is_(None))
        .order_by(_RUNS.c.id.desc())
        .limit(limit)
    ).all()
    return [
        RunRow(
            row.id, row.name, row.state, row.as_of, row.person or "Somebody", row.created_at, row.reliable,
            row.published_at is not None, row.params,
        )
        for row in rows
    ]  # fmt: skip


def newest(session: Session, actor: Actor, kind: str) -> int | None:
    """The run with which a page opens: the latest that is done, else the latest at all."""
    found = find(session, actor, kind)
    done = [row.id for row in found if row.state is RunState.DONE]
    return done[0] if done else (found[0].id if found else None)


def table(session: Session, actor: Actor, run_id: int, name: str) -> "pd.DataFrame":
    """A table of a run. Read it only where it is shown; the frame is the caller's own."""
    run = _own(session, actor, run_id)
    data = session.execute(select(_TABLES.c.data).where(_TABLES.c.run_id == run.id, _TABLES.c.name == name)).scalar()
    if data is None:
        raise NotFound("This run has no such table.")
    from crm_core.frames.arrow import unpack

    return unpack(data)


def _own(session: Session, actor: Actor, run_id: int) -> AnalysisRun:
    """The run, if it saw exactly what the actor may see."""
    require(actor, "analytics", Action.READ)
    run = session.get(AnalysisRun, run_id)
    if run is None or run.archived_at is not None:
        raise NotFound("There is no such run.")
    wanted = method(run.kind)
    if run.scope != run_keys.scope(session, actor, wanted, run.params) or not all(
        actor.can(entity, Action.READ) for entity in wanted.entities
    ):
        raise NotFound("There is no such run.")
    return run


def _view(session: Session, actor: Actor, run: AnalysisRun) -> Run:
    wanted = method(run.kind)
    job = jobs.status(session, run.job_id) if run.job_id and run.state in (RunState.QUEUED, RunState.RUNNING) else None
    person = session.execute(select(_USERS.c.name).where(_USERS.c.id == run.requested_by)).scalar() or "Somebody"
    rows = session.execute(select(_TABLES.c.name, _TABLES.c.rows).where(_TABLES.c.run_id == run.id)).all()
    tables: dict[str, int] = dict(rows)  # type: ignore[arg-type]
    result = run.result
    return Run(
        id=run.id, kind=run.kind, title=run.name or wanted.title, params=run.params, as_of=run.as_of, state=run.state, verdict=run.verdict,
        reliable=run.reliable, summary=result.get("summary", {}), warnings=tuple(run.warnings), missing=tuple(result.get("missing", ())),
        sql=result.get("sql", ""), python=result.get("python", ""), tables={k: v for k, v in tables.items() if k != "_marks"},
        marks=tables.get("_marks", 0), asked_by=person, asked_at=run.created_at, finished_at=run.finished_at,
        published_at=run.published_at, code_version=run.code_version, named=bool(run.name),
        current=run.code_version == run_keys.code_version(wanted)
        and run_keys.data_versions(session, wanted, run.params) == run.data_versions,
        mine=run.requested_by == actor.user_id, may_manage=actor.can("analytics", Action.MANAGE),
        waits=_waits(session, job, run), share=job.share if job else None, step=job.message if job and job.state == "running" else "",
    )  # fmt: skip


def _waits(session: Session, job: Any, run: AnalysisRun) -> str:
    """Why a run that should be working shows no progress; empty while it does."""
    if run.state not in (RunState.QUEUED, RunState.RUNNING):
        return ""
    if job is None or job.state in ("failed", "cancelled"):
        return (job.message if job is not None else "") or "Its job was stopped. Run it again."
    if job.state != "running" and not jobs.worker_is_alive(session):
        return "No worker is running, so nothing happens. Ask an administrator to start one."
    return "Waiting for its turn." if job.state != "running" else ""


# --- keeping -----------------------------------------------------------------------------------------------------------------


def rename(session: Session, actor: Actor, run_id: int, name: str) -> None:
    """Give a run a name; named runs are kept. One's own, or with the right to manage analytics anybody's."""
    run = _changeable(session, actor, run_id)
    text = clean(name)
    if len(text) > 120:
        raise Invalid(fields={"name": "At most 120 characters."})
    run.name = text
    session.add(run)


def archive(session: Session, actor: Actor, run_id: int) -> None:
    """Put a run away; the same question is computed anew afterwards. One's own, or with the right to manage analytics anybody's."""
    run = _changeable(session, actor, run_id)
    run.archived_at = clock.utcnow()
    run.key = f"-{run.id}-{run.key}"[:80]
    session.add(run)


def _changeable(session: Session, actor: Actor, run_id: int) -> AnalysisRun:
    run = _own(session, actor, run_id)
    if run.requested_by != actor.user_id and not actor.can("analytics", Action.MANAGE):
        raise NotPermitted(f"Only who asked for a run, or who manages {label_of('analytics').lower()}, may change it.")
    return run
