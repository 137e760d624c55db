"""A page of records: search, filter, sort, pages, totals, export. Everything that shapes it stands in the URL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.fields import FieldSpec, registry
from crm_core.kit.paging import Page
from crm_core.lists import ListQuery
from crm_core.services.collaboration.views import BOARD, GROUPS, LIST
from crm_core.veil import MASK, Veil
from crm_core.vocabulary import Action, ArticleState, FieldKind, Scope, StageKind
from ui import format as fmt
from ui.actions import load
from ui.addresses import number
from ui.cache import behind, cached
from ui.components.bin_views import deleted_note
from ui.components.bulk_bar import bulk_bar, may_bulk
from ui.components.dial_dialogs import call_button
from ui.components.export import export_button
from ui.components.filter_bar import PARAM, filter_button, filter_from_url, filter_words
from ui.components.header import empty_state
from ui.components.list_layouts import asked_layout, grouped_list, layout_switch
from ui.components.list_tools import counted, first_page, page_asked, search_box
from ui.components.pinned_views import pinned_row
from ui.components.table import Cell, Column, Happened, table
from ui.components.view_menu import Shape, columns_of, open_view, size_of, view_menu
from ui.navigation import go
from ui.session import current_actor
from ui.tones import TONES

_BARE = (FieldKind.BOOLEAN, FieldKind.INTEGER, FieldKind.DECIMAL)
"""What says nothing without its name: on a phone, where there is no header, the name stands before it."""
_TOLD_ONCE = {FieldKind.MONEY: "money", FieldKind.DATE: "day", FieldKind.DATETIME: "day", FieldKind.PERCENT: "share"}
"""What says enough where nothing else in a row looks like it: a moment is written as a day too."""


@dataclass(frozen=True)
class Quick:
    """Quick filters of a list: pills over one field. ``options``: value → label; ``means``: option → stored values, where one stands for several;
    ``first``: what is chosen when the address asks for nothing; ``asts``: option → filter, where an option is more than values of the field;
    ``otherwise``: filter while nothing is chosen and the address asks for nothing else."""

    field: str
    label: str
    options: Mapping[Any, str]
    means: Mapping[Any, Sequence[Any]] | None = None
    first: tuple[Any, ...] = ()
    asts: Mapping[Any, Mapping[str, Any]] | None = None
    otherwise: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Tick:
    """One click at the beginning of a row. ``words``: row → (is it ticked, what the click does), None where there is nothing to tick;
    ``act`` gets the row."""

    words: Callable[[Mapping[str, Any]], tuple[bool, str] | None]
    act: Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Extra:
    """A column beyond the fields: ``of`` gives the text of each row (every id must be answered)."""

    label: str
    of: Callable[[list[int]], Mapping[int, str]]


def record_list(
    entity_key: str,
    *,
    quick: Quick | None = None,
    tones: Mapping[str, Mapping[Any, str]] | None = None,
    on_empty: Callable[[], None] | None = None,
    bulk: bool = True,
    also: Mapping[str, Any] | None = None,
    tick: Tick | None = None,
    second: tuple[str, ...] = (),
    extra: Extra | None = None,
    board: Callable[[ListQuery], None] | None = None,
) -> None:
    """Draw the list of an entity. ``tones``: field → value → colour of its badge; ``on_empty`` draws what to do when there are no records at all;
    ``bulk``: rows can be selected and changed together, where the person may; ``also``: a filter that a switch of the page adds; ``second``:
    fields that stand after the first one, unless the address chooses the columns; ``extra``: a column that is computed for the rows of the
    page; ``board`` draws what the query means as a board, where the list can be laid out as one."""
    actor, found = current_actor(), entity(entity_key)
    quick_key = f"by_{quick.field}" if quick is not None else None
    opened = open_view(entity_key, quick_key)
    pinned_row(entity_key, opened, quick_key)
    asked = asked_layout(entity_key, board is not None)
    if asked.show == BOARD:
        quick = None  # the states are the columns then
    typed = filter_from_url(entity_key)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="list_tools"):
        q = search_box(found.plural.lower())
        chosen = _pills(quick)
        filter_button(entity_key, typed)
        layout_switch(entity_key, asked)
        specs = load(_specs, entity_key)
        both = _both(typed, quick, chosen, also)
        shape = Shape(
            both, q, _sort(entity_key), columns_of(entity_key, specs, second), size_of(), asked.show, asked.by, number("pipeline")
        )
        view_menu(entity_key, opened, shape, quick_key)
    filter_words(entity_key, typed)
    deleted_note(entity_key)
    query = ListQuery(filter=shape.filter, q=shape.q, sort=shape.sort, columns=shape.columns, page=page_asked(), size=shape.size)
    if asked.show == BOARD and board is not None:
        board(query)
        return
    known = _extent(entity_key, query)
    total, sums, _ = known
    if total == 0:
        _nothing(actor, entity_key, query if typed or q or chosen else None, on_empty)
        return
    rows = _Rows(entity_key, [specs[key] for key in shape.columns], tones or {}, tick, extra)
    if asked.show == GROUPS:
        others = [spec for spec in rows.shown if spec.key != asked.by] or rows.shown  # each group says its own
        grouped_list(entity_key, query, asked.by, total, partial(_group_of, replace(rows, shown=others), query))
    else:
        _whole(rows, query, known, bulk and may_bulk(actor, entity_key))
    _footer(actor, entity_key, query, -(-total // query.size) if asked.show == LIST else 1, total, sums)


@dataclass(frozen=True)
class _Rows:
    """How the rows of this list are drawn."""

    entity: str
    shown: Sequence[FieldSpec]
    tones: Mapping[str, Mapping[Any, str]]
    tick: Tick | None
    extra: Extra | None

    def draw(self, page: Page, query: ListQuery, key: str, label: str, *, selectable: bool = False) -> Happened:
        """The table of one page; what is ticked in it is done at once."""
        actor, found = current_actor(), entity(self.entity)
        ids = [row["id"] for row in page.rows]
        more = {row_id: [Cell(text)] for row_id, text in self.extra.of(ids).items()} if self.extra is not None else {}
        tick = self.tick
        money = [spec for spec in self.shown if spec.kind is FieldKind.MONEY]
        exact = {spec.key: fmt.with_cents(actor, (row[spec.key] for row in page.rows)) for spec in money}
        happened = table(
            self._columns(),
            [
                (
                    row["id"],
                    [cell(actor, spec, row, self.tones, exact.get(spec.key)) for spec in self.shown] + more.get(row["id"], []),
                )
                for row in page.rows
            ],
            key=key,
            label=label,
            href=f"/{found.page}?id={{id}}" if found.page else "",
            sort=query.sort or found.sort,
            selectable=selectable,
            ticks={row["id"]: words for row in page.rows if (words := tick.words(row)) is not None} if tick is not None else None,
        )
        if tick is not None and happened.ticked is not None:
            tick.act(next(row for row in page.rows if row["id"] == happened.ticked))
            st.rerun()
        return happened

    def _columns(self) -> list[Column]:
        numbers = (FieldKind.MONEY, FieldKind.INTEGER, FieldKind.DECIMAL)
        told = [_TOLD_ONCE.get(spec.kind, "") for spec in self.shown]
        made = [
            Column(
                spec.key,
                spec.label,
                right=spec.kind in numbers,
                named=spec.kind in _BARE or (bool(told[n]) and told.count(told[n]) > 1),
            )
            for n, spec in enumerate(self.shown)
        ]
        return made + (
            [Column("extra", self.extra.label, right=True, sortable=False, named=True)] if self.extra is not None else []
        )


def _whole(rows: _Rows, query: ListQuery, known: lists.Extent, selectable: bool) -> None:
    """The list as one table, with what can be done to many of its rows."""
    page = load(lists.find, rows.entity, query, known=known)
    bar = st.container()
    key = f"table_{rows.entity}_{st.session_state.get('_bulk_turn', 0)}"
    happened = rows.draw(page, query, key, entity(rows.entity).plural, selectable=selectable)
    if selectable:
        with bar:
            bulk_bar(rows.entity, happened.selected, query, known.total)
    _react(rows.entity, happened)


def _group_of(rows: _Rows, query: ListQuery, narrowed: ListQuery, known: lists.Extent, tag: str, label: str) -> None:
    """One page of one group as a table."""
    page = load(lists.find, rows.entity, narrowed, known=known)
    _react(rows.entity, rows.draw(page, query, f"table_{rows.entity}_{tag}", label))


def _pills(quick: Quick | None) -> list[Any]:
    if quick is None:
        return []
    return (
        st.pills(
            quick.label,
            list(quick.options),
            selection_mode="multi",
            default=None
            if {PARAM, "view"} & set(st.query_params) or f"by_{quick.field}" in st.session_state
            else list(quick.first),
            format_func=lambda value: quick.options[value],
            key=f"by_{quick.field}",
            bind="query-params",
            label_visibility="collapsed",
            on_change=first_page,
        )
        or []
    )


def _both(
    typed: Mapping[str, Any] | None, quick: Quick | None, chosen: list[Any], also: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    parts = [part for part in (typed, also) if part]
    if quick is not None and not chosen and quick.otherwise is not None and not typed:
        parts.append(quick.otherwise)
    elif quick is not None and chosen and quick.asts is not None:
        either = [quick.asts[option] for option in chosen]
        parts.append({"op": "or", "items": either} if len(either) > 1 else either[0])
    elif quick is not None and chosen:
        values = [value for option in chosen for value in quick.means[option]] if quick.means is not None else list(chosen)
        parts.append({"field": quick.field, "cmp": "in", "value": values})
    return {"op": "and", "items": parts} if len(parts) > 1 else parts[0] if parts else None


def _sort(entity_key: str) -> tuple[str, bool] | None:
    raw = st.query_params.get("sort", "")
    key = raw.removeprefix("-")
    return (key, raw.startswith("-")) if key in load(_specs, entity_key) else None


def _specs(session: Any, actor: Actor, entity_key: str) -> Mapping[str, FieldSpec]:
    return registry(session, entity_key)


def _extent(entity_key: str, query: ListQuery) -> lists.Extent:
    """Count, sums and the first hits of a search, kept until a table behind them changes (all of them when the filter looks beyond this one)."""
    plain = ListQuery(filter=query.filter, q=query.q, sort=query.sort if query.q else None)
    return cached(lists.extent, entity_key, plain, **behind(entity_key, query.filter))


def _nothing(actor: Actor, entity_key: str, query: ListQuery | None, on_empty: Callable[[], None] | None) -> None:
    """``query``: what the person asked for; None when they asked for nothing, and the page's own condition leaves no record."""
    found = entity(entity_key)
    if query is not None and (query.filter or query.q) and _extent(entity_key, ListQuery()).total:
        actions = empty_state(
            f"No {found.plural.lower()} match", "Try fewer words, or remove a condition of the filter.", icon="search_off"
        )
        actions.button("Show all", key="show_all", on_click=_show_all)
    elif on_empty is not None:
        on_empty()
    else:
        empty_state(f"No {found.plural.lower()} yet", f"{found.plural} that you may see will stand here.", icon=found.icon)
    if Scope.ALL not in actor.scopes(entity_key, Action.READ):
        reach = " and ".join(scope.label.lower() for scope in sorted(actor.scopes(entity_key, Action.READ)))
        st.caption(f"Your role sees a part of the {found.plural.lower()} ({reach}). There may be others.", text_alignment="center")


