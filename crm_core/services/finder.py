"""Search over everything a person may see."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core import search
from crm_core.access import Actor, visible
from crm_core.entities import ENTITIES
from crm_core.lists import titles
from crm_core.vocabulary import Action, Scope

SEARCHED = (
    "account",
    "contact",
    "deal",
    "lead",
    "ticket",
    "article",
    "order",
    "campaign",
    "segment",
    "promotion",
    "product",
    "task",
)


@dataclass(frozen=True)
class Hit:
    """One found record."""

    entity: str
    id: int
    title: str


NEWEST = 400
"""How many of the newest hits are looked at; a frequent word has thousands."""


def find(session: Session, actor: Actor, query: str, *, per_entity: int = 5) -> list[Hit]:
    """The newest records that contain all words of the query, some of each kind, within what the actor may see."""
    newest = search.newest(session, query, limit=NEWEST)
    found: dict[str, list[int]] = {key: [] for key in SEARCHED if actor.can(key, Action.READ)}
    for key, record_id in newest:
        if key in found:
            found[key].append(record_id)
    hits: list[Hit] = []
    for key, ids in found.items():
        shown = _seen(session, actor, key, ids, per_entity)
        # What others own must not crowd out the few records that this person may see.
        narrow = len(newest) == NEWEST and len(shown) < per_entity and Scope.ALL not in actor.scopes(key, Action.READ)
        if narrow or search.narrowed(actor, key):
            shown = _seen(session, actor, key, search.within(session, actor, key, query), per_entity)
        named = titles(session, actor, key, shown)
        hits += [Hit(key, record_id, named[record_id]) for record_id in shown if record_id in named]
    return hits


def _seen(session: Session, actor: Actor, key: str, ids: Any, limit: int) -> list[int]:
    """The newest of the ids (a list, or a SELECT of them; None: no words) that the actor may see."""
    if ids is None or (isinstance(ids, list) and not ids):
        return []
    table = ENTITIES[key].table
    wanted = select(table.c.id).where(table.c.id.in_(ids), visible(actor, key, table))
    return list(session.execute(wanted.order_by(table.c.id.desc()).limit(limit)).scalars())
