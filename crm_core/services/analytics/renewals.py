"""Contracts whose day comes soon, as they stand in the records: no model, no score, so it holds from the first contract on."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import NotPermitted
from crm_core.kit import clock
from crm_core.kit.money import exponent
from crm_core.kit.numerals import written
from crm_core.models import Order
from crm_core.services.analytics import customer_rows
from crm_core.vocabulary import SOLD, Action

WINDOWS = {"30": "30 days", "90": "90 days", "365": "12 months", "past": "Passed"}
_ORDERS: Any = Order.__table__  # type: ignore[attr-defined]
_FIELDS = ("customer_since", "renews_on", "customer_until")


@dataclass(frozen=True)
class Row:
    """One company under contract. ``on``: its next day; ``ends``: that day ends the contract for certain; ``revenue_minor``: of the last
    twelve months, None where orders are hidden."""

    id: int
    title: str
    owner: str
    since: date | None
    on: date
    ends: bool
    revenue_minor: int | None


@dataclass(frozen=True)
class Page:
    """Contracts whose day lies in the window, the next day first (the longest past first), with how many there are."""

    rows: tuple[Row, ...]
    total: int


def page(session: Session, actor: Actor, *, window: str = "90", mine: bool = False, start: int = 0, size: int = 20) -> Page:
    """A page of contracts by the day on which they end or can end; beyond the last page it is the last one."""
    clause, day = _matching(actor, window, mine)
    table = entity("account").table
    total = int(session.execute(select(func.count()).select_from(table).where(clause)).scalar_one())
    start = min(start, max(0, total - 1) // size * size)
    columns = (table.c.id, table.c.customer_since, table.c.customer_until, day.label("on"))
    found = session.execute(select(*columns).where(clause).order_by(day, table.c.id).offset(start).limit(size)).all()
    ids = [row.id for row in found]
    names, revenue = customer_rows.named(session, actor, "account", ids), _revenue(session, actor, ids)
    rows = (
        Row(
            row.id, *names.get(row.id, ("", "")), row.customer_since, row.on, row.customer_until is not None,
            None if revenue is None else revenue.get(row.id, 0),
        )
        for row in found
    )  # fmt: skip
    return Page(tuple(rows), total)


def ids(session: Session, actor: Actor, *, window: str = "90", mine: bool = False) -> list[int]:
    """All companies of a window, in the order of the table."""
    clause, day = _matching(actor, window, mine)
    table = entity("account").table
    return list(session.execute(select(table.c.id).where(clause).order_by(day, table.c.id)).scalars())


def notes(session: Session, actor: Actor, _run_id: int, wanted: list[int]) -> dict[int, str]:
    """What a task should say about each company: its day, and what it brought in."""
    _ask(actor)
    table, today = entity("account").table, clock.today(actor.timezone)
    revenue = _revenue(session, actor, wanted)
    columns = (table.c.id, table.c.renews_on, table.c.customer_until)
    said = {}
    for row in session.execute(select(*columns).where(table.c.id.in_(wanted), visible(actor, "account", table))):
        day = row.customer_until or row.renews_on
        words = "ends" if row.customer_until else "renews"
        if day and day < today:
            words = "ended" if row.customer_until else "was to renew"
        parts = [f"The contract {words} on {day:%Y-%m-%d}."] if day else []
        if revenue is not None:
            amount = revenue.get(row.id, 0)
            parts.append(
                f"Orders of the last twelve months: {written(amount / 10 ** exponent(actor.currency), ',.0f')} {actor.currency}."
                if amount
                else "No orders in the last twelve months."
            )
        said[int(row.id)] = " ".join(parts)
    return said


def hidden(actor: Actor) -> bool:
    """Whether the role hides one of the days of contracts."""
    return any(actor.masked("account", key) for key in _FIELDS)


def _ask(actor: Actor) -> None:
    require(actor, "account", Action.READ)
    if hidden(actor):
        raise NotPermitted("The days of contracts are hidden from your role.")


def _matching(actor: Actor, window: str, mine: bool) -> tuple[Any, Any]:
    """The companies of a window as a clause, and the day that counts: the one on which the contract ends for certain, else its renewal."""
    _ask(actor)
    table, today = entity("account").table, clock.today(actor.timezone)
    day = func.coalesce(table.c.customer_until, table.c.renews_on)
    runs = or_(table.c.customer_until.is_(None), table.c.customer_until > today)
    when = and_(day >= today, day <= today + timedelta(days=int(window if window.isdecimal() else 90)))
    when = day < today if window == "past" else when
    clause = and_(visible(actor, "account", table), runs, when)
    return (and_(clause, table.c.owner_id == actor.user_id) if mine else clause), day


def _revenue(session: Session, actor: Actor, accounts: list[int]) -> dict[int, int] | None:
    """Orders of the last twelve months per company, as far as the actor may see them."""
    if not actor.can("order", Action.READ) or actor.masked("order", "total_minor"):
        return None
    since = clock.utcnow() - timedelta(days=365)
    counted = (_ORDERS.c.status.in_(SOLD), _ORDERS.c.ordered_at >= since)
    query = select(_ORDERS.c.account_id, func.sum(_ORDERS.c.total_minor)).where(_ORDERS.c.account_id.in_(accounts), *counted)
    return {
        key: int(total or 0)
        for key, total in session.execute(query.where(visible(actor, "order", _ORDERS)).group_by(_ORDERS.c.account_id))
    }
