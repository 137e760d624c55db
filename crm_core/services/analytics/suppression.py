"""A tile made fit for strangers: small groups hidden, names of customers' people left out, lists behind it taken off."""

from dataclasses import replace

from crm_core.entities import ENTITIES, entity
from crm_core.fields import builtin
from crm_core.services.analytics.breakdowns import Part
from crm_core.services.analytics.metrics import Figure, Point
from crm_core.services.analytics.pivots import Cell, Pivot
from crm_core.services.analytics.suppression_rules import FLOOR, hidden, hidden_cells, is_small
from crm_core.services.analytics.tile_rules import TIME
from crm_core.services.analytics.tiles import Tile

FEW = f"Fewer than {FLOOR} records: not shown."
NAMES = "This tile names people, which shared pages do not show."


def shielded(tile: Tile, path: str = "") -> Tile:
    """The tile without what identifies single records. ``path``: the field of the rows, for reports."""
    if tile.reason or tile.text:
        return tile
    if any(_names_people(tile.entity, each) for each in (path, tile.by) if each):
        return replace(tile, figure=None, parts=(), pivot=None, reason=NAMES)
    if tile.pivot is not None:
        return _pivot(tile, tile.pivot)
    if tile.parts:
        return _parts(tile)
    if tile.figure is not None:
        return _figure(tile, tile.figure)
    return tile


def _names_people(entity_key: str, path: str) -> bool:
    """True for a split by records that are people outside the house: their names are personal data."""
    spec = (
        builtin(entity_key).get(path.split(".")[-1] if "." not in path else f"{path.split('.')[0]}_id")
        if entity_key in ENTITIES
        else None
    )
    if spec is None or spec.to not in ENTITIES or "." in path:
        return False
    title = builtin(spec.to or "").get(entity(spec.to or "").title)
    return title is not None and title.pii


def _figure(tile: Tile, figure: Figure) -> Tile:
    if is_small(figure.cases) and tile.by != TIME:
        return replace(tile, figure=None, reason=FEW, suppressed=1)
    if is_small(figure.before_cases) or is_small(figure.cases):
        figure = replace(figure, before=None, change=None, relative=None, distinguishable=None)
    points, gone = _points(figure.points)
    before, gone_before = _points(figure.before_points)
    figure = replace(figure, points=points, before_points=before, filter={}, numerator=None, denominator=None)
    if tile.by != TIME:
        return replace(tile, figure=replace(figure, points=(), before_points=()))
    return replace(tile, figure=figure, suppressed=gone + gone_before)


def _points(points: tuple[Point, ...]) -> tuple[tuple[Point, ...], int]:
    gone = hidden([point.cases for point in points])
    return tuple(replace(point, value=None, cases=0) if n in gone else point for n, point in enumerate(points)), len(gone)


def _parts(tile: Tile) -> Tile:
    gone = hidden([part.cases for part in tile.parts])
    kept = tuple(_bare(part) for n, part in enumerate(tile.parts) if n not in gone)
    reason = "" if kept else FEW
    return replace(tile, parts=kept, reason=reason, suppressed=len(gone))


def _bare(part: Part) -> Part:
    return replace(part, filter={}, key=None, numerator=None, denominator=None)


def _pivot(tile: Tile, pivot: Pivot) -> Tile:
    if is_small(pivot.whole.cases):
        return replace(tile, pivot=None, reason=FEW, suppressed=1)
    rows, columns = hidden([cell.cases for cell in pivot.row_totals]), hidden([cell.cases for cell in pivot.column_totals])
    cells = hidden_cells([[cell.cases for cell in row] for row in pivot.cells]) if pivot.columns else set()
    kept_rows = [r for r in range(len(pivot.rows)) if r not in rows]
    kept_columns = [c for c in range(len(pivot.columns)) if c not in columns]

    def plain(cell: Cell, gone: bool = False) -> Cell:
        return Cell(None, 0, {}) if gone else replace(cell, filter={})

    made = replace(
        pivot,
        rows=tuple(pivot.rows[r] for r in kept_rows),
        columns=tuple(pivot.columns[c] for c in kept_columns),
        cells=tuple(tuple(plain(pivot.cells[r][c], (r, c) in cells) for c in kept_columns) for r in kept_rows),
        row_totals=tuple(plain(pivot.row_totals[r]) for r in kept_rows),
        column_totals=tuple(plain(pivot.column_totals[c]) for c in kept_columns),
        whole=plain(pivot.whole),
    )
    suppressed = len(rows) + len(columns) + len({(r, c) for r, c in cells if r in kept_rows and c in kept_columns})
    if not made.rows:
        return replace(tile, pivot=None, reason=FEW, suppressed=suppressed)
    return replace(tile, pivot=made, suppressed=suppressed)
