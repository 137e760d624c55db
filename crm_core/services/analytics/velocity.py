"""Sales velocity: what the present pipeline brings in per month at the rate, value and pace of a period."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sqlmodel import Session

from crm_core.access import Actor, require
from crm_core.services.analytics.metric_measure import measure
from crm_core.services.analytics.metric_rules import METRICS, Facts, list_filter, too_few_before
from crm_core.services.analytics.metric_slots import Selection
from crm_core.services.analytics.metrics import hidden_reason
from crm_core.services.analytics.periods import Period
from crm_core.vocabulary import Action

FEW = 10
"""Below as many won deals there is no velocity."""
MONTH = Fraction(36_525, 1_200)
"""Days of a month on the average of the years."""
PARTS = ("revenue_won", "win_rate", "sales_cycle", "open_pipeline")


@dataclass(frozen=True)
class Pace:
    """The parts of a velocity and what they give; money in minor units, ``monthly_minor`` None where too few deals were won."""

    open_deals: int
    won: int
    decided: int
    average_minor: int | None
    cycle_days: float | None
    monthly_minor: int | None

    @property
    def win_rate(self) -> float | None:
        return self.won / self.decided if self.decided else None


@dataclass(frozen=True)
class Velocity:
    """The pace of a period and of the one it is compared with. ``reason``: why there is none. Filters of the lists behind the parts."""

    pace: Pace
    before: Pace | None
    reason: str
    open_filter: dict[str, Any]
    won_filter: dict[str, Any]
    decided_filter: dict[str, Any]

    @property
    def relative(self) -> float | None:
        """The change against the period before, as a share of it; None when that had too little to compare with."""
        now, then = self.pace.monthly_minor, self.before.monthly_minor if self.before else None
        if now is None or not then or self.before is None:
            return None
        few = too_few_before(self.before.open_deals, self.pace.open_deals) or too_few_before(self.before.won, self.pace.won)
        return None if few else (now - then) / then


def velocity(session: Session, actor: Actor, selection: Selection) -> Velocity:
    """Open deals × win rate × average won value ÷ mean days from opening to winning, in a month of days."""
    require(actor, "analytics", Action.READ)
    require(actor, "deal", Action.READ)
    only = {"owner_id": selection.owner_id, "pipeline_id": selection.pipeline_id}
    lists = [list_filter(METRICS[key], selection.period, **only) for key in ("open_pipeline", "revenue_won", "win_rate")]
    hidden = next((reason for key in PARTS if (reason := hidden_reason(actor, METRICS[key]))), "")
    if hidden:
        return Velocity(Pace(0, 0, 0, None, None, None), None, hidden, *lists)
    found, before = measure(session, actor, "sales", selection)
    pace = pace_of(found.whole, found.whole.open_deals)
    earlier = pace_of(before.whole, before.standing[-1].open_deals) if before and before.standing else None
    reason = "" if pace.monthly_minor is not None else _missing(pace, selection.period)
    return Velocity(pace, earlier, reason, *lists)


def pace_of(facts: Facts, open_deals: int) -> Pace:
    """The pace from counted facts. The mean of the days, not their median: only means multiply."""
    days, timed, decided = facts.cycle_days.sum(), facts.cycle_days.total(), facts.won + facts.lost
    cycle = Fraction(days, timed) if timed else None
    monthly = None
    if facts.won >= FEW and cycle:
        monthly = round(Fraction(open_deals * facts.won_minor, decided) / cycle * MONTH)
    average = round(Fraction(facts.won_minor, facts.won)) if facts.won else None
    return Pace(open_deals, facts.won, decided, average, float(cycle) if cycle is not None else None, monthly)


def _missing(pace: Pace, period: Period) -> str:
    where = "this period" if period.bounded else "all the time"
    if pace.won < FEW:
        return f"{pace.won} of the {FEW} won deals that a velocity needs at least were closed in {where}. Choose a longer period."
    return "The won deals of this period were opened and closed on the same day, so there is no pace to speak of."
