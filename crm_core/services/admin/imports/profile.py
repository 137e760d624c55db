"""One look through the whole file: how many rows, how well filled, of what kind each column seems to be. Nothing is written."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from email_validator import EmailNotValidError, validate_email

from crm_core.errors import Invalid
from crm_core.kit.text import clean
from crm_core.services.admin.imports import formats, reading
from crm_core.services.admin.imports.sniff import Layout
from crm_core.vocabulary import FieldKind

MAX_DISTINCT = 20_000
"""Different values of a column that are looked at; beyond that it is judged by these."""
_KEPT = 300
"""Different values that are remembered for the screen, the most frequent first."""
_MAX_CHOICES = 30
_MONEY = re.compile(
    r"income|revenue|amount|price|cost|salary|budget|turnover|spend|fee|umsatz|preis|betrag|montant|prix|precio|importe|doanh thu",
    re.IGNORECASE,
)
_TRUE_FALSE = (
    {"0", "1"},
    {"yes", "no"},
    {"y", "n"},
    {"true", "false"},
    {"ja", "nein"},
    {"oui", "non"},
    {"sí", "no"},
    {"si", "no"},
    {"wahr", "falsch"},
    {"vrai", "faux"},
)


@dataclass(frozen=True)
class Column:
    """What was seen in a column. ``values``: the most frequent ones with their number; ``complete``: they are all there are."""

    header: str
    filled: int
    distinct: int
    kind: str
    values: dict[str, int] = field(default_factory=dict)
    complete: bool = True
    date: str = ""
    date_others: tuple[str, ...] = ()
    decimal: str = ""
    decimal_others: tuple[str, ...] = ()
    example: str = ""
    longest: int = 0

    @property
    def samples(self) -> list[str]:
        return list(self.values)[:5]


@dataclass(frozen=True)
class Profile:
    """What was seen in the file. ``short`` and ``long``: rows with too few and too many cells."""

    rows: int
    short: int
    long: int
    columns: tuple[Column, ...]

    @property
    def headers(self) -> tuple[str, ...]:
        return tuple(column.header for column in self.columns)

    def column(self, header: str) -> Column | None:
        return next((column for column in self.columns if column.header == header), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Profile":
        columns = tuple(
            Column(**{**each, "date_others": tuple(each["date_others"]), "decimal_others": tuple(each["decimal_others"])})
            for each in kept["columns"]
        )
        return cls(kept["rows"], kept["short"], kept["long"], columns)


def look_through(path: Path, layout: Layout, *, prefer_date: str = "dmy") -> Profile:
    """Read the file once from start to end. Raises Invalid when it has no rows or can't be read to its end."""
    names = reading.headers(path, layout)
    counts: list[Counter[str]] = [Counter() for _ in names]
    filled = [0] * len(names)
    total = short = long = 0
    for row in reading.rows(path, layout, len(names)):
        total += 1
        if row.problem:
            short, long = short + (len(row.cells) < len(names)), long + (len(row.cells) > len(names))
            continue
        for n, cell in enumerate(row.cells):
            if not cell or cell.isspace():
                continue
            filled[n] += 1
            if cell in counts[n] or len(counts[n]) < MAX_DISTINCT:
                counts[n][cell] += 1
    if not total:
        raise Invalid("The file has column names but no rows.")
    prefer_mark = "," if layout.delimiter == ";" else "."
    columns = [_column(name, filled[n], counts[n], prefer_date, prefer_mark) for n, name in enumerate(names)]
    return Profile(total, short, long, tuple(columns))


def _column(name: str, filled: int, raw: Counter[str], prefer_date: str, prefer_mark: str) -> Column:
    values: Counter[str] = Counter()
    for text, count in raw.items():
        values[clean(text)] += count
    dates = formats.sniff_dates(values, prefer=prefer_date)
    numbers = formats.sniff_numbers(values, prefer=prefer_mark)
    is_date = dates is not None and formats.looks_like_dates(values) and not _more_like_numbers(values, numbers)
    kept = dict(values.most_common(_KEPT))
    return Column(
        header=name,
        filled=filled,
        distinct=len(values),
        kind=_kind(name, values, dates if is_date else None, numbers).value,
        values={text[:300]: count for text, count in kept.items()},
        complete=len(values) <= _KEPT,
        date=dates.choice if dates else "",
        date_others=dates.others if dates else (),
        decimal=numbers.choice if numbers else "",
        decimal_others=numbers.others if numbers else (),
        example=(dates.example if is_date and dates else numbers.example if numbers else ""),
        longest=max((len(text) for text in values), default=0),
    )


def _more_like_numbers(values: Counter[str], numbers: formats.Reading | None) -> bool:
    """``1.5.2`` may be a date, ``12.5`` never: a column that reads as numbers throughout is one."""
    return numbers is not None and all(text.count(".") + text.count(",") < 2 for text in values)


def _kind(name: str, values: Counter[str], dates: formats.Reading | None, numbers: formats.Reading | None) -> FieldKind:
    if not values:
        return FieldKind.TEXT
    folded = {text.casefold() for text in values}
    if len(folded) == 2 and folded in _TRUE_FALSE:
        return FieldKind.BOOLEAN
    if dates is not None:
        return FieldKind.DATETIME if sum(":" in text for text in values) > len(values) / 2 else FieldKind.DATE
    if numbers is not None:
        return _numeric(name, values, numbers.choice)
    if _share(values, _is_email) > formats.TOLERANCE:
        return FieldKind.EMAIL
    if _share(values, lambda text: bool(re.match(r"(?i)https?://|www\.", text))) > formats.TOLERANCE:
        return FieldKind.URL
    if len(values) <= _MAX_CHOICES and sum(values.values()) >= 3 * len(values) and max(map(len, values)) <= 60:
        return FieldKind.CHOICE
    return FieldKind.LONG_TEXT if max(map(len, values)) > 300 else FieldKind.TEXT


def _numeric(name: str, values: Counter[str], mark: str) -> FieldKind:
    if any(text.startswith("0") and len(text) > 1 and text.isdigit() for text in values) or _share(values, _is_phone) > 0.5:
        return FieldKind.TEXT  # 01234 is a postcode or a key, and would lose its zero as a number
    if _MONEY.search(name) or any(re.search(r"[$€£¥₫₹]", text) for text in values):
        return FieldKind.MONEY
    if any("%" in text for text in values):
        return FieldKind.PERCENT
    numbers = [found for found in (formats._number_or_none(text, mark) for text in values) if found is not None]
    whole = all(number == number.to_integral_value() for number in numbers)
    return FieldKind.INTEGER if whole and max(map(abs, numbers)) < 2**31 else FieldKind.DECIMAL if not whole else FieldKind.TEXT


def _share(values: Counter[str], test: Any) -> float:
    some = list(values)[:200]
    return sum(test(text) for text in some) / len(some)


def _is_email(text: str) -> bool:
    try:
        validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return False
    return True


def _is_phone(text: str) -> bool:
    return text.startswith("+") and sum(c.isdigit() for c in text) >= 7
