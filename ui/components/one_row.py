"""One row of an editable table as a form: for telephones, where a table scrolls sideways, and for whoever rather fills in than clicks into cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from ui import format as fmt
from ui.components.whole_input import whole_input, whole_number

Row = dict[str, Any]
NEW = -1


@dataclass(frozen=True)
class Part:
    """An input of the form. ``options``: stored value → words, for a choice; ``low`` and ``high`` of a number; ``most``: characters of a text."""

    key: str
    label: str
    kind: Literal["text", "number", "choice"] = "text"
    options: Mapping[Any, str] | None = None
    low: int | None = None
    high: int | None = None
    most: int | None = None
    help: str | None = None
    needed: bool = True


def wide(name: str) -> Any:
    """The container of a table that only screens with room for it show; on telephones ``one_row`` stands in for it."""
    return st.container(key=f"wide_{name}")


def one_row(
    name: str,
    what: str,
    rows: Sequence[Row],
    parts: Sequence[Part],
    words: Callable[[Row], str],
    *,
    fresh: Row | None = None,
    ordered: bool = True,
    removable: Callable[[Row], bool] | None = None,
) -> list[Row] | None:
    """Draw the form behind "Edit one …"; gives all rows as they are to be saved when its button was pressed. ``words``: a row in plain words;
    ``fresh``: what a new row begins with, where rows can be added; ``removable``: which may be taken out."""
    with st.container(key=f"narrow_{name}", gap=None):  # seen where the table is not
        for row in rows:
            st.caption(fmt.md(words(row)))
    with st.expander(f"Edit one {what}", icon=":material/edit_note:", key=f"one_{name}"):
        picks = [*range(len(rows)), *([NEW] if fresh is not None else [])]
        at = st.selectbox(
            f"Which {what}?", picks, format_func=lambda n: f"New {what}" if n == NEW else words(rows[n]), index=None, placeholder="Choose one",
            key=f"one_which_{name}",
        )  # fmt: skip
        if at is None:
            return None
        row = dict(fresh or {}) if at == NEW else dict(rows[at])
        given = row | {part.key: _input(part, row.get(part.key), f"one_{name}_{at}_{part.key}") for part in parts}
        place = _place(name, what, rows, at) if ordered and len(rows) > 1 else at
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            saved = st.button(f"Save this {what}", type="primary", key=f"one_save_{name}")
            gone = (
                at != NEW
                and removable is not None
                and removable(row)
                and st.button("Remove", type="tertiary", icon=":material/delete:", key=f"one_remove_{name}")
            )
        uneven = any(part.kind == "number" and isinstance(given[part.key], float) for part in parts)
        if not (gone or (saved and not uneven)):
            return None
        others = [dict(one) for n, one in enumerate(rows) if n != at]
        if gone:
            return others
        spot = len(others) if place == NEW else place
        return [*others[:spot], given, *others[spot:]]


def _place(name: str, what: str, rows: Sequence[Row], at: int) -> int:
    """The place of the row among the others, from 0."""
    last = len(rows) if at == NEW else len(rows) - 1
    usual = last if at == NEW else at
    return whole_number("Order", 1, last + 1, usual + 1, key=f"one_{name}_{at}_place", help=f"1 is the first {what}") - 1


def _input(part: Part, value: Any, key: str) -> Any:
    label = f"{part.label} *" if part.needed else part.label
    if part.kind == "choice":
        options = dict(part.options or {})
        at = list(options).index(value) if value in options else None
        return st.selectbox(label, list(options), index=at, format_func=lambda one: options[one], key=key, help=part.help)
    if part.kind == "number":
        shown: Any = None if value is None else int(value)
        return whole_input(
            label, shown, low=part.low, high=part.high, key=key, help=part.help, placeholder=None if part.needed else fmt.NOTHING
        )
    return st.text_input(label, value=value or "", max_chars=part.most, key=key, help=part.help)
