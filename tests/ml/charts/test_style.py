"""The common look: transparent, zero margins, no colour that dark mode could not replace."""

import re
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from ml.charts import style

CHARTS = Path(style.__file__).parent


def test_a_figure_is_transparent_without_x_grid_and_almost_without_margins():
    layout = style.figure(go.Bar(x=[1], y=[2]), x="Month", y="Revenue (EUR)").layout
    assert layout.template.layout.paper_bgcolor == layout.template.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert layout.template.layout.xaxis.showgrid is False
    assert max(layout.template.layout.margin.to_plotly_json().values()) <= 8
    assert (layout.xaxis.title.text, layout.yaxis.title.text) == ("Month", "Revenue (EUR)")


def test_the_colourway_has_the_ten_colours_that_the_app_asks_for():
    assert len(set(style.TEMPLATE.layout.colorway)) == 10


def test_a_legend_is_shown_for_several_named_traces_only():
    assert style.figure(go.Bar(name="a"), go.Bar(name="b")).layout.showlegend
    assert not style.figure(go.Bar(name="a")).layout.showlegend
    assert style.figure(go.Bar(name="a"), legend=True).layout.showlegend


def test_an_empty_figure_says_why():
    fig = style.empty("No orders yet.")
    assert [note.text for note in fig.layout.annotations] == ["No orders yet."]
    assert fig.layout.xaxis.visible is False
    assert not fig.data


def test_tones_and_scales_are_half_transparent_so_that_both_themes_show():
    for name in ("muted", "line", "band", "good", "bad", "warn", "accent"):
        assert style.tone(name).startswith("rgba(")
    for scale in (style.sequential(), style.diverging()):
        assert all(str(colour).startswith("rgba(") for _, colour in scale)


def test_cells_are_labelled_by_annotations_in_the_themes_text_colour():
    fig = style.label_cells(style.figure(), ["a", "b"], ["x"], [["1", "2"]])
    assert [(note.x, note.y, note.text, note.font.color) for note in fig.layout.annotations] == [
        ("a", "x", "1", None),
        ("b", "x", "2", None),
    ]


@pytest.mark.parametrize("path", sorted(CHARTS.glob("*.py")), ids=lambda path: path.name)
def test_no_chart_fixes_a_colour_in_hex(path):
    if path.name != "style.py":
        assert not re.findall(r"#[0-9a-fA-F]{6}\b", path.read_text(encoding="utf-8"))


def test_names_are_read_letter_by_letter_and_lines_of_ours_stay_lines():
    evil = '<a href="http://e">x</a> & <b>y</b>'
    shown = '&lt;a href="http://e">x&lt;/a> & &lt;b>y&lt;/b>'
    bar = go.Bar(x=[1.0, 2.0], y=[evil, "Group 1<br>20%"], text=np.array([evil, "b"]), customdata=[[evil, 3], ["c", 4]], name=evil)
    drawn = style.figure(bar).data[0]
    assert list(drawn.y) == [shown, "Group 1<br>20%"] and drawn.text[0] == shown and drawn.name == shown
    assert drawn.customdata[0][0] == shown and drawn.customdata[1][1] == 4 and list(drawn.x) == [1.0, 2.0]
