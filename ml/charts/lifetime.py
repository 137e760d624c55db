"""Figures for `ml.lifetime`: was the model right, what does it say about whom, and who carries the value."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ml.charts import style
from ml.lifetime import HoldoutReport, LifetimeFit, RfmRegression, expected_purchases, probability_purchase

Model = LifetimeFit | RfmRegression


def tracking_line(report: HoldoutReport) -> go.Figure:
    """Repeat purchases so far, as they happened and as the model expected; right of the line it saw nothing."""
    table = report.tracking
    if table.empty:
        return style.empty("The history is shorter than one period.")
    ends = table["ends_at"].dt.tz_localize(None)
    traces = [go.Scatter(x=ends, y=table["actual"], mode="lines", name="Happened")]
    if "expected" in table:
        line = {"dash": "dash"}
        traces.append(go.Scatter(x=ends, y=table["expected"], mode="lines", name=f"Expected ({report.tracked})", line=line))
    fig = style.figure(*traces, y="Repeat purchases since the beginning")
    fig.add_vline(x=report.split_at.tz_localize(None), line={"color": style.tone("accent"), "dash": "dot", "width": 1})
    fig.update_traces(hovertemplate="%{x|%x}: %{y:,.0f}<extra>%{fullData.name}</extra>")
    return fig


def frequency_bar(report: HoldoutReport, *, months: Sequence[str] = style.MONTHS) -> go.Figure:
    """Purchases per customer in the hold-out by repeat purchases before it: happened, and by each model. ``months``: their names."""
    table = report.by_frequency
    names = [column for column in table.columns if column not in ("x", "customers")]
    labels = [f"{x}" if x < table["x"].max() else f"{x}+" for x in table["x"]]
    traces = [
        go.Bar(
            x=labels,
            y=table[name],
            name="Happened" if name == "actual" else name,
            customdata=table["customers"],
            hovertemplate="%{x} before: %{y:.2f} per customer (%{customdata:,} customers)<extra>%{fullData.name}</extra>",
        )
        for name in names
    ]
    x = f"Repeat purchases before {report.split_at.day} {style.month(report.split_at, months)}"
    return style.figure(*traces, x=x, y="Purchases per customer", barmode="group")


def totals_bar(report: HoldoutReport) -> go.Figure:
    """What each method expected of the hold-out, against what happened (the line)."""
    table = report.totals.iloc[::-1]
    trace = go.Bar(
        x=table["predicted"],
        y=table["method"],
        orientation="h",
        customdata=table[["error", "mae"]],
        hovertemplate="%{y}: %{x:,.0f} (%{customdata[0]:+.0%}; per customer off by %{customdata[1]:.2f})<extra></extra>",
    )
    fig = style.figure(trace, x=f"Repeat purchases expected in {report.periods:g} {report.unit}s", height=80 + 36 * len(table))
    fig.add_vline(x=report.actual, line={"color": style.tone("accent"), "width": 2})
    fig.update_yaxes(showgrid=False)
    return fig


def purchase_heatmap(fit: Model, *, age: float, periods: float, most: int = 12, chance: bool = False, steps: int = 40) -> go.Figure:
    """Expected purchases (or P(purchase)) by repeat purchases and silence, for customers of one age.

    Parameters
    ----------
    age
        Since the first purchase, in the fit's unit.
    periods
        How far ahead.
    most
        Largest number of repeat purchases shown.
    chance
        Show the probability of at least one purchase instead.
    """
    silence = np.linspace(0, age, steps + 1)[:-1]
    x = np.arange(1, most + 1)
    grid = pd.DataFrame([{"x": float(n), "t_x": age - s, "T": age} for n in x for s in silence])
    read = probability_purchase if chance else expected_purchases
    values = read(fit, grid, periods).to_numpy().reshape(len(x), len(silence))
    trace = go.Heatmap(
        x=silence,
        y=x,
        z=values,
        colorscale=style.sequential(),
        colorbar={"title": {"text": "P(purchase)" if chance else "Purchases"}, "thickness": 10},
        hovertemplate="%{y} repeat purchases, silent for %{x:.0f}: %{z:.2f}<extra></extra>",
    )
    return style.figure(trace, x=f"Silent for ({fit.unit}s)", y="Repeat purchases")


def value_line(values: pd.DataFrame) -> go.Figure:
    """How the expected value is spread: the best customers first.

    Parameters
    ----------
    values
        From `ml.lifetime.customer_value`.
    """
    worth = np.sort(values["value"].to_numpy(dtype=float))[::-1] if len(values) else np.zeros(0)
    if len(worth) == 0 or worth.sum() <= 0:
        return style.empty("No customer has an expected value.")
    points = np.unique(np.linspace(0, len(worth), 201).round().astype(int))
    share = np.r_[0.0, np.cumsum(worth)][points] / worth.sum()
    curve = go.Scatter(
        x=points / len(worth),
        y=share,
        mode="lines",
        name="Best customers first",
        hovertemplate="the best %{x:.0%} carry %{y:.0%}<extra></extra>",
    )
    equal = go.Scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="All alike",
        line={"color": style.tone("muted"), "dash": "dot", "width": 1},
        hoverinfo="skip",
    )
    fig = style.figure(curve, equal, x="Share of customers", y="Share of expected value")
    fig.update_xaxes(tickformat=".0%")
    fig.update_yaxes(tickformat=".0%")
    return fig
