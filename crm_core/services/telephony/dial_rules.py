"""Lists of people to call, the pure part: when somebody may be called, and what an outcome means for the list."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from crm_core.kit.best_time import days_of, hours_of
from crm_core.kit.business_calendar import HORIZON_DAYS, DayException
from crm_core.kit.week import WEEKEND
from crm_core.services.customers.reach_rules import MAX_ZONES, Wishes
from crm_core.vocabulary import CallOutcome, DialState, DialWait, MemberStatus

NOBODY_THERE = (CallOutcome.NO_ANSWER, CallOutcome.BUSY, CallOutcome.VOICEMAIL)
"""Outcomes after which somebody is tried again."""
TALKED = (CallOutcome.REACHED, CallOutcome.CALL_BACK, CallOutcome.PRICE, CallOutcome.NOT_INTERESTED, CallOutcome.DO_NOT_CALL)
"""Outcomes of calls in which the person was on the phone."""
OUTCOMES = (*NOBODY_THERE, CallOutcome.REACHED, CallOutcome.CALL_BACK, CallOutcome.PRICE, CallOutcome.NOT_INTERESTED, CallOutcome.WRONG_NUMBER, CallOutcome.DO_NOT_CALL)  # fmt: skip
BUSY_MINUTES = 30
"""Whoever is busy is on the phone now: that passes sooner than an absence."""
RESPONSES = {
    CallOutcome.REACHED: MemberStatus.RESPONDED, CallOutcome.PRICE: MemberStatus.RESPONDED, CallOutcome.CALL_BACK: MemberStatus.RESPONDED,
    CallOutcome.NOT_INTERESTED: MemberStatus.DECLINED, CallOutcome.DO_NOT_CALL: MemberStatus.DECLINED,
}  # fmt: skip
"""What a call says of a member of the campaign; any other one says that they were addressed."""


_PARTS = re.compile(r"[,;.\n]")


@dataclass(frozen=True)
class Hours:
    """When a list calls people, by their own clock: minutes of the day, whether on ``days_off`` too, and the days on which it calls within other hours
    only, or nobody. Of several that hold for a day the last one counts, as in the working hours that they come from."""

    from_minute: int
    until_minute: int
    weekdays_only: bool
    special: tuple[DayException, ...] = ()
    days_off: frozenset[int] = WEEKEND


@dataclass(frozen=True)
class Then:
    """What follows from an outcome: over, or again at ``due_at``."""

    state: DialState
    wait: DialWait | None = None
    due_at: datetime | None = None


def after(
    outcome: CallOutcome, attempts: int, *, now: datetime, retry_hours: int, most: int, call_back_at: datetime | None = None
) -> Then:
    """What becomes of somebody after the call number ``attempts``. A promised call back is kept whatever the number of attempts."""
    if outcome is CallOutcome.CALL_BACK and call_back_at is not None:
        return Then(DialState.WAITING, DialWait.CALLBACK, call_back_at)
    if outcome in NOBODY_THERE and attempts < most:
        pause = timedelta(minutes=BUSY_MINUTES) if outcome is CallOutcome.BUSY else timedelta(hours=retry_hours)
        return Then(DialState.WAITING, DialWait.RETRY, now + pause)
    return Then(DialState.DONE)


def opens_at(wishes: Wishes, now: datetime, hours: Hours, *, fallback_zone: str) -> datetime | None:
    """The next instant at which this person may be called; None when that is now. Their own hours come before those of the list, never its special days;
    where their time zone is not known, the clock of ``fallback_zone`` counts. Where the holidays go on for two years, it is asked anew after them."""
    zone = ZoneInfo(zone_of(wishes) or fallback_zone)
    for spans in _days(wishes, hours, now.astimezone(zone).date(), zone):
        if any(begin <= now < end for begin, end in spans):
            return None
        later = [begin for begin, _ in spans if begin > now]
        if later:
            return min(later)
    return now + timedelta(days=HORIZON_DAYS)


def zone_of(wishes: Wishes) -> str:
    """The time zone of a person; empty when nothing is known of it."""
    return wishes.zones[0] if wishes.zones and len(wishes.zones) <= MAX_ZONES else ""


def _days(wishes: Wishes, hours: Hours, today: date, zone: ZoneInfo) -> Iterator[list[tuple[datetime, datetime]]]:
    """When they may be called, day by day from yesterday, whose last span may cross midnight; today comes together with it."""
    refused = ", ".join(f"not {part.strip()}" for part in _PARTS.split(wishes.do_not) if part.strip())
    own = hours_of(wishes.hours) or hours_of(refused)
    days = days_of(wishes.hours) or days_of(refused) or frozenset(range(7)) - (hours.days_off if hours.weekdays_only else set())
    spans = own or [(_clock(hours.from_minute), _clock(hours.until_minute))]
    found: list[tuple[datetime, datetime]] = []
    for offset in range(-1, HORIZON_DAYS):
        day = today + timedelta(days=offset)
        if day.weekday() in days:
            found += _spans_of(day, spans, hours.special, zone)
        if offset >= 0:
            yield found
            found = []


def _spans_of(
    day: date, spans: Sequence[tuple[time, time]], special: Sequence[DayException], zone: ZoneInfo
) -> list[tuple[datetime, datetime]]:
    """The spans that begin on a day, each up to its end or to that of the day's special hours."""
    found = [
        (datetime.combine(day, begin, zone), datetime.combine(day if end > begin else day + timedelta(days=1), end, zone))
        for begin, end in spans
    ]
    only = next((one.hours for one in reversed(special) if one.first <= day <= one.last), None)
    if only is None:
        return found
    midnight = datetime.combine(day, time())
    opened = [tuple((midnight + timedelta(minutes=minute)).replace(tzinfo=zone) for minute in pair) for pair in only]
    cut = [(max(begin, first), min(end, last)) for begin, end in found for first, last in opened]
    return [(begin, end) for begin, end in cut if begin < end]


def _clock(minute: int) -> time:
    return time(minute // 60 % 24, minute % 60)


def name_of(entity_key: str, record_id: int) -> str:
    """What a claim calls somebody: ``contact:7``."""
    return f"{entity_key}:{record_id}"
