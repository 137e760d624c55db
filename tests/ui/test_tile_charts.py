"""The axes of charts in tiles, in the words of their reader."""

from dataclasses import replace

import pytest

from crm_core.services.analytics.breakdowns import Part
from crm_core.services.analytics.pivots import Cell, Pivot
from crm_core.vocabulary import FieldKind, TileChart
from ui.components.tile_charts import by_group, of_pivot


def axis(actor, *amounts, metric="open_pipeline"):
    """The labels of an axis, which lie on it step by step."""
    parts = [Part(n, f"Group {n}", amount, 30, {}) for n, amount in enumerate(amounts)]
    return labels_of(by_group(actor, metric, parts, TileChart.BARS)["xAxis"])


def labels_of(axes):
    values, words = axes
    assert round((values["max"] - values["min"]) / values["interval"]) == len(words["data"]) - 1
    return words["data"]


@pytest.mark.parametrize(
    ("locale", "currency", "amounts", "labels"),
    [
        ("en_US", "USD", (9_000_000, 0), ["$0", "$25K", "$50K", "$75K", "$100K"]),
        ("en_US", "USD", (9_000_000, -4_000_000), ["-$50K", "$0", "$50K", "$100K"]),
        ("de_DE", "EUR", (9_000_000, 0), ["0\xa0€", "25.000\xa0€", "50.000\xa0€", "75.000\xa0€", "100.000\xa0€"]),
        ("de_DE", "EUR", (900_00, 0), ["0\xa0€", "250\xa0€", "500\xa0€", "750\xa0€", "1.000\xa0€"]),
        ("de_DE", "EUR", (900_000_000,), ["0\xa0€", "2,5\xa0Mio.\xa0€", "5\xa0Mio.\xa0€", "7,5\xa0Mio.\xa0€", "10\xa0Mio.\xa0€"]),
    ],
)
def test_an_axis_speaks_the_language_of_the_reader(cast, locale, currency, amounts, labels):
    """ECharts would group thousands by commas, which are decimals in German."""
    assert axis(replace(cast["alice"], locale=locale, currency=currency), *amounts) == labels


@pytest.mark.parametrize(
    ("metric", "value", "labels"),
    [
        ("open_tickets", 999, ["0", "250", "500", "750", "1.000"]),
        ("open_tickets", 3, ["0", "1", "2", "3"]),
        ("first_response", 9_000, ["0 h", "1 h", "2 h", "3 h"]),
        ("first_response", 3_600, ["0 h", "0,25 h", "0,5 h", "0,75 h", "1 h"]),
        ("sales_cycle", 9.5, ["0 d", "2,5 d", "5 d", "7,5 d", "10 d"]),
        ("campaign_return", 15, ["0%", "500%", "1.000%", "1.500%"]),
        ("win_rate", 0.2, ["0%", "25%", "50%", "75%", "100%"]),
        ("win_rate", None, ["0%", "25%", "50%", "75%", "100%"]),
        ("open_tickets", None, ["0", "1"]),
    ],
)
def test_every_unit_has_its_labels(cast, metric, value, labels):
    assert axis(replace(cast["alice"], locale="de_DE"), value, metric=metric) == labels


def test_the_axis_of_stacked_bars_reaches_to_what_they_add_up_to(cast):
    german = replace(cast["alice"], locale="de_DE", currency="EUR")
    cells = tuple(Cell(400_00, 1, {}) for _ in range(3))
    pivot = Pivot(
        "X",
        FieldKind.MONEY,
        ("a",),
        ("1", "2", "3"),
        (cells,),
        (Cell(1_200_00, 3, {}),),
        cells,
        Cell(1_200_00, 3, {}),
        "Row",
        "Column",
    )
    last = [labels_of(of_pivot(german, pivot, chart)["xAxis"])[-1] for chart in (TileChart.STACKED, TileChart.BARS)]
    assert last == ["1.500\xa0€", "400\xa0€"]
