"""Figures of the business overview: a trend beside the period before, amounts by group, rates by group with their intervals."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

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
    labels = frame["label"].tolist()
    bars: dict[str, Any] = {
        "type": "bar",
        "x": labels,
        "y": _numbers(frame["value"]),
        "name": name,
        "customdata": frame["text"].tolist(),
        "hovertemplate": "%{x}: %{customdata}<extra></extra>",
        "marker": {"opacity": [1.0 if whole else 0.45 for whole in frame["complete"]], "cornerradius": 3},
    }
    traces = [bars]
    if "before" in frame:
        line = {
            "type": "scatter",
            "x": labels,
            "y": _numbers(frame["before"]),
            "name": before_name,
            "mode": "lines+markers",
            "customdata": frame[["before_label", "before_text"]].to_numpy().tolist(),
            "hovertemplate": "%{customdata[0]}: %{customdata[1]}<extra></extra>",
            "line": {"color": style.tone("muted"), "width": 2, "dash": "dot"},
            "marker": {"size": 5, "color": style.tone("muted")},
        }
        traces.append(line)
    ticks: dict[str, Any] = {"tickformat": tickformat}
    if tickformat is None:
        drawn = [value for trace in traces for value in trace["y"] if value is not None]
        ticks = style.compact_ticks(min(drawn), max(drawn) * ROOM, written=written)
    shown = labels[:: -max(1, -(-len(frame) // MOST_TICKS))][::-1]
    steps = {"type": "category", "tickmode": "array", "tickvals": shown, "ticktext": [_BREAK.sub("<br>", label) for label in shown]}
    return style.plain_figure(
        *traces, y=y, height=height, legend="before" in frame, xaxis=steps, yaxis={**ticks, "rangemode": "tozero"}
    )


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
    bars = {
        "type": "bar",
        "x": _numbers(frame["value"]),
        "y": _unique(frame["label"]),
        "orientation": "h",
        "text": _plain(frame["text"]),
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": _plain(frame["hover"]),
        "hovertemplate": "%{y}: %{text}<br>%{customdata}<extra></extra>",
        "marker": {"cornerradius": 3},
    }
    top = float(frame["value"].max())
    # Room for the text beside the longest bar; plotly does not reserve any.
    end = top * 1.25 if top > 0 else 1
    ticks = style.compact_ticks(0, end, written=written) if tickformat is None else {"tickformat": tickformat, "nticks": 5}
    return style.plain_figure(bars, x=x, height=size, xaxis={**ticks, "showgrid": True, "range": [0, end]}, yaxis=_ROWS)


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
    dots = {
        "type": "scatter",
        "x": _numbers(rows["value"]),
        "y": _unique(rows["label"]),
        "mode": "markers",
        "marker": {"size": 9},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": _numbers(rows["high"] - rows["value"]),
            "arrayminus": _numbers(rows["value"] - rows["low"]),
            "thickness": 2,
            "width": 0,
            "color": style.tone("muted"),
        },
        "text": _plain(rows["text"]),
        "customdata": _plain(rows["hover"]),
        "hovertemplate": "%{y}: %{text}<br>%{customdata}<extra></extra>",
    }
    dotted = {"color": style.tone("muted"), "dash": "dot", "width": 1}
    line = {"type": "line", "x0": overall, "x1": overall, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain", "line": dotted}
    shapes: dict[str, Any] = {"shapes": [line]} if overall is not None else {}
    grid = {"tickformat": SHARE, "showgrid": True, "nticks": 6}
    return style.plain_figure(dots, x=x, height=size, xaxis=grid, yaxis=_ROWS, **shapes)


_ROWS = {"autorange": "reversed", "showgrid": False, "type": "category", "ticks": ""}
"""The first row on top, and no grid between rows."""


def _height(rows: int) -> int:
    return max(180, rows * ROW + INK)


def _numbers(values: pd.Series) -> list[float | None]:
    """Numbers as Plotly reads them; None where there is none."""
    return [float(value) if pd.notna(value) else None for value in values]


def _plain(texts: pd.Series) -> list[str]:
    """Texts as they are: plotly would read tags, links among them, in names that people typed."""
    return [escape(str(text), quote=False) for text in texts]


def _unique(labels: pd.Series) -> list[str]:
    """Labels as category names, cut to fit: two groups of the same name must stay two rows."""
    seen: dict[str, int] = {}
    found = []
    for label in labels.astype(str):
        short = escape(label if len(label) <= 28 else label[:27] + "…", quote=False)
        seen[short] = seen.get(short, 0) + 1
        found.append(short if seen[short] == 1 else short + "\u200b" * (seen[short] - 1))
    return found
