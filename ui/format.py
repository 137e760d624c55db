"""Values as people read them, under the name that screens know: see crm_core.format, which reports and shared pages use too."""

from typing import TypedDict

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
    plural,
    share_of,
    short_day,
    typed_day,
    value,
    with_cents,
)
from crm_core.kit import clock

__all__ = [
    "NOTHING",
    "ago",
    "clock",
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
]


class IconOnly(TypedDict):
    """What names a button that shows nothing but its sign."""

    label: str
    help: str


def icon_only(words: str) -> IconOnly:
    """Label and tooltip of a button that shows nothing but its sign, for ``st.button(icon=…, **icon_only(…))``: the label is Markdown that is read aloud
    and not drawn (ui/static/contrast.css)."""
    return {"label": f"*{words}*", "help": words}
