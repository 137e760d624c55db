"""When a person may be contacted: quiet hours of the workspace and the hours that the person prefers. Pure."""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

_SPAN = re.compile(r"(\d{1,2}):?(\d{2})?\s*[-–]\s*(\d{1,2}):?(\d{2})?")


def parse_time(text: str) -> time | None:
    """``"8:00"`` or ``"8"`` as a time of day; None for anything else."""
    match = re.fullmatch(r"\s*(\d{1,2})(?::(\d{2}))?\s*", text or "")
    if match is None or int(match[1]) > 23 or int(match[2] or 0) > 59:
        return None
    return time(int(match[1]), int(match[2] or 0))


def preferred_span(text: str | None) -> tuple[time, time] | None:
    """The hours a person named, such as ``09:00-12:00``; None when they can't be read as a span within one day."""
    match = _SPAN.fullmatch((text or "").strip())
    if match is None:
        return None
    start, end = (parse_time(f"{match[n]}:{match[n + 1] or '00'}") for n in (1, 3))
    return (start, end) if start is not None and end is not None and start < end else None


def is_quiet(at: datetime, timezone: str, quiet_from: str, quiet_until: str, weekends: bool) -> bool:
    """True when nobody is to be disturbed at this instant. Hours that can't be read, or equal ones, mean no quiet hours."""
    local = at.astimezone(ZoneInfo(timezone))
    if weekends and local.weekday() >= 5:
        return True
    start, end = parse_time(quiet_from), parse_time(quiet_until)
    if start is None or end is None or start == end:
        return False
    now = local.time()
    return start <= now < end if start < end else now >= start or now < end


def next_instant(
    at: datetime, *, timezone: str, quiet_from: str, quiet_until: str, weekends: bool = False, preferred: str | None = None
) -> datetime:
    """The first instant from ``at`` on that is neither quiet nor outside the person's hours (on a grid of 15 minutes).

    When the two never meet within eight days, the person's hours give way: quiet hours are a promise of ours.
    """
    span = preferred_span(preferred)

    def free(instant: datetime, with_span: bool) -> bool:
        if is_quiet(instant, timezone, quiet_from, quiet_until, weekends):
            return False
        return span is None or not with_span or span[0] <= instant.astimezone(ZoneInfo(timezone)).time() < span[1]

    for with_span in (True, False):
        found = _first(at, lambda instant, wanted=with_span: free(instant, wanted))  # type: ignore[misc]
        if found is not None:
            return found
    return at


def _first(at: datetime, fits: object) -> datetime | None:
    step = timedelta(minutes=15)
    instant = at
    for n in range(8 * 96):
        if fits(instant):  # type: ignore[operator]
            return instant
        if n == 0:
            instant = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
        instant += step
    return None
