"""Pipelines and their stages: add, rename, order, take out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from crm_core import events
from crm_core.access import Actor, require
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.filters import unaskable, where
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean
from crm_core.models import Deal, Pipeline, Stage, StageEvent
from crm_core.records import refuse_stale
from crm_core.services.admin import setup
from crm_core.vocabulary import Action, ForecastCategory, GateStrictness, StageKind

MAX_STAGES = 20
MAX_MESSAGE = 300


@dataclass(frozen=True)
class StageRow:
    """A stage as the page edits it. ``deals``: how many deals stand in it (the bin included), and so keep it from being removed. ``gate``: what it
    asks of deals that come in, read only here and changed by ``set_gate``; ``broken``: why that can't be asked any more."""

    id: int | None
    name: str
    kind: StageKind
    probability_pct: int
    max_idle_days: int | None
    forecast_category: ForecastCategory
    deals: int = 0
    version: int = 0
    gate: Mapping[str, Any] | None = None
    gate_message: str = ""
    gate_strictness: GateStrictness = GateStrictness.REFUSE
    broken: str = ""


@dataclass(frozen=True)
class PipelineRow:
    """A pipeline with its stages in order."""

    id: int
    version: int
    name: str
    is_default: bool
    is_active: bool
    stages: tuple[StageRow, ...]


def find(session: Session, actor: Actor) -> list[PipelineRow]:
    """All pipelines, the default one first."""
    require(actor, "pipeline", Action.READ)
    counts = dict(session.exec(select(Deal.stage_id, func.count()).group_by(col(Deal.stage_id))).all())
    rows = session.exec(select(Pipeline).order_by(col(Pipeline.is_default).desc(), col(Pipeline.position), col(Pipeline.id)))
    return [_row(session, row, counts) for row in rows]


def _row(session: Session, row: Pipeline, counts: Mapping[int, int]) -> PipelineRow:
    stages = tuple(_stage_row(session, stage, counts) for stage in _stages(session, row.id))
    return PipelineRow(row.id, row.version, row.name, row.is_default, row.is_active, stages)


def _stages(session: Session, pipeline_id: int) -> list[Stage]:
    return list(session.exec(select(Stage).where(Stage.pipeline_id == pipeline_id).order_by(col(Stage.position), col(Stage.id))))


def _stage_row(session: Session, stage: Stage, counts: Mapping[int, int]) -> StageRow:
    return StageRow(
        stage.id,
        stage.name,
        stage.kind,
        stage.probability_pct,
        stage.max_idle_days,
        stage.forecast_category,
        counts.get(stage.id, 0),
        stage.version,
        stage.gate or None,
        stage.gate_message or "",
        stage.gate_strictness,
        unaskable(session, "deal", stage.gate) if stage.gate else "",
    )


def create(session: Session, actor: Actor, name: str) -> Pipeline:
    """Add a pipeline with the usual stages."""
    require(actor, "pipeline", Action.MANAGE)
    pipeline = setup.create_pipeline(session, _named(name, "The pipeline"))
    events.record(session, actor, "pipeline.stages_changed", pipeline)
    return pipeline


def update_pipeline(
    session: Session,
    actor: Actor,
    pipeline_id: int,
    *,
    name: str,
    is_default: bool,
    is_active: bool,
    base_version: int | None = None,
) -> Pipeline:
    """Rename a pipeline, make it the default, or close it for new deals. One active pipeline must stay the default."""
    require(actor, "pipeline", Action.MANAGE)
    pipeline = _get(session, pipeline_id, base_version)
    if pipeline.is_default and not (is_default and is_active):
        raise Invalid("This is the default pipeline. Make another one the default first.")
    if is_default and not is_active:
        raise Invalid("A closed pipeline can't be the default.")
    if is_default and not pipeline.is_default:
        for other in session.exec(select(Pipeline).where(col(Pipeline.is_default))):
            other.is_default = False
            session.add(other)
    pipeline.name, pipeline.is_default, pipeline.is_active = _named(name, "The pipeline"), is_default, is_active
    session.add(pipeline)
    session.flush()
    events.record(session, actor, "pipeline.stages_changed", pipeline)
    return pipeline


def save(
    session: Session,
    actor: Actor,
    pipeline_id: int,
    rows: Sequence[StageRow],
    *,
    name: str,
    is_default: bool,
    is_active: bool,
    base_version: int | None = None,
) -> Pipeline:
    """Save a pipeline with its stages, all or nothing: what ``update_pipeline`` and ``set_stages`` do. A Conflict holds the pipeline as it stands
    in ``rows``; a stage that somebody took out meanwhile is made anew when it is still among the rows."""
    require(actor, "pipeline", Action.MANAGE)
    pipeline = _get(session, pipeline_id, base_version)
    if (name, is_default, is_active) != (pipeline.name, pipeline.is_default, pipeline.is_active):
        update_pipeline(session, actor, pipeline_id, name=name, is_default=is_default, is_active=is_active)
    known = set(session.exec(select(Stage.id).where(col(Stage.id).in_([row.id for row in rows if row.id is not None]))))
    return set_stages(session, actor, pipeline_id, [row if row.id in known else replace(row, id=None) for row in rows])


def _get(session: Session, pipeline_id: int, base_version: int | None) -> Pipeline:
    pipeline = session.get(Pipeline, pipeline_id)
    if pipeline is None:
        raise NotFound("This pipeline does not exist.")
    refuse_stale("this pipeline", pipeline, base_version, lambda: _row(session, pipeline, {}))
    return pipeline


def _named(name: Any, what: str) -> str:
    text = clean(str(name or ""))[:80]
    if not text:
        raise Invalid(f"{what} needs a name.")
    return text


