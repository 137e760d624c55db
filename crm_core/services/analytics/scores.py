"""Published scores of leads and deals: switched on and off, kept fresh for newcomers, explained on each record.

A score that nobody published is no score: "off" is a normal state, and the refusal of a run leaves it off.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, and_, cast, delete, func, select, update
from sqlmodel import Session

from crm_core import access
from crm_core.access import Actor, require
from crm_core.db import bump
from crm_core.entities import entity, label_of
from crm_core.errors import Conflict, NotPermitted
from crm_core.frames.arrow import unpack
from crm_core.jobs import Job, job
from crm_core.kit import clock
from crm_core.models import AnalysisMark, AnalysisRun, AnalysisTable, Deal, Lead, LeadStatus, Organisation
from crm_core.services.analytics import marks, runs
from crm_core.vocabulary import Action, LeadKind, Reliance, Scope, StageKind

KINDS = {"lead": "lead_score", "deal": "deal_score"}
ENTITY = {kind: key for key, kind in KINDS.items()}
BATCH = 500
_MARKS: Any = AnalysisMark.__table__  # type: ignore[attr-defined]
_RUNS: Any = AnalysisRun.__table__  # type: ignore[attr-defined]
_TABLES: Any = AnalysisTable.__table__  # type: ignore[attr-defined]
_LEADS: Any = Lead.__table__  # type: ignore[attr-defined]
_DEALS: Any = Deal.__table__  # type: ignore[attr-defined]
_STATUS: Any = LeadStatus.__table__  # type: ignore[attr-defined]
_OPEN = (LeadKind.OPEN, LeadKind.WORKING, LeadKind.QUALIFIED)


# --- on and off --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Live:
    """The published score of a kind: its run, since when, and what was found about it."""

    run_id: int
    published_at: datetime
    fitted_at: datetime | None
    verdict: str
    reliable: Reliance | None
    metrics: Mapping[str, Any]


def publish(session: Session, actor: Actor, run_id: int) -> bool:
    """Switch a run's score on, for everybody: a mark on each open record, and the score of open leads. Closed records stay as they were.

    Needs the right to manage analytics, and to see all records of the kind: a score learned from some must not rank the others. Returns
    False when there are so many that the worker writes them.
    """
    run = runs.get(session, actor, run_id)
    _require(actor, run.kind)
    if not run.summary.get("usable"):
        raise Conflict("This score was refused, so there is nothing to publish.")
    if run.params.get("filter"):
        raise Conflict(
            "This score knows only the records that match its filter, so it can't stand on all of them. Run it without one."
        )
    done = marks.publish(session, actor, run_id)
    if done and run.kind == "lead_score":
        _apply(session)
    return done


def switch_off(session: Session, actor: Actor, kind: str) -> None:
    """Take a published score back: open records have none afterwards."""
    _require(actor, kind)
    session.execute(delete(_MARKS).where(_MARKS.c.kind == kind))
    session.execute(update(_RUNS).where(_RUNS.c.kind == kind).values(published_at=None, updated_at=clock.utcnow()))
    if kind == "lead_score":
        _set_scores(session, None, _LEADS.c.score.is_not(None))
    bump(session, "analysis_mark", "analysis_run")


def may_publish(actor: Actor, kind: str) -> bool:
    """Whether the person may switch scores of this kind on and off."""
    return actor.can("analytics", Action.MANAGE) and Scope.ALL in actor.scopes(ENTITY.get(kind, ""), Action.READ)


def _require(actor: Actor, kind: str) -> None:
    require(actor, "analytics", Action.MANAGE)
    if not may_publish(actor, kind):
        noun = label_of(ENTITY.get(kind, "lead"), plural=True).lower()
        raise NotPermitted(f"A score counts for everybody, so only a person who sees all {noun} may switch it on or off.")


def live(session: Session, actor: Actor, kind: str) -> Live | None:
    """The score that is switched on, if one is."""
    require(actor, ENTITY.get(kind, "lead"), Action.READ)
    run = _published(session, kind)
    if run is None or run.published_at is None:
        return None
    return Live(run.id, run.published_at, run.finished_at, run.verdict, run.reliable, run.result.get("summary", {}))


def _published(session: Session, kind: str) -> AnalysisRun | None:
    statement = select(AnalysisRun).where(_RUNS.c.kind == kind, _RUNS.c.published_at.is_not(None))
    return session.execute(statement.order_by(_RUNS.c.published_at.desc()).limit(1)).scalars().first()


# --- on the record -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reason:
    """One contribution: what, its value (empty for a plain yes or no), and by how much in log-odds."""

    label: str
    value: Any
    log_odds: float


@dataclass(frozen=True)
class Why:
    """A record's score with everything that explains it. ``expected_value`` in major units."""

    score: float
    low: float
    high: float
    reasons: tuple[Reason, ...]
    expected_value: float | None
    scored_at: datetime
    fitted_at: datetime | None
    verdict: str
    happened: str


