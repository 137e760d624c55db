"""A tile of a dashboard on the screen: number, chart or table, with the records behind it, files, and how it is computed."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import streamlit as st
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.errors import CrmError
from crm_core.kit import clock
from crm_core.services.analytics import tile_exports, tile_working, tiles
from crm_core.services.analytics.dashboards import Note, TileRow
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.services.analytics.metrics import Figure, Selection
from crm_core.services.analytics.tile_facts import day_field
from crm_core.services.analytics.tile_rules import TIME
from crm_core.services.analytics.tiles import Look, Tile
from crm_core.services.analytics.wording import QUIET, TOO_FEW, change_text, number_text, period_text, step_text, value_text
from crm_core.vocabulary import TileChart, TileKind
from ui import format as fmt
from ui.actions import load
from ui.cache import cached
from ui.components import tile_charts
from ui.components.figure import Behind, box
from ui.components.filter_bar import PARAM
from ui.components.kpi_cards import against_text, colour_of
from ui.components.list_link import list_link
from ui.components.overview_figures import figures
from ui.components.table import Cell, Column, table
from ui.downloads import table_buttons
from ui.navigation import go, page_of

PIXELS = {1: 190, 2: 300, 3: 440}
MOST_BEHIND = 60


def evaluated(rows: Sequence[TileRow], look: Look) -> list[Tile]:
    """The tiles of a dashboard, each remembered until a table behind it changes."""
    keys = load(_keys, tuple((row.kind, row.spec) for row in rows))
    found = []
    for row, (entities, tables) in zip(rows, keys, strict=True):
        if row.kind is TileKind.TEXT:
            found.append(Tile(row.kind, "text", row.title, text=row.spec["text"]))
            continue
        spec = json.dumps(row.spec, sort_keys=True)
        found.append(cached(_evaluate, row.kind.value, spec, row.title, look, entities=entities, tables=tables))
    return found


def _keys(session: Session, actor: Actor, rows: tuple[tuple[TileKind, dict[str, Any]], ...]) -> list[Any]:
    return [tiles.depends_on(session, actor, kind, spec) for kind, spec in rows]


def _evaluate(session: Session, actor: Actor, kind: str, spec: str, title: str, look: Look) -> Tile:
    return tiles.evaluate(session, actor, TileKind(kind), json.loads(spec), look, title, _remembered)


def _remembered(_session: Session, _actor: Actor, area: str, selection: Selection) -> tuple[Figure, ...]:
    """Figures of an area are computed together, so tiles share them."""
    return figures(area, selection)


# --- drawing -------------------------------------------------------------------------------------------------------------


def draw(actor: Actor, row: TileRow, tile: Tile, look: Look, notes: Sequence[Note]) -> None:
    """Draw a tile in its box."""
    if tile.kind is TileKind.TEXT:
        with st.container(border=True, height="stretch", key=f"tile_{row.id}"):
            if row.title:
                st.markdown(f"**{fmt.md(row.title)}**")
            for line in tile.text.splitlines():
                st.markdown(fmt.md(line) or "&nbsp;")
        return
    outer, head = box(tile.title, _subtitle(actor, tile, look), key=f"tile_{row.id}")
    with head:
        _menu(actor, row, tile, look)
    with outer:
        if tile.reason:
            st.caption(":material/info: " + fmt.md(tile.reason))
        elif tile.figure is not None and tile.by != TIME:
            _number(actor, tile.figure, look)
        elif tile.pivot is not None:
            _pivot(actor, row, tile)
        else:
            _chart(actor, row, tile, look, notes)


def _subtitle(actor: Actor, tile: Tile, look: Look) -> str:
    words = []
    metric = METRICS.get(tile.metric)
    if metric is not None and metric.now and tile.by != TIME:
        words.append(f"As of {fmt.day(actor, look.as_of)}" if look.as_of else "As of now")
    elif tile.period is not None and (tile.pivot is None or tile.period != look.selection.period):
        words.append(period_text(actor, tile.period))
    if tile.filtered:
        words.append("filtered")
    return " · ".join(words)


def _number(actor: Actor, figure: Figure, look: Look) -> None:
    metric = figure.metric
    change = change_text(actor, figure)
    st.metric(
        metric.label,
        value_text(actor, metric.unit, figure.value),
        change,
        delta_color="off" if change in QUIET else colour_of(figure),
        delta_arrow="off" if change in QUIET else "auto",
        delta_description=against_text(actor, figure, look.selection).split(" · ")[0] if change and change != TOO_FEW else None,
        label_visibility="collapsed",
    )
    words = [figure.reason] if figure.reason else []
    if figure.low is not None and figure.high is not None:
        words.append(f"95% interval {fmt.percent(actor, figure.low)} to {fmt.percent(actor, figure.high)}")
    if figure.distinguishable is False and change != TOO_FEW:
        words.append("Chance alone could make this change")
    if words:
        st.caption(fmt.md(" · ".join(words)))


def _chart(actor: Actor, row: TileRow, tile: Tile, look: Look, notes: Sequence[Note]) -> None:
    if tile.chart == TileChart.TABLE:
        _table(row, [Column("label", "Step" if tile.by == TIME else "Group", sortable=False), Column("text", METRICS[tile.metric].label, right=True, sortable=False)], [(behind.label, [behind.text], behind) for behind in behind_of(actor, tile, look)])  # fmt: skip
        return
    if tile.figure is not None:
        option = tile_charts.over_time(actor, tile.figure, tile.chart, notes, look.selection.against)
        shown = tile_charts.numbered(tile.figure, notes)
    else:
        if not tile.parts:
            st.caption(fmt.md(METRICS[tile.metric].missing or "Nothing in this period."))
            return
        option, shown = tile_charts.by_group(actor, tile.metric, tile.parts, tile.chart, ink=_ink()), []
    st.echarts_chart(option, height=_height(row, tile), key=f"chart_{row.id}", alt=tile.title)
    for number, note in shown:
        st.caption(f"**{number}** " + fmt.md(f"{fmt.day(actor, note.day)}: {note.text}"))


def _ink() -> str:
    """What figures in charts are written in, on the ground that the person sees."""
    return "#E5E7EB" if st.context.theme.type == "dark" else "#374151"


def _height(row: TileRow, tile: Tile) -> int:
    groups = len(tile.parts) or (len(tile.pivot.rows) if tile.pivot else 0)
    return max(PIXELS[row.height], groups * 22 + 50)


def _pivot(actor: Actor, row: TileRow, tile: Tile) -> None:
    found = tile.pivot
    assert found is not None
    if not found.rows:
        st.caption("No record matches this report.")
        return
    if tile.chart != TileChart.TABLE:
        st.echarts_chart(
            tile_charts.of_pivot(actor, found, tile.chart, ink=_ink()),
            height=_height(row, tile),
            key=f"chart_{row.id}",
            alt=tile.title,
        )
    else:
        names = [Column("label", found.row_label, sortable=False)]
        names += [Column(f"c{n}", name, right=True, sortable=False, named=True) for n, name in enumerate(found.columns)]
        names.append(Column("all", "All" if found.columns else _measure_name(tile), right=True, sortable=False, named=True))
        lines = [
            (
                label,
                [number_text(actor, found.unit, cell.value) for cell in (*found.cells[n], found.row_totals[n])],
                Behind(label, "", tile.entity, found.row_totals[n].filter),
            )
            for n, label in enumerate(found.rows)
        ]
        if found.additive and not found.left_out:
            cells = (*found.column_totals, found.whole)
            lines.append(
                (
                    "All",
                    [number_text(actor, found.unit, cell.value) for cell in cells],
                    Behind("All", "", tile.entity, found.whole.filter),
                )
            )
        _table(row, names, lines)
    if found.left_out:
        st.caption(
            f"{fmt.written(found.left_out)} smaller rows are not shown. All together: "
            + fmt.md(number_text(actor, found.unit, found.whole.value))
        )


def _measure_name(tile: Tile) -> str:
    return tile.pivot.title.split(" by ")[0] if tile.pivot else ""


def _table(row: TileRow, columns: Sequence[Column], lines: Sequence[tuple[str, Sequence[str], Behind]]) -> None:
    """Rows that lead to the records behind them."""
    made, hrefs = [], {}
    for n, (label, texts, behind) in enumerate(lines):
        made.append((n, [Cell(label), *(Cell(text) for text in texts)]))
        if behind.filter:
            hrefs[n] = f"/{_list_of(behind)}?{PARAM}={quote(_json(behind))}"
    happened = table(columns, made, key=f"table_{row.id}", label=row.title or "Figures", hrefs=hrefs)
    if happened.opened is not None:
        behind = lines[happened.opened][2]
        go(_list_of(behind), **{PARAM: _json(behind)})


def _list_of(behind: Behind) -> str:
    return entity(behind.entity).plural.lower()


def _json(behind: Behind) -> str:
    return json.dumps(behind.filter, separators=(",", ":"), default=str)


# --- what stands behind --------------------------------------------------------------------------------------------------


def behind_of(actor: Actor, tile: Tile, look: Look) -> list[Behind]:
    """Every number of a tile with the list behind it; past days have no list, since lists show records as they are."""
    found = tile.figure
    past = look.as_of is not None
    if tile.pivot is not None:
        unit = tile.pivot.unit
        return [
            Behind(label, number_text(actor, unit, cell.value), tile.entity, cell.filter)
            for label, cell in zip(tile.pivot.rows, tile.pivot.row_totals, strict=True)
        ]
    if tile.parts:
        unit_of = METRICS[tile.metric].unit
        return [
            Behind(part.label, value_text(actor, unit_of, part.value), tile.entity, {} if past else part.filter)
            for part in tile.parts
        ]
    if found is None:
        return []
    unit_of = found.metric.unit
    if tile.by != TIME:
        words = fmt.plural(found.cases, entity(tile.entity).label.lower(), entity(tile.entity).plural.lower())
        return [Behind(words, value_text(actor, unit_of, found.value), tile.entity, {} if past else found.filter)]
    return [
        Behind(
            step_text(actor, point.bucket), value_text(actor, unit_of, point.value), tile.entity,
            {} if past or found.metric.now else _stepped(found, point),
        )
        for point in found.points
    ]  # fmt: skip


def _stepped(figure: Figure, point: Any) -> dict[str, Any]:
    """The filter of a figure cut down to one of its steps."""
    leaf = {"field": day_field(figure.metric), "cmp": "between", "value": [str(point.bucket.start), str(point.bucket.end)]}
    return {"op": "and", "items": [*figure.filter["items"], leaf]}


def _menu(actor: Actor, row: TileRow, tile: Tile, look: Look) -> None:
    with st.popover(
        icon=":material/more_vert:",
        type="tertiary",
        **fmt.icon_only("Records, files, computation"),
        key=f"menu_{row.id}",
        on_change="rerun",
    ) as fold:
        if not fold.open:
            return
        view = st.segmented_control(
            "Show",
            ["Records", "Files", "Working"],
            default="Records",
            required=True,
            key=f"menu_view_{row.id}",
            label_visibility="collapsed",
        )
        if view == "Files":
            _files(actor, row, tile)
        elif view == "Working":
            _working(actor, row, tile, look)
        else:
            _records(actor, tile, look)


def _records(actor: Actor, tile: Tile, look: Look) -> None:
    found = behind_of(actor, tile, look)
    for behind in found[:MOST_BEHIND]:
        words = f"{fmt.md(behind.label)}: **{fmt.md(behind.text)}**"
        if behind.filter and page_of(actor, _list_of(behind)) is not None:
            list_link(actor, behind.entity, words, behind.filter)
        else:
            st.markdown(words)
    if look.as_of is not None:
        st.caption("Lists show records as they are now, so there is none for a past day.")
    if not found:
        st.caption(fmt.md(tile.reason) or "Nothing to show.")


def _files(actor: Actor, row: TileRow, tile: Tile) -> None:
    name = f"{'-'.join(tile.title.lower().split())[:60] or 'tile'}-{clock.today(actor.timezone).isoformat()}"
    table_buttons(partial(tile_exports.file, actor, tile), name, key=f"file_{row.id}")
    st.caption("As a picture (PNG): the download button at the top right of the chart.")


def _working(actor: Actor, row: TileRow, tile: Tile, look: Look) -> None:
    metric = METRICS.get(tile.metric)
    if metric is not None:
        st.markdown(fmt.md(metric.formula))
        st.caption(fmt.md(metric.note))
    spec = json.dumps(row.spec, sort_keys=True)
    statement = load(_sql, row.kind, spec, look)
    form = st.segmented_control(
        "As", ["SQL", "Python"], default="SQL", required=True, key=f"form_{row.id}", label_visibility="collapsed"
    )
    st.code(
        tile_working.python(statement, tile.title) if form == "Python" else statement,
        language="python" if form == "Python" else "sql",
        wrap_lines=True,
        height=320,
    )
    st.caption(
        "Run against the records themselves; within what you may see. Where a daily summary answers quicker, it gives the same number."
    )


def _sql(session: Session, actor: Actor, kind: TileKind, spec: str, look: Look) -> str:
    try:
        return tile_working.sql(session, actor, kind, json.loads(spec), look)
    except CrmError as error:
        return f"-- {error.message}"
