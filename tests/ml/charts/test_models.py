"""Figures for forecasts, lifetime, scores and churn say what their tables say."""

import numpy as np
import pandas as pd
import pytest

from ml import synthetic
from ml.charts import churn as churn_charts
from ml.charts import forecast as forecast_charts
from ml.charts import lead_score as score_charts
from ml.charts import lifetime as lifetime_charts
from ml.churn import cohort_retention, kaplan_meier
from ml.forecast import forecast, reconcile
from ml.lead_score import fit_score
from ml.lifetime import customer_value, fit_bgnbd, fit_pareto_nbd, fit_spend, holdout_report, summary


@pytest.fixture(scope="module")
def company():
    return synthetic.company("medium", 1)


@pytest.fixture(scope="module")
def sales(company):
    return forecast(company.sales, horizon=30, methods=("theta", "ets", "seasonal_naive"))


@pytest.fixture(scope="module")
def report(company):
    return holdout_report(company.orders, "2024-06-30", as_of="2025-01-01")


@pytest.fixture(scope="module")
def score(company):
    return fit_score(company.leads, outcome="converted", at="at", id="lead_id", spend="spend")


@pytest.fixture(scope="module")
def refused(company):
    noise = synthetic.shuffled(company.leads, "converted").drop(columns="spend")
    return fit_score(noise, outcome="converted", at="at", id="lead_id")


def sentence(fig):
    return fig.layout.annotations[0].text


def test_the_forecast_continues_the_history_inside_its_band(sales):
    fig = forecast_charts.forecast_line(sales, y="EUR per day", history=60)
    seen, expected, band = fig.data
    assert len(seen.x) == 60 and len(expected.x) == 31
    assert seen.x[-1] == expected.x[0] and seen.y[-1] == expected.y[0]
    assert max(band.y) == sales.forecast["high"].max() and min(band.y) == sales.forecast["low"].min()
    assert fig.layout.yaxis.title.text == "EUR per day"
    assert "Theta" in expected.name or "Exponential" in expected.name


def test_every_rehearsal_is_drawn_and_named_once(sales):
    fig = forecast_charts.rehearsal_line(sales)
    assert len(fig.data) == 1 + sales.backtest["origin"].nunique()
    assert sum(trace.showlegend is not False for trace in fig.data[1:]) == 1


def test_the_accuracy_bars_have_the_best_method_on_top_and_marked(sales):
    bar = forecast_charts.accuracy_bar(sales).data[0]
    assert bar.x[-1] == min(bar.x) == sales.accuracy["mase"].min()
    assert bar.marker.color[-1] != bar.marker.color[0]
    assert min(bar.error_x.arrayminus) >= 0 and min(bar.error_x.array) >= 0


def test_coverage_stands_beside_the_level_that_was_promised(sales):
    fig = forecast_charts.coverage_points(sales)
    assert [trace.name for trace in fig.data] == ["Own interval", "Calibrated"]
    assert fig.layout.shapes[0].x0 == sales.level


def test_stacked_parts_reach_the_total(sales):
    table = reconcile({"a": sales, "b": sales})
    fig = forecast_charts.reconciled_area(table)
    stacked = [trace for trace in fig.data if trace.stackgroup]
    total = table[table["unique_id"] == "total"]["yhat"]
    assert np.allclose(np.sum([trace.y for trace in stacked], axis=0), total)
    assert "no parts" in sentence(forecast_charts.reconciled_area(table.head(0)))


def test_tracking_shows_what_happened_and_where_the_model_stopped_looking(report):
    fig = lifetime_charts.tracking_line(report)
    assert fig.data[0].y[-1] == report.tracking["actual"].iloc[-1]
    assert fig.data[1].name == f"Expected ({report.tracked})"
    assert pd.Timestamp(fig.layout.shapes[0].x0) == pd.Timestamp("2024-06-30")


