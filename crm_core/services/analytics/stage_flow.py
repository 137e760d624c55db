"""What became of the deals that entered each stage of a pipeline in a period, and how long they stayed.

A stay that ended is one row of the stage log, which holds when it ended and how long it took; one that lasts stands on the deal itself. Both
are read along their own index, so that nothing has to be matched.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, exists, func, literal, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.errors import NotFound
from crm_core.filters import Context, is_choice
from crm_core.kit import clock
from crm_core.kit.csvio import to_csv
from crm_core.models import Deal, Stage, StageEvent
from crm_core.services.analytics.metric_rules import within
from crm_core.services.analytics.metric_slots import instants_within
from crm_core.services.analytics.metric_sql import unpacked
from crm_core.services.analytics.periods import Period
from crm_core.services.sales.deal_rules import UNSEEN
from crm_core.spans import packed, seconds_between
from crm_core.vocabulary import Action, Scope, StageKind

FEW = 10
"""Below as many stays that ended, nothing is said about how long they took."""
_TENTH = 8_640
_MOVES: Any = StageEvent.__table__  # type: ignore[attr-defined]
_DEALS: Any = Deal.__table__  # type: ignore[attr-defined]
_STAGES: Any = Stage.__table__  # type: ignore[attr-defined]
HEADER = (
    "Stage", "Entered", "Went on", "Lost from here", "Moved elsewhere", "Still there", "Median days", "90th percentile of days", "Stays that ended",
)  # fmt: skip


@dataclass(frozen=True)
class Flow:
    """A stage over a period. ``entered`` is the sum of the four that follow. ``median_days`` and ``p90_days`` are None where too few have left
    the stage, or where so many still stand there that it can't be known yet (``ended`` tells which)."""

    stage_id: int
    stage: str
    entered: int
    went_on: int
    lost: int
    elsewhere: int
    standing: int
    median_days: float | None
    p90_days: float | None
    filter: dict[str, Any]

    @property
    def ended(self) -> int:
        """Stays that ended, however they did."""
        return self.entered - self.standing

    @property
    def few(self) -> bool:
        """Too few stays have ended to say how long one takes."""
        return self.ended < FEW


@dataclass
class _Stays:
    """Stays in a stage: by what ended them, their lengths in tenths of days; those that last, their lengths so far."""

    went_on: Counter[int]
    lost: Counter[int]
    elsewhere: Counter[int]
    standing: Counter[int]
    still: int = 0
    """How many last, those that began with an import included: these have no known length."""


def flow(session: Session, actor: Actor, pipeline_id: int, period: Period, *, owner_id: int | None = None) -> tuple[Flow, ...]:
    """The open stages of a pipeline in their order. A deal that comes back into a stage counts again. Raises NotFound without the pipeline."""
    require(actor, "analytics", Action.READ)
    require(actor, "deal", Action.READ)
    rows = session.execute(select(_STAGES).where(_STAGES.c.pipeline_id == pipeline_id).order_by(_STAGES.c.position)).all()
    if not rows:
        raise NotFound("This pipeline no longer exists.")
    found = {row.id: _Stays(Counter(), Counter(), Counter(), Counter()) for row in rows if row.kind is StageKind.OPEN}
    places = {row.id: (row.kind, row.position) for row in rows}
    for origin, target, lengths in session.execute(_ended(actor, list(found), period, owner_id)):
        getattr(found[origin], _fate(places, origin, target)).update(unpacked(lengths))
    for stage_id, many, lengths in session.execute(_lasting(actor, list(found), period, owner_id)):
        found[stage_id].still = many
        found[stage_id].standing.update(unpacked(lengths))
    names = {row.id: row.name for row in rows}
    return tuple(_told(stage_id, names[stage_id], stays, _list(stage_id, period, owner_id)) for stage_id, stays in found.items())


def _fate(places: dict[int, tuple[StageKind, int]], origin: int, target: int | None) -> str:
    kind, position = places.get(target or 0, (None, 0))
    if kind is StageKind.LOST:
        return "lost"
    further = kind is StageKind.WON or (kind is StageKind.OPEN and position > places[origin][1])
    return "went_on" if further else "elsewhere"


