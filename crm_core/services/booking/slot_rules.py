"""Which times are free: working hours, less what is busy with room before and after, not too soon and not too far ahead. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from crm_core.kit.business_calendar import BusinessCalendar, Span

DAY = timedelta(days=1)
_AT_ONCE = timedelta(days=4)


@dataclass(frozen=True)
class Terms:
    """What a page asks of a time. ``step``: minutes between two offers, on the clock of the wall, from each opening on."""

    minutes: int
    step: int = 30
    before: int = 0
    after: int = 0
    most_a_day: int | None = None

    @property
    def length(self) -> timedelta:
        return timedelta(minutes=self.minutes)


@dataclass(frozen=True)
class Host:
    """Somebody whose time is offered. ``booked``: starts of what was booked through this page, for its limit per day; ``load``: how much that is lately."""

    id: int
    calendar: BusinessCalendar
    busy: tuple[Span, ...] = ()
    booked: tuple[datetime, ...] = ()
    load: int = 0


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, those that overlap or touch made one; empty ones left out."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def free(host: Host, terms: Terms, since: datetime, until: datetime) -> list[datetime]:
    """The starts, from ``since`` to before ``until``, at which this person has time."""
    zone = ZoneInfo(host.calendar.timezone)
    busy = merged(host.busy)
    ends = [end for _, end in busy]
    full = _full_days(host, terms, zone)
    spans = host.calendar.open_spans(since - DAY, until + DAY + terms.length)
    opens = [span[0] for span in spans]
    found: list[datetime] = []
    for start in _offers(host.calendar, terms, zone, since, until):
        place = bisect_right(opens, start) - 1
        within = place >= 0 and start + terms.length <= spans[place][1]
        if within and start.astimezone(zone).date() not in full and not _meets(busy, ends, start, terms):
            found.append(start)
    return found


def _offers(calendar: BusinessCalendar, terms: Terms, zone: ZoneInfo, since: datetime, until: datetime) -> list[datetime]:
    """Every step of the clock on the wall from each opening on: an hour that is skipped has none, one that comes twice has them twice."""
    found: set[datetime] = set()
    day, last = since.astimezone(zone).date(), until.astimezone(zone).date()
    while day <= last:
        for opens, closes in calendar.hours_of(day):
            for minute in range(opens, closes, terms.step):
                wall = datetime.combine(day, time(minute // 60, minute % 60))
                both = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
                found |= {at for at in both if since <= at < until and at.astimezone(zone).replace(tzinfo=None) == wall}
        day += DAY
    return sorted(found)


def fits(host: Host, terms: Terms, start: datetime) -> bool:
    """Whether this person has time at exactly this offer."""
    return start in free(host, terms, start, start + timedelta(microseconds=1))


def _meets(busy: Sequence[Span], ends: Sequence[datetime], start: datetime, terms: Terms) -> bool:
    begins = start - timedelta(minutes=terms.before)
    stops = start + terms.length + timedelta(minutes=terms.after)
    place = bisect_right(ends, begins)
    return place < len(busy) and busy[place][0] < stops


def _full_days(host: Host, terms: Terms, zone: ZoneInfo) -> set[date]:
    if terms.most_a_day is None:
        return set()
    days = [at.astimezone(zone).date() for at in host.booked]
    return {day for day in days if days.count(day) >= terms.most_a_day}


def together(hosts: Iterable[Host], terms: Terms, since: datetime, until: datetime) -> list[datetime]:
    """The starts at which anybody has time, in order."""
    return sorted({start for host in hosts for start in free(host, terms, since, until)})


def soonest(hosts: Sequence[Host], terms: Terms, since: datetime, until: datetime) -> datetime | None:
    """The first start at which anybody has time: looked for a few days at a time, so that a full year ahead costs nothing where tomorrow is free."""
    while since < until:
        ahead = min(since + _AT_ONCE, until)
        if found := together(hosts, terms, since, ahead):
            return found[0]
        since = ahead
    return None


def choose(hosts: Iterable[Host], terms: Terms, start: datetime) -> Host | None:
    """Who takes a meeting: of those who have time, whoever has the fewest."""
    able = [host for host in hosts if fits(host, terms, start)]
    return min(able, key=lambda host: (host.load, host.id), default=None)


def by_day(starts: Iterable[datetime], zone: ZoneInfo) -> Mapping[date, list[datetime]]:
    """The starts by the day on which they are for the visitor."""
    found: dict[date, list[datetime]] = {}
    for start in starts:
        found.setdefault(start.astimezone(zone).date(), []).append(start)
    return found


def nearest(starts: Sequence[datetime], wanted: datetime, count: int = 4) -> list[datetime]:
    """The offers that come next; those before it when too few do."""
    place = bisect_left(starts, wanted)
    after = list(starts[place : place + count])
    return [*starts[max(0, place - (count - len(after))) : place], *after]