def _show_all() -> None:
    for name in list(st.query_params):
        del st.query_params[name]
    for key in list(st.session_state):
        if key in ("q", "page"):
            del st.session_state[key]
        elif str(key).startswith("by_"):
            st.session_state[key] = []


def _footer(actor: Actor, entity_key: str, query: ListQuery, pages: int, total: int, sums: Mapping[str, Any]) -> None:
    parts = [counted(entity_key, total)]
    parts += [f"{fmt.money(actor, value, decimals=False)} in total" for value in sums.values() if value]
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="list_footer"):
        st.caption(fmt.md(" · ".join(parts)), width="content")
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="right", width="content", gap="small"):
            call_button(actor, entity_key, query)
            if actor.can(entity_key, Action.EXPORT):
                export_button(entity_key, query)
            if pages > 1:
                if int(st.session_state.get("page") or 1) > pages:
                    st.session_state["page"] = pages
                st.pagination(pages, key="page", bind="query-params")


def _react(entity_key: str, happened: Happened) -> None:
    if happened.sorted is not None:
        key, descending = happened.sorted
        st.query_params["sort"] = f"-{key}" if descending else key
        st.rerun()
    if happened.opened is not None:
        go(entity(entity_key).page, id=happened.opened)


def cell(
    actor: Actor,
    spec: FieldSpec,
    row: Mapping[str, Any],
    tones: Mapping[str, Mapping[Any, str]],
    decimals: bool | None = None,
) -> Cell:
    """How a value looks in a table; ``decimals``: those of an amount, as ``money`` takes them."""
    raw = row[spec.key]
    text = fmt.value(actor, spec, raw, row.get(f"{spec.key}.title"))
    if isinstance(raw, Veil):
        found = entity(spec.entity)
        return Cell(f"{found.label} {row['id']}" if raw == MASK and spec.key == found.title else text)
    if spec.kind is FieldKind.MONEY and isinstance(raw, int):
        return Cell(fmt.money(actor, raw, decimals=decimals))
    tone = tones.get(spec.key, {}).get(raw)
    if tone is None and spec.enum is not None and raw is not None:
        tone = TONES.get(raw)
    if tone is not None:
        return Cell(text, tone=tone)
    if (spec.kind is FieldKind.PERCENT or (spec.entity, spec.key) == ("lead", "score")) and raw is not None:
        return Cell(text, share=float(raw))
    if spec.key == "sla_due_at" and raw is not None:
        return Cell(fmt.ago(actor, raw), hot=raw < fmt.clock.utcnow())
    if spec.kind in (FieldKind.DATE, FieldKind.DATETIME) and raw is not None:
        return Cell(_when(actor, spec, raw), hot=_overdue(spec, row, raw))
    return Cell(text)


def _when(actor: Actor, spec: FieldSpec, raw: date | datetime) -> str:
    return fmt.day(actor, raw) if spec.kind is FieldKind.DATE else fmt.day(actor, fmt.local(actor, raw).date())  # type: ignore[arg-type]


def _overdue(spec: FieldSpec, row: Mapping[str, Any], raw: Any) -> bool:
    if spec.key == "review_by":
        return row.get("state") is ArticleState.PUBLISHED and raw <= fmt.clock.today()
    if spec.key not in ("expected_close_on", "due_at", "next_step_on"):
        return False
    open_state = (
        row.get("outcome") in (None, StageKind.OPEN) and row.get("status") in (None, "open") and row.get("closed_on") is None
    )
    today = fmt.clock.today() if spec.kind is FieldKind.DATE else fmt.clock.utcnow()
    return open_state and raw < today
