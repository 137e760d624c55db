"""What a tile may be: its spec checked, the places and sizes of a dashboard, the words of a title. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crm_core.errors import Invalid
from crm_core.kit.text import clean
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.vocabulary import Grain, Measure, PeriodPreset, TileChart, TileKind

Spec = dict[str, Any]
TIME = "time"
WIDTHS = {3: "Quarter", 4: "Third", 6: "Half", 8: "Two thirds", 12: "Full width"}
HEIGHTS = {1: "Low", 2: "Medium", 3: "High"}
COLUMNS = 12
MAX_TILES = 24
MAX_TEXT = 2_000
LIMITS = (5, 10, 15, 25)
FIGURE_CHARTS: dict[str, tuple[TileChart, ...]] = {
    "": (TileChart.NUMBER,),
    TIME: (TileChart.BARS, TileChart.LINE, TileChart.TABLE),
    "field": (TileChart.BARS, TileChart.DOTS, TileChart.TABLE),
}
"""How a key figure may be drawn: alone, over time, by a field."""
PIVOT_CHARTS = (TileChart.TABLE, TileChart.HEAT, TileChart.BARS, TileChart.STACKED)


@dataclass(frozen=True)
class Placed:
    """A tile's place: its index in the dashboard's order, and its share of the row in twelfths."""

    index: int
    width: int


def charts_for(by: str, *, share: bool = False) -> tuple[TileChart, ...]:
    """How a figure may be drawn. Dots with intervals are for shares only."""
    found = FIGURE_CHARTS.get(by) or FIGURE_CHARTS["field"]
    return tuple(chart for chart in found if share or chart is not TileChart.DOTS)


def checked(kind: TileKind, spec: Mapping[str, Any]) -> Spec:
    """A spec with known keys only, each of the right kind. What the fields in it mean is checked where they are read. Raises Invalid."""
    if kind is TileKind.TEXT:
        text = clean(str(spec.get("text") or ""))[:MAX_TEXT]
        if not text:
            raise Invalid(fields={"text": "Write something, or choose another kind of tile."})
        return {"text": text}
    return _figure(spec) if kind is TileKind.FIGURE else _pivot(spec)


def _figure(spec: Mapping[str, Any]) -> Spec:
    metric = METRICS.get(str(spec.get("metric")))
    if metric is None:
        raise Invalid(fields={"metric": "Choose a key figure."})
    by = str(spec.get("by") or "")
    chart = _one(TileChart, spec.get("chart"), charts_for(by, share=metric.counts is not None), "chart")
    return {
        "metric": metric.key,
        "by": by,
        "chart": chart.value,
        "filter": _filter(spec.get("filter")),
        "period": _preset(spec.get("period")),
        "limit": spec["limit"] if spec.get("limit") in LIMITS else 10,
    }


def _pivot(spec: Mapping[str, Any]) -> Spec:
    measure = _one(Measure, spec.get("measure"), tuple(Measure), "measure")
    field = str(spec.get("field") or "") if measure is not Measure.COUNT else ""
    if measure is not Measure.COUNT and not field:
        raise Invalid(fields={"field": "Choose the number to compute with."})
    rows, columns = _axis(spec.get("rows")), _axis(spec.get("columns"))
    if rows is None:
        raise Invalid(fields={"rows": "Choose what stands in the rows."})
    if columns is not None and columns["field"] == rows["field"]:
        raise Invalid(fields={"columns": "Rows and columns show the same field. Choose another one for the columns."})
    return {
        "entity": str(spec.get("entity") or ""),
        "rows": rows,
        "columns": columns,
        "measure": measure.value,
        "field": field,
        "filter": _filter(spec.get("filter")),
        "date": str(spec.get("date") or ""),
        "period": _preset(spec.get("period")),
        "chart": _one(TileChart, spec.get("chart"), PIVOT_CHARTS, "chart").value,
        "limit": spec["limit"] if spec.get("limit") in LIMITS else 15,
    }


def _axis(raw: Any) -> dict[str, str] | None:
    if not isinstance(raw, Mapping) or not raw.get("field"):
        return None
    grain = str(raw.get("grain") or "")
    return {"field": str(raw["field"]), "grain": grain if grain in Grain.options() else ""}


def _one(enum: Any, raw: Any, allowed: Sequence[Any], key: str) -> Any:
    found = next((member for member in allowed if member.value == str(raw)), None)
    if found is None and raw:
        raise Invalid(fields={key: "This can't be shown that way; choose another one."})
    return found or allowed[0]


def _filter(raw: Any) -> dict[str, Any] | None:
    if not raw:
        return None
    if not isinstance(raw, Mapping):
        raise Invalid("The filter is not readable.")
    return dict(raw) if raw.get("items") or "op" not in raw else None


def _preset(raw: Any) -> str:
    return str(raw) if raw in PeriodPreset.options() and raw != PeriodPreset.CUSTOM.value else ""


# --- places ------------------------------------------------------------------------------------------------------------


def rows(widths: Sequence[int]) -> list[list[Placed]]:
    """Tiles in their order, broken into rows of twelve; the last tile of a row takes what is left of it when that is at most a third."""
    found: list[list[Placed]] = []
    used = COLUMNS
    for index, width in enumerate(widths):
        if used + width > COLUMNS:
            found.append([])
            used = 0
        found[-1].append(Placed(index, width))
        used += width
    return found


def moved(count: int, index: int, to: int) -> list[int]:
    """The order of tiles after one of them was moved to another place (kept inside)."""
    order = list(range(count))
    order.insert(max(0, min(to, count - 1)), order.pop(index))
    return order


def title_of(kind: TileKind, spec: Mapping[str, Any], dimension: str = "") -> str:
    """The title of a tile that nobody named."""
    if kind is TileKind.FIGURE:
        label = METRICS[spec["metric"]].label
        if spec["by"] == TIME:
            return f"{label} over time"
        return f"{label} by {dimension[:1].lower()}{dimension[1:]}" if spec["by"] and dimension else label
    return "Note" if kind is TileKind.TEXT else "Report"
