"""What a new customer costs: campaigns and channels of a period beside the accounts that won us for the first time in it.

An account becomes a customer on the closing day of its first won deal. Costs are the actual ones of the channels of campaigns that started in the
period. Who won the customer is read in two ways: by campaign, as the first won deal names one; by channel, as the last touch of the account's people
before the end of that day, in the workspace's time zone, was through it: earlier touches count for nothing. Where no cost is written down, nothing is divided.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, select
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import NotPermitted
from crm_core.models import CampaignChannel, Touchpoint
from crm_core.services.analytics.metric_rules import ratio_minor
from crm_core.services.analytics.periods import Period
from crm_core.summary_marks import bounds, zone_of
from crm_core.vocabulary import Action, Channel, Scope, StageKind

_CHANNELS: Any = CampaignChannel.__table__  # type: ignore[attr-defined]
_TOUCHES: Any = Touchpoint.__table__  # type: ignore[attr-defined]
TOUCH_DAYS = 180
"""A touch longer ago than this before the first won deal brought nobody."""


@dataclass(frozen=True)
class Source:
    """A campaign or a channel: what it cost (None: nothing written down), the customers it won, and what each cost."""

    key: int | str | None
    name: str
    cost_minor: int | None
    customers: int

    @property
    def each_minor(self) -> int | None:
        """Cost ÷ new customers; None where either is missing."""
        return ratio_minor(self.cost_minor, self.customers) if self.cost_minor else None


@dataclass(frozen=True)
class Acquisition:
    """A period in full. ``costless``: campaigns of the period without an actual cost; ``undated``: campaigns with a cost that have no starting day."""

    customers: int
    cost_minor: int
    by_campaign: tuple[Source, ...]
    by_channel: tuple[Source, ...]
    costless: int
    undated: int

    @property
    def each_minor(self) -> int | None:
        """Blended: all costs ÷ all new customers."""
        return ratio_minor(self.cost_minor, self.customers) if self.cost_minor else None


def hidden_reason(actor: Actor) -> str:
    """Why a person must not see what a customer costs; empty when they may."""
    if actor.masked("campaign", "budget_minor"):
        return "Your role hides what campaigns cost."
    if actor.masked("campaign", "starts_on"):
        return "Your role hides when campaigns started."
    if any(actor.masked("deal", key) for key in ("outcome", "closed_on")):
        return "Your role hides when deals were won."
    partly = [key for key in ("deal", "account", "campaign") if Scope.ALL not in actor.scopes(key, Action.READ)]
    if partly:
        return f"Your role sees only a part of the {entity(partly[0]).plural.lower()}, so what a customer costs can't be told."
    return ""


def of_period(session: Session, actor: Actor, period: Period) -> Acquisition:
    """Costs and new customers of a period, in all, by campaign and by channel. Raises NotPermitted for whoever sees only a part of them."""
    require(actor, "analytics", Action.READ)
    if reason := hidden_reason(actor):
        raise NotPermitted(reason)
    firsts = _firsts(session, actor, period)
    costs, costless, undated = _costs(session, actor, period)
    by_campaign: dict[int | None, int] = {}
    for campaign_id, _account, _day in firsts:
        by_campaign[campaign_id] = by_campaign.get(campaign_id, 0) + 1
    spent: dict[int, int] = {}
    through: dict[Channel, int] = {}
    for campaign_id, channel, cost in costs:
        spent[campaign_id] = spent.get(campaign_id, 0) + cost
        through[channel] = through.get(channel, 0) + cost
    won = _won_by_channel(session, firsts)
    return Acquisition(
        len(firsts), sum(spent.values()), _campaigns(session, actor, spent, by_campaign), _channels(through, won), costless, undated
    )


def _firsts(session: Session, actor: Actor, period: Period) -> list[tuple[int | None, int, Any]]:
    """(campaign, account, closing day) of the first won deal of each account whose first one was won in the period."""
    deals, accounts = entity("deal").table, entity("account").table
    won = and_(
        deals.c.outcome == StageKind.WON,
        deals.c.account_id.is_not(None),
        deals.c.closed_on.is_not(None),
        visible(actor, "deal", deals),
    )
    rank = func.row_number().over(partition_by=deals.c.account_id, order_by=(deals.c.closed_on, deals.c.id)).label("n")
    ranked = select(deals.c.campaign_id, deals.c.account_id, deals.c.closed_on, rank).where(won).subquery()
    query = (
        select(ranked.c.campaign_id, ranked.c.account_id, ranked.c.closed_on)
        .join(accounts, accounts.c.id == ranked.c.account_id)
        .where(ranked.c.n == 1, visible(actor, "account", accounts))
    )
    if period.start is not None:
        query = query.where(ranked.c.closed_on >= period.start)
    if period.end is not None:
        query = query.where(ranked.c.closed_on <= period.end)
    return [tuple(row) for row in session.execute(query)]


def _costs(session: Session, actor: Actor, period: Period) -> tuple[list[tuple[int, Channel, int]], int, int]:
    """(campaign, channel, actual cost) of the period's campaigns; how many of these have none, and how many with a cost have no starting day."""
    campaigns = entity("campaign").table
    query = (
        select(campaigns.c.id, campaigns.c.starts_on, _CHANNELS.c.channel, func.coalesce(_CHANNELS.c.actual_cost_minor, 0))
        .select_from(campaigns.outerjoin(_CHANNELS, _CHANNELS.c.campaign_id == campaigns.c.id))
        .where(visible(actor, "campaign", campaigns))
    )
    rows, begun, paid, undated = [], set(), set(), set()
    for campaign_id, starts_on, channel, cost in session.execute(query):
        if starts_on is None:
            undated |= {campaign_id} if cost else set()
        elif (period.start is None or starts_on >= period.start) and (period.end is None or starts_on <= period.end):
            begun.add(campaign_id)
            if cost:
                paid.add(campaign_id)
                rows.append((campaign_id, channel, int(cost)))
    return rows, len(begun - paid), len(undated)


