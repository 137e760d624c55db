"""Merging two contacts, accounts or leads: find the other one, choose what stays, see what goes along; and the way back."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.fields import registry
from crm_core.kit.text import clip
from crm_core.services.customers import duplicates, merging
from crm_core.services.customers.merge_rules import BOTH, LOSER, SURVIVOR, Difference
from crm_core.services.customers.merging import Ahead
from ui import format as fmt
from ui.actions import load, perform, show_problems, tell
from ui.components.header import Rare
from ui.components.picker import picker
from ui.components.record_page import name_of
from ui.navigation import go
from ui.session import current_actor

_JUST = "_just_merged"
_BESIDE = ("company", "email", "phone", "website", "city", "postcode")
"""What tells two records of one name apart."""
_LONGEST, _SHORT = 160, 60


def merge_entry(actor: Actor, entity_key: str, record_id: int) -> list[Rare]:
    """The entry of the record's menu, for whoever may edit and delete; empty otherwise."""
    if not merging.may_merge(actor, entity_key):
        return []
    return [
        Rare(
            "merge_with",
            f"Merge with another {entity(entity_key).label.lower()}",
            "merge",
            partial(merge_dialog, entity_key, record_id),
        )
    ]


def merge_dialog(entity_key: str, record_id: int, other_id: int | None = None, *, stay: bool = False) -> None:
    """Open the dialog that merges a record with another one. ``other_id``: which one, where that is known; ``stay``: on the page that one was on."""
    label = entity(entity_key).label.lower()

    @st.dialog(f"Merge two {entity(entity_key).plural.lower()}", width="large", icon=":material/merge:")
    def show() -> None:
        other = other_id or _other(entity_key, record_id, label)
        if other is not None:
            _compare(entity_key, record_id, other, label, stay)
        show_problems()

    show()


def _other(entity_key: str, record_id: int, label: str) -> int | None:
    """The other record: one of the likely ones, or any that is searched for."""
    likely = {hit.id: hit for hit in load(duplicates.likely, entity_key, record_id)}
    chosen = None
    if likely:
        rows = _unlike({hit_id: fmt.md(clip(hit.title, 80)) for hit_id, hit in likely.items()})
        facts = load(_facts, entity_key, tuple(likely))
        beside = [plain(" · ".join([*facts.get(hit_id, ()), ", ".join(hit.reasons)])) for hit_id, hit in likely.items()]
        chosen = st.radio(
            "Probably the same", list(rows), index=None, format_func=lambda one: rows[one], captions=beside, key=f"merge_likely_{entity_key}_{record_id}"
        )  # fmt: skip
    else:
        st.caption(f"No other {label} looks the same. Search for the one you mean.")
    found = picker(
        f"Another {label}",
        lambda q: _found(entity_key, record_id, q),
        key=f"merge_other_{entity_key}_{record_id}",
        placeholder="Name, e-mail or phone",
    )
    return found or chosen


def _found(entity_key: str, record_id: int, query: str) -> dict[int, str]:
    specs = load(_shown_fields, entity_key)
    columns = (entity(entity_key).title, *specs)
    rows = load(lists.find, entity_key, lists.ListQuery(q=query, columns=columns, size=15), sums=False).rows
    return {row["id"]: _called(entity_key, row, specs) for row in rows if row["id"] != record_id}


def _shown_fields(session: Any, actor: Actor, entity_key: str) -> tuple[str, ...]:
    known = registry(session, entity_key)
    return tuple(key for key in _BESIDE if key in known and not actor.masked(entity_key, key))


def _facts(session: Any, actor: Actor, entity_key: str, ids: tuple[int, ...]) -> dict[int, list[str]]:
    """What tells records apart, by their numbers."""
    fields, known = _shown_fields(session, actor, entity_key), registry(session, entity_key)
    rows = lists.rows_of(session, actor, entity_key, ids, [known[key] for key in fields])
    return {row["id"]: _beside(row, fields) for row in rows}


def _beside(row: Mapping[str, Any], fields: Iterable[str]) -> list[str]:
    """Two values that tell a record apart, each short enough for a line."""
    return [clip(str(row[key]), _SHORT) for key in fields if row.get(key)][:2]


def plain(text: str) -> str:
    """A value as Markdown in which an e-mail address is no link: beside a choice, a click shall choose."""
    return fmt.md(text).replace("@", "@\u2060")


