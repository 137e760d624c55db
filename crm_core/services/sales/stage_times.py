"""How long a deal stood in each stage on its way."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor
from crm_core.kit import clock
from crm_core.models import Stage, StageEvent
from crm_core.services.sales import deal_rules, deals
from crm_core.vocabulary import StageKind

_MOVES: Any = StageEvent.__table__  # type: ignore[attr-defined]
_STAGES: Any = Stage.__table__  # type: ignore[attr-defined]
GONE = "A stage that is gone"


@dataclass(frozen=True)
class Stay:
    """One stay of a deal in a stage. ``left_at`` is None where it still stands; ``seconds`` is None in a stage that closes the deal
    and for a stay that began with an import; ``by`` is who moved it there."""

    stage: str
    kind: StageKind
    entered_at: datetime
    left_at: datetime | None
    seconds: int | None
    by: str


def path(session: Session, actor: Actor, deal_id: int) -> list[Stay]:
    """The stages of a deal in the order of its way, the present one last. A deal without a recorded way shows the stage it stands in."""
    deal = deals.get(session, actor, deal_id)
    columns = (_MOVES.c.at, _MOVES.c.created_at, _MOVES.c.by_id, _MOVES.c.to_stage_id, _STAGES.c.name, _STAGES.c.kind)
    query = select(*columns).outerjoin(_STAGES, _STAGES.c.id == _MOVES.c.to_stage_id).where(_MOVES.c.deal_id == deal_id)
    rows = list(session.execute(query.order_by(_MOVES.c.at, _MOVES.c.id)))
    if not rows or rows[-1].to_stage_id != deal.stage_id:  # what stands on the deal was not written down as a move
        rows.append(_present(session, deal))
    people = lists.titles(session, actor, "user", (row.by_id for row in rows))
    ends = [*(row.at for row in rows[1:]), None]
    return [_stay(row, end, people) for row, end in zip(rows, ends, strict=True)]


def _present(session: Session, deal: Any) -> Any:
    here = select(_STAGES.c.id.label("to_stage_id"), _STAGES.c.name, _STAGES.c.kind).where(_STAGES.c.id == deal.stage_id)
    found = session.execute(here).one()
    return _Row(deal.stage_since, deal.stage_since, None, found.to_stage_id, found.name, found.kind)


@dataclass(frozen=True)
class _Row:
    at: datetime
    created_at: datetime
    by_id: int | None
    to_stage_id: int
    name: str
    kind: StageKind


def _stay(row: Any, end: datetime | None, people: Any) -> Stay:
    kind = row.kind or StageKind.OPEN
    until = end or (clock.utcnow() if kind is StageKind.OPEN else None)
    unknown = until is None or deal_rules.began_unseen(row.at, row.created_at)
    seconds = None if unknown else max(0, int((until - row.at).total_seconds()))
    return Stay(row.name or GONE, kind, row.at, end, seconds, people.get(row.by_id, ""))