def test_purchases_by_frequency_have_a_bar_per_method(report):
    fig = lifetime_charts.frequency_bar(report)
    assert fig.data[0].name == "Happened"
    assert len(fig.data) == len(report.by_frequency.columns) - 2
    assert fig.data[0].x[-1].endswith("+")


def test_the_totals_stand_beside_what_happened(report):
    fig = lifetime_charts.totals_bar(report)
    assert set(fig.data[0].y) == set(report.totals["method"])
    assert fig.layout.shapes[0].x0 == report.actual


def test_silence_lowers_what_is_expected(company):
    fit = fit_pareto_nbd(summary(company.orders, as_of=synthetic.END))
    z = np.array(lifetime_charts.purchase_heatmap(fit, age=100, periods=26).data[0].z)
    assert (np.diff(z, axis=1) <= 1e-12).all()
    chance = np.array(lifetime_charts.purchase_heatmap(fit, age=100, periods=26, chance=True).data[0].z)
    assert chance.max() <= 1


def test_the_value_curve_ends_at_everything(company):
    table = summary(company.orders, as_of=synthetic.END)
    values = customer_value(fit_bgnbd(table), fit_spend(table), table)
    curve = lifetime_charts.value_line(values).data[0]
    assert curve.x[-1] == 1 and curve.y[-1] == pytest.approx(1)
    assert (np.array(curve.y) >= np.array(curve.x) - 1e-9).all()
    assert "No customer" in sentence(lifetime_charts.value_line(values.head(0)))


def test_score_figures_read_the_judged_rows(score):
    assert len(score_charts.score_calibration_line(score).data[0].x) == len(score.calibration)
    assert score_charts.score_gain_line(score).data[0].y[-1] == pytest.approx(1)


def test_coefficients_and_contributions_have_the_strongest_on_top(score, company):
    bar = score_charts.coefficients_bar(score, top=5).data[0]
    assert bar.y[-1] == score.coefficients["term"].iloc[0] and len(bar.y) == 5
    reasons = score.score(company.leads.head(1))["contributions"].iloc[0]
    shown = score_charts.contributions_bar(reasons).data[0]
    assert shown.x[-1] == reasons[0]["log_odds"]
    assert shown.y[-1].startswith(reasons[0]["field"])


def test_a_refused_score_has_nothing_to_explain(refused, company):
    assert "base rate" in sentence(score_charts.coefficients_bar(refused))
    reasons = refused.score(company.leads.head(1))["contributions"].iloc[0]
    assert "base rate" in sentence(score_charts.contributions_bar(reasons))


def test_drift_has_its_limits_drawn(score):
    fig = score_charts.drift_bar(score)
    assert [shape.x0 for shape in fig.layout.shapes] == [0.1, 0.25]
    assert set(fig.data[0].y) == set(score.drift["field"].astype(str))


def test_survival_has_a_step_line_and_a_band_per_group():
    curve = kaplan_meier([1, 2, 3, 4, 5, 6], [1, 1, 0, 1, 1, 0], groups=list("aaabbb"))
    fig = churn_charts.survival_line(curve, unit="weeks")
    lines = [trace for trace in fig.data if trace.name]
    assert [trace.name for trace in lines] == ["a", "b"]
    assert all(trace.line.shape == "hv" for trace in lines)
    assert len(fig.data) == 4 and "weeks" in fig.layout.xaxis.title.text
    assert "no tenure" in sentence(churn_charts.survival_line(pd.DataFrame()))


def test_the_retention_triangle_has_a_row_per_cohort_and_empty_corners(company):
    table = cohort_retention(company.orders, as_of=synthetic.END, at="ordered_at", period="quarter")
    fig = churn_charts.retention_heatmap(table, period="quarter")
    z = np.array(fig.data[0].z, dtype=float)
    assert z.shape == (11, 11)
    assert np.isnan(z[0, 1]) and not np.isnan(z[-1]).any()
    assert fig.data[0].y[-1].startswith("Jan 2022")
    assert "older than one month" in sentence(churn_charts.retention_heatmap(table[table["age"] == 0]))
