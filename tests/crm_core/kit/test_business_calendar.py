"""The business clock against a counter that looks at every single minute, over the changes of daylight saving in three zones."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_core.kit.business_calendar import BusinessCalendar, DayException, NoWorkingTime, check_hours

OFFICE = ((9 * 60, 12 * 60), (13 * 60, 17 * 60 + 30))
WEEK = (OFFICE, OFFICE, OFFICE, OFFICE, OFFICE, (), ())
CHANGES = {
    "Europe/Berlin": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
}
"""Two hours of change and, on Lord Howe, half an hour."""


def counted(calendar: BusinessCalendar, start: datetime, end: datetime) -> int:
    """Working minutes by looking at each."""
    zone, minutes, here = ZoneInfo(calendar.timezone), 0, start
    while here < end:
        wall = here.astimezone(zone)
        minute = wall.hour * 60 + wall.minute
        minutes += any(first <= minute < last for first, last in calendar.hours_of(wall.date()))
        here += timedelta(minutes=1)
    return minutes


@st.composite
def day_hours(draw):
    """Up to three intervals of a day, some of them in the hours that are skipped or repeated."""
    cuts = sorted(draw(st.sets(st.integers(0, 96), min_size=0, max_size=6)))
    return tuple((a * 15, b * 15) for a, b in zip(cuts[::2], cuts[1::2], strict=False))


@st.composite
def situations(draw):
    """A calendar and a span of up to three days around a change of the clock."""
    timezone = draw(st.sampled_from(sorted(CHANGES)))
    change = draw(st.sampled_from(CHANGES[timezone]))
    week = tuple(draw(day_hours()) for _ in range(7))
    exceptions = ()
    if draw(st.booleans()):
        exceptions = (DayException(change.date(), change.date() + timedelta(days=draw(st.integers(0, 1))), draw(day_hours())),)
    start = change + timedelta(minutes=draw(st.integers(-36 * 60, 12 * 60)))
    return BusinessCalendar(timezone, week, exceptions), start, start + timedelta(minutes=draw(st.integers(0, 60 * 60)))


@given(situations())
@settings(max_examples=120, deadline=None)
def test_the_clock_agrees_with_a_counter_of_minutes_across_daylight_saving(situation):
    calendar, start, end = situation
    assert calendar.between(start, end) == counted(calendar, start, end) * 60


@given(situations(), st.integers(1, 5 * 24 * 3600), st.integers(0, 24 * 3600))
@settings(max_examples=120, deadline=None)
def test_adding_working_time_is_the_inverse_of_measuring_it_and_never_goes_back(situation, seconds, more):
    calendar, start, _ = situation
    if not any(calendar.week):
        with pytest.raises(NoWorkingTime):
            BusinessCalendar(calendar.timezone, calendar.week).add(start, seconds)
        return
    due = calendar.add(start, seconds)
    assert calendar.between(start, due) == seconds
    assert calendar.between(start, due - timedelta(seconds=1)) == seconds - 1, "the first such instant"
    assert calendar.add(start, seconds + more) >= due


def test_hours_with_a_lunch_break_carry_over_night_and_weekend():
    calendar = BusinessCalendar("Europe/Berlin", WEEK, (DayException(date(2026, 12, 25), date(2026, 12, 26), name="Christmas"),))
    thursday = datetime(2026, 12, 24, 15, 30, tzinfo=UTC)  # 16:30 in Berlin: an hour is left
    assert calendar.add(thursday, 3600) == datetime(2026, 12, 24, 16, 30, tzinfo=UTC)
    assert calendar.add(thursday, 3601) == datetime(2026, 12, 28, 8, 0, 1, tzinfo=UTC), "after the holiday and the weekend"
    assert calendar.next_open(datetime(2026, 12, 22, 11, 15, tzinfo=UTC)) == datetime(2026, 12, 22, 12, tzinfo=UTC), "after lunch"
    assert calendar.is_open(thursday) and not calendar.is_open(datetime(2026, 12, 25, 10, tzinfo=UTC))
    assert calendar.between(thursday, thursday - timedelta(days=3)) == 0


def test_a_calendar_that_never_opens_says_so_instead_of_looking_for_ever():
    shut = BusinessCalendar("UTC", ((),) * 7)
    with pytest.raises(NoWorkingTime):
        shut.add(datetime(2026, 1, 1, tzinfo=UTC), 1)
    with pytest.raises(NoWorkingTime):
        shut.next_open(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("hours", [((600, 500),), ((0, 1441),), ((500, 600), (550, 700)), ((-5, 60),)])
def test_hours_that_contradict_themselves_are_refused(hours):
    with pytest.raises(ValueError, match="hours"):
        check_hours(hours)


def test_a_working_day_after_so_many_is_never_a_holiday():
    holiday = DayException(date(2026, 6, 8), date(2026, 6, 8))
    office = BusinessCalendar("UTC", (((540, 1020),),) * 5 + ((), ()), (holiday,))
    friday, sunday = date(2026, 6, 5), date(2026, 6, 7)
    assert [office.day_after(friday, days).day for days in (0, 1, 2, 5)] == [5, 9, 10, 15]
    assert [office.day_after(sunday, days).day for days in (0, 1)] == [9, 9]
    once_a_week = BusinessCalendar("UTC", (((540, 1020),), *((),) * 6))
    assert once_a_week.day_after(friday, 365) == date(2033, 5, 30)
