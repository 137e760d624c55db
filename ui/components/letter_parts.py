"""The words of a letter as parts: one text for everybody, or several of which some are shown to members of a segment alone.

What is typed stays in the session under the key of the letter, so that it outlives a look at another tab; ``body_typed`` gives it before anything is drawn.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.services.marketing import letter_rules, segments
from crm_core.services.marketing.letter_rules import Part
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load
from ui.navigation import page_of
from ui.session import current_actor

SHOWN = {"all": "Everybody", "only": "Only people in", "except": "Everybody except"}
_MOVES = {"up": "Move up", "down": "Move down", "remove": "Remove"}
MOST = 20


def body_typed(key: str, value: str) -> str:
    """The words as they are typed right now; ``value`` while nobody typed."""
    kept = st.session_state.get(_place(key))
    return value if kept is None else _body(_catch_up(key, kept))


def body_input(key: str, value: str, *, disabled: bool = False, height: int = 300) -> str:
    """Draw the parts; gives the words."""
    kept = st.session_state.get(_place(key))
    if kept is None or disabled:
        kept = [_row(key, n, part) for n, part in enumerate(letter_rules.parts(value))]
    if not disabled:
        st.session_state[_place(key)] = kept
    names = _names()
    alone = len(kept) == 1 and kept[0]["shown"] == "all"
    for n, row in enumerate(kept):
        if alone:
            row["text"] = _text("Letter", row, height, disabled)
        else:
            with st.container(border=True, gap="small", key=f"{row['key']}_box"):
                _head(key, row, n, len(kept), names, disabled)
                row["text"] = _text(f"Part {n + 1}", row, max(110, min(height, 28 * (row["text"].count("\n") + 3))), disabled)
    if not disabled:
        _more(key, kept, names)
    return _body(kept)


def _place(key: str) -> str:
    return f"{key}_parts"


def _row(key: str, n: int, part: Part) -> dict[str, Any]:
    return {"key": f"{key}_{n}" if n else key, "text": part.text, "shown": part.shown, "segments": list(part.segments)}


def _catch_up(key: str, kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take over what stands in the inputs."""
    for row in kept:
        row["text"] = st.session_state.get(row["key"], row["text"]) or ""
        row["shown"] = st.session_state.get(f"{row['key']}_shown", row["shown"]) or "all"
        row["segments"] = list(st.session_state.get(f"{row['key']}_segments", row["segments"]) or ())
    return kept


def _body(kept: list[dict[str, Any]]) -> str:
    given = [Part(row["text"], row["shown"], tuple(row["segments"]) if row["shown"] != "all" else ()) for row in kept]
    return letter_rules.joined(given, _names())


def _names() -> Mapping[int, str]:
    return load(_known) if current_actor().can("segment", Action.READ) else {}


def _known(session: Any, actor: Any) -> dict[int, str]:
    return {one.id: one.name for one in segments.find(session, actor)}


def _text(label: str, row: dict[str, Any], height: int, disabled: bool) -> str:
    return st.text_area(
        label, value=row["text"], key=row["key"], height=height, max_chars=letter_rules.MAX_BODY, disabled=disabled,
        label_visibility="visible" if label == "Letter" else "collapsed", placeholder="What do they read here?",
    ) or ""  # fmt: skip


def _head(key: str, row: dict[str, Any], n: int, count: int, names: Mapping[int, str], disabled: bool) -> None:
    """Who sees a part, and its menu."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        options = list(SHOWN)
        row["shown"] = st.selectbox(
            f"Part {n + 1} is shown to", options, index=options.index(row["shown"]), format_func=lambda one: SHOWN[one],
            key=f"{row['key']}_shown", disabled=disabled, width=180,
        ) or "all"  # fmt: skip
        if row["shown"] != "all":
            known = {**dict.fromkeys(row["segments"], "A segment that is not there any more"), **names}
            row["segments"] = st.multiselect(
                "Segments", list(known), default=row["segments"], format_func=lambda one: known[one], key=f"{row['key']}_segments",
                placeholder="Choose a segment", disabled=disabled, width=260,
            )  # fmt: skip
        if not disabled:
            allowed = [move for move in _MOVES if not (move == "up" and n == 0) and not (move == "down" and n == count - 1)]
            name = f"{row['key']}_menu"
            st.menu_button(
                options=allowed, icon=":material/more_vert:", type="tertiary", format_func=lambda one: _MOVES[one], key=name, on_click=_act,
                args=(key, row["key"], name), **fmt.icon_only("Move or remove this part"),
            )  # fmt: skip


def _act(key: str, row_key: str, name: str) -> None:
    kept = _catch_up(key, st.session_state[_place(key)])
    at = next((n for n, row in enumerate(kept) if row["key"] == row_key), None)
    move = str(st.session_state.get(name))
    if at is None:
        return
    row = kept.pop(at)
    if move != "remove":
        kept.insert(at + (1 if move == "down" else -1), row)
    elif not kept:
        kept.append({**row, "text": "", "shown": "all", "segments": []})
    _renew(key, kept)


def _renew(key: str, kept: list[dict[str, Any]]) -> None:
    """Other inputs: those of before would bring what stood in them."""
    turn = st.session_state.get(f"{key}_turn", 0) + 1
    st.session_state[f"{key}_turn"] = turn
    st.session_state[_place(key)] = [{**row, "key": f"{key}_t{turn}_{n}"} for n, row in enumerate(kept)]


def _add(key: str) -> None:
    kept = _catch_up(key, st.session_state[_place(key)])
    _renew(key, [*kept, {"key": "", "text": "", "shown": "only", "segments": []}])


def _more(key: str, kept: list[dict[str, Any]], names: Mapping[int, str]) -> None:
    if not current_actor().can("segment", Action.READ) or len(kept) >= MOST:
        return
    if names:
        st.button(
            "Add a part for some people", icon=":material/groups_3:", type="tertiary", key=f"{key}_more", on_click=_add, args=(key,),
            help="A stretch that only members of a segment read, or everybody except them",
        )  # fmt: skip
    elif (page := page_of(current_actor(), "segments")) is not None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(fmt.md("Make a segment, and parts of the letter can be for its members alone."), width="content")
            st.page_link(page, label="Segments", icon=":material/groups_3:")
