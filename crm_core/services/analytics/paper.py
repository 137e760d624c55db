"""A dashboard as one HTML document that needs nothing else: no script, no other file. For shared pages, e-mail attachments and paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from markupsafe import Markup

from crm_core.access import Actor
from crm_core.services.analytics import paper_charts as charts
from crm_core.services.analytics.breakdowns import towering
from crm_core.services.analytics.dashboards import Note
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.services.analytics.metrics import Figure
from crm_core.services.analytics.periods import Period
from crm_core.services.analytics.pivots import Pivot
from crm_core.services.analytics.tile_rules import TIME
from crm_core.services.analytics.tiles import Look, Tile
from crm_core.services.analytics.wording import QUIET, TOO_FEW, change_text, number_text, period_text, step_text, value_text
from crm_core.vocabulary import Against, TileChart, TileKind


@dataclass(frozen=True)
class Sheet:
    """A document: its words, its tiles with their widths, and the lines at its foot."""

    title: str
    lead: str
    facts: str
    tiles: Sequence[tuple[Tile, int]]
    foot: Sequence[str] = ()
    notes: Sequence[Note] = ()


@lru_cache(maxsize=1)
def style() -> str:
    """The style sheet, which stands inside the document."""
    return (Path(__file__).with_name("paper.css")).read_text(encoding="utf-8")


def facts_of(actor: Actor, look: Look) -> str:
    """The line that says which days are shown, and compared with which."""
    words = [period_text(actor, look.selection.period)]
    if look.selection.comparison is not None:
        words.append("compared with " + period_text(actor, look.selection.comparison))
    if look.as_of is not None:
        words.append("as it stood at the end of " + period_text(actor, Period(look.as_of, look.as_of)))
    return ", ".join(words)


def document(actor: Actor, sheet: Sheet, look: Look, *, icon: str = "") -> str:
    """The whole document. ``icon``: address of the icon of its tab."""
    return page(sheet, Markup("").join(_tile(actor, tile, width, look, sheet.notes) for tile, width in sheet.tiles), icon=icon)


def section(title: str, inner: Markup, width: int = 12) -> Markup:
    """A box with a heading, so many twelfths wide."""
    return Markup('<section class="tile w{}"><h2>{}</h2>{}</section>').format(width, title, inner)


def page(sheet: Sheet, body: Markup, *, icon: str = "") -> str:
    """The document around its boxes."""
    foot = Markup("").join(Markup("<p>{}</p>").format(line) for line in sheet.foot)
    link = Markup('<link rel="icon" href="{}" type="image/svg+xml">').format(icon) if icon else Markup("")
    return Markup(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="robots" content="noindex, nofollow">\n<title>{title}</title>\n{link}\n<style>{style}</style>\n</head>\n<body>\n<main>\n'
        '<h1>{title}</h1>\n{lead}<p class="facts">{facts}</p>\n<div class="grid">{body}</div>\n<footer>{foot}</footer>\n</main>\n</body>\n</html>\n'
    ).format(
        title=sheet.title, link=link, style=Markup(style()), facts=sheet.facts, body=body, foot=foot,  # noqa: S704  (a file of ours)
        lead=Markup('<p class="lead">{}</p>').format(sheet.lead) if sheet.lead else "",
    )  # fmt: skip


def _tile(actor: Actor, tile: Tile, width: int, look: Look, notes: Sequence[Note]) -> Markup:
    if tile.kind is TileKind.TEXT:
        inner = Markup('<p class="text">{}</p>').format(tile.text)
    elif tile.reason:
        inner = Markup('<p class="note">{}</p>').format(tile.reason)
    elif tile.pivot is not None:
        inner = _pivot(actor, tile, tile.pivot)
    elif tile.parts:
        inner = _groups(actor, tile)
    elif tile.figure is not None:
        inner = _over_time(actor, tile, tile.figure, look, notes) if tile.by == TIME else _number(actor, tile.figure, look)
    else:
        inner = Markup('<p class="note">{}</p>').format("Nothing in this period.")
    head = Markup("<h2>{}</h2>").format(tile.title) if tile.title else Markup("")
    sub = Markup('<p class="sub">{}</p>').format(words) if (words := _subtitle(actor, tile, look)) else Markup("")
    return Markup('<section class="tile w{}">{}{}{}{}</section>').format(width, head, sub, inner, _hidden(tile))


def _subtitle(actor: Actor, tile: Tile, look: Look) -> str:
    metric = METRICS.get(tile.metric)
    words = []
    if metric is not None and metric.now and tile.by != TIME:
        words.append("As of now" if look.as_of is None else "As of that day")
    elif tile.period is not None and tile.period != look.selection.period:
        words.append(period_text(actor, tile.period))
    if tile.filtered:
        words.append("filtered")
    return " · ".join(words)


def _hidden(tile: Tile) -> Markup:
    if not tile.suppressed or tile.reason:
        return Markup("")
    number = "One number is" if tile.suppressed == 1 else f"{tile.suppressed} numbers are"
    return Markup('<p class="note">{}</p>').format(
        f"{number} not shown, so that nothing about fewer than five records can be told."
    )


def _number(actor: Actor, figure: Figure, look: Look) -> Markup:
    metric = figure.metric
    made = Markup('<p class="big">{}</p>').format(value_text(actor, metric.unit, figure.value))
    change = change_text(actor, figure)
    if change:
        tone = "" if figure.distinguishable is False or not metric.better or change in QUIET else _tone(figure)
        against = "last year" if look.selection.against is Against.LAST_YEAR else "the period before"
        within = ", within chance" if figure.distinguishable is False else ""
        said = "" if change == TOO_FEW else f"against {against}{within}"
        made += Markup('<p class="change"><span class="{}">{}</span> {}</p>').format(tone, change, said)
    if figure.reason:
        made += Markup('<p class="note">{}</p>').format(figure.reason)
    elif figure.low is not None and figure.high is not None:
        interval = f"95% interval {value_text(actor, metric.unit, figure.low)} to {value_text(actor, metric.unit, figure.high)}"
        made += Markup('<p class="note">{}</p>').format(interval)
    return made


def _tone(figure: Figure) -> str:
    return "up" if ((figure.change or 0) > 0) == (figure.metric.better == "up") else "down"


def _over_time(actor: Actor, tile: Tile, figure: Figure, look: Look, notes: Sequence[Note]) -> Markup:
    unit = figure.metric.unit
    labels = [step_text(actor, point.bucket) for point in figure.points]
    texts = [value_text(actor, unit, point.value) for point in figure.points]
    if tile.chart == TileChart.TABLE:
        return charts.table(["Step", figure.metric.label], list(zip(labels, texts, strict=True)))
    before = [point.value for point in figure.before_points][: len(labels)]
    top = max((value for value in [*(point.value for point in figure.points), *before] if value is not None), default=0)
    name = "Last year" if look.selection.against is Against.LAST_YEAR else "Period before"
    plot = charts.steps(
        [point.value for point in figure.points], labels, texts, before, line=tile.chart == TileChart.LINE,
        top=value_text(actor, unit, top), faded=[not point.bucket.complete for point in figure.points], names=(figure.metric.label, name),
    )  # fmt: skip
    inside = [note for note in notes if any(point.bucket.start <= note.day <= point.bucket.end for point in figure.points)]
    told = Markup("").join(
        Markup('<p class="note">{}</p>').format(f"{period_text(actor, Period(note.day, note.day))}: {note.text}") for note in inside
    )
    return plot + told + charts.folded(charts.table(["Step", figure.metric.label], list(zip(labels, texts, strict=True))))


def _groups(actor: Actor, tile: Tile) -> Markup:
    unit, told = METRICS[tile.metric].unit, towering(tile.parts)
    rows = [(part.label, part.value, value_text(actor, unit, part.value), part.low, part.high) for part in tile.parts]
    if tile.chart == TileChart.TABLE:
        return charts.table([METRICS[tile.metric].label, ""], [(label, text) for label, _, text, _, _ in rows])
    return (
        charts.ranges(rows)
        if tile.chart == TileChart.DOTS
        else charts.bars(
            [(part.label, None if part is told else part.value, value_text(actor, unit, part.value)) for part in tile.parts]
        )
    )


def _pivot(actor: Actor, tile: Tile, pivot: Pivot) -> Markup:
    if not pivot.columns and tile.chart != TileChart.TABLE:
        return charts.bars(
            [
                (label, cell.value, number_text(actor, pivot.unit, cell.value, compact=True))
                for label, cell in zip(pivot.rows, pivot.row_totals, strict=True)
            ]
        )
    header = [pivot.row_label, *pivot.columns, "All" if pivot.columns else tile.title]
    rows = [
        (label, *(number_text(actor, pivot.unit, cell.value) for cell in (*pivot.cells[n], pivot.row_totals[n])))
        for n, label in enumerate(pivot.rows)
    ]
    heat = [[cell.value for cell in row] for row in pivot.cells] if tile.chart != TileChart.TABLE else None
    return charts.table(header, rows, heat=heat)
