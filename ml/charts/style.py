"""The look that every figure shares.

Series take their colour from the template's colourway, in order of appearance: the app replaces that colourway by the
one of the theme being shown, so nothing here may set a series colour as hex, or dark mode would not follow. What has a
meaning rather than an identity (a limit, a band, the average) uses the half-transparent tones below: they read on light
and on dark.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import date
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

COLORWAY = (
    "#4F46E5",
    "#0EA5E9",
    "#10B981",
    "#F59E0B",
    "#EC4899",
    "#8B5CF6",
    "#14B8A6",
    "#EF4444",
    "#84CC16",
    "#64748B",
)  # ten: with fewer the app falls back to another palette
SYMBOLS = ("circle", "diamond", "square", "x", "triangle-up", "cross", "star", "triangle-down", "hourglass", "pentagon")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""A shape for each series beside its colour: who can't tell the colours apart can tell these."""
FONT = "Inter, sans-serif"
TEXT, GREY, LINE, ACCENT = "#111827", "#6B7280", "#E5E7EB", "#4F46E5"
CLEAR = "rgba(0,0,0,0)"

Tone = Literal["muted", "line", "band", "good", "bad", "warn", "accent"]
_TONES: dict[str, str] = {
    "muted": "rgba(128,136,150,0.75)",
    "line": "rgba(128,136,150,0.35)",
    "band": "rgba(128,136,150,0.16)",
    "good": "rgba(16,185,129,0.9)",
    "bad": "rgba(239,68,68,0.9)",
    "warn": "rgba(234,138,12,0.9)",
    "accent": "rgba(99,102,241,0.9)",
}


def tone(name: Tone) -> str:
    """A colour with a meaning, readable on light and on dark."""
    return _TONES[name]


def sequential() -> list[list[float | str]]:
    """A scale from the page's own background to the accent; half-transparent, so it suits light and dark."""
    return [[0.0, "rgba(99,102,241,0.04)"], [1.0, "rgba(99,102,241,0.42)"]]


def diverging() -> list[list[float | str]]:
    """A scale for values around a middle: below it red, at it the page's background, above it the accent."""
    return [[0.0, "rgba(239,68,68,0.42)"], [0.5, "rgba(128,136,150,0.05)"], [1.0, "rgba(99,102,241,0.42)"]]


def _axis(**over: Any) -> dict[str, Any]:
    base = {
        "automargin": True,
        "exponentformat": "none",
        "separatethousands": True,
        "linecolor": LINE,
        "tickcolor": LINE,
        "gridcolor": "rgba(128,136,150,0.2)",
        "zerolinecolor": "rgba(128,136,150,0.35)",
        "tickfont": {"color": GREY, "size": 12},
        "title": {"font": {"color": GREY, "size": 12}, "standoff": 8},
    }
    return base | over


TEMPLATE = go.layout.Template(
    layout={
        "colorway": list(COLORWAY),
        "font": {"family": FONT, "size": 13, "color": TEXT},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "margin": {"l": 4, "r": 8, "t": 8, "b": 4},
        "hovermode": "closest",
        "hoverlabel": {"font": {"family": FONT, "size": 12}},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "title": {"text": ""}},
        "xaxis": _axis(showgrid=False, zeroline=False),
        "yaxis": _axis(showgrid=True, zeroline=False),
        "bargap": 0.25,
        "colorscale": {"sequential": sequential(), "diverging": diverging()},
    }
)


def figure(
    *traces: Any,
    x: str = "",
    y: str = "",
    height: int = 320,
    legend: bool | None = None,
    **layout: Any,
) -> go.Figure:
    """A figure in the house style.

    Parameters
    ----------
    *traces
        Plotly traces; more may be added to the result.
    x, y
        Axis titles, with their units.
    legend
        Show the legend; default: when there is more than one named trace.
    **layout
        Anything else that ``update_layout`` takes.
    """
    fig = go.Figure(data=[_letters(trace) for trace in traces])
    shown = legend if legend is not None else sum(bool(trace.name) for trace in fig.data) > 1
    fig.update_layout(template=TEMPLATE, height=height, showlegend=shown)
    if x:
        fig.update_xaxes(title_text=x)
    if y:
        fig.update_yaxes(title_text=y)
    if layout:
        fig.update_layout(**layout)
    return fig


