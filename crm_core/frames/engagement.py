"""What people did that no field of theirs says: answers to campaigns, complaints, within the actor's scope."""

from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import case, func, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.frames.read import read_frame
from crm_core.models import Campaign, CampaignMember, Contact, Ticket
from crm_core.vocabulary import Action, MemberStatus

_MEMBERS: Any = CampaignMember.__table__  # type: ignore[attr-defined]
_CAMPAIGNS: Any = Campaign.__table__  # type: ignore[attr-defined]
_CONTACTS: Any = Contact.__table__  # type: ignore[attr-defined]
_TICKETS: Any = Ticket.__table__  # type: ignore[attr-defined]
_REACHED = (
    MemberStatus.SENT,
    MemberStatus.OPENED,
    MemberStatus.CLICKED,
    MemberStatus.RESPONDED,
    MemberStatus.CONVERTED,
    MemberStatus.DECLINED,
)
_ANSWERED = (MemberStatus.RESPONDED, MemberStatus.CONVERTED)


def answers(session: Session, actor: Actor) -> pd.DataFrame:
    """customer_id (a contact) and answered (1 or 0) of people whom some campaign has reached; empty without the right to read campaigns."""
    require(actor, "contact", Action.READ)
    if not actor.can("campaign", Action.READ):
        return pd.DataFrame({"customer_id": pd.Series(dtype="int64"), "answered": pd.Series(dtype="int64")})
    answered = func.max(case((_MEMBERS.c.status.in_(_ANSWERED), 1), else_=0)).label("answered")
    statement = (
        select(_MEMBERS.c.contact_id.label("customer_id"), answered)
        .join(_CONTACTS, _CONTACTS.c.id == _MEMBERS.c.contact_id)
        .join(_CAMPAIGNS, _CAMPAIGNS.c.id == _MEMBERS.c.campaign_id)
        .where(visible(actor, "contact", _CONTACTS), visible(actor, "campaign", _CAMPAIGNS), _MEMBERS.c.status.in_(_REACHED))
        .group_by(_MEMBERS.c.contact_id)
        .order_by(_MEMBERS.c.contact_id)
    )
    return read_frame(session, statement)


def tickets(
    session: Session, actor: Actor, customer: str, *, since: datetime | None = None, until: datetime | None = None
) -> pd.DataFrame:
    """customer_id and tickets (their number) of customers with any; empty without the right to read tickets."""
    require(actor, customer, Action.READ)
    if not actor.can("ticket", Action.READ):
        return pd.DataFrame({"customer_id": pd.Series(dtype="int64"), "tickets": pd.Series(dtype="int64")})
    who = _TICKETS.c[f"{customer}_id"]
    parts = [visible(actor, "ticket", _TICKETS), who.is_not(None)]
    parts += [_TICKETS.c.opened_at >= since] if since else []
    parts += [_TICKETS.c.opened_at < until] if until else []
    return read_frame(
        session, select(who.label("customer_id"), func.count().label("tickets")).where(*parts).group_by(who).order_by(who)
    )
