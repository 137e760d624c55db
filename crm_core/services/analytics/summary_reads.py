"""Closed deals and orders for the key figures, from wherever they are cheapest to read exactly."""

from typing import Any

from sqlalchemy import Integer, and_, literal, select
from sqlmodel import Session

from crm_core.access import Actor, visible
from crm_core.models import Deal
from crm_core.services.analytics.periods import Period
from crm_core.vocabulary import StageKind

_DEAL = Deal.__table__  # type: ignore[attr-defined]


def closed_deals(session: Session, actor: Actor, owner_id: int | None, pipeline_id: int | None, period: Period) -> Any:
    """A subquery of closed deals: ``day, owner_id, product_id, source, outcome, deals, amount_minor``."""
    parts = [visible(actor, "deal", _DEAL), _DEAL.c.outcome.in_((StageKind.WON, StageKind.LOST)), _DEAL.c.closed_on.is_not(None)]
    if period.bounded:
        parts.append(_DEAL.c.closed_on.between(period.start, period.end))
    if owner_id is not None:
        parts.append(_DEAL.c.owner_id == owner_id)
    if pipeline_id is not None:
        parts.append(_DEAL.c.pipeline_id == pipeline_id)
    columns = (_DEAL.c.closed_on.label("day"), _DEAL.c.owner_id, _DEAL.c.product_id, _DEAL.c.source, _DEAL.c.outcome)
    return select(*columns, literal(1, Integer()).label("deals"), _DEAL.c.amount_minor).where(and_(*parts)).subquery()
