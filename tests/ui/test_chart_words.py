"""Charts speak the language of the reader's locale."""

from dataclasses import replace

import pandas as pd
import pytest

from crm_core.services.admin.organisation import LOCALES
from ml.charts import churn, overview
from ui.components import chart_words


def test_axes_in_german_write_amounts_as_german_does(cast):
    written = chart_words.axis_words(replace(cast["alice"], locale="de_DE", currency="EUR"), money=True)
    frame = pd.DataFrame({"label": ["a", "b"], "value": [9_000.0, 46_000.0], "text": "", "complete": True})
    axis = overview.trend_bars(frame, y="EUR", written=written).layout.yaxis
    assert [one.replace("\xa0", " ") for one in axis.ticktext][:2] == ["0 €", "10.000 €"]
    axis = overview.trend_bars(frame.assign(value=[1e6, 4.2e6]), y="EUR", written=written).layout.yaxis
    assert [one.replace("\xa0", " ") for one in axis.ticktext][1:3] == ["1 Mio. €", "2 Mio. €"]


@pytest.mark.parametrize(("locale", "ticks"), [("en_US", ["0", "20K", "40K"]), ("de_DE", ["0", "20.000", "40.000"])])
def test_axes_of_numbers_have_no_sign(cast, locale, ticks):
    written = chart_words.axis_words(replace(cast["alice"], locale=locale), money=False)
    assert [written(value, True) for value in (0.0, 20_000.0, 40_000.0)] == ticks


def test_plotly_gets_names_and_signs_of_the_locale():
    german = chart_words.of("de_DE")["format"]
    assert german["shortDays"][:2] == ["So.", "Mo."] and german["shortMonths"][2] == "März" and german["months"][11] == "Dezember"
    assert (german["decimal"], german["thousands"], german["date"]) == (",", ".", "%d.%m.%Y")
    assert chart_words.of("en_US")["format"]["date"] == "%b %-d, %Y"
    for locale in LOCALES:
        assert "%" in chart_words.of(locale)["format"]["dayMonth"]


def test_cohorts_are_named_in_the_months_they_are_given():
    table = pd.DataFrame(
        {"cohort": pd.to_datetime(["2026-03-01"] * 2), "age": [0, 1], "customers": 10, "active": [10, 4], "retention": [1.0, 0.4]}
    )
    months = tuple(chart_words.of("de_DE")["format"]["shortMonths"])
    assert churn.retention_heatmap(table, months=months).data[0].y[0].startswith("März 2026")
