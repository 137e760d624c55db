"""Accounts: the companies. Their web domain is kept for recognising them again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session

from crm_core import records
from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.kit.text import domain_key
from crm_core.models import Account, AccountPoint
from crm_core.services.customers import points as point_rules
from crm_core.vocabulary import DONE, SOLD, Action, StageKind


def _prepare(session: Session, actor: Actor, account: Account, old: Mapping[str, Any]) -> None:
    follow_website(account)
    if account.id is not None and stands_above(session, account.parent_id, account.id):
        raise Invalid(fields={"parent_id": "An account can't stand above itself."})


def follow_website(account: Account) -> None:
    """After the website changed: the domain by which the company is recognised follows it."""
    account.domain = domain_key(account.website or "")[:253] or None


def stands_above(session: Session, at: int | None, wanted: int) -> bool:
    """Whether an account is ``at``, or stands above it, directly or not. The caller has asked."""
    table, seen = entity("account").table, set()
    while at is not None and at not in seen:
        if at == wanted:
            return True
        seen.add(at)
        at = session.execute(select(table.c.parent_id).where(table.c.id == at)).scalar()
    return False


def create(session: Session, actor: Actor, values: Mapping[str, Any], *, submit_key: str | None = None) -> Account:
    """Create an account."""
    account = records.create(session, actor, "account", values, prepare=_prepare, submit_key=submit_key)
    if account.email or account.phone:
        point_rules.follow_main(session, point_rules.ACCOUNT, account)
    return account


def update(
    session: Session, actor: Actor, account_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change an account."""
    saved = records.update(session, actor, "account", account_id, changes, base_version=base_version, prepare=_prepare)
    if {"email", "phone"} & set(saved.changed):
        point_rules.follow_main(session, point_rules.ACCOUNT, saved.record)
    return saved


def points(session: Session, actor: Actor, account_id: int) -> list[AccountPoint]:
    """All addresses and numbers of a company, the main ones first. Values are masked like the main ones."""
    return point_rules.of(session, actor, point_rules.ACCOUNT, account_id)


def traces(session: Session, actor: Actor, account_id: int) -> list[str]:
    """What is shown in place of addresses and numbers that are masked for the actor."""
    return point_rules.traces(session, actor, point_rules.ACCOUNT, account_id)


def set_points(
    session: Session,
    actor: Actor,
    account_id: int,
    rows: Sequence[Mapping[str, Any]],
    *,
    base_version: int | None = None,
    base_points: Sequence[Mapping[str, Any]] | None = None,
) -> Account:
    """Replace the addresses and numbers of a company, as ``points.replace`` says."""
    return point_rules.replace(
        session, actor, point_rules.ACCOUNT, account_id, rows, base_version=base_version, base_points=base_points
    )


@dataclass(frozen=True)
class AccountFigures:
    """What an account is worth, within what the actor may see. Amounts in minor units; None: hidden from the actor, the records or the field."""

    order_revenue_minor: int | None
    orders: int | None
    won_minor: int | None
    open_minor: int | None
    open_deals: int | None
    open_tickets: int | None


def figures(session: Session, actor: Actor, account_id: int) -> AccountFigures:
    """The figures on top of an account's page, each counted over the rows the actor may see."""
    records.get(session, actor, "account", account_id)
    orders = _sum(session, actor, "order", account_id, "total_minor", lambda t: t.c.status.in_(SOLD))
    won = _sum(session, actor, "deal", account_id, "amount_minor", lambda t: t.c.outcome == StageKind.WON)
    still_open = _sum(session, actor, "deal", account_id, "amount_minor", lambda t: t.c.outcome == StageKind.OPEN)
    tickets = _sum(session, actor, "ticket", account_id, None, lambda t: t.c.status.not_in(DONE))
    return AccountFigures(orders[1], orders[0], won[1], still_open[1], still_open[0], tickets[0])


def _sum(
    session: Session, actor: Actor, entity_key: str, account_id: int, column: str | None, clause: Any
) -> tuple[int | None, int | None]:
    if not actor.can(entity_key, Action.READ):
        return None, None
    table = entity(entity_key).table
    total = func.coalesce(func.sum(table.c[column]), 0) if column else func.count()
    row = session.execute(
        select(func.count(), total).where(table.c.account_id == account_id, visible(actor, entity_key, table), clause(table))
    ).one()
    return int(row[0]), None if column and actor.masked(entity_key, column) else int(row[1])
