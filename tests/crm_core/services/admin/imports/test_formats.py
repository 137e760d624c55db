"""Dates and numbers as people write them."""

from collections import Counter
from datetime import date, datetime
from decimal import Decimal

import pytest
from babel.core import Locale
from hypothesis import given
from hypothesis import strategies as st

from crm_core.kit.text import fold
from crm_core.services.admin.imports.formats import (
    LANGUAGES,
    month_named,
    read_date,
    read_instant,
    read_number,
    sniff_dates,
    sniff_numbers,
)


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("20-10-16", "dmy", date(2016, 10, 20)),
        ("20-10-16", "ymd", date(2020, 10, 16)),
        ("8/21/2013", "mdy", date(2013, 8, 21)),
        ("2016-10-20", "dmy", date(2016, 10, 20)),
        ("20161020", "mdy", date(2016, 10, 20)),
        ("20 Oct 2016", "mdy", date(2016, 10, 20)),
        ("October 3, 2016", "dmy", date(2016, 10, 3)),
        ("3. März 2026", "mdy", date(2026, 3, 3)),
        ("3. Ma\u0308rz 2026", "mdy", date(2026, 3, 3)),
        ("Do., 24. Dez. 2026", "ymd", date(2026, 12, 24)),
        ("mar. 3 févr. 2026", "mdy", date(2026, 2, 3)),
        ("14 août 2026", "mdy", date(2026, 8, 14)),
        ("3 de mayo de 2026", "mdy", date(2026, 5, 3)),
        ("1 września 2026", "mdy", date(2026, 9, 1)),
        ("2026-okt-05", "dmy", date(2026, 10, 5)),
        ("31.12.99", "dmy", date(1999, 12, 31)),
        ("42663", "serial", date(2016, 10, 20)),
        ("2016-10-20 23:59", "dmy", date(2016, 10, 20)),
    ],
)
def test_a_day_is_read_in_the_order_of_its_parts(text, order, day):
    assert read_date(text, order) == day


@pytest.mark.parametrize("text", ["31/02/2016", "00/01/2016", "12/2016", "soon", "1/1/99999", "12:30", "٣٢/١/2016"])
def test_what_is_no_day_gets_a_sentence(text):
    with pytest.raises(ValueError, match="is not a"):
        read_date(text, "dmy")


def test_a_time_of_day_is_read_with_and_without_pm():
    assert read_instant("20/10/2016 3:05 PM", "dmy") == datetime(2016, 10, 20, 15, 5)
    assert read_instant("20.10.2016 15:05:07", "dmy") == datetime(2016, 10, 20, 15, 5, 7)
    assert read_instant("2016-10-20T15:05:07+02:00", "dmy").utcoffset().total_seconds() == 7200
    with pytest.raises(ValueError, match="time of day"):
        read_instant("20/10/2016 25:00", "dmy")


def test_two_digit_years_are_read_so_that_the_column_spans_few_years_and_the_doubt_is_shown():
    reading = sniff_dates(Counter(["20-10-16", "25-10-16", "01-03-17", "11-03-17"]))
    assert (reading.choice, reading.others, reading.ambiguous) == ("dmy", ("ymd",), True)
    assert reading.example == "20-10-16 → 20 Oct 2016"


def test_one_value_that_fits_one_order_only_settles_the_column():
    reading = sniff_dates(Counter(["9/4/2012", "3/8/2014", "8/21/2013"]))
    assert (reading.choice, reading.ambiguous) == ("mdy", False)


def test_a_single_wrong_day_does_not_turn_the_order_around():
    values = Counter({f"{day:02d}-12-23": 5 for day in range(1, 29)} | {"31-02-23": 1})
    assert (sniff_dates(values).choice, sniff_dates(values).others) == ("dmy", ("ymd",))
    first_days = Counter({f"{month}/1/2013": 30 for month in range(1, 13)} | {"1/13/2013": 1})
    assert (sniff_dates(first_days).choice, sniff_dates(first_days).ambiguous) == ("mdy", False)


def test_a_column_in_doubt_follows_the_preference():
    values = Counter(["01/02/2016", "03/04/2016"])
    assert sniff_dates(values).choice == "dmy"
    assert sniff_dates(values, prefer="mdy").choice == "mdy"
    assert sniff_dates(values).ambiguous


