"""Records out of the house: what a list shows, as CSV or XLSX, within the person's export reach, logged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import Session

from crm_core import events, reads
from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.fields import FieldSpec, registry
from crm_core.kit.csvio import to_csv, to_xlsx
from crm_core.kit.money import exponent, to_major
from crm_core.kit.numerals import written
from crm_core.lists import ListQuery, count, iterate
from crm_core.vocabulary import Action, Choice, FieldKind

MAX_XLSX = 200_000
FORMATS = ("csv", "xlsx")


@dataclass(frozen=True)
class Export:
    """A finished file and the number of records in it."""

    data: bytes
    rows: int
    ids: tuple[int, ...] = ()
    fields: tuple[str, ...] = ()


def build(session: Session, actor: Actor, entity_key: str, query: ListQuery, *, form: str = "csv") -> Export:
    """The rows of a list with its columns, as a file. Only reads, so that a long one keeps nobody from writing; ``log`` it before it is handed out.

    Raises Invalid for another form, for more rows than a workbook holds, and when the actor may export none of what the list shows.
    """
    require(actor, entity_key, Action.EXPORT)
    if form not in FORMATS:
        raise Invalid("Choose CSV or XLSX.")
    total = count(session, actor, entity_key, query)
    if form == "xlsx" and total > MAX_XLSX:
        raise Invalid(
            f"A workbook holds at most {written(MAX_XLSX)} rows here; this list has {written(total)}. Filter it, or take CSV."
        )
    found = entity(entity_key)
    query = replace(query, columns=query.columns or found.columns)
    specs = registry(session, entity_key)
    chosen = [specs[key] for key in query.columns if key in specs]
    header = ["ID", *(spec.label for spec in chosen)]
    rows = _Counted(_rows(session, actor, entity_key, query, chosen))
    if form == "csv":
        data = to_csv(header, rows, timezone=actor.timezone)
        _refuse_nothing(rows.count, total, found.plural)
        return Export(data, rows.count, tuple(rows.ids), tuple(spec.key for spec in chosen))
    digits = exponent(actor.currency)
    money = "#,##0" + ("." + "0" * digits if digits else "")
    formats = ["", *(money if spec.kind is FieldKind.MONEY else "" for spec in chosen)]
    made = to_xlsx(header, rows, sheet=found.plural, formats=formats, timezone=actor.timezone)
    _refuse_nothing(rows.count, total, found.plural)
    return Export(made, rows.count, tuple(rows.ids), tuple(spec.key for spec in chosen))


def _refuse_nothing(rows: int, total: int, plural: str) -> None:
    if total and not rows:
        raise Invalid(f"Your role may export none of these {plural.lower()}.")


def log(session: Session, actor: Actor, entity_key: str, made: Export, *, form: str) -> None:
    """Note in the audit trail that records left the house, and which ones where they are personal."""
    require(actor, entity_key, Action.EXPORT)
    reads.exported(session, actor, entity_key, made.ids, words=form.upper(), fields=made.fields)
    data = {"rows": made.rows, "entity": entity(entity_key).plural.lower(), "form": form}
    events.record(session, actor, "organisation.exported", entity=entity_key, data=data)


class _Counted:
    """Rows that count themselves: the log says how many left the house, which may be fewer than the list shows."""

    def __init__(self, rows: Iterator[list[Any]]) -> None:
        self.rows, self.ids = rows, list[int]()

    @property
    def count(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[list[Any]]:
        for row in self.rows:
            self.ids.append(row[0])
            yield row


def _rows(session: Session, actor: Actor, entity_key: str, query: ListQuery, specs: list[FieldSpec]) -> Iterator[list[Any]]:
    for batch in iterate(session, actor, entity_key, query):
        for row in batch:
            yield [row["id"], *(_plain(actor, spec, row) for spec in specs)]


def _plain(actor: Actor, spec: FieldSpec, row: Mapping[str, Any]) -> Any:
    value = row[spec.key]
    if spec.kind is FieldKind.REFERENCE:
        return row.get(f"{spec.key}.title")
    if isinstance(value, Choice):
        return value.label
    if spec.kind is FieldKind.MONEY and isinstance(value, int):
        return float(to_major(value, actor.currency))
    return value
