"""The filter of a list: conditions joined by all or any, with groups, kept in the URL as ``f`` so that a filtered list is a link."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import streamlit as st
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.errors import CrmError
from crm_core.fields import TEXTS, FieldSpec, reckoned, registry
from crm_core.filters import Context, bind, comparison_words
from crm_core.kit.money import to_minor
from crm_core.vocabulary import FieldKind
from ui import format as fmt
from ui.actions import load
from ui.components.filter_inputs import NO_VALUE, comparisons, value_input, words_of
from ui.session import current_actor

PARAM = "f"


def filter_from_url(entity_key: str) -> Mapping[str, Any] | None:
    """The filter in the URL, checked; a broken or forbidden one is dropped with a word about it."""
    raw = st.query_params.get(PARAM)
    if not raw:
        return None
    try:
        ast = json.loads(raw)
        load(_checked, entity_key, ast)
    except (ValueError, RecursionError):  # also numbers of thousands of digits
        st.warning("The filter in the address could not be read, so it was left out.", icon=":material/filter_alt_off:")
        return None
    except _NotUsableError as error:
        st.warning(fmt.md(f"The filter in the address was left out: {error}"), icon=":material/filter_alt_off:")
        return None
    return ast if ast and (ast.get("items") or "op" not in ast) else None


class _NotUsableError(Exception):
    pass


def _checked(session: Session, actor: Actor, entity_key: str, ast: Any) -> None:
    try:
        bind(session, entity_key, ast, Context(actor))
    except CrmError as error:
        raise _NotUsableError(error.message) from error


def set_filter(ast: Mapping[str, Any] | None) -> None:
    """Put a filter into the URL and go back to the first page."""
    if ast:
        st.query_params[PARAM] = json.dumps(ast, separators=(",", ":"), default=str)
    else:
        st.query_params.pop(PARAM, None)
    st.session_state["page"] = 1


def filter_button(entity_key: str, ast: Mapping[str, Any] | None) -> None:
    """The button that opens the builder; it says how many conditions apply."""
    count = _leaves(ast)
    if st.button(f"Filter · {count}" if count else "Filter", icon=":material/filter_list:", key="open_filter", type="secondary"):
        _start(ast)
        _builder(entity_key)


def filter_words(entity_key: str, ast: Mapping[str, Any] | None) -> None:
    """The filter in words, with a button that removes it."""
    if not ast:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="filter_words"):
        st.caption(":material/filter_alt: " + fmt.md(load(words_of, entity_key, ast)), width="content")
        st.button("Clear", key="clear_filter", type="tertiary", on_click=set_filter, args=(None,))


def _leaves(ast: Mapping[str, Any] | None) -> int:
    if not ast:
        return 0
    return sum(_leaves(item) for item in ast.get("items", ())) if "op" in ast else 1


# --- the builder -----------------------------------------------------------------------------------------------------------
# State: {"op": "and"|"or", "items": [leaf | {"op", "items": [leaf]}]}; every node has an "n" that keys its widgets.


def _start(ast: Mapping[str, Any] | None) -> None:
    draft = st.session_state["_filter_draft"] = draft_of(ast)
    if not draft["items"]:
        _add(draft)


def draft_of(ast: Mapping[str, Any] | None) -> dict[str, Any]:
    """A filter as the builder changes it."""
    return _numbered(ast if ast and "op" in ast and ast["op"] != "not" else {"op": "and", "items": [ast] if ast else []})


def _numbered(node: Mapping[str, Any]) -> dict[str, Any]:
    copy = {**node, "n": _next()}
    if "op" in node:
        copy["items"] = [_numbered(item) for item in node.get("items", ())]
    return copy


def _next() -> int:
    st.session_state["_filter_next"] = st.session_state.get("_filter_next", 0) + 1
    return st.session_state["_filter_next"]


def _add(group: dict[str, Any], *, as_group: bool = False) -> None:
    leaf = {"n": _next()}
    group["items"].append({"n": _next(), "op": "or", "items": [leaf]} if as_group else leaf)


def _remove(group: dict[str, Any], number: int) -> None:
    group["items"] = [item for item in group["items"] if item["n"] != number]


@st.dialog("Filter", width="large", icon=":material/filter_list:")
def _builder(entity_key: str) -> None:
    specs = {key: spec for key, spec in load(_usable, entity_key).items() if spec.filterable}
    draft = st.session_state["_filter_draft"]
    _group(entity_key, specs, draft, 0)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        if st.button("Clear all", type="tertiary", key="filter_clear"):
            set_filter(None)
            st.rerun()
        if st.button("Show records", type="primary", key="filter_apply"):
            ast = plain(draft)
            try:
                load(_checked, entity_key, ast or {"op": "and", "items": []})
            except _NotUsableError as error:
                st.error(fmt.md(str(error)))
                return
            set_filter(ast)
            st.rerun()


def _usable(session: Session, actor: Actor, entity_key: str) -> dict[str, FieldSpec]:
    known = {**registry(session, entity_key), **reckoned(entity_key)}
    return {key: spec for key, spec in known.items() if not actor.masked(entity_key, key)}


def _group(entity_key: str, specs: Mapping[str, FieldSpec], group: dict[str, Any], depth: int) -> None:
    if len(group["items"]) > 1:
        ops = {"and": "all of these", "or": "any of these"}
        group["op"] = st.segmented_control(
            "Match",
            list(ops),
            default=group["op"],
            format_func=lambda op: ops[op],
            required=True,
            key=f"fop_{group['n']}",
            label_visibility="collapsed",
        )
    for item in list(group["items"]):
        if "op" in item:
            with st.container(border=True):
                if item["op"] == "not" or depth > 3:
                    st.caption(fmt.md(load(words_of, entity_key, plain(item) or {"op": "and", "items": []})))
                else:
                    _group(entity_key, specs, item, depth + 1)
                st.button("Remove group", key=f"frm_{item['n']}", type="tertiary", on_click=_remove, args=(group, item["n"]))
        elif _beyond(item) or item.get("field") not in (None, *specs):
            with st.container(horizontal=True, vertical_alignment="center"):
                known = _beyond(item)
                words = (
                    load(words_of, entity_key, item) if known else "A condition on a field that is gone, or hidden from your role"
                )
                st.caption(fmt.md(words))
                st.button("Remove", key=f"frm_{item['n']}", type="tertiary", on_click=_remove, args=(group, item["n"]))
        else:
            _leaf(specs, group, item)
    with st.container(horizontal=True):
        st.button("Add condition", key=f"fadd_{group['n']}", icon=":material/add:", type="tertiary", on_click=_add, args=(group,))
        if depth == 0:
            st.button(
                "Add group",
                key=f"fgrp_{group['n']}",
                icon=":material/add_box:",
                type="tertiary",
                on_click=_add,
                args=(group,),
                kwargs={"as_group": True},
            )


def _beyond(item: Mapping[str, Any]) -> bool:
    """Conditions that the segment builder makes; here they are shown in words."""
    return "." in str(item.get("field") or "") or not {"agg", "segment", "mark", "event"}.isdisjoint(item)


def _leaf(specs: Mapping[str, FieldSpec], group: dict[str, Any], leaf: dict[str, Any]) -> None:
    n = leaf["n"]
    keys = list(specs)
    field, compare, value, remove = st.columns([4, 3, 5, 1], vertical_alignment="bottom")
    with field:
        at = keys.index(leaf["field"]) if leaf.get("field") in keys else None
        chosen = st.selectbox(
            "Field",
            keys,
            index=at,
            format_func=lambda key: specs[key].label,
            key=f"ff_{n}",
            label_visibility="collapsed",
            placeholder="Choose a field",
        )
    if chosen != leaf.get("field"):
        leaf.pop("cmp", None)
        leaf.pop("value", None)
    leaf["field"] = chosen
    if chosen is not None:
        spec = specs[chosen]
        words = comparisons(spec)
        with compare:
            at = words.index(leaf["cmp"]) if leaf.get("cmp") in words else 0
            leaf["cmp"] = st.selectbox(
                "Comparison",
                words,
                index=at,
                format_func=lambda cmp: comparison_words(spec)[cmp],
                key=f"fc_{n}_{chosen}",
                label_visibility="collapsed",
            )
        if leaf["cmp"] in NO_VALUE:
            leaf.pop("value", None)
        else:
            with value:
                leaf["value"] = value_input(spec, leaf["cmp"], leaf.get("value"), f"fv_{n}_{chosen}_{leaf['cmp']}")
    with remove:
        st.button(
            icon=":material/close:",
            key=f"frm_{n}",
            type="tertiary",
            on_click=_remove,
            args=(group, n),
            **fmt.icon_only("Remove this condition"),
        )


def plain(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """A draft without widget numbers, unfinished conditions and empty groups; None when nothing remains."""
    if "op" not in node:
        finished = _beyond(node) or (node.get("field") and (node.get("cmp") in NO_VALUE or node.get("value") not in (None, "", [])))
        return {key: value for key, value in node.items() if key != "n"} if finished else None
    items = [made for made in (plain(item) for item in node["items"]) if made is not None]
    return {"op": node["op"], "items": items} if items else None


# --- elsewhere -------------------------------------------------------------------------------------------------------------


def inline_filter(entity_key: str, name: str, ast: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The builder inside a form of another page; gives the filter as it stands. ``name`` tells one form from another, which starts anew."""
    mark = (name, entity_key)
    if st.session_state.get("_filter_form") != mark:
        _start(ast)
        if not ast:
            st.session_state["_filter_draft"]["items"] = []
        st.session_state["_filter_form"] = mark
    made, wrong = edited(entity_key, st.session_state["_filter_draft"])
    if wrong:
        st.error(fmt.md(wrong))
        return None
    return made


