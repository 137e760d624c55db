"""Draw the project's Plotly figures as small static SVG files, for pages that cannot run a browser.

Only what `ml.charts` uses: heatmaps with annotations, bars, lines and markers with error bars, and reference lines.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ml.charts import style

WIDTH, TOP, BOTTOM, RIGHT = 720, 34, 46, 16
CSS = (
    "text{font:12px Inter,Helvetica,Arial,sans-serif;fill:#111827}.g{fill:#6B7280}.l{stroke:#9CA3AF;stroke-opacity:.35}"
    "@media(prefers-color-scheme:dark){text{fill:#E5E7EB}.g{fill:#9CA3AF}}"
)


class Axis:
    """Maps values (numbers, dates or categories) to pixels."""

    def __init__(self, values: Sequence[Any], low: int, high: int, tickformat: str | None, fixed: Any = None) -> None:
        self.low, self.high, self.format = low, high, tickformat or ""
        kinds = pd.Series(list(values))
        self.dates = pd.api.types.is_datetime64_any_dtype(kinds)
        self.categories = list(dict.fromkeys(map(str, values))) if not self.dates and kinds.map(_is_text).any() else []
        if self.categories:
            self.first, self.last = -0.5, len(self.categories) - 0.5
            return
        numbers = np.array([self._number(value) for value in values], dtype=float)
        self.first, self.last = (float(numbers.min()), float(numbers.max())) if fixed is None else map(float, fixed)
        if fixed is None:
            room = (self.last - self.first or 1) * 0.05
            self.first, self.last = self.first - (room if self.first != 0 else 0), self.last + room

    def _number(self, value: Any) -> float:
        return pd.Timestamp(value).value / 8.64e13 if self.dates else float(value)

    def __call__(self, value: Any) -> float:
        at = self.categories.index(str(value)) if self.categories else self._number(value)
        return self.low + (at - self.first) / (self.last - self.first) * (self.high - self.low)

    @property
    def step(self) -> float:
        return abs(self.high - self.low) / max(1, len(self.categories))

    def ticks(self) -> list[tuple[float, str]]:
        if self.categories:
            return [(self(name), name) for name in self.categories]
        if self.dates:
            days = pd.to_datetime(np.array([self.first, self.last]) * 8.64e13)
            marks = pd.date_range(days[0], days[1], freq="MS")
            return [(self(mark), f"{mark:%b %Y}") for mark in marks[:: max(1, len(marks) // 6)]]
        raw = (self.last - self.first) / 6
        size = 10 ** np.floor(np.log10(raw))
        step = size * min((1, 2, 5, 10), key=lambda factor: abs(factor * size - raw))
        marks = np.arange(np.ceil(self.first / step), np.floor(self.last / step) + 1) * step
        return [
            (self(mark), (f"{mark:.0%}" if step >= 0.01 else f"{mark:.1%}") if "%" in self.format else f"{mark:,.10g}")
            for mark in marks.round(10)
        ]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def draw(fig: go.Figure) -> str:
    """The figure as SVG text."""
    heat = fig.data[0].type == "heatmap"
    xs = [value for trace in fig.data for value in _with_errors(trace.x, trace.error_x if not heat else None)]
    ys = [value for trace in fig.data for value in _with_errors(trace.y, trace.error_y if not heat else None)]
    if heat:
        xs, ys = list(map(str, xs)), list(map(str, ys))
    for trace in fig.data:
        if trace.type == "bar":
            (xs if trace.orientation == "h" else ys).append(0)
    if not heat and not any(map(_is_text, xs)):
        xs += [shape.x0 for shape in fig.layout.shapes if "domain" in (shape.yref or "")]
    if not heat and not any(map(_is_text, ys)):
        ys += [y for shape in fig.layout.shapes if "domain" in (shape.xref or "") for y in (shape.y0, shape.y1)]
    height = int(fig.layout.height or 320)
    longest = max((len(line) for value in ys if _is_text(value) for line in value.split("<br>")), default=0)
    left = max(78, 30 + int(6.4 * longest))
    bottom = BOTTOM + (16 if any(_is_text(value) and "<br>" in value for value in xs) else 0)
    x = Axis(xs, left, WIDTH - RIGHT, fig.layout.xaxis.tickformat)
    flip = fig.layout.yaxis.autorange == "reversed"
    ends = (TOP, height - bottom) if flip else (height - bottom, TOP)
    y = Axis(ys, *ends, fig.layout.yaxis.tickformat, fig.layout.yaxis.range)
    parts = [*_axes(fig, x, y, left, height, bottom), *_shapes(fig, x, y, left, height - bottom)]
    for i, trace in enumerate(fig.data):
        parts += _heatmap(trace, x, y) if heat else _bars(fig, i, x, y) if trace.type == "bar" else _scatter(fig, i, x, y)
    parts += _labels(fig, x, y) if heat else []
    parts += _legend(fig, left)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    return f"{head}<style>{CSS}</style>{''.join(parts)}</svg>\n"


def _with_errors(values: Any, error: Any) -> list[Any]:
    values = list(values)
    if error is None or error.array is None:
        return values
    highs = [v + e for v, e in zip(values, error.array, strict=True)]
    return values + highs + [v - e for v, e in zip(values, error.arrayminus, strict=True)]


def _text(x: float, y: float, words: str, anchor: str = "middle", grey: bool = True, extra: str = "") -> str:
    lines = words.split("<br>")
    spans = "".join(f'<tspan x="{x:.1f}" dy="{14 if i else 0}">{escape(line)}</tspan>' for i, line in enumerate(lines))
    css = ' class="g"' if grey else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{css}{extra}>{spans}</text>'


def _axes(fig: go.Figure, x: Axis, y: Axis, left: int, height: int, bottom: int) -> list[str]:
    parts = [_text(at, height - bottom + 16, name) for at, name in x.ticks()]
    for at, name in y.ticks():
        if not y.categories:
            parts.append(f'<path class="l" d="M{left} {at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(left - 8, at + 4 - 7 * name.count("<br>"), name, "end"))
    middle = (TOP + height - bottom) / 2
    titles = fig.layout.xaxis.title.text, fig.layout.yaxis.title.text
    if titles[0]:
        parts.append(_text((left + WIDTH - RIGHT) / 2, height - 8, titles[0]))
    if titles[1]:
        parts.append(_text(14, middle, titles[1], extra=f' transform="rotate(-90 14 {middle:.1f})"'))
    return parts


def _shapes(fig: go.Figure, x: Axis, y: Axis, left: int, base: int) -> list[str]:
    parts = []
    for shape in fig.layout.shapes:
        across, up = "domain" in (shape.xref or ""), "domain" in (shape.yref or "")
        x0, x1 = (left, WIDTH - RIGHT) if across else (x(shape.x0), x(shape.x1))
        y0, y1 = (base, TOP) if up else (y(shape.y0), y(shape.y1))
        if shape.type == "rect":
            parts.append(
                f'<rect x="{x0:.1f}" y="{min(y0, y1):.1f}" width="{x1 - x0:.1f}" height="{abs(y1 - y0):.1f}" '
                f'fill="{shape.fillcolor}"/>'
            )
        else:
            dash = "" if shape.line.dash in (None, "solid") else ' stroke-dasharray="3 3"'
            parts.append(f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="{shape.line.color}"{dash}/>')
    for note in fig.layout.annotations:
        if "domain" in (note.xref or ""):
            parts.append(_text(WIDTH - RIGHT, y(note.y) + 12, note.text, "end"))
        elif "domain" in (note.yref or ""):
            parts.append(_text(x(note.x), TOP - 6, note.text))
    return parts


def _colour(fig: go.Figure, i: int) -> str:
    trace = fig.data[i]
    own = [part.color for part in (trace.marker, getattr(trace, "line", None)) if part is not None and part.color]
    unset = sum(not _own(other) for other in fig.data[:i])
    return str(own[0]) if own else style.COLORWAY[unset % len(style.COLORWAY)]


def _own(trace: Any) -> bool:
    return any(part is not None and part.color for part in (trace.marker, getattr(trace, "line", None)))


def _heatmap(trace: Any, x: Axis, y: Axis) -> list[str]:
    z = np.array(trace.z, dtype=float)
    top = np.abs(z).max() or 1
    parts = []
    for row, name in enumerate(trace.y):
        for column, other in enumerate(trace.x):
            value = z[row, column]
            rgb = "99,102,241" if value >= 0 else "239,68,68"
            parts.append(
                f'<rect x="{x(other) - x.step / 2 + 1:.1f}" y="{y(name) - y.step / 2 + 1:.1f}" width="{x.step - 2:.1f}" '
                f'height="{y.step - 2:.1f}" rx="3" fill="rgb({rgb})" fill-opacity="{0.04 + 0.56 * abs(value) / top:.2f}"/>'
            )
    return parts


def _labels(fig: go.Figure, x: Axis, y: Axis) -> list[str]:
    return [
        _text(x(note.x), y(note.y) + 4 - 7 * note.text.count("<br>"), note.text, grey=False, extra=' font-size="11"')
        for note in fig.layout.annotations
    ]


def _bars(fig: go.Figure, i: int, x: Axis, y: Axis) -> list[str]:
    trace, colour = fig.data[i], _colour(fig, i)
    bars = [other for other in fig.data if other.type == "bar"]
    flat = trace.orientation == "h"
    along, across = (x, y) if flat else (y, x)
    thick = across.step * 0.75 / len(bars)
    shift = (i - (len(bars) - 1) / 2) * thick * (-1 if flat else 1)
    parts = []
    for name, value in zip(trace.y if flat else trace.x, trace.x if flat else trace.y, strict=True):
        start, end, at = along(0), along(value), across(name) + shift - thick / 2
        low, size = min(start, end), abs(end - start)
        box = (low, at, size, thick) if flat else (at, low, thick, size)
        parts.append(f'<rect x="{box[0]:.1f}" y="{box[1]:.1f}" width="{box[2]:.1f}" height="{box[3]:.1f}" fill="{colour}"/>')
    return parts + _errors(trace, x, y, style.tone("muted"))


def _scatter(fig: go.Figure, i: int, x: Axis, y: Axis) -> list[str]:
    trace, colour = fig.data[i], _colour(fig, i)
    points = [(x(a), y(b)) for a, b in zip(trace.x, trace.y, strict=True)]
    parts = _errors(trace, x, y, colour)
    if "lines" in trace.mode:
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        dash = ' stroke-dasharray="3 3"' if trace.line.dash == "dot" else ""
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{trace.line.width or 2}"{dash}/>')
    if "markers" in trace.mode:
        size = (trace.marker.size or 6) / 2
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{size}" fill="{colour}"/>' for a, b in points]
    return parts


def _errors(trace: Any, x: Axis, y: Axis, colour: str) -> list[str]:
    parts = []
    for error, flat in ((trace.error_x, True), (trace.error_y, False)):
        if error.array is None:
            continue
        for a, b, up, down in zip(trace.x, trace.y, error.array, error.arrayminus, strict=True):
            path = f"M{x(a - down):.1f} {y(b):.1f}H{x(a + up):.1f}" if flat else f"M{x(a):.1f} {y(b - down):.1f}V{y(b + up):.1f}"
            parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="2"/>')
    return parts


def _legend(fig: go.Figure, left: int) -> list[str]:
    if not fig.layout.showlegend:
        return []
    at, parts = left, []
    named = [i for i, trace in enumerate(fig.data) if trace.name and trace.showlegend is not False]
    for i in reversed(named) if fig.layout.legend.traceorder == "reversed" else named:
        parts.append(f'<rect x="{at}" y="8" width="12" height="12" rx="2" fill="{_colour(fig, i)}"/>')
        parts.append(_text(at + 18, 18, fig.data[i].name, "start", grey=False))
        at += 40 + int(6.6 * len(fig.data[i].name))
    return parts
