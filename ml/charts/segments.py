"""Figures of a segment: its size over time, and whom it shares members with."""

import pandas as pd
import plotly.graph_objects as go

from ml.charts import style
from ml.writing import written


def size_steps(frame: pd.DataFrame) -> go.Figure:
    """Members at the end of each day on which they changed, as steps. ``frame``: day, members, entered, left."""
    if frame.empty:
        return style.empty("No history yet.")
    hover = [f"{written(row.members)} members<br>+{written(row.entered)} / −{written(row.left)}" for row in frame.itertuples()]
    figure = go.Figure(
        go.Scatter(
            x=pd.to_datetime(frame["day"]), y=frame["members"], mode="lines+markers" if len(frame) < 40 else "lines", line={"shape": "hv", "width": 2},
            fill="tozeroy", fillcolor=style.tone("band"), hovertext=hover, hovertemplate="%{x|%x}<br>%{hovertext}<extra></extra>", name="Members",
        )
    )  # fmt: skip
    figure.update_layout(template=style.TEMPLATE, height=220, showlegend=False)
    figure.update_yaxes(title_text="Members", rangemode="tozero", tickformat=",d")
    figure.update_xaxes(nticks=6)
    return figure


def overlap_bars(frame: pd.DataFrame) -> go.Figure:
    """Shared members per segment and campaign, largest on top. ``frame``: name, kind (segment or campaign), shared, share."""
    if frame.empty:
        return style.empty("Nothing is shared.")
    rows = frame.iloc[::-1]
    figure = go.Figure()
    for kind, words in (("segment", "Segments"), ("campaign", "Running campaigns")):
        part = rows[rows["kind"] == kind]
        if len(part):
            figure.add_bar(
                y=[_short(name) for name in part["name"]], x=part["shared"], orientation="h", name=words,
                text=[f"{written(row.shared)} ({row.share:.0%})" for row in part.itertuples()], textposition="outside", cliponaxis=False,
                hovertemplate="%{y}: %{text}<extra></extra>",
            )  # fmt: skip
    figure.update_layout(
        template=style.TEMPLATE, height=90 + 30 * len(rows), barmode="overlay", showlegend=rows["kind"].nunique() > 1
    )
    room = 1.25 * max(1, int(rows["shared"].max()))  # for the words behind the longest bar
    figure.update_xaxes(title_text="Shared members", tickformat=",d", range=[0, room])
    figure.update_yaxes(categoryorder="array", categoryarray=[_short(name) for name in rows["name"]])
    return figure


def _short(name: str) -> str:
    """A name for an axis: Plotly reads tags, so their signs are replaced, and long names are cut."""
    plain = str(name).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain if len(plain) <= 36 else plain[:35] + "…"
