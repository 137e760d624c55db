"""Search over everything a person may see."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlmodel import Session

from crm_core import search
from crm_core.access import Actor, visible
from crm_core.entities import ENTITIES
from crm_core.lists import titles
from crm_core.vocabulary import Action

SEARCHED = ("account", "contact", "deal", "lead", "ticket", "order", "campaign", "product")


@dataclass(frozen=True)
class Hit:
    """One found record."""

    entity: str
    id: int
    title: str


def find(session: Session, actor: Actor, query: str, *, per_entity: int = 5) -> list[Hit]:
    """The first records of each kind that contain all words of the query, within what the actor may see."""
    hits: list[Hit] = []
    for key in SEARCHED:
        if not actor.can(key, Action.READ):
            continue
        ids = search.matching(session, key, query)
        if ids is None:
            return []
        table = ENTITIES[key].table
        found = session.execute(
            select(table.c.id).where(table.c.id.in_(ids), visible(actor, key, table)).order_by(table.c.id.desc()).limit(per_entity)
        )
        named = titles(session, actor, key, found.scalars())
        hits += [Hit(key, record_id, title) for record_id, title in named.items()]
    return hits
