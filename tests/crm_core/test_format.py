"""Values as people read them: text of strangers made harmless, and changes that are none."""

from types import SimpleNamespace

import pytest

from crm_core.format import md
from crm_core.services.analytics.wording import change_text
from crm_core.vocabulary import MetricUnit

READER = SimpleNamespace(locale="en_US", currency="USD", timezone="UTC")


@pytest.mark.parametrize(
    "text, made",
    [
        ("**b** [l](u) $x$", r"\*\*b\*\* \[l\]\(u\) \$x\$"),
        (":material/bug: a -> b", "\\:\u2060material/bug\\: a \\-\u2060\\> b"),
        ("See https://evil.example", "See https\\://\u2060evil\\.example"),
        ("HTTP://e.example www.e.example", "HTTP\\://\u2060e\\.example www\u2060\\.e\\.example"),
        ("wwwhat https", "wwwhat https"),
        ("\u202egnp.exe\nx", "gnp\\.exe x"),
        ("שלום", "\u2068שלום\u2069"),
    ],
)
def test_text_of_people_is_read_letter_by_letter_and_leads_nowhere(text, made):
    assert md(text) == made


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
    figure = SimpleNamespace(metric=SimpleNamespace(unit=unit), change=change, relative=relative)
    assert change_text(READER, figure) == words
