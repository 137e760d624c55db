"""Values as people read them: money, numbers, days, instants, in the actor's locale and time zone; and untrusted text made harmless."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_interval

from crm_core.access import Actor
from crm_core.fields import FieldSpec
from crm_core.kit import clock, numerals
from crm_core.kit.money import exponent, to_major
from crm_core.kit.numerals import written
from crm_core.veil import MASK, Veil
from crm_core.vocabulary import Choice, FieldKind

NOTHING = "–"
_MARKDOWN = re.compile(
    r"""
    [\\`*\[\]<$~|@^]                          # means something wherever it stands
    | (?<![^\W_])_ | _(?![^\W_])              # but not within a word
    | (?<=\])\( | !(?=\[)                     # links and pictures
    | :(?=[^\W\d_]|[+\-]|//)                # directives, addresses; no times of day
    | &(?=\#|\w+;)
    | =(?==) | (?<==)=
    | (?:\A|(?<=\A\ ))(?:[=>({]|[#+\-](?=[#+\-=\s]|\Z)|\d+(?=[.)](?:\s|\Z)))  # what begins a line: headings, lists, quotes
    """,
    re.VERBOSE,
)
"""What would be read as Markdown. Everything else stays as it is: labels are read aloud with their backslashes."""

_REPLACED = re.compile(
    r":(?=material/|streamlit:|[\w+-]*[a-z+-][\w+-]*:|100:|1234:)|(?<!\S)(?:<-?|[->~])(?=(?:[->=]|->)(?!\S))|https?://|www(?=\.)",
    re.IGNORECASE,
)
"""What is turned into an icon, a smiley, an arrow or a link however it is escaped: something invisible behind it keeps the letters."""
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def md(text: Any) -> str:
    """Untrusted text for a place that reads Markdown: shown letter by letter, fetching and linking nothing, turning round nothing beside it."""
    flat = _TURNING.sub("", re.sub(r"\s+", " ", str(text)))
    kept = _MARKDOWN.sub(_escaped, _REPLACED.sub("\\g<0>\u2060", flat))
    return f"\u2068{kept}\u2069" if _RIGHT_TO_LEFT.search(kept) else kept


def _escaped(found: re.Match[str]) -> str:
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"


def for_badge(text: Any) -> str:
    """Untrusted text for ``st.badge``, which escapes square brackets itself: twice would show the backslash."""
    return md(text).replace("\\[", "[").replace("\\]", "]")


def money(
    actor: Actor, minor: int | str | None, *, compact: bool = False, currency: str | None = None, decimals: bool | None = None
) -> str:
    """An amount of minor units: ``$1,234.50``; ``compact`` gives ``$1.2M``; whole amounts drop the cents unless ``decimals``. A mask stays one."""
    if minor is None:
        return NOTHING
    if isinstance(minor, str):
        return minor
    code = currency or actor.currency
    major = to_major(minor, code)
    if compact and abs(major) >= 10_000:
        return numerals.compact_money(major, code, actor.locale, 0 if abs(major) < 1_000_000 else 2)
    digits = exponent(code)
    decimals = False if compact else decimals
    if decimals is False or (decimals is None and major == major.to_integral_value()):
        digits = 0
    return numerals.money(major, code, digits, actor.locale)


def with_cents(actor: Actor, amounts: Iterable[int | str | None]) -> bool | None:
    """``decimals`` for amounts that stand beneath each other: all of them show their cents when one of them has any."""
    one = 10 ** exponent(actor.currency)
    return any(isinstance(amount, int) and amount % one for amount in amounts) or None


def share_of(minor: int | str | None, pct: float | str | None) -> int | str | None:
    """So many per cent of an amount in minor units; a mask when either is hidden."""
    if isinstance(minor, str) or isinstance(pct, str):
        return MASK
    return None if minor is None or pct is None else int(minor * pct // 100)


def number(actor: Actor, value: Any, *, compact: bool = False, digits: int = 2) -> str:
    """A number (int, float or Decimal) with the locale's separators."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return value
    if compact and abs(value) >= 10_000:
        return numerals.compact(value, actor.locale, 1)
    return (
        numerals.integer(value, actor.locale)
        if isinstance(value, int)
        else numerals.decimal(round(value, digits) + 0, actor.locale)
    )


def percent(actor: Actor, share: float | None, digits: int = 1) -> str:
    """A share (0.631 → ``63.1%``)."""
    return (
        NOTHING
        if share is None
        else numerals.percent(round(share, digits + 2) + 0, f"#,##0.{'#' * digits}%" if digits else None, actor.locale)
    )


def day(actor: Actor, value: date | str | None) -> str:
    """A calendar day: ``Nov 22, 2026``."""
    if isinstance(value, str):
        return value
    return NOTHING if value is None else numerals.day(value, "medium", actor.locale)


def short_day(actor: Actor, value: date | str | None) -> str:
    """A calendar day for narrow places: without the year when it is less than ten months away."""
    if isinstance(value, str):
        return value
    if value is None:
        return NOTHING
    near = abs((value - clock.today(actor.timezone)).days) < 300
    if near and actor.locale.startswith("en"):
        return day_and_month(actor, value)
    return numerals.day(value, "medium", actor.locale)


def typed_day(actor: Actor) -> str:
    """In which order the reader types day, month and year: ``MM/DD/YYYY``."""
    return numerals.typed_day(actor.locale)


def day_and_month(actor: Actor, value: date | str | None) -> str:
    """A calendar day for a place as narrow as a figure's; its year must stand beside it."""
    if isinstance(value, str) or value is None:
        return value or NOTHING
    return numerals.day(value, "MMM d" if actor.locale.startswith("en_US") else "d MMM", actor.locale)


def days(actor: Actor, first: date, last: date) -> str:
    """The days from one to another, said once where they share month or year: ``Nov 23 – 29, 2026``; a single one as ``day``."""
    if first == last:
        return day(actor, first)
    return format_interval(first, last, "yMMMd", locale=numerals.locale_of(actor.locale)).replace("\u2009", " ")


def local(actor: Actor, value: datetime) -> datetime:
    """An instant in the actor's time zone."""
    return value.astimezone(ZoneInfo(actor.timezone))


def instant(actor: Actor, value: datetime | None) -> str:
    """An instant with its time: ``Nov 22, 2026, 10:24``."""
    return NOTHING if value is None else numerals.instant(local(actor, value).replace(tzinfo=None), actor.locale)


def ago(actor: Actor, value: datetime | date | str | None) -> str:
    """How long ago or how far ahead, in words: ``today 10:24``, ``yesterday``, ``in 3 days``, then the date."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return value
    there = local(actor, value) if isinstance(value, datetime) else None
    on = there.date() if there is not None else value
    days = (on - clock.today(actor.timezone)).days
    if days == 0:
        return "today" if there is None else "today " + numerals.time_of_day(there.replace(tzinfo=None), actor.locale)
    if days in (-1, 1):
        return "yesterday" if days < 0 else "tomorrow"
    if -7 < days < 7:
        return f"{-days} days ago" if days < 0 else f"in {days} days"
    return short_day(actor, on)


def duration(seconds: float | None) -> str:
    """A span in its two largest units: ``3 d 4 h``, ``25 min``."""
    if seconds is None:
        return NOTHING
    seconds = int(seconds)
    for unit, size, lower, lower_size in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60)):
        if seconds >= size:
            rest = seconds % size // lower_size
            return f"{seconds // size} {unit}" + (f" {rest} {lower}" if rest else "")
    return f"{max(0, seconds // 60)} min"


def plural(count: int, word: str, many: str | None = None) -> str:
    """``1 deal``, ``240 deals``."""
    return f"{written(count)} {word if count == 1 else many or word + 's'}"


def value(actor: Actor, spec: FieldSpec, raw: Any, title: str | None = None) -> str:
    """A field's value as plain text (not Markdown). ``title`` names a linked record."""
    if spec.kind is FieldKind.REFERENCE:
        return title or (NOTHING if raw is None else "Hidden record")
    if raw is None or raw == "":
        return NOTHING
    if isinstance(raw, Veil):
        return raw
    if isinstance(raw, Choice):
        return raw.label
    if spec.options and raw in spec.options:
        return spec.options[raw]
    match spec.kind:
        case FieldKind.MONEY:
            return money(actor, int(raw))
        case FieldKind.PERCENT:
            return number(actor, raw) + "%"
        case FieldKind.INTEGER:
            return str(raw) if "year" in spec.key or spec.key == "founded_year" else number(actor, raw)
        case FieldKind.DECIMAL:
            return number(actor, raw)
        case FieldKind.BOOLEAN:
            return "Yes" if raw else "No"
        case FieldKind.DATE:
            return day(actor, raw)
        case FieldKind.DATETIME:
            return instant(actor, raw)
    return str(raw)
