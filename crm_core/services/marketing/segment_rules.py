"""What a segment's rule may say, and which segments lean on which."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.entities import Relation, relations
from crm_core.errors import Invalid
from crm_core.filters import Context, bind
from crm_core.models import Event, Segment
from crm_core.vocabulary import SegmentKind

_SEGMENTS: Any = Segment.__table__  # type: ignore[attr-defined]
_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]


def leaves(rule: Any) -> Iterator[Mapping[str, Any]]:
    """Every condition of a rule, those about children included."""
    if not isinstance(rule, Mapping):
        return
    if "op" in rule:
        for item in rule.get("items") or ():
            yield from leaves(item)
        return
    yield rule
    if rule.get("where"):
        yield from leaves(rule["where"])


@dataclass(frozen=True)
class Condition:
    """A condition with the entity that it is about, and the relations it counts over."""

    ast: Mapping[str, Any]
    entity: str
    relations: tuple[Relation, ...] = ()


def leaves_by_entity(entity_key: str, rule: Any) -> Iterator[Condition]:
    """Every condition of a readable rule with the entity on which it is asked."""
    if not isinstance(rule, Mapping):
        return
    if "op" in rule:
        for item in rule.get("items") or ():
            yield from leaves_by_entity(entity_key, item)
    elif "agg" in rule:
        relation = relations(entity_key)[str(rule["rel"])]
        yield Condition(rule, entity_key, (relation, *([relation.through] if relation.through else [])))
        yield from leaves_by_entity(relation.child, rule.get("where"))
    else:
        yield Condition(rule, entity_key)


def references(rule: Any) -> set[int]:
    """Ids of the segments that a rule reads."""
    return {leaf["segment"] for leaf in leaves(rule) if isinstance(leaf.get("segment"), int)}


def check(
    session: Session, actor: Actor, entity_key: str, rule: Mapping[str, Any] | None, *, segment_id: int | None = None
) -> None:
    """Raise Invalid for a rule that can't be read, that the actor may not use, or that leads back to the segment itself."""
    bind(session, entity_key, rule, Context(actor))
    if segment_id is not None and segment_id in reachable(session, rule):
        raise Invalid("This rule leads back to the segment itself, so nobody could say who is in it. Remove that condition.")


def reachable(session: Session, rule: Any) -> set[int]:
    """Ids of all segments that a rule reads directly or through others."""
    rules = _live_rules(session)
    seen: set[int] = set()
    waiting = list(references(rule))
    while waiting:
        found = waiting.pop()
        if found not in seen:
            seen.add(found)
            waiting += references(rules.get(found))
    return seen


def used_by(session: Session, segment_id: int) -> set[int]:
    """Ids of the live segments whose rule reads this one directly."""
    return {key for key, rule in _live_rules(session).items() if segment_id in references(rule)}


def _live_rules(session: Session) -> dict[int, Any]:
    rows = select(_SEGMENTS.c.id, _SEGMENTS.c.rule).where(_SEGMENTS.c.kind == SegmentKind.LIVE, _SEGMENTS.c.deleted_at.is_(None))
    return dict(session.execute(rows).tuples().all())


def changed_since(session: Session, segment: Segment, version: int) -> bool:
    """Whether the rule was changed after a version of the segment."""
    clause = (_EVENTS.c.entity == "segment", _EVENTS.c.record_id == segment.id, _EVENTS.c.type == "segment.rule_changed")
    return session.execute(select(_EVENTS.c.id).where(*clause, _EVENTS.c.record_version > version).limit(1)).first() is not None