def test_days_with_points_begin_with_the_day_also_where_months_come_first():
    assert sniff_dates(Counter(["03.11.2021", "04.05.2022"]), prefer="mdy").choice == "dmy"
    assert sniff_dates(Counter(["03.11.2021", "04.15.2022"]), prefer="mdy").choice == "mdy"  # no other order fits


def test_a_few_wrong_days_do_not_turn_dates_into_text():
    values = Counter({f"{day:02d}/01/2016": 1 for day in range(1, 29)})
    values["31/02/2016"] = 1
    assert sniff_dates(values).choice == "dmy"
    assert sniff_dates(Counter(["apple", "31/02/2016"])) is None


@pytest.mark.parametrize(
    ("text", "mark", "number"),
    [
        ("1.234,56", ",", "1234.56"), ("1,234.56", ".", "1234.56"), ("$1,234", ".", "1234"), ("-$12", ".", "-12"), ("(12)", ".", "-12"),
        ("USD 12.5", ".", "12.5"), ("12 €", ",", "12"), ("1 234,5", ",", "1234.5"), ("5-", ".", "-5"), ("1'234.50", ".", "1234.5"),
        ("12%", ".", "12"), ("1,00,000", ".", "100000"), ("1e5", ".", "100000"), (".5", ".", "0.5"),
    ],
)  # fmt: skip
def test_a_number_is_read_without_its_decoration(text, mark, number):
    assert read_number(text, mark) == Decimal(number)


@pytest.mark.parametrize("text", ["12k", "12abc", "1,23", "", "-", "NaN", "inf", "1.2.3", "XYZ 12", "twelve"])
def test_what_is_no_number_is_refused_rather_than_guessed(text):
    with pytest.raises(ValueError, match="is not a number"):
        read_number(text, ".")


def test_a_column_with_german_months_is_a_column_of_days():
    reading = sniff_dates(Counter(["3. März 2026", "24. Dezember 2026", "1. Mai 2026", "7. Okt. 2026"]))
    assert reading is not None and not reading.ambiguous


def test_no_name_means_two_months():
    meant: dict[str, set[int]] = {}
    for language in LANGUAGES:
        for widths in Locale.parse(language).months.values():
            for number, name in (*widths["wide"].items(), *widths["abbreviated"].items()):
                meant.setdefault(fold(name).rstrip("."), set()).add(number)
    assert [name for name, numbers in meant.items() if numbers != {month_named(name)}] == []


def test_the_decimal_mark_is_settled_by_the_whole_column():
    assert sniff_numbers(Counter(["1,234", "12,5"])).choice == ","
    doubt = sniff_numbers(Counter(["1,234", "2,345"]))
    assert (doubt.choice, doubt.ambiguous, doubt.example) == (".", True, "1,234 → 1,234")
    assert sniff_numbers(Counter(["1,234", "2,345"]), prefer=",").choice == ","
    assert sniff_numbers(Counter(["12", "7"])).ambiguous is False
    assert sniff_numbers(Counter(["12", "seven"])) is None


@given(st.dates(min_value=date(1970, 1, 1), max_value=date(2068, 12, 31)), st.sampled_from(["-", "/", "."]), st.booleans())
def test_every_day_survives_being_written_and_read(day, separator, short):
    year = "%y" if short else "%Y"
    for order, pattern in (("dmy", ["%d", "%m", year]), ("mdy", ["%m", "%d", year]), ("ymd", [year, "%m", "%d"])):
        assert read_date(day.strftime(separator.join(pattern)), order) == day


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**12), max_value=10**12))
def test_every_amount_survives_being_written_and_read(amount):
    english = f"{amount:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert read_number(english, ".") == amount
    assert read_number(german, ",") == amount


@given(st.text(max_size=30))
def test_no_text_makes_the_readers_fail_in_another_way(text):
    for read, choices in ((read_date, ("dmy", "serial")), (read_instant, ("ymd",)), (read_number, (".", ","))):
        for choice in choices:
            try:
                read(text, choice)
            except ValueError:
                continue
