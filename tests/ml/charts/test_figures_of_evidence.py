"""Figures for key figures and for evaluation say what their tables say."""

import numpy as np
import pandas as pd
import pytest

from ml import synthetic
from ml.charts import evaluation as evaluation_charts
from ml.charts import kpis as kpi_charts
from ml.evaluation import calibration_table, lift_table, uplift
from ml.kpis import funnel, rate, rates_by, xmr


@pytest.fixture(scope="module")
def leads():
    return synthetic.company("small", 1).leads


def test_xmr_marks_signals_only():
    series = synthetic.white_noise(40, 1)
    series.loc[39, "y"] = 200
    chart = xmr(series, baseline=30)
    fig = kpi_charts.xmr_line(chart, y="Orders")
    marked = dict(zip(fig.data[1].x, fig.data[1].y, strict=True))
    assert marked[fig.data[0].x[39]] == 200
    assert len(marked) == (chart.table["signal"] != "").sum()
    assert fig.layout.yaxis.title.text == "Orders"
    assert {chart.lower, chart.upper} <= {value for s in fig.layout.shapes for value in (s.y0, s.y1)}


def test_xmr_without_signals_has_one_trace():
    assert len(kpi_charts.xmr_line(xmr(pd.Series([1.0, 2.0, 1.0, 2.0])), tickformat=".0%").data) == 1


def test_the_funnel_holds_every_group_inside_or_outside_its_limits(leads):
    found = funnel(leads, by="source", success="converted")
    fig = kpi_charts.funnel_scatter(found, y="Conversion rate")
    groups = next(trace for trace in fig.data if trace.name == "Groups")
    assert dict(zip(groups.text, groups.y, strict=True)) == dict(zip(found.table["group"], found.table["rate"], strict=True))
    high = next(trace for trace in fig.data if trace.name == "99.8% limits" and trace.y[0] > found.overall.value)
    assert min(high.x) <= min(groups.x) <= max(groups.x) <= max(high.x)
    assert (np.diff(high.y) <= 0).all()


def test_rates_carry_wilson_intervals(leads):
    table = rates_by(leads, by="source", success="converted")
    fig = kpi_charts.rates_points(table)
    low = dict(zip(fig.data[0].y, fig.data[0].x - fig.data[0].error_x.arrayminus, strict=True))
    assert low == pytest.approx(dict(zip(table["group"], table["low"], strict=True)))
    assert "no groups" in kpi_charts.rates_points(table.iloc[:0]).layout.annotations[0].text


def test_calibration_and_gain_draw_their_tables(leads):
    p = (1 + leads["pages_viewed"]) / (2 + leads["pages_viewed"].max())
    calibration, lift = calibration_table(leads["converted"], p), lift_table(leads["converted"], p)
    fig = evaluation_charts.calibration_line(calibration)
    assert list(fig.data[0].x) == list(calibration["predicted"])
    assert list(fig.data[0].y) == list(calibration["observed"])
    fig = evaluation_charts.gain_line(lift)
    assert (fig.data[0].x[0], fig.data[0].y[0], fig.data[0].y[-1]) == (0, 0, 1)
    assert evaluation_charts.calibration_line(calibration.iloc[:0]).layout.annotations[0].text
    assert evaluation_charts.gain_line(lift.iloc[:0]).layout.annotations[0].text


@pytest.mark.parametrize(("share", "format_"), [(True, ".1%"), (False, ",.2f")])
def test_uplift_is_drawn_with_its_interval_beside_zero(share, format_):
    result = uplift(rate(60, 500), rate(40, 500))
    fig = evaluation_charts.uplift_points(result, share=share)
    point = fig.data[0]
    assert point.x[0] - point.error_x.arrayminus[0] == pytest.approx(result.low)
    assert point.x[0] + point.error_x.array[0] == pytest.approx(result.high)
    assert fig.layout.xaxis.tickformat == format_
    assert 0 in {shape.x0 for shape in fig.layout.shapes}
