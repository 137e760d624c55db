"""SQL of conditions that are no field. Each reads a table of its own once, by record, rather than once per row."""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, not_, or_, select, true

from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.filters.nodes import Happened, InSegment, Marked, compare
from crm_core.models import AnalysisMark, Event, SegmentMember, Touchpoint

_MEMBERS: Any = SegmentMember.__table__  # type: ignore[attr-defined]
_MARKS: Any = AnalysisMark.__table__  # type: ignore[attr-defined]
_EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
_TOUCHES: Any = Touchpoint.__table__  # type: ignore[attr-defined]


def in_segment(node: InSegment, of: Any) -> ColumnElement[bool]:
    """Kept membership; the stays that ended don't count."""
    inside = select(_MEMBERS.c.record_id).where(_MEMBERS.c.segment_id == node.segment_id, _MEMBERS.c.left_at.is_(None))
    return of.c.id.in_(inside) if node.inside else of.c.id.not_in(inside)


def marked(node: Marked, of: Any) -> ColumnElement[bool]:
    """What was published last; a record without the mark is "not that"."""
    mine = and_(_MARKS.c.kind == node.mark, _MARKS.c.entity == node.entity)
    value = _MARKS.c.number if node.number else _MARKS.c.label
    if node.cmp in ("empty", "not_empty"):
        there = select(_MARKS.c.record_id).where(mine, or_(_MARKS.c.number.is_not(None), _MARKS.c.label != ""))
        return of.c.id.in_(there) if node.cmp == "not_empty" else of.c.id.not_in(there)
    if node.cmp == "between":
        wanted: Any = value.between(*node.value)
    elif node.cmp in ("in", "not_in"):
        wanted = value.in_(node.value)
    else:
        wanted = compare(value, "eq" if node.cmp == "ne" else node.cmp, node.value)
    found = select(_MARKS.c.record_id).where(mine, wanted)
    return of.c.id.not_in(found) if node.cmp in ("ne", "not_in") else of.c.id.in_(found)


def happened(node: Happened, of: Any, actor: Actor) -> ColumnElement[bool]:
    """How often something happened since an instant."""
    having: Any = compare(func.count(), node.cmp, node.value)
    if compare(0, node.cmp, node.value):
        return of.c.id.not_in(_counted(node, actor, not_(having)))
    return of.c.id.in_(_counted(node, actor, having))


def _counted(node: Happened, actor: Actor, having: Any) -> Select[Any]:
    if node.event.startswith("touch."):
        return _touches(node, actor, having)
    log = _EVENTS.alias()
    mine = and_(log.c.type == node.event, *_period(node, log.c.at))
    if node.relation is None:
        return select(log.c.record_id).where(mine).group_by(log.c.record_id).having(having)
    child = entity(node.relation.child).table.alias()
    link = child.c[node.relation.foreign_key]
    joined = log.join(child, child.c.id == log.c.record_id)
    seen = and_(mine, visible(actor, node.relation.child, child), link.is_not(None))
    return select(link).select_from(joined).where(seen).group_by(link).having(having)


def _touches(node: Happened, actor: Actor, having: Any) -> Select[Any]:
    touch = _TOUCHES.alias()
    kind = node.event.partition(".")[2]
    mine = and_(touch.c.kind == kind if kind != "any" else true(), *_period(node, touch.c.at))
    if node.entity != "account":
        link = touch.c[f"{node.entity}_id"]
        return select(link).where(mine, link.is_not(None)).group_by(link).having(having)
    person = entity("contact").table.alias()
    joined = touch.join(person, person.c.id == touch.c.contact_id)
    seen = and_(mine, visible(actor, "contact", person), person.c.account_id.is_not(None))
    return select(person.c.account_id).select_from(joined).where(seen).group_by(person.c.account_id).having(having)


def _period(node: Happened, at: Any) -> list[Any]:
    return ([at >= node.since] if node.since is not None else []) + ([at < node.until] if node.until is not None else [])
