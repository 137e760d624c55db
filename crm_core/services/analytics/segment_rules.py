"""From the rule of a cluster to a filter that people can edit: attributes as they are, buying behaviour as conditions on orders. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from crm_core.vocabulary import SOLD

Rule = Mapping[str, Any]
BEHAVIOUR = {
    "recency_days": "Days since the last order",
    "frequency": "Orders",
    "monetary": "Revenue",
    "average_order": "Average order",
}
"""What is computed from a customer's orders, with its words."""
MONEY = ("monetary", "average_order")


def as_filter(rule: Rule, *, months: int = 0, money: Callable[[float], int], money_fields: tuple[str, ...] = ()) -> dict[str, Any]:
    """A rule of ``ml.rules`` as a filter on the customers.

    ``months``: the period over which orders were counted, 0 for all time; ``money`` turns major units into minor ones; ``money_fields``:
    attributes that the filter compares in minor units.
    """
    if "op" in rule:
        items = [as_filter(item, months=months, money=money, money_fields=money_fields) for item in rule["items"]]
        return items[0] if len(items) == 1 and rule["op"] != "not" else {"op": rule["op"], "items": items}
    return _leaf(str(rule["field"]), str(rule["cmp"]), rule.get("value"), months, money, money_fields)


def _leaf(
    field: str, cmp: str, value: Any, months: int, money: Callable[[float], int], money_fields: tuple[str, ...]
) -> dict[str, Any]:
    if field not in BEHAVIOUR:
        leaf: dict[str, Any] = {"field": field, "cmp": cmp}
        return leaf if value is None else {**leaf, "value": money(value) if field in money_fields else value}
    if field == "recency_days":
        return _recency(cmp, int(value))
    agg = {"frequency": "count", "monetary": "sum", "average_order": "avg"}[field]
    leaf = {"agg": agg, "rel": "orders", "where": _sold(months), "cmp": cmp}
    return {**leaf, "value": value} if agg == "count" else {**leaf, "field": "total_minor", "value": money(float(value))}


def with_fields(rule: Rule, fields: Mapping[str, str]) -> dict[str, Any]:
    """The rule with its fields renamed: from the words that people read back to keys."""
    if "op" in rule:
        return {"op": rule["op"], "items": [with_fields(item, fields) for item in rule["items"]]}
    return {**rule, "field": fields.get(str(rule["field"]), rule["field"])}


def readable(text: str, currency: str = "") -> str:
    """Keys of fields and measures as words, amounts with their currency where it is given."""
    for key, label in BEHAVIOUR.items():
        unit = f" ({currency})" if currency and key in MONEY else ""
        text = text.replace(key.replace("_", " "), label.lower() + unit)
    text = text.replace(" minor", "").removeprefix("x ")
    return text[0].upper() + text[1:] if text else text


def rule_words(text: str, currency: str) -> str:
    """The words of a rule of the mathematics as people say it: “orders at most 12 and revenue (EUR) above 2,490”."""
    for wordy, short in (
        (" is at most ", " at most "),
        (" is above ", " above "),
        (" is at least ", " at least "),
        (" is below ", " below "),
    ):
        text = text.replace(wordy, short)
    return readable(text, currency)


def readable_fields(labels: Mapping[str, str]) -> dict[str, str]:
    """Key → its label as a column of its own: two fields of one label are told apart."""
    taken = {"customer_id", *BEHAVIOUR}
    found: dict[str, str] = {}
    for key, label in labels.items():
        name = label if label.lower() not in {word.lower() for word in taken} else f"{label} ({key})"
        taken.add(name)
        found[key] = name
    return found


def _sold(months: int) -> dict[str, Any]:
    sold: dict[str, Any] = {"field": "status", "cmp": "in", "value": [status.value for status in SOLD]}
    if not months:
        return sold
    return {"op": "and", "items": [sold, {"field": "ordered_at", "cmp": "ge", "value": f"-{months}m"}]}


def _recency(cmp: str, days: int) -> dict[str, Any]:
    """Fewer days than … means that some order is younger; more days mean that none is."""
    within = days if cmp in ("le", "gt") else days - 1
    since = {"field": "ordered_at", "cmp": "ge", "value": f"-{max(0, within)}d" if within else "today"}
    young = {"op": "and", "items": [{"field": "status", "cmp": "in", "value": [status.value for status in SOLD]}, since]}
    some = {"agg": "count", "rel": "orders", "where": young, "cmp": "ge", "value": 1}
    return some if cmp in ("le", "lt") else {**some, "cmp": "lt"}


def buyers(months: int) -> dict[str, Any]:
    """Customers with at least one order in the period: those among whom the clusters were found."""
    return {"agg": "count", "rel": "orders", "where": _sold(months), "cmp": "ge", "value": 1}


def cluster_filter(
    rule: Rule, *, months: int = 0, money: Callable[[float], int], money_fields: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The cluster's rule among buyers: without it "no order in 90 days" would also mean people who never bought."""
    inner = as_filter(rule, months=months, money=money, money_fields=money_fields)
    items = list(inner["items"]) if inner.get("op") == "and" else [inner]
    return {"op": "and", "items": [buyers(months), *items]}


def names(centres: list[dict[str, Any]]) -> list[str]:
    """A short name per cluster from where its centre lies (standard deviations from the average customer); unique."""
    found: list[str] = []
    for centre in centres:
        words = [_word(key, float(centre.get(key) or 0)) for key in ("recency_days", "frequency", "monetary")]
        text = ", ".join(word for word in words if word) or "Average"
        name = text[0].upper() + text[1:]
        count = sum(other == name or other.startswith(f"{name} (") for other in found)
        found.append(name if not count else f"{name} ({count + 1})")
    return found


_WORDS = {
    "recency_days": ("bought lately", "gone quiet"),
    "frequency": ("rarely", "often"),
    "monetary": ("small spend", "big spend"),
}


def _word(key: str, z: float) -> str:
    low, high = _WORDS[key]
    return low if z <= -0.4 else high if z >= 0.4 else ""


_PHRASES = {
    "high recency days": "gone quiet", "low recency days": "bought lately", "high frequency": "buys often", "low frequency": "buys rarely",
    "high monetary": "big spend", "low monetary": "small spend", "high average order": "large orders", "low average order": "small orders",
}  # fmt: skip


def persona_name(name: str) -> str:
    """The name that the mathematics gives ("high frequency, low recency days") as people say it."""
    parts = [_PHRASES.get(part.strip().lower(), part.strip()) for part in name.split(",")]
    text = ", ".join(parts)
    return text[0].upper() + text[1:] if text else name
