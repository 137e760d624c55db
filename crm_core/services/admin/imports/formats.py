"""How the text of a cell is read: the order of a date, the decimal mark of a number. Pure; knows no files and no tables."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache

from babel.core import Locale
from babel.numbers import list_currencies

from crm_core.kit import numerals
from crm_core.kit.numerals import written
from crm_core.kit.text import fold

DATE_ORDERS: dict[str, str] = {
    "ymd": "year-month-day (2016-10-20)",
    "dmy": "day-month-year (20-10-2016)",
    "mdy": "month-day-year (10-20-2016)",
    "serial": "Excel day number (42663)",
}
"""Stored key → what people read. Separators do not matter, two-digit years and the names of months in ``LANGUAGES`` are understood."""

DECIMAL_MARKS: dict[str, str] = {".": "point (1,234.56)", ",": "comma (1.234,56)"}

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "da", "sv", "nb", "fi", "pl", "cs")
"""The languages whose names of months are understood, in full and short, with and without accents; no name means two months in them."""
_COMPACT = re.compile(r"^(\d{4})(\d{2})(\d{2})$")
_PARTS = re.compile(r"[0-9]+|[^\W\d_]+")
_ISO_INSTANT = re.compile(r"^\d{4}-\d{2}-\d{2}(T|\s\d{2}:\d{2}.*(Z|[+-]\d{2}:?\d{2}(:\d{2})?)$)")
_POINTED = re.compile(r"^\s*\d{1,2}\.\d{1,2}\.\d{2,4}\b")
_WITH_TIME = re.compile(r"^(.*?\d)(?:T|\s+|,\s*)(\d{1,2}:\d{2}.*)$")
_TIME = re.compile(r"^(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([AaPp][Mm])?$")
_POINT = re.compile(r"^[+-]?(\d{1,3}(,\d{2,3})*,\d{3}|\d+)?(\.\d*)?([eE][+-]?\d{1,3})?$")
_COMMA = re.compile(r"^[+-]?(\d{1,3}(\.\d{3})+|\d+)?(,\d*)?$")
_SPACES = re.compile(r"[\s\u00a0\u202f'’_]+")
_SIGN = re.compile(r"[$€£¥₫₹₽฿₩₺%]|R\$|kr\.?|zł|Kč|Fr\.?|Rs\.?", re.UNICODE)
_CODE = re.compile(r"^([+-]?)([A-Z]{3})?(.*?)([A-Z]{3})?$")
_EXCEL_ZERO = date(1899, 12, 30)
_SERIALS = range(3_654, 109_574)  # 1910-01-01 … 2199-12-31
TOLERANCE = 0.95
"""Share of a column's values that must fit before a format is offered: a few wrong days must not turn a date column into text."""


@dataclass(frozen=True)
class Reading:
    """How a column is best read, what else would fit, and whether the choice changes anything (``ambiguous``)."""

    choice: str
    share: float
    others: tuple[str, ...] = ()
    ambiguous: bool = False
    example: str = ""


@dataclass
class _Tally:
    hits: int = 0
    days: list[date] = field(default_factory=list)


# --- dates ------------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=50_000)
def read_date(text: str, order: str) -> date:
    """The day that a text means in an order of its parts. A time of day behind it is left out. Raises ValueError with a sentence."""
    day_text = _WITH_TIME.sub(r"\1", text.strip())
    if order == "serial":
        return _from_serial(day_text)
    compact = _COMPACT.match(day_text)
    if compact:
        return _day(int(compact[1]), int(compact[2]), int(compact[3]), text, "ymd")
    parts = _PARTS.findall(fold(day_text))
    parts = [part for part in parts if part.isdigit() or _month(part)]
    if len(parts) == 4 and not parts[0].isdigit():
        del parts[0]  # a day of the week that is short for a month elsewhere: mar. 3 mai 2026
    if len(parts) != 3:
        raise ValueError(f"“{text[:40]}” is not a date.")
    named = [n for n, part in enumerate(parts) if not part.isdigit()]
    if named:
        order = "dmy" if named[0] == 1 else "mdy"
        order = "ymd" if len(parts[0]) == 4 and named[0] == 1 else order
    elif len(parts[0]) == 4:
        order = "ymd"
    by_letter = dict(zip(order, parts, strict=True))
    if not by_letter["d"].isdigit() or not by_letter["y"].isdigit():
        raise ValueError(f"“{text[:40]}” is not a date.")
    month = by_letter["m"]
    return _day(
        _year(by_letter["y"], text), int(month) if month.isdigit() else _month(month) or 0, int(by_letter["d"]), text, order
    )


