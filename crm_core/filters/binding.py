"""From JSON to typed nodes: every field, relation and value is checked against the registry and against what the actor may see."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlmodel import Session

from crm_core import persons
from crm_core.access import Actor
from crm_core.entities import entity, label_of, relations
from crm_core.errors import Invalid
from crm_core.fields import Reckoned, registry, resolve
from crm_core.filters.leaves import leaf_sql
from crm_core.filters.nodes import COMPARISONS, COUNTED, MAX_DEPTH, MAX_LEAVES, POSITIVE, Aggregate, Ast, Context, Group, Leaf, Node
from crm_core.filters.rows import leaf_matches
from crm_core.filters.special import bind_special, number_of
from crm_core.filters.values import Maker
from crm_core.vocabulary import Action

AGGREGATES = ("count", "sum", "min", "max", "avg")


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
    special = bind_special(session, entity_key, ast, context)
    return special if special is not None else _bind_leaf(session, entity_key, ast, context)


def _bind_leaf(session: Session, entity_key: str, ast: Mapping[str, Any], context: Context) -> Node:
    path = str(ast.get("field", ""))
    spec, trail = resolve(session, entity_key, path)
    hops, here = [], entity_key
    for key in trail:
        here = registry(session, here)[key].to or here
        hops.append(here)
    if context.actor.masked(spec.entity, spec.key):
        raise Invalid(f"“{spec.label}” is hidden from your role, so it can't be filtered by.")
    cmp = str(ast.get("cmp", "eq"))
    if cmp not in COMPARISONS[spec.kind]:
        raise Invalid(f"“{spec.label}” can't be compared with “{cmp}”.")
    if isinstance(spec, Reckoned):
        spec = spec.at(session, context.now)
    made = Maker(path, spec, trail, tuple(hops), context).node(cmp, ast.get("value"))
    return _as_read(session, context.actor, made) if isinstance(made, Leaf) else made


def _as_read(session: Session, actor: Actor, leaf: Leaf) -> Leaf:
    """A comparison with the words that the actor reads, where they name a person whom their role does not know."""
    key, name = leaf.spec.entity, leaf.spec.key
    if not persons.blurs(actor, key, name) or leaf.cmp == "empty":
        return leaf
    asked = replace(leaf, cmp=POSITIVE.get(leaf.cmp, leaf.cmp))
    wrong = persons.misread(session, actor, key, leaf_sql(asked, entity(key).table), (), lambda row: leaf_matches(asked, row[name]))
    return replace(leaf, misread=wrong)


def _bind_aggregate(
    session: Session, entity_key: str, ast: Mapping[str, Any], context: Context, depth: int, counter: list[int]
) -> Aggregate:
    relation = relations(entity_key).get(str(ast.get("rel")))
    if relation is None or ast["agg"] not in AGGREGATES:
        raise Invalid("The filter counts something that these records don't have.")
    counted = relation.through.child if relation.through else relation.child
    if not relation.part and not context.actor.can(counted, Action.READ):
        raise Invalid(f"Your role does not show {label_of(counted, plural=True).lower()}, so they can't be counted.")
    spec = None
    if ast["agg"] != "count":
        spec, trail = resolve(session, relation.child, str(ast.get("field", "")))
        if trail or not spec.numeric or context.actor.masked(spec.entity, spec.key):
            raise Invalid("Only a number of the related records can be summed up.")
    cmp = str(ast.get("cmp", "ge"))
    if cmp not in COUNTED:
        raise Invalid("A count can be compared with is, is not, below, above, at least, at most.")
    value = number_of(ast.get("value", 0))
    where = _bind(session, relation.child, ast["where"], context, depth + 1, counter) if ast.get("where") else None
    return Aggregate(
        relation.name, relation.child, relation.foreign_key, ast["agg"], spec, where, cmp, value, relation.through, relation.part
    )
