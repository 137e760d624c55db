"""Figures for `ml.evaluation`: is it calibrated, what does the order gain, what did the campaign change."""

import pandas as pd
import plotly.graph_objects as go

from ml.charts import style
from ml.evaluation import Uplift


def calibration_line(table: pd.DataFrame) -> go.Figure:
    """Predicted against observed with intervals; on the diagonal a prediction of 30% comes true in 30% of the cases.

    Parameters
    ----------
    table
        From `ml.evaluation.calibration_table`.
    """
    if table.empty:
        return style.empty("There is nothing to compare the predictions with.")
    points = go.Scatter(
        x=table["predicted"],
        y=table["observed"],
        mode="lines+markers",
        name="Observed",
        error_y={
            "type": "data",
            "symmetric": False,
            "array": table["high"] - table["observed"],
            "arrayminus": table["observed"] - table["low"],
        },
        customdata=table["n"],
        hovertemplate="predicted %{x:.1%}, observed %{y:.1%} (n = %{customdata:,})<extra></extra>",
    )
    top = float(max(table["predicted"].max(), table["high"].max()))
    diagonal = go.Scatter(
        x=[0, top],
        y=[0, top],
        mode="lines",
        name="Perfect",
        line={"color": style.tone("muted"), "dash": "dot", "width": 1},
        hoverinfo="skip",
    )
    fig = style.figure(points, diagonal, x="Predicted probability", y="Observed share")
    fig.update_xaxes(tickformat=".0%")
    fig.update_yaxes(tickformat=".0%")
    return fig


def gain_line(table: pd.DataFrame) -> go.Figure:
    """Share of all outcomes reached when the best-scored are contacted first, against contacting at random.

    Parameters
    ----------
    table
        From `ml.evaluation.lift_table`.
    """
    if table.empty:
        return style.empty("There are no outcomes to gain.")
    gain = go.Scatter(
        x=[0.0, *table["cumulative_share"]],
        y=[0.0, *table["cumulative_gain"]],
        mode="lines+markers",
        name="Best scores first",
        hovertemplate="the best %{x:.0%} hold %{y:.1%} of the outcomes<extra></extra>",
    )
    chance = go.Scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="At random",
        line={"color": style.tone("muted"), "dash": "dot", "width": 1},
        hoverinfo="skip",
    )
    fig = style.figure(gain, chance, x="Share contacted", y="Share of outcomes reached")
    fig.update_xaxes(tickformat=".0%")
    fig.update_yaxes(tickformat=".0%")
    return fig


def uplift_points(result: Uplift, *, x: str = "Difference between treated and control", share: bool = True) -> go.Figure:
    """The measured difference with its interval, beside zero.

    Parameters
    ----------
    share
        The outcome is a share (percentage points) rather than an amount.
    """
    shown = ".1%" if share else ",.2f"
    trace = go.Scatter(
        x=[result.difference],
        y=["Treated − control"],
        mode="markers",
        marker={"size": 11},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [result.high - result.difference],
            "arrayminus": [result.difference - result.low],
        },
        hovertemplate=f"%{{x:{shown}}}<extra></extra>",
    )
    fig = style.figure(trace, x=x, height=140)
    fig.add_vline(x=0, line={"color": style.tone("muted"), "dash": "dot", "width": 1})
    fig.update_xaxes(tickformat=shown)
    return fig
