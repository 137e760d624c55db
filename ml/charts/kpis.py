"""Figures for `ml.kpis`."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ml.charts import style
from ml.kpis import Funnel, Xmr, funnel_limits


def xmr_line(chart: Xmr, *, y: str = "Value", tickformat: str | None = None) -> go.Figure:
    """The values with their centre and natural limits; signals are marked, routine variation is not.

    Parameters
    ----------
    y
        Axis title with the unit.
    tickformat
        Such as ``.0%`` or ``,.0f``.
    """
    table = chart.table
    fig = style.figure(
        go.Scatter(x=table["ds"], y=table["y"], mode="lines+markers", name="Value", marker={"size": 6}),
        x="Period",
        y=y,
    )
    fig.add_hrect(y0=chart.lower, y1=chart.upper, fillcolor=style.tone("band"), line={"width": 0}, layer="below")
    fig.add_hline(y=chart.centre, line={"color": style.tone("muted"), "dash": "dot", "width": 1})
    signals = table[table["signal"] != ""]
    if len(signals):
        fig.add_trace(
            go.Scatter(
                x=signals["ds"],
                y=signals["y"],
                mode="markers",
                name="Signal",
                text=signals["signal"],
                marker={"size": 10, "color": style.tone("bad")},
                hovertemplate="%{x}: %{y}<br>%{text}<extra></extra>",
            )
        )
        fig.update_layout(showlegend=True)
    if tickformat:
        fig.update_yaxes(tickformat=tickformat)
    return fig


def funnel_scatter(funnel: Funnel, *, y: str = "Rate") -> go.Figure:
    """Each group at its size and rate, inside the limits that chance alone would keep."""
    table = funnel.table
    largest = int(table["denominator"].max())
    grid = np.unique(np.geomspace(max(1, int(table["denominator"].min() * 0.7)), largest * 1.05, 80).round())
    limits = funnel_limits(grid, funnel.overall.value)
    traces = []
    for name, label, dash in (("95", "95%", "dot"), ("998", "99.8%", "solid")):
        for i, side in enumerate(("low", "high")):
            traces.append(
                go.Scatter(
                    x=limits["n"],
                    y=limits[f"{side}_{name}"],
                    mode="lines",
                    name=f"{label} limits",
                    legendgroup=name,
                    showlegend=i == 0,
                    line={"color": style.tone("muted"), "dash": dash, "width": 1},
                    hoverinfo="skip",
                )
            )
    groups = go.Scatter(
        x=table["denominator"],
        y=table["rate"],
        mode="markers",
        name="Groups",
        text=table["group"],
        marker={"size": 9},
        hovertemplate="%{text}: %{y:.1%} of %{x:,}<extra></extra>",
    )
    fig = style.figure(groups, *traces, x="Cases (number)", y=y, yaxis_tickformat=".0%", legend=True)
    fig.add_hline(y=funnel.overall.value, line={"color": style.tone("muted"), "width": 1})
    return fig


def rates_points(table: pd.DataFrame, *, x: str = "Rate") -> go.Figure:
    """Rates with Wilson intervals, one line per group.

    Parameters
    ----------
    table
        From `ml.kpis.rates_by`.
    """
    if table.empty:
        return style.empty("There are no groups to compare.")
    shown = table.iloc[::-1]
    trace = go.Scatter(
        x=shown["rate"],
        y=shown["group"],
        mode="markers",
        marker={"size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": shown["high"] - shown["rate"],
            "arrayminus": shown["rate"] - shown["low"],
        },
        customdata=shown[["numerator", "denominator"]],
        hovertemplate="%{y}: %{x:.1%} (%{customdata[0]:,} of %{customdata[1]:,})<extra></extra>",
    )
    return style.figure(trace, x=x, height=90 + 28 * len(shown), xaxis_tickformat=".0%")
