"""The log of messages to or from another program, in a dialog: by state, page by page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from crm_core.vocabulary import Choice
from ui import format as fmt
from ui.actions import load
from ui.components.table import Cell, Column, Happened, table

PAGE = 12


def message_log(
    find: Callable[..., tuple[list[Any], int]],
    owner_id: int,
    name: str,
    *,
    key: str,
    states: Sequence[Choice],
    columns: Mapping[str, str],
    cells: Callable[[Any], list[Cell]],
    nothing: str,
) -> tuple[list[Any], Happened]:
    """Draw what ``find(owner_id, state=, page=, size=)`` gives; returns the rows that are shown and what was done with them."""
    st.caption(fmt.md(name))
    words = {state.value: state.label for state in states}
    meant = {state.value: state for state in states}
    chosen = st.pills(
        "State",
        list(words),
        format_func=lambda one: words[one],
        key=f"{key}_state_{owner_id}",
        label_visibility="collapsed",
    )
    page = int(st.session_state.get(f"{key}_page_{owner_id}") or 1)
    rows, total = load(find, owner_id, state=meant[chosen] if chosen else None, page=page, size=PAGE)
    if not rows:
        st.caption(nothing if chosen is None else "Nothing like that.")
        return [], Happened()
    happened = table(
        [Column(field, label, sortable=False) for field, label in columns.items()],
        [(row.id, cells(row)) for row in rows],
        key=f"{key}_rows_{owner_id}",
        label="Messages",
    )
    if total > PAGE:
        st.pagination(-(-total // PAGE), key=f"{key}_page_{owner_id}")
    return rows, happened
