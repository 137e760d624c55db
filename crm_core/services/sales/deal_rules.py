"""What a deal may and may not do, decided on loaded rows alone."""

from datetime import date, datetime, timedelta

from crm_core.errors import Conflict, Invalid
from crm_core.models import Deal, DealLine, Stage
from crm_core.vocabulary import StageKind

UNSEEN = timedelta(minutes=1)
"""A move that was written down later than this after it happened was seen by nobody."""


def check_stage_of_pipeline(deal: Deal, stage: Stage) -> None:
    """A stage of another pipeline is refused."""
    if stage.pipeline_id != deal.pipeline_id:
        raise Invalid(fields={"stage_id": f"The stage “{stage.name}” belongs to another pipeline."})


def check_can_close(deal: Deal, closed_on: date, today: date) -> None:
    """Closed once, not before it was opened, not in the future."""
    if deal.outcome is not StageKind.OPEN:
        raise Conflict(f"This deal was already {deal.outcome.label.lower()}. Re-open it first.")
    if closed_on > today:
        raise Invalid(fields={"closed_on": "The closing day can't lie in the future."})
    if closed_on < deal.created_on:
        raise Invalid(fields={"closed_on": "The deal can't be closed before the day it was opened."})


def began_unseen(happened: datetime, written: datetime) -> bool:
    """Whether nobody saw a deal come into its stage: an import writes the day that the file gives, long after it."""
    return written - happened > UNSEEN


def enter_stage(deal: Deal, stage: Stage, now: datetime, closed_on: date | None) -> None:
    """Set everything that follows from standing in a stage: outcome, closing day, probability unless set by hand."""
    was_closed, was_lost = deal.outcome is not StageKind.OPEN, deal.outcome is StageKind.LOST
    deal.stage_id = stage.id
    deal.pipeline_id = stage.pipeline_id
    deal.outcome = stage.kind
    deal.stage_since = now
    deal.closed_on = closed_on if stage.kind is not StageKind.OPEN else None
    if stage.kind is not StageKind.OPEN or was_closed or not deal.probability_own:
        deal.probability_pct = stage.probability_pct
        deal.probability_own = False
    if was_lost and stage.kind is not StageKind.LOST:
        deal.competitor = None
    if stage.kind is StageKind.OPEN:
        deal.lost_reason = None
        deal.won_reason = None
    elif stage.kind is StageKind.WON:
        deal.lost_reason = None
    else:
        deal.won_reason = None


def amount_of(lines: list[DealLine]) -> int:
    """Sum of the lines in minor units."""
    return sum(line.total_minor for line in lines)
