"""What analyses say about single records, once somebody published a run: cluster, persona, risk, score, next offer."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlmodel import Session

from crm_core import jobs
from crm_core.access import Actor, require, visible
from crm_core.db import bump
from crm_core.entities import entity, label_of
from crm_core.errors import Conflict, NotPermitted
from crm_core.frames.arrow import unpack
from crm_core.jobs import Job, job
from crm_core.kit import clock
from crm_core.models import AnalysisMark, AnalysisRun, AnalysisTable
from crm_core.ordering import alphabetical
from crm_core.services.analytics import runs
from crm_core.vocabulary import Action, RunState, Scope

_MARKS: Any = AnalysisMark.__table__  # type: ignore[attr-defined]
_TABLES: Any = AnalysisTable.__table__  # type: ignore[attr-defined]
AT_ONCE = 5_000
"""Up to so many marks are written while one waits; more are a job."""
CHUNK = 2_000


@dataclass(frozen=True)
class MarkRow:
    """One published mark of a record."""

    kind: str
    record_id: int
    number: float | None
    label: str
    run_id: int | None
    at: datetime
    detail: dict[str, Any] = field(default_factory=dict)


def publish(session: Session, actor: Actor, run_id: int) -> bool:
    """Make a run's marks the current ones: on the records, in filters and in lists, for everybody who sees the record.

    All marks of the same kind and entity are replaced, so that two runs never mix. Needs the right to manage analytics. Returns False when
    there are so many that the worker writes them. Raises Conflict when the run is not done or has no marks.
    """
    run = _publishable(session, actor, run_id)
    if run.marks <= AT_ONCE:
        _write(session, run_id)
        return True
    jobs.enqueue(session, "analysis.publish", run_id, title=f"Publish {run.title}", user_id=actor.user_id)
    return False


def _publishable(session: Session, actor: Actor, run_id: int) -> runs.Run:
    require(actor, "analytics", Action.MANAGE)
    run = runs.get(session, actor, run_id)
    if run.state is not RunState.DONE or not run.marks:
        raise Conflict("There is nothing to publish: the run is not done, or says nothing about single records.")
    _require_whole(session, actor, run_id)
    return run


def _require_whole(session: Session, actor: Actor, run_id: int) -> None:
    """What was learned from some records must not take the place of what is known about all of them."""
    entities = sorted(set(_packed(session, run_id)["entity"]))
    narrow = [label_of(key, plural=True).lower() for key in entities if Scope.ALL not in actor.scopes(key, Action.READ)]
    if narrow:
        raise NotPermitted(f"This counts for everybody, so only a person who sees all {' and '.join(narrow)} may publish it.")


def _packed(session: Session, run_id: int) -> Any:
    data = session.execute(select(_TABLES.c.data).where(_TABLES.c.run_id == run_id, _TABLES.c.name == "_marks")).scalar_one()
    return unpack(data)


@job("analysis.publish", title="Publish an analysis")
def publish_job(task: Job, run_id: int) -> None:
    """Write the marks of a run, all or none, if whoever asked for it still may."""
    with task.transaction() as session:
        if session.get(AnalysisRun, run_id) is not None:
            _publishable(session, task.asker(session), run_id)
            _write(session, run_id)


def _write(session: Session, run_id: int) -> None:
    frame = _packed(session, run_id)
    now = clock.utcnow()
    for kind, entity_key in frame[["kind", "entity"]].drop_duplicates().itertuples(index=False):
        session.execute(delete(_MARKS).where(_MARKS.c.kind == kind, _MARKS.c.entity == entity_key))
    frame["number"] = frame["number"].astype(object).where(frame["number"].notna(), None)
    frame["label"] = frame["label"].fillna("").astype(str).str.slice(0, 200)
    rows = frame.to_dict("records")
    for start in range(0, len(rows), CHUNK):
        session.execute(_MARKS.insert(), [_row(row, run_id, now) for row in rows[start : start + CHUNK]])
    run = session.get_one(AnalysisRun, run_id)
    run.published_at = now
    session.add(run)
    bump(session, "analysis_mark")


def _row(row: dict[Any, Any], run_id: int, now: datetime) -> dict[str, Any]:
    detail = row["detail"]
    return {
        "kind": row["kind"], "entity": row["entity"], "record_id": int(row["record_id"]), "number": row["number"], "label": row["label"],
        "detail": json.loads(detail) if isinstance(detail, str) and detail else {}, "run_id": run_id, "at": now,
    }  # fmt: skip


def of_record(session: Session, actor: Actor, entity_key: str, record_id: int) -> list[MarkRow]:
    """The published marks of a record; none of a record that the actor may not see."""
    return [mark for marks in of_records(session, actor, entity_key, [record_id]).values() for mark in marks]


def of_records(
    session: Session, actor: Actor, entity_key: str, record_ids: Iterable[int], *, kinds: tuple[str, ...] = ()
) -> dict[int, list[MarkRow]]:
    """Record → its published marks, for rows of a list. Records that the actor may not see are left out."""
    table = entity(entity_key).table
    ids = list(dict.fromkeys(record_ids))[:1_000]
    statement = (
        select(_MARKS)
        .join(table, table.c.id == _MARKS.c.record_id)
        .where(_MARKS.c.entity == entity_key, _MARKS.c.record_id.in_(ids), visible(actor, entity_key, table))
        .order_by(_MARKS.c.kind)
    )
    statement = statement.where(_MARKS.c.kind.in_(kinds)) if kinds else statement
    found: dict[int, list[MarkRow]] = {}
    for row in session.execute(statement):
        mark = MarkRow(row.kind, row.record_id, row.number, row.label, row.run_id, row.at, dict(row.detail or {}))
        found.setdefault(row.record_id, []).append(mark)
    return found


def labels(session: Session, actor: Actor, kind: str, entity_key: str) -> dict[str, int]:
    """Published labels of a kind with the number of records that the actor may see, largest first."""
    table = entity(entity_key).table
    rows = session.execute(
        select(_MARKS.c.label, func.count())
        .join(table, table.c.id == _MARKS.c.record_id)
        .where(_MARKS.c.kind == kind, _MARKS.c.entity == entity_key, visible(actor, entity_key, table))
        .group_by(_MARKS.c.label)
        .order_by(func.count().desc(), alphabetical(_MARKS.c.label))
    )
    return dict(rows.tuples().all())