def _campaigns(session: Session, actor: Actor, spent: Mapping[int, int], won: Mapping[int | None, int]) -> tuple[Source, ...]:
    ids = [key for key in {*spent, *won} if key is not None]
    names: dict[int, str] = {}
    for start in range(0, len(ids), 500):
        names |= lists.titles(session, actor, "campaign", ids[start : start + 500])
    found = [Source(key, names.get(key, "A deleted campaign"), spent.get(key), won.get(key, 0)) for key in ids]
    found += [Source(None, "No campaign named", None, won[None])] if won.get(None) else []
    return tuple(sorted(found, key=_order))


def _channels(spent: Mapping[Channel, int], won: Mapping[Channel | None, int]) -> tuple[Source, ...]:
    found = [Source(one.value, one.label, spent.get(one), won.get(one, 0)) for one in Channel if one in spent or won.get(one)]
    found += [Source(None, f"No touch in {TOUCH_DAYS} days before", None, won[None])] if won.get(None) else []
    return tuple(sorted(found, key=_order))


def _order(one: Source) -> tuple[bool, int, int, str]:
    return (one.key is None, -(one.cost_minor or 0), -one.customers, one.name.casefold())


def _won_by_channel(session: Session, firsts: list[tuple[int | None, int, Any]]) -> dict[Channel | None, int]:
    """New customers by the channel of the last touch of any of their people before the end of the day on which the first deal was won, in the
    workspace's time zone: a closing day is one of the workspace."""
    contacts = entity("contact").table
    days = {account: _span(session, day) for _campaign, account, day in firsts}
    last: dict[int, tuple[datetime, Channel]] = {}
    ids = sorted(days)
    for start in range(0, len(ids), 500):
        query = (
            select(contacts.c.account_id, _TOUCHES.c.at, _TOUCHES.c.channel)
            .join(contacts, contacts.c.id == _TOUCHES.c.contact_id)
            .where(contacts.c.account_id.in_(ids[start : start + 500]), _TOUCHES.c.channel.is_not(None))
        )
        for account, at, channel in session.execute(query):
            known, (begin, end) = last.get(account), days[account]
            if begin <= at < end and (known is None or at > known[0]):
                last[account] = (at, channel)
    found: dict[Channel | None, int] = {}
    for account in ids:
        channel = last[account][1] if account in last else None
        found[channel] = found.get(channel, 0) + 1
    return found


def _span(session: Session, day: date) -> tuple[datetime, datetime]:
    """When touches may have won a customer of this closing day: from so many days before its end until its end."""
    zone = zone_of(session)
    return bounds(day - timedelta(days=TOUCH_DAYS - 1), zone)[0], bounds(day, zone)[1]
