"""One nested filter grammar for views, segments, gates and automations, with two back-ends that agree: SQL and a Python predicate.

A filter is ``{"op": "and"|"or"|"not", "items": [...]}`` with leaves ``{"field", "cmp", "value"}`` or, over children of a record,
``{"agg": "count"|"sum"|"min"|"max"|"avg", "rel": "orders", "field": …, "where": {…}, "cmp", "value"}``.

* A field may lead through references: ``account.industry``.
* Values may be literals, ``@me``, ``@my_team``, or relative days: ``today``, ``-90d``, ``+2w``, ``start_of_month``.
* Nothing matches an empty value except ``empty``, ``ne``, ``not_in`` and ``not_contains``; these count empty as "not that".
* Text compares without regard to case. Money is in minor units.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Text
from sqlmodel import Session

from crm_core.access import Actor, visible
from crm_core.entities import entity, relations
from crm_core.errors import Invalid
from crm_core.fields import FieldSpec, parse, registry, resolve, to_json
from crm_core.kit.clock import utcnow
from crm_core.kit.text import has_control
from crm_core.models import Segment, SegmentMember
from crm_core.vocabulary import FieldKind

MAX_DEPTH = 8
MAX_LEAVES = 100
MAX_VALUES = 1_000
"""Of one condition: databases bind a limited number of values per statement."""
_TEXT = ("eq", "ne", "contains", "not_contains", "starts", "ends", "in", "not_in", "empty", "not_empty")
_RANGE = ("eq", "ne", "lt", "le", "gt", "ge", "between", "empty", "not_empty")
_SET = ("eq", "ne", "in", "not_in", "empty", "not_empty")

COMPARISONS: dict[FieldKind, tuple[str, ...]] = {
    FieldKind.TEXT: _TEXT,
    FieldKind.LONG_TEXT: _TEXT,
    FieldKind.EMAIL: _TEXT,
    FieldKind.PHONE: _TEXT,
    FieldKind.URL: _TEXT,
    FieldKind.PICK: _TEXT,
    FieldKind.INTEGER: (*_RANGE, "in", "not_in"),
    FieldKind.DECIMAL: _RANGE,
    FieldKind.MONEY: _RANGE,
    FieldKind.PERCENT: _RANGE,
    FieldKind.BOOLEAN: ("eq", "ne", "empty", "not_empty"),
    FieldKind.DATE: _RANGE,
    FieldKind.DATETIME: _RANGE,
    FieldKind.CHOICE: _SET,
    FieldKind.REFERENCE: _SET,
}
"""Which comparisons a kind of field allows, in the order in which a menu shows them."""

WORDS = {
    "eq": "is", "ne": "is not", "contains": "contains", "not_contains": "does not contain", "starts": "starts with", "ends": "ends with",
    "in": "is one of", "not_in": "is none of", "empty": "is empty", "not_empty": "is filled", "lt": "is below", "le": "is at most",
    "gt": "is above", "ge": "is at least", "between": "is between",
}  # fmt: skip
_AGGREGATES = ("count", "sum", "min", "max", "avg")
_RELATIVE = re.compile(r"^([+-]\d{1,4})([dwmy])$")
_ANCHORS = ("today", "start_of_week", "start_of_month", "start_of_quarter", "start_of_year")


class folded(GenericFunction):  # noqa: N801
    """Lower case in the same way on both databases: a registered function on SQLite (its own knows ASCII only), ``lower`` elsewhere."""

    type = Text()
    inherit_cache = True
    name = "folded"


@compiles(folded, "sqlite")
def _folded_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"rapport_lower({compiler.process(element.clauses, **kw)})"


@compiles(folded)
def _folded(element: Any, compiler: Any, **kw: Any) -> str:
    return f"lower({compiler.process(element.clauses, **kw)})"


@dataclass(frozen=True)
class Context:
    """What relative values and hidden fields depend on."""

    actor: Actor
    now: datetime = field(default_factory=utcnow)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.actor.timezone)

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def start_of(self, day: date) -> datetime:
        """The instant at which a calendar day begins for the actor."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