def why(session: Session, actor: Actor, entity_key: str, record_id: int) -> Why | None:
    """The score of a record that the actor may see, or None while scores are off. Values of masked fields stay hidden."""
    kind = KINDS.get(entity_key, "")
    found = marks.of_records(session, actor, entity_key, [record_id], kinds=(kind,)).get(record_id)
    if not found:
        return None
    mark = found[0]
    run = session.get(AnalysisRun, mark.run_id) if mark.run_id else None
    detail, summary = mark.detail, (run.result.get("summary", {}) if run else {})
    hides = entity_key == "deal" and actor.masked("deal", "amount_minor")
    return Why(
        score=mark.number or 0.0,
        low=100 * detail.get("p_low", 0.0),
        high=100 * detail.get("p_high", 0.0),
        reasons=tuple(_reason(actor, entity_key, one) for one in detail.get("reasons", ())),
        expected_value=None if hides else detail.get("expected_value"),
        scored_at=mark.at,
        fitted_at=run.finished_at if run else None,
        verdict=run.verdict if run else "",
        happened=summary.get("happened", "won"),
    )


def _reason(actor: Actor, entity_key: str, stored: Mapping[str, Any]) -> Reason:
    name = str(stored.get("field", ""))
    owner, key = ("account", name.removeprefix("account_")) if name.startswith("account_") else (entity_key, name)
    value = None if name.startswith(("has_", "touch_")) else stored.get("value")
    if actor.masked(owner, key):
        value = "•••"
    label = stored.get("label", name)
    if name.startswith(("has_", "touch_")) and not stored.get("value"):
        label = f"Not {label[0].lower()}{label[1:]}"
    return Reason(label, value, float(stored.get("log_odds", 0.0)))


# --- newcomers ---------------------------------------------------------------------------------------------------------------


def _open(entity_key: str) -> Any:
    if entity_key == "lead":
        alive = select(_STATUS.c.id).where(_STATUS.c.kind.in_(_OPEN))
        return and_(_LEADS.c.deleted_at.is_(None), _LEADS.c.converted_at.is_(None), _LEADS.c.status_id.in_(alive))
    return and_(_DEALS.c.deleted_at.is_(None), _DEALS.c.outcome == StageKind.OPEN)


def _unscored(entity_key: str) -> Any:
    """Open records without a mark; a record that was re-opened keeps the one it had."""
    table = entity(entity_key).table
    scored = select(_MARKS.c.record_id).where(_MARKS.c.kind == KINDS[entity_key], _MARKS.c.entity == entity_key)
    return select(table.c.id).where(_open(entity_key), table.c.id.not_in(scored)).order_by(table.c.id).limit(BATCH)


