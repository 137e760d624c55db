"""What a promotion came to: orders with it beside those without it in the same time. No lift: many of them would have bought anyway."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Float, and_, case, cast, distinct, func, or_, select
from sqlmodel import Session
from sqlmodel import select as pick

from crm_core.access import Actor, visible
from crm_core.models import CampaignPlan, Order, Organisation, Promotion, Redemption
from crm_core.services.sales import promotion_codes, promotions
from crm_core.vocabulary import SOLD, Action, CodeKind, Scope
from ml import lift
from ml.lift import Difference

_USED: Any = Redemption.__table__  # type: ignore[attr-defined]
_ORDERS: Any = Order.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Results:
    """Figures of a promotion over the orders that the actor may see. Money in minor units; None where it is hidden or there is nothing to divide.

    ``given``: single codes that are out, None where everybody types the same one; ``without``: orders of the same days that did not use it;
    ``difference``: the average order with it minus the one without, with its interval; ``whole``: whether the actor sees all orders; ``campaign_id``: whose hold-out measures what it adds.
    """

    redeemed: int
    given: int | None
    sold: int
    revenue_minor: int | None
    discount_minor: int | None
    with_minor: int | None
    without_minor: int | None
    without: int
    new: int
    returning: int
    since: date | None
    until: date | None
    whole: bool
    campaign_id: int | None
    measured: bool
    difference: Difference | None


def of(session: Session, actor: Actor, promotion_id: int) -> Results:
    """The figures. Orders that are drafts or cancelled count as no revenue."""
    promotion = promotions.get(session, actor, promotion_id)
    hidden = actor.masked("order", "total_minor") or actor.masked("promotion", "spent_minor")
    given = promotion_codes.given(session, actor, promotion_id) if promotion.code_kind is CodeKind.SINGLE else None
    sold, revenue, squares, discount, first = _with(session, actor, promotion)
    since, until = _period(session, promotion, first)
    others, other_revenue, other_squares = _without(session, actor, promotion, since, until)
    difference = lift.difference_of_means((sold, revenue, squares), (others, other_revenue, other_squares))
    new, customers = _customers(session, actor, promotion)
    campaign_id = _campaign(session, promotion)
    return Results(
        promotion.redeemed_count, given, sold, None if hidden else revenue, None if hidden else discount,
        None if hidden or not sold else round(revenue / sold), None if hidden or not others else round(other_revenue / others), others, new,
        customers - new, since, until, Scope.ALL in actor.scopes("order", Action.READ), campaign_id, _held_out(session, campaign_id),
        None if hidden else difference,
    )  # fmt: skip


def _mine(actor: Actor, promotion: Promotion) -> Any:
    counted = and_(_USED.c.promotion_id == promotion.id, _USED.c.released_at.is_(None))
    return and_(counted, visible(actor, "order", _ORDERS), _ORDERS.c.status.in_(SOLD))


_TOTAL = cast(_ORDERS.c.total_minor, Float)
_AMOUNTS = (func.count(), func.coalesce(func.sum(_ORDERS.c.total_minor), 0), func.coalesce(func.sum(_TOTAL * _TOTAL), 0.0))
"""Number, sum and sum of squares of the totals of orders; the squares in floating point, since whole numbers would run over."""


def _with(session: Session, actor: Actor, promotion: Promotion) -> tuple[int, int, float, int, datetime | None]:
    columns = (*_AMOUNTS, func.coalesce(func.sum(_USED.c.amount_minor), 0))
    joined = _USED.join(_ORDERS, _ORDERS.c.id == _USED.c.order_id)
    row = session.execute(select(*columns, func.min(_ORDERS.c.ordered_at)).select_from(joined).where(_mine(actor, promotion))).one()
    return int(row[0]), int(row[1]), float(row[2]), int(row[3]), row[4]


def _period(session: Session, promotion: Promotion, first: datetime | None) -> tuple[date | None, date | None]:
    """The days on which it could be used so far; from its first order on where no day was set."""
    today = promotions.today(session)
    since = promotion.starts_on or (promotions.day_of(session, first) if first is not None else None)
    if since is None or since > today:
        return None, None
    return since, min(promotion.ends_on or today, today)


def _without(
    session: Session, actor: Actor, promotion: Promotion, since: date | None, until: date | None
) -> tuple[int, int, float]:
    if since is None or until is None:
        return 0, 0, 0.0
    zone = ZoneInfo(session.exec(pick(Organisation.timezone)).first() or "UTC")
    begin, end = (datetime.combine(day, time(), zone) for day in (since, until + timedelta(days=1)))
    used = select(_USED.c.order_id).where(_USED.c.promotion_id == promotion.id, _USED.c.released_at.is_(None))
    clause = and_(_ORDERS.c.ordered_at >= begin, _ORDERS.c.ordered_at < end, _ORDERS.c.status.in_(SOLD), _ORDERS.c.id.not_in(used))
    count, total, squares = session.execute(
        select(*_AMOUNTS).select_from(_ORDERS).where(clause, visible(actor, "order", _ORDERS))
    ).one()
    return int(count), int(total), float(squares)


def _customers(session: Session, actor: Actor, promotion: Promotion) -> tuple[int, int]:
    """Customers whose first order of all used it, and all of its customers: the company where there is one, else the person."""
    earlier = _ORDERS.alias("earlier")
    same = or_(
        and_(_ORDERS.c.account_id.is_not(None), earlier.c.account_id == _ORDERS.c.account_id),
        and_(_ORDERS.c.account_id.is_(None), earlier.c.contact_id == _ORDERS.c.contact_id),
    )
    before = or_(
        earlier.c.ordered_at < _ORDERS.c.ordered_at, and_(earlier.c.ordered_at == _ORDERS.c.ordered_at, earlier.c.id < _ORDERS.c.id)
    )
    known = select(earlier.c.id).where(same, before, earlier.c.status.in_(SOLD), earlier.c.deleted_at.is_(None)).exists()
    customer = case((_ORDERS.c.account_id.is_not(None), _ORDERS.c.account_id), else_=-_ORDERS.c.contact_id)
    columns = (func.count(distinct(case((~known, customer)))), func.count(distinct(customer)))
    joined = _USED.join(_ORDERS, _ORDERS.c.id == _USED.c.order_id)
    new, customers = session.execute(select(*columns).select_from(joined).where(_mine(actor, promotion))).one()
    return int(new), int(customers)


def _campaign(session: Session, promotion: Promotion) -> int | None:
    """The campaign whose hold-out says more: its own, or the last one that gave codes out."""
    codes = promotions.CODES
    last = select(codes.c.campaign_id).where(codes.c.promotion_id == promotion.id, codes.c.campaign_id.is_not(None))
    plans: Any = CampaignPlan.__table__  # type: ignore[attr-defined]
    carries = select(plans.c.campaign_id).where(plans.c.promotion_id == promotion.id).order_by(plans.c.id.desc()).limit(1)
    return (
        promotion.campaign_id
        or session.execute(last.order_by(codes.c.id.desc()).limit(1)).scalar()
        or session.execute(carries).scalar()
    )


def _held_out(session: Session, campaign_id: int | None) -> bool:
    plans: Any = CampaignPlan.__table__  # type: ignore[attr-defined]
    if campaign_id is None:
        return False
    return bool(session.execute(select(plans.c.holdout_pct).where(plans.c.campaign_id == campaign_id)).scalar())
