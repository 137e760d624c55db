"""In which language a chart of Plotly writes numbers, months and days of the week: the one of the reader's locale, learned from its rules."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from crm_core.access import Actor
from crm_core.kit import numerals

_LETTERS = {
    "y": "%Y",
    "yy": "%y",
    "M": "%-m",
    "MM": "%m",
    "MMM": "%b",
    "MMMM": "%B",
    "LLL": "%b",
    "LLLL": "%B",
    "d": "%-d",
    "dd": "%d",
}
_TOKEN = re.compile(r"'([^']*)'|([a-zA-Z])\2*|.", re.DOTALL)


def config(actor: Actor, **more: Any) -> dict[str, Any]:
    """``config`` of ``st.plotly_chart`` for a reader: no tool bar unless ``more`` says otherwise."""
    return {"displayModeBar": False, "responsive": True, "locale": "own", "locales": {"own": of(actor.locale)}, **more}


def axis_words(actor: Actor, *, money: bool) -> Callable[[float, bool], str]:
    """How the reader's locale writes a number of an axis (``ml.charts.style.Written``), an amount in major units with the sign of its currency."""
    code = actor.currency if money else None
    return lambda value, short: numerals.on_axis(value, actor.locale, code, short)


@lru_cache(maxsize=64)
def of(locale: str) -> dict[str, Any]:
    """A locale as Plotly takes it: names from Sunday on, signs of numbers, and how days are written at an axis and (``%x``) in what is said of a point."""
    place = numerals.locale_of(locale)
    days, months, signs = place.days["format"], place.months["format"], place.number_symbols["latn"]
    skeletons = place.datetime_skeletons
    return {
        "dictionary": {},
        "format": {
            "days": [days["wide"][(n - 1) % 7] for n in range(7)],
            "shortDays": [days["abbreviated"][(n - 1) % 7] for n in range(7)],
            "months": [months["wide"][n] for n in range(1, 13)],
            "shortMonths": list(numerals.months(locale)),
            "periods": ["AM", "PM"],
            "dateTime": f"{_pattern(place.date_formats['medium'].pattern)} %H:%M",
            "date": _pattern(place.date_formats["medium"].pattern),
            "time": "%H:%M",
            "decimal": signs["decimal"],
            "thousands": signs["group"],
            "grouping": [3],
            "currency": ["", ""],
            "year": "%Y",
            "month": _pattern(skeletons["yMMM"].pattern),
            "dayMonth": _pattern(skeletons["MMMd"].pattern),
            "dayMonthYear": _pattern(skeletons["yMMMd"].pattern),
        },
    }


def _pattern(unicode_pattern: str) -> str:
    """A pattern of days in the letters that d3 reads."""
    return "".join(
        found[1] if found[1] is not None else _LETTERS.get(found[0], "") if found[2] else found[0].replace("%", "%%")
        for found in _TOKEN.finditer(unicode_pattern)
    )
