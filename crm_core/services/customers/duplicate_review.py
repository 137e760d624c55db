"""The pairs that a scan found, to be merged or said to be two: the likeliest and most valuable first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import NotFound, NotPermitted
from crm_core.fields import FieldSpec, registry
from crm_core.kit.clock import utcnow
from crm_core.matching import MATCHED, sources
from crm_core.models import DuplicatePair
from crm_core.services.customers import duplicate_scan, merging
from crm_core.services.customers.duplicate_rules import REASONS
from crm_core.vocabulary import Action, PairState, Scope

SIZE = 10
BESIDE = ("company", "account_id", "job_title", "email", "phone", "website", "street", "postcode", "city", "status_id", "owner_id")
"""What is shown of each of the two, besides its name."""
_PAIRS: Any = DuplicatePair.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Pair:
    """Two records that may be the same. ``rows``: both as lists give them; ``worth``: what each is worth in minor units, None where hidden."""

    id: int
    entity: str
    score: float
    reasons: tuple[str, ...]
    titles: tuple[str, str]
    rows: tuple[Mapping[str, Any], Mapping[str, Any]]
    worth: tuple[int | None, int | None]
    decided_by: str = ""
    decided_at: datetime | None = None


@dataclass(frozen=True)
class Pairs:
    """One page of pairs, and how many there are of them all."""

    rows: tuple[Pair, ...]
    total: int
    pages: int


def kinds(session: Session, actor: Actor) -> dict[str, int | None]:
    """The kinds of records that the person may merge, each with how many pairs wait; None: their role hides what duplicates are recognised by."""
    mine = duplicate_scan.kinds_of(actor)
    return {key: None if hides(actor, key) else _count(session, _condition(actor, key, PairState.OPEN)) for key in mine}


def hides(actor: Actor, entity_key: str) -> bool:
    """Whether the role hides a field by which duplicates are recognised: that two records share it would tell what it holds."""
    return any(actor.masked(entity_key, key) for key in sources(entity_key))


def _require(actor: Actor, entity_key: str) -> None:
    if not merging.may_merge(actor, entity_key) or hides(actor, entity_key):
        raise NotPermitted("Your role does not let you merge these records.")


def find(session: Session, actor: Actor, entity_key: str, *, state: PairState = PairState.OPEN, page: int = 1) -> Pairs:
    """One page of pairs of which the actor may edit both; ``state``: those that wait, or those that were said to be two, the last decision first."""
    _require(actor, entity_key)
    clause = _condition(actor, entity_key, state)
    total = _count(session, clause)
    pages = max(1, -(-total // SIZE))
    page = min(max(1, page), pages)
    order = (_PAIRS.c.rank.desc(), _PAIRS.c.id) if state is PairState.OPEN else (_PAIRS.c.decided_at.desc(), _PAIRS.c.id.desc())
    rows = session.execute(select(_PAIRS).where(clause).order_by(*order).limit(SIZE).offset((page - 1) * SIZE)).all()
    return Pairs(tuple(_shown(session, actor, entity_key, rows)), total, pages)


def decide(session: Session, actor: Actor, pair_id: int, state: PairState) -> None:
    """Say that two records are not the same, or take that back. A later scan asks no more. Raises NotFound for a pair that is gone or not the actor's,
    NotPermitted as ``find`` does."""
    row = session.get(DuplicatePair, pair_id) if 0 < pair_id < 2**31 else None
    mine = (
        row is not None
        and row.entity in MATCHED
        and _count(session, and_(_PAIRS.c.id == row.id, _condition(actor, row.entity, row.state)))
    )
    if row is None or not mine:
        raise NotFound("These two are not in the list any more.")
    _require(actor, row.entity)
    row.state = state
    row.by_id = actor.user_id if state is PairState.DIFFERENT else None
    row.decided_at = utcnow() if state is PairState.DIFFERENT else None
    session.add(row)
    session.flush()


def fields(session: Session, actor: Actor, entity_key: str) -> dict[str, FieldSpec]:
    """The fields that are shown of each record."""
    require(actor, entity_key, Action.READ)
    known = registry(session, entity_key)
    return {key: known[key] for key in (*BESIDE, "created_at") if key in known}


def _condition(actor: Actor, entity_key: str, state: PairState) -> Any:
    first, second = (entity(entity_key).table.alias() for _ in range(2))
    both = [
        select(one.c.id)
        .where(one.c.id == column, visible(actor, entity_key, one, Action.EDIT), visible(actor, entity_key, one))
        .exists()
        for one, column in ((first, _PAIRS.c.first_id), (second, _PAIRS.c.second_id))
    ]
    if entity_key == "lead" and state is PairState.OPEN:  # of two that were converted neither can go
        leads = entity("lead").table
        both.append(
            select(leads.c.id)
            .where(leads.c.id.in_((_PAIRS.c.first_id, _PAIRS.c.second_id)), leads.c.converted_at.is_(None))
            .exists()
        )
    return and_(_PAIRS.c.entity == entity_key, _PAIRS.c.state == state, *both)


def _count(session: Session, clause: Any) -> int:
    return int(session.execute(select(func.count()).select_from(_PAIRS).where(clause)).scalar_one())


def _shown(session: Session, actor: Actor, entity_key: str, rows: Any) -> list[Pair]:
    ids = [one for row in rows for one in (row.first_id, row.second_id)]
    wanted = {"name": registry(session, entity_key)["name"], **fields(session, actor, entity_key)}
    found = {row["id"]: row for row in lists.rows_of(session, actor, entity_key, list(dict.fromkeys(ids)), wanted.values())}
    titles = lists.titles(session, actor, entity_key, ids)
    told = _tells_worth(actor, entity_key)
    worth = duplicate_scan.values(session, entity_key, ids) if told else {}
    people = lists.titles(session, actor, "user", [row.by_id for row in rows])
    return [
        Pair(
            row.id, entity_key, row.score, tuple(REASONS[kind] for kind in row.reasons if kind in REASONS),
            (titles[row.first_id], titles[row.second_id]), (found[row.first_id], found[row.second_id]),
            (worth.get(row.first_id, 0) if told else None, worth.get(row.second_id, 0) if told else None),
            people.get(row.by_id or 0, ""), row.decided_at,
        )
        for row in rows
    ]  # fmt: skip


def _tells_worth(actor: Actor, entity_key: str) -> bool:
    """Whether the actor may read everything that the worth of a record adds up."""
    if entity_key == "lead":
        return not actor.masked("lead", "estimated_minor")
    sums = (("order", "total_minor"), ("deal", "amount_minor"))
    return all(Scope.ALL in actor.scopes(key, Action.READ) and not actor.masked(key, column) for key, column in sums)
