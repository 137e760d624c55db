"""Numbers, amounts and days in a locale, quickly: what a locale does is learned once from its rules, then applied without asking again.

Babel parses locale and pattern for every value, a third of a millisecond each; a list shows hundreds of values.
"""

import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Any

from babel.core import Locale
from babel.dates import format_date, format_time, get_date_format
from babel.numbers import format_compact_currency, format_compact_decimal, format_currency, format_decimal, format_percent

Written = Callable[[Decimal], str]
_PROBES = tuple(
    Decimal(text) for text in ("0", "1", "-1", "0.4", "-0.4", "12", "999.995", "1234", "-1234", "12345.5", "123456", "-1234567.89", "9876543210")
)  # fmt: skip


_reader: ContextVar[str] = ContextVar("locale_of_the_reader", default="en_US")
_IN_ENGLISH = re.compile(
    r"""(?<![\w.,:/])[+−-]?(?:
        (?P<day>[12]\d{3}-[01]\d-[0-3]\d)(?![\w-])
        | (?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+)(?![\w]|[.,]\d)
    )""",
    re.VERBOSE,
)


@lru_cache(maxsize=64)
def locale_of(name: str) -> Locale:
    return Locale.parse(name)


def read_in(locale: str) -> None:
    """From here on this thread writes for somebody who reads numbers in that locale: once per run of a page. Elsewhere it is American English."""
    _reader.set(locale)


def reader() -> str:
    """The locale for which this thread writes."""
    return _reader.get()


def decimal_sign(locale: str) -> str:
    """What stands before the decimals."""
    return str(locale_of(locale).number_symbols["latn"]["decimal"])


def written(value: Any, spec: str = ",") -> str:
    """``format(value, spec)`` with the separators of the reader: the one way to put a count or a decimal into a sentence of the screen."""
    text, locale = format(value, spec), _reader.get()
    return text if locale == "en_US" else text.translate(_signs(locale))


def as_read(text: str, locale: str | None = None) -> str:
    """A sentence that was kept in English for all readers (of a run, of the maths), with the numbers and ISO days in it as one of ``locale`` writes them
    (the reader of this thread unless given). What stands in “quotes” was typed by somebody and stays."""
    place = locale or _reader.get()
    parts = re.split("(“[^”]*”)", text)
    parts[::2] = [_IN_ENGLISH.sub(lambda found: _as_read(found, place), part) for part in parts[::2]]
    return "".join(parts)


def _as_read(found: re.Match[str], locale: str) -> str:
    if found["day"] is None:
        return found[0].translate(_signs(locale))
    try:
        return day(date.fromisoformat(found["day"]), "medium", locale)
    except ValueError:
        return found[0]


def clock_time(value: datetime | time) -> str:
    """The time that a clock shows, as the reader of this thread writes it."""
    return time_of_day(value.replace(tzinfo=None), _reader.get())


@lru_cache(maxsize=64)
def _signs(locale: str) -> dict[int, str]:
    """What stands for the comma and the point of an English number."""
    signs = locale_of(locale).number_symbols["latn"]
    return str.maketrans({",": signs["group"], ".": signs["decimal"]})


def money(value: Decimal, code: str, digits: int, locale: str) -> str:
    """An amount in major units with so many decimals."""
    return _money_writer(code, digits, locale)(value)


def integer(value: int, locale: str) -> str:
    """A whole number."""
    return _integer_writer(locale)(Decimal(value))


@lru_cache(maxsize=256)
def _money_writer(code: str, digits: int, locale: str) -> Written:
    place = locale_of(locale)
    usual = "¤#,##0.00" if locale.startswith("en") else place.currency_formats["standard"].pattern
    pattern = usual.replace("0.00", f"0{'.' + '0' * digits if digits else ''}")

    def slow(value: Decimal) -> str:
        return format_currency(value, code, pattern, locale=place, currency_digits=False)

    return learned(slow)


@lru_cache(maxsize=64)
def _integer_writer(locale: str) -> Written:
    place = locale_of(locale)
    return learned(lambda value: format_decimal(value, locale=place), tuple(probe for probe in _PROBES if probe == int(probe)))


def learned(slow: Written, probes: Sequence[Decimal] = _PROBES) -> Written:
    """A quick twin of a formatter: sign, separators and decimals are read off its results. It stays itself where the twin would differ."""
    plus, minus = slow(Decimal("1234567")), slow(Decimal("-1234567"))
    start, end = _digits_between(plus)
    negative_start, negative_end = _digits_between(minus)
    body = plus[start:end]
    group = body[1] if len(body) > 7 and not body[1].isdigit() else ""
    whole = group.join(("1", "234", "567"))
    digits = max(0, len(body) - len(whole) - 1)
    point = body[len(whole)] if digits else ""
    shape = Decimal(1).scaleb(-digits)
    around = (plus[:start], plus[end:], minus[:negative_start], minus[negative_end:])
    swap = str.maketrans({",": group, ".": point})

    def quick(value: Decimal) -> str:
        text = f"{abs(value).quantize(shape, ROUND_HALF_EVEN):,f}".translate(swap)
        before, after = around[2:] if value < 0 else around[:2]
        return f"{before}{text}{after}"

    return quick if all(quick(probe) == slow(probe) for probe in (*probes, *(-probe for probe in probes))) else slow


