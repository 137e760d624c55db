"""What happens to each column of a file: a plan that people see, change and keep, and that a dry run and the real run both obey."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from crm_core.vocabulary import Choice, FieldKind


class Mode(Choice):
    """What an import may do."""

    CREATE = "create", "Only create new records"
    UPDATE = "update", "Only update records that exist"
    BOTH = "both", "Update records that exist, create the others"


class Unknown(Choice):
    """What to do with a value that the list does not have, or with a linked record that is not found."""

    REJECT = "reject", "Reject the row"
    ADD = "add", "Create it"
    EMPTY = "empty", "Leave the field empty"


@dataclass(frozen=True)
class NewField:
    """A custom field that the import shall create for a column."""

    label: str
    kind: FieldKind
    pii: bool = False
    filterable: bool = True


@dataclass(frozen=True)
class Column:
    """The fate of one column. Neither ``to`` nor ``new``: it is dropped.

    ``to``: key of the field; ``date``/``decimal``: how it is written; ``factor``: multiplier of numbers (1000000 when the file speaks of millions);
    ``values``: text in the file → value here (None: leave empty); ``unknown``: what to do with others; ``by``: field by which a linked
    record is found (its name when empty).
    """

    header: str
    to: str = ""
    new: NewField | None = None
    date: str = "dmy"
    decimal: str = "."
    factor: str = "1"
    values: Mapping[str, str | None] = field(default_factory=dict)
    unknown: Unknown = Unknown.REJECT
    by: str = ""

    @property
    def used(self) -> bool:
        return bool(self.to or self.new)

    @property
    def multiplier(self) -> Decimal:
        try:
            found = Decimal(self.factor)
        except InvalidOperation:
            return Decimal(1)
        return found if found.is_finite() and found > 0 else Decimal(1)


@dataclass(frozen=True)
class Plan:
    """The whole plan. ``constants``: field key → text used where the file gives nothing; ``{Header}`` in it stands for a cell of the row."""

    columns: tuple[Column, ...] = ()
    constants: Mapping[str, str] = field(default_factory=dict)
    mode: Mode = Mode.BOTH
    match: tuple[str, ...] = ()
    empty_clears: bool = False
    fill_short: bool = False

    @property
    def dropped(self) -> tuple[str, ...]:
        """Headers of the columns that are not imported."""
        return tuple(column.header for column in self.columns if not column.used)

    def target_of(self, header: str) -> str:
        return next((column.to for column in self.columns if column.header == header), "")

    def column_for(self, target: str) -> Column | None:
        return next((column for column in self.columns if column.to == target), None)

    def with_column(self, header: str, **changes: Any) -> "Plan":
        """The plan with one column changed; a field that another column fed is taken from it."""
        taken = changes.get("to")

        def changed(column: Column) -> Column:
            if column.header == header:
                return replace(column, **changes)
            return replace(column, to="") if taken and column.to == taken else column

        return replace(self, columns=tuple(changed(column) for column in self.columns))

    def to_json(self) -> dict[str, Any]:
        kept = asdict(self)
        kept["columns"] = [{**each, "values": dict(each["values"])} for each in kept["columns"]]
        return json.loads(json.dumps(kept))

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Plan":
        columns = tuple(
            Column(
                header=each["header"],
                to=each.get("to", ""),
                new=_new_field(each.get("new")),
                date=each.get("date", "dmy"),
                decimal=each.get("decimal", "."),
                factor=str(each.get("factor", "1")),
                values=dict(each.get("values") or {}),
                unknown=Unknown(each.get("unknown", "reject")),
                by=each.get("by", ""),
            )
            for each in kept.get("columns", ())
        )
        return cls(
            columns=columns,
            constants={str(key): str(text) for key, text in (kept.get("constants") or {}).items()},
            mode=Mode(kept.get("mode", "both")),
            match=tuple(kept.get("match", ())),
            empty_clears=bool(kept.get("empty_clears")),
            fill_short=bool(kept.get("fill_short")),
        )


def _new_field(kept: Mapping[str, Any] | None) -> NewField | None:
    if not kept:
        return None
    return NewField(kept["label"], FieldKind(kept["kind"]), bool(kept.get("pii")), bool(kept.get("filterable", True)))


def header_hash(headers: Iterable[str]) -> str:
    """Under which a plan is remembered: the same columns in any order find it again."""
    plain = sorted(re.sub(r"\W+", " ", header.casefold()).strip() for header in headers)
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


_PLACE = re.compile(r"\{([^{}]+)\}")


def places(template: str) -> list[str]:
    """The headers that a template names."""
    return _PLACE.findall(template)


def fill_in(template: str, cells: Mapping[str, str]) -> str:
    """A template with the cells of a row put in; separators around empty cells are left out. Empty when every cell that it names is."""
    names = places(template)
    if not names:
        return template
    found = {name: cells.get(name, "").strip() for name in names}
    if not any(found.values()):
        return ""
    text = _PLACE.sub(lambda match: found[match[1]] or "\0", template)
    text = re.sub(r"(^|\s*[·–—,;/|-]\s*|\s+)\0", "", text)
    return re.sub(r"^[\s·–—,;/|-]+|[\s·–—,;/|-]+$|\0", "", text)
