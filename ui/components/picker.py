"""Choose one record among many: a box that searches the database as one types."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_PICKER = st.components.v2.component(
    "rapport_picker",
    html='<div class="pick"></div>\n',
    css=(_HERE / "picker.css").read_text(),
    js=(_HERE / "picker.js").read_text(),
)


def picker(
    label: str,
    search: Callable[[str], dict[int, str]],
    *,
    key: str,
    value: int | None = None,
    title: str = "",
    placeholder: str = "Type to search",
) -> int | None:
    """The id of the chosen record, or None. ``search(query)`` gives id → name; ``value`` and ``title`` are what is chosen at first."""
    state = st.session_state.get(key) or {}
    picked = state.get("picked") or {"id": value, "title": title}
    query = state.get("query") or ""
    found = search(query)
    result = _PICKER(
        key=key,
        data={
            "name": key,
            "label": label,
            "title": picked["title"],
            "options": [{"id": record_id, "title": name} for record_id, name in found.items()],
            "query": query,
            "placeholder": placeholder,
        },
        on_query_change=_nothing,
        on_picked_change=_nothing,
    )
    return result.picked["id"] if result.picked else value


def _nothing() -> None:
    """CCv2 gives a result only for keys that have a callback."""
