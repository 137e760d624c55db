"""Figures of surveys."""

from collections.abc import Sequence

import plotly.graph_objects as go

from ml.charts import style
from ml.loyalty import Score


def score_trend(months: Sequence[str], scores: Sequence[Score], *, unit: str, least: float, most: float) -> go.Figure:
    """The score per month with its interval as a band; months with too few answers (NaN) leave a gap."""
    shown = [(month, score) for month, score in zip(months, scores, strict=True) if score.value == score.value]
    figure = go.Figure()
    if not shown:
        return figure
    x = [month for month, _ in shown]
    figure.add_scatter(
        x=x,
        y=[one.high for _, one in shown],
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        name="upper limit",
    )
    figure.add_scatter(
        x=x, y=[one.low for _, one in shown], mode="lines", line={"width": 0}, fill="tonexty", fillcolor=style.tone("band"),
        hoverinfo="skip", showlegend=False, name="95% interval",
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=[one.value for _, one in shown], mode="lines+markers", line={"color": style.tone("accent")}, name="Score", showlegend=False,
        customdata=[[one.low, one.high, one.n] for _, one in shown],
        hovertemplate="%{x}: %{y:.1f}<br>95% interval %{customdata[0]:.1f} to %{customdata[1]:.1f}<br>%{customdata[2]} answers<extra></extra>",
    )  # fmt: skip
    figure.update_layout(template=style.TEMPLATE, yaxis_title=unit, xaxis_title="Month of the answer")
    figure.update_yaxes(range=[least, most])
    figure.update_xaxes(type="category")
    return figure