def _unlike(words: Mapping[Any, str]) -> dict[Any, str]:
    """Options with what they are called, no two alike: what is chosen comes back by its words. Those that are, differ in a sign that nobody sees."""
    found: dict[Any, str] = {}
    for option, called in words.items():
        while called in found.values():
            called += "\u2060"
        found[option] = called
    return found


def _called(entity_key: str, row: Mapping[str, Any], fields: tuple[str, ...]) -> str:
    return " · ".join([name_of(entity_key, row), *_beside(row, fields)])


# --- side by side ---------------------------------------------------------------------------------------------------------------


def _compare(entity_key: str, record_id: int, other_id: int, label: str, stay: bool) -> None:
    actor = current_actor()
    first, second = sorted((record_id, other_id))
    pair = f"merge_{entity_key}_{first}_{second}"
    ahead = _which_stays(actor, entity_key, record_id, other_id, pair)
    kept, gone = (row["id"] for row in ahead.rows)
    now = {row["id"]: row["version"] for row in ahead.rows}
    drawn = st.session_state.setdefault(f"_drawn_{pair}", now)
    if ahead.problem:
        st.warning(fmt.md(ahead.problem), icon=":material/block:")
        return
    choices = _choices(actor, ahead, (record_id, other_id), pair)
    _along(ahead, label)
    pressed = st.button("Merge", type="primary", icon=":material/merge:", key="merge_yes", shortcut="ctrl+enter")
    st.session_state[f"_drawn_{pair}"] = now
    if not pressed:
        if drawn != now:
            st.info("One of the two was changed meanwhile. This is how they stand now.", icon=":material/info:")
        return
    done = perform(
        merging.merge, entity_key, kept, gone, choices=choices, survivor_version=drawn[kept], loser_version=drawn[gone]
    )  # fmt: skip
    if done is not None:
        st.session_state.pop(f"_drawn_{pair}", None)
        st.session_state[_JUST] = (entity_key, kept, done.id, ahead.titles)
        if not stay:
            go(entity(entity_key).page, id=kept)
        st.rerun()


def _which_stays(actor: Actor, entity_key: str, record_id: int, other_id: int, pair: str) -> Ahead:
    """What a merge would mean for the one that is to stay: the one whose page is open, unless only the other one can."""
    ahead = load(merging.ahead, entity_key, record_id, other_id)
    either = {record_id: ahead}
    if ahead.problem:
        either[other_id] = load(merging.ahead, entity_key, other_id, record_id)
    rows = {row["id"]: row for row in ahead.rows}
    titles = _unlike({one: fmt.md(clip(title, 80)) for one, title in zip((record_id, other_id), ahead.titles, strict=True)})
    only_other = bool(ahead.problem) and not either[other_id].problem
    fields = [key for key in _BESIDE if key in ahead.specs and not actor.masked(entity_key, key)]
    beside = []
    for one in (record_id, other_id):
        since = fmt.day(actor, fmt.local(actor, rows[one]["created_at"]).date())
        beside.append(plain(" · ".join([*_beside(rows[one], fields), f"since {since}"])))
    with st.container(key="merge_stays"):
        kept = st.radio(
            "Which one stays?", [record_id, other_id], index=int(only_other), format_func=lambda one: titles[one], captions=beside,
            horizontal=True, width="stretch", key=f"{pair}_stays", help="The other one goes to the bin. Links to it lead to this one.",
        )  # fmt: skip
    return either.get(kept) or load(merging.ahead, entity_key, kept, record_id)


def _choices(actor: Actor, ahead: Ahead, both: tuple[int, int], pair: str) -> dict[str, str]:
    """What is chosen of each field that differs: field → side."""
    clashes = [one for one in ahead.differences if not one.filled]
    filled = [one for one in ahead.differences if one.filled]
    found: dict[str, str] = {}
    if clashes:
        with st.container(border=True, gap="small", key="merge_fields"):
            st.markdown("**Where they differ**")
            for one in clashes:
                found[one.key] = _choice(actor, ahead, one, both, pair)
    elif not filled:
        st.caption("Both say the same.")
    if filled:
        with st.expander(f"Only one of the two says it: {fmt.plural(len(filled), 'field')}", icon=":material/add_circle:"):
            for one in filled:
                found[one.key] = _choice(actor, ahead, one, both, pair)
    return found


