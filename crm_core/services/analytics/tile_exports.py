"""What a tile shows as a table: for files, and for programs. Numbers stay numbers; money is in whole currency units."""

from typing import Any

from crm_core.access import Actor
from crm_core.errors import Invalid
from crm_core.kit.csvio import to_csv, to_xlsx
from crm_core.kit.money import to_major
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.services.analytics.metrics import Number
from crm_core.services.analytics.pivots import Cell, Pivot
from crm_core.services.analytics.tile_rules import TIME
from crm_core.services.analytics.tiles import Tile
from crm_core.services.analytics.wording import step_text
from crm_core.vocabulary import FieldKind, MetricUnit

Rows = list[list[Any]]
_UNITS = {MetricUnit.DAYS: "days", MetricUnit.SECONDS: "seconds"}


def table(actor: Actor, tile: Tile) -> tuple[list[str], Rows]:
    """Header and rows of a tile."""
    if tile.pivot is not None:
        return _pivot(actor, tile.pivot)
    metric = METRICS.get(tile.metric)
    if metric is None:
        return ["Text"], [[tile.text]]
    unit = actor.currency if metric.unit is MetricUnit.MONEY else _UNITS.get(metric.unit, "")
    name = f"{metric.label} ({unit})" if unit else metric.label

    def plain(value: Number | None) -> Any:
        return float(to_major(int(value), actor.currency)) if metric.unit is MetricUnit.MONEY and value is not None else value

    if tile.parts:
        return ["Group", name, "Records", "Low", "High"], [
            [part.label, plain(part.value), part.cases, part.low, part.high] for part in tile.parts
        ]
    found = tile.figure
    if found is None:
        return [name], []
    if tile.by == TIME:
        before = [point.value for point in found.before_points]
        return ["From", "To", "Step", name, "Records", "Compared with"], [
            [
                point.bucket.start, point.bucket.end, step_text(actor, point.bucket), plain(point.value), point.cases,
                plain(before[n]) if n < len(before) else None,
            ]
            for n, point in enumerate(found.points)
        ]  # fmt: skip
    return [name, "Records", "Compared with", "Low", "High"], [
        [plain(found.value), found.cases, plain(found.before), found.low, found.high]
    ]


def _pivot(actor: Actor, pivot: Pivot) -> tuple[list[str], Rows]:
    def plain(cell: Cell) -> Any:
        money = pivot.unit is FieldKind.MONEY and cell.value is not None
        return float(to_major(round(cell.value or 0), actor.currency)) if money else cell.value

    rows: Rows = []
    for n, label in enumerate(pivot.rows):
        rows.append([label, *(plain(cell) for cell in pivot.cells[n]), plain(pivot.row_totals[n])])
    if pivot.additive:
        rows.append(["All", *(plain(cell) for cell in pivot.column_totals), plain(pivot.whole)])
    return [pivot.row_label, *pivot.columns, "All" if pivot.columns else pivot.title], rows


def file(actor: Actor, tile: Tile, form: str) -> bytes:
    """A tile as CSV or XLSX."""
    if form not in ("csv", "xlsx"):
        raise Invalid("Choose CSV or XLSX.")
    header, rows = table(actor, tile)
    return (to_csv if form == "csv" else to_xlsx)(header, rows)
