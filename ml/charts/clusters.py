"""Figures for `ml.clusters`. Kept free of scikit-learn, so that a page can draw a stored result without loading it."""

from textwrap import wrap
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from ml.charts import style
from ml.limits import HIGHLY_STABLE, PATTERN
from ml.writing import written

if TYPE_CHECKING:
    from ml.clusters import Segmentation

SHOWN_COLUMNS = 20


def stability_line(segmentation: "Segmentation") -> go.Figure:
    """How much of each segmentation survives when the data is redrawn, per number of segments."""
    return stability_curve(segmentation.stability, segmentation.k)


def stability_curve(stability: pd.DataFrame, chosen: int, noun: str = "group") -> go.Figure:
    """The same from the table alone; ``chosen`` is the number that was taken, ``noun`` what one of them is called."""
    table = stability[stability["k"] > 1]
    if table.empty:
        return style.empty(f"Only one {noun} was tried.")
    traces = [
        go.Scatter(x=table["k"], y=table[column], name=name, mode="lines+markers", hovertemplate=f"%{{x}} {noun}s: %{{y:.2f}}")
        for column, name in (("worst_jaccard", f"Weakest {noun} (Jaccard)"), ("ari", f"All {noun}s (adjusted Rand)"))
    ]
    fig = style.figure(*traces, x=f"Number of {noun}s", y="Agreement of refits (1: always the same)")
    for limit, name in ((PATTERN, "pattern"), (HIGHLY_STABLE, "highly stable")):
        fig.add_hline(
            y=limit,
            line={"color": style.tone("line"), "dash": "dot", "width": 1},
            annotation={"text": name, "font": {"color": style.tone("muted"), "size": 11}},
            annotation_position="bottom right",
        )
    if chosen > 1:
        fig.add_vline(x=chosen, line={"color": style.tone("accent"), "width": 1})
    fig.update_xaxes(dtick=1)
    fig.update_yaxes(range=[0, 1.05])
    return fig


def segments_heatmap(segmentation: "Segmentation") -> go.Figure:
    """Where each segment lies, in standard deviations from the average customer; the most telling attributes first."""
    profile = segmentation.profile.set_index("segment")
    names = {int(str(segment)): f"Group {segment}<br>{share:.0%}" for segment, share in profile["share"].items()}
    return profile_heatmap(segmentation.centres, names)


def profile_heatmap(centres: pd.DataFrame, names: dict[int, str]) -> go.Figure:
    """The same from segment × attribute and the words over each column."""
    if len(centres) < 2:
        return style.empty("One group: there is nothing to compare.")
    telling = (centres.max() - centres.min()).sort_values(ascending=False, kind="stable").index[:SHOWN_COLUMNS]
    shown = centres[telling[::-1]]
    trace = go.Heatmap(
        x=[names[segment] for segment in shown.index],
        y=["<br>".join(wrap(str(name).replace("_", " "), 16)) for name in shown.columns],
        z=shown.T.to_numpy(),
        zmid=0,
        colorscale=style.diverging(),
        hovertemplate="%{y}: %{z:+.2f}<extra>%{x}</extra>",
        showscale=False,
        xgap=2,
        ygap=2,
    )
    fig = style.figure(trace, height=90 + 34 * len(telling))
    fig.update_xaxes(tickangle=0, ticks="")
    fig.update_yaxes(showgrid=False, ticks="")
    labels = [[written(value, "+.1f") for value in row] for row in shown.T.to_numpy()]
    return style.label_cells(fig, list(trace.x), list(trace.y), labels)


def segments_bar(segmentation: "Segmentation") -> go.Figure:
    """Customers per segment."""
    profile = segmentation.profile
    trace = go.Bar(
        x=profile["segment"].map("Group {}".format),
        y=profile["n"],
        text=profile["share"].map("{:.0%}".format),
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{x}: %{y:,} customers<extra></extra>",
    )
    return style.figure(trace, y="Customers")


def migration_heatmap(table: pd.DataFrame) -> go.Figure:
    """Who moved where: rows are the segment before, columns the one after, cells the share of the row.

    Parameters
    ----------
    table
        From `ml.clusters.migration` or `ml.rfm.rfm_migration`.
    """
    if table.empty:
        return style.empty("No customer is in both assignments.")
    shares = table.pivot(index="before", columns="after", values="share").fillna(0.0)
    counts = table.pivot(index="before", columns="after", values="customers").fillna(0)
    trace = go.Heatmap(
        x=shares.columns.astype(str),
        y=shares.index.astype(str),
        z=shares.to_numpy(),
        customdata=counts.to_numpy(),
        hovertemplate="%{y} → %{x}: %{customdata:,} customers (%{z:.1%})<extra></extra>",
        colorscale=style.sequential(),
        showscale=False,
        xgap=2,
        ygap=2,
    )
    fig = style.figure(trace, x="After", y="Before", height=120 + 34 * len(shares))
    fig.update_yaxes(autorange="reversed", showgrid=False, type="category")
    fig.update_xaxes(type="category")
    return style.label_cells(fig, list(trace.x), list(trace.y), [[f"{v:.0%}" for v in row] for row in shares.to_numpy()])
