"""Customers under contract: since when, until when, and what happened around them day by day, within the actor's scope."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import Select, and_, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.filters import where
from crm_core.frames.read import read_frame
from crm_core.models import Account, Ticket
from crm_core.vocabulary import Action

_ACCOUNTS: Any = Account.__table__  # type: ignore[attr-defined]
_TICKETS: Any = Ticket.__table__  # type: ignore[attr-defined]
DATES = ("customer_since", "renews_on", "customer_until")


def contracts_query(
    session: Session, actor: Actor, *, rule: Mapping[str, Any] | None = None, now: datetime | None = None
) -> Select[Any]:
    """The SELECT behind ``contracts``. Dates that the role hides come as nothing."""
    require(actor, "account", Action.READ)
    chosen = where(session, "account", rule, actor, now=now) if rule else None
    seen = visible(actor, "account", _ACCOUNTS)
    columns = [_ACCOUNTS.c[key] for key in DATES if not actor.masked("account", key)]
    statement = select(_ACCOUNTS.c.id.label("account_id"), *columns).where(seen if chosen is None else and_(seen, chosen))
    return statement.where(_ACCOUNTS.c.customer_since.is_not(None)).order_by(_ACCOUNTS.c.id)


def contracts(
    session: Session, actor: Actor, *, rule: Mapping[str, Any] | None = None, now: datetime | None = None
) -> pd.DataFrame:
    """account_id, customer_since, renews_on, customer_until (midnights UTC, or missing) of every customer whose beginning is known."""
    frame = read_frame(session, contracts_query(session, actor, rule=rule, now=now))
    for key in DATES:
        days = frame[key] if key in frame else pd.Series(pd.NaT, index=frame.index, dtype="datetime64[s]")
        frame[key] = pd.to_datetime(days).dt.tz_localize("UTC").dt.as_unit("us")
    return frame[["account_id", *DATES]]


def ticket_days(session: Session, actor: Actor, *, until: datetime) -> pd.DataFrame:
    """account_id and at of every ticket of a company that was opened before ``until``."""
    require(actor, "ticket", Action.READ)
    statement = select(_TICKETS.c.account_id, _TICKETS.c.opened_at.label("at")).where(
        visible(actor, "ticket", _TICKETS), _TICKETS.c.account_id.is_not(None), _TICKETS.c.opened_at < until
    )
    return read_frame(session, statement.order_by(_TICKETS.c.id))
