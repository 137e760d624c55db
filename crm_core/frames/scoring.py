"""What a score learns from: leads and deals with what became of them, and what had happened around them before a moment."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from sqlalchemy import Select, and_, case, func, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.frames.read import read_frame
from crm_core.kit.money import exponent
from crm_core.models import Contact, Deal, DealContact, Event, Lead, LeadStatus, Order, Touchpoint
from crm_core.vocabulary import SOLD, Action, LeadKind, StageKind

_LEADS: Any = Lead.__table__  # type: ignore[attr-defined]
_STATUS: Any = LeadStatus.__table__  # type: ignore[attr-defined]
_DEALS: Any = Deal.__table__  # type: ignore[attr-defined]
_PEOPLE: Any = DealContact.__table__  # type: ignore[attr-defined]
_TOUCHES: Any = Touchpoint.__table__  # type: ignore[attr-defined]
_CONTACTS: Any = Contact.__table__  # type: ignore[attr-defined]
_ORDERS: Any = Order.__table__  # type: ignore[attr-defined]
_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_DEAD = (LeadKind.UNQUALIFIED, LeadKind.RECYCLED)


def lead_outcomes(session: Session, actor: Actor) -> pd.DataFrame:
    """One row per lead that the actor may see: id, created_at, kind (of its status), converted_at, ended_at (disqualified or put aside, where the log knows),
    worth (amount of the deal it became, major units, where the actor may see that)."""
    require(actor, "lead", Action.READ)
    turned = (
        select(_EVENTS.c.record_id, func.max(_EVENTS.c.at).label("at"))
        .where(_EVENTS.c.entity == "lead", _EVENTS.c.type == "lead.disqualified")
        .group_by(_EVENTS.c.record_id)
        .subquery()
    )
    statement = (
        select(
            _LEADS.c.id,
            _LEADS.c.created_at,
            _STATUS.c.kind,
            _LEADS.c.converted_at,
            case((_STATUS.c.kind.in_(_DEAD), turned.c.at)).label("ended_at"),
            _DEALS.c.amount_minor,
        )
        .join(_STATUS, _STATUS.c.id == _LEADS.c.status_id)
        .outerjoin(turned, turned.c.record_id == _LEADS.c.id)
        .outerjoin(_DEALS, and_(_DEALS.c.id == _LEADS.c.converted_deal_id, visible(actor, "deal", _DEALS)))
        .where(visible(actor, "lead", _LEADS))
        .order_by(_LEADS.c.id)
    )
    frame = read_frame(session, statement)
    frame["worth"] = frame.pop("amount_minor").astype(float) / 10 ** exponent(actor.currency)
    return frame


def deal_outcomes(session: Session, actor: Actor) -> pd.DataFrame:
    """One row per deal that the actor may see: id, created_at, created_on, closed_on, outcome, amount (major units), account_id, contact_id."""
    require(actor, "deal", Action.READ)
    names = ("id", "created_at", "created_on", "closed_on", "outcome", "amount_minor", "account_id", "contact_id")
    statement = select(*[_DEALS.c[name] for name in names]).where(visible(actor, "deal", _DEALS)).order_by(_DEALS.c.id)
    frame = read_frame(session, statement)
    frame["amount"] = frame.pop("amount_minor").astype(float) / 10 ** exponent(actor.currency)
    return frame


def _among(statement: Select[Any], column: Any, ids: Sequence[int] | None) -> Select[Any]:
    return statement if ids is None else statement.where(column.in_([int(each) for each in ids]))


def committee_days(session: Session, actor: Actor, ids: Sequence[int] | None = None) -> pd.DataFrame:
    """One row per person in the buying committee of a deal that the actor may see: id (of the deal), at."""
    require(actor, "deal", Action.READ)
    statement = (
        select(_PEOPLE.c.deal_id.label("id"), _PEOPLE.c.created_at.label("at"))
        .join(_DEALS, _DEALS.c.id == _PEOPLE.c.deal_id)
        .where(visible(actor, "deal", _DEALS))
    )
    return read_frame(session, _among(statement, _DEALS.c.id, ids))


def lead_touches(session: Session, actor: Actor, ids: Sequence[int] | None = None) -> pd.DataFrame:
    """One row per touch of a lead that the actor may see: id (of the lead), at, channel (stored value)."""
    require(actor, "lead", Action.READ)
    statement = (
        select(_TOUCHES.c.lead_id.label("id"), _TOUCHES.c.at, _TOUCHES.c.channel)
        .join(_LEADS, _LEADS.c.id == _TOUCHES.c.lead_id)
        .where(visible(actor, "lead", _LEADS))
    )
    return read_frame(session, _among(statement, _LEADS.c.id, ids))


def deal_touches(session: Session, actor: Actor, ids: Sequence[int] | None = None) -> pd.DataFrame:
    """One row per touch of the main contact of a deal, where the actor may see both: id (of the deal), at, channel (stored value)."""
    require(actor, "deal", Action.READ)
    statement = (
        select(_DEALS.c.id, _TOUCHES.c.at, _TOUCHES.c.channel)
        .join(_DEALS, _DEALS.c.contact_id == _TOUCHES.c.contact_id)
        .join(_CONTACTS, _CONTACTS.c.id == _DEALS.c.contact_id)
        .where(visible(actor, "deal", _DEALS), visible(actor, "contact", _CONTACTS))
    )
    return read_frame(session, _among(statement, _DEALS.c.id, ids))


def account_orders(session: Session, actor: Actor, ids: Sequence[int] | None = None) -> pd.DataFrame:
    """One row per placed or fulfilled order of an account that the actor may see: account_id, at."""
    require(actor, "order", Action.READ)
    statement = select(_ORDERS.c.account_id, _ORDERS.c.ordered_at.label("at")).where(
        visible(actor, "order", _ORDERS), _ORDERS.c.account_id.is_not(None), _ORDERS.c.status.in_(SOLD)
    )
    return read_frame(session, _among(statement, _ORDERS.c.account_id, ids))


def account_wins(session: Session, actor: Actor, ids: Sequence[int] | None = None) -> pd.DataFrame:
    """One row per won deal of an account that the actor may see: account_id, at (the closing day)."""
    require(actor, "deal", Action.READ)
    statement = select(_DEALS.c.account_id, _DEALS.c.closed_on).where(
        visible(actor, "deal", _DEALS),
        _DEALS.c.outcome == StageKind.WON,
        _DEALS.c.account_id.is_not(None),
        _DEALS.c.closed_on.is_not(None),
    )
    frame = read_frame(session, _among(statement, _DEALS.c.account_id, ids))
    frame["at"] = frame.pop("closed_on").dt.tz_localize("UTC").dt.as_unit("us")
    return frame
