"""The same filter as a function of a row, for records that are not stored yet; what lies in other tables is asked of the caller."""

from collections.abc import Callable
from typing import Any

from crm_core.errors import Invalid
from crm_core.fields import Reckoned, to_json
from crm_core.filters.nodes import Aggregate, Group, Happened, InSegment, Leaf, Linked, Marked, Node, Row, compare

Children = Callable[[Row, Aggregate], list[Row]]
Facts = Callable[[Row, Any], Any]
"""``facts(row, node)``: whether the row is in the segment of an InSegment; (number, label) or None of a Marked; the count of a Happened.
For a Linked the node inside is asked, with the row of the linked record (``facts(row, linked)`` gives that row or None)."""


def predicate(node: Node, children: Children | None = None, facts: Facts | None = None) -> Callable[[Row], bool]:
    """The same filter as a function of a row (field path → value). ``children`` gives the related rows for counts over them."""
    if isinstance(node, Group):
        return _group(node, [predicate(item, children, facts) for item in node.items])
    if isinstance(node, Aggregate):
        if children is None:
            raise Invalid("This filter counts related records and can't be used here.")
        return lambda row: _aggregate_matches(node, children(row, node))
    if isinstance(node, Leaf) and isinstance(node.spec, Reckoned) and not node.trail:
        spec = node.spec
        return lambda row: leaf_matches(node, spec.of(row))
    if isinstance(node, Leaf):
        return lambda row: leaf_matches(node, row.get(node.path))
    if facts is None:
        raise Invalid("This filter asks for a segment, an analysis or an event and can't be used here.")
    if isinstance(node, Linked):
        inner = predicate(node.node, children, facts)
        return lambda row: (other := facts(row, node)) is not None and inner(other)
    return lambda row: _fact_matches(node, facts(row, node))


def _group(node: Group, tests: list[Callable[[Row], bool]]) -> Callable[[Row], bool]:
    if node.op == "or":
        return lambda row: any(test(row) for test in tests)
    if node.op == "not":
        return lambda row: not all(test(row) for test in tests)
    return lambda row: all(test(row) for test in tests)


def _fact_matches(node: InSegment | Marked | Happened, fact: Any) -> bool:
    if isinstance(node, InSegment):
        return bool(fact) == node.inside
    if isinstance(node, Happened):
        return compare(fact or 0, node.cmp, node.value)
    number, label = fact if fact is not None else (None, "")
    if node.cmp in ("empty", "not_empty"):
        return (number is None and not label) == (node.cmp == "empty")
    value = number if node.number else label
    if value is None or (not node.number and not label):
        return node.cmp in ("ne", "not_in")
    if node.cmp in ("in", "not_in"):
        return (value in node.value) == (node.cmp == "in")
    if node.cmp == "between":
        return bool(node.value[0] <= value <= node.value[1])
    return compare(value, node.cmp, node.value)


def _aggregate_matches(node: Aggregate, rows: list[Row]) -> bool:
    test = predicate(node.where) if node.where else (lambda _row: True)
    kept = [row for row in rows if test(row)]
    if node.agg == "count":
        return compare(len(kept), node.cmp, node.value)
    values = [row[node.spec.key] for row in kept if row.get(node.spec.key) is not None]  # type: ignore[union-attr]
    if not values:
        return node.agg == "sum" and compare(0, node.cmp, node.value)
    reduce: dict[str, Callable[[list[Any]], Any]] = {
        "sum": sum,
        "min": min,
        "max": max,
        "avg": lambda found: sum(found) / len(found),
    }
    figure = reduce[node.agg](values)
    return compare(figure, node.cmp, node.value)


def leaf_matches(leaf: Leaf, raw: Any) -> bool:
    """Whether the value of a field fits a comparison."""
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
    return compare(value, leaf.cmp, leaf.value)
