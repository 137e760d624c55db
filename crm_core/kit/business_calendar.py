"""The business clock: working time between two instants, and the instant after so much of it.

A calendar is a set of wall-clock intervals per weekday (several a day, each ``[start, end)`` in minutes after midnight) in one time zone, with
exceptions for single days. An instant is working time when its wall clock lies in an interval of its day. Nothing is said about how long a day is:
a day of 23 or 25 hours has the working time that its wall clock shows, so a repeated hour counts twice and a skipped one not at all.

Everything is computed in UTC, day by day; no loop walks minutes or seconds, and none runs for ever.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

Minutes = tuple[int, int]
Span = tuple[datetime, datetime]
DAY_MINUTES = 24 * 60
HORIZON_DAYS = 731
"""How far ahead a due time is looked for: two years."""

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


class NoWorkingTime(ValueError):
    """A calendar never opens within two years, so nothing can ever be due."""


@dataclass(frozen=True)
class DayException:
    """Days on which other hours hold: none at all (a holiday) or special ones."""

    first: date
    last: date
    hours: tuple[Minutes, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class BusinessCalendar:
    """Working hours. ``week``: seven tuples of intervals, Monday first. The last matching exception of a day wins."""

    timezone: str
    week: tuple[tuple[Minutes, ...], ...]
    exceptions: tuple[DayException, ...] = ()
    _hash: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.week) != 7:
            raise ValueError("A calendar needs hours for seven weekdays.")
        for hours in (*self.week, *(day.hours for day in self.exceptions)):
            check_hours(hours)
        if any(day.last < day.first for day in self.exceptions):
            raise ValueError("A period of special hours can't end before it starts.")
        object.__setattr__(self, "_hash", hash((self.timezone, self.week, self.exceptions)))

    def __hash__(self) -> int:
        """Reckoned once: each day that is looked up asks for it."""
        return self._hash

    def hours_of(self, day: date) -> tuple[Minutes, ...]:
        """The wall-clock intervals of a calendar day."""
        special = [one.hours for one in self.exceptions if one.first <= day <= one.last]
        return special[-1] if special else self.week[day.weekday()]

    def is_open(self, at: datetime) -> bool:
        """True when an instant is working time."""
        wall = at.astimezone(ZoneInfo(self.timezone))
        minute = wall.hour * 60 + wall.minute
        return any(start <= minute < end for start, end in self.hours_of(wall.date()))

    def between(self, start: datetime, end: datetime) -> int:
        """Whole seconds of working time from ``start`` to ``end``; 0 when ``end`` is not later."""
        total, day = timedelta(), start.astimezone(UTC).date()
        while day <= end.astimezone(UTC).date():
            for begins, stops in _spans(self, day):
                overlap = min(stops, end) - max(begins, start)
                if overlap > timedelta():
                    total += overlap
            day += timedelta(days=1)
        return int(total.total_seconds())

    def add(self, start: datetime, seconds: float) -> datetime:
        """The first instant at which ``seconds`` of working time have passed since ``start``. Raises NoWorkingTime beyond two years."""
        left = timedelta(seconds=seconds)
        if left <= timedelta():
            return start.astimezone(UTC)
        for begins, stops in self._from(start):
            length = stops - begins
            if left <= length:
                return begins + left
            left -= length
        raise NoWorkingTime("This calendar has too few working hours within the next two years.")

    def next_open(self, start: datetime) -> datetime:
        """``start`` when it is working time, else the instant at which the next working time begins."""
        for begins, _ in self._from(start):
            return begins
        raise NoWorkingTime("This calendar has no working hours within the next two years.")

    def open_spans(self, start: datetime, end: datetime) -> list[Span]:
        """The stretches of working time between two instants, in order; those that touch are one."""
        found: list[Span] = []
        day = start.astimezone(UTC).date()
        while day <= end.astimezone(UTC).date():
            for begins, stops in _spans(self, day):
                begins, stops = max(begins, start), min(stops, end)
                if begins >= stops:
                    continue
                if found and begins <= found[-1][1]:
                    found[-1] = (found[-1][0], max(stops, found[-1][1]))
                else:
                    found.append((begins, stops))
            day += timedelta(days=1)
        return found

    def day_after(self, day: date, days: int) -> date:
        """The working day that lies so many working days after a day; 0 is the day itself, or the next one with working hours.

        A day counts whole when it has any. Where no day of two years has some, every day counts.
        """
        found, left = day, days
        for _ in range(HORIZON_DAYS + 7 * days):
            if self.hours_of(found):
                if not left or (found > day and left == 1):
                    return found
                left -= found > day
            found += timedelta(days=1)
        return day + timedelta(days=days)

    def _from(self, start: datetime) -> Iterator[Span]:
        start = start.astimezone(UTC)
        day = start.date()
        for _ in range(HORIZON_DAYS):
            for begins, stops in _spans(self, day):
                if stops > start:
                    yield max(begins, start), stops
            day += _DAY


def check_hours(hours: Sequence[Minutes]) -> None:
    """Raise ValueError unless the intervals lie within a day, in order, without overlap."""
    last = 0
    for start, end in hours:
        if not 0 <= start < end <= DAY_MINUTES:
            raise ValueError("Working hours must start before they end, within one day.")
        if start < last:
            raise ValueError("Working hours of a day must be in order and may not overlap.")
        last = end


@lru_cache(maxsize=256)
def the_same(calendar: BusinessCalendar) -> BusinessCalendar:
    """One object for equal calendars: looking a day up in the cache then compares no hours."""
    return calendar


@lru_cache(maxsize=20_000)
def _spans(calendar: BusinessCalendar, day: date) -> tuple[Span, ...]:
    """The working time of one UTC day, in order, not overlapping."""
    found: list[Span] = []
    for begins, stops, offset in _segments(calendar.timezone, day):
        first, last = (begins + offset).replace(tzinfo=None), (stops + offset).replace(tzinfo=None)
        wall_day = first.date()
        while datetime.combine(wall_day, time()) < last:
            for start, end in calendar.hours_of(wall_day):
                midnight = datetime.combine(wall_day, time())
                opens = max(first, midnight + timedelta(minutes=start))
                closes = min(last, midnight + timedelta(minutes=end))
                if opens < closes:
                    found.append(((opens - offset).replace(tzinfo=UTC), (closes - offset).replace(tzinfo=UTC)))
            wall_day += timedelta(days=1)
    return tuple(found)


@lru_cache(maxsize=20_000)
def _segments(timezone: str, day: date) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """A UTC day cut where the zone's offset changes: (from, to, offset)."""
    zone = ZoneInfo(timezone)
    begins, end = datetime.combine(day, time(), UTC), datetime.combine(day + timedelta(days=1), time(), UTC)
    found, start, here = [], begins, begins
    while here < end:
        there = min(here + _HOUR, end)
        if _offset(zone, here) != _offset(zone, there):
            change = _change(zone, here, there)
            if change > start:
                found.append((start, change, _offset(zone, start)))
            start = change
        here = there
    if start < end:
        found.append((start, end, _offset(zone, start)))
    return tuple(found)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second at which the offset is no longer that of ``low``."""
    before = _offset(zone, low)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high
