"""The duplicate check at entry: is this lead, contact or account already here, and why do we think so?"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core import records, search
from crm_core.access import Actor, require, visible
from crm_core.entities import ENTITIES
from crm_core.kit.text import fold
from crm_core.matching import MATCHED, keys_of, name_key, sources
from crm_core.models import DuplicatePair, MatchKey
from crm_core.services.customers import points
from crm_core.services.customers.duplicate_rules import ALIKE, LIKELY, OF_LIKENESS, REASONS, WEIGHTS, likeness, score
from crm_core.vocabulary import Action, PairState, PointKind

_KEYS = MatchKey.__table__  # type: ignore[attr-defined]
_PAIRS: Any = DuplicatePair.__table__  # type: ignore[attr-defined]
MAX_CANDIDATES = 60
_TOLD_BY = {
    "email": ("email",), "phone": ("phone",), "person": ("name",), "like": ("name",), "company": ("name", "company"), "domain": ("website", "email"),
}  # fmt: skip
"""The fields that a piece of evidence tells of: where one is masked, there is no such evidence."""


@dataclass(frozen=True)
class Duplicate:
    """A record that may be the same. ``score`` 0–1; ``reasons`` in words."""

    entity: str
    id: int
    title: str
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What the check found. ``hidden``: how many likely matches the person may not see; nothing of them is told."""

    shown: tuple[Duplicate, ...] = ()
    hidden: int = 0


def check(session: Session, actor: Actor, entity_key: str, values: Mapping[str, Any], *, exclude_id: int | None = None) -> Found:
    """Look for the person or company of a half-filled form among leads, contacts and accounts."""
    require(actor, entity_key, Action.CREATE)
    return _found(session, actor, entity_key, values, exclude_id) if entity_key in MATCHED else Found()


def likely(session: Session, actor: Actor, entity_key: str, record_id: int) -> list[Duplicate]:
    """Records of the same kind that may be the same as one, the likeliest first; without those of which somebody said that they are not."""
    record = records.get(session, actor, entity_key, record_id)
    if entity_key not in MATCHED:
        return []
    values = {key: getattr(record, key, None) for key in ("name", *sources(entity_key))}
    found = _found(session, actor, entity_key, values, record_id)
    pairs = select(_PAIRS.c.first_id, _PAIRS.c.second_id).where(
        _PAIRS.c.entity == entity_key, _PAIRS.c.state == PairState.DIFFERENT
    )
    mine = pairs.where((_PAIRS.c.first_id == record_id) | (_PAIRS.c.second_id == record_id))
    different = {one for pair in session.execute(mine).tuples() for one in pair}
    return [hit for hit in found.shown if hit.entity == entity_key and hit.id not in different]


def _found(session: Session, actor: Actor, entity_key: str, values: Mapping[str, Any], exclude_id: int | None) -> Found:
    subject = SimpleNamespace(**values)
    keys = keys_of(entity_key, subject)
    scores: dict[tuple[str, int], dict[str, float]] = {}
    for kind, entity, record_id in (*_by_keys(session, keys), *_by_points(session, values)):
        scores.setdefault((entity, record_id), {})[kind] = WEIGHTS[kind]
    name = str(values.get("name") or "")
    for entity, record_id, weight in _by_name(session, actor, entity_key, name):
        scores.setdefault((entity, record_id), {}).setdefault("like", weight)
    scores.pop((entity_key, exclude_id or 0), None)
    for (entity, _), evidence in scores.items():
        for kind in [kind for kind in evidence if any(actor.masked(entity, key) for key in _TOLD_BY[kind])]:
            del evidence[kind]
    likely = {record: evidence for record, evidence in scores.items() if score(evidence.values()) >= LIKELY}
    return _within_sight(session, actor, likely)


def _by_keys(session: Session, keys: set[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """Each key is asked for by itself: everybody of one web domain would otherwise leave no room for the one with the same address."""
    found: list[tuple[str, str, int]] = []
    for kind, key in sorted(keys):
        rows = select(_KEYS.c.entity, _KEYS.c.record_id).where(_KEYS.c.kind == kind, _KEYS.c.key == key).limit(MAX_CANDIDATES)
        found += [(kind, row.entity, row.record_id) for row in session.execute(rows)]
    return found


def _by_points(session: Session, values: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Whoever has the address or the number as one of several."""
    found = []
    for kind in PointKind:
        value = str(values.get(points.MAIN[kind]) or "")
        key = points.key_of(session, kind, value) if value else ""
        for owner in points.OWNERS if key else ():
            model: Any = owner.model
            query = select(getattr(model, owner.key)).where(model.kind == kind, model.value_key == key).limit(MAX_CANDIDATES)
            found += [(kind.value, owner.entity, record_id) for record_id in session.execute(query).scalars()]
    return found


def _by_name(session: Session, actor: Actor, entity_key: str, name: str) -> list[tuple[str, int, float]]:
    """Records whose name reads alike (``Jon Smith`` and ``John Smyth`` share too little; ``Acme Europe`` and ``Acme Europe GmbH`` enough)."""
    if len(fold(name)) < 4:
        return []
    company = entity_key == "account"
    found = []
    for entity in ("account",) if company else ("contact", "lead"):
        longest = max(fold(name).split(), key=len)
        ids = search.within(session, actor, entity, longest)
        if ids is None:
            continue
        table = ENTITIES[entity].table
        rows = session.execute(
            select(table.c.id, table.c.name).where(table.c.id.in_(ids.limit(MAX_CANDIDATES)), table.c.deleted_at.is_(None))
        )
        mine = name_key(name, company=company)
        for row in rows:
            alike = likeness(mine, name_key(row.name, company=company))
            if alike >= ALIKE:
                found.append((entity, row.id, OF_LIKENESS * alike))
    return found


def _within_sight(session: Session, actor: Actor, likely: Mapping[tuple[str, int], Mapping[str, float]]) -> Found:
    shown: list[Duplicate] = []
    hidden = 0
    for entity in MATCHED:
        ids = [record_id for found, record_id in likely if found == entity]
        if not ids:
            continue
        table = ENTITIES[entity].table
        alive = set(session.execute(select(table.c.id).where(table.c.id.in_(ids), table.c.deleted_at.is_(None))).scalars())
        seen = dict(
            session.execute(select(table.c.id, table.c.name).where(table.c.id.in_(ids), visible(actor, entity, table)))
            .tuples()
            .all()
        )
        hidden += len(alive - set(seen))
        for record_id, title in seen.items():
            evidence = likely[(entity, record_id)]
            reasons = tuple(REASONS[kind] for kind in evidence if not (kind == "like" and {"person", "company"} & set(evidence)))
            masked = actor.masked(entity, "name")
            shown.append(
                Duplicate(
                    entity, record_id, ENTITIES[entity].label if masked else title, round(score(evidence.values()), 2), reasons
                )
            )
    shown.sort(key=lambda duplicate: -duplicate.score)
    return Found(tuple(shown[:8]), hidden)
