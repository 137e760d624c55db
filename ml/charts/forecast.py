"""Figures for `ml.forecast`: what is expected, how the rehearsals went, whether the intervals hold."""

import pandas as pd
import plotly.graph_objects as go

from ml.charts import style
from ml.forecast_result import NAMES, Forecast

SEASONS_SHOWN = 3


def forecast_line(result: Forecast, *, y: str = "Value", history: int | None = None) -> go.Figure:
    """The end of the history, the forecast and its interval.

    Parameters
    ----------
    y
        Axis title with its unit, for example ``Revenue (EUR per day)``.
    history
        Periods of the past to show; default: three seasons or three horizons, whichever is longer.
    """
    ahead = result.forecast
    shown = history or max(SEASONS_SHOWN * result.season, 3 * len(ahead))
    past = result.history.tail(shown)
    join = past.tail(1)
    ds = pd.concat([join["ds"], ahead["ds"]])
    band = go.Scatter(
        x=[*ahead["ds"], *ahead["ds"][::-1]],
        y=[*ahead["high"], *ahead["low"][::-1]],
        mode="lines",
        fill="toself",
        fillcolor=style.tone("band"),
        line={"width": 0},
        hoverinfo="skip",
        name=f"{result.level:.0%} interval",
    )
    seen = go.Scatter(x=past["ds"], y=past["y"], mode="lines", name="Seen", hovertemplate="%{x|%x}: %{y:,.4g}<extra></extra>")
    expected = go.Scatter(
        x=ds,
        y=pd.concat([join["y"], ahead["yhat"]]),
        mode="lines",
        name=f"Expected ({NAMES[result.chosen]})",
        line={"dash": "dash"},
        hovertemplate="%{x|%x}: %{y:,.4g}<extra></extra>",
    )
    return style.figure(seen, expected, band, x="", y=y)


def rehearsal_line(result: Forecast, *, y: str = "Value") -> go.Figure:
    """What the chosen method would have said from each origin, over what happened."""
    trials = result.rehearsals[result.rehearsals["method"] == result.chosen]
    if trials.empty:
        return style.empty("The history is too short for a rehearsal.")
    first = trials["ds"].min()
    past = result.history[result.history["ds"] >= first]
    traces: list[go.Scatter] = [go.Scatter(x=past["ds"], y=past["y"], mode="lines", name="Seen")]
    for number, (origin, part) in enumerate(trials.groupby("origin", sort=True)):
        traces.append(
            go.Scatter(
                x=part["ds"],
                y=part["yhat"],
                mode="lines",
                name="Rehearsed",
                legendgroup="rehearsed",
                showlegend=number == 0,
                line={"color": style.tone("warn"), "width": 1.5},
                customdata=[f"{pd.Timestamp(str(origin)):%Y-%m-%d}"] * len(part),
                hovertemplate="said on %{customdata|%x} for %{x|%x}: %{y:,.4g}<extra></extra>",
            )
        )
    return style.figure(*traces, y=y)


def accuracy_bar(result: Forecast) -> go.Figure:
    """Mean error of each method, best at the top; 1 is what repeating the last season did within the history."""
    table = result.accuracy.iloc[::-1]
    low = result.backtest.groupby("method")["mase"].min().reindex(table["method"])
    high = result.backtest.groupby("method")["mase"].max().reindex(table["method"])
    trace = go.Bar(
        x=table["mase"],
        y=[NAMES[name] for name in table["method"]],
        orientation="h",
        marker={
            "color": [style.tone("accent" if name == result.chosen else "muted") for name in table["method"]],
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "array": high.to_numpy() - table["mase"].to_numpy(),
            "arrayminus": table["mase"].to_numpy() - low.to_numpy(),
            "thickness": 1,
        },
        customdata=table[["wape"]],
        hovertemplate="%{y}: MASE %{x:.2f}, off by %{customdata[0]:.1%} of the total<extra></extra>",
    )
    fig = style.figure(trace, x="Mean absolute scaled error (whiskers: best and worst origin)", height=80 + 36 * len(table))
    fig.add_vline(x=1, line={"color": style.tone("line"), "dash": "dot", "width": 1})
    fig.update_yaxes(showgrid=False)
    return fig


def coverage_points(result: Forecast) -> go.Figure:
    """Share of what happened that lay within each method's interval: its own, and calibrated on its past errors."""
    table = result.accuracy.iloc[::-1]
    names = [NAMES[name] for name in table["method"]]
    traces = [
        go.Scatter(
            x=table[column],
            y=names,
            mode="markers",
            name=name,
            marker={"size": 10, "symbol": symbol},
            hovertemplate="%{y}: %{x:.0%}<extra></extra>",
        )
        for column, name, symbol in (
            ("coverage", "Own interval", "circle-open"),
            ("coverage_calibrated", "Calibrated", "circle"),
        )
    ]
    fig = style.figure(*traces, x="Share of actual values inside the interval", height=100 + 36 * len(table))
    fig.add_vline(x=result.level, line={"color": style.tone("accent"), "dash": "dot", "width": 1})
    fig.update_xaxes(range=[0, 1.03], tickformat=".0%")
    return fig


def reconciled_area(table: pd.DataFrame, *, y: str = "Value") -> go.Figure:
    """Reconciled parts stacked to their total, with the total's interval.

    Parameters
    ----------
    table
        From `ml.forecast.reconcile`.
    """
    if table.empty:
        return style.empty("There are no parts to add up.")
    total = table[table["unique_id"] == "total"]
    parts = [name for name in table["unique_id"].unique() if name != "total"]
    traces: list[go.Scatter] = []
    for name in parts:
        part = table[table["unique_id"] == name]
        traces.append(
            go.Scatter(x=part["ds"], y=part["yhat"], name=str(name), stackgroup="parts", mode="lines", line={"width": 0.5})
        )
    for side, name in (("low", "Total, low"), ("high", "Total, high")):
        line = {"color": style.tone("muted"), "dash": "dot", "width": 1}
        traces.append(go.Scatter(x=total["ds"], y=total[side], name=name, mode="lines", line=line, showlegend=False))
    return style.figure(*traces, y=y, legend=True)