@dataclass(frozen=True)
class Leaf:
    """A comparison with its field found and its value typed. ``trail``: reference keys on the way, ``hops``: the entities they lead to."""

    path: str
    spec: FieldSpec
    trail: tuple[str, ...]
    hops: tuple[str, ...]
    cmp: str
    value: Any


@dataclass(frozen=True)
class Aggregate:
    """A comparison over the children of a record."""

    relation: str
    child: str
    foreign_key: str
    agg: str
    spec: FieldSpec | None
    where: "Node | None"
    cmp: str
    value: Any


@dataclass(frozen=True)
class InSegment:
    """Whether the record belongs to a segment, by its kept membership."""

    segment_id: int
    name: str
    inside: bool


@dataclass(frozen=True)
class Group:
    """A bound group."""

    op: str
    items: tuple["Node", ...]


Node = Leaf | Aggregate | InSegment | Group
Ast = Mapping[str, Any]


# --- binding: from JSON to typed nodes -----------------------------------------------------------------------------------


def bind(session: Session, entity_key: str, ast: Ast | None, context: Context) -> Group:
    """Check a filter against the registry and type its values. Raises Invalid with a sentence for whatever is wrong."""
    if ast is None or ast == {}:
        return Group("and", ())
    counter = [0]
    node = _bind(session, entity_key, ast, context, 0, counter)
    return node if isinstance(node, Group) else Group("and", (node,))


def _bind(session: Session, entity_key: str, ast: Any, context: Context, depth: int, counter: list[int]) -> Node:
    if not isinstance(ast, Mapping):
        raise Invalid("The filter is not readable.")
    counter[0] += 1
    if depth > MAX_DEPTH or counter[0] > MAX_LEAVES:
        raise Invalid("The filter is nested too deeply or too long.")
    if "op" in ast:
        items = ast.get("items", ())
        if ast["op"] not in ("and", "or", "not") or not isinstance(items, (list, tuple)):
            raise Invalid("The filter has an unknown connection; use and, or, not.")
        return Group(ast["op"], tuple(_bind(session, entity_key, item, context, depth + 1, counter) for item in items))
    if "agg" in ast:
        return _bind_aggregate(session, entity_key, ast, context, depth, counter)
    if "segment" in ast:
        return _bind_segment(session, entity_key, ast, context)
    return _bind_leaf(session, entity_key, ast, context)


def _bind_leaf(session: Session, entity_key: str, ast: Mapping[str, Any], context: Context) -> Node:
    path = str(ast.get("field", ""))
    spec, trail = resolve(session, entity_key, path)
    hops, here = [], entity_key
    for key in trail:
        here = registry(session, here)[key].to or here
        hops.append(here)
    if context.actor.masked(spec.entity, spec.key):
        raise Invalid(f"“{spec.label}” is personal data that your role can't filter by.")
    cmp = str(ast.get("cmp", "eq"))
    if cmp not in COMPARISONS[spec.kind]:
        raise Invalid(f"“{spec.label}” can't be compared with “{cmp}”.")
    make = _Maker(path, spec, trail, tuple(hops), context)
    return make.node(cmp, ast.get("value"))


def _bind_aggregate(
    session: Session, entity_key: str, ast: Mapping[str, Any], context: Context, depth: int, counter: list[int]
) -> Aggregate:
    relation = relations(entity_key).get(str(ast.get("rel")))
    if relation is None or ast["agg"] not in _AGGREGATES:
        raise Invalid("The filter counts something that these records don't have.")
    spec = None
    if ast["agg"] != "count":
        spec, trail = resolve(session, relation.child, str(ast.get("field", "")))
        if trail or not spec.numeric or context.actor.masked(spec.entity, spec.key):
            raise Invalid("Only a number of the related records can be summed up.")
    cmp = str(ast.get("cmp", "ge"))
    if cmp not in ("eq", "ne", "lt", "le", "gt", "ge"):
        raise Invalid("A count can be compared with is, is not, below, above, at least, at most.")
    try:
        value = float(ast.get("value", 0))
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid("A count must be compared with a number.") from error
    if not math.isfinite(value):
        raise Invalid("A count must be compared with a number.")
    where = _bind(session, relation.child, ast["where"], context, depth + 1, counter) if ast.get("where") else None
    return Aggregate(relation.name, relation.child, relation.foreign_key, ast["agg"], spec, where, cmp, value)


