"""Looks through all contacts, accounts and leads for pairs that may be the same: a job that goes from key to key, so that no record is compared with all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sqlalchemy import Select, and_, delete, func, insert, select, update
from sqlmodel import Session

from crm_core import db, erased
from crm_core.access import Actor
from crm_core.db import read_session
from crm_core.entities import entity
from crm_core.errors import NotPermitted
from crm_core.jobs import Job, JobRow, enqueue, job, status
from crm_core.jobs.tables import RUNS
from crm_core.kit.clock import utcnow
from crm_core.kit.text import domain_key, email_key, phone_key
from crm_core.matching import FREE_MAIL, MATCHED, name_key
from crm_core.models import DuplicatePair, MatchKey
from crm_core.services.customers import duplicate_rules, merging, points
from crm_core.services.customers.duplicate_rules import LIKELY, Traits
from crm_core.vocabulary import SOLD, PairState, PointKind, StageKind

NAME = "customers.duplicates"
MOST = 25
"""A key that more records have tells nothing: a switchboard, a web domain of a chain, a name like Müller."""
GROUPS = 1_000
"""Keys of one batch."""
_KEYS: Any = MatchKey.__table__  # type: ignore[attr-defined]
_PAIRS: Any = DuplicatePair.__table__  # type: ignore[attr-defined]

Pair = tuple[int, int]


@dataclass(frozen=True)
class Block:
    """One way of finding records that are worth a comparison. ``groups``: SELECT of the keys beyond one that several share, in their order;
    ``members``: SELECT of (key, id) of these."""

    groups: Callable[[Any], Select[Any]]
    members: Callable[[Sequence[Any]], Select[Any]]


def blocks(entity_key: str) -> list[Block]:
    """By the kept keys (address, number, domain, name), by further addresses and numbers, and by the beginning of a name within one place."""
    found = [_by_key(entity_key, kind) for kind in ("email", "phone", "domain", "person", "company")]
    owner = next((one for one in points.OWNERS if one.entity == entity_key), None)
    if owner is not None:
        found.append(_by_point(owner))
    return [*found, _by_beginning(entity_key)]


def _grouped(column: Any, table: Any, clause: Any, after: Any) -> Select[Any]:
    beyond = [column > after] if after is not None else []
    many = func.count().between(2, MOST)
    return select(column).select_from(table).where(clause, *beyond).group_by(column).having(many).order_by(column).limit(GROUPS)


def _by_key(entity_key: str, kind: str) -> Block:
    clause = and_(_KEYS.c.kind == kind, _KEYS.c.entity == entity_key)
    return Block(
        lambda after: _grouped(_KEYS.c.key, _KEYS, clause, after),
        lambda keys: select(_KEYS.c.key, _KEYS.c.record_id).where(clause, _KEYS.c.key.in_(keys)),
    )


def _by_point(owner: points.Owner) -> Block:
    table: Any = owner.model.__table__
    clause = table.c.value_key != ""
    return Block(
        lambda after: _grouped(table.c.value_key, table, clause, after),
        lambda keys: select(table.c.value_key, table.c[owner.key]).where(clause, table.c.value_key.in_(keys)),
    )


def _by_beginning(entity_key: str) -> Block:
    """The first letters of the name, and where: the postcode of an account, the account of a contact, the company of a lead."""
    table = entity(entity_key).table
    place = {"account": "postcode", "contact": "account_id", "lead": "company"}[entity_key]
    column = table.c[place]
    key = (
        func.lower(func.substr(table.c.name, 1, 3))
        .concat("|")
        .concat(func.lower(func.cast(column, _KEYS.c.key.type) if place == "account_id" else column))
    )
    clause = and_(column.is_not(None), table.c.deleted_at.is_(None))
    return Block(
        lambda after: _grouped(key, table, clause, after), lambda keys: select(key, table.c.id).where(clause, key.in_(keys))
    )


# --- the job ----------------------------------------------------------------------------------------------------------------------


def start(session: Session, actor: Actor) -> str:
    """Look through everything again; gives the job's id. Asked twice, it runs once."""
    kinds_of(actor)
    return enqueue(session, NAME, user_id=actor.user_id, unless_waiting=True)


