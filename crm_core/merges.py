"""Which contacts, accounts and leads went into others, so that what names the one finds the other."""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core.models import RecordMerge

MERGED = ("account", "contact", "lead")
"""Kinds of records of which two can become one."""

_BATCH = 500

_MERGES: Any = RecordMerge.__table__  # type: ignore[attr-defined]


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
