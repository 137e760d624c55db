"""Who a rule speaks to: customers who bought what it starts from and not what it leads to."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.models import OrderLine
from crm_core.services.analytics import run_keys, runs
from crm_core.vocabulary import SOLD, Action

_LINES: Any = OrderLine.__table__  # type: ignore[attr-defined]


def targets(session: Session, actor: Actor, run_id: int, bought: Iterable[int], not_yet: Iterable[int]) -> list[int]:
    """Ids of the customers (people or companies, as the run says) who bought all of ``bought`` in the run's period and none of ``not_yet``."""
    return list(session.execute(_targets(session, actor, run_id, list(bought), list(not_yet))).scalars())


def count(session: Session, actor: Actor, run_id: int, bought: Iterable[int], not_yet: Iterable[int]) -> int:
    """How many that are."""
    inner = _targets(session, actor, run_id, list(bought), list(not_yet)).order_by(None).subquery()
    return session.execute(select(func.count()).select_from(inner)).scalar_one()


def _targets(session: Session, actor: Actor, run_id: int, bought: list[int], not_yet: list[int]) -> Select[Any]:
    run = runs.get(session, actor, run_id, "basket")
    customer = str(run.params["customer"])
    require(actor, customer, Action.READ)
    if not bought or not not_yet:
        raise Invalid("A rule needs products on both sides.")
    orders, people = entity("order").table, entity(customer).table
    buyer = orders.c[f"{customer}_id"]
    until = run_keys.end_of(run.as_of, actor.timezone)
    seen = [visible(actor, "order", orders), orders.c.status.in_(SOLD), buyer.is_not(None), orders.c.ordered_at < until]
    if months := int(run.params["months"]):
        seen.append(orders.c.ordered_at >= until - timedelta(days=round(months * 30.4375)))
    joined = _LINES.join(orders, orders.c.id == _LINES.c.order_id)
    have = (
        select(buyer).select_from(joined).where(and_(*seen), _LINES.c.product_id.in_(bought)).group_by(buyer)
        .having(func.count(_LINES.c.product_id.distinct()) == len(set(bought)))
    )  # fmt: skip
    already = select(buyer).select_from(joined).where(and_(*seen), _LINES.c.product_id.in_(not_yet))
    return (
        select(people.c.id)
        .where(visible(actor, customer, people), people.c.id.in_(have), people.c.id.not_in(already))
        .order_by(people.c.id)
    )
