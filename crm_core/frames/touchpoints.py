"""What touched whom, as the TOUCHPOINTS frame of ``ml.contracts``, for contacts that the actor may see."""

from datetime import date, datetime
from typing import Any

import pandas as pd
from sqlalchemy import Date, false, func, select, true, type_coerce
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.frames.read import read_frame
from crm_core.kit.money import exponent
from crm_core.models import Campaign, CampaignChannel, Contact, Touchpoint
from crm_core.vocabulary import Action

_TOUCHES: Any = Touchpoint.__table__  # type: ignore[attr-defined]
_CONTACTS: Any = Contact.__table__  # type: ignore[attr-defined]
_CAMPAIGNS: Any = Campaign.__table__  # type: ignore[attr-defined]
_COSTS: Any = CampaignChannel.__table__  # type: ignore[attr-defined]


def touchpoints(session: Session, actor: Actor, *, since: datetime | None = None, until: datetime | None = None) -> pd.DataFrame:
    """TOUCHPOINTS: customer_id (a contact), at (UTC), channel (stored value), campaign (name, or "No campaign"), campaign_id, cost (major units).

    Touches of visitors and leads who are no contacts are left out. Without the permission to read campaigns their names and ids are too.
    """
    require(actor, "contact", Action.READ)
    statement = (
        select(
            _TOUCHES.c.contact_id.label("customer_id"),
            _TOUCHES.c.at,
            _TOUCHES.c.channel,
            _CAMPAIGNS.c.name.label("campaign"),
            _CAMPAIGNS.c.id.label("campaign_id"),
            _TOUCHES.c.cost_minor,
        )
        .join(_CONTACTS, _CONTACTS.c.id == _TOUCHES.c.contact_id)
        .outerjoin(
            _CAMPAIGNS, (_CAMPAIGNS.c.id == _TOUCHES.c.campaign_id) & visible(actor, "campaign", _CAMPAIGNS, with_deleted=True)
        )
        .where(visible(actor, "contact", _CONTACTS))
        .order_by(_TOUCHES.c.id)
    )
    statement = statement.where(_TOUCHES.c.at >= since) if since else statement
    statement = statement.where(_TOUCHES.c.at < until) if until else statement
    frame = read_frame(session, statement)
    frame["campaign"] = frame["campaign"].fillna("No campaign")
    frame["cost"] = frame.pop("cost_minor").astype(float) / 10 ** exponent(actor.currency)
    return frame


def campaign_costs(session: Session, actor: Actor, *, since: date | None = None, until: date | None = None) -> pd.DataFrame:
    """One row per channel of a campaign with an actual cost: campaign_id, campaign (name), channel (stored value), cost (major units).
    None at all for whom the budget is hidden.

    A campaign that ran partly outside ``since`` … ``until`` counts with the share of its days inside; one without dates counts whole.
    """
    require(actor, "campaign", Action.READ)
    begins = func.coalesce(_COSTS.c.starts_on, _CAMPAIGNS.c.starts_on)
    ends = func.coalesce(_COSTS.c.ends_on, _CAMPAIGNS.c.ends_on, begins)
    statement = (
        select(
            _COSTS.c.campaign_id,
            _CAMPAIGNS.c.name.label("campaign"),
            _COSTS.c.channel,
            _COSTS.c.actual_cost_minor,
            type_coerce(begins, Date).label("begins"),
            type_coerce(ends, Date).label("ends"),
        )
        .join(_CAMPAIGNS, _CAMPAIGNS.c.id == _COSTS.c.campaign_id)
        .where(visible(actor, "campaign", _CAMPAIGNS), _COSTS.c.actual_cost_minor > 0, _costs_shown(actor))
        .order_by(_COSTS.c.id)
    )
    frame = read_frame(session, statement)
    frame["cost"] = frame.pop("actual_cost_minor").astype(float) / 10 ** exponent(actor.currency)
    frame["cost"] *= _inside(frame.pop("begins"), frame.pop("ends"), since, until)
    return frame[frame["cost"] > 0].reset_index(drop=True)


def _costs_shown(actor: Actor) -> Any:
    return false() if actor.masked("campaign", "budget_minor") else true()


def _inside(begins: pd.Series, ends: pd.Series, since: date | None, until: date | None) -> pd.Series:
    """Share of the days of each row that lie within the period, both ends included."""
    first, last = pd.Timestamp(since or date.min), pd.Timestamp(until or date.max)
    low, high = begins.where(begins > first, first), ends.where(ends < last, last)
    days = (ends - begins).dt.days + 1
    share = ((high - low).dt.days + 1).clip(lower=0) / days.where(days > 0)
    return share.fillna(1.0).clip(upper=1.0)
