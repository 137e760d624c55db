"""A clustering as a rule that people can read and edit: a shallow tree, written as a nested filter.

A rule is ``{"op": "and" | "or" | "not", "items": […]}`` with leaves ``{"field", "cmp", "value"}``; `cmp` is one of eq, ne, in,
not_in, lt, le, gt, ge, empty, not_empty. As in the filters of a CRM, nothing matches an empty value except empty, ne and
not_in, and text compares without regard to case.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from ml.encoding import MAX_LEVELS, MISSING, as_levels, as_numbers, differs, is_number
from ml.errors import DataError

Rule = dict[str, Any]


@dataclass(frozen=True)
class _Test:
    """What one encoded column asks: a number against a threshold, or a category for one level."""

    field: str
    level: str | None = None
    value: Any = None  # the level as it stands in the data, so that a yes/no field is compared with True, not "True"


@dataclass(frozen=True)
class _Condition:
    test: _Test
    positive: bool  # number: above the threshold; category: has the level
    threshold: float = 0.0


def fit_rules(customers: pd.DataFrame, labels: np.ndarray, *, depth: int = 3) -> dict[Any, Rule]:
    """A rule per label that reproduces the assignment as well as a tree of this depth can.

    Parameters
    ----------
    customers
        Attributes; numbers, booleans and text are used, dates are not.
    labels
        One per row.

    Returns
    -------
    dict
        label → rule. A label that wins no leaf of the tree has no entry.

    Raises
    ------
    DataError
        No usable attribute, or fewer than two labels.
    """
    classes = np.unique(labels)
    if len(classes) < 2:
        raise DataError(f"{len(classes)}", "at least 2 groups to tell apart")
    matrix, tests = _matrix(customers)
    fewest = max(2, len(labels) // 200)
    tree = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=fewest, random_state=0).fit(matrix, labels)
    paths: dict[Any, list[list[_Condition]]] = {}
    for conditions, label in _leaves(tree, matrix, tests, 0, []):
        paths.setdefault(classes[label].item() if hasattr(classes[label], "item") else classes[label], []).append(conditions)
    return {label: {"op": "or", "items": [_conjunction(path) for path in found]} for label, found in paths.items()}


def matches(rule: Rule, customers: pd.DataFrame) -> np.ndarray:
    """Which rows satisfy a rule.

    Raises
    ------
    DataError
        A field that the table lacks, or a comparison that is not known.
    """
    if "op" in rule:
        parts = [matches(item, customers) for item in rule["items"]]
        if rule["op"] == "not":
            return ~np.logical_or.reduce(parts)
        joined = np.logical_and.reduce(parts) if rule["op"] == "and" else np.logical_or.reduce(parts)
        return np.asarray(joined) if parts else np.full(len(customers), rule["op"] == "and")
    if rule["field"] not in customers.columns:
        raise DataError(f"no {rule['field']}", f"the attribute {rule['field']}")
    return _compare(pd.Series(customers[rule["field"]]), str(rule["cmp"]), rule.get("value"))


def describe(rule: Rule) -> str:
    """The rule in words: ``(income is above 30,000 and age is at most 35) or …``."""
    if "op" not in rule:
        words = _WORDS[rule["cmp"]]
        value = rule.get("value")
        shown = ", ".join(map(_show, value)) if isinstance(value, list) else _show(value)
        return f"{str(rule['field']).replace('_', ' ')} {words} {'' if value is None else shown}".strip()
    parts = [describe(item) for item in rule["items"]]
    if rule["op"] == "not":
        return f"not ({' or '.join(parts)})"
    if len(parts) == 1:
        return parts[0]
    return f" {rule['op']} ".join(f"({part})" if rule["op"] == "or" else part for part in parts)


_WORDS = {
    "eq": "is",
    "ne": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "lt": "is below",
    "le": "is at most",
    "gt": "is above",
    "ge": "is at least",
    "empty": "is empty",
    "not_empty": "is filled",
}


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.10g}" if isinstance(value, int | float) else str(value)


def _compare(values: pd.Series, cmp: str, value: Any) -> np.ndarray:
    empty = values.isna().to_numpy()
    if cmp in ("empty", "not_empty"):
        return empty if cmp == "empty" else ~empty
    if cmp in ("eq", "ne", "in", "not_in"):
        wanted = {_fold(item) for item in (value if isinstance(value, list) else [value])}
        inside = np.array([_fold(item) in wanted for item in values], dtype=bool) & ~empty
        return inside if cmp in ("eq", "in") else ~inside
    numbers = as_numbers(values)
    with np.errstate(invalid="ignore"):
        compared = {"lt": numbers < value, "le": numbers <= value, "gt": numbers > value, "ge": numbers >= value}
    if cmp not in compared:
        raise DataError(repr(cmp), f"one of {', '.join(_WORDS)}")
    return compared[cmp] & ~empty


def _fold(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _matrix(customers: pd.DataFrame) -> tuple[np.ndarray, list[_Test]]:
    columns: list[np.ndarray] = []
    tests: list[_Test] = []
    for name in customers.columns:
        values = customers[name]
        if pd.api.types.is_datetime64_any_dtype(values) or not differs(values):
            continue
        if is_number(values):
            numbers = as_numbers(values)
            columns.append(np.where(np.isnan(numbers), np.nanmedian(numbers), numbers))
            tests.append(_Test(str(name)))
            continue
        levels = as_levels(values)
        common = pd.Series(levels).value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
        for level in common.index[:MAX_LEVELS]:
            has = levels == level
            columns.append(has.astype(float))
            tests.append(_Test(str(name), str(level), _native(values.iloc[int(has.argmax())])))
    if not columns:
        raise DataError("none", "at least one attribute that differs between customers")
    return np.column_stack(columns), tests


def _native(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _leaves(
    tree: DecisionTreeClassifier, matrix: np.ndarray, tests: list[_Test], node: int, path: list[_Condition]
) -> list[tuple[list[_Condition], int]]:
    """Paths to the leaves, with sister leaves of the same label joined at their parent."""
    inner = tree.tree_
    if inner.children_left[node] == -1:
        return [(path, int(inner.value[node][0].argmax()))]
    column, cut = int(inner.feature[node]), float(inner.threshold[node])
    test = tests[column]
    threshold = cut if test.level is not None else _roundest(matrix[:, column], cut)
    low, high = (_Condition(test, positive, threshold) for positive in (False, True))
    left = _leaves(tree, matrix, tests, int(inner.children_left[node]), [*path, low])
    right = _leaves(tree, matrix, tests, int(inner.children_right[node]), [*path, high])
    if len(left) == len(right) == 1 and left[0][1] == right[0][1]:
        return [(path, left[0][1])]
    return left + right


def _roundest(values: np.ndarray, cut: float) -> float | int:
    """The number with the fewest digits that splits the values as `cut` does."""
    below, above = values[values <= cut].max(), values[values > cut].min()
    for exponent in range(12, -13, -1):
        step = 10.0**exponent
        candidate = round(float(np.ceil(below / step) * step), max(0, -exponent))
        if below <= candidate < above:
            return int(candidate) if exponent >= 0 else candidate
    return float(below)


def _conjunction(path: list[_Condition]) -> Rule:
    """One path as an "and", each field said once where possible."""
    items: list[Rule] = []
    for name in dict.fromkeys(condition.test.field for condition in path):
        conditions = [condition for condition in path if condition.test.field == name]
        items += _category_items(name, conditions) if conditions[0].test.level else _number_items(name, conditions)
    return {"op": "and", "items": items}


def _number_items(name: str, conditions: list[_Condition]) -> list[Rule]:
    lows = [condition.threshold for condition in conditions if condition.positive]
    highs = [condition.threshold for condition in conditions if not condition.positive]
    items: list[Rule] = [{"field": name, "cmp": "gt", "value": max(lows)}] if lows else []
    return items + ([{"field": name, "cmp": "le", "value": min(highs)}] if highs else [])


def _category_items(name: str, conditions: list[_Condition]) -> list[Rule]:
    for condition in conditions:
        if condition.positive:
            missing = condition.test.level == MISSING
            return [{"field": name, "cmp": "empty"} if missing else {"field": name, "cmp": "eq", "value": condition.test.value}]
    items: list[Rule] = []
    if any(condition.test.level == MISSING for condition in conditions):
        items.append({"field": name, "cmp": "not_empty"})
    others = [condition.test.value for condition in conditions if condition.test.level != MISSING]
    if others:
        items.append(
            {"field": name, "cmp": "ne", "value": others[0]}
            if len(others) == 1
            else {"field": name, "cmp": "not_in", "value": others}
        )
    return items