def state(session: Session, actor: Actor) -> JobRow | None:
    """Where the last scan stands; None before the first."""
    kinds_of(actor)
    last = session.execute(select(RUNS.c.job_id).where(RUNS.c.name == NAME).order_by(RUNS.c.created_at.desc()).limit(1)).scalar()
    return status(session, last) if last is not None else None


def kinds_of(actor: Actor) -> list[str]:
    """The kinds of records that the person may merge. Raises NotPermitted where there is none."""
    found = [key for key in MATCHED if merging.may_merge(actor, key)]
    if not found:
        raise NotPermitted("Only who may edit and delete contacts, accounts or leads works on duplicates.")
    return found


@job(NAME, title="Look for duplicates", queue="heavy", cron="25 4 * * 0", keep_days=60)
def scan_job(task: Job) -> None:
    """Block by block, batch by batch; pairs and where it stands are written together. What is no longer found goes at the end, decisions never."""
    todo = [(key, number) for key in MATCHED for number in range(len(blocks(key)))]
    while True:
        at, after = int(task.cursor.get("at", 0)), task.cursor.get("after")
        if at >= len(todo):
            break
        key, number = todo[at]
        with read_session() as session:
            last, rated = _batch(session, key, blocks(key)[number], after)
        with task.transaction() as session:
            scan = int(task.cursor.get("scan") or _next_scan(session))
            _keep(session, key, rated, scan)
            task.cursor = {"scan": scan, "at": at if last is not None else at + 1, "after": last}
            task.report(at, len(todo), f"Looking through {entity(key).plural.lower()}")
    with task.transaction() as session:
        gone = and_(_PAIRS.c.state == PairState.OPEN, _PAIRS.c.scan < int(task.cursor.get("scan", 0)))
        session.execute(delete(DuplicatePair).where(gone))
        db.bump(session, _PAIRS.name)
        task.report(len(todo), len(todo))


def _next_scan(session: Session) -> int:
    return int(session.execute(select(func.coalesce(func.max(_PAIRS.c.scan), 0))).scalar_one()) + 1


def _batch(session: Session, entity_key: str, block: Block, after: Any) -> tuple[Any, dict[Pair, tuple[float, float, list[str]]]]:
    """The next keys: where to go on (None: that was all), and the pairs among their records that are likely the same: score, rank, reasons."""
    keys = list(session.execute(block.groups(after)).scalars())
    if not keys:
        return None, {}
    together: dict[Any, set[int]] = {}
    for key, record_id in session.execute(block.members(keys)):
        together.setdefault(key, set()).add(record_id)
    pairs = {pair for ids in together.values() for pair in combinations(sorted(ids), 2)}
    known = traits(session, entity_key, {one for pair in pairs for one in pair})
    rated: dict[Pair, tuple[float, list[str]]] = {}
    for first, second in pairs:
        if first in known and second in known:
            evidence = duplicate_rules.compare(entity_key, known[first], known[second])
            likely = duplicate_rules.rate(known[first], known[second], evidence) if evidence else 0.0
            if likely >= LIKELY:
                rated[(first, second)] = (likely, list(evidence))
    worth = values(session, entity_key, {one for pair in rated for one in pair})
    found = {
        pair: (likely, likely * (1 + sum(worth.get(one, 0) for one in pair) / 100), reasons)
        for pair, (likely, reasons) in rated.items()
    }
    return (keys[-1] if len(keys) == GROUPS else None), found


