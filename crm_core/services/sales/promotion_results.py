"""What a promotion came to: orders with it beside those without it in the same time. No lift: many of them would have bought anyway."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, Float, and_, case, cast, distinct, false, func, literal, or_, select, union_all
from sqlmodel import Session

from crm_core import house
from crm_core.access import Actor, visible
from crm_core.models import CampaignPlan, Order, Promotion, Redemption
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
    ``difference``: the average order with it minus the one without, with its interval, over ``customers_with`` and ``customers_without``; ``whole``: whether the actor sees all orders; ``campaign_id``: whose hold-out measures what it adds.
    """

    redeemed: int | None
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
    customers_with: int = 0
    customers_without: int = 0


def of(session: Session, actor: Actor, promotion_id: int) -> Results:
    """The figures; where its days are hidden, none of the orders beside it. Orders that are drafts or cancelled count as no revenue."""
    promotion = promotions.get(session, actor, promotion_id)
    hidden = actor.masked("order", "total_minor") or actor.masked("promotion", "spent_minor")
    given = promotion_codes.given(session, actor, promotion_id) if promotion.code_kind is CodeKind.SINGLE else None
    sold, revenue, discount, first = _with(session, actor, promotion)
    dated = not any(actor.masked("promotion", key) for key in ("starts_on", "ends_on"))
    since, until = _period(session, promotion, first) if dated else (None, None)
    beside = _beside(session, actor, promotion, since, until) if since is not None and until is not None else false()
    others, other_revenue = (int(n) for n in session.execute(select(*_AMOUNTS).select_from(_ORDERS).where(beside)).one())
    apart = _apart(session, _mine(actor, promotion), beside, (sold, revenue), (others, other_revenue))
    new, customers = _customers(session, actor, promotion)
    campaign_id = _campaign(session, promotion)
    return Results(
        None if actor.masked("promotion", "redeemed_count") else promotion.redeemed_count, given, sold, None if hidden else revenue, None if hidden else discount,
        None if hidden or not sold else round(revenue / sold), None if hidden or not others else round(other_revenue / others), others, new,
        customers - new, since, until, Scope.ALL in actor.scopes("order", Action.READ), campaign_id, _held_out(session, campaign_id),
        None if hidden else lift.difference_by_customer(*apart), *apart[3:],
    )  # fmt: skip


def _mine(actor: Actor, promotion: Promotion) -> Any:
    counted = and_(_USED.c.promotion_id == promotion.id, _USED.c.released_at.is_(None))
    return and_(counted, visible(actor, "order", _ORDERS), _ORDERS.c.status.in_(SOLD))


_AMOUNTS = (func.count(), func.coalesce(func.sum(_ORDERS.c.total_minor), 0))
"""Number and sum of the totals of orders."""

_WITH_CODES = _USED.join(_ORDERS, _ORDERS.c.id == _USED.c.order_id)
_CUSTOMER = case(
    (_ORDERS.c.account_id.is_not(None), cast(_ORDERS.c.account_id, BigInteger) * 3),
    (_ORDERS.c.contact_id.is_not(None), cast(_ORDERS.c.contact_id, BigInteger) * 3 + 1),
    else_=cast(_ORDERS.c.id, BigInteger) * 3 + 2,
)
"""SQL: a number for each customer, the company where there is one, else the person; an order of nobody is by somebody else."""


def _with(session: Session, actor: Actor, promotion: Promotion) -> tuple[int, int, int, datetime | None]:
    columns = (*_AMOUNTS, func.coalesce(func.sum(_USED.c.amount_minor), 0))
    query = select(*columns, func.min(_ORDERS.c.ordered_at)).select_from(_WITH_CODES)
    row = session.execute(query.where(_mine(actor, promotion))).one()
    return int(row[0]), int(row[1]), int(row[2]), row[3]


def _period(session: Session, promotion: Promotion, first: datetime | None) -> tuple[date | None, date | None]:
    """The days on which it could be used so far; from its first order on where no day was set."""
    today = promotions.today(session)
    since = promotion.starts_on or (promotions.day_of(session, first) if first is not None else None)
    if since is None or since > today:
        return None, None
    return since, min(promotion.ends_on or today, today)


def _beside(session: Session, actor: Actor, promotion: Promotion, since: date, until: date) -> Any:
    """SQL: orders of these days that did not use it."""
    zone = ZoneInfo(house.zone(session))
    begin, end = (datetime.combine(day, time(), zone) for day in (since, until + timedelta(days=1)))
    used = select(_USED.c.order_id).where(_USED.c.promotion_id == promotion.id, _USED.c.released_at.is_(None))
    clause = and_(_ORDERS.c.ordered_at >= begin, _ORDERS.c.ordered_at < end, _ORDERS.c.status.in_(SOLD), _ORDERS.c.id.not_in(used))
    return and_(clause, visible(actor, "order", _ORDERS))


def _apart(
    session: Session, mine: Any, beside: Any, with_it: tuple[int, int], without: tuple[int, int]
) -> tuple[float, float, int, int, int]:
    """What ``lift.difference_by_customer`` is given: how far the two averages lie apart, what each customer adds to that, squared and summed up, and
    how many customers there are in all and in each group. ``mine``, ``beside``: clauses of both groups; ``with_it``, ``without``: number and sum of
    their orders."""
    if not (with_it[0] and without[0]):
        return 0.0, 0.0, 0, 0, 0
    mean, other_mean = with_it[1] / with_it[0], without[1] / without[0]
    total = cast(_ORDERS.c.total_minor, Float)
    one, none = literal(1), literal(0)
    used = select(
        _CUSTOMER.label("customer"), ((total - mean) / with_it[0]).label("adds"), one.label("used"), none.label("not_used")
    )
    rest = select(
        _CUSTOMER.label("customer"), ((other_mean - total) / without[0]).label("adds"), none.label("used"), one.label("not_used")
    )
    each = union_all(
        used.select_from(_WITH_CODES).where(mine),
        rest.select_from(_ORDERS).where(beside),
    ).subquery()
    columns = (
        func.sum(each.c.adds).label("adds"),
        func.max(each.c.used).label("used"),
        func.max(each.c.not_used).label("not_used"),
    )
    customers = select(*columns).group_by(each.c.customer).subquery()
    adds = customers.c.adds
    found = session.execute(
        select(func.sum(adds * adds), func.count(), func.sum(customers.c.used), func.sum(customers.c.not_used))
    ).one()
    return mean - other_mean, float(found[0]), int(found[1]), int(found[2]), int(found[3])


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
    columns = (func.count(distinct(case((~known, _CUSTOMER)))), func.count(distinct(_CUSTOMER)))
    new, customers = session.execute(select(*columns).select_from(_WITH_CODES).where(_mine(actor, promotion))).one()
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
