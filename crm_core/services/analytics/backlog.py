"""Open tickets by how long they have been open: the part of the backlog that grows old before anybody looks."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import case, func, select
from sqlmodel import Session

from crm_core.access import Actor, require
from crm_core.errors import NotFound
from crm_core.filters import Context
from crm_core.models import Ticket
from crm_core.services.analytics import metrics
from crm_core.services.analytics.breakdowns import Part
from crm_core.services.analytics.metric_rules import METRICS, list_filter
from crm_core.services.analytics.metric_slots import Selection, Slot, reach
from crm_core.ticket_measures import UNDONE
from crm_core.vocabulary import Action

AGE = "age"
"""The name of this split beside the fields that figures can be split by."""
_TICKET = Ticket.__table__  # type: ignore[attr-defined]
_METRIC = METRICS["open_tickets"]


@dataclass(frozen=True)
class Band:
    """Whole days since a ticket was opened, both ends included; ``most`` None: without end."""

    label: str
    least: int
    most: int | None


BANDS = (
    Band("Opened today", 0, 0),
    Band("1 to 2 days", 1, 2),
    Band("3 to 6 days", 3, 6),
    Band("1 to 2 weeks", 7, 13),
    Band("2 to 4 weeks", 14, 27),
    Band("4 to 12 weeks", 28, 83),
    Band("Older than 12 weeks", 84, None),
)


def by_age(
    session: Session, actor: Actor, selection: Selection, only: Any = None, ast: dict[str, Any] | None = None
) -> tuple[Part, ...]:
    """Open tickets per band, in the order of their age, in days of the reader; all bands, empty ones too, unless nothing is open.

    ``only``: a further clause, ``ast``: the same as a filter of the list.
    """
    require(actor, "analytics", Action.READ)
    if not actor.can("ticket", Action.READ):
        raise NotFound("There is no such figure.")
    if metrics.hidden_reason(actor, _METRIC):
        return ()
    slot = Slot(selection.period, selection.owner_id, only=only)
    counts = [func.count(case((_inside(band, selection.today, Context(actor)), 1))) for band in BANDS]
    row = session.execute(select(*counts).where(reach(actor, "ticket", _TICKET, slot), _TICKET.c.status.in_(UNDONE))).one()
    base = list_filter(_METRIC, selection.period, owner_id=selection.owner_id)["items"] + ([ast] if ast else [])
    if not any(row):
        return ()
    return tuple(
        Part(band.label, band.label, int(count), int(count), {"op": "and", "items": [*base, _opened(band, selection.today)]})
        for band, count in zip(BANDS, row, strict=True)
    )


def _inside(band: Band, today: date, context: Context) -> Any:
    before = _TICKET.c.opened_at < context.start_of(today - timedelta(days=band.least - 1))
    if band.most is None:
        return before
    return before & (_TICKET.c.opened_at >= context.start_of(today - timedelta(days=band.most)))


def _opened(band: Band, today: date) -> dict[str, Any]:
    last = today - timedelta(days=band.least)
    if band.most is None:
        return {"field": "opened_at", "cmp": "lt", "value": str(last + timedelta(days=1))}
    return {"field": "opened_at", "cmp": "between", "value": [str(today - timedelta(days=band.most)), str(last)]}
