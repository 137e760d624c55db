"""What the stage board shows: per stage its count, sum, weighted sum and first cards, straight from SQL within the actor's scope."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import and_, func, select
from sqlmodel import Session

from crm_core import idleness, lists
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.kit import clock
from crm_core.services.sales import deals
from crm_core.services.sales.deals import StageView
from crm_core.vocabulary import StageKind

PER_COLUMN = 30
CLOSED_DAYS = 90
"""Won and lost columns show what was closed in this many days; a board is for work, not for history."""


@dataclass(frozen=True)
class DealCard:
    """A deal as a card. What is hidden from the viewer is None, or not said."""

    id: int
    version: int
    name: str
    account: str
    owner: str
    amount_minor: int | None
    expected_close_on: date | None
    idle: bool
    no_next_step: bool


@dataclass(frozen=True)
class StageColumn:
    """A stage with its figures over all its deals, and its first cards. Sums are None where what they add up is hidden from the viewer."""

    stage: StageView
    count: int
    amount_minor: int | None
    weighted_minor: int | None
    cards: tuple[DealCard, ...]


def columns(
    session: Session,
    actor: Actor,
    pipeline_id: int,
    *,
    filter: Mapping[str, Any] | None = None,
    q: str = "",
    limits: Mapping[int, int] | None = None,
) -> list[StageColumn]:
    """The board of a pipeline, narrowed as a list can be. ``limits``: stage id → number of cards, where more than the usual number is wanted."""
    table = entity("deal").table
    base = lists.condition(session, actor, "deal", lists.ListQuery(filter=filter, q=q))
    found = deals.stages(session, actor, pipeline_id)
    limits_of_idleness = idleness.limits(session)
    sums = _sums(session, base, table, found, actor)
    hidden = actor.masked("deal", "amount_minor")
    unweighted = hidden or actor.masked("deal", "probability_pct")
    made = []
    for stage in found:
        n, amount, weighted = sums.get(stage.id, (0, 0, 0))
        clause = and_(base, *_standing(table, stage, actor))
        rows = _rows(session, actor, clause, stage, (limits or {}).get(stage.id, PER_COLUMN)) if n else []
        cards = _cards(session, actor, rows, stage, limits_of_idleness)
        made.append(StageColumn(stage, n, None if hidden else amount, None if unweighted else weighted // 100, cards))
    return made


def _standing(table: Any, stage: StageView, actor: Actor) -> tuple[Any, ...]:
    """The deals that a stage's column shows: all open ones, of the closed ones the recent."""
    since = clock.today(actor.timezone) - timedelta(days=CLOSED_DAYS)
    own = (table.c.stage_id == stage.id, table.c.outcome == stage.kind)
    return own if stage.kind is StageKind.OPEN else (*own, table.c.closed_on >= since)


def _sums(session: Session, base: Any, table: Any, stages: list[StageView], actor: Actor) -> dict[int, tuple[int, int, int]]:
    """Stage id → count, amount and amount × probability; one statement per kind, so that each reads its own index."""
    found: dict[int, tuple[int, int, int]] = {}
    for kind in StageKind:
        ids = [stage.id for stage in stages if stage.kind is kind]
        if not ids:
            continue
        weighted = func.sum(table.c.amount_minor * table.c.probability_pct) if kind is StageKind.OPEN else func.sum(0)
        query = select(table.c.stage_id, func.count(), func.sum(table.c.amount_minor), weighted).where(
            base, table.c.outcome == kind, table.c.stage_id.in_(ids)
        )
        if kind is not StageKind.OPEN:
            query = query.where(table.c.closed_on >= clock.today(actor.timezone) - timedelta(days=CLOSED_DAYS))
        for stage_id, n, amount, times in session.execute(query.group_by(table.c.stage_id)):
            found[stage_id] = (n, int(amount), int(times))
    return found


def _rows(session: Session, actor: Actor, clause: Any, stage: StageView, limit: int) -> list[Any]:
    table = entity("deal").table
    by = "expected_close_on" if stage.kind is StageKind.OPEN else "closed_on"
    order = table.c.expected_close_on.asc().nulls_last() if stage.kind is StageKind.OPEN else table.c.closed_on.desc()
    order = table.c.id if actor.masked("deal", by) else order  # the order tells nothing of what is hidden
    fields = (
        "id", "version", "name", "account_id", "owner_id", "amount_minor", "expected_close_on", "stage_id", "stage_since", "last_contact_at", "next_step", "next_step_on",
    )  # fmt: skip
    return list(session.execute(select(*[table.c[name] for name in fields]).where(clause).order_by(order, table.c.id).limit(limit)))


def _cards(session: Session, actor: Actor, rows: list[Any], stage: StageView, limits: idleness.Limits) -> tuple[DealCard, ...]:
    accounts = lists.titles(session, actor, "account", (row.account_id for row in rows))
    people = lists.titles(session, actor, "user", (row.owner_id for row in rows))
    hidden, undated = actor.masked("deal", "amount_minor"), actor.masked("deal", "expected_close_on")
    unplanned = stage.kind is StageKind.OPEN and not (actor.masked("deal", "next_step") or actor.masked("deal", "next_step_on"))
    unnamed = actor.masked("deal", "name")
    return tuple(
        DealCard(
            row.id,
            row.version,
            f"Deal {row.id}" if unnamed else row.name,
            accounts.get(row.account_id, ""),
            people.get(row.owner_id, ""),
            None if hidden else row.amount_minor,
            None if undated else row.expected_close_on,
            stage.kind is StageKind.OPEN and idleness.is_idle(row, limits),
            unplanned and not row.next_step and row.next_step_on is None,
        )
        for row in rows
    )
