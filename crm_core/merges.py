"""Which contacts, accounts and leads went into others, so that what names the one finds the other.

Whoever merges keeps both rows for himself (``FOR UPDATE``). Whoever writes something that names one of them looks it up in the same transaction and
holds it (``held``, ``hold``): either the merge waits and takes along what was written, or the writer waits and finds that the record is gone.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sqlalchemy import Select, select
from sqlmodel import Session

from crm_core.db import READS, is_sqlite
from crm_core.models import RecordMerge

MERGED = ("account", "contact", "lead")
"""Kinds of records of which two can become one."""

_BATCH = 500

_MERGES: Any = RecordMerge.__table__  # type: ignore[attr-defined]

Q = TypeVar("Q", bound=Select[Any])


def held(session: Session, entity_key: str, query: Q, table: Any) -> Q:
    """A SELECT that keeps the rows of ``table`` which it finds from being merged until this transaction ends, as a foreign key does; other changes of
    them go on. For kinds that can be merged, where many write at once (PostgreSQL), in a session that writes."""
    if entity_key not in MERGED or READS in session.info or is_sqlite(session):
        return query
    return query.with_for_update(read=True, key_share=True, of=table)


def hold(session: Session, entity_key: str, table: Any, ids: Iterable[int]) -> None:
    """Wait for whoever merges these records just now, and keep others from it until this transaction ends; before what is asked about them."""
    query = select(table.c.id).where(table.c.id.in_(sorted(set(ids)))).order_by(table.c.id)
    kept = held(session, entity_key, query, table)
    if kept is not query:
        session.execute(kept).all()


def into(session: Session, entity_key: str, record_id: int | None) -> int | None:
    """The record that one went into, at the end of the chain; None for one that was not merged."""
    if entity_key not in MERGED or record_id is None:
        return None
    at: int | None = record_id
    seen: set[int] = set()
    while at is not None and at not in seen:
        seen.add(at)
        clause = (_MERGES.c.entity == entity_key, _MERGES.c.loser_id == at, _MERGES.c.undone_at.is_(None))
        further = session.execute(select(_MERGES.c.survivor_id).where(*clause).order_by(_MERGES.c.id.desc()).limit(1)).scalar()
        if further is None:
            break
        at = further
    return at if at != record_id else None


def came_in(session: Session, entity_key: str, ids: Iterable[int]) -> list[int]:
    """The records that went into these, and into those in their turn."""
    return _reached(session, entity_key, ids, lambda part: [(_MERGES.c.survivor_id, _MERGES.c.loser_id, part)])


def kin(session: Session, entity_key: str, ids: Iterable[int]) -> list[int]:
    """The records that are one with these by merges, whichever stayed; without these."""
    pair = (_MERGES.c.survivor_id, _MERGES.c.loser_id)
    return _reached(session, entity_key, ids, lambda part: [(*pair, part), (*reversed(pair), part)])


def _reached(session: Session, entity_key: str, ids: Iterable[int], ways: Callable[[list[int]], Any]) -> list[int]:
    """What is found from some records along ``ways``: (column that names the known one, column that names the other, the known ones)."""
    if entity_key not in MERGED:
        return []
    found: dict[int, None] = {}
    given = set(ids)
    wanted = sorted(given)
    while wanted:
        new: dict[int, None] = {}
        for start in range(0, len(wanted), _BATCH):
            for known, other, part in ways(wanted[start : start + _BATCH]):
                clause = (_MERGES.c.entity == entity_key, known.in_(part), _MERGES.c.undone_at.is_(None))
                new |= dict.fromkeys(session.execute(select(other).where(*clause)).scalars())
        wanted = [one for one in new if one not in given and one not in found]
        found |= dict.fromkeys(wanted)
    return list(found)
