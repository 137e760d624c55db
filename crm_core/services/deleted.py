"""The bin: what was deleted, by whom and when, and the way back. Nothing is removed from it by itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session

from crm_core import lists, reads, records
from crm_core.access import Actor, require, visible
from crm_core.entities import RECORDS, entity
from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.fields import FieldSpec, registry
from crm_core.kit.numerals import written
from crm_core.kit.paging import Page
from crm_core.lists import ListQuery
from crm_core.models import Event
from crm_core.services import crud
from crm_core.services.bulk import Outcome, run_each
from crm_core.vocabulary import Action

MAX_RECORDS = 1_000
BESIDE = 2
"""So many fields stand beside the name, to tell one record from another."""

_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Gone:
    """A record in the bin with everything that it held. ``by``: who deleted it; ``mine``: whether the person may take it back."""

    id: int
    title: str
    at: datetime
    by: str
    mine: bool
    specs: Mapping[str, FieldSpec]
    row: Mapping[str, Any]


def kinds(session: Session, actor: Actor) -> dict[str, int]:
    """The kinds of records that the person may delete, each with how many that they may see lie in the bin."""
    mine = [key for key in RECORDS if actor.can(key, Action.READ) and actor.can(key, Action.DELETE)]
    return {key: lists.count(session, actor, key, ListQuery(deleted=True)) for key in mine}


def columns(entity_key: str) -> tuple[str, ...]:
    """The fields that a row of the bin shows: the name first."""
    found = entity(entity_key)
    beside = [key for key in found.columns if key not in (found.title, "owner_id", "number")]
    return (found.title, *beside[:BESIDE])


def find(session: Session, actor: Actor, entity_key: str, *, q: str = "", page: int = 1, size: int = 50) -> Page:
    """One page of what was deleted, the last one first. A row is that of a list, with ``deleted_at``, ``deleted_by`` (a name) and ``mine``:
    whether the person may take it back."""
    _require(actor, entity_key)
    query = ListQuery(q=q, deleted=True)
    table, clause = entity(entity_key).table, lists.condition(session, actor, entity_key, query)
    total = lists.count(session, actor, entity_key, query)
    size = min(max(1, size), lists.MAX_SIZE)
    page = min(max(1, page), max(1, -(-total // size)))
    newest = select(table.c.id, table.c.deleted_at).where(clause).order_by(table.c.deleted_at.desc(), table.c.id.desc())
    gone = dict(session.execute(newest.limit(size).offset((page - 1) * size)).tuples().all())
    specs = registry(session, entity_key)
    rows = lists.rows_of(session, actor, entity_key, list(gone), [specs[key] for key in columns(entity_key)])
    by, mine = _who(session, actor, entity_key, gone), _within_reach(session, actor, entity_key, gone)
    return Page(
        [{**row, "deleted_at": gone[row["id"]], "deleted_by": by[row["id"]], "mine": row["id"] in mine} for row in rows],
        total,
        page,
        size,
    )


def get(session: Session, actor: Actor, entity_key: str, record_id: int) -> Gone:
    """One record of the bin, to be looked at; NotFound when it is hidden, or not in the bin (any more)."""
    _require(actor, entity_key)
    record = records.get(session, actor, entity_key, record_id, with_deleted=True)
    found = entity(entity_key)
    if record.deleted_at is None:
        raise NotFound(f"This {found.label.lower()} is not in the bin any more.")
    specs = registry(session, entity_key)
    row = lists.rows_of(session, actor, entity_key, [record_id], specs.values())[0]
    title = lists.titles(session, actor, entity_key, [record_id])[record_id]
    reads.looked(session, actor, entity_key, record_id)
    by = _who(session, actor, entity_key, [record_id])[record_id]
    mine = record_id in _within_reach(session, actor, entity_key, [record_id])
    return Gone(record_id, title, record.deleted_at, by, mine, specs, row)


def restore(session: Session, actor: Actor, entity_key: str, ids: Sequence[int]) -> tuple[dict[int, str], Outcome]:
    """Take records back, each by the rules of its kind. Gives id → name of those that are back, and what stayed with the reason."""
    _require(actor, entity_key)
    if not ids:
        raise Invalid("Choose what to restore.")
    if len(set(ids)) > MAX_RECORDS:
        raise Invalid(f"At most {written(MAX_RECORDS)} records can be restored at once.")
    named = lists.titles(session, actor, entity_key, ids)

    mine = _within_reach(session, actor, entity_key, ids)

    def one(record_id: int) -> dict[str, Any]:
        if record_id in named and record_id not in mine:
            raise NotPermitted(f"You may see this {entity(entity_key).label.lower()}, but only who may delete it can restore it.")
        return {"id": crud.restore(session, actor, entity_key, record_id).id}

    done, refused = run_each(session, sorted(set(ids)), named, one)
    back = [int(row["id"]) for row in done]
    return {record_id: named[record_id] for record_id in back}, Outcome(None, len(back), tuple(refused))


def _require(actor: Actor, entity_key: str) -> None:
    if entity_key not in RECORDS:
        raise NotFound("There is no such kind of record.")
    require(actor, entity_key, Action.READ)
    require(actor, entity_key, Action.DELETE)


def _within_reach(session: Session, actor: Actor, entity_key: str, ids: Iterable[int]) -> set[int]:
    table = entity(entity_key).table
    reach = visible(actor, entity_key, table, Action.DELETE, with_deleted=True)
    return set(session.execute(select(table.c.id).where(table.c.id.in_(list(ids)), reach)).scalars())


def _who(session: Session, actor: Actor, entity_key: str, ids: Iterable[int]) -> dict[int, str]:
    """Record → who deleted it last, as the log tells; what nobody did by hand was Rapport."""
    wanted = list(ids)
    last = (
        select(func.max(_EVENTS.c.id))
        .where(_EVENTS.c.entity == entity_key, _EVENTS.c.record_id.in_(wanted), _EVENTS.c.type == f"{entity_key}.archived")
        .group_by(_EVENTS.c.record_id)
    )
    logged = select(_EVENTS.c.record_id, _EVENTS.c.actor_id).where(_EVENTS.c.id.in_(last))
    did: dict[int, int | None] = dict(session.execute(logged).tuples().all())
    people = lists.titles(session, actor, "user", did.values())
    return {record_id: people.get(did.get(record_id) or 0, "Rapport") for record_id in wanted}
