"""Search over everything a person may see."""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from sqlalchemy import Column, select
from sqlmodel import Session

from crm_core import search
from crm_core.access import Actor, visible
from crm_core.entities import ENTITIES
from crm_core.lists import OF_MINE, sees_few, titles
from crm_core.ordering import alphabetical
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


NEWEST = 1_000
"""How many of the newest hits are looked at; a frequent word has thousands."""
FEW = 1_000
"""So many of the newest records of a kind are read where a frequent word of other kinds filled the hits."""
LAST = "\U0010ffff"
"""Behind every sign that a name may go on with."""
RANKED = 60
"""So many of each kind are put in the order of their names."""


def find(session: Session, actor: Actor, query: str, *, per_entity: int = 5) -> list[Hit]:
    """Records that contain all words of the query, some of each kind, within what the actor may see: those that are called so before those that have
    the words elsewhere, such as in an address; among equals the newest first."""
    newest = search.newest(session, query, limit=NEWEST)
    many = len(newest) == NEWEST
    frequent = cache(partial(search.is_frequent, session, query))  # most searches need not know
    found: dict[str, list[int]] = {key: [] for key in SEARCHED if actor.can(key, Action.READ)}
    for key, record_id, _ in sorted(newest, key=lambda hit: not hit[2]):
        if key in found:
            found[key].append(record_id)
    ranked: list[tuple[int, Hit]] = []
    for key, ids in found.items():
        if search.narrowed(actor, key):
            shown = _seen(session, actor, key, search.within(session, actor, key, query), RANKED)
        else:
            shown = _seen(session, actor, key, ids, RANKED)
            # What others own must not crowd out the few records that this person may see.
            if many and len(shown) < per_entity:
                if Scope.ALL in actor.scopes(key, Action.READ):  # nor newer ones of another kind those that are called so
                    shown = list(
                        dict.fromkeys([*shown, *_begun(session, actor, key, query), *_recent(session, actor, key, query, FEW)])
                    )
                else:
                    shown = _mine(session, actor, key, query, per_entity, frequent=frequent())
        named = titles(session, actor, key, shown)
        near = sorted(
            (search.nearness(query, named[record_id]), place, record_id)
            for place, record_id in enumerate(shown)
            if record_id in named
        )
        ranked += [(rank, Hit(key, record_id, named[record_id])) for rank, _, record_id in near[:per_entity]]
    return [hit for rank, hit in ranked if rank < 2] + [hit for rank, hit in ranked if rank == 2]


def _mine(session: Session, actor: Actor, key: str, query: str, enough: int, *, frequent: bool) -> list[int]:
    """The newest that match of those that the actor may see. Of a frequent word the newest records are read first: it stands in enough of them, and
    finding all of its hits takes longer."""
    if frequent:
        found = _recent(session, actor, key, query, OF_MINE)
        if len(found) >= enough or sees_few(session, actor, key):
            return found
    return _seen(session, actor, key, search.within(session, actor, key, query), RANKED)


def _recent(session: Session, actor: Actor, key: str, query: str, most: int) -> list[int]:
    """Those that match among the newest ``most`` that the actor may see."""
    table = ENTITIES[key].table
    newest = select(table.c.id).where(visible(actor, key, table)).order_by(table.c.id.desc()).limit(most).subquery()
    words = search.among(session, actor, key, query)
    wanted = select(table.c.id).where(table.c.id.in_(select(newest.c.id)), words).order_by(table.c.id.desc()).limit(RANKED)
    return list(session.execute(wanted).scalars())


def _begun(session: Session, actor: Actor, key: str, query: str) -> list[int]:
    """Those whose name begins with what was typed, where names have an index to be found by."""
    table, begins = ENTITIES[key].table, " ".join(search.tokens_of(query))
    place = alphabetical(table.c[ENTITIES[key].title])
    if not begins or not isinstance(place, Column) or actor.masked(key, ENTITIES[key].title):
        return []
    named = (place >= begins, place < begins + LAST, visible(actor, key, table))
    return list(session.execute(select(table.c.id).where(*named).order_by(place).limit(RANKED)).scalars())


def _seen(session: Session, actor: Actor, key: str, ids: Any, limit: int) -> list[int]:
    """The first of a list of ids, or the newest of a SELECT of them, that the actor may see; none without words."""
    if ids is None or (isinstance(ids, list) and not ids):
        return []
    table = ENTITIES[key].table
    wanted = select(table.c.id).where(table.c.id.in_(ids), visible(actor, key, table))
    if isinstance(ids, list):
        seen = set(session.execute(wanted).scalars())
        return [record_id for record_id in ids if record_id in seen][:limit]
    return list(session.execute(wanted.order_by(table.c.id.desc()).limit(limit)).scalars())
