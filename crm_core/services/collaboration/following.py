"""Records that a person wants to hear of: following one, stopping, and the list of them. Who is told what: ``followers``."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db, lists, records
from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.kit.clock import utcnow
from crm_core.models import Follow

FOLLOWED = ("lead", "deal", "account", "contact", "ticket", "campaign", "promotion", "order", "product", "article", "task")
MOST = 500
"""Who follows everything hears nothing."""

_FOLLOW: Any = Follow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Followed:
    """A record that the person follows and may see."""

    entity: str
    record_id: int
    title: str
    changed_at: datetime


def is_on(session: Session, actor: Actor, entity_key: str, record_id: int) -> bool:
    """Whether the actor follows a record. Every timeline asks: what somebody follows is read once."""
    mine = db.shared(session, ("followed", actor.user_id), (_FOLLOW.name,), lambda: _mine(session, actor))
    return (entity_key, record_id) in mine


def _mine(session: Session, actor: Actor) -> set[tuple[str, int]]:
    query = select(_FOLLOW.c.entity, _FOLLOW.c.record_id).where(_FOLLOW.c.user_id == actor.user_id)
    return set(session.execute(query).tuples())


def follow(session: Session, actor: Actor, entity_key: str, record_id: int) -> None:
    """Hear of what happens on a record the actor may see. Twice is once."""
    if entity_key not in FOLLOWED or actor.user_id is None:
        raise Invalid("This can't be followed.")
    records.get(session, actor, entity_key, record_id)
    if session.execute(select(func.count()).where(_FOLLOW.c.user_id == actor.user_id)).scalar_one() >= MOST:
        raise Invalid(f"You follow {MOST} records already. Stop following some first: Notifications, Following.")
    _add(session, entity_key, record_id, [actor.user_id])


def begin(session: Session, actor: Actor, entity_key: str, record_id: int, user_ids: Iterable[int]) -> None:
    """Let people follow a record on which they were mentioned; its owner hears of it anyway."""
    table = entity(entity_key).table
    owner = session.execute(select(table.c.owner_id).where(table.c.id == record_id)).scalar() if "owner_id" in table.c else None
    new = [user_id for user_id in user_ids if user_id not in (owner, actor.user_id)]
    if new and entity_key in FOLLOWED:
        _add(session, entity_key, record_id, new)


def _add(session: Session, entity_key: str, record_id: int, user_ids: Iterable[int]) -> None:
    now = utcnow()
    common = {"entity": entity_key, "record_id": record_id, "created_at": now, "updated_at": now, "version": 1}
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    once = insert(_FOLLOW).on_conflict_do_nothing(index_elements=["user_id", "entity", "record_id"])
    session.execute(once, [{**common, "user_id": user_id} for user_id in user_ids])
    db.bump(session, _FOLLOW.name)


def hand_on(session: Session, entity_key: str, record_id: int, to_id: int) -> list[int]:
    """Who follows a record follows the one it went into; gives whom that is new for. Part of merging, which asks."""
    theirs = select(_FOLLOW.c.user_id).where(_FOLLOW.c.entity == entity_key, _FOLLOW.c.record_id == to_id)
    query = select(_FOLLOW.c.user_id).where(
        _FOLLOW.c.entity == entity_key, _FOLLOW.c.record_id == record_id, _FOLLOW.c.user_id.not_in(theirs)
    )
    new = sorted(session.execute(query).scalars())
    if new:
        _add(session, entity_key, to_id, new)
    return new


def take_off(session: Session, entity_key: str, record_id: int, user_ids: Iterable[int]) -> None:
    """Take back what ``hand_on`` did."""
    gone = (_FOLLOW.c.entity == entity_key, _FOLLOW.c.record_id == record_id, _FOLLOW.c.user_id.in_(list(user_ids)))
    session.execute(delete(_FOLLOW).where(*gone))
    db.bump(session, _FOLLOW.name)


def stop(session: Session, actor: Actor, entity_key: str, record_id: int) -> None:
    """Hear no more of a record."""
    mine = (_FOLLOW.c.user_id == actor.user_id, _FOLLOW.c.entity == entity_key, _FOLLOW.c.record_id == record_id)
    session.execute(delete(_FOLLOW).where(*mine))
    db.bump(session, _FOLLOW.name)


def find(session: Session, actor: Actor) -> list[Followed]:
    """What the actor follows and may see, what changed last first. What lies in the bin comes back with its record."""
    ids: dict[str, list[int]] = {}
    for key, record_id in _mine(session, actor):
        ids.setdefault(key, []).append(record_id)
    found = [one for key, wanted in ids.items() for one in _shown(session, actor, key, wanted)]
    return sorted(found, key=lambda one: (one.changed_at, one.record_id), reverse=True)


def _shown(session: Session, actor: Actor, key: str, ids: list[int]) -> Iterable[Followed]:
    table = entity(key).table
    query = select(table.c.id, table.c.updated_at).where(table.c.id.in_(ids), visible(actor, key, table))
    rows = session.execute(query).all()
    titles = lists.titles(session, actor, key, [row.id for row in rows])
    return [Followed(key, row.id, titles.get(row.id, ""), row.updated_at) for row in rows]


def forget(session: Session) -> None:
    """Remove what is left of records that are gone for good."""
    for key in FOLLOWED:
        table = entity(key).table
        gone = ~exists(select(table.c.id).where(table.c.id == _FOLLOW.c.record_id))
        session.execute(delete(_FOLLOW).where(_FOLLOW.c.entity == key, gone))
    db.bump(session, _FOLLOW.name)
