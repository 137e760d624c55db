"""Customers by their risk, on both pages about customers who may go: level, order and own ones chosen, page by page, with what to do about them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from ui import format as fmt
from ui.actions import load
from ui.cache import cached
from ui.components.analysis import Analysis
from ui.components.follow_up_dialog import follow_up_button, last_follow_up
from ui.components.segment_actions import segment_buttons
from ui.components.segmentation_views import money
from ui.components.table import Cell, Column, table
from ui.navigation import go as open_page

SIZE = 20
TONES = {"High": "red", "Medium": "orange", "Low": "green"}


@dataclass(frozen=True)
class RiskList:
    """What differs: ``rows`` is the service with ``page`` and ``ids``, ``entity`` the kind of customer, ``other`` kinds whose rows it shows too,
    ``rule(choice)`` the condition of a segment that follows the score, if it has one."""

    key: str
    entity: str
    rows: Any
    levels: Sequence[str]
    level_help: str
    sorts: Mapping[str, str]
    columns: Sequence[Column]
    cells: Callable[[Analysis, Any], list[Cell]]
    notes: Callable[..., Any]
    other: tuple[str, ...] = ("user",)
    rule: Callable[[str], Any] | None = None
    label: Callable[[str], str] = lambda level: f"{level or 'All'} risk"


def risk_list(shown: Analysis, of: RiskList, about: Callable[[list[Any], list[int]], None] | None = None) -> None:
    """Draw the list. ``about(rows, selected)`` says more of what is selected, between the list and its buttons."""
    choice = _choice(of)
    number = int(st.session_state.get(f"{of.key}_page", 1) or 1)
    found = cached(
        of.rows.page, shown.run.id, **choice, start=(number - 1) * SIZE, size=SIZE, entities=(of.entity, *of.other),
        tables=(of.entity, "analysis_run", "analysis_table"), own=bool(choice["mine"]),
    )  # fmt: skip
    if not found.total:
        st.caption("Nobody matches. Choose another level.")
        return
    pages = -(-found.total // SIZE)
    worth = f" with {money(shown.actor, found.at_stake)} at stake" if found.at_stake else ""
    st.markdown(f"**{fmt.md(fmt.plural(found.total, 'customer') + worth)}**")
    happened = table(
        of.columns, [(row.id, of.cells(shown, row)) for row in found.rows], key=f"{of.key}_rows_{min(number, pages)}_{hash(str(choice))}",
        label="Customers", href=f"{of.entity}?id={{id}}", selectable=True,
    )  # fmt: skip
    if happened.opened:
        open_page(of.entity, id=happened.opened)
    if pages > 1:
        st.pagination(pages, key=f"{of.key}_page")
    if about is not None:
        about(found.rows, happened.selected)
    _actions(shown, of, choice, happened.selected, found.total)


def _choice(of: RiskList) -> dict[str, Any]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        level = st.pills("Risk", list(of.levels), key=f"{of.key}_level", bind="query-params", help=of.level_help or None)
        sort = st.selectbox(
            "Sort by", list(of.sorts), format_func=lambda key: of.sorts[key], key=f"{of.key}_sort", width=220, bind="query-params"
        )
        mine = st.toggle("Only mine", key=f"{of.key}_mine", bind="query-params")
    return {"level": level or "", "sort": sort or "at_stake", "mine": bool(mine)}


def _actions(shown: Analysis, of: RiskList, choice: Mapping[str, Any], selected: list[int], total: int) -> None:
    """What to do about the selected customers, or about all that match."""
    last_follow_up()
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"{of.key}_actions"):
        number, level = len(selected) or total, str(choice["level"])
        st.markdown(f"{'Selected' if selected else 'All that match'}: **{fmt.written(number)}**", width="content")
        wanted = (lambda: selected) if selected else (lambda: load(of.rows.ids, shown.run.id, **choice))
        follow_up_button(of.entity, shown.run.id, wanted, number, chosen=bool(selected or level), notes=of.notes)
        label = "Selected customers" if selected else of.label(level)
        segment_buttons(
            of.key, entity=of.entity, name=f"{label}, {fmt.day(shown.actor, shown.run.as_of)}",
            rule=None if selected or not level or of.rule is None else of.rule(level),
            source={"kind": "churn_risk", "run_id": shown.run.id, "label": label}, members=wanted, count=number,
        )  # fmt: skip
