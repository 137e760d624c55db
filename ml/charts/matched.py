"""Figures for `ml.matched`: the plain difference beside that among the alike."""

import pandas as pd
import plotly.graph_objects as go

from ml.charts import style


def alike_points(table: pd.DataFrame, *, x: str, share: bool = False) -> go.Figure:
    """Two points per factor with intervals: all records, and like with like.

    Parameters
    ----------
    table
        ``what, plain, plain_low, plain_high, alike, low, high, matched``.
    share
        Whether the outcome is a share (the axis is then in percentage points).
    """
    if table.empty:
        return style.empty("No fact has a clear link that could be compared.")
    rows = table.iloc[::-1]
    traces = [
        go.Scatter(
            x=rows[middle],
            y=rows["what"],
            mode="markers",
            name=name,
            marker={"size": 10, "symbol": symbol},
            error_x={
                "type": "data", "symmetric": False, "array": rows[high] - rows[middle], "arrayminus": rows[middle] - rows[low], "thickness": 1.5,
            },
            hovertemplate=f"%{{y}}, {name.lower()}: %{{x:{'+.1%' if share else '+,.4g'}}}<extra></extra>",
        )
        for middle, low, high, name, symbol in (
            ("plain", "plain_low", "plain_high", "All records", "circle-open"),
            ("alike", "low", "high", "Like with like", "circle"),
        )
    ]  # fmt: skip
    fig = style.figure(*traces, x=x, height=120 + 48 * len(rows))
    fig.add_vline(x=0, line={"color": style.tone("line"), "dash": "dot"})
    fig.update_xaxes(showgrid=True, tickformat="+.0%" if share else None)
    fig.update_yaxes(showgrid=False)
    return fig
