"""Values as people read them: text of strangers made harmless, and changes that are none."""

from contextvars import copy_context
from datetime import UTC, date, datetime
from html import escape
from types import SimpleNamespace

import pytest
from babel.dates import format_date
from icalendar import Calendar
from markdown_it import MarkdownIt

from crm_core.format import days, md, money, plural, short_day, with_cents
from crm_core.kit import clock, numerals
from crm_core.kit.numerals import written
from crm_core.kit.text import one_line
from crm_core.services.admin.organisation import LOCALES
from crm_core.services.analytics.metrics import Figure
from crm_core.services.analytics.wording import TOO_FEW, change_text
from crm_core.services.collaboration.invitation_rules import REQUEST, Guest, Meeting, file_of
from crm_core.vocabulary import MetricUnit

READER = SimpleNamespace(locale="en_US", currency="USD", timezone="UTC")


@pytest.mark.parametrize(
    "text, made",
    [
        ("**b** [l](u) $x$", r"\*\*b\*\* \[l\]\(u) \$x\$"),
        (":material/bug: a -> b", ":\u2060material/bug: a -\u2060> b"),
        ("See https://evil.example", "See https\\://\u2060evil.example"),
        ("HTTP://e.example www.e.example", "HTTP\\://\u2060e.example www\u2060.e.example"),
        ("wwwhat https", "wwwhat https"),
        (":smile: 10:30:45 1:100:", ":\u2060smile: 10:30:45 1:\u2060100:"),
        ("\u202egnp.exe\nx", "gnp.exe x"),
        ("שלום", "\u2068שלום\u2069"),
    ],
)
def test_text_of_people_is_read_letter_by_letter_and_leads_nowhere(text, made):
    assert md(text) == made


@pytest.mark.parametrize(
    "text", ["Kontakt-Nr.", "Umsatz (netto)", "R&D", "Call at 10:30", "snake_case", "C++", "#1 - 1.5 l", "What? Yes!"]
)
def test_what_is_no_markdown_stays_as_it_is_since_labels_are_read_aloud(text):
    assert md(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "1. x",
        "12) x",
        "# x",
        " ## x",
        "- x",
        "+ x",
        "---",
        "===",
        "> x",
        "&amp; &#65;",
        "_x_ x_",
        "![a](b)",
        "[a](b) (c)",
        "a\\",
        "`c`",
    ],
)
def test_what_begins_a_line_and_what_frames_words_is_shown_as_it_was_typed(text):
    assert MarkdownIt().render(md(text)).strip() == f"<p>{escape(text.strip(), quote=False)}</p>"


@pytest.mark.parametrize(
    "unit, change, relative, words",
    [
        (MetricUnit.MONEY, -3, -0.00004, "no change"),
        (MetricUnit.MONEY, -300, -0.004, "-0.4%"),
        (MetricUnit.SHARE, 0.0001, None, "no change"),
        (MetricUnit.SHARE, 0.029, None, "+2.9 pp"),
        (MetricUnit.SECONDS, 20, None, "no change"),
        (MetricUnit.COUNT, 0, None, "no change"),
        (MetricUnit.COUNT, None, None, None),
    ],
)
def test_a_change_that_rounds_to_nothing_is_none(unit, change, relative, words):
    figure = SimpleNamespace(metric=SimpleNamespace(unit=unit), change=change, relative=relative, too_few=False)
    assert change_text(READER, figure) == words


@pytest.mark.parametrize("before, now, words", [(9, 12, TOO_FEW), (10, 12, "+20%"), (10, 101, TOO_FEW), (40, 3, "-92.5%")])
def test_a_change_against_a_nearly_empty_time_before_is_not_told(before, now, words):
    figure = Figure(
        "new_leads", now, now, {}, before=before, change=now - before, relative=(now - before) / before, before_cases=before
    )
    assert change_text(READER, figure) == words


