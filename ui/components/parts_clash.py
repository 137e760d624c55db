"""A dialog that is saved as a whole: what two people changed in different parts of it is merged, and of the same part it is asked whose stays."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from typing import Any, Literal

import streamlit as st

from crm_core.vocabulary import Choice
from ui import format as fmt
from ui.actions import hush, perform
from ui.components.filter_inputs import bare

Values = Mapping[str, Any]
SECRETS = ("secret", "signing", "token")
SAVED_ELSEWHERE = (
    "Somebody else saved this meanwhile. What you typed is still here: saving it keeps what they changed elsewhere and asks about what you both "
    "changed; discarding it shows theirs."
)
"""What is said over something that is written on a page, before it is saved."""


def plainly(value: Any) -> str:
    """A value in words, where its kind says enough."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, Choice):
        return value.label
    if isinstance(value, list | tuple):
        return ", ".join(plainly(one) for one in value)
    return "" if value is None else str(value)


def named(known: Mapping[Any, str], otherwise: str = "") -> Callable[[Any], str]:
    """Words for the id of somebody or something that was chosen from a list."""
    return lambda value: otherwise if value is None else known.get(value, "Somebody or something that is gone")


def columns_of(keys: Iterable[str]) -> Callable[[Any], Values]:
    """The parts of a row (or mapping) that are called like them. A secret is never read: what stands there counts as nothing typed."""
    wanted = tuple(keys)
    return lambda row: {key: "" if key in SECRETS else _held(row, key) for key in wanted} if row is not None else {}


def _held(row: Any, key: str) -> Any:
    return row[key] if isinstance(row, Mapping) else getattr(row, key)


@dataclass(frozen=True)
class Part:
    """A part of what is saved. ``words``: one of its values in plain words. ``long``: they are read line by line, beside each other."""

    label: str
    words: Callable[[Any], str] = plainly
    long: bool = False


def clashing(name: str) -> bool:
    """Whether it is being asked whose parts stay: the Save button waits for the answer."""
    return f"_parts_{name}" in st.session_state


def merged(seen: Values, theirs: Values, mine: Values) -> tuple[dict[str, Any], list[str]]:
    """Each part as whoever changed it left it, and the parts that both changed, to different values; those stay mine."""
    values = {key: theirs.get(key) if _same(mine[key], seen.get(key)) else mine[key] for key in mine}
    both = [key for key in mine if not any(_same(*pair) for pair in _pairs(seen.get(key), theirs.get(key), mine[key]))]
    return values, both


def _pairs(seen: Any, theirs: Any, mine: Any) -> tuple[tuple[Any, Any], ...]:
    return (seen, theirs), (seen, mine), (theirs, mine)


def _same(left: Any, right: Any) -> bool:
    return _plain(left) == _plain(right)


def _plain(value: Any) -> str:
    return json.dumps(_core(value), default=str, sort_keys=True)


def _core(value: Any) -> Any:
    """A value without what means nothing: an empty text or list is none, and a group of one condition is the condition."""
    if isinstance(value, Mapping):
        return bare(value) if "op" in value else {key: _core(inner) for key, inner in value.items()} or None
    return value or None if isinstance(value, str | list | tuple) else value


def save_parts(
    name: str,
    pressed: bool,
    *,
    seen: Any,
    mine: Values,
    parts: Mapping[str, Part],
    values_of: Callable[[Any], Values],
    save: Callable[[Values, Any], Any],
    scope: Literal["fragment", "app"] = "fragment",
) -> bool:
    """Save what a dialog holds, or ask; True once it is saved. ``seen``: the row with which the dialog was drawn, None for a new one; ``values_of``: the
    parts of a row; ``save`` gets the parts and the row that they are based on, and gives None when it was refused. The service says with
    ``details["rows"]`` of its Conflict how the row stands. ``name``: the dialog's, with the version that it was drawn with. ``scope``: "app" where
    it is edited on a page and not in a dialog."""
    theirs, values = st.session_state.get(f"_parts_{name}"), dict(mine)
    if theirs is not None:
        answer = _ask(name, values_of(seen), values_of(theirs), mine, parts)
        if answer is None:
            return False
        values = answer
    elif not pressed:
        return False
    if try_parts(name, seen=seen if theirs is None else theirs, mine=values, parts=parts, values_of=values_of, save=save):
        return True
    if st.session_state.get(f"_parts_{name}") is not theirs:
        st.rerun(scope=scope)
    return False


def try_parts(
    name: str,
    *,
    seen: Any,
    mine: Values,
    parts: Mapping[str, Part],
    values_of: Callable[[Any], Values],
    save: Callable[[Values, Any], Any],
) -> bool:
    """Save these parts, merged with what stands there; True once they are. Nothing is drawn: where both changed a part, ``save_parts`` asks when the
    dialog is drawn the next time."""
    if save(mine, seen) is not None:
        forget(name)
        return True
    now = _now()
    if now is None:
        return False
    hush()
    values, both = merged(values_of(seen), values_of(now), mine)
    if not both and save(values, now) is not None:
        _tell(parts, values_of(seen), values_of(now), values)
        forget(name)
        return True
    st.session_state[f"_parts_{name}"] = now
    return False


