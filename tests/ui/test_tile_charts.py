"""The axes of charts in tiles: short where they can be, and never a letter behind nought."""

from dataclasses import replace

import pytest

from crm_core.services.analytics.breakdowns import Part
from crm_core.services.analytics.pivots import Cell, Pivot
from crm_core.vocabulary import FieldKind, TileChart
from ui.components.tile_charts import by_group, of_pivot


def axis(actor, *amounts):
    parts = [Part(n, f"Group {n}", amount, 30, {}) for n, amount in enumerate(amounts)]
    return by_group(actor, "open_pipeline", parts, TileChart.BARS)["xAxis"]["axisLabel"]


def test_an_axis_in_thousands_does_not_write_nought_with_their_letter(cast):
    label = axis(cast["alice"], 9_000_000, 0)
    assert label["formatter"].endswith("{value}K") and not label["showMinLabel"]


@pytest.mark.parametrize("amounts", [(900_00, 0), (9_000_000, -4_000_000)])
def test_an_axis_with_small_amounts_or_with_nought_in_its_middle_is_written_in_full(cast, amounts):
    label = axis(cast["alice"], *amounts)
    assert label["formatter"].endswith("{value}") and label["showMinLabel"]


def test_an_axis_speaks_the_language_of_the_reader(cast):
    """ECharts groups thousands by commas, which are decimals in German: no label may reach a thousand or have decimals there."""
    german = replace(cast["alice"], locale="de_DE", currency="EUR")
    assert axis(german, 9_000_000, 0)["formatter"] == "{value} Tsd.\xa0€"
    assert axis(german, 150_000, -100_000)["formatter"] == "{value} Tsd.\xa0€"
    assert axis(german, 900_000_000)["formatter"] == "{value}\xa0Mio.\xa0€"
    parts = [Part(1, "Group", 300_000_000, 30, {})]
    assert by_group(german, "open_pipeline", parts, TileChart.BARS)["xAxis"]["minInterval"] == 1


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
    labels = [of_pivot(german, pivot, chart)["xAxis"]["axisLabel"]["formatter"] for chart in (TileChart.STACKED, TileChart.BARS)]
    assert labels == ["{value} Tsd.\xa0€", "{value}\xa0€"]
