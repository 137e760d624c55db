"""Values as people read them, under the name that screens know: see crm_core.format, which reports and shared pages use too."""

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
    "unseen",
    "value",
    "with_cents",
]


def unseen(words: str) -> str:
    """The label of a button that shows nothing but its sign: Markdown that is read aloud and not drawn (ui/static/contrast.css)."""
    return f"*{words}*"
