"""Working weeks that begin on other days than Monday."""

from datetime import date

import pytest

from crm_core.kit.week import WEEKEND, days_in_words, days_off, first_day, next_week

HOURS = [["09:00", "17:00"]]


@pytest.mark.parametrize(
    ("works", "off", "first", "after_wednesday", "words"),
    [
        ((0, 1, 2, 3, 4), WEEKEND, 0, date(2026, 11, 30), "Monday to Friday"),
        ((6, 0, 1, 2, 3), {4, 5}, 6, date(2026, 11, 29), "Sunday to Thursday"),
        ((5, 6, 0, 1), {2, 3, 4}, 5, date(2026, 11, 28), "Saturday to Tuesday"),
        ((1, 2, 3), {0, 4, 5, 6}, 1, date(2026, 12, 1), "Tuesday to Thursday"),
        ((0, 2, 4), {1, 3, 5, 6}, 0, date(2026, 11, 30), "Monday, Wednesday, Friday"),
        (range(7), set(), 0, date(2026, 11, 30), "Monday to Sunday"),
    ],
)
def test_a_week_begins_after_its_longest_run_of_days_off(works, off, first, after_wednesday, words):
    assert days_off({str(day): HOURS for day in works}) == off and first_day(off) == first
    assert next_week(date(2026, 11, 25), off) == after_wednesday
    assert next_week(after_wednesday, off).toordinal() == after_wednesday.toordinal() + 7
    assert days_in_words(list(works), first=first) == words


def test_before_there_are_working_hours_saturday_and_sunday_are_off():
    assert days_off({}) == days_off({"0": []}) == WEEKEND
    assert days_in_words({4, 5}, first=6) == "Friday, Saturday" and days_in_words((), first=0) == ""