def _due(session: Session) -> bool:
    """Whether a published score waits for records, or leads for their score."""
    for entity_key, kind in KINDS.items():
        if _published(session, kind) is not None and session.execute(_unscored(entity_key).limit(1)).first() is not None:
            return True
    return session.execute(select(_LEADS.c.id).where(_differs()).limit(1)).first() is not None


@job("scores.refresh", title="Score new leads and deals", cron="* * * * *", when=_due, keep_days=1)
def refresh(task: Job) -> None:
    """Score the newcomers with the published models, a batch a minute per kind; closed records stay as they are."""
    with task.transaction() as session:
        for entity_key, kind in KINDS.items():
            run = _published(session, kind)
            ids = list(session.execute(_unscored(entity_key)).scalars()) if run is not None else []
            if run is not None and ids:
                _score(session, run, entity_key, ids)
        session.flush()
        _apply(session)


def _score(session: Session, run: AnalysisRun, entity_key: str, ids: list[int]) -> None:
    """Marks of these records by a frozen score, looking at what it looked at when it learned."""
    from crm_core.services.analytics.score_fields import fields_of
    from crm_core.services.analytics.score_fit import marks as made
    from crm_core.services.analytics.score_fit import outcomes, score
    from ml.lead_frozen import fields_of as needed
    from ml.lead_frozen import thaw

    stored = _frozen(session, run.id)
    if stored is None:
        return
    currency = session.execute(select(Organisation.currency)).scalar() or "USD"  # type: ignore[call-overload]
    everybody = replace(access.system(), currency=currency)
    now = clock.utcnow() + timedelta(days=2)  # a deal opened today counts from the end of its day
    rows = outcomes(session, everybody, entity_key, now, stored["age_days"]).rows
    rows = rows[rows.index.isin(ids)]
    if rows.empty:
        return
    found = fields_of(session, everybody, entity_key, rows["at"], owner=stored["owner"])
    table = found.table.reindex(columns=needed(stored)).rename_axis("id").reset_index()
    scores = score(thaw(stored), table, stored["labels"])
    session.execute(_MARKS.insert(), [_row(mark, run.id) for mark in made(run.kind, entity_key, scores)])
    bump(session, "analysis_mark")


def _frozen(session: Session, run_id: int) -> dict[str, Any] | None:
    data = session.execute(select(_TABLES.c.data).where(_TABLES.c.run_id == run_id, _TABLES.c.name == "model")).scalar()
    return None if data is None else json.loads(unpack(data)["json"].iloc[0])


def _row(mark: Any, run_id: int) -> dict[str, Any]:
    names = ("kind", "entity", "record_id", "number", "label", "detail")
    return {**{name: getattr(mark, name) for name in names}, "run_id": run_id, "at": clock.utcnow()}


def _rounded() -> Any:
    return (
        select(cast(func.round(_MARKS.c.number), Integer))
        .where(_MARKS.c.kind == "lead_score", _MARKS.c.entity == "lead", _MARKS.c.record_id == _LEADS.c.id)
        .scalar_subquery()
    )


def _differs() -> Any:
    """Open leads whose column does not say what their mark says."""
    marked = select(_MARKS.c.record_id).where(_MARKS.c.kind == "lead_score", _MARKS.c.entity == "lead")
    return and_(_open("lead"), _LEADS.c.id.in_(marked), func.coalesce(_LEADS.c.score, -1) != _rounded())


def _apply(session: Session) -> None:
    _set_scores(session, _rounded(), _differs())


def _set_scores(session: Session, value: Any, which: Any) -> None:
    """Write the column without touching version or last change: nobody edited the lead, and nobody's open form goes stale."""
    clause = and_(_open("lead"), which)
    if session.execute(update(_LEADS).where(clause).values(score=value, updated_at=_LEADS.c.updated_at)).rowcount:  # type: ignore[attr-defined]
        bump(session, "lead")


__all__ = ["ENTITY", "KINDS", "Live", "Reason", "Why", "live", "may_publish", "publish", "refresh", "switch_off", "why"]
