"""Figures for `ml.personas`. Kept free of scikit-learn, so that a page can draw a stored result without loading it."""

from typing import TYPE_CHECKING, Any

import pandas as pd
import plotly.graph_objects as go

from ml.charts import style

if TYPE_CHECKING:
    from ml.personas import Personas

SHOWN = 8


def traits_bar(personas: "Personas", segment: Any) -> go.Figure:
    """The strongest numeric traits of one persona with their intervals, in standard deviations from the others."""
    table = personas.traits
    mine = table[(table["segment"] == segment) & (table["kind"] == "number")] if len(table) else table
    if mine.empty:
        return style.empty("No numeric attribute to compare.")
    mine = mine.head(SHOWN).iloc[::-1]
    trace = go.Bar(
        x=mine["effect"],
        y=mine["attribute"].str.replace("_", " "),
        orientation="h",
        error_x={
            "type": "data",
            "symmetric": False,
            "array": mine["high"] - mine["effect"],
            "arrayminus": mine["effect"] - mine["low"],
            "color": style.tone("muted"),
        },
        hovertemplate="%{y}: %{x:+.2f} standard deviations<extra></extra>",
    )
    fig = style.figure(trace, x="Difference from the others (standard deviations)", height=90 + 30 * len(mine))
    fig.add_vline(x=0, line={"color": style.tone("line"), "width": 1})
    fig.update_yaxes(showgrid=False)
    return fig


def held_out_points(personas: "Personas", attribute: str, level: str | None = None) -> go.Figure:
    """A held-out attribute per persona with its interval, and the average of all customers as a line.

    Parameters
    ----------
    attribute
        One that was held out.
    level
        Of a category; default: the first shown.
    """
    return held_out_dots(personas.held_out, attribute, {card.segment: card.name for card in personas.cards}, level)


def held_out_dots(cells: pd.DataFrame, attribute: str, names: dict[Any, str], level: str | None = None) -> go.Figure:
    """The same from the table of held-out attributes and the names of the personas."""
    mine = cells[cells["attribute"] == attribute] if len(cells) else cells
    if mine.empty:
        return style.empty(f"{attribute.replace('_', ' ')} was not held out.")
    mine = mine[mine["level"] == (mine["level"].iloc[0] if level is None else level)].iloc[::-1]
    if mine.empty:
        return style.empty(f"{attribute.replace('_', ' ')} has no level {level}.")
    share = mine["level"].iloc[0] != ""
    trace = go.Scatter(
        x=mine["value"],
        y=mine["segment"].map(names),
        mode="markers",
        marker={"size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": mine["high"] - mine["value"],
            "arrayminus": mine["value"] - mine["low"],
        },
        customdata=mine["n"],
        hovertemplate=f"%{{y}}: %{{x:{'.1%' if share else ',.4g'}}} (n = %{{customdata:,}})<extra></extra>",
    )
    title = f"{attribute.replace('_', ' ').capitalize()} ({'share' if share else 'mean'}, with interval)"
    fig = style.figure(trace, x=title, height=110 + 38 * len(mine))
    fig.add_vline(
        x=float(mine["average"].iloc[0]),
        line={"color": style.tone("muted"), "dash": "dot", "width": 1},
        annotation={"text": "all customers", "font": {"color": style.tone("muted"), "size": 11}},
        annotation_position="top",
    )
    fig.update_layout(margin={"t": 28})
    fig.update_xaxes(tickformat=".0%" if share else None)
    return fig
