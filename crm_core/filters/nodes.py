"""The words of the grammar and the typed nodes that a filter becomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from crm_core.access import Actor
from crm_core.entities import Relation
from crm_core.fields import FieldSpec
from crm_core.kit.clock import utcnow
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

COUNTED = ("ge", "le", "gt", "lt", "eq", "ne")
"""Comparisons of counts and sums over related rows."""
MARK_NUMBER = ("ge", "le", "gt", "lt", "eq", "ne", "between", "empty", "not_empty")
MARK_LABEL = ("in", "not_in", "eq", "ne", "empty", "not_empty")
"""Comparisons of a published result of an analysis: of its number, of its label."""

POSITIVE = {"ne": "eq", "not_in": "in", "not_contains": "contains"}
"""What is asked for the contrary of."""

WORDS = {
    "eq": "is", "ne": "is not", "contains": "contains", "not_contains": "does not contain", "starts": "starts with", "ends": "ends with",
    "in": "is one of", "not_in": "is none of", "empty": "is empty", "not_empty": "is filled", "lt": "is below", "le": "is at most",
    "gt": "is above", "ge": "is at least", "between": "is between",
}  # fmt: skip

Ast = Mapping[str, Any]
Row = Mapping[str, Any]


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
    """A comparison with its field found and its value typed. ``trail``: reference keys on the way, ``hops``: the entities they lead to. ``misread``: records
    that only what the reader may not read makes equal (or like the value), whether that is asked for or its contrary."""

    path: str
    spec: FieldSpec
    trail: tuple[str, ...]
    hops: tuple[str, ...]
    cmp: str
    value: Any
    misread: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Aggregate:
    """A comparison over the children of a record, or over the parts of its children (the lines of its orders)."""

    relation: str
    child: str
    foreign_key: str
    agg: str
    spec: FieldSpec | None
    where: "Node | None"
    cmp: str
    value: Any
    through: Relation | None = None
    part: bool = False


@dataclass(frozen=True)
class InSegment:
    """Whether the record belongs to a segment, by its kept membership."""

    segment_id: int
    name: str
    inside: bool


@dataclass(frozen=True)
class Marked:
    """A comparison with what an analysis published about the record; ``number``: its number rather than its label."""

    mark: str
    entity: str
    cmp: str
    value: Any
    number: bool


@dataclass(frozen=True)
class Happened:
    """How often an event came to pass since an instant: of the record itself, or of a child (``relation``)."""

    event: str
    entity: str
    relation: Relation | None
    since: datetime | None
    until: datetime | None
    cmp: str
    value: float


@dataclass(frozen=True)
class Linked:
    """A segment, mark or event of the record behind a reference (``account_id``)."""

    key: str
    entity: str
    node: "InSegment | Marked | Happened"


@dataclass(frozen=True)
class Group:
    """A bound group."""

    op: str
    items: tuple["Node", ...]


Node = Leaf | Aggregate | InSegment | Marked | Happened | Linked | Group


def compare(left: Any, cmp: str, right: Any) -> bool:
    """``left cmp right`` in Python."""
    return {
        "eq": lambda: left == right,
        "ne": lambda: left != right,
        "lt": lambda: left < right,
        "le": lambda: left <= right,
        "gt": lambda: left > right,
        "ge": lambda: left >= right,
    }[cmp]()
