"""The quick twin of a formatter says letter by letter what the slow one says, whatever the locale does."""

from decimal import Decimal
from random import Random

import pytest
from babel.core import Locale
from babel.numbers import format_currency, format_decimal

from crm_core.kit import numerals

LOCALES = (
    "en_US",
    "en_GB",
    "en_IN",
    "de_DE",
    "de_CH",
    "fr_FR",
    "es_ES",
    "pl_PL",
    "pt_BR",
    "sv_SE",
    "hi_IN",
    "vi_VN",
    "ja_JP",
    "ar_EG",
    "fa_IR",
)


def amounts():
    random = Random(5)
    return [Decimal(random.randint(-(10**size), 10**size)) / 100 for size in range(1, 15) for _ in range(6)]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(("code", "digits"), [("USD", 2), ("EUR", 0), ("JPY", 0), ("KWD", 3), ("VND", 0)])
def test_an_amount_reads_as_the_locale_writes_it(locale, code, digits):
    usual = "¤#,##0.00" if locale.startswith("en") else Locale.parse(locale).currency_formats["standard"].pattern
    pattern = usual.replace("0.00", f"0{'.' + '0' * digits if digits else ''}")
    for value in amounts():
        expected = format_currency(value, code, pattern, locale=Locale.parse(locale), currency_digits=False)
        assert numerals.money(value, code, digits, locale) == expected


@pytest.mark.parametrize("locale", LOCALES)
def test_a_whole_number_reads_as_the_locale_writes_it(locale):
    for value in (*(int(amount) for amount in amounts()), 0, -7, 999, 1000, 10**15):
        assert numerals.integer(value, locale) == format_decimal(value, locale=Locale.parse(locale))


@pytest.mark.parametrize(
    ("locale", "whole", "short", "large"),
    [
        ("en_GB", "€1,234", "€340K", "€4.23M"),
        ("de_DE", "1.234 €", "340.187 €", "4,23 Mio. €"),
        ("de_CH", "EUR 1’234", "EUR 340’187", "4.23 Mio. EUR"),
        ("it_IT", "1.234 €", "340.187 €", "4,23 Mln €"),
        ("fr_FR", "1 234 €", "340 k €", "4,23 M €"),
    ],
)
def test_whole_and_short_amounts_have_neither_cents_nor_lose_their_separators(locale, whole, short, large):
    written = [
        numerals.money(Decimal("1234.4"), "EUR", 0, locale),
        numerals.compact_money(Decimal("340186.77"), "EUR", locale, 0),
        numerals.compact_money(Decimal("4230000"), "EUR", locale, 2),
    ]
    assert [text.replace("\xa0", " ").replace("\u202f", " ") for text in written] == [whole, short, large]


def test_where_the_quick_twin_would_differ_the_slow_one_stays():
    def odd(value):
        return f"<{int(value)}>" if value < 1000 else f"<{int(value):,}>"

    assert numerals.learned(odd) is odd
    assert numerals.money(Decimal("1234567.5"), "USD", 2, "en_IN") == format_currency(
        Decimal("1234567.5"), "USD", "¤#,##0.00", locale="en_IN"
    )


def test_days_are_typed_in_the_order_of_the_locale_with_the_whole_year():
    found = {locale: numerals.typed_day(locale) for locale in ("en_US", "en_GB", "de_DE", "sv_SE", "ja_JP", "nl_NL", "hu_HU")}
    assert found == {
        "en_US": "MM/DD/YYYY", "en_GB": "DD/MM/YYYY", "de_DE": "DD.MM.YYYY", "sv_SE": "YYYY-MM-DD", "ja_JP": "YYYY/MM/DD", "nl_NL": "DD-MM-YYYY",
        "hu_HU": "YYYY.MM.DD",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("locale", "face"),
    [
        ("en_US", ("{h}:{m} AM", "{h}:{m} PM", True)),
        ("ko_KR", ("AM {h}:{m}", "PM {h}:{m}", True)),
        ("de_DE", ("{hh}:{m}", "{hh}:{m}", False)),
        ("fi_FI", ("{h}.{m}", "{h}.{m}", False)),
    ],
)
def test_the_calendar_writes_times_as_the_locale_does(locale, face):
    assert numerals.clock_face(locale) == face