def month_named(word: str) -> int | None:
    """The month that a word names in one of the ``LANGUAGES``, from 1; longer words that begin like an English month name it too."""
    return _month(fold(word))


def _month(plain: str) -> int | None:
    names = _month_names()
    return names.get(plain) or (names.get(plain[:3]) if plain[:3] in _ENGLISH else None)


_ENGLISH = frozenset(map(fold, numerals.months("en")))


@lru_cache(maxsize=1)
def _month_names() -> dict[str, int]:
    names: dict[str, int] = {}
    for language in LANGUAGES:
        for widths in Locale.parse(language).months.values():
            for width in ("wide", "abbreviated"):
                names.update((fold(name).rstrip("."), n) for n, name in widths[width].items())
    return names


def _year(part: str, text: str) -> int:
    if len(part) <= 2:
        short = int(part)
        return short + (2000 if short <= 68 else 1900)
    if len(part) != 4:
        raise ValueError(f"“{text[:40]}” is not a date.")
    return int(part)


def _day(year: int, month: int, day: int, text: str, order: str) -> date:
    try:
        return date(year, month, day)
    except ValueError as error:
        words = DATE_ORDERS[order].split(" (")[0]
        raise ValueError(f"“{text[:40]}” is not a day of the calendar when read as {words}.") from error


def _from_serial(text: str) -> date:
    number = text.removesuffix(".0")
    if not number.isdigit() or int(number) not in _SERIALS:
        raise ValueError(f"“{text[:40]}” is not an Excel day number.")
    return _EXCEL_ZERO + timedelta(days=int(number))


def read_instant(text: str, order: str) -> datetime:
    """Day and time of day, naive unless the text carries an offset. Without a time it is midnight."""
    stripped = text.strip()
    if _ISO_INSTANT.match(stripped):
        try:
            return datetime.fromisoformat(stripped)
        except ValueError as error:
            raise ValueError(f"“{text[:40]}” is not a date and time.") from error
    found = _WITH_TIME.match(stripped)
    day = read_date(stripped, order)
    return datetime.combine(day, _time(found[2]) if found else time())


def _time(text: str) -> time:
    found = _TIME.match(text.strip())
    if not found:
        raise ValueError(f"“{text[:40]}” is not a time of day.")
    hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
    if found[4]:
        hour = hour % 12 + (12 if found[4].lower() == "pm" else 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"“{text[:40]}” is not a time of day.")
    return time(hour, minute, second)


def sniff_dates(values: Mapping[str, int], *, prefer: str = "dmy") -> Reading | None:
    """The order in which a column's dates are written, from all of its values; None when it holds no dates.

    When several orders fit about equally well, one with a much narrower span of years wins (``20-10-16`` in a file of 2016 and 2017), then the
    one that fits more values, then ``prefer``; where points stand between the parts the day comes before the month (``03.11.2021``).
    """
    total = sum(values.values())
    if not total or not _promising(values, lambda text: _tally({text: 1}, "dmy").hits + _tally({text: 1}, "mdy").hits):
        return None
    tallies = {order: _tally(values, order) for order in ("ymd", "dmy", "mdy")}
    fitting = {order: tally for order, tally in tallies.items() if tally.hits / total >= TOLERANCE}
    if not fitting:
        return None
    most = max(tally.hits for tally in fitting.values())
    close = {order: tally for order, tally in fitting.items() if tally.hits >= 0.98 * most}
    prefer = "dmy" if prefer == "mdy" and all(map(_POINTED.match, values)) else prefer
    narrow = 3 * min(_years(tally) for tally in close.values()) + 3
    # A wrong day or two must not decide: 31-02-23 is no day of February, but would be one of the year 2031.
    likely = [order for order, tally in close.items() if _years(tally) <= narrow]
    choice = min(likely, key=lambda order: (-close[order].hits, _years(close[order]), order != prefer, order))
    others = tuple(
        order
        for order, tally in close.items()
        if order != choice and tally.hits >= close[choice].hits and tally.days != close[choice].days
    )
    example = next((text for text in values if _differs(text, choice, others)), next(iter(values)))
    shown = f"{example} → {_shown(example, choice)}" if _shown(example, choice) else ""
    return Reading(choice, close[choice].hits / total, others, bool(others), shown)


