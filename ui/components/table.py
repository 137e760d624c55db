"""A table of records as real HTML: rows open records, headers sort in the database, checkboxes select; on a phone the rows become cards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent
_TABLE = st.components.v2.component(
    "rapport_table",
    html='<div class="wrap"><div class="frame" tabindex="-1"></div></div>\n',
    css=(_HERE / "table.css").read_text(),
    js=(_HERE / "table.js").read_text(),
)


@dataclass(frozen=True)
class Column:
    """A column: ``right`` aligns numbers, ``muted`` steps back, ``sortable`` makes the header a button, ``named`` says its label before each
    value on a phone, where there is no header."""

    key: str
    label: str
    right: bool = False
    sortable: bool = True
    muted: bool = False
    named: bool = False


@dataclass(frozen=True)
class Cell:
    """What a cell shows: plain text, as a badge of a theme colour (``tone``), as a bar (``share`` 0–100), as a warning (``hot``), or as a link of its
    own (``href``, not in the first column)."""

    text: str
    tone: str | None = None
    share: float | None = None
    hot: bool = False
    href: str | None = None


@dataclass(frozen=True)
class Happened:
    """What the user did with the table in this run. ``ticked``: a row whose round button was pressed; ``followed``: the address of a cell."""

    opened: int | None = None
    followed: str | None = None
    ticked: int | None = None
    sorted: tuple[str, bool] | None = None
    selected: list[int] = field(default_factory=list)


def table(
    columns: Sequence[Column],
    rows: Sequence[tuple[int, Sequence[Cell]]],
    *,
    key: str,
    label: str,
    href: str = "",
    sort: tuple[str, bool] | None = None,
    selectable: bool = False,
    hrefs: Mapping[int, str] | None = None,
    ticks: Mapping[int, tuple[bool, str]] | None = None,
) -> Happened:
    """Draw the table. ``rows``: (id, cells); ``href`` with ``{id}`` is the address of a row's record; the first column is its link.

    ``hrefs`` gives the address per row instead, where rows lead to different kinds of records. ``ticks`` gives rows a round button before
    them: id → (is it ticked, what the button does in words).
    """
    known = {row_id for row_id, _ in rows}
    before = [chosen for chosen in (st.session_state.get(key) or {}).get("selected") or [] if chosen in known]
    data: dict[str, Any] = {
        "label": label,
        "columns": [column.__dict__ for column in columns],
        "rows": [
            {
                "id": row_id,
                **({"tick": {"on": ticks[row_id][0], "words": ticks[row_id][1]}} if ticks and row_id in ticks else {}),
                "href": (hrefs or {}).get(row_id, "") or (href.format(id=row_id) if href else ""),
                "cells": [
                    {
                        name: item
                        for name, item in cell.__dict__.items()
                        if name == "text" or (item is not None and item is not False)
                    }
                    for cell in cells
                ],
            }
            for row_id, cells in rows
        ],
        "sort": {"key": sort[0], "desc": sort[1]} if sort else None,
        "selectable": selectable,
        "ticks": bool(ticks),
        "selected": before,
        "openable": bool(href or hrefs),
    }
    result = _TABLE(
        key=key,
        data=data,
        on_opened_change=_nothing,
        on_followed_change=_nothing,
        on_sorted_change=_nothing,
        on_selected_change=_nothing,
        on_ticked_change=_nothing,
    )
    chosen = [row_id for row_id in result.selected or [] if row_id in known]
    opened = result.opened["id"] if result.opened else None
    ticked = result.ticked["id"] if result.ticked else None
    order = (str(result.sorted["key"]), bool(result.sorted["desc"])) if result.sorted else None
    ways = {cell.href for _, cells in rows for cell in cells if cell.href}
    followed = result.followed["href"] if result.followed and result.followed["href"] in ways else None
    return Happened(opened if opened in known else None, followed, ticked if ticked in known else None, order, chosen)


def _nothing() -> None:
    """CCv2 gives a result only for keys that have a callback."""
