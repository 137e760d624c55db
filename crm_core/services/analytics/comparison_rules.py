"""Two runs of an analysis beside each other: which figures of each kind are compared and in which unit, and one table row by row. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

Unit = Literal["count", "money", "share", "two", "times", "series", "rate"]
"""``series``: money or a count, as the run's own series is; ``rate``: one decimal."""


@dataclass(frozen=True)
class Fact:
    """One figure: its place in the summary (``statistics.cv_auc``, ``auc.0``), what it is called, its unit, and the places of its interval."""

    key: str
    label: str
    unit: Unit
    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class Side:
    """A table of both runs, row by row: ``by`` names the row (``names`` in words), ``value`` is compared, ``only`` narrows the table first,
    ``scale`` multiplies (a coefficient by the spread of its number), ``same``: settings that must be equal, or the rows would mean different things."""

    table: str
    title: str
    by: str
    value: str
    unit: Unit
    low: str = ""
    high: str = ""
    only: tuple[str, str] | None = None
    names: str = ""
    same: tuple[str, ...] = ()
    scale: str = ""


@dataclass(frozen=True)
class Value:
    """A figure with its interval, where it has one."""

    middle: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Pair:
    """A figure of both runs; None where one of them doesn't have it. ``apart``: their intervals share nothing; None where one has no interval."""

    label: Any
    unit: Unit
    mine: Value | None
    theirs: Value | None

    @property
    def difference(self) -> float | None:
        return self.mine.middle - self.theirs.middle if self.mine and self.theirs else None

    @property
    def apart(self) -> bool | None:
        ends = [end for one in (self.mine, self.theirs) for end in ((one.low, one.high) if one else (None, None))]
        if self.mine is None or self.theirs is None or any(end is None for end in ends):
            return None
        return bool(ends[0] > ends[3] or ends[2] > ends[1])  # type: ignore[operator]


_SCORE = (
    Fact("auc", "AUC on later records", "two", "auc_low", "auc_high"), Fact("base.0", "Base rate", "share", "base.1", "base.2"),
    Fact("top_decile_lift", "Best tenth, times the average", "times"), Fact("brier", "Brier score (lower is better)", "two"),
    Fact("ece", "Chances off by", "share"), Fact("closed", "Closed records", "count"), Fact("open", "Open records scored", "count"),
)  # fmt: skip
_STABLE = (
    Fact("worst_jaccard", "Weakest one keeps, redrawn", "share"), Fact("agreement", "Rules find", "share"),
)  # fmt: skip

FACTS: Mapping[str, tuple[Fact, ...]] = {
    "attribution": (
        Fact("conversions", "Conversions shared out", "count"), Fact("value", "Their value", "money"), Fact("without_touch", "Without any touch", "count"),
        Fact("journeys", "Journeys", "count"), Fact("conversion_probability", "Journeys that converted", "share"),
        Fact("auc.0", "Tells who converts (AUC)", "two", "auc.1", "auc.2"),
    ),
    "basket": (
        Fact("baskets", "Baskets", "count"), Fact("products", "Products", "count"), Fact("rules", "Rules", "count"),
        Fact("holding", "Rules that hold later", "count"), Fact("customers", "Customers with an offer", "count"),
    ),
    "churn": (
        Fact("customers", "Under contract", "count"), Fact("expected", "Expected to leave", "rate"), Fact("at_stake", "At stake", "money"),
        Fact("high", "At high risk", "count"), Fact("left", "Left so far", "count"), *_SCORE[:3], Fact("brier", "Brier score (lower is better)", "two"),
    ),
    "deal_score": _SCORE,
    "lead_score": _SCORE,
    "drivers": (
        Fact("rows", "Records", "count"), Fact("statistics.base_rate", "Base rate", "share"),
        Fact("statistics.cv_auc", "AUC on rows left out", "two", "statistics.cv_auc_low", "statistics.cv_auc_high"),
        Fact("statistics.loo_r2", "Explained on rows left out", "share"), Fact("statistics.loo_rmse", "Typical error", "two"),
    ),
    "forecast": (Fact("total", "In all, ahead", "series"), Fact("periods", "Periods seen", "count"), Fact("skill", "Better than the flat mean by", "share")),
    "outlook": (Fact("reached", "Won in the period so far", "money"), Fact("rehearsed", "Past periods judged", "count")),
    "personas": (Fact("customers", "Customers", "count"), Fact("personas", "Personas", "count"), *_STABLE),
    "segmentation": (
        Fact("customers", "Customers with orders", "count"), Fact("without_orders", "Customers without orders", "count"), Fact("revenue", "Revenue", "money"),
        Fact("clusters", "Groups", "count"), *_STABLE,
    ),
    "value": (
        Fact("customers", "Customers", "count"), Fact("value", "Expected value", "money"), Fact("expected_purchases", "Expected purchases", "count"),
        Fact("at_stake", "At stake", "money"), Fact("high", "At high risk", "count"), Fact("ece", "Chances off by", "share"),
    ),
}  # fmt: skip
"""Kind → the figures that are compared, in their order. One that a run doesn't have is left out."""

