"""The editor of a segment's rule: groups in groups, conditions about fields, related records, events, segments and analyses.

Call ``start`` once per rule and ``rule_editor`` in every run of the fragment; the tree lives in the session under ``KEY``.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.filters import COUNTED, MARK_NUMBER, WORDS, comparison_words
from crm_core.services.marketing import segments
from crm_core.vocabulary import FieldKind
from ui import format as fmt
from ui.actions import load
from ui.components import rule_draft as tree
from ui.components.filter_inputs import NO_VALUE, comparisons, value_input, words_of
from ui.components.rule_draft import Draft, Numbers
from ui.components.rule_options import Choice, noun, options, period_field, segment_choices

KEY = "_rule"
OPS = {"and": "all of these", "or": "any of these", "none": "none of these"}
SINCE = {
    "": "ever", "-7d": "last 7 days", "-30d": "last 30 days", "-90d": "last 90 days", "-365d": "last year", "start_of_month": "this month",
    "start_of_year": "this year",
}  # fmt: skip


def start(mark: str, entity_key: str, rule: Mapping[str, Any] | None) -> None:
    """Begin to edit a rule. ``mark`` says which; the same again keeps what was typed."""
    state = st.session_state.get(KEY)
    if state is None or state["mark"] != mark or state["entity"] != entity_key:
        numbers = Numbers((state or {"numbers": Numbers()})["numbers"].last)
        st.session_state[KEY] = {"mark": mark, "entity": entity_key, "numbers": numbers, "root": tree.draft_of(rule, numbers)}


def editing(mark: str) -> bool:
    """Whether it is this rule that is being edited."""
    return st.session_state.get(KEY, {}).get("mark") == mark


def forget() -> None:
    """Drop what was typed."""
    st.session_state.pop(KEY, None)


def current() -> tuple[dict[str, Any] | None, int]:
    """The rule as it stands, and how many conditions are unfinished."""
    root = st.session_state[KEY]["root"]
    return tree.rule_of(root), tree.unfinished(root)


def rule_editor(entity_key: str, *, without: int | None = None) -> None:
    """Draw the tree. ``without``: the segment being edited, which can't be a condition of itself."""
    _group(st.session_state[KEY]["root"], entity_key, 0, without=without, inner=False)


def _group(group: Draft, entity_key: str, depth: int, *, without: int | None, inner: bool) -> None:
    shown = [item for item in group["items"] if not item.get("period")]
    if len(shown) > 1 or group["op"] == "none" or (depth and not inner):
        with st.container(
            horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", key=f"rhead_{group['n']}"
        ):
            group["op"] = st.segmented_control(
                "Match", list(OPS), default=group["op"], format_func=lambda op: OPS[op], required=True, key=f"rop_{group['n']}",
                label_visibility="collapsed",
            )  # fmt: skip
            if depth and not inner:
                _menu(group, group_of=True)
    for item in list(group["items"]):
        if item.get("period"):
            continue
        if "op" in item:
            with st.container(border=True, key=f"rbox_{item['n']}"):
                _group(item, entity_key, depth + 1, without=without, inner=False)
        else:
            _condition(item, entity_key, depth, without=without, inner=inner)
    _buttons(group, entity_key, depth, inner, not shown)


def _buttons(group: Draft, entity_key: str, depth: int, inner: bool, empty: bool) -> None:
    with st.container(horizontal=True, gap="small", key=f"radd_{group['n']}"):
        words = f"Which {noun(entity_key)}?" if inner and empty else "Add condition"
        st.button(words, key=f"rnew_{group['n']}", icon=":material/add:", type="tertiary", on_click=_add, args=(group["n"], None))
        if not inner and depth < 6:
            st.button(
                "Add group",
                key=f"rgrp_{group['n']}",
                icon=":material/add_box:",
                type="tertiary",
                on_click=_add,
                args=(group["n"], "or"),
            )


def _add(number: int, op: str | None) -> None:
    state = st.session_state[KEY]
    numbers = state["numbers"]
    group = next((found for found in tree.groups(state["root"]) if found["n"] == number), None)
    if group is not None:
        leaf = {"n": numbers.next(), "what": None}
        group["items"].append(leaf if op is None else {"n": numbers.next(), "op": op, "items": [leaf]})


def _condition(leaf: Draft, entity_key: str, depth: int, *, without: int | None, inner: bool) -> None:
    n = leaf["n"]
    menu = load(options, entity_key, inner=inner)
    with st.container(key=f"rleaf_{n}", gap="small"):
        what, rest, more = st.columns([4, 7, 1], vertical_alignment="bottom")
        with what:
            if leaf.get("what") and leaf["what"] not in menu:
                st.caption(f":material/visibility_off: {fmt.md(_gone(leaf, entity_key))}")
            else:
                _choose(leaf, menu)
        with rest:
            if leaf.get("what") in menu:
                _value(leaf, menu[leaf["what"]], entity_key, without)
        with more:
            _menu(leaf)
        if leaf.get("what") in menu and menu[leaf["what"]].child:
            _of_which(leaf, menu[leaf["what"]], depth, without)