def _choice(actor: Actor, ahead: Ahead, one: Difference, both: tuple[int, int], pair: str) -> str:
    """The side whose value stays; the two stand in the order in which they were asked about, whichever stays."""
    kept, gone = (row["id"] for row in ahead.rows)
    options: list[Any] = [*both, *[BOTH] * (BOTH in one.options)]
    sides = {kept: SURVIVOR, gone: LOSER, BOTH: BOTH}
    rows = {row["id"]: row for row in ahead.rows}
    words = _unlike({**{row_id: _words(actor, ahead, one, rows[row_id]) for row_id in both}, BOTH: "Both, one below the other"})
    index = next(at for at, option in enumerate(options) if sides[option] == one.proposed)
    chosen = st.radio(
        fmt.md(one.label),
        options,
        index=index,
        format_func=lambda option: words[option],
        horizontal=True,
        width="stretch",
        key=f"{pair}_{one.key}",
    )
    return sides[chosen]


def _words(actor: Actor, ahead: Ahead, one: Difference, row: Mapping[str, Any]) -> str:
    said = []
    for key in one.keys:
        spec, raw = ahead.specs[key], row[key]
        if raw in (None, ""):
            continue
        said.append(fmt.value(actor, spec, raw, row.get(f"{key}.title")))
    return plain(clip(", ".join(said), _LONGEST)) if said else ":gray[nothing]"


def _along(ahead: Ahead, label: str) -> None:
    """What moves, and what holds whatever is chosen."""
    words = [fmt.plural(count, *names) for names, count in ahead.moves]
    if ahead.hidden:
        words.append(f"{fmt.written(ahead.hidden)} that {'is' if ahead.hidden == 1 else 'are'} not shared with you")
    if words:
        moved = ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1]
        st.markdown(f":material/move_down: Moves along: {fmt.md(moved)}.")
    else:
        st.markdown(f":material/move_down: Nothing hangs on the {label} that goes.")
    strict = [f"“{one}”" for one in ahead.strict]
    if strict:
        st.markdown(f":material/do_not_disturb_on: {fmt.md(', '.join(strict))} holds for both: the stricter word counts.")
    rest = " A no to calls or letters holds for both." if ahead.entity != "account" and not strict else ""
    st.caption(
        f"**{fmt.md(clip(ahead.titles[1], 80))}** goes to the bin, and the merge can be taken apart from the timeline.{rest}"
    )


# --- afterwards -----------------------------------------------------------------------------------------------------------------


def merged_note(entity_key: str, record_id: int | None = None) -> None:
    """What was merged a moment ago, with the way back; ``record_id``: only on this record."""
    kind, kept, merge_id, titles = st.session_state.get(_JUST) or ("", 0, 0, ("", ""))
    if kind != entity_key or (record_id is not None and kept != record_id):
        return
    where = f"into this {entity(entity_key).label.lower()}" if record_id is not None else f"into **{fmt.md(clip(titles[0], 80))}**"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="just_merged"):
        st.markdown(f":material/merge: **{fmt.md(clip(titles[1], 80))}** was merged {where}.", width="content")
        if st.button("Undo", icon=":material/undo:", key="merge_undo"):
            take_apart(kind, merge_id)
            st.rerun()
        if st.button(icon=":material/close:", key="merge_hide", type="tertiary", **fmt.icon_only("Hide this note")):
            st.session_state.pop(_JUST, None)
            st.rerun()


def apart_button(entity_key: str, merge_id: int) -> None:
    """Under the entry of a merge in the timeline: the way back."""
    if st.button("Take apart", icon=":material/undo:", key=f"apart_{merge_id}", type="tertiary"):
        take_apart(entity_key, merge_id)
        st.rerun()


def take_apart(entity_key: str, merge_id: int) -> None:
    """Undo a merge and say what came of it."""
    done: Any = perform(merging.undo, merge_id)
    if done is None:
        return
    st.session_state.pop(_JUST, None)
    record, kept = done
    tell(f"Taken apart: {'the other one' if current_actor().masked(entity_key, 'name') else record.name} is back.", "ok")
    if kept:
        tell(f"Changed since the merge, and so kept here: {', '.join(kept)}.", "ok")
