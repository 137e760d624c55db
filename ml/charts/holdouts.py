"""Figures for measured lifts: every campaign with a hold-out, its difference and its interval, beside zero."""

import pandas as pd
import plotly.graph_objects as go

from ml.charts import style


def holdouts_dots(lifts: pd.DataFrame, *, share: bool = True, x: str = "Difference to the people held out") -> go.Figure:
    """One dot per campaign with its interval; pale where it can't be told from nothing.

    Parameters
    ----------
    lifts
        ``campaign, difference, low, high, n_treated, n_control, conclusive``, one outcome only.
    share
        The outcome is a share (percentage points) rather than an amount.
    """
    if lifts.empty:
        return style.empty("No campaign of this period left anybody out at random.")
    shown = lifts.sort_values("difference", kind="stable")
    form = ".1%" if share else ",.2f"
    trace = go.Scatter(
        x=shown["difference"],
        y=shown["campaign"],
        mode="markers",
        marker={"size": 10, "opacity": [1.0 if sure else 0.45 for sure in shown["conclusive"]]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": shown["high"] - shown["difference"],
            "arrayminus": shown["difference"] - shown["low"],
            "thickness": 1.5,
        },
        customdata=shown[["low", "high", "n_treated", "n_control"]],
        hovertemplate=f"%{{y}}: %{{x:{form}}} (%{{customdata[0]:{form}}} to %{{customdata[1]:{form}}}), "
        "%{customdata[2]:,} addressed, %{customdata[3]:,} held out<extra></extra>",
    )
    fig = style.figure(trace, x=x, height=110 + 34 * len(shown))
    fig.add_vline(x=0, line={"color": style.tone("muted"), "dash": "dot", "width": 1})
    fig.update_xaxes(tickformat=form, showgrid=True)
    fig.update_yaxes(showgrid=False)
    return fig