def _gone(leaf: Draft, entity_key: str) -> str:
    """Words for a condition that the role may not use, or whose field is no more."""
    problem = load(segments.problem, entity_key, tree.rule_of(leaf))
    return problem or f"{load(words_of, entity_key, tree.rule_of(leaf))}: not offered here, but kept."


def _choose(leaf: Draft, menu: Mapping[str, Choice]) -> None:
    keys = list(menu)
    chosen = st.selectbox(
        "What", keys, index=keys.index(leaf["what"]) if leaf.get("what") in menu else None, format_func=lambda key: menu[key].label,
        key=f"rwhat_{leaf['n']}", label_visibility="collapsed", placeholder="Choose or type what it is about",
    )  # fmt: skip
    if chosen != leaf.get("what"):
        for key in ("cmp", "value", "within", "where"):
            leaf.pop(key, None)
        leaf["what"] = chosen


def _of_which(leaf: Draft, choice: Choice, depth: int, without: int | None) -> None:
    """Which of the related records count: the usual period at once, further conditions below it."""
    if not leaf.get("where"):
        leaf["where"] = {"n": st.session_state[KEY]["numbers"].next(), "op": "and", "items": []}
    with st.container(key=f"rwhich_{leaf['n']}", gap="small"):
        _space, inside = st.columns([1, 14])
        with inside:
            _group(leaf["where"], choice.child, depth + 1, without=without, inner=True)


def _value(leaf: Draft, choice: Choice, entity_key: str, without: int | None) -> None:
    kind = leaf["what"].partition(":")[0]
    draw = {"field": _field, "segment": _segment, "mark": _mark, "score": _score, "event": _event}.get(kind, _figure)
    if kind == "segment":
        _segment(leaf, "account" if leaf["what"].endswith(":account") else entity_key, without)
    else:
        draw(leaf, choice)  # type: ignore[operator]


def _compare(leaf: Draft, allowed: list[str], words: Mapping[str, str] = WORDS) -> None:
    leaf["cmp"] = st.selectbox(
        "Comparison", allowed, index=allowed.index(leaf["cmp"]) if leaf.get("cmp") in allowed else 0, format_func=lambda cmp: words[cmp],
        key=f"rcmp_{leaf['n']}_{leaf['what']}", label_visibility="collapsed",
    )  # fmt: skip


def _field(leaf: Draft, choice: Choice) -> None:
    assert choice.spec is not None
    compare, value = st.columns([3, 5], vertical_alignment="bottom")
    with compare:
        _compare(leaf, comparisons(choice.spec), comparison_words(choice.spec))
    if leaf["cmp"] in NO_VALUE:
        leaf.pop("value", None)
        return
    with value:
        leaf["value"] = value_input(choice.spec, leaf["cmp"], leaf.get("value"), f"rval_{leaf['n']}_{leaf['what']}_{leaf['cmp']}")


def _figure(leaf: Draft, choice: Choice) -> None:
    compare, value, period = st.columns([4, 3, 5], vertical_alignment="bottom")
    with compare:
        _compare(leaf, list(COUNTED))
    with value:
        key = f"rnum_{leaf['n']}_{leaf['what']}"
        if choice.spec is not None and choice.spec.kind is FieldKind.MONEY:
            leaf["value"] = value_input(choice.spec, "ge", leaf.get("value"), key)
        else:
            leaf["value"] = _how_many("Number", leaf.get("value"), key)
    with period:
        _period(leaf)


def _period(leaf: Draft) -> None:
    """ "In the last 90 days" as one choice: the condition on the related records' date that it stands for."""
    field = period_field(leaf["what"].partition(":")[2].partition(".")[0])
    where = leaf.get("where") or {"op": "and", "items": []}
    if not field or where["op"] != "and":
        return
    mine = next((item for item in where["items"] if _is_period(item, field)), None)
    chosen = _since(str(mine["value"]) if mine else "", f"rper_{leaf['n']}_{leaf['what']}")
    if mine is not None:
        where["items"].remove(mine)
    if chosen:
        numbers = st.session_state[KEY]["numbers"]
        said = {"what": f"field:{field}", "cmp": "ge", "value": chosen, "period": True}
        leaf["where"] = where if "n" in where else {**where, "n": numbers.next()}
        leaf["where"]["items"].insert(0, {"n": mine["n"] if mine else numbers.next(), **said})


def _is_period(item: Draft, field: str) -> bool:
    value = item.get("value")
    return item.get("what") == f"field:{field}" and item.get("cmp") == "ge" and isinstance(value, str) and value in SINCE


def _since(before: str, key: str) -> str:
    keys = list(SINCE) if before in SINCE else [*SINCE, before]
    return str(
        st.selectbox(
            "Period",
            keys,
            index=keys.index(before),
            format_func=lambda since: SINCE.get(since, since),
            key=key,
            label_visibility="collapsed",
        )
    )


