"""What is saved as a whole (the addresses of a person, the stages of a pipeline, the rights of a role): editing it, and whose stays when two did."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from ui import format as fmt
from ui.actions import hush


@dataclass
class Grid:
    """Rows that are being edited. ``seen``: those with which editing began; ``theirs``: those that somebody else saved since; ``turn`` keys
    the editor, since a browser keeps what was typed under an old key; ``scope``: what is drawn anew while it goes on, a dialog or the page;
    ``pending``: what a form beside the rows wants to save, while it is asked whose stays."""

    seen: list[Any]
    turn: int
    theirs: list[Any] | None = None
    scope: Literal["fragment", "app"] = "fragment"
    pending: Any = None


def begin(name: str, rows: Sequence[Any], *, scope: Literal["fragment", "app"] = "fragment") -> None:
    """Start to edit these rows: they are what a save is compared with. ``scope``: "app" where they stand on a page and not in a dialog."""
    turn = st.session_state.get(f"_grid_turn_{name}", 0) + 1
    st.session_state[f"_grid_turn_{name}"] = turn
    st.session_state[f"_grid_{name}"] = Grid(list(rows), turn, scope=scope)


def on_page(name: str, rows: Sequence[Any], typed: Callable[[Grid], bool], *, scope: Literal["fragment", "app"] = "app") -> Grid:
    """The rows that are edited where editing has no beginning of its own: what stands there is taken until something is typed, and stays the base of
    the comparison from then on. ``typed``: whether something was typed into the editor of a grid."""
    kept: Grid | None = st.session_state.get(f"_grid_{name}")
    if kept is None or (kept.theirs is None and kept.seen != list(rows) and not typed(kept)):
        begin(name, rows, scope=scope)
    return grid_of(name)


def forget(name: str) -> None:
    """The editing ends: the next one begins with what stands there then."""
    st.session_state.pop(f"_grid_{name}", None)


def typed_into(key: str) -> bool:
    """Whether a data editor holds changes."""
    kept = st.session_state.get(key)
    return isinstance(kept, Mapping) and any(kept.get(part) for part in ("edited_rows", "added_rows", "deleted_rows"))


def grid_of(name: str) -> Grid:
    """The rows that are being edited under this name."""
    return st.session_state[f"_grid_{name}"]


def save_rows(name: str, save: Callable[[Sequence[Any]], Any]) -> None:
    """Save, and end the editing when it worked. ``save`` gets the rows that count as seen, and gives None when it was refused."""
    grid = grid_of(name)
    if save(grid.seen if grid.theirs is None else grid.theirs) is not None:
        forget(name)
        st.rerun()
    conflict = st.session_state.get("_conflict")
    if conflict is not None and "rows" in conflict.details:
        grid.theirs = conflict.details["rows"]
        hush()
        st.rerun(scope=grid.scope)


def mine_stay(name: str, what: str, words: Callable[[Sequence[Any]], str]) -> bool:
    """While two have edited, ask whose rows stay; True once mine are to be saved. ``words``: some rows in plain words."""
    grid = grid_of(name)
    if grid.theirs is None:
        return False
    answer = rows_clash(what, words(grid.theirs), words(grid.seen), key=name)
    if answer == "theirs":
        begin(name, grid.theirs, scope=grid.scope)
        st.rerun(scope=grid.scope)
    return answer == "mine"


def rows_clash(what: str, theirs: str, before: str, *, key: str) -> str:
    """The question itself: "theirs", "mine", or "" while nobody has answered. ``theirs`` and ``before`` are plain text."""
    with st.container(border=True, key=f"{key}_clash"):
        st.warning(f"Somebody else changed {what} while you were editing. Choose whose stay.", icon=":material/call_split:")
        st.markdown(f"Theirs: {fmt.md(theirs)}")
        st.markdown(f"Before: {fmt.md(before)}")
        st.caption("Mine are the lines above.")
        with st.container(horizontal=True, horizontal_alignment="distribute"):
            if st.button("Take theirs to edit", type="tertiary", key=f"{key}_theirs"):
                return "theirs"
            if st.button("Save mine", type="primary", key=f"{key}_mine"):
                return "mine"
    return ""
