"""Figures of the business overview: a trend beside the period before, amounts by group, rates by group with their intervals."""

import re
from collections.abc import Iterable
from html import escape

import pandas as pd
import plotly.graph_objects as go

from ml.charts import style
from ml.errors import DataError

SHARE = ".0%"
MOST_TICKS = 7
ROOM = 1.05
"""A share more than the largest value, to which Plotly draws the axis."""
_BREAK = re.compile(r" (?=– |\d{4}$)")
"""Where the name of a step goes on beneath: on a phone seven of them stand beside each other then, without being turned."""
ROW = 34  # pixels per horizontal bar
INK = 72  # pixels for the axis below the bars


def _check(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataError(f"columns {', '.join(map(str, frame.columns)) or 'none'}", f"also {', '.join(missing)}")


def trend_bars(
    frame: pd.DataFrame,
    *,
    y: str,
    name: str = "This period",
    before_name: str = "Period before",
    tickformat: str | None = None,
    written: style.Written = style.in_english,
    nothing: str = "Nothing in this period.",
    height: int = 300,
) -> go.Figure:
    """A figure step by step as bars, the comparison period as a line over them.

    Parameters
    ----------
    frame
        One row per step, in order: ``label`` (axis text), ``value`` (float; empty where nothing could be computed), ``text`` (the value as
        people read it), ``complete`` (False where the period cuts the step short: drawn paler). Optional ``before`` and ``before_text``:
        the step at the same place of the comparison period, with ``before_label``.
    y
        Axis title with the unit.
    tickformat
        How plotly writes the numbers of the axis; without one, they are ``written``, large ones shortly (``20K``).
    nothing
        The sentence of an empty figure.

    Returns
    -------
    Figure
        Bars named `name`, and a line named `before_name` when there is something to compare with. Without any value: an empty figure.
    """
    _check(frame, ("label", "value", "text", "complete"))
    if frame.empty or not frame["value"].fillna(0).any():
        return style.empty(nothing, height=height)
    bars = go.Bar(
        x=frame["label"],
        y=frame["value"],
        name=name,
        customdata=frame["text"],
        hovertemplate="%{x}: %{customdata}<extra></extra>",
        marker={"opacity": [1.0 if whole else 0.45 for whole in frame["complete"]], "cornerradius": 3},
    )
    fig = style.figure(bars, y=y, height=height, legend="before" in frame)
    if "before" in frame:
        fig.add_trace(
            go.Scatter(
                x=frame["label"],
                y=frame["before"],
                name=before_name,
                mode="lines+markers",
                customdata=frame[["before_label", "before_text"]],
                hovertemplate="%{customdata[0]}: %{customdata[1]}<extra></extra>",
                line={"color": style.tone("muted"), "width": 2, "dash": "dot"},
                marker={"size": 5, "color": style.tone("muted")},
            )
        )
    if tickformat is None:
        drawn = pd.concat([frame[name] for name in ("value", "before") if name in frame]).astype(float)
        fig.update_yaxes(**style.compact_ticks(drawn.min(), drawn.max() * ROOM, written=written), rangemode="tozero")
    else:
        fig.update_yaxes(tickformat=tickformat, rangemode="tozero")
    shown = list(frame["label"])[:: -max(1, -(-len(frame) // MOST_TICKS))][::-1]
    fig.update_xaxes(type="category", tickmode="array", tickvals=shown, ticktext=[_BREAK.sub("<br>", label) for label in shown])
    return fig


def part_bars(
    frame: pd.DataFrame,
    *,
    x: str,
    tickformat: str | None = None,
    written: style.Written = style.in_english,
    nothing: str = "Nothing in this period.",
    height: int | None = None,
) -> go.Figure:
    """Groups as horizontal bars in the given order, each with its value written beside it.

    Parameters
    ----------
    frame
        ``label``, ``value``, ``text`` (the value as people read it), ``hover`` (what more to say).
    x
        Axis title with the unit.
    """
    _check(frame, ("label", "value", "text", "hover"))
    size = height or _height(len(frame))
    if frame.empty:
        return style.empty(nothing, height=size)
    bars = go.Bar(
        x=frame["value"],
        y=_unique(frame["label"]),
        orientation="h",
        text=_plain(frame["text"]),
        textposition="outside",
        cliponaxis=False,
        customdata=_plain(frame["hover"]),
        hovertemplate="%{y}: %{text}<br>%{customdata}<extra></extra>",
        marker={"cornerradius": 3},
    )
    fig = style.figure(bars, x=x, height=size, legend=False)
    top = float(frame["value"].max())
    # Room for the text beside the longest bar; plotly does not reserve any.
    end = top * 1.25 if top > 0 else 1
    ticks = style.compact_ticks(0, end, written=written) if tickformat is None else {"tickformat": tickformat, "nticks": 5}
    fig.update_xaxes(**ticks, showgrid=True, range=[0, end])
    return _rows(fig)


def rate_dots(
    frame: pd.DataFrame,
    *,
    x: str,
    overall: float | None = None,
    nothing: str = "Nothing in this period.",
    height: int | None = None,
) -> go.Figure:
    """Rates of groups as dots with their 95% intervals, beside the common rate: overlapping intervals are not a ranking.

    Parameters
    ----------
    frame
        ``label``, ``value`` (0–1), ``low``, ``high``, ``text``, ``hover``. Rows without a value are left out.
    overall
        The rate of all groups together, as a dotted line.
    """
    _check(frame, ("label", "value", "low", "high", "text", "hover"))
    size = height or _height(len(frame))
    rows = frame[frame["value"].notna()]
    if rows.empty:
        return style.empty(nothing, height=size)
    dots = go.Scatter(
        x=rows["value"],
        y=_unique(rows["label"]),
        mode="markers",
        marker={"size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": rows["high"] - rows["value"],
            "arrayminus": rows["value"] - rows["low"],
            "thickness": 2,
            "width": 0,
            "color": style.tone("muted"),
        },
        text=_plain(rows["text"]),
        customdata=_plain(rows["hover"]),
        hovertemplate="%{y}: %{text}<br>%{customdata}<extra></extra>",
    )
    fig = style.figure(dots, x=x, height=size, legend=False)
    if overall is not None:
        fig.add_vline(x=overall, line={"color": style.tone("muted"), "dash": "dot", "width": 1})
    fig.update_xaxes(tickformat=SHARE, showgrid=True, nticks=6)
    return _rows(fig)


def _height(rows: int) -> int:
    return max(180, rows * ROW + INK)


def _rows(fig: go.Figure) -> go.Figure:
    """The first row on top, and no grid between rows."""
    fig.update_yaxes(autorange="reversed", showgrid=False, type="category", ticks="")
    return fig


def _plain(texts: pd.Series) -> pd.Series:
    """Texts as they are: plotly would read tags, links among them, in names that people typed."""
    return texts.astype(str).map(lambda text: escape(text, quote=False))


def _unique(labels: pd.Series) -> list[str]:
    """Labels as category names, cut to fit: two groups of the same name must stay two rows."""
    seen: dict[str, int] = {}
    found = []
    for label in labels.astype(str):
        short = escape(label if len(label) <= 28 else label[:27] + "…", quote=False)
        seen[short] = seen.get(short, 0) + 1
        found.append(short if seen[short] == 1 else short + "\u200b" * (seen[short] - 1))
    return found
