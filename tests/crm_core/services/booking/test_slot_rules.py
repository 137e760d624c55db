"""Free times against a search that looks at every single minute, over the changes of daylight saving."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from crm_core.kit.business_calendar import BusinessCalendar, DayException
from crm_core.services.booking import slot_rules
from crm_core.services.booking.slot_rules import Host, Terms
from tests.crm_core.kit.test_business_calendar import CHANGES, day_hours

MINUTE = timedelta(minutes=1)
OFFICE = ((9 * 60, 12 * 60), (13 * 60, 17 * 60))
WEEK = (OFFICE, OFFICE, OFFICE, OFFICE, OFFICE, (), ())
BERLIN = BusinessCalendar("Europe/Berlin", WEEK)
MONDAY = datetime(2026, 7, 6, tzinfo=UTC)


@st.composite
def situations(draw):
    timezone = draw(st.sampled_from(sorted(CHANGES)))
    change = draw(st.sampled_from(CHANGES[timezone]))
    whole_day = draw(st.booleans())
    week = tuple(((0, 1440),) if whole_day else draw(day_hours()) for _ in range(7))
    exceptions = (DayException(change.date(), change.date(), draw(day_hours())),) if draw(st.booleans()) else ()
    since = change + timedelta(minutes=draw(st.integers(-20 * 60, 4 * 60)))
    spans = st.tuples(st.integers(-24 * 60, 40 * 60), st.integers(0, 300))
    busy = tuple((change + a * MINUTE, change + (a + b) * MINUTE) for a, b in draw(st.lists(spans, max_size=4)))
    terms = Terms(
        draw(st.sampled_from((15, 30, 45, 60, 90))), draw(st.sampled_from((15, 20, 30, 60))), draw(st.sampled_from((0, 10, 30))), draw(st.sampled_from((0, 15)))
    )  # fmt: skip
    host = Host(1, BusinessCalendar(timezone, week, exceptions), busy)
    return host, terms, since, since + timedelta(hours=draw(st.integers(1, 20)))


def looked_for(host, terms, since, until):
    """The same by looking at each minute."""
    zone, found = ZoneInfo(host.calendar.timezone), []
    at = since.replace(second=0, microsecond=0)
    while at < until:
        wall = at.astimezone(zone)
        minute = wall.hour * 60 + wall.minute
        offered = any(a <= minute < b and (minute - a) % terms.step == 0 for a, b in host.calendar.hours_of(wall.date()))
        if at >= since and offered and all(host.calendar.is_open(at + n * MINUTE) for n in range(terms.minutes)):
            begins, stops = at - terms.before * MINUTE, at + (terms.minutes + terms.after) * MINUTE
            if not any(start < end and start < stops and begins < end for start, end in host.busy):
                found.append(at)
        at += MINUTE
    return found


@given(situations())
@settings(max_examples=60, deadline=None)
def test_free_times_are_those_that_a_search_by_the_minute_finds(situation):
    host, terms, since, until = situation
    found = slot_rules.free(host, terms, since, until)
    assert found == looked_for(host, terms, since, until)
    assert all(slot_rules.fits(host, terms, start) for start in found), "what is offered can be taken, whatever was asked for"


def test_room_before_and_after_and_the_lunch_break_are_kept():
    meeting = (datetime(2026, 7, 6, 8, 0, tzinfo=UTC), datetime(2026, 7, 6, 8, 30, tzinfo=UTC))  # 10:00 to 10:30 in Berlin
    host = Host(1, BERLIN, (meeting,))
    starts = slot_rules.free(host, Terms(60, 30, before=15, after=15), MONDAY, MONDAY + timedelta(days=1))
    assert [f"{one.astimezone(ZoneInfo('Europe/Berlin')):%H:%M}" for one in starts] == [
        "11:00",
        "13:00",
        "13:30",
        "14:00",
        "14:30",
        "15:00",
        "15:30",
        "16:00",
    ]


def test_the_one_with_the_fewest_takes_it_and_a_full_day_offers_nothing():
    at = datetime(2026, 7, 6, 9, tzinfo=UTC)
    busy = Host(1, BERLIN, load=1), Host(2, BERLIN, load=0), Host(3, BERLIN, ((at, at + timedelta(hours=1)),))
    assert slot_rules.choose(busy, Terms(30), at).id == 2
    assert slot_rules.choose(busy[2:], Terms(30), at) is None
    full = Host(1, BERLIN, booked=(at, at + timedelta(hours=2)))
    assert slot_rules.free(full, Terms(30, most_a_day=2), MONDAY, MONDAY + timedelta(days=1)) == []
    assert slot_rules.free(full, Terms(30, most_a_day=3), MONDAY, MONDAY + timedelta(days=1))


def test_the_next_offers_come_first_and_earlier_ones_fill_up():
    starts = [MONDAY + timedelta(hours=n) for n in range(5)]
    assert slot_rules.nearest(starts, starts[3], 3) == [starts[2], starts[3], starts[4]]
    assert slot_rules.nearest([], MONDAY) == []


def test_the_soonest_start_is_the_first_of_all_of_them():
    away = Host(1, BERLIN, ((MONDAY, MONDAY + timedelta(days=11)),))
    for hosts in ((away,), (away, Host(2, BERLIN)), ()):
        for days in (1, 30):
            until = MONDAY + timedelta(days=days)
            found = slot_rules.together(hosts, Terms(30), MONDAY, until)
            assert slot_rules.soonest(hosts, Terms(30), MONDAY, until) == (found[0] if found else None)