SIDES: Mapping[str, Side] = {
    "attribution": Side("credits", "Share of the conversions, by the Markov chain", "channel", "share", "share", "low", "high", only=("model", "markov"), same=("level",)),
    "basket": Side("methods", "Suggesting: hit among the first five", "method", "hit@5", "share", "low", "high"),
    "churn": Side("groups", "Leavers per hundred customer years", "group", "rate", "rate", "low", "high", same=("group",)),
    "deal_score": Side("coefficients", "What raises and lowers the score (log-odds)", "term", "coefficient", "two"),
    "lead_score": Side("coefficients", "What raises and lowers the score (log-odds)", "term", "coefficient", "two"),
    "drivers": Side("coefficients", "Coefficients, numbers per standard deviation", "term", "coef", "two", "low", "high", same=("goal",), scale="spread"),
    "forecast": Side("forecast", "Expected", "ds", "yhat", "series", "low", "high", names="day", same=("series", "grain")),
    "outlook": Side("ways", "What each way expects", "way", "estimate", "money", "low", "high", names="way", same=("unit", "which")),
    "segmentation": Side("rfm_summary", "Customers in each cell of the grid", "segment", "customers", "count", same=("customer",)),
    "value": Side("ranking", "Which score ranks best (AUC)", "score", "auc", "two", "low", "high", same=("customer",)),
}  # fmt: skip
"""Kind → the table that is put side by side. Personas have none: each run draws and names its own."""


def facts(kind: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Pair]:
    """The figures of two summaries that at least one of them has."""
    found = [
        Pair(fact.label, fact.unit, _of(mine, fact.key, fact.low, fact.high), _of(theirs, fact.key, fact.low, fact.high))
        for fact in FACTS.get(kind, ())
    ]
    return [pair for pair in found if pair.mine or pair.theirs]


def comparable(kind: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Side | None:
    """The table of both runs that may be put side by side, by their settings; None where there is none or its rows would mean different things."""
    side = SIDES.get(kind)
    return side if side is not None and all(mine.get(key) == theirs.get(key) for key in side.same) else None


def rows(side: Side, mine: "pd.DataFrame", theirs: "pd.DataFrame", *, most: int = 15) -> list[Pair]:
    """The rows of a table of both runs: those of the first in its order, then what only the other has."""
    first, second = _keyed(side, mine), _keyed(side, theirs)
    return [Pair(key, side.unit, first.get(key), second.get(key)) for key in list(dict.fromkeys([*first, *second]))[:most]]


def _keyed(side: Side, frame: "pd.DataFrame") -> dict[Any, Value]:
    if not {side.by, side.value} <= set(frame.columns):
        return {}
    chosen = frame[frame[side.only[0]] == side.only[1]] if side.only is not None else frame
    found: dict[Any, Value] = {}
    for row in chosen.to_dict("records"):
        if str(row[side.by]).lower() == "intercept":
            continue
        by = (_number(row, side.scale) or 1.0) if side.scale else 1.0
        row = {**row, **{name: row[name] * by for name in (side.value, side.low, side.high) if by != 1.0 and name in row}}
        if (value := _of(row, side.value, side.low, side.high)) is not None:
            found.setdefault(row[side.by], value)
    return found


def _of(of: Mapping[Any, Any], middle: str, low: str, high: str) -> Value | None:
    value = _number(of, middle)
    return Value(value, _number(of, low), _number(of, high)) if value is not None else None


def _number(of: Mapping[Any, Any], path: str) -> float | None:
    """The number at a place, as ``base.0`` or ``statistics.cv_auc``; None where there is none."""
    found: Any = of.get(path)
    if found is None and "." in path:
        head, _, tail = path.partition(".")
        inner = of.get(head)
        if isinstance(inner, list | tuple):
            found = inner[int(tail)] if len(inner) > int(tail) else None
        elif isinstance(inner, Mapping):
            found = inner.get(tail)
    if isinstance(found, bool) or (not hasattr(found, "__float__") and not isinstance(found, int | float)):
        return None
    number = float(found)
    return number if number - number == 0 else None