def _event(leaf: Draft, _choice: Choice) -> None:
    compare, value, period = st.columns([4, 3, 5], vertical_alignment="bottom")
    with compare:
        _compare(leaf, list(COUNTED))
    with value:
        leaf["value"] = _how_many("Times", leaf.get("value"), f"rtimes_{leaf['n']}_{leaf['what']}")
    with period:
        leaf["within"] = _since(str(leaf.get("within") or ""), f"rsince_{leaf['n']}_{leaf['what']}")


def _segment(leaf: Draft, entity_key: str, without: int | None) -> None:
    compare, value = st.columns([3, 5], vertical_alignment="bottom")
    with compare:
        _compare(leaf, ["in", "not_in"], {"in": "yes, of", "not_in": "no, not of"})
    with value:
        names = load(segment_choices, entity_key, without)
        keys = list(names)
        leaf["value"] = st.selectbox(
            "Segment", keys, index=keys.index(leaf["value"]) if leaf.get("value") in names else None, format_func=lambda key: names[key],
            key=f"rseg_{leaf['n']}_{leaf['what']}", label_visibility="collapsed", placeholder="Choose a segment" if keys else "No other segment yet",
        )  # fmt: skip


def _mark(leaf: Draft, choice: Choice) -> None:
    compare, value = st.columns([3, 5], vertical_alignment="bottom")
    with compare:
        if leaf.get("cmp") in ("eq", "ne"):
            leaf["cmp"] = {"eq": "in", "ne": "not_in"}[leaf["cmp"]]
        _compare(leaf, ["in", "not_in", "empty", "not_empty"])
    if leaf["cmp"] in NO_VALUE:
        leaf.pop("value", None)
        return
    with value:
        before = leaf.get("value")
        known = [item for item in (before if isinstance(before, (list, tuple)) else [before]) if item]
        groups = list(dict.fromkeys([*choice.groups, *known]))
        leaf["value"] = st.multiselect(
            "Groups", groups, default=known, key=f"rmark_{leaf['n']}_{leaf['what']}", label_visibility="collapsed"
        )


def _score(leaf: Draft, _choice: Choice) -> None:
    compare, value = st.columns([3, 5], vertical_alignment="bottom")
    with compare:
        _compare(leaf, list(MARK_NUMBER))
    if leaf["cmp"] in NO_VALUE:
        leaf.pop("value", None)
        return
    with value:
        key = f"rscore_{leaf['n']}_{leaf['what']}_{leaf['cmp']}"
        before = leaf.get("value")
        if leaf["cmp"] != "between":
            leaf["value"] = _number("Number", before if isinstance(before, (int, float)) else None, key)
            return
        low, high = before if isinstance(before, (list, tuple)) and len(before) == 2 else (None, None)
        left, right = st.columns(2)
        with left:
            low = _number("From", low, f"{key}a")
        with right:
            high = _number("To", high, f"{key}b")
        leaf["value"] = [low, high]


def _how_many(label: str, before: Any, key: str) -> float:
    shown = float(before) if isinstance(before, (int, float)) else 1.0
    return st.number_input(label, value=shown, min_value=0.0, step=1.0, format="%g", key=key, label_visibility="collapsed")


def _number(label: str, before: float | None, key: str) -> float | None:
    return st.number_input(
        label, value=None if before is None else float(before), format="%g", key=key, label_visibility="collapsed"
    )


# --- the menu of a node -----------------------------------------------------------------------------------------------------------

_ACTIONS = {
    "up": "Move up", "down": "Move down", "not": "Turn into “none of these”", "wrap": "Put into a group", "unwrap": "Dissolve the group",
    "lift": "Move out of the group", "copy": "Duplicate", "remove": "Remove",
}  # fmt: skip


def _menu(node: Draft, *, group_of: bool = False) -> None:
    root = st.session_state[KEY]["root"]
    group, place = tree.home_of(root, node["n"])
    allowed = [name for name in _ACTIONS if (name != "unwrap" or group_of) and (name != "not" or not group_of)]
    if place == 0:
        allowed.remove("up")
    if place == len(group["items"]) - 1:
        allowed.remove("down")
    if not any(node["n"] != item["n"] and "items" in item and group in item["items"] for item in tree.groups(root)):
        allowed.remove("lift")
    st.menu_button(
        options=allowed, icon=":material/more_vert:", type="tertiary", format_func=lambda name: _ACTIONS[name], key=f"rmenu_{node['n']}",
        on_click=_act, args=(node["n"],), **fmt.icon_only("Move, negate, group, duplicate or remove"),
    )  # fmt: skip


def _act(number: int) -> None:
    state, action = st.session_state[KEY], st.session_state.get(f"rmenu_{number}")
    root, numbers = state["root"], state["numbers"]
    try:
        {
            "up": lambda: tree.shift(root, number, -1),
            "down": lambda: tree.shift(root, number, 1),
            "not": lambda: tree.wrap(root, number, "none", numbers),
            "wrap": lambda: tree.wrap(root, number, "and", numbers),
            "unwrap": lambda: tree.unwrap(root, number),
            "lift": lambda: tree.lift(root, number),
            "copy": lambda: tree.duplicate(root, number, numbers),
            "remove": lambda: tree.remove(root, number),
        }.get(str(action), lambda: None)()
    except KeyError:  # a second click on something that is gone
        return
