"""What the overview's figures say."""

import json

import pandas as pd
import plotly.graph_objects as go
import pytest

from ml.charts import overview
from ml.errors import DataError


def trend(**more):
    return pd.DataFrame(
        {
            "label": ["Jan", "Feb", "Mar"],
            "value": [10.0, 0.0, 5.0],
            "text": ["$10", "$0", "$5"],
            "complete": [True, True, False],
            **more,
        }
    )


def parts():
    return pd.DataFrame(
        {
            "label": ["Alpha", "<a href='http://x'>Beta</a>", "Alpha"],
            "value": [0.6, 0.5, None],
            "low": [0.5, 0.2, None],
            "high": [0.7, 0.8, None],
            "text": ["60%", "50%", "–"],
            "hover": ["6 of 10", "1 of 2", "0 of 0"],
        }
    )


def test_a_trend_shows_its_values_the_line_before_and_the_unfinished_step_paler():
    fig = overview.trend_bars(
        trend(before=[1.0, 2.0, 3.0], before_text=["$1", "$2", "$3"], before_label=["a", "b", "c"]),
        y="USD",
        name="2026",
        before_name="2025",
    )
    bars, line = fig.data
    assert (list(bars.x), list(bars.y), bars.name) == (["Jan", "Feb", "Mar"], [10, 0, 5], "2026")
    assert list(bars.marker.opacity) == [1, 1, 0.45]
    assert (list(line.y), line.name) == ([1, 2, 3], "2025")
    assert fig.layout.yaxis.title.text == "USD"
    assert fig.layout.showlegend


def test_a_trend_without_comparison_needs_no_legend():
    fig = overview.trend_bars(trend(), y="USD")
    assert len(fig.data) == 1
    assert not fig.layout.showlegend


@pytest.mark.parametrize("frame", [trend().iloc[:0], trend(value=[0.0, 0.0, None])])
def test_a_trend_of_nothing_says_so(frame):
    fig = overview.trend_bars(frame, y="USD", nothing="No deal was won.")
    assert (len(fig.data), fig.layout.annotations[0].text) == (0, "No deal was won.")


def test_groups_keep_their_order_and_same_names_stay_apart():
    fig = overview.part_bars(parts().assign(value=[6.0, 5.0, 4.0]), x="USD")
    bars = fig.data[0]
    assert list(bars.x) == [6, 5, 4]
    assert len(set(bars.y)) == 3
    assert fig.layout.yaxis.autorange == "reversed"
    assert fig.layout.xaxis.title.text == "USD"
    assert fig.layout.xaxis.range[1] > 6


def euros(value, short):
    return f"{'-' * (value < 0)}€{overview.style.in_english(abs(value), short)}"


def test_amounts_of_an_axis_are_written_as_figures_write_them():
    fig = overview.part_bars(parts().assign(value=[136_000.0, 92_000.0, 15_000.0]), x="EUR", written=euros)
    assert list(fig.layout.xaxis.ticktext) == ["€0", "€50K", "€100K", "€150K"]
    fig = overview.trend_bars(trend(value=[-1_500_000.0, 0.0, 2_000_000.0]), y="EUR", written=euros)
    assert list(fig.layout.yaxis.ticktext) == ["-€1M", "€0", "€1M", "€2M"]
    fig = overview.trend_bars(trend(value=[900.0, 0.0, 2_000.0]), y="EUR", written=euros)
    assert list(fig.layout.yaxis.ticktext) == ["€0", "€500", "€1,000", "€1,500", "€2,000"]


def test_names_cannot_smuggle_tags_into_a_figure():
    for fig in (overview.part_bars(parts().assign(value=1.0), x="USD"), overview.rate_dots(parts(), x="Win rate")):
        assert "<" not in "".join(fig.data[0].y)
        assert "&lt;a href" in fig.data[0].y[1]


def test_rates_carry_their_intervals_and_the_common_rate():
    fig = overview.rate_dots(parts(), x="Win rate", overall=0.55)
    dots = fig.data[0]
    assert list(dots.x) == [0.6, 0.5]
    assert list(dots.error_x.array) == pytest.approx([0.1, 0.3])
    assert list(dots.error_x.arrayminus) == pytest.approx([0.1, 0.3])
    assert fig.layout.shapes[0].x0 == 0.55
    assert fig.layout.xaxis.tickformat == ".0%"


def test_empty_groups_give_an_empty_figure_with_a_sentence():
    assert overview.part_bars(parts().iloc[:0], x="USD", nothing="None yet.").layout.annotations[0].text == "None yet."
    assert overview.rate_dots(parts().iloc[2:], x="Rate", nothing="None yet.").layout.annotations[0].text == "None yet."


def drawn():
    before = {"before": [1.0, None, 3.0], "before_text": ["$1", "–", "$3"], "before_label": ["a", "b", "c"]}
    yield overview.trend_bars(trend(value=[-20_000.0, None, 5.0], **before), y="USD", before_name="2025")
    yield overview.trend_bars(trend(), y="Share", tickformat=".0%")
    yield overview.trend_bars(trend().iloc[:0], y="USD")
    yield overview.part_bars(parts(), x="USD")
    yield overview.part_bars(parts(), x="Share", tickformat=".0%")
    yield overview.rate_dots(parts(), x="Win rate", overall=0.55)


@pytest.mark.parametrize("fig", drawn())
def test_what_plotly_does_not_check_while_drawing_is_right_when_it_is_checked(fig):
    said = json.loads(fig.to_json())
    assert json.loads(go.Figure(said).to_json()) == said


def test_figures_share_nothing():
    fig = overview.part_bars(parts(), x="USD")
    fig.update_layout(template={"layout": {"font": {"size": 99}}}, height=999).update_xaxes(title_text="Other")
    assert (fig.layout.height, fig.layout.xaxis.title.text) == (999, "Other")
    assert overview.part_bars(parts(), x="USD").layout.template.layout.font.size == 13


def test_a_frame_without_the_needed_columns_is_refused():
    for draw in (
        lambda f: overview.trend_bars(f, y="USD"),
        lambda f: overview.part_bars(f, x="USD"),
        lambda f: overview.rate_dots(f, x="Rate"),
    ):
        with pytest.raises(DataError, match="needs"):
            draw(pd.DataFrame({"label": ["a"]}))


def test_the_names_of_few_steps_stand_below_a_trend_in_two_lines_the_last_one_among_them():
    labels = [f"{month} 2026" for month in ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]]
    frame = pd.DataFrame({"label": labels, "value": 1.0, "text": "$1", "complete": True})
    axis = overview.trend_bars(frame, y="USD").layout.xaxis
    assert list(axis.tickvals) == labels[1::2]
    assert axis.ticktext[-1] == "Dec<br>2026"