def _bind_segment(session: Session, entity_key: str, ast: Mapping[str, Any], context: Context) -> InSegment:
    cmp, segment_id = ast.get("cmp", "in"), ast["segment"]
    if cmp not in ("in", "not_in") or not isinstance(segment_id, int):
        raise Invalid("A segment is compared with is in or is not in.")
    table = entity("segment").table
    row = session.execute(
        select(table.c.id, table.c.name, table.c.entity).where(
            table.c.id == segment_id, visible(context.actor, "segment", table) if not context.actor.is_system else true()
        )
    ).first()
    if row is None:
        raise Invalid("The segment in the filter does not exist, or is not shared with you.")
    if row.entity != entity_key:
        raise Invalid(f"“{row.name}” is a segment of {entity(row.entity).plural.lower()}.")
    return InSegment(row.id, row.name, cmp == "in")


@dataclass(frozen=True)
class _Maker:
    """Turns one comparison into leaves with typed values; instants become half-open ranges of the actor's days."""

    path: str
    spec: FieldSpec
    trail: tuple[str, ...]
    hops: tuple[str, ...]
    context: Context

    def leaf(self, cmp: str, value: Any = None) -> Leaf:
        if self.spec.custom and isinstance(value, datetime):
            value = to_json(value)  # as it stands in the JSON column
        return Leaf(self.path, self.spec, self.trail, self.hops, cmp, value)

    def node(self, cmp: str, value: Any) -> Node:
        if cmp == "empty":
            return self.leaf("empty")
        if cmp == "not_empty":
            return Group("not", (self.leaf("empty"),))
        if cmp == "between":
            if not isinstance(value, (list, tuple)) or len(value) != 2:
                raise Invalid(f"“{self.spec.label}” between needs two values.")
            return Group("and", (self.node("ge", value[0]), self.node("le", value[1])))
        if cmp in ("in", "not_in"):
            if not isinstance(value, (list, tuple)):
                value = [value]
            if len(value) > MAX_VALUES:
                raise Invalid(f"“{self.spec.label}” can be compared with at most {MAX_VALUES:,} values.")
            typed = tuple(sorted({self._typed(item) for item in value}, key=str))
            return self.leaf(cmp, typed)
        if cmp in ("contains", "not_contains", "starts", "ends"):
            return self.leaf(cmp, self._plain_text(value).lower())
        if self.spec.kind is FieldKind.DATETIME:
            return self._instant(cmp, value)
        return self.leaf(cmp, self._typed(value))

    def _instant(self, cmp: str, value: Any) -> Node:
        day = self._day(value)
        if day is None:
            return self.leaf(cmp, self._typed(value))
        start, end = self.context.start_of(day), self.context.start_of(day + timedelta(days=1))
        inside: Node = Group("and", (self.leaf("ge", start), self.leaf("lt", end)))
        made: dict[str, Node] = {
            "eq": inside,
            "ne": Group("not", (inside,)),
            "lt": self.leaf("lt", start),
            "le": self.leaf("lt", end),
            "gt": self.leaf("ge", end),
            "ge": self.leaf("ge", start),
        }
        return made[cmp]

    def _day(self, value: Any) -> date | None:
        """The day that a relative or plain date value means, None when it is an instant."""
        if isinstance(value, datetime):
            return None
        text = str(value).strip()
        relative = relative_day(text, self.context.today)
        if relative is not None:
            return relative
        try:
            day = date.fromisoformat(text) if len(text) == 10 else None
        except ValueError as error:
            raise Invalid(f"“{text[:40]}” is not a day of the calendar.") from error
        if day is not None and not 1000 <= day.year <= 2999:
            raise Invalid(f"“{self.spec.label}” must lie between the years 1000 and 2999.")
        return day

    def _plain_text(self, value: Any) -> str:
        text = str(value or "")
        if isinstance(value, (list, tuple, Mapping)) or has_control(text):
            raise Invalid(f"“{self.spec.label}” is compared with characters that no text has.")
        return text

    def _typed(self, value: Any) -> Any:
        if value is None or value == "":
            raise Invalid(f"“{self.spec.label}” needs a value to compare with.")
        if isinstance(value, (str, list, tuple, Mapping)):
            self._plain_text(value)
        if value in ("@me", "@my_team"):
            return self._mine(value)
        if self.spec.kind is FieldKind.DATE:
            day = self._day(value)
            if day is not None:
                return to_json(day) if self.spec.custom else day
        if self.spec.kind is FieldKind.PICK:
            return str(value).lower()
        try:
            typed = parse(self.spec, value, timezone=self.context.actor.timezone, currency=self.context.actor.currency)
        except ValueError as error:
            raise Invalid(str(error)) from error
        if typed is None:
            raise Invalid(f"“{self.spec.label}” needs a value to compare with.")
        if isinstance(typed, str) and not self.spec.enum:
            return typed.lower()
        return to_json(typed) if self.spec.custom else typed

    def _mine(self, value: str) -> int:
        me = self.context.actor
        if self.spec.to == "user" and value == "@me":
            return me.user_id or 0
        if self.spec.to == "team" and value == "@my_team":
            return me.team_id or 0
        raise Invalid(f"“{self.spec.label}” can't be compared with {value}.")


