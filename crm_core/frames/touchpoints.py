"""What touched whom, as the TOUCHPOINTS frame of ``ml.contracts``, for contacts that the actor may see."""

from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.frames.read import read_frame
from crm_core.kit.money import exponent
from crm_core.models import Campaign, Contact, Touchpoint
from crm_core.vocabulary import Action

_TOUCHES: Any = Touchpoint.__table__  # type: ignore[attr-defined]
_CONTACTS: Any = Contact.__table__  # type: ignore[attr-defined]
_CAMPAIGNS: Any = Campaign.__table__  # type: ignore[attr-defined]


def touchpoints(session: Session, actor: Actor, *, since: datetime | None = None, until: datetime | None = None) -> pd.DataFrame:
    """TOUCHPOINTS: customer_id (a contact), at (UTC), channel (stored value), campaign (name, or "No campaign"), cost (major units).

    Touches of visitors and leads who are no contacts are left out. Without the permission to read campaigns their names are too.
    """
    require(actor, "contact", Action.READ)
    statement = (
        select(
            _TOUCHES.c.contact_id.label("customer_id"),
            _TOUCHES.c.at,
            _TOUCHES.c.channel,
            _CAMPAIGNS.c.name.label("campaign"),
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
