"""A dashboard as a message: tables that every mail program shows, with styles on the elements themselves; no picture, nothing fetched."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from crm_core.access import Actor
from crm_core.services.analytics.breakdowns import Part
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.services.analytics.paper import Sheet
from crm_core.services.analytics.tile_rules import TIME
from crm_core.services.analytics.tiles import Tile
from crm_core.services.analytics.wording import TOO_FEW, change_text, number_text, step_text, value_text
from crm_core.vocabulary import MetricUnit

LONGEST = 40
_TEXT, _SOFT, _LINE, _BAR = "#111827", "#4B5563", "#E5E7EB", "#4F46E5"


@dataclass(frozen=True)
class Message:
    """A report ready to be sent."""

    subject: str
    text: str
    html: str
    headers: dict[str, str]


def message(actor: Actor, sheet: Sheet, *, leave: str) -> Message:
    """The message of a report. ``leave``: the address at which its recipient ends it."""
    headers = {"List-Unsubscribe": f"<{leave}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"} if leave else {}
    return Message(f"{sheet.title}: {sheet.facts}"[:200], _plain(actor, sheet, leave), _html(actor, sheet, leave), headers)


def lines(actor: Actor, tile: Tile) -> list[tuple[str, str, float]]:
    """Label, text and size (0 to 1) of each number of a tile."""
    if tile.pivot is not None:
        pairs = [
            (label, cell.value, number_text(actor, tile.pivot.unit, cell.value))
            for label, cell in zip(tile.pivot.rows, tile.pivot.row_totals, strict=True)
        ]
    elif tile.parts:
        unit = METRICS[tile.metric].unit
        pairs = [(part.label, part.value, _ranged(actor, unit, part)) for part in tile.parts]
    elif tile.figure is not None and tile.by == TIME:
        unit = tile.figure.metric.unit
        pairs = [
            (step_text(actor, point.bucket), point.value, value_text(actor, unit, point.value)) for point in tile.figure.points
        ]
    else:
        return []
    top = max((abs(value) for _, value, _ in pairs if value is not None), default=0) or 1
    return [(label, text, abs(value or 0) / top) for label, value, text in pairs[:LONGEST]]


def _ranged(actor: Actor, unit: MetricUnit, part: Part) -> str:
    """A value, with its range where it has one."""
    text = value_text(actor, unit, part.value)
    if part.low is None or part.high is None:
        return text
    return f"{text} ({value_text(actor, unit, part.low)} to {value_text(actor, unit, part.high)})"


def _below(tile: Tile) -> str:
    """What has to be said of the numbers of a tile."""
    if tile.pivot is not None and tile.pivot.columns:
        return "All columns together; the whole table stands on the dashboard."
    ranged = any(part.low is not None for part in tile.parts or ())
    return "In brackets the 95% intervals: where they overlap, chance may have ranked them." if ranged else ""


def _headline(actor: Actor, tile: Tile) -> tuple[str, str]:
    figure = tile.figure
    if figure is None or tile.by == TIME:
        return "", ""
    change = change_text(actor, figure)
    value = value_text(actor, figure.metric.unit, figure.value)
    if change == TOO_FEW:
        return value, change
    note = f"{change} against the period before" if change else figure.reason
    return value, note + (", within chance" if figure.distinguishable is False else "")


def _plain(actor: Actor, sheet: Sheet, leave: str) -> str:
    parts = [sheet.title, sheet.facts, ""]
    for tile, _width in sheet.tiles:
        big, note = _headline(actor, tile)
        parts.append(f"{tile.title}: {big} {f'({note})' if note else ''}".rstrip(": ") if big else tile.title or "")
        parts += [f"  {label}: {text}" for label, text, _ in lines(actor, tile)]
        parts += [f"  {note}" for note in [_below(tile)] if note]
        if tile.reason or tile.text:
            parts.append(f"  {tile.reason or tile.text}")
        parts.append("")
    return "\n".join([*parts, *sheet.foot, f"No more of these: {leave or actor.email}", ""])


def _html(actor: Actor, sheet: Sheet, leave: str) -> str:
    body = Markup("").join(_row(actor, row) for row in _rows(actor, [tile for tile, _width in sheet.tiles]))
    foot = Markup("").join(Markup('<p style="margin:0 0 4px">{}</p>').format(line) for line in sheet.foot)
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title></head>'
        '<body style="margin:0;padding:24px 12px;background:#F6F7F9;color:{text};font:14px/1.5 Arial,Helvetica,sans-serif">'
        '<div style="max-width:640px;margin:0 auto"><h1 style="margin:0;font-size:22px">{title}</h1>'
        '<p style="margin:4px 0 18px;color:{soft}">{facts}</p>{body}'
        '<div style="margin-top:18px;color:{soft};font-size:12px">{foot}<p style="margin:0"><a href="{leave}" style="color:{soft}">No more of these</a></p></div></div></body></html>'
    ).format(
        title=sheet.title, text=_TEXT, soft=_SOFT, facts=sheet.facts, body=body, foot=foot, leave=leave or f"mailto:{actor.email}"
    )


def _bar(size: float) -> Markup:
    """A bar of cells: some mail programs give every box the whole width, but none of them a cell."""
    if not size:
        return Markup("")
    return Markup(
        '<table role="presentation" cellspacing="0" cellpadding="0" style="width:{}%"><tr>'
        '<td style="height:10px;line-height:10px;font-size:0;background:{}">&nbsp;</td></tr></table>'
    ).format(max(1, round(100 * size)), _BAR)


def _rows(actor: Actor, tiles: Sequence[Tile]) -> list[list[Tile]]:
    """Tiles from top to bottom: two that are only a number stand side by side."""
    rows: list[list[Tile]] = []
    for tile in tiles:
        beside = rows and len(rows[-1]) == 1 and all(_headline(actor, one)[0] for one in (rows[-1][0], tile))
        rows[-1].append(tile) if beside else rows.append([tile])
    return rows


def _row(actor: Actor, row: Sequence[Tile]) -> Markup:
    if len(row) == 1:
        return Markup('<div style="margin:0 0 12px">{}</div>').format(_tile(actor, row[0]))
    cells = [
        Markup('<td valign="top" style="width:50%;height:100%;padding:{}">{}</td>').format(room, _tile(actor, tile, "height:100%;"))
        for tile, room in zip(row, ("0 6px 0 0", "0 0 0 6px"), strict=True)
    ]
    return Markup(
        '<table role="presentation" cellspacing="0" cellpadding="0" style="width:100%;height:1px;margin:0 0 12px;table-layout:fixed">'
        "<tr>{}</tr></table>"
    ).format(Markup("").join(cells))


def _tile(actor: Actor, tile: Tile, more: str = "") -> Markup:
    big, note = _headline(actor, tile)
    inner = Markup("")
    if big:
        inner += Markup('<p style="margin:6px 0 0;font-size:26px;font-weight:bold">{}</p>').format(big)
    if note or tile.reason or tile.text:
        inner += Markup('<p style="margin:4px 0 0;color:{}">{}</p>').format(_SOFT, note or tile.reason or tile.text)
    rows = Markup("").join(
        Markup(
            '<tr><td style="padding:3px 10px 3px 0;width:40%">{}</td><td style="padding:3px 0;width:45%">{}</td>'
            '<td style="padding:3px 0 3px 10px;text-align:right;white-space:nowrap">{}</td></tr>'
        ).format(label, _bar(size), text)
        for label, text, size in lines(actor, tile)
    )
    if rows:
        inner += Markup('<table role="presentation" style="width:100%;margin-top:8px;border-collapse:collapse">{}</table>').format(
            rows
        )
    if rows and (below := _below(tile)):
        inner += Markup('<p style="margin:6px 0 0;font-size:12px;color:{}">{}</p>').format(_SOFT, below)
    return Markup(
        '<div style="{}box-sizing:border-box;padding:14px 16px;background:#FFFFFF;border:1px solid {};border-radius:8px"><strong>{}</strong>{}</div>'
    ).format(more, _LINE, tile.title, inner)
