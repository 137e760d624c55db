"""Figures for `ml.forecast_ways`: what each way expects of a period, what it said of earlier ones, and how a pipeline changed."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ml.charts import style


def ways_points(
    ways: pd.DataFrame,
    *,
    names: Mapping[str, str],
    x: str = "Value",
    quota: float | None = None,
    reached: float | None = None,
    written: style.Written = style.in_english,
) -> go.Figure:
    """The estimate of each way with the range of its past errors, beside the quota and what has been reached.

    Parameters
    ----------
    ways
        From `ml.forecast_ways.judge_ways`; a way without a record has a point and no range.
    names
        Way → words for the axis.
    """
    if ways.empty:
        return style.empty("There is no forecast to show.")
    table = ways.iloc[::-1]
    labels = [names.get(way, way) for way in table["way"]]
    estimate = table["estimate"].to_numpy(dtype=float)
    low, high = (table[name].fillna(table["estimate"]).to_numpy(dtype=float) for name in ("low", "high"))
    points = go.Scatter(
        x=estimate,
        y=labels,
        mode="markers+text",
        text=[_short(value, written) for value in estimate],
        textposition="top center",
        marker={"size": 11, "color": style.tone("accent")},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": high - estimate,
            "arrayminus": estimate - low,
            "thickness": 2,
            "width": 6,
        },
        customdata=np.column_stack([low, high, table["n"]]),
        hovertemplate="%{y}: %{x:,.0f} (%{customdata[0]:,.0f} to %{customdata[1]:,.0f}, judged on %{customdata[2]} periods)<extra></extra>",
        showlegend=False,
    )
    fig = style.figure(points, x=x, height=130 + 58 * len(table), legend=False)
    for value, words, dash, side in ((reached, "Won so far", "solid", "bottom left"), (quota, "Quota", "dash", "top left")):
        if value is not None:
            fig.add_vline(
                x=value,
                line={"color": style.tone("muted"), "dash": dash, "width": 1.5},
                annotation_text=words,
                annotation_position=side,
            )
    fig.update_yaxes(showgrid=False, range=[-0.6, len(table) - 0.25])
    fig.update_xaxes(showgrid=True, rangemode="tozero")
    return fig


def record_lines(
    past: pd.DataFrame, *, names: Mapping[str, str], y: str = "Value", months: Sequence[str] = style.MONTHS
) -> go.Figure:
    """What happened in each past period (bars), and what each way had said at the same distance from its end.

    Parameters
    ----------
    past
        From `Ways.past`, periods as last days.
    months
        The names of the twelve months.
    """
    if past.empty:
        return style.empty("No past period could be rehearsed yet.")
    table = past.assign(period=pd.to_datetime(past["period"]))
    actual = table.drop_duplicates("period").sort_values("period")
    labels = {stamp: style.month(stamp, months) for stamp in actual["period"]}
    traces: list[go.Bar | go.Scatter] = [
        go.Bar(
            x=list(labels.values()), y=actual["actual"], name="Happened", marker={"color": style.tone("band")},
            hovertemplate="%{x}: %{y:,.0f} happened<extra></extra>",
        )
    ]  # fmt: skip
    symbols = ("circle", "diamond", "square", "x", "triangle-up")
    for place, way in enumerate(names):
        part = table[table["way"] == way].sort_values("period")
        if len(part):
            traces.append(
                go.Scatter(
                    x=[labels[stamp] for stamp in part["period"]], y=part["forecast"], name=names[way], mode="markers",
                    marker={"size": 9, "symbol": symbols[place % len(symbols)]},
                    hovertemplate=f"%{{x}}: {names[way]} had said %{{y:,.0f}}<extra></extra>",
                )
            )  # fmt: skip
    fig = style.figure(*traces, x="Period until the end of", y=y, height=340)
    fig.update_xaxes(type="category")
    return fig


def pipeline_waterfall(steps: pd.DataFrame, *, y: str = "Value", written: style.Written = style.in_english) -> go.Figure:
    """How a pipeline came from one day to another.

    Parameters
    ----------
    steps
        ``key, label, amount, deals``: signed amounts in order; the rows ``start`` and ``end`` are totals.
    """
    if steps.empty or not steps["deals"].any():
        return style.empty("No deal of this period stood open on either day.")
    total = steps["key"].isin(["start", "end"])
    trace = go.Waterfall(
        x=steps["label"],
        y=steps["amount"],
        measure=np.where(total, "total", "relative").tolist(),
        text=[_short(value, written) for value in steps["amount"]],
        textposition="outside",
        customdata=steps["deals"],
        hovertemplate="%{x}: %{delta:,.0f} in %{customdata} deals<extra></extra>",
        connector={"line": {"color": style.tone("line"), "width": 1}},
        increasing={"marker": {"color": style.tone("accent")}},
        decreasing={"marker": {"color": style.tone("warn")}},
        totals={"marker": {"color": style.tone("muted")}},
        cliponaxis=False,
    )
    # The first bar starts the count: as a "total" it would show zero.
    trace.measure = ["absolute" if key == "start" else kind for key, kind in zip(steps["key"], trace.measure, strict=True)]
    return style.figure(trace, y=y, height=360, legend=False)


def _short(value: float, written: style.Written) -> str:
    """Three figures of it: 1.2M, 340K, 85."""
    return written(float(f"{value:.3g}") if abs(value) >= 1_000 else float(round(value)), True)