def forget(name: str) -> None:
    """The editing ends: nothing is asked any more."""
    st.session_state.pop(f"_parts_{name}", None)


def ask_about(name: str, now: Any) -> None:
    """Ask before anybody presses Save, where a page knows already how the row stands now."""
    st.session_state[f"_parts_{name}"] = now


def stands(name: str) -> Any:
    """While it is asked whose parts stay: the row as it stood when the save was refused; else None."""
    return st.session_state.get(f"_parts_{name}")


def saver(service: Callable[..., Any], words: str, *, spread: bool = False, **more: Any) -> Callable[[Values, Any], Any]:
    """The ``save`` of what a service saves by id, values and the version that they are based on. ``words``: what is said once it is saved; ``spread``: the
    service takes each value by its name; ``more``: what it is told besides."""

    def save(values: Values, base: Any) -> Any:
        known = {"base_version": _held(base, "version")} if base is not None else {}
        given, named_ones = ((), values) if spread else ((values,), {})
        found = _held(base, "id") if base is not None else None
        return perform(service, found, *given, **named_ones, **more, **known, success=words)

    return save


def _now() -> Any:
    conflict = st.session_state.get("_conflict")
    rows = conflict.details.get("rows") if conflict is not None else None
    return rows[0] if rows else None


def _tell(parts: Mapping[str, Part], seen: Values, theirs: Values, saved: Values) -> None:
    kept = [parts[key].label for key in saved if _same(saved[key], theirs.get(key)) and not _same(seen.get(key), theirs.get(key))]
    if kept:
        words = fmt.md(f"Kept what somebody else changed meanwhile: {', '.join(kept)}.")
        st.session_state.setdefault("_toasts", []).append(("ok", words))


def _ask(name: str, seen: Values, theirs: Values, mine: Values, parts: Mapping[str, Part]) -> dict[str, Any] | None:
    """The question for each part that both changed; the parts to save once it is answered."""
    values, both = merged(seen, theirs, mine)
    with st.container(border=True, key=f"{name}_parts_clash"):
        words = "Choose what stays." if both else "What you changed fits beside it."
        st.warning(f"Somebody else saved this while you were editing. {words}", icon=":material/call_split:")
        for key in both:
            found = {"mine": mine[key], "theirs": theirs.get(key), "original": seen.get(key)}
            said = {which: parts[key].words(found[which]) or fmt.NOTHING for which in found}
            values[key] = found[whose(parts[key].label, said, key=f"{name}_parts_{key}", long=parts[key].long)]
        pressed = st.button("Save this", type="primary", key=f"{name}_parts_save")
    return values if pressed else None


def whose(label: str, said: Mapping[str, str], *, key: str, long: bool = False) -> str:
    """The question whose value of a field or part stays: "mine", "theirs" or "original". ``said``: each of them in plain words; long ones stand beside
    each other, with what differs marked."""
    st.markdown(f"**{fmt.md(label)}**")
    beside = long or any(len(words) > _LINE or "\n" in words for words in said.values())
    if beside:
        _beside(said)
    shown = {which: words if beside else f"{words}: {said[which]}" for which, words in _WHOSE.items()}
    return st.radio(
        f"{fmt.md(label)}: keep", list(shown), format_func=partial(_word, shown), key=key, label_visibility="collapsed", horizontal=beside
    )  # fmt: skip


_WHOSE = {"mine": "Mine", "theirs": "Theirs", "original": "Before"}
_LINE = 120
"""Signs that are read in one go beside the round button to choose them; longer ones stand beside each other above the buttons."""
_TALL = 260
"""Pixels that a long text takes before it scrolls."""


def _beside(said: Mapping[str, str]) -> None:
    """Long texts beside each other (below each other on a narrow screen); the lines that are not in the one from before are marked."""
    before = said["original"].splitlines()
    for place, (which, label) in zip(st.columns(len(_WHOSE)), _WHOSE.items(), strict=True):
        lines = said[which].splitlines()
        same = {n for block in SequenceMatcher(None, before, lines, autojunk=False).get_matching_blocks() for n in range(block.b, block.b + block.size)}  # fmt: skip
        with place.container(
            border=True, height=_TALL if len(lines) > _MANY_LINES or len(said[which]) > _MANY_SIGNS else "content"
        ):
            st.caption(label)
            st.markdown("  \n".join(_marked(line, n in same) for n, line in enumerate(lines)))


_MANY_LINES, _MANY_SIGNS = 10, 400


def _marked(line: str, same: bool) -> str:
    words = line.lstrip(" ")
    lead = "\u2003" * ((len(line) - len(words)) // 2)  # Markdown drops blanks at the beginning of a line
    return lead + (fmt.md(words) if same or not words else f":orange-background[{fmt.md(words)}]")


def _word(words: Mapping[str, str], which: str) -> str:
    return fmt.md(words[which])