def relative_day(text: str, today: date) -> date | None:
    """The day that ``today``, ``-90d``, ``+2w``, ``-3m``, ``-1y`` or ``start_of_month`` means; None for anything else."""
    if text in _ANCHORS:
        return {
            "today": today,
            "start_of_week": today - timedelta(days=today.weekday()),
            "start_of_month": today.replace(day=1),
            "start_of_quarter": today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1),
            "start_of_year": today.replace(month=1, day=1),
        }[text]
    match = _RELATIVE.match(text)
    if not match:
        return None
    amount, unit = int(match[1]), match[2]
    if unit in "dw":
        return today + timedelta(days=amount * (7 if unit == "w" else 1))
    months = today.year * 12 + today.month - 1 + amount * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    if not 1 <= year <= 9998:
        raise Invalid("That lies too far away.")
    last = (date(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month + 1, min(today.day, last))


# --- SQL ------------------------------------------------------------------------------------------------------------------


def where(
    session: Session,
    entity_key: str,
    ast: Ast | None,
    actor: Actor,
    table: Any | None = None,
    *,
    now: datetime | None = None,
) -> ColumnElement[bool]:
    """The SQL clause of a filter on the entity's table (or an alias of it). Children are seen within the actor's scope."""
    context = Context(actor, now) if now else Context(actor)
    bound = bind(session, entity_key, ast, context)
    return to_sql(bound, entity(entity_key).table if table is None else table, actor)


def to_sql(node: Node, table: Any, actor: Actor) -> ColumnElement[bool]:
    """Compile a bound filter."""
    if isinstance(node, Group):
        parts = [to_sql(item, table, actor) for item in node.items]
        if node.op == "or":
            return or_(*parts) if parts else false()
        inner = and_(*parts) if parts else true()
        # "is not true" rather than NOT: an unknown (NULL) inside must come out as "does not match", as it does in Python.
        return inner.is_not(true()) if node.op == "not" else inner
    if isinstance(node, Aggregate):
        return _aggregate_sql(node, table, actor)
    if isinstance(node, InSegment):
        members = SegmentMember.__table__  # type: ignore[attr-defined]
        inside = select(members.c.record_id).where(members.c.segment_id == node.segment_id, members.c.left_at.is_(None))
        return table.c.id.in_(inside) if node.inside else table.c.id.not_in(inside)
    return _through(node, table, node.trail, node.hops, actor)


def _through(leaf: Leaf, table: Any, trail: tuple[str, ...], hops: tuple[str, ...], actor: Actor) -> ColumnElement[bool]:
    """A comparison on a referenced record; records that the actor may not see never match."""
    if not trail:
        return _leaf_sql(leaf, table)
    target = entity(hops[0]).table.alias()
    reach = true() if entity(hops[0]).lookup else visible(actor, hops[0], target, with_deleted=True)
    link = table.c[trail[0]]
    found = link.in_(select(target.c.id).where(reach, _through(leaf, target, trail[1:], hops[1:], actor)))
    return or_(link.is_(None), found) if leaf.cmp in ("empty", "ne", "not_in", "not_contains") else found


def _leaf_sql(leaf: Leaf, table: Any) -> ColumnElement[bool]:
    column = leaf.spec.expression(table)
    value = leaf.value
    textual = leaf.spec.kind in (
        FieldKind.TEXT,
        FieldKind.LONG_TEXT,
        FieldKind.EMAIL,
        FieldKind.PHONE,
        FieldKind.URL,
        FieldKind.PICK,
    ) or (leaf.spec.kind is FieldKind.CHOICE and leaf.spec.enum is None)
    if leaf.cmp == "empty":
        return or_(column.is_(None), column == "") if textual else column.is_(None)
    if textual:
        column = folded(column)
    if leaf.cmp == "contains":
        return column.contains(value, autoescape=True)
    if leaf.cmp == "not_contains":
        return or_(column.is_(None), not_(column.contains(value, autoescape=True)))
    if leaf.cmp == "starts":
        return column.startswith(value, autoescape=True)
    if leaf.cmp == "ends":
        return column.endswith(value, autoescape=True)
    if leaf.cmp == "in":
        return column.in_(value) if value else false()
    if leaf.cmp == "not_in":
        return or_(column.is_(None), column.not_in(value)) if value else true()
    if leaf.cmp == "ne":
        return or_(column.is_(None), column != value)
    return {
        "eq": lambda: column == value,
        "lt": lambda: column < value,
        "le": lambda: column <= value,
        "gt": lambda: column > value,
        "ge": lambda: column >= value,
    }[leaf.cmp]()


def _aggregate_sql(node: Aggregate, table: Any, actor: Actor) -> ColumnElement[bool]:
    child = entity(node.child).table.alias()
    link = child.c[node.foreign_key]
    condition = and_(visible(actor, node.child, child), to_sql(node.where, child, actor) if node.where else true())
    if node.agg == "count":
        figure: Any = func.count()
        zero_matches = _compare(0, node.cmp, node.value)
    else:
        figure = getattr(func, node.agg)(node.spec.expression(child))  # type: ignore[union-attr]
        zero_matches = _compare(0, node.cmp, node.value) if node.agg == "sum" else False
    # Grouping once is far cheaper than a correlated count per row; records without children are added when zero satisfies.
    having = _sql_compare(func.coalesce(figure, 0) if node.agg in ("count", "sum") else figure, node.cmp, node.value)
    matching = select(link).where(condition, link.is_not(None)).group_by(link).having(having)
    if not zero_matches:
        return table.c.id.in_(matching)
    failing = select(link).where(condition, link.is_not(None)).group_by(link).having(not_(having))
    return table.c.id.not_in(failing)


def _sql_compare(left: Any, cmp: str, value: float) -> ColumnElement[bool]:
    return {
        "eq": left == value,
        "ne": left != value,
        "lt": left < value,
        "le": left <= value,
        "gt": left > value,
        "ge": left >= value,
    }[cmp]


# --- Python ---------------------------------------------------------------------------------------------------------------

Row = Mapping[str, Any]


def predicate(node: Node, children: Callable[[Row, Aggregate], list[Row]] | None = None) -> Callable[[Row], bool]:
    """The same filter as a function of a row (field path → value). ``children`` gives the related rows for counts over them."""
    if isinstance(node, Group):
        tests = [predicate(item, children) for item in node.items]
        if node.op == "or":
            return lambda row: any(test(row) for test in tests)
        if node.op == "not":
            return lambda row: not all(test(row) for test in tests)
        return lambda row: all(test(row) for test in tests)
    if isinstance(node, Aggregate):
        if children is None:
            raise Invalid("This filter counts related records and can't be used here.")
        return lambda row: _aggregate_matches(node, children(row, node))
    if isinstance(node, InSegment):
        raise Invalid("This filter asks for membership of a segment and can't be used here.")
    return lambda row: _leaf_matches(node, row.get(node.path))


def _aggregate_matches(node: Aggregate, rows: list[Row]) -> bool:
    test = predicate(node.where) if node.where else (lambda _row: True)
    kept = [row for row in rows if test(row)]
    if node.agg == "count":
        return _compare(len(kept), node.cmp, node.value)
    values = [row[node.spec.key] for row in kept if row.get(node.spec.key) is not None]  # type: ignore[union-attr]
    if not values:
        return node.agg == "sum" and _compare(0, node.cmp, node.value)
    reduce: dict[str, Callable[[list[Any]], Any]] = {
        "sum": sum,
        "min": min,
        "max": max,
        "avg": lambda found: sum(found) / len(found),
    }
    figure = reduce[node.agg](values)
    return _compare(figure, node.cmp, node.value)


def _leaf_matches(leaf: Leaf, raw: Any) -> bool:
    value = to_json(raw) if leaf.spec.custom else raw
    if isinstance(raw, str) and leaf.spec.enum is None:  # raw: an instant in JSON has a capital T
        value = value.lower()
    if leaf.cmp == "empty":
        return value is None or value == ""
    if value is None:
        return leaf.cmp in ("ne", "not_in", "not_contains")
    if leaf.cmp in ("in", "not_in"):
        return (value in leaf.value) == (leaf.cmp == "in")
    if leaf.cmp in ("contains", "not_contains"):
        return (leaf.value in value) == (leaf.cmp == "contains")
    if leaf.cmp == "starts":
        return value.startswith(leaf.value)
    if leaf.cmp == "ends":
        return value.endswith(leaf.value)
    return _compare(value, leaf.cmp, leaf.value)


def _compare(left: Any, cmp: str, right: Any) -> bool:
    return {
        "eq": lambda: left == right,
        "ne": lambda: left != right,
        "lt": lambda: left < right,
        "le": lambda: left <= right,
        "gt": lambda: left > right,
        "ge": lambda: left >= right,
    }[cmp]()


# --- words ----------------------------------------------------------------------------------------------------------------


def in_words(
    session: Session,
    entity_key: str,
    ast: Ast | None,
    show: Callable[[FieldSpec, Any], str] = lambda _spec, value: str(value),
) -> str:
    """A filter as a sentence for people; ``show`` turns a stored value into its text."""
    if not ast:
        return "all records"
    if "op" in ast:
        parts = [in_words(session, entity_key, item, show) for item in ast.get("items", ())]
        joined = f" {'or' if ast['op'] == 'or' else 'and'} ".join(parts) if parts else "all records"
        if ast["op"] == "not":
            return f"not ({joined})"
        return f"({joined})" if len(parts) > 1 and ast["op"] == "or" else joined
    if "agg" in ast:
        inner = (
            f" where {in_words(session, relations(entity_key)[ast['rel']].child, ast['where'], show)}" if ast.get("where") else ""
        )
        what = f"number of {ast['rel']}" if ast["agg"] == "count" else f"{ast['agg']} of {ast.get('field')} of {ast['rel']}"
        return f"{what}{inner} {WORDS[ast.get('cmp', 'ge')]} {float(ast.get('value', 0)):g}"
    if "segment" in ast:
        name = session.execute(select(Segment.__table__.c.name).where(Segment.__table__.c.id == ast["segment"])).scalar()  # type: ignore[attr-defined]
        return f"{'not ' if ast.get('cmp') == 'not_in' else ''}in the segment “{name or ast['segment']}”"
    spec, trail = resolve(session, entity_key, ast["field"])
    label = spec.label if not trail else f"{trail[0].removesuffix('_id').replace('_', ' ').capitalize()} {spec.label.lower()}"
    cmp = ast.get("cmp", "eq")
    if cmp in ("empty", "not_empty"):
        return f"{label} {WORDS[cmp]}"
    value = ast.get("value")
    values = value if isinstance(value, (list, tuple)) else [value]
    joined = (" and " if cmp == "between" else ", ").join(show(spec, item) for item in values)
    return f"{label} {WORDS[cmp]} {joined}"
