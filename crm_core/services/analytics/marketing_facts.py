"""Facts of marketing: leads by the day they came, campaigns by the day they started, and what won deals name them for."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, func, literal_column, select
from sqlmodel import Session

from crm_core import filters
from crm_core.access import Actor, visible
from crm_core.filters import Context
from crm_core.models import Account, Campaign, CampaignChannel, Deal, Lead
from crm_core.services.analytics import acquisition
from crm_core.services.analytics.metric_rules import METRICS, Facts, list_filter
from crm_core.services.analytics.metric_slots import (
    Grouped,
    Slot,
    collect,
    days_within,
    instants_within,
    key_of_day,
    pieces,
    reach,
    union_rows,
)
from crm_core.vocabulary import StageKind

_ACCOUNT = Account.__table__  # type: ignore[attr-defined]
_DEAL = Deal.__table__  # type: ignore[attr-defined]
_LEAD = Lead.__table__  # type: ignore[attr-defined]
_CAMPAIGN = Campaign.__table__  # type: ignore[attr-defined]
_CHANNEL = CampaignChannel.__table__  # type: ignore[attr-defined]


def leads(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Leads by the day they were created, with how many of them were converted since."""
    counted = (func.count(), func.count(_LEAD.c.converted_at))
    mine = reach(actor, "lead", _LEAD, slot)
    if slot.by:
        column, inside = _LEAD.c[slot.by], instants_within(_LEAD.c.created_at, slot.period, actor)
        parts = [select(column, *counted).where(mine, inside).group_by(column)]
    else:
        days = pieces(_LEAD.c.created_at, slot, Context(actor).start_of)
        parts = [select(literal_column(str(n)), *counted).where(mine, inside) for n, inside in days]

    def put(facts: Facts, row: Any) -> None:
        facts.leads += row[1]
        facts.converted += row[2]

    return collect(union_rows(session, parts), put)


def campaigns(session: Session, actor: Actor, slot: Slot) -> Grouped:
    """Campaigns by the day they started, with the actual cost of their channels."""
    rows = session.execute(
        select(
            _CAMPAIGN.c.starts_on, func.count(_CAMPAIGN.c.id.distinct()), func.coalesce(func.sum(_CHANNEL.c.actual_cost_minor), 0)
        )
        .select_from(_CAMPAIGN.outerjoin(_CHANNEL, _CHANNEL.c.campaign_id == _CAMPAIGN.c.id))
        .where(reach(actor, "campaign", _CAMPAIGN, slot), days_within(_CAMPAIGN.c.starts_on, slot.period))
        .group_by(_CAMPAIGN.c.starts_on)
    )
    day_key = key_of_day(slot)

    def put(facts: Facts, row: Any) -> None:
        facts.campaigns += row[1]
        facts.cost_minor += int(row[2])

    return collect(rows, put, lambda row: day_key(row[0]))


def new_customers(session: Session, actor: Actor, slots: Sequence[Slot]) -> list[Facts]:
    """Accounts that became customers in the period of each slot, from one walk over the won deals; nothing for one owner, and for whoever sees only a
    part of accounts and deals. The list behind it (``metric_rules``) means the same accounts."""
    if any(slot.owner_id is not None for slot in slots) or acquisition.hidden_reason(actor):
        return [Facts() for _ in slots]
    first = (
        select(_DEAL.c.account_id, func.min(_DEAL.c.closed_on).label("won_on"))
        .where(visible(actor, "deal", _DEAL), _DEAL.c.outcome == StageKind.WON)
        .where(_DEAL.c.account_id.is_not(None), _DEAL.c.closed_on.is_not(None))
        .group_by(_DEAL.c.account_id)
        .subquery()
    )
    counts = [func.count(case((days_within(first.c.won_on, slot.period), 1))) for slot in slots]
    known = select(*counts).select_from(first.join(_ACCOUNT, _ACCOUNT.c.id == first.c.account_id))
    found = session.execute(known.where(visible(actor, "account", _ACCOUNT))).one()
    return [Facts(new_customers=count) for count in found]


def campaign_returns(session: Session, actor: Actor, slot: Slot) -> Facts:
    """What campaigns of the period cost and what won deals name them for; nothing for whoever may not see what that is made of. Campaigns in the bin count on
    both sides, since their deals stay."""
    metric = METRICS["campaign_return"]
    if any(actor.masked(*field) for field in metric.needs):
        return Facts()
    ast = list_filter(metric, slot.period, owner_id=slot.owner_id)
    deals, revenue = session.execute(
        select(func.count(), func.coalesce(func.sum(_DEAL.c.amount_minor), 0)).where(
            visible(actor, "deal", _DEAL), filters.where(session, "deal", ast, actor)
        )
    ).one()
    owned = [_CAMPAIGN.c.owner_id == slot.owner_id] if slot.owner_id is not None else []
    cost = session.execute(
        select(func.coalesce(func.sum(_CHANNEL.c.actual_cost_minor), 0))
        .select_from(_CAMPAIGN.join(_CHANNEL, _CHANNEL.c.campaign_id == _CAMPAIGN.c.id))
        .where(
            visible(actor, "campaign", _CAMPAIGN, with_deleted=True),
            days_within(_CAMPAIGN.c.starts_on, slot.period),
            *owned,
        )
    ).scalar_one()
    return Facts(return_deals=deals, return_minor=int(revenue), return_cost_minor=int(cost))
