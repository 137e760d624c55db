"""Figures for `ml.rfm`."""

import pandas as pd
import plotly.graph_objects as go

from ml.charts import style
from ml.rfm import rfm_rules
from ml.writing import written

NO_CUSTOMERS = "No customer had ordered by this date."


def rfm_heatmap(table: pd.DataFrame) -> go.Figure:
    """The grid: recency score up, frequency and money to the right, customers per cell with the segment's name.

    Parameters
    ----------
    table
        From `rfm_segments` with fifths; or ``r_score, fm_score, customers`` per cell.
    """
    if table.empty:
        return style.empty(NO_CUSTOMERS)
    scores = range(1, 6)
    counts = _counts(table).reindex(index=scores, columns=scores).fillna(0).astype(int)
    names = {cell: row["segment"] for row in rfm_rules().to_dict("records") for cell in row["cells"]}
    text = [[names[r, fm] for fm in scores] for r in scores]
    trace = go.Heatmap(
        x=list(scores),
        y=list(scores),
        z=counts.to_numpy(),
        text=text,
        hovertemplate="%{text}<br>recency %{y}, frequency and money %{x}<br>%{z:,} customers<extra></extra>",
        colorscale=style.sequential(),
        showscale=False,
        xgap=2,
        ygap=2,
    )
    fig = style.figure(trace, x="Frequency and money (score, 5 is most)", y="Recency (score, 5 is latest)", height=420)
    fig.update_yaxes(showgrid=False, dtick=1)
    fig.update_xaxes(dtick=1)
    labels = [
        [f"{name.replace(' ', '<br>')}<br>{written(count)}" for name, count in zip(*row, strict=True)]
        for row in zip(text, counts.to_numpy(), strict=True)
    ]
    return style.label_cells(fig, list(scores), list(scores), labels)


def _counts(table: pd.DataFrame) -> pd.DataFrame:
    if "customers" in table.columns:
        return table.pivot(index="r_score", columns="fm_score", values="customers")
    return pd.crosstab(table["r_score"], table["fm_score"])


def rfm_bar(summary: pd.DataFrame) -> go.Figure:
    """Share of customers beside share of revenue per segment; empty segments are left out.

    Parameters
    ----------
    summary
        From `rfm_summary`.
    """
    shown = summary[summary["customers"] > 0].iloc[::-1] if len(summary) else summary
    if shown.empty:
        return style.empty(NO_CUSTOMERS)
    # Bars of a horizontal group are drawn bottom up; with the legend reversed both read the same.
    traces = [
        go.Bar(
            x=shown[column],
            y=shown["segment"],
            name=name,
            orientation="h",
            hovertemplate=f"%{{y}}: %{{x:.1%}} of {name.lower()}<extra></extra>",
        )
        for column, name in (("revenue_share", "Revenue"), ("share", "Customers"))
    ]
    fig = style.figure(*traces, x="Share", height=80 + 34 * len(shown), xaxis_tickformat=".0%", barmode="group")
    fig.update_layout(legend_traceorder="reversed")
    fig.update_yaxes(showgrid=False)
    fig.update_xaxes(showgrid=True)
    return fig
