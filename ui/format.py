"""Values as people read them, under the name that screens know: see crm_core.format, which reports and shared pages use too."""

from datetime import datetime, time
from typing import Any, TypedDict

from crm_core import format
from crm_core.format import (
    NOTHING,
    ago,
    day,
    day_and_month,
    days,
    duration,
    for_badge,
    instant,
    local,
    md,
    money,
    number,
    percent,
    share_of,
    short_day,
    typed_day,
    value,
    with_cents,
)
from crm_core.kit import clock, numerals
from ui.session import for_reader

__all__ = [
    "NOTHING",
    "ago",
    "as_read",
    "clock",
    "clock_time",
    "day",
    "day_and_month",
    "days",
    "duration",
    "for_badge",
    "icon_only",
    "instant",
    "local",
    "md",
    "money",
    "number",
    "percent",
    "plural",
    "share_of",
    "short_day",
    "typed_day",
    "value",
    "with_cents",
    "written",
]


# What knows its reader by the thread. A fragment runs in a thread of its own, and may write before it asks who is here.


def written(value: Any, spec: str = ",") -> str:
    """``format(value, spec)`` with the separators of the reader: for counts and decimals in sentences."""
    for_reader()
    return numerals.written(value, spec)


def plural(count: int, word: str, many: str | None = None) -> str:
    """``1 deal``, ``1.240 deals``."""
    for_reader()
    return format.plural(count, word, many)


def as_read(text: str) -> str:
    """A sentence that a run keeps in English for all readers, with its numbers and days as this one writes them."""
    for_reader()
    return numerals.as_read(text)


def clock_time(value: datetime | time) -> str:
    """The time that a clock shows, as the reader writes it."""
    for_reader()
    return numerals.clock_time(value)


class IconOnly(TypedDict):
    """What names a button that shows nothing but its sign."""

    label: str
    help: str


def icon_only(words: str) -> IconOnly:
    """Label and tooltip of a button that shows nothing but its sign, for ``st.button(icon=…, **icon_only(…))``: the label is Markdown that is read aloud
    and not drawn (ui/static/contrast.css)."""
    return {"label": f"*{words}*", "help": words}
