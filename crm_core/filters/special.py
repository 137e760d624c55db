"""Conditions that are no field: membership of a segment, what an analysis published, how often something happened."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import select, true
from sqlmodel import Session

from crm_core.access import visible
from crm_core.entities import ENTITIES, entity, label_of, relations
from crm_core.errors import Invalid
from crm_core.events import declared
from crm_core.fields import registry
from crm_core.filters.nodes import (
    COUNTED,
    MARK_LABEL,
    MARK_NUMBER,
    MAX_VALUES,
    Context,
    Happened,
    InSegment,
    Linked,
    Marked,
)
from crm_core.filters.values import relative_day
from crm_core.kit.numerals import written
from crm_core.kit.text import has_control
from crm_core.vocabulary import Action

TOUCH = "touch"
"""The events of marketing touches are ``touch.<kind>``, and ``touch.any``."""


def bind_special(session: Session, entity_key: str, ast: Mapping[str, Any], context: Context) -> Any:
    """The node of a condition that is no field; None when it is one. ``on`` names the reference behind which it is asked."""
    kind = next((key for key in ("segment", "mark", "event") if key in ast), None)
    if kind is None:
        return None
    kinds: dict[str, Callable[..., InSegment | Marked | Happened]] = {"segment": _segment, "mark": _mark, "event": _event}
    bound = kinds[kind]
    if not ast.get("on"):
        return bound(session, entity_key, ast, context)
    key = str(ast["on"])
    spec = registry(session, entity_key).get(key) or registry(session, entity_key).get(f"{key}_id")
    if spec is None or spec.to not in ENTITIES or entity(spec.to).lookup:
        raise Invalid(f"There is no link “{key[:40]}” to follow.")
    return Linked(spec.key, spec.to, bound(session, spec.to, ast, context))


def number_of(value: Any) -> float:
    """A finite number, or Invalid."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid("A count must be compared with a number.") from error
    if not math.isfinite(number):
        raise Invalid("A count must be compared with a number.")
    return number


def _segment(session: Session, entity_key: str, ast: Mapping[str, Any], context: Context) -> InSegment:
    cmp, segment_id = ast.get("cmp", "in"), ast["segment"]
    known = isinstance(segment_id, int) and not isinstance(segment_id, bool) and 0 < segment_id < 2**31
    if cmp not in ("in", "not_in") or not known:
        raise Invalid("A segment is compared with is in or is not in.")
    table = entity("segment").table
    seen = true() if context.actor.is_system else visible(context.actor, "segment", table)
    row = session.execute(select(table.c.id, table.c.name, table.c.entity).where(table.c.id == segment_id, seen)).first()
    if row is None:
        raise Invalid("A segment of the filter does not exist any more, or is not shared with you.")
    if row.entity != entity_key:
        raise Invalid(f"“{row.name}” is a segment of {entity(row.entity).plural.lower()}.")
    return InSegment(row.id, row.name, cmp == "in")


def _mark(session: Session, entity_key: str, ast: Mapping[str, Any], context: Context) -> Marked:
    mark, cmp, value = _plain(ast["mark"], 40), str(ast.get("cmp", "in")), ast.get("value")
    if cmp in ("empty", "not_empty"):
        return Marked(mark, entity_key, cmp, None, False)
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if not values or len(values) > MAX_VALUES:
        raise Invalid(f"A result of an analysis is compared with 1 to {written(MAX_VALUES)} values.")
    if all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in values):
        return _mark_number(mark, entity_key, cmp, [number_of(item) for item in values])
    if cmp not in MARK_LABEL:
        raise Invalid("A group of an analysis is compared with is one of or is none of.")
    return Marked(mark, entity_key, {"eq": "in", "ne": "not_in"}.get(cmp, cmp), tuple(_plain(item, 200) for item in values), False)


def _mark_number(mark: str, entity_key: str, cmp: str, values: list[float]) -> Marked:
    if cmp not in MARK_NUMBER or len(values) != (2 if cmp == "between" else 1):
        raise Invalid("A score is compared with at least, at most, above, below, between.")
    return Marked(mark, entity_key, cmp, tuple(values) if cmp == "between" else values[0], True)


def _plain(raw: Any, longest: int) -> str:
    if not isinstance(raw, str) or not raw or len(raw) > longest or has_control(raw):
        raise Invalid("A result of an analysis is compared with a name.")
    return raw


def _event(session: Session, entity_key: str, ast: Mapping[str, Any], context: Context) -> Happened:
    event, cmp = str(ast["event"]), str(ast.get("cmp", "ge"))
    if cmp not in COUNTED:
        raise Invalid("A count can be compared with is, is not, below, above, at least, at most.")
    owner = event.partition(".")[0]
    relation = None
    if owner == TOUCH:
        if entity_key not in ("contact", "lead", "account") or has_control(event) or len(event) > 50:
            raise Invalid("Only people and their accounts have marketing touches.")
    elif owner != entity_key:
        relation = next((found for found in relations(entity_key).values() if found.child == owner and not found.through), None)
    if owner != TOUCH and (not declared(event) or (relation is None and owner != entity_key)):
        raise Invalid(f"“{event[:60]}” does not happen to {label_of(entity_key, plural=True).lower()}.")
    if relation is not None and not context.actor.can(owner, Action.READ):
        raise Invalid(f"Your role does not show {label_of(owner, plural=True).lower()}.")
    node = Happened(event, entity_key, relation, None, None, cmp, number_of(ast.get("value", 1)))
    return _within(node, ast.get("within"), context)


def _within(node: Happened, within: Any, context: Context) -> Happened:
    if within in (None, ""):
        return node
    text = str(within)
    day = relative_day(text, context.today, context.actor.first_weekday)
    if day is None or day > context.today:
        raise Invalid("An event is counted since a day such as -90d or start_of_year.")
    return replace(node, since=context.start_of(day))
