"""From the text of a cell to the value of a field, each different text once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crm_core.fields import FieldSpec, parse
from crm_core.kit.text import clean
from crm_core.services.admin.imports.formats import read_date, read_instant, read_number
from crm_core.services.admin.imports.plan import Column
from crm_core.vocabulary import FieldKind

_NUMBERS = (FieldKind.INTEGER, FieldKind.DECIMAL, FieldKind.MONEY, FieldKind.PERCENT)
LISTS = (FieldKind.CHOICE, FieldKind.PICK)
_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class Cell:
    """What a text came to: a value (None: leave the field empty) or a sentence. ``unknown``: it is on no list."""

    value: Any = None
    error: str = ""
    unknown: bool = False


@dataclass(frozen=True)
class Locale:
    """What reading depends on besides the column."""

    timezone: str = "UTC"
    currency: str = "USD"


def typed(spec: FieldSpec, column: Column, text: str, locale: Locale) -> Any:
    """The typed value of a text. References stay text. Raises ValueError with a sentence."""
    kind = spec.kind
    if kind in _NUMBERS:
        number = read_number(text, column.decimal)
        return parse(spec, number * column.multiplier, timezone=locale.timezone, currency=locale.currency)
    if kind is FieldKind.DATE:
        return parse(spec, read_date(text, column.date))
    if kind is FieldKind.DATETIME:
        return parse(spec, read_instant(text, column.date), timezone=locale.timezone)
    if kind is FieldKind.REFERENCE:
        return text[:300]
    if kind is FieldKind.PHONE and text.removesuffix(".0").isdigit():
        text = text.removesuffix(".0")
    return parse(spec, text)


class Converter:
    """Reads the cells of one column. The same text is looked at once."""

    def __init__(
        self, index: int, header: str, column: Column, spec: FieldSpec, locale: Locale, add: Callable[[str], str] | None
    ) -> None:
        self.index = index
        self.header = header
        self.column = column
        self.spec = spec
        self.is_reference = spec.kind is FieldKind.REFERENCE
        self._locale = locale
        self._add = add
        self._known: dict[str, Cell] = {}

    def read(self, text: str) -> Cell:
        """The cell that a text makes. An empty one is the caller's matter."""
        cell = self._known.get(text)
        if cell is None:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            cell = self._known[text] = self._convert(clean(text))
        return cell

    def _convert(self, text: str) -> Cell:
        if text in self.column.values:
            chosen = self.column.values[text]
            if chosen is None or chosen == "":
                return Cell()
            text = chosen
        if not text:
            return Cell()
        try:
            return Cell(typed(self.spec, self.column, text, self._locale))
        except ValueError as error:
            if self.spec.kind not in LISTS:
                return Cell(error=str(error))
            return self._unknown(text, str(error))

    def _unknown(self, text: str, sentence: str) -> Cell:
        if self.column.unknown == "empty":
            return Cell(unknown=True)
        if self.column.unknown == "add" and self._add is not None:
            return Cell(self._add(text), unknown=True)
        return Cell(error=sentence, unknown=True)
