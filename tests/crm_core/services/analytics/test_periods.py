"""Calendar arithmetic of key figures."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.errors import Invalid
from crm_core.services.analytics.periods import Period, add_months, buckets, comparison, period, unit_start
from crm_core.vocabulary import Against, PeriodPreset

TODAY = date(2026, 3, 15)
days = st.dates(date(1950, 1, 1), date(2150, 1, 1))


def test_rolling_presets_end_today_and_have_the_days_they_promise():
    assert period(PeriodPreset.DAYS_30, TODAY) == Period(date(2026, 2, 14), TODAY)
    assert period(PeriodPreset.DAYS_30, TODAY).days == 30
    assert period(PeriodPreset.DAYS_90, TODAY).days == 90
    assert period(PeriodPreset.MONTHS_12, TODAY) == Period(date(2025, 3, 16), TODAY)
    assert not period(PeriodPreset.ALL, TODAY).bounded


def test_quarter_and_year_follow_the_fiscal_year():
    assert period(PeriodPreset.QUARTER, TODAY) == Period(date(2026, 1, 1), TODAY)
    assert period(PeriodPreset.YEAR, TODAY) == Period(date(2026, 1, 1), TODAY)
    assert period(PeriodPreset.YEAR, TODAY, fiscal_start_month=4) == Period(date(2025, 4, 1), TODAY)
    assert period(PeriodPreset.QUARTER, TODAY, fiscal_start_month=2) == Period(date(2026, 2, 1), TODAY)
    assert period(PeriodPreset.QUARTER, date(2026, 1, 31), fiscal_start_month=2) == Period(date(2025, 11, 1), date(2026, 1, 31))


def test_the_running_quarter_is_compared_with_as_many_days_of_the_one_before():
    quarter = period(PeriodPreset.QUARTER, TODAY)
    assert comparison(PeriodPreset.QUARTER, quarter, Against.PREVIOUS) == Period(date(2025, 10, 1), date(2025, 12, 13))
    # The last quarter was shorter than this one already is: it ends where this one starts.
    late = period(PeriodPreset.QUARTER, date(2026, 6, 30))
    assert comparison(PeriodPreset.QUARTER, late, Against.PREVIOUS) == Period(date(2026, 1, 1), date(2026, 3, 31))


def test_rolling_and_custom_periods_are_compared_with_the_equal_stretch_before():
    month = period(PeriodPreset.DAYS_30, TODAY)
    assert comparison(PeriodPreset.DAYS_30, month, Against.PREVIOUS) == Period(date(2026, 1, 15), date(2026, 2, 13))
    year = period(PeriodPreset.MONTHS_12, TODAY)
    assert comparison(PeriodPreset.MONTHS_12, year, Against.PREVIOUS) == Period(date(2024, 3, 16), date(2025, 3, 15))


def test_last_year_in_a_leap_year_ends_on_the_28th():
    chosen = period(PeriodPreset.CUSTOM, TODAY, start=date(2024, 2, 29), end=date(2024, 2, 29))
    assert comparison(PeriodPreset.CUSTOM, chosen, Against.LAST_YEAR) == Period(date(2023, 2, 28), date(2023, 2, 28))


def test_all_time_and_no_comparison_have_nothing_to_compare_with():
    assert comparison(PeriodPreset.ALL, Period(), Against.PREVIOUS) is None
    assert comparison(PeriodPreset.DAYS_30, period(PeriodPreset.DAYS_30, TODAY), Against.NONE) is None


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        (None, TODAY, "first and the last day"),
        (TODAY, None, "first and the last day"),
        (TODAY, TODAY - timedelta(days=1), "ends before it starts"),
        (date(1200, 1, 1), TODAY, "between the years"),
    ],
)
def test_a_custom_period_that_cannot_be_is_refused_with_a_sentence(start, end, sentence):
    with pytest.raises(Invalid, match=sentence):
        period(PeriodPreset.CUSTOM, TODAY, start=start, end=end)


@given(days, st.integers(0, 9000), st.integers(1, 12))
def test_buckets_cover_every_day_once_in_order(first, span, month):
    last = first + timedelta(days=span)
    steps = buckets(first, last, fiscal_start_month=month)
    assert steps[0].start == first
    assert steps[-1].end == last
    assert all(a.end + timedelta(days=1) == b.start for a, b in pairwise(steps))
    assert len(steps) <= 52


def test_a_month_that_is_cut_short_is_marked():
    steps = buckets(date(2025, 3, 16), date(2026, 3, 15))
    assert [step.complete for step in steps] == [False] + [True] * 11 + [False]
    assert buckets(TODAY, TODAY - timedelta(days=1)) == ()


@given(days, st.integers(-2400, 2400))
def test_adding_months_keeps_the_day_where_the_month_has_it(day, months):
    moved = add_months(day, months)
    assert (moved.year * 12 + moved.month) - (day.year * 12 + day.month) == months
    assert moved.day == day.day or (moved + timedelta(days=1)).day == 1


@given(days, st.sampled_from([1, 3, 12]), st.integers(1, 12))
def test_a_unit_holds_its_day_and_starts_on_a_first(day, months, fiscal):
    start = unit_start(day, months, fiscal)
    assert start.day == 1
    assert start <= day < add_months(start, months)
    assert (start.month - fiscal) % months == 0