def _ended(actor: Actor, stages: list[int], period: Period, owner_id: int | None) -> Any:
    """Stage, where they went, and the lengths of the stays that began in the period and have ended."""
    query = select(_MOVES.c.from_stage_id, _MOVES.c.to_stage_id, packed(_MOVES.c.seconds_in_from // _TENTH)).where(
        _MOVES.c.from_stage_id.in_(stages), _MOVES.c.seconds_in_from.is_not(None), _mine(actor, owner_id)
    )
    if period.start is not None and period.end is not None:
        begins, ends = (
            literal(Context(actor).start_of(day), _MOVES.c.at.type) for day in (period.start, period.end + timedelta(days=1))
        )
        query = query.where(_MOVES.c.at >= begins, seconds_between(_MOVES.c.at, begins) >= _MOVES.c.seconds_in_from)
        if period.end < clock.today(actor.timezone):
            query = query.where(seconds_between(_MOVES.c.at, ends) < _MOVES.c.seconds_in_from)
    return query.group_by(_MOVES.c.from_stage_id, _MOVES.c.to_stage_id)


def _lasting(actor: Actor, stages: list[int], period: Period, owner_id: int | None) -> Any:
    """Stage, how many stays that began in the period last, and the lengths so far of those whose beginning is known."""
    now = literal(clock.utcnow(), _MOVES.c.at.type)
    so_far = seconds_between(now, _DEALS.c.stage_since) // _TENTH
    query = select(_DEALS.c.stage_id, func.count(), packed(case((~_unseen(), so_far)))).where(
        visible(actor, "deal", _DEALS),
        is_choice(_DEALS.c.outcome, StageKind.OPEN),
        _DEALS.c.stage_id.in_(stages),
        instants_within(_DEALS.c.stage_since, period, actor),
        *([_DEALS.c.owner_id == owner_id] if owner_id is not None else []),
    )
    return query.group_by(_DEALS.c.stage_id)


def _unseen() -> ColumnElement[bool]:
    """The stay of a deal began with an import, which writes its day long after it; as ``deal_rules.began_unseen`` says it of one."""
    late = seconds_between(_MOVES.c.created_at, _MOVES.c.at) > int(UNSEEN.total_seconds())
    return exists().where(_MOVES.c.deal_id == _DEALS.c.id, _MOVES.c.at == _DEALS.c.stage_since, late)


def _mine(actor: Actor, owner_id: int | None) -> ColumnElement[bool]:
    """The moves of deals that the person may see. Who sees all is told which are in the bin: these are few, and the log is read on its own."""
    deals = select(_DEALS.c.id)
    if owner_id is None and Scope.ALL in actor.scopes("deal", Action.READ):
        return _MOVES.c.deal_id.not_in(deals.where(_DEALS.c.deleted_at.is_not(None)))
    narrowed = deals.where(visible(actor, "deal", _DEALS))
    return _MOVES.c.deal_id.in_(narrowed if owner_id is None else narrowed.where(_DEALS.c.owner_id == owner_id))


def _list(stage_id: int, period: Period, owner_id: int | None) -> dict[str, Any]:
    """The filter of the deals that entered the stage in the period and still stand there."""
    leaves = [{"field": "outcome", "cmp": "eq", "value": "open"}, {"field": "stage_id", "cmp": "eq", "value": stage_id}]
    leaves += [dict(leaf) for leaf in within("stage_since", period)]
    return {
        "op": "and",
        "items": leaves + ([{"field": "owner_id", "cmp": "eq", "value": owner_id}] if owner_id is not None else []),
    }


def _told(stage_id: int, name: str, stays: _Stays, ast: dict[str, Any]) -> Flow:
    ended = stays.went_on + stays.lost + stays.elsewhere
    middle, most = quantiles(ended, stays.standing, (0.5, 0.9)) if ended.total() >= FEW else (None, None)
    return Flow(
        stage_id=stage_id,
        stage=name,
        entered=ended.total() + stays.still,
        went_on=stays.went_on.total(),
        lost=stays.lost.total(),
        elsewhere=stays.elsewhere.total(),
        standing=stays.still,
        median_days=middle,
        p90_days=most,
        filter=ast,
    )


def quantiles(ended: Counter[int], lasting: Counter[int], shares: Iterable[float]) -> tuple[float | None, ...]:
    """The age in days (from tenths) by which these shares have left, those that still stand there counted for as long as they were seen
    (Kaplan and Meier); None where not so many are known to leave."""
    import numpy as np  # with what follows brings scipy, which a start without figures need not wait for

    from ml.survival import kaplan_meier

    ages = np.array([*ended.elements(), *lasting.elements()], dtype=float)
    curve = kaplan_meier(np.maximum(ages, 0), np.r_[np.ones(ended.total()), np.zeros(lasting.total())])
    reached = [curve.loc[curve["survival"] <= 1 - share + 1e-12, "age"] for share in shares]
    return tuple(None if ages.empty else float(ages.iloc[0]) / 10 for ages in reached)


def file(session: Session, actor: Actor, pipeline_id: int, period: Period, *, owner_id: int | None = None) -> bytes:
    """The table as CSV."""
    require(actor, "deal", Action.EXPORT)
    rows = flow(session, actor, pipeline_id, period, owner_id=owner_id)
    return to_csv(
        HEADER,
        [
            (row.stage, row.entered, row.went_on, row.lost, row.elsewhere, row.standing, row.median_days, row.p90_days, row.ended)
            for row in rows
        ],
    )
