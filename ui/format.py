"""Values as people read them, under the name that screens know: see crm_core.format, which reports and shared pages use too."""

from crm_core.format import (
    NOTHING,
    ago,
    day,
    duration,
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
    "duration",
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
