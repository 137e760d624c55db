"""Who stands behind a cell of the cohort table: customers by the period of their first order and whether they ordered again at an age."""

from datetime import date, datetime, time
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.models import Order
from crm_core.services.analytics.periods import add_months
from crm_core.services.analytics.run_keys import end_of
from crm_core.vocabulary import SOLD, Action

Customer = Literal["contact", "account"]
MONTHS = {"month": 1, "quarter": 3, "year": 12}
_ORDERS: Any = Order.__table__  # type: ignore[attr-defined]


def members(
    session: Session, actor: Actor, customer: Customer, cohort: date, *, period: str = "month", age: int | None = None,
    active: bool | None = None, until: date | None = None,
) -> list[int]:  # fmt: skip
    """Ids of the customers whose first order lies in the period that begins on ``cohort``; with ``age`` only those who did
    (``active``) or did not order again that many periods later. Days are those of the actor, as in the table; orders after ``until`` are unseen.
    """
    require(actor, "order", Action.READ)
    require(actor, customer, Action.READ)
    if customer not in ("contact", "account") or period not in MONTHS or (age is not None and age < 1):
        raise Invalid("There is no such cohort.")
    who = _ORDERS.c[f"{customer}_id"]
    counted = [visible(actor, "order", _ORDERS), _ORDERS.c.status.in_(SOLD), who.is_not(None)]
    counted += [_ORDERS.c.ordered_at < end_of(until, actor.timezone)] if until else []
    first, following = _span(actor, cohort, period, 0)
    born = select(who.label("id")).where(*counted).group_by(who)
    born = born.having(and_(func.min(_ORDERS.c.ordered_at) >= first, func.min(_ORDERS.c.ordered_at) < following))
    table = entity(customer).table
    wanted = [visible(actor, customer, table), table.c.id.in_(born)]
    if age is not None and active is not None:
        since, before = _span(actor, cohort, period, age)
        again = select(who).where(*counted, _ORDERS.c.ordered_at >= since, _ORDERS.c.ordered_at < before)
        wanted.append(table.c.id.in_(again) if active else table.c.id.not_in(again))
    return list(session.execute(select(table.c.id).where(*wanted).order_by(table.c.id)).scalars())


def _span(actor: Actor, cohort: date, period: str, age: int) -> tuple[datetime, datetime]:
    start = add_months(cohort, MONTHS[period] * age)
    first, following = (
        datetime.combine(day, time(), ZoneInfo(actor.timezone)) for day in (start, add_months(start, MONTHS[period]))
    )
    return first, following
