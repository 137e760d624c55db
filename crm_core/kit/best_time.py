"""When a person may be contacted: the hours and days they prefer, in their own words, and the quiet hours of the workspace. Pure."""

import re
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

_SPAN = re.compile(
    r"(\d{1,2})(?:[:.](\d{2}))?\s*(am|pm|h|uhr)?\s*(?:-|–|—|to|bis|until)\s*(\d{1,2})(?:[:.](\d{2}))?\s*(am|pm|h|uhr)?"
)

_DAY = r"(mon|tue|wed|thu|fri|sat|sun|mo|di|mi|(?:do|so)(?!\s+(?!bis|und|to|until)[a-z])|fr|sa)"
_LONG = r"(?:d|s|sday|rsday|nesday|urday|day|ntag|enstag|ttwoch|nnerstag|eitag|mstag|nnabend)?s?"
_DAYS = re.compile(rf"\b{_DAY}{_LONG}\b\.?(?:\s*(?:-|–|—|to|bis|until)\s*{_DAY}{_LONG}\b)?")
_NUMBER = {
    name: at % 7
    for at, name in enumerate(["mon", "tue", "wed", "thu", "fri", "sat", "sun", "mo", "di", "mi", "do", "fr", "sa", "so"])
}

_LATER = ("after", "from", "nach", "ab")
_BOUND = re.compile(
    r"(?:\b(not|never|don.t|no|nicht|nie)\b[^,;\d]*?)?\b(before|until|till|vor|bis|after|from|nach|ab)\s+(\d{1,2})(?:[:.](\d{2}))?\s*"
    r"(am|pm|h|uhr|o.clock)?(?=\s*(?:$|[,;.)]|and\b|und\b|but\b))"
)
_DAY_FROM, _DAY_UNTIL = time(7), time(21)
"""Where a day begins and ends for somebody who names only the other end."""
_NOT = re.compile(r"\b(?:not|no|never|except|nicht|nie|kein\w*|außer|ausser)\b")


def hours_of(text: str) -> list[tuple[time, time]]:
    """Spans of the day in a text such as ``09:00-12:00, 14-17``; empty when it names none (then it is only shown, not obeyed)."""
    lower, spans = text.lower(), []
    for found in _SPAN.finditer(lower, 0, _turn(lower)):
        begin, end = _ends(found)
        if begin is not None and end is not None and begin != end:
            spans.append((begin, end))
    return spans or _bounded(lower)


def _bounded(lower: str) -> list[tuple[time, time]]:
    """A text that names one end only, or both apart: ``not before 10``, ``after 9 and before 5 pm``. The other end is that of the day."""
    begin, end = _DAY_FROM, _DAY_UNTIL
    for found in _BOUND.finditer(lower):
        at = _clock(found[3], found[4], found[5] or "")
        if at is None:
            return []
        if (found[2] in _LATER) != bool(found[1]):
            begin = at
        else:
            end = at
    return [(begin, end)] if begin < end and (begin, end) != (_DAY_FROM, _DAY_UNTIL) else []


def _turn(lower: str) -> int:
    """Where a text begins to say when not."""
    turn = _NOT.search(lower)
    return turn.start() if turn else len(lower)


def _ends(found: re.Match[str]) -> tuple[time | None, time | None]:
    """Both ends of a span; an end without a half of the day takes that of the other where people mean it: 2-5 pm, 9 am-5."""
    first, last = int(found[1]), int(found[4])
    before, after = (half if half in ("am", "pm") else "" for half in (found[3], found[6]))
    if before == "am" and not after and last <= first:
        after = "pm"
    elif after and not found[3] and first <= last and (last, after) != (12, "pm"):  # 10-12 pm ends at noon
        before = after
    return _clock(found[1], found[2], before), _clock(found[4], found[5], after)


def days_of(text: str) -> frozenset[int]:
    """Weekdays in a text such as ``Mon-Thu 9-12`` (Monday is 0), or all but those behind a “not”; empty when it names none."""
    lower, wanted, refused = text.lower(), set[int](), set[int]()
    turn = _turn(lower)
    for found in _DAYS.finditer(lower):
        first, last = _NUMBER[found[1]], _NUMBER[found[2] or found[1]]
        span = {(first + n) % 7 for n in range((last - first) % 7 + 1)}
        (wanted if found.start() < turn else refused).update(span)
    return frozenset((wanted or set(range(7))) - refused) if refused else frozenset(wanted)


def _clock(hour: str, minute: str | None, half: str | None) -> time | None:
    h, m = int(hour), int(minute or 0)
    if half == "pm" and h < 12:
        h += 12
    if half == "am" and h == 12:
        h = 0
    if h == 24 and m == 0:
        return time(23, 59)
    return time(h, m) if h < 24 and m < 60 else None


def inside(at: time, spans: Sequence[tuple[time, time]]) -> bool:
    """Whether a time of day lies in one of the spans; a span may go over midnight."""
    return any(begin <= at < end if begin < end else at >= begin or at < end for begin, end in spans)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def is_zone(name: str) -> bool:
    """Whether this is the name of a time zone that is known here."""
    return name in _zones()


def parse_time(text: str) -> time | None:
    """``"8:00"`` or ``"8"`` as a time of day; None for anything else."""
    match = re.fullmatch(r"\s*(\d{1,2})(?::(\d{2}))?\s*", text or "")
    if match is None or int(match[1]) > 23 or int(match[2] or 0) > 59:
        return None
    return time(int(match[1]), int(match[2] or 0))


def is_quiet(at: datetime, timezone: str, quiet_from: str, quiet_until: str, days_off: Collection[int]) -> bool:
    """True when nobody is to be disturbed at this instant. ``days_off``: weekdays that are quiet altogether, Monday 0. Hours that can't be read, or equal ones, mean no quiet hours."""
    local = at.astimezone(ZoneInfo(timezone))
    if local.weekday() in days_off:
        return True
    start, end = parse_time(quiet_from), parse_time(quiet_until)
    if start is None or end is None or start == end:
        return False
    now = local.time()
    return start <= now < end if start < end else now >= start or now < end


def next_instant(
    at: datetime, *, timezone: str, quiet_from: str, quiet_until: str, days_off: Collection[int] = (), preferred: str | None = None
) -> datetime:
    """The first instant from ``at`` on that is neither quiet nor outside the person's hours and days (on a grid of 15 minutes).

    When the two never meet within eight days, the person's hours give way: quiet hours are a promise of ours.
    """
    spans, days = hours_of(preferred or ""), days_of(preferred or "")

    def theirs(local: datetime) -> bool:
        return (not spans or inside(local.time(), spans)) and (not days or local.weekday() in days)

    def free(instant: datetime, with_wishes: bool) -> bool:
        if is_quiet(instant, timezone, quiet_from, quiet_until, days_off):
            return False
        return not with_wishes or theirs(instant.astimezone(ZoneInfo(timezone)))

    for with_wishes in (True, False):
        found = _first(at, lambda instant, wanted=with_wishes: free(instant, wanted))  # type: ignore[misc]
        if found is not None:
            return found
    return at


def _first(at: datetime, fits: Callable[[datetime], bool]) -> datetime | None:
    step = timedelta(minutes=15)
    instant = at
    for n in range(8 * 96):
        if fits(instant):
            return instant
        if n == 0:
            instant = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
        instant += step
    return None