def _years(tally: _Tally) -> int:
    years = [day.year for day in tally.days]
    return max(years) - min(years)


def _promising(values: Mapping[str, int], test: Callable[[str], int]) -> bool:
    """Whether it is worth to look at all values: at least half of the first ones pass."""
    first = list(values)[:200]
    return sum(bool(test(text)) for text in first) >= len(first) / 2


def _tally(values: Mapping[str, int], order: str) -> _Tally:
    tally = _Tally()
    for text, count in values.items():
        try:
            tally.days.append(read_date(text, order))
            tally.hits += count
        except ValueError:
            continue
    return tally


def _differs(text: str, choice: str, others: tuple[str, ...]) -> bool:
    return any(_shown(text, choice) and _shown(text, other) != _shown(text, choice) for other in others)


def _shown(text: str, order: str) -> str:
    try:
        return numerals.day(read_date(text, order), "d MMM y", numerals.reader())
    except ValueError:
        return ""


def looks_like_dates(values: Mapping[str, int]) -> bool:
    """True unless the values are plain numbers: ``20161020`` and ``42663`` count as numbers until somebody says otherwise."""
    return any(not text.strip().isdigit() for text in values)


# --- numbers ----------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=50_000)
def read_number(text: str, decimal: str) -> Decimal:
    """The number that a text means; currency signs, spaces and thousands marks are left out, brackets mean minus. Raises ValueError."""
    plain = text.strip()
    if plain.isascii() and plain.isdigit():
        return Decimal(plain)
    if not any(c.isdigit() for c in plain):
        raise ValueError(f"“{text[:40]}” is not a number.")
    minus = plain.startswith("(") and plain.endswith(")")
    plain = plain[1:-1] if minus else plain
    plain = _without_currency(_SPACES.sub("", plain))
    if plain.endswith("-"):
        plain = "-" + plain[:-1]
    if not (_POINT if decimal == "." else _COMMA).match(plain) or plain in ("", "+", "-"):
        raise ValueError(f"“{text[:40]}” is not a number with a decimal {'point' if decimal == '.' else 'comma'}.")
    plain = plain.replace(",", "") if decimal == "." else plain.replace(".", "").replace(",", ".")
    return -Decimal(plain) if minus else Decimal(plain)


def _without_currency(text: str) -> str:
    """Without currency signs and ISO codes. Other letters stay, so that ``12k`` is refused instead of becoming twelve."""
    if text.isdigit():
        return text
    found = _CODE.match(text)
    if found and (found[2] or found[4]) and {found[2] or "EUR", found[4] or "EUR"} <= list_currencies():
        text = found[1] + found[3]
    return _SIGN.sub("", text)


def sniff_numbers(values: Mapping[str, int], *, prefer: str = ".") -> Reading | None:
    """The decimal mark of a column, from all of its values; None when it holds no numbers."""
    total = sum(values.values())
    if not total or not _promising(values, lambda text: sum(_number_or_none(text, mark) is not None for mark in (".", ","))):
        return None
    read = {mark: {text: _number_or_none(text, mark) for text in values} for mark in (".", ",")}
    hits = {mark: sum(values[text] for text, number in found.items() if number is not None) for mark, found in read.items()}
    fitting = [mark for mark in (".", ",") if hits[mark] / total >= TOLERANCE]
    if not fitting:
        return None
    fitting.sort(key=lambda mark: (-hits[mark], mark != prefer))
    choice, rest = fitting[0], [mark for mark in fitting[1:] if hits[mark] == hits[fitting[0]]]
    unlike = [text for text in values if rest and read[choice][text] != read[rest[0]][text]]
    example = f"{unlike[0]} → {written(read[choice][unlike[0]])}" if unlike else ""
    return Reading(choice, hits[choice] / total, tuple(rest) if unlike else (), bool(unlike), example)


def _number_or_none(text: str, mark: str) -> Decimal | None:
    try:
        return read_number(text, mark)
    except ValueError:
        return None
