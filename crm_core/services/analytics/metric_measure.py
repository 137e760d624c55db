"""Facts of a period and of the one it is compared with: all of it, by step, and as the open records stood."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.services.analytics import account_facts, deal_facts, marketing_facts, metric_slots, order_facts, periods, ticket_facts
from crm_core.services.analytics.metric_rules import Facts, total
from crm_core.services.analytics.metric_slots import Grouped, Selection, Slot
from crm_core.services.analytics.periods import Bucket, Period

Loader = Callable[[Session, Actor, Slot], Grouped]

_LOADERS: dict[str, tuple[Loader, ...]] = {
    "sales": (deal_facts.closed_deals, deal_facts.cycles),
    "marketing": (marketing_facts.leads, marketing_facts.campaigns),
    "orders": (order_facts.orders,),
    "service": (ticket_facts.service,),
}


@dataclass
class Measured:
    """Facts of a period: all of it, by step, and as the open records stood at the end of each step (or of the period)."""

    period: Period
    steps: tuple[Bucket, ...]
    whole: Facts
    parts: tuple[Facts, ...]
    standing: tuple[Facts, ...] = ()


def measure(session: Session, actor: Actor, area: str, selection: Selection) -> tuple[Measured, Measured | None]:
    """The facts of an area for the chosen period and for its comparison (None without one), within what the actor may see."""
    found = _measure(session, actor, area, selection, selection.period)
    before = _measure(session, actor, area, selection, selection.comparison) if selection.comparison else None
    _add_standing(session, actor, area, selection, found, before)
    if area == "marketing":
        both = [one for one in (found, before) if one is not None]
        slots = [Slot(one.period, selection.owner_id, selection.pipeline_id) for one in both]
        for one, facts in zip(both, marketing_facts.new_customers(session, actor, slots), strict=True):
            one.whole.add(facts)
    return found, before


def steps_of(session: Session, actor: Actor, area: str, selection: Selection, period: Period) -> tuple[Bucket, ...]:
    """The steps of a trend over a period; over all time from the first to the last record that the actor may see."""
    if period.start is None or period.end is None:
        slot = Slot(period, selection.owner_id, selection.pipeline_id)
        found = metric_slots.extent(session, actor, area, slot)
        if found is None or found.start is None or found.end is None:
            return ()
        period = found
    assert period.start is not None and period.end is not None
    return periods.buckets(period.start, period.end, fiscal_start_month=selection.fiscal_start_month)


def _measure(session: Session, actor: Actor, area: str, selection: Selection, period: Period) -> Measured:
    steps = steps_of(session, actor, area, selection, period)
    slot = Slot(period, selection.owner_id, selection.pipeline_id, steps)
    grouped: dict[Any, Facts] = {}
    for loader in _LOADERS[area]:
        for key, found in loader(session, actor, slot).items():
            grouped.setdefault(key, Facts()).add(found)
    whole = total(grouped.values())
    if area == "marketing":
        whole.add(marketing_facts.campaign_returns(session, actor, slot))
    return Measured(period, steps, whole, tuple(grouped.get(index, Facts()) for index in range(len(steps))))


_NOW = {
    "sales": (deal_facts.open_deals, deal_facts.pipeline_at),
    "service": (ticket_facts.open_tickets, ticket_facts.tickets_at),
}


def _add_standing(
    session: Session, actor: Actor, area: str, selection: Selection, found: Measured, before: Measured | None
) -> None:
    """What is open now, and what was open at the end of each step and of the period before, from one walk back."""
    if area not in _NOW:
        return
    now, at = _NOW[area]
    slot = Slot(selection.period, selection.owner_id, selection.pipeline_id)
    present = total(now(session, actor, slot).values())
    found.whole.add(present)
    if area == "service":
        found.whole.add(total(account_facts.open_handovers(session, actor, slot).values()))
    earlier = [before.period.end] if before and before.period.end else []
    ends = sorted({*earlier, *(step.end for step in found.steps)})
    stood = dict(zip(ends, at(session, actor, slot, present, ends), strict=True))
    found.standing = tuple(stood[step.end] for step in found.steps)
    if before:
        before.standing = tuple(stood[end] for end in earlier)