def edited(entity_key: str, draft: dict[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """The builder over a draft that its caller keeps, so that a page can have several: the filter as it stands, and what is wrong with it."""
    specs = {key: spec for key, spec in load(_usable, entity_key).items() if spec.filterable}
    _group(entity_key, specs, draft, 0)
    made = plain(draft)
    try:
        load(_checked, entity_key, made or {"op": "and", "items": []})
    except _NotUsableError as error:
        return made, str(error)
    return made, ""


def catch_up(entity_key: str, draft: dict[str, Any]) -> None:
    """Take over what stands in the inputs of a draft, before an action removes them: text and click may arrive in one message."""
    actor, specs = current_actor(), load(_usable, entity_key)
    for leaf in _each(draft):
        spec = specs.get(str(leaf.get("field")))
        typed = st.session_state.get(f"fv_{leaf['n']}_{leaf.get('field')}_{leaf.get('cmp')}")
        if spec is None or typed is None or spec.options:
            continue
        if spec.kind in TEXTS and isinstance(typed, str):
            several = leaf.get("cmp") in ("in", "not_in")
            leaf["value"] = [part.strip() for part in typed.split(",") if part.strip()] if several else typed
        elif spec.numeric and isinstance(typed, (int, float)):
            leaf["value"] = to_minor(typed, actor.currency) if spec.kind is FieldKind.MONEY else typed


def _each(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "op" not in node:
        yield node
    for item in node.get("items", ()):
        yield from _each(item)


def unfinished(node: Mapping[str, Any]) -> int:
    """How many conditions of a draft were begun and still lack something."""
    if "op" in node:
        return sum(unfinished(item) for item in node["items"])
    return 1 if plain(node) is None else 0


def forget_inline() -> None:
    """The next form with a filter starts with its own."""
    st.session_state.pop("_filter_form", None)
