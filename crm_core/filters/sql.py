"""From typed nodes to one SQL clause. Children, linked records and parts are seen within the actor's scope."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, not_, or_, select, true
from sqlmodel import Session

from crm_core.access import Actor, visible
from crm_core.entities import entity
from crm_core.fields import FieldSpec
from crm_core.filters.binding import bind
from crm_core.filters.leaves import leaf_sql
from crm_core.filters.nodes import Aggregate, Ast, Context, Group, Happened, InSegment, Leaf, Linked, Marked, Node, compare
from crm_core.filters.special_sql import happened, in_segment, marked
from crm_core.vocabulary import SOLD

Joined = Mapping[str, Any]
"""Tables that a statement has joined already, by the reference that leads to them: a condition behind it needs no sub-query."""


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


def to_sql(node: Node, table: Any, actor: Actor, joined: Joined | None = None) -> ColumnElement[bool]:
    """Compile a bound filter."""
    if isinstance(node, Group):
        parts = [to_sql(item, table, actor, joined) for item in node.items]
        if node.op == "or":
            return or_(*parts) if parts else false()
        inner = and_(*parts) if parts else true()
        # "is not true" rather than NOT: an unknown (NULL) inside must come out as "does not match", as it does in Python.
        return inner.is_not(true()) if node.op == "not" else inner
    if isinstance(node, Aggregate):
        return _aggregate_sql(node, table, actor)
    if isinstance(node, InSegment):
        return in_segment(node, table)
    if isinstance(node, Marked):
        return marked(node, table)
    if isinstance(node, Happened):
        return happened(node, table, actor)
    if isinstance(node, Linked):
        target = entity(node.entity).table.alias()
        inside = and_(visible(actor, node.entity, target), to_sql(node.node, target, actor))
        return table.c[node.key].in_(select(target.c.id).where(inside))
    return _through(node, table, node.trail, node.hops, actor, joined or {})


def _through(
    leaf: Leaf, table: Any, trail: tuple[str, ...], hops: tuple[str, ...], actor: Actor, joined: Joined
) -> ColumnElement[bool]:
    """A comparison on a referenced record; records that the actor may not see never match."""
    if not trail:
        return leaf_sql(leaf, table)
    if trail[0] in joined:
        return _through(leaf, joined[trail[0]], trail[1:], hops[1:], actor, {})
    target = entity(hops[0]).table.alias()
    reach = true() if entity(hops[0]).lookup else visible(actor, hops[0], target, with_deleted=True)
    link = table.c[trail[0]]
    found = link.in_(select(target.c.id).where(reach, _through(leaf, target, trail[1:], hops[1:], actor, {})))
    return or_(link.is_(None), found) if leaf.cmp in ("empty", "ne", "not_in", "not_contains") else found


def _aggregate_sql(node: Aggregate, table: Any, actor: Actor) -> ColumnElement[bool]:
    child = entity(node.child).table.alias()
    link, rows = _rows(node, child, actor)
    if node.agg == "count":
        figure: Any = func.count()
        zero_matches = compare(0, node.cmp, node.value)
    else:
        figure = getattr(func, node.agg)(_spec(node).expression(child))
        zero_matches = compare(0, node.cmp, node.value) if node.agg == "sum" else False
    # Grouping once is far cheaper than a correlated count per row; records without children are added when zero satisfies.
    filled = func.coalesce(figure, 0) if node.agg in ("count", "sum") else figure
    having: Any = compare(filled, node.cmp, node.value)
    if not zero_matches:
        return table.c.id.in_(_matching(rows, link, node, having))
    return table.c.id.not_in(_matching(rows, link, node, not_(having)))


def _spec(node: Aggregate) -> FieldSpec:
    assert node.spec is not None
    return node.spec


def _matching(rows: Select[Any], link: Any, node: Aggregate, having: Any) -> Select[Any]:
    """Ids of the records whose children satisfy ``having``; "at least one" and "none" need no counting."""
    if node.agg == "count" and (node.cmp, node.value) in (("ge", 1), ("gt", 0), ("ne", 0), ("eq", 0), ("lt", 1), ("le", 0)):
        return rows.distinct()
    return rows.group_by(link).having(having)


def _by_rows(link: Any) -> Any:
    """The link as an expression: SQLite would group along the index of the link and look every row up, however few the conditions leave
    (3.3 s against 0.2 s of a million orders)."""
    return link + 0


def _rows(node: Aggregate, child: Any, actor: Actor) -> tuple[Any, Select[Any]]:
    """The column that names the record, and the SELECT of it over the children that count."""
    if node.through is None:
        link = _by_rows(child.c[node.foreign_key])
        reach = true() if node.part else visible(actor, node.child, child)
        condition = and_(reach, to_sql(node.where, child, actor) if node.where else true())
        return link, select(link).where(condition, link.is_not(None))
    between = entity(node.through.child).table.alias()
    link = _by_rows(between.c[node.through.foreign_key])
    seen = and_(visible(actor, node.through.child, between), between.c.status.in_(SOLD))
    inner = to_sql(node.where, child, actor, {node.foreign_key: between}) if node.where else true()
    joined = between.join(child, child.c[node.foreign_key] == between.c.id)
    return link, select(link).select_from(joined).where(seen, inner, link.is_not(None))
