"""Values as people read them, under the name that screens know: see crm_core.format, which reports and shared pages use too."""

from crm_core.format import (
    NOTHING,
    ago,
    day,
    day_and_month,
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
    value,
)
from crm_core.kit import clock

__all__ = [
    "NOTHING",
    "ago",
    "clock",
    "day",
    "day_and_month",
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
    "value",
]
