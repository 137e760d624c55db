"""A rule while it is being edited: a tree of groups and conditions whose numbers key their widgets. Pure; the widgets are in ``rule_editor``.

A group: ``{"n", "op": "and"|"or"|"none", "items"}``; ``none`` is "none of these". A condition has ``n`` and a ``what``:

* ``field:<path>`` with ``cmp``, ``value``;
* ``count:<relation>`` or ``sum:<relation>.<field>`` (also avg, min, max) with ``cmp``, ``value`` and ``where``, a group over the children;
* ``segment``, with ``on`` behind a reference; ``mark:<kind>`` (its groups) or ``score:<kind>`` (its number); ``event:<type>`` with ``within``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Draft = dict[str, Any]
NO_VALUE = ("empty", "not_empty")


class Numbers:
    """Gives each node a number of its own."""

    def __init__(self, start: int = 0) -> None:
        self.last = start

    def next(self) -> int:
        self.last += 1
        return self.last


def draft_of(ast: Mapping[str, Any] | None, numbers: Numbers) -> Draft:
    """The tree of a rule; the root is always a group."""
    node = _draft(ast, numbers) if ast else None
    if node is not None and "op" in node:
        return node
    return {"n": numbers.next(), "op": "and", "items": [node] if node is not None else []}


def _draft(ast: Mapping[str, Any], numbers: Numbers) -> Draft:
    if "op" not in ast:
        return _condition(ast, numbers)
    items = list(ast.get("items") or ())
    if ast["op"] != "not":
        return {"n": numbers.next(), "op": ast["op"], "items": [_draft(item, numbers) for item in items]}
    if len(items) == 1 and items[0].get("op") == "or":
        items = list(items[0].get("items") or ())
    elif len(items) > 1:
        items = [{"op": "and", "items": items}]
    return {"n": numbers.next(), "op": "none", "items": [_draft(item, numbers) for item in items]}


def _condition(ast: Mapping[str, Any], numbers: Numbers) -> Draft:
    kept = {key: ast[key] for key in ("cmp", "value", "within", "on") if key in ast}
    made: Draft = {"n": numbers.next(), **kept}
    if "agg" in ast:
        figure = f"count:{ast['rel']}" if ast["agg"] == "count" else f"{ast['agg']}:{ast['rel']}.{ast.get('field')}"
        return {**made, "what": figure, "where": draft_of(ast.get("where"), numbers)}
    if "segment" in ast:
        return {**made, "what": f"segment:{ast['on']}" if ast.get("on") else "segment", "value": ast["segment"]}
    if "mark" in ast:
        value = ast.get("value")
        numbers_only = all(isinstance(item, (int, float)) for item in (value if isinstance(value, (list, tuple)) else [value]))
        return {**made, "what": f"{'score' if numbers_only else 'mark'}:{ast['mark']}"}
    if "event" in ast:
        return {**made, "what": f"event:{ast['event']}"}
    return {**made, "what": f"field:{ast.get('field')}"}


def rule_of(node: Draft) -> dict[str, Any] | None:
    """The rule that a tree means, without unfinished conditions and empty groups; None when nothing remains."""
    if "op" not in node:
        return _leaf(node)
    items = [made for made in (rule_of(item) for item in node["items"]) if made is not None]
    if not items:
        return None
    if node["op"] == "none":
        return {"op": "not", "items": items if len(items) == 1 else [{"op": "or", "items": items}]}
    return items[0] if len(items) == 1 else {"op": node["op"], "items": items}


def _leaf(node: Draft) -> dict[str, Any] | None:
    kind, _, rest = str(node.get("what") or "").partition(":")
    cmp, value = node.get("cmp"), node.get("value")
    if not kind or cmp is None or (cmp not in NO_VALUE and not _filled(value)):
        return None
    said: dict[str, Any] = {"cmp": cmp} if cmp in NO_VALUE else {"cmp": cmp, "value": value}
    if kind == "field":
        return {"field": rest, **said}
    if kind == "segment":
        return {"segment": value, "cmp": cmp, **({"on": rest} if rest else {})}
    if kind in ("mark", "score"):
        return {"mark": rest, **said}
    if kind == "event":
        return {"event": rest, **({"within": node["within"]} if node.get("within") else {}), **said}
    relation, _, field = rest.partition(".")
    where = rule_of(node["where"]) if node.get("where") else None
    return {"agg": kind, "rel": relation, **({"field": field} if field else {}), **({"where": where} if where else {}), **said}


def _filled(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(item not in (None, "") for item in value)
    return value not in (None, "")


def unfinished(node: Draft) -> int:
    """How many conditions were begun and still lack something."""
    if "op" in node:
        return sum(unfinished(item) for item in node["items"])
    inner = unfinished(node["where"]) if node.get("where") else 0
    return inner + (1 if _leaf(node) is None else 0)


# --- moving things about -----------------------------------------------------------------------------------------------------------


def groups(node: Draft) -> Iterator[Draft]:
    """Every group of a tree, those over children included."""
    if "op" in node:
        yield node
        for item in node["items"]:
            yield from groups(item)
    elif node.get("where"):
        yield from groups(node["where"])


def home_of(root: Draft, number: int) -> tuple[Draft, int]:
    """The group that holds a node, and its place there. Raises KeyError."""
    for group in groups(root):
        for place, item in enumerate(group["items"]):
            if item["n"] == number:
                return group, place
    raise KeyError(number)


def remove(root: Draft, number: int) -> None:
    """Take a node out."""
    group, place = home_of(root, number)
    del group["items"][place]


def shift(root: Draft, number: int, by: int) -> None:
    """Move a node up or down within its group."""
    group, place = home_of(root, number)
    goal = max(0, min(len(group["items"]) - 1, place + by))
    group["items"].insert(goal, group["items"].pop(place))


def wrap(root: Draft, number: int, op: str, numbers: Numbers) -> None:
    """Put a node into a group of its own (``none`` negates it)."""
    group, place = home_of(root, number)
    group["items"][place] = {"n": numbers.next(), "op": op, "items": [group["items"][place]]}


def unwrap(root: Draft, number: int) -> None:
    """Take the items of a group out of it."""
    group, place = home_of(root, number)
    group["items"][place : place + 1] = group["items"][place]["items"]


def lift(root: Draft, number: int) -> None:
    """Move a node out of its group, right behind it. At the top nothing happens."""
    group, place = home_of(root, number)
    try:
        outer, at = home_of(root, group["n"])
    except KeyError:
        return
    outer["items"].insert(at + 1, group["items"].pop(place))
    if not group["items"]:
        outer["items"].remove(group)


def duplicate(root: Draft, number: int, numbers: Numbers) -> None:
    """Put a copy behind a node."""
    group, place = home_of(root, number)
    group["items"].insert(place + 1, _renumbered(group["items"][place], numbers))


def _renumbered(node: Draft, numbers: Numbers) -> Draft:
    copy = {**node, "n": numbers.next()}
    if "items" in node:
        copy["items"] = [_renumbered(item, numbers) for item in node["items"]]
    if node.get("where"):
        copy["where"] = _renumbered(node["where"], numbers)
    return copy