def set_stages(
    session: Session, actor: Actor, pipeline_id: int, rows: Sequence[StageRow], *, base_version: int | None = None
) -> Pipeline:
    """Save the stages in their order. A stage with deals can't be removed nor change what it means; a new probability reaches its open deals
    unless theirs was set by hand."""
    require(actor, "pipeline", Action.MANAGE)
    pipeline = _get(session, pipeline_id, base_version)
    _check(rows)
    before = {stage.id: stage for stage in _stages(session, pipeline_id)}
    kept = {row.id for row in rows if row.id is not None}
    if not kept <= set(before):
        raise Invalid("A stage of another pipeline can't be saved here.")
    _remove(session, [stage for stage in before.values() if stage.id not in kept])
    for stage in before.values():  # two stages may swap names; the unique constraint must not see both at once
        if stage.id in kept:
            stage.name = f"\x01{stage.id}"
            session.add(stage)
    session.flush()
    for position, row in enumerate(rows):
        _save_stage(session, pipeline_id, before.get(row.id or 0), row, position)
    pipeline.updated_at = utcnow()  # raises the version, so that a stale editor is told
    session.add(pipeline)
    session.flush()
    events.record(session, actor, "pipeline.stages_changed", pipeline, data={"stages": len(rows)})
    return pipeline


def set_gate(
    session: Session,
    actor: Actor,
    stage_id: int,
    gate: Mapping[str, Any] | None,
    *,
    message: str = "",
    strictness: GateStrictness = GateStrictness.REFUSE,
    base_version: int | None = None,
) -> Stage:
    """Say what a stage asks of deals that come in, with the sentence for deals that lack it; None asks for nothing. Deals that stand in it already
    stay. Events: pipeline.gate_set, pipeline.gate_removed."""
    require(actor, "pipeline", Action.MANAGE)
    stage = session.get(Stage, stage_id)
    if stage is None:
        raise NotFound("This stage no longer exists.")
    refuse_stale("this stage", stage, base_version)
    words = clean(message)[:MAX_MESSAGE]
    if gate:
        _check_gate(session, actor, stage, gate, words)
    stage.gate, stage.gate_message = (dict(gate), words) if gate else (None, None)
    stage.gate_strictness = strictness if gate else GateStrictness.REFUSE
    session.add(stage)
    session.flush()
    pipeline = session.get(Pipeline, stage.pipeline_id)
    events.record(session, actor, f"pipeline.gate_{'set' if gate else 'removed'}", pipeline, data={"stage": stage.name})
    return stage


def _check_gate(session: Session, actor: Actor, stage: Stage, gate: Mapping[str, Any], words: str) -> None:
    if stage.kind is StageKind.LOST:
        raise Invalid("A lost deal is lost, whatever it lacks: this stage can't ask for anything.")
    if not words:
        raise Invalid(fields={"message": "Say in a sentence what is missing. Whoever moves a deal too early reads it."})
    where(session, "deal", gate, actor)  # raises Invalid with the sentence


def _check(rows: Sequence[StageRow]) -> None:
    names = [_named(row.name, "Each stage").casefold() for row in rows]
    if len(set(names)) != len(names):
        raise Invalid("Two stages have the same name.")
    if not 3 <= len(rows) <= MAX_STAGES:
        raise Invalid(f"A pipeline has between 3 and {MAX_STAGES} stages.")
    kinds = [row.kind for row in rows]
    for kind in StageKind:
        if kind not in kinds:
            raise Invalid(f"A pipeline needs at least one stage that means “{kind.label}”.")
    for row in rows:
        if not 0 <= row.probability_pct <= 100:
            raise Invalid(f"The probability of “{row.name}” must lie between 0 and 100%.")
        if row.max_idle_days is not None and not 1 <= row.max_idle_days <= 3650:
            raise Invalid(f"“{row.name}”: idle after 1 to 3,650 days.")


def _remove(session: Session, stages: Sequence[Stage]) -> None:
    for stage in stages:
        if session.exec(select(Deal.id).where(Deal.stage_id == stage.id).limit(1)).first() is not None:
            raise Conflict(f"There are deals in “{stage.name}”. Move them first, then remove the stage.")
        if session.exec(
            select(StageEvent.id).where((StageEvent.from_stage_id == stage.id) | (StageEvent.to_stage_id == stage.id)).limit(1)
        ).first():
            raise Conflict(f"“{stage.name}” is part of the history of deals and stays; rename it or move it to the end instead.")
        session.delete(stage)
    session.flush()


def _save_stage(session: Session, pipeline_id: int, stage: Stage | None, row: StageRow, position: int) -> None:
    if stage is None:
        stage = Stage(pipeline_id=pipeline_id, name=row.name, kind=row.kind)
    elif stage.kind is not row.kind and session.exec(select(Deal.id).where(Deal.stage_id == stage.id).limit(1)).first() is not None:
        raise Conflict(f"There are deals in “{row.name}”, so what it means can't change.")
    probability = {StageKind.WON: 100, StageKind.LOST: 0}.get(row.kind, row.probability_pct)
    moved = stage.id is not None and stage.probability_pct != probability
    stage.name, stage.kind, stage.position = _named(row.name, "Each stage"), row.kind, position
    stage.probability_pct, stage.max_idle_days, stage.forecast_category = probability, row.max_idle_days, row.forecast_category
    session.add(stage)
    session.flush()
    if moved and row.kind is StageKind.OPEN:
        deal = Deal.__table__  # type: ignore[attr-defined]
        session.execute(
            update(Deal)
            .where(deal.c.stage_id == stage.id, deal.c.probability_own.is_(False))
            .values(probability_pct=probability, version=deal.c.version + 1)
        )