def plain_figure(
    *traces: Mapping[str, Any],
    x: str = "",
    y: str = "",
    height: int = 320,
    legend: bool = False,
    xaxis: Mapping[str, Any] | None = None,
    yaxis: Mapping[str, Any] | None = None,
    **layout: Any,
) -> go.Figure:
    """``figure`` of traces and axes that are given as plain values (lists, not arrays). Plotly checks none of them, which takes a tenth of the time: for
    charts that each reader has anew; tests check what they are made of.

    Parameters
    ----------
    *traces
        Traces with their ``type``.
    xaxis, yaxis
        What else there is to say of the axes.
    **layout
        More of the layout.
    """
    axes = {
        name: {**({"title": {"text": title}} if title else {}), **(more or {})}
        for name, title, more in (("xaxis", x, xaxis), ("yaxis", y, yaxis))
    }
    shape = {"template": deepcopy(_TEMPLATE), "height": height, "showlegend": legend, **axes, **layout}
    return go.Figure({"data": [_letters(dict(trace)) for trace in traces], "layout": shape}, _validate=False)


_TEMPLATE = TEMPLATE.to_plotly_json()
_TAG = re.compile(r"<(?!br>)")
_WORDS = ("x", "y", "text", "customdata", "name")


def _letters(trace: Any) -> Any:
    """The trace with the names in it read letter by letter: plotly takes tags, links among them, out of whatever people typed."""
    for key in _WORDS:
        if key in trace and trace[key] is not None:
            found = _without_tags(trace[key])
            if found is not trace[key]:
                trace[key] = found
    return trace


def _without_tags(value: Any) -> Any:
    if isinstance(value, str):
        return _TAG.sub("&lt;", value)
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "OU":
            return value
        made = np.empty(value.shape, dtype=object)
        made.ravel()[:] = [_without_tags(one) for one in value.ravel()]
        return made
    return tuple(_without_tags(one) for one in value) if isinstance(value, (list, tuple)) else value


Written = Callable[[float, bool], str]
"""How the reader's language writes a number of an axis; True where the numbers beside it are in their thousands or more."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SHORTER = 1e4
"""From where the numbers of an axis are written shorter."""


def month(day: date, months: Sequence[str] = MONTHS) -> str:
    """A month with its year, by the names that months have: ``Oct 2026``."""
    return f"{months[day.month - 1]} {day.year}"


def in_english(value: float, short: bool) -> str:
    """``20K``, ``2.5M``; ``1,500`` where nothing beside it is larger."""
    size, letter = next(
        ((size, letter) for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")) if short and abs(value) >= size), (1.0, "")
    )
    return f"{value / size:,.10g}{letter}"


def nice_step(low: float, high: float, count: int) -> float:
    """A round number of which about ``count`` lead from ``low`` to ``high``."""
    rough = (high - low) / count
    power = 10.0 ** np.floor(np.log10(rough))
    return float(next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough * 0.999))


def compact_ticks(low: float, high: float, *, written: Written = in_english, count: int = 5) -> dict[str, Any]:
    """Ticks of an axis from zero (or from ``low``, where that is below it) to ``high``, written as people write amounts: ``€20K``, never ``€20k``.

    Parameters
    ----------
    low, high
        The least and the largest value, in the unit of the axis.
    written
        How a number is written, with the sign of its currency.
    count
        About how many steps.

    Returns
    -------
    dict
        Arguments of ``update_xaxes`` or ``update_yaxes``; empty where there is nothing to divide.
    """
    low, high = min(0.0, low), max(0.0, high)
    if not np.isfinite(high - low) or high == low:
        return {}
    step = nice_step(low, high, count)
    short = max(high, -low) >= SHORTER
    values = [float(at * step) for at in range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1)]
    return {"tickmode": "array", "tickvals": values, "ticktext": [written(value, short) for value in values]}


def label_cells(fig: go.Figure, x: Sequence[Any], y: Sequence[Any], text: Sequence[Sequence[str]]) -> go.Figure:
    """Write into the cells of a heatmap, row by row.

    As annotations, since those take the theme's own text colour; a heatmap's own labels choose black or white by the
    cell's colour without its transparency, and are wrong on one of the two themes.
    """
    for row, line in zip(y, text, strict=True):
        for column, words in zip(x, line, strict=True):
            fig.add_annotation(x=column, y=row, text=words, showarrow=False, font={"size": 11})
    return fig


def empty(sentence: str, *, height: int = 200) -> go.Figure:
    """A figure without data that says why, in one sentence."""
    words = {"text": sentence, "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
    font = {"color": tone("muted"), "size": 14}
    hidden = {"visible": False}
    return plain_figure(height=height, xaxis=hidden, yaxis=hidden, annotations=[{**words, "font": font}])