def _digits_between(text: str) -> tuple[int, int]:
    """Where the number in a text begins and ends."""
    found = [at for at, sign in enumerate(text) if sign.isdigit()]
    return found[0], found[-1] + 1


# What repeats on a page and from page to page is remembered as it was written.


@lru_cache(maxsize=8192)
def decimal(value: float | Decimal, locale: str) -> str:
    return format_decimal(value, locale=locale_of(locale))


@lru_cache(maxsize=4096)
def compact(value: float | Decimal, locale: str, fraction_digits: int) -> str:
    """A large number shortly: ``12.3K``; written out where the locale knows no short form of its size, as German does of thousands."""
    if _has_no_short(value, locale):
        return integer(round(value), locale)
    return format_compact_decimal(value, locale=locale_of(locale), fraction_digits=fraction_digits)


@lru_cache(maxsize=4096)
def compact_money(value: Decimal, code: str, locale: str, fraction_digits: int) -> str:
    """A large amount in major units shortly: ``€340K``, ``340.187 €`` where the locale knows no short form of its size."""
    if _has_no_short(value, locale):
        return money(value, code, 0, locale)
    return format_compact_currency(value, code, locale=locale_of(locale), fraction_digits=fraction_digits)


def _has_no_short(value: float | Decimal, locale: str) -> bool:
    """Whether the locale's rules write a number of this size (below a trillion) in full, which would leave it without its separators."""
    size = "1" + "0" * (len(str(int(abs(Decimal(value))))) - 1)
    rule = locale_of(locale).compact_decimal_formats["short"]["other"].get(size)
    return rule is not None and not rule.pattern.strip("0")


def on_axis(value: float, locale: str, code: str | None, short: bool) -> str:
    """A number of an axis, an amount in major units where ``code`` names its currency; ``short`` where the others of the axis are in their thousands."""
    exact = Decimal(f"{value:.10g}")
    if not short:
        if code is None:
            return decimal(exact, locale)
        return money(exact, code, max(0, -int(exact.normalize().as_tuple().exponent)), locale)
    return compact(exact, locale, 2) if code is None else compact_money(exact, code, locale, 2)


@lru_cache(maxsize=64)
def months(locale: str) -> tuple[str, ...]:
    """The short names of the twelve months."""
    return tuple(locale_of(locale).months["format"]["abbreviated"][n] for n in range(1, 13))


def weekday(value: date, locale: str, *, short: bool = False) -> str:
    """The name of a day of the week."""
    return day(value, "ccc" if short else "cccc", locale)


def month(value: date, locale: str, *, short: bool = False) -> str:
    """A month with its year: ``November 2026``, ``Nov 2026``."""
    return day(value, "MMM y" if short else "LLLL y", locale)


@lru_cache(maxsize=4096)
def percent(share: float, pattern: str | None, locale: str) -> str:
    return format_percent(share, pattern, locale=locale_of(locale))


@lru_cache(maxsize=8192)
def day(value: date, style: str, locale: str) -> str:
    return format_date(value, style, locale=locale_of(locale))


@lru_cache(maxsize=64)
def typed_day(locale: str) -> str:
    """The order in which days are typed, always with four digits of the year: ``DD.MM.YYYY``. Where a locale's short days follow none that an input
    knows, the year comes first."""
    pattern = get_date_format("short", locale_of(locale)).pattern
    found = [letter for letter in pattern if letter in "yMd"]
    order = "".join(dict.fromkeys(found))
    between = next((sign for sign in pattern if sign in "/.-"), "/")
    return between.join(
        {"y": "YYYY", "M": "MM", "d": "DD"}[letter] for letter in (order if order in ("yMd", "dMy", "Mdy") else "yMd")
    )


@lru_cache(maxsize=8192)
def instant(value: datetime, locale: str) -> str:
    """A naive local time, as it is read off the clock there; nobody plans by the second."""
    return f"{day(value.date(), 'medium', locale)}, {time_of_day(value, locale)}"


@lru_cache(maxsize=4096)
def time_of_day(value: datetime | time, locale: str) -> str:
    """The time of a naive local instant."""
    return format_time(value, "short", locale=locale_of(locale)).replace("\u202f", " ")


@lru_cache(maxsize=64)
def clock_face(locale: str) -> tuple[str, str, bool]:
    """How times are written before and after noon, with ``{h}`` or ``{hh}`` (two digits) and ``{m}`` in them; whether hours are counted to twelve."""
    early, late = (time_of_day(datetime(2000, 1, 1, hour, 59, tzinfo=UTC), locale).replace("59", "{m}") for hour in (1, 13))
    early = early.replace("01", "{hh}").replace("1", "{h}")
    hour = "{hh}" if "{hh}" in early else "{h}"
    return early, late.replace("13", hour).replace("01", hour).replace("1", hour), "13" not in late