def _keep(session: Session, entity_key: str, rated: Mapping[Pair, tuple[float, float, list[str]]], scan: int) -> None:
    """Write pairs; what somebody decided stays decided."""
    if not rated:
        return
    firsts = {first for first, _ in rated}
    query = select(_PAIRS.c.id, _PAIRS.c.first_id, _PAIRS.c.second_id).where(_PAIRS.c.entity == entity_key)
    there = {(row.first_id, row.second_id): row.id for row in _in_parts(session, query, _PAIRS.c.first_id, firsts)}
    now, new = utcnow(), []
    for pair, (likely, rank, reasons) in sorted(rated.items()):
        told = {"score": round(likely, 3), "rank": rank, "reasons": reasons, "scan": scan, "updated_at": now}
        if pair in there:
            session.execute(update(DuplicatePair).where(_PAIRS.c.id == there[pair]).values(**told))
        else:
            new.append(
                {
                    **told,
                    "entity": entity_key,
                    "first_id": pair[0],
                    "second_id": pair[1],
                    "state": PairState.OPEN,
                    "created_at": now,
                    "version": 1,
                }
            )
    if new:
        session.execute(insert(_PAIRS), new)
    db.bump(session, _PAIRS.name)


# --- what is compared ---------------------------------------------------------------------------------------------------------------


def _in_parts(session: Session, query: Select[Any], column: Any, ids: Iterable[int]) -> Iterable[Any]:
    wanted = sorted(ids)
    for start_at in range(0, len(wanted), 1_000):
        yield from session.execute(query.where(column.in_(wanted[start_at : start_at + 1_000]))).all()


def traits(session: Session, entity_key: str, ids: Iterable[int]) -> dict[int, Traits]:
    """What the records that are not in the bin are recognised by."""
    table, wanted = entity(entity_key).table, set(ids)
    place = {"account": "postcode", "contact": "account_id", "lead": "company"}[entity_key]
    columns = [
        table.c[key]
        for key in dict.fromkeys(("id", "name", "email", "phone", place, *(["website"] if "website" in table.c else [])))
    ]
    more: dict[int, dict[PointKind, set[str]]] = {}
    for owner in (one for one in points.OWNERS if one.entity == entity_key):
        points_of: Any = owner.model.__table__
        query = select(points_of.c[owner.key], points_of.c.kind, points_of.c.value_key)
        for record_id, kind, value in _in_parts(session, query, points_of.c[owner.key], wanted):
            more.setdefault(record_id, {}).setdefault(kind, set()).add(value)
    found = {}
    for row in _in_parts(session, select(*columns).where(table.c.deleted_at.is_(None)), table.c.id, wanted):
        own = more.get(row.id, {})
        emails = {*own.get(PointKind.EMAIL, ()), *([email_key(row.email)] if row.email else [])}
        phones = {
            erased.key_of(PointKind.PHONE, one)
            for one in (*own.get(PointKind.PHONE, ()), *([phone_key(row.phone)] if row.phone else []))
        }
        domain = domain_key(getattr(row, "website", None) or "")
        found[row.id] = Traits(
            name_key(row.name, company=entity_key == "account"), frozenset(emails), frozenset(phones - {""}),
            "" if domain in FREE_MAIL else domain, str(getattr(row, place) or "").strip().casefold(),
        )  # fmt: skip
    return found


def values(session: Session, entity_key: str, ids: Iterable[int]) -> dict[int, int]:
    """What records are worth, in minor units: what was bought and what is on offer; of a lead what it may bring."""
    wanted = set(ids)
    if entity_key == "lead":
        table = entity("lead").table
        rows = _in_parts(session, select(table.c.id, func.coalesce(table.c.estimated_minor, 0)), table.c.id, wanted)
        return {row[0]: int(row[1]) for row in rows}
    found: dict[int, int] = {}
    orders, deals = entity("order").table, entity("deal").table
    for table, amount, clause in (
        (orders, orders.c.total_minor, orders.c.status.in_(SOLD)),
        (deals, deals.c.amount_minor, deals.c.outcome == StageKind.OPEN),
    ):
        column = table.c[f"{entity_key}_id"]
        query = select(column, func.sum(amount)).where(clause, table.c.deleted_at.is_(None)).group_by(column)
        for record_id, total in _in_parts(session, query, column, wanted):
            found[record_id] = found.get(record_id, 0) + int(total or 0)
    return found
