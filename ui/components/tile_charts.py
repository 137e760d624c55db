"""The charts of dashboard tiles as ECharts options: a third of the cost of other charts, so that a dozen fit on a page. Text is escaped here."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from crm_core.access import Actor
from crm_core.kit import numerals
from crm_core.kit.money import to_major
from crm_core.kit.text import clip
from crm_core.services.analytics.breakdowns import Part, towering
from crm_core.services.analytics.dashboards import Note
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.services.analytics.metrics import Figure, Number
from crm_core.services.analytics.pivots import Pivot
from crm_core.services.analytics.wording import number_text, step_text, value_text
from crm_core.vocabulary import Against, FieldKind, MetricUnit, TileChart
from ml.charts.style import SHORTER, nice_step
from ui import format as fmt

Option = dict[str, Any]
_MUTED = "rgba(128,136,150,0.85)"
_FAINT = "rgba(128,136,150,0.35)"
_GRID = "rgba(128,136,150,0.2)"
_TEXT = "rgba(110,118,135,1)"
LONGEST = 26


def over_time(actor: Actor, figure: Figure, chart: str, notes: Sequence[Note], against: Against) -> Option:
    """A figure step by step as bars or a line, the comparison dotted over it, notes as numbered lines."""
    unit = figure.metric.unit
    values = [_plotted(actor, unit, point.value) for point in figure.points]
    before = [_plotted(actor, unit, point.value) for point in figure.before_points][: len(values)]
    labels = [step_text(actor, point.bucket) for point in figure.points]
    series: list[Option] = [
        {
            "type": "line" if chart == TileChart.LINE else "bar",
            "name": figure.metric.label,
            "data": [_item(_rounded(value), f"{label}: {value_text(actor, unit, point.value)}", faded=not point.bucket.complete) for value, label, point in zip(values, labels, figure.points, strict=True)],
            "itemStyle": {"borderRadius": 3},
            "barMaxWidth": 36,
            "symbolSize": 6,
            "markLine": _marks(figure, labels, notes),
        }
    ]  # fmt: skip
    if before:
        name = "Last year" if against is Against.LAST_YEAR else "Period before"
        shown = [
            _item(_rounded(value), f"{step_text(actor, point.bucket)}: {value_text(actor, unit, point.value)}")
            for value, point in zip(before, figure.before_points, strict=False)
        ]
        series.append(
            {"type": "line", "name": name, "data": shown, "symbolSize": 4, "color": _MUTED, "lineStyle": {"type": "dotted", "width": 2, "color": _MUTED}}
        )  # fmt: skip
    return {
        "tooltip": {"trigger": "item", "confine": True},
        "legend": {"show": bool(before), "top": 0, "left": 0, "icon": "roundRect", "itemHeight": 8},
        "grid": {"left": 4, "right": 12, "top": 34 if before else 20, "bottom": 4, "containLabel": True},
        "xAxis": {"type": "category", "data": labels, "axisLabel": {"hideOverlap": True}, "axisTick": {"show": False}},
        "yAxis": _axes(actor, unit, [*values, *before], "left"),
        "series": series,
    }


def _marks(figure: Figure, labels: Sequence[str], notes: Sequence[Note]) -> Option:
    lines = []
    for number, note in numbered(figure, notes):
        at = next(n for n, point in enumerate(figure.points) if point.bucket.start <= note.day <= point.bucket.end)
        lines.append({"xAxis": labels[at], "label": {"formatter": str(number)}})
    return {"symbol": "none", "silent": True, "data": lines, "lineStyle": {"color": _MUTED, "type": "dashed"}, "animation": False}


def numbered(figure: Figure, notes: Sequence[Note]) -> list[tuple[int, Note]]:
    """The notes that fall into the steps of a figure, in the order of their days, with their numbers."""
    inside = [note for note in notes if any(point.bucket.start <= note.day <= point.bucket.end for point in figure.points)]
    return list(enumerate(sorted(inside, key=lambda note: (note.day, note.id)), start=1))


def by_group(actor: Actor, metric_key: str, parts: Sequence[Part], chart: str, *, ink: str = _TEXT) -> Option:
    """A figure by group: bars with their values in ``ink``, or dots with 95% intervals."""
    unit = METRICS[metric_key].unit
    dots = chart == TileChart.DOTS
    told = None if dots else towering(parts)
    names = _unique([f"{part.label}: {value_text(actor, unit, part.value)}" if part is told else part.label for part in parts])
    values = [None if part is told else _plotted(actor, unit, part.value) for part in parts]
    ends = [_plotted(actor, unit, end) for part in parts if dots for end in (part.low, part.high)]
    data = [
        _item(_rounded(value), f"{escape(part.label)}: {value_text(actor, unit, part.value)} ({fmt.written(part.cases)})", faded=part.rest, label=value_text(actor, unit, part.value))
        for part, value in zip(parts, values, strict=True)
    ]  # fmt: skip
    series: Option = {
        "type": "scatter" if dots else "bar",
        "data": [{**item, "value": [item["value"], n]} for n, item in enumerate(data)] if dots else data,
        "barMaxWidth": 22,
        "symbolSize": 10,
        "itemStyle": {"borderRadius": 3, "opacity": 1},
        "label": {"show": True, "position": "top" if dots else "right", "color": ink},
    }
    if dots:
        series["markLine"] = {
            "symbol": "none", "silent": True, "animation": False, "label": {"show": False}, "lineStyle": {"color": _MUTED, "type": "solid", "width": 2},
            "data": [[{"coord": [_rounded(_plotted(actor, unit, part.low)), n]}, {"coord": [_rounded(_plotted(actor, unit, part.high)), n]}] for n, part in enumerate(parts) if part.low is not None],
        }  # fmt: skip
    return {
        "tooltip": {"trigger": "item", "confine": True},
        "grid": {"left": 4, "right": 64, "top": 8, "bottom": 4, "containLabel": True},
        "xAxis": _axes(actor, unit, [*values, *ends], "bottom"),
        "yAxis": {"type": "category", "inverse": True, "data": names, "axisTick": {"show": False}, "axisLine": {"show": False}},
        "series": [series],
    }


def of_pivot(actor: Actor, pivot: Pivot, chart: str, *, ink: str = _TEXT) -> Option:
    """A report as bars (stacked by its columns) or as a coloured table, whose figures are written in ``ink``."""
    names = _unique(pivot.rows)
    if chart == TileChart.HEAT and pivot.columns:
        return _heat(actor, pivot, names, ink)
    money = pivot.unit is FieldKind.MONEY

    def plain(value: Number | None) -> float | None:
        return float(to_major(round(value), actor.currency)) if money and value is not None else value

    columns = [[row[n] for row in pivot.cells] for n in range(len(pivot.columns))] or [list(pivot.row_totals)]
    stacked = chart == TileChart.STACKED and pivot.additive
    reached = pivot.row_totals if stacked else [cell for cells in columns for cell in cells]
    unit = MetricUnit.MONEY if money else MetricUnit.COUNT
    legend = _unique(pivot.columns) or [""]
    series = [
        {
            "type": "bar", "name": name, "stack": "all" if stacked else None, "barMaxWidth": 22,
            "data": [_item(_rounded(plain(cell.value)), escape(f"{row}{', ' + name if name else ''}: {number_text(actor, pivot.unit, cell.value, compact=True)}")) for row, cell in zip(pivot.rows, cells, strict=True)],
        }
        for name, cells in zip(legend, columns, strict=True)
    ]  # fmt: skip
    return {
        "tooltip": {"trigger": "item", "confine": True},
        "legend": {"show": bool(pivot.columns), "type": "scroll", "top": 0, "left": 0, "icon": "roundRect", "itemHeight": 8},
        "grid": {"left": 4, "right": 24, "top": 34 if pivot.columns else 8, "bottom": 4, "containLabel": True},
        "xAxis": _axes(actor, unit, [plain(cell.value) for cell in reached], "bottom"),
        "yAxis": {"type": "category", "inverse": True, "data": names, "axisTick": {"show": False}, "axisLine": {"show": False}},
        "series": series,
    }


def _heat(actor: Actor, pivot: Pivot, names: list[str], ink: str) -> Option:
    columns = _unique(pivot.columns)
    cells = [
        (x, y, cell) for y, row in enumerate(pivot.cells) for x, cell in enumerate(row) if cell.value is not None and cell.cases
    ]
    top = max((abs(cell.value or 0) for _, _, cell in cells), default=1) or 1
    data = [
        {
            "value": [x, y, cell.value],
            "label": {"formatter": number_text(actor, pivot.unit, cell.value, compact=True)},
            "itemStyle": {"color": f"rgba(99,102,241,{0.06 + 0.54 * abs(cell.value or 0) / top:.3f})"},
            "tooltip": {"formatter": escape(f"{names[y]}, {columns[x]}: {number_text(actor, pivot.unit, cell.value)}")},
        }
        for x, y, cell in cells
    ]
    axis = {"type": "category", "axisTick": {"show": False}, "axisLine": {"show": False}}
    return {
        "tooltip": {"confine": True},
        "grid": {"left": 4, "right": 8, "top": 4, "bottom": 4, "containLabel": True},
        "xAxis": {**axis, "data": columns, "position": "top"},
        "yAxis": {**axis, "data": names, "inverse": True},
        "series": [{"type": "heatmap", "data": data, "label": {"show": True, "color": ink}}],
    }


# --- small parts ---------------------------------------------------------------------------------------------------------


def _item(value: float | None, words: str, *, faded: bool = False, label: str = "") -> Option:
    found: Option = {"value": value, "tooltip": {"formatter": words}}
    if faded:
        found["itemStyle"] = {"opacity": 0.45, "borderRadius": 3}
    if label:
        found["label"] = {"formatter": label}
    return found


def _axes(actor: Actor, unit: MetricUnit, values: Sequence[float | None], position: str) -> list[Option]:
    """The axis of the values, and one that lies on it with its labels: ECharts itself groups thousands by commas and writes decimals behind points,
    whatever the language."""
    reached = [value for value in values if value is not None and math.isfinite(value)]
    low, high = min(0.0, *reached, 0.0), max(0.0, *reached, 0.0)
    least = 1.0 if unit is MetricUnit.COUNT else 0.0
    step = 25.0 if unit is MetricUnit.SHARE else max(least, nice_step(low, high, 4)) if high > low else 1.0
    first, last = (0, 4) if unit is MetricUnit.SHARE else (math.floor(low / step + 1e-9), max(1, math.ceil(high / step - 1e-9)))
    short = max(last, -first) * step >= SHORTER
    words = [_tick(actor, unit, n * step, short) for n in range(first, last + 1)]
    bare = {"axisLine": {"show": False}, "axisTick": {"show": False}, "splitLine": {"show": False}}
    return [
        {
            "type": "value", "min": first * step, "max": last * step, "interval": step, "position": position,
            "axisLabel": {"show": False}, "splitLine": {"lineStyle": {"color": _GRID}},
        },
        {"type": "category", "data": words, "boundaryGap": False, "position": position, "axisLabel": {"hideOverlap": True}, **bare},
    ]  # fmt: skip


def _tick(actor: Actor, unit: MetricUnit, value: float, short: bool) -> str:
    """A number of an axis as the reader writes it."""
    code = actor.currency if unit is MetricUnit.MONEY else None
    behind = {MetricUnit.SHARE: "%", MetricUnit.RETURN: "%", MetricUnit.DAYS: " d", MetricUnit.SECONDS: " h"}.get(unit, "")
    return numerals.on_axis(value, actor.locale, code, short) + behind


def _plotted(actor: Actor, unit: MetricUnit, value: Number | None) -> float | None:
    if value is None:
        return None
    if unit is MetricUnit.MONEY:
        return float(to_major(int(value), actor.currency))
    if unit in (MetricUnit.SHARE, MetricUnit.RETURN):
        return value * 100
    return value / 3600 if unit is MetricUnit.SECONDS else float(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)


def _unique(labels: Sequence[str]) -> list[str]:
    """Labels cut to fit; two groups of the same name must stay two rows."""
    seen: dict[str, int] = {}
    found = []
    for label in labels:
        short = clip(label, LONGEST)
        seen[short] = seen.get(short, 0) + 1
        found.append(short + "\u200b" * (seen[short] - 1))
    return found