def test_names_that_mean_harm_do_not_break_out_of_a_calendar_file():
    """A visitor of a booking page writes their own name; so does whoever names a meeting."""
    evil = '=1+1 "q"; a,b:c\r\nATTENDEE:mailto:evil@example.com مرحبا 😀 ' + "long " * 50
    meeting = Meeting(1, evil, datetime(2026, 12, 1, 10, tzinfo=UTC), 30, evil, evil, "host@example.com")
    guest = Guest(evil, "guest@example.com")
    made = file_of(meeting, guest, method=REQUEST, place="here", sequence=1, changed=datetime(2026, 11, 26, tzinfo=UTC))
    event = Calendar.from_ical(made).walk("VEVENT")[0]
    assert str(event["attendee"]) == "MAILTO:guest@example.com" and event["attendee"].params["CN"].startswith(
        "=1+1 ”q”; a,b:c ATTENDEE"
    )
    assert str(event["summary"]).startswith('=1+1 "q"; a,b:c') and "😀" in str(event["summary"])


@pytest.mark.parametrize(
    "raw, kept",
    [
        (" a\r\n b\tc ", "a b c"),
        ("a  b", "a  b"),
        ("Zeile 1\u2028Zeile 2", "Zeile 1 Zeile 2"),
        ("👩\u200d👧  x", "👩\u200d👧  x"),
        ("\n", ""),
    ],
)
def test_what_is_meant_for_one_line_holds_no_break(raw, kept):
    assert one_line(raw) == kept


@pytest.mark.parametrize(
    "first, last, words",
    [
        (date(2026, 11, 23), date(2026, 11, 29), "Nov 23 – 29, 2026"),
        (date(2026, 11, 30), date(2026, 12, 6), "Nov 30 – Dec 6, 2026"),
        (date(2026, 12, 28), date(2027, 1, 3), "Dec 28, 2026 – Jan 3, 2027"),
        (date(2026, 11, 23), date(2026, 11, 23), "Nov 23, 2026"),
    ],
)
def test_days_from_one_to_another_say_month_and_year_once(first, last, words):
    assert days(READER, first, last) == words


@pytest.mark.parametrize("locale, order", [("en_US", "{month} {day}"), ("en_GB", "{day} {month}")])
def test_a_day_without_its_year_keeps_the_order_of_the_reader(locale, order):
    reader = SimpleNamespace(**{**vars(READER), "locale": locale})
    today = clock.today("UTC")
    assert short_day(reader, today) == order.format(day=today.day, month=format_date(today, "MMM", locale=locale))


def test_amounts_beneath_each_other_show_their_cents_when_one_has_any():
    def column(*amounts):
        decimals = with_cents(READER, amounts)
        return [money(READER, amount, decimals=decimals) for amount in amounts]

    assert column(3000, 1510, None, "•••") == ["$30.00", "$15.10", "–", "•••"]
    assert column(3000, 1500, None) == ["$30", "$15", "–"]


@pytest.mark.parametrize(
    "locale, count, index, rows",
    [("en_US", "12,345", "−0.58", "1 row"), ("de_DE", "12.345", "−0,58", "1 row"), ("de_CH", "12’345", "−0.58", "1 row"), ("sv_SE", "12\xa0345", "−0,58", "1 row")],
)  # fmt: skip
def test_counts_and_decimals_in_sentences_are_those_of_the_reader(locale, count, index, rows):
    def reads():
        numerals.read_in(locale)
        return written(12_345), written(-0.58, ".2f").replace("-", "−"), plural(1, "row"), plural(12_345, "row")

    assert copy_context().run(reads) == (count, index, rows, f"{count} rows")
    assert written(12_345) == "12,345"  # nobody else's thread learns of it


@pytest.mark.parametrize("locale", LOCALES)
def test_a_count_in_a_sentence_looks_like_one_in_a_table(locale):
    def reads():
        numerals.read_in(locale)
        return written(9_876_543), written(1_234.5, ",.1f")

    assert copy_context().run(reads) == (numerals.integer(9_876_543, locale), numerals.decimal(1_234.5, locale))


def test_kept_sentences_are_read_in_the_format_of_their_reader():
    kept = "On 1,234 later cases 2.5 times as often (AUC 0.81, 0.79-0.83; a coin has .50), up to 2026-11-01. Of “Pack 1,000 v1.5” version 1.2.3: 63%."
    assert numerals.as_read(kept, "en_US") == kept.replace("2026-11-01", "Nov 1, 2026")
    assert numerals.as_read(kept, "de_DE") == (
        "On 1.234 later cases 2,5 times as often (AUC 0,81, 0,79-0,83; a coin has ,50), up to 01.11.2026. Of “Pack 1,000 v1.5” version 1.2.3: 63%."
    )
