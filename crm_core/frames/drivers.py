"""Records with an outcome and what may explain it, one row each, as ``ml.regression`` takes them; within the actor's scope."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Float, Select, and_, case, cast, func, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.fields import FieldSpec, registry
from crm_core.filters import where
from crm_core.frames.read import read_frame
from crm_core.kit.money import exponent
from crm_core.models import Deal, DealContact, DealLine, Order, OrderLine, Ticket, Touchpoint
from crm_core.spans import days_between
from crm_core.vocabulary import SOLD, Action, FieldKind, StageKind

_DEALS: Any = Deal.__table__  # type: ignore[attr-defined]
_ORDERS: Any = Order.__table__  # type: ignore[attr-defined]
SILENCE_DAYS = 182
"""A customer without an order for so long counts as lost."""


def rows(
    session: Session,
    actor: Actor,
    goal: str,
    fields: Mapping[str, FieldSpec],
    computed: Iterable[str],
    *,
    since: date | None,
    until: datetime,
    rule: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """One row per record: ``id``, ``y``, the fields by their key (``industry``, ``account.industry``) and the computed numbers.

    Links are ids, money is in major units; empty categories stay empty.
    """
    frame = read_frame(session, query(session, actor, goal, fields, computed, since=since, until=until, rule=rule))
    unit = 10 ** exponent(actor.currency)
    for key, spec in fields.items():
        if spec.kind is FieldKind.MONEY:
            frame[key] = pd.to_numeric(frame[key]).astype(float) / unit
    if "customer_months" in frame:
        cut = pd.Timestamp(until - timedelta(days=SILENCE_DAYS))
        frame["customer_months"] = (cut - frame["customer_months"]).dt.total_seconds() / 86_400 / 30.4375
    for name in ("mean_order", *(["y"] if goal in ("deal_amount", "order_revenue") else [])):
        if name in frame:
            frame[name] = frame[name].astype(float) / unit
    return frame


def query(
    session: Session, actor: Actor, goal: str, fields: Mapping[str, FieldSpec], computed: Iterable[str], *, since: date | None,
    until: datetime, rule: Mapping[str, Any] | None = None,
) -> Select[Any]:  # fmt: skip
    """The SELECT behind ``rows``."""
    key = {"deal_won": "deal", "deal_amount": "deal", "cycle_days": "deal", "order_revenue": "order"}.get(
        goal, goal.removesuffix("_churned")
    )
    require(actor, key, Action.READ)
    table = entity(key).table
    source = table
    if any(path.startswith("account.") for path in fields):
        require(actor, "account", Action.READ)
        account = entity("account").table
        source = table.outerjoin(account, and_(account.c.id == table.c.account_id, visible(actor, "account", account)))
    y, kept = _OUTCOMES[goal](actor, table, since, until)
    columns = [_field(path, spec, table).label(path) for path, spec in fields.items()]
    columns += [_computed(actor, key, name, table, until).label(name) for name in computed]
    statement = select(table.c.id, y.label("y"), *columns).select_from(source).where(visible(actor, key, table), *kept)
    if rule:
        statement = statement.where(where(session, key, rule, actor, now=until))
    return statement.order_by(table.c.id)


def _field(path: str, spec: FieldSpec, table: Any) -> Any:
    return spec.expression(entity("account").table if path.startswith("account.") else table)


# --- outcomes -----------------------------------------------------------------------------------------------------------------


def _closed(kinds: tuple[StageKind, ...], since: date | None, until: datetime) -> list[Any]:
    kept = [
        _DEALS.c.outcome.in_(kinds),
        _DEALS.c.closed_on.is_not(None),
        _DEALS.c.closed_on <= (until - timedelta(microseconds=1)).date(),
    ]
    return kept + ([_DEALS.c.closed_on >= since] if since else [])


def _won(_actor: Actor, table: Any, since: date | None, until: datetime) -> tuple[Any, list[Any]]:
    return case((table.c.outcome == StageKind.WON, 1), else_=0), _closed((StageKind.WON, StageKind.LOST), since, until)


def _amount(_actor: Actor, table: Any, since: date | None, until: datetime) -> tuple[Any, list[Any]]:
    return table.c.amount_minor, [*_closed((StageKind.WON,), since, until), table.c.amount_minor > 0]


def _cycle(_actor: Actor, table: Any, since: date | None, until: datetime) -> tuple[Any, list[Any]]:
    return days_between(table.c.closed_on, table.c.created_on), [
        *_closed((StageKind.WON,), since, until),
        table.c.closed_on >= table.c.created_on,
    ]


def _order(_actor: Actor, table: Any, since: date | None, until: datetime) -> tuple[Any, list[Any]]:
    kept = [table.c.status.in_(SOLD), table.c.ordered_at < until]
    return table.c.total_minor, kept + ([table.c.ordered_at >= _at(since, until)] if since else [])


def _churned(key: str) -> Any:
    def outcome(actor: Actor, table: Any, since: date | None, until: datetime) -> tuple[Any, list[Any]]:
        cut = until - timedelta(days=SILENCE_DAYS)
        mine = _orders_of(actor, key)
        later = select(mine).where(*_bought(actor, key), _ORDERS.c.ordered_at >= cut, _ORDERS.c.ordered_at < until)
        before = [*_bought(actor, key), _ORDERS.c.ordered_at < cut]
        before += [_ORDERS.c.ordered_at >= _at(since, until)] if since else []
        return case((table.c.id.in_(later), 0), else_=1), [table.c.id.in_(select(mine).where(*before))]

    return outcome


def _orders_of(actor: Actor, key: str) -> Any:
    require(actor, "order", Action.READ)
    return _ORDERS.c[f"{key}_id"]


def _bought(actor: Actor, key: str) -> list[Any]:
    return [visible(actor, "order", _ORDERS), _ORDERS.c.status.in_(SOLD), _ORDERS.c[f"{key}_id"].is_not(None)]


def _at(day: date, like: datetime) -> datetime:
    return datetime.combine(day, datetime.min.time(), like.tzinfo)


_OUTCOMES: dict[str, Any] = {
    "deal_won": _won, "deal_amount": _amount, "cycle_days": _cycle, "order_revenue": _order,
    "account_churned": _churned("account"), "contact_churned": _churned("contact"),
}  # fmt: skip


# --- numbers from related records ---------------------------------------------------------------------------------------------


def _computed(actor: Actor, key: str, name: str, table: Any, until: datetime) -> Any:
    if key == "deal":
        return _of_deal(name, table)
    if key == "order":
        return _of_order(name, table)
    return _of_customer(actor, key, name, table, until)


def _of_deal(name: str, table: Any) -> Any:
    people: Any = DealContact.__table__  # type: ignore[attr-defined]
    lines: Any = DealLine.__table__  # type: ignore[attr-defined]
    touches: Any = Touchpoint.__table__  # type: ignore[attr-defined]
    if name == "committee":
        return select(func.count()).where(people.c.deal_id == table.c.id).scalar_subquery()
    if name == "touches":
        return (
            select(func.count())
            .where(touches.c.contact_id == table.c.contact_id, touches.c.at < table.c.created_at)
            .scalar_subquery()
        )
    figure = func.count() if name == "lines" else func.coalesce(func.avg(cast(lines.c.discount_pct, Float)), 0.0)
    return select(figure).where(lines.c.deal_id == table.c.id).scalar_subquery()


def _of_order(name: str, table: Any) -> Any:
    lines: Any = OrderLine.__table__  # type: ignore[attr-defined]
    if name == "nth":
        other = _ORDERS.alias("earlier")
        same = and_(other.c.contact_id == table.c.contact_id, other.c.ordered_at <= table.c.ordered_at, other.c.status.in_(SOLD))
        return select(func.count()).select_from(other).where(same, other.c.deleted_at.is_(None)).scalar_subquery()
    figure = func.count() if name == "lines" else func.coalesce(func.avg(cast(lines.c.discount_pct, Float)), 0.0)
    return select(figure).where(lines.c.order_id == table.c.id).scalar_subquery()


def _of_customer(actor: Actor, key: str, name: str, table: Any, until: datetime) -> Any:
    cut = until - timedelta(days=SILENCE_DAYS)
    if name == "tickets":
        require(actor, "ticket", Action.READ)
        tickets: Any = Ticket.__table__  # type: ignore[attr-defined]
        mine = [visible(actor, "ticket", tickets), tickets.c[f"{key}_id"] == table.c.id]
        return (
            select(func.count())
            .where(*mine, tickets.c.opened_at < cut, tickets.c.opened_at >= cut - timedelta(days=365))
            .scalar_subquery()
        )
    figure = {
        "purchases": func.count(),
        "mean_order": func.avg(cast(_ORDERS.c.total_minor, Float)),
        "customer_months": func.min(_ORDERS.c.ordered_at),
    }[name]
    mine = [*_bought(actor, key), _ORDERS.c[f"{key}_id"] == table.c.id, _ORDERS.c.ordered_at < cut]
    return select(figure).where(*mine).scalar_subquery()


def choices_of(session: Session, actor: Actor, key: str) -> dict[str, FieldSpec]:
    """The fields of an entity that the actor may see at all."""
    require(actor, key, Action.READ)
    return {name: spec for name, spec in registry(session, key).items() if not actor.masked(key, name)}
