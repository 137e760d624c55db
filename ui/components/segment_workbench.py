"""The body of a segment's page: the rule on the left, what it means on the right, details below. A fragment: editing redraws only this."""

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.entities import entity
from crm_core.models import Segment
from crm_core.services.marketing import segments
from crm_core.vocabulary import SegmentKind
from ui import format as fmt
from ui.actions import load, show_problems
from ui.components import rule_editor, segment_panels
from ui.components.filter_inputs import words_of
from ui.components.parts_clash import Part, clashing, forget, save_parts, saver
from ui.components.segment_members import members

LONGEST_IN_URL = 4_000
_TABS = ("Examples", "Overlap", "History", "Words and SQL")


def json_from_url(name: str) -> Mapping[str, Any] | None:
    """JSON in the address; nothing when it can't be read."""
    try:
        found = json.loads(st.query_params.get(name, "") or "null")
    except (ValueError, RecursionError):
        st.warning("The rule in the address could not be read, so it was left out.", icon=":material/filter_alt_off:")
        return None
    return found if isinstance(found, dict) and found else None


@st.fragment
def workbench(entity_key: str, segment: Segment | None, *, rule: Mapping[str, Any] | None, may_edit: bool) -> None:
    """``segment``: None for one that is not kept yet; ``rule``: with which the editor begins."""
    static = segment is not None and segment.kind is SegmentKind.STATIC
    left, right = st.columns([8, 4], gap="medium")
    with left, st.container(border=True, gap="small", key="segment_rule"):
        if static:
            st.markdown("**Members**")
            members(entity_key, segment.id, may_edit)  # type: ignore[union-attr]
            shown: Mapping[str, Any] | None = {"segment": segment.id, "cmp": "in"}  # type: ignore[union-attr]
        else:
            shown = _rule(entity_key, segment, rule, may_edit)
    kept = segment is not None and not static and shown == (segment.rule or None)
    means = {"segment": segment.id, "cmp": "in"} if kept and segment is not None else shown
    problem = load(segments.problem, entity_key, means)
    if problem:
        st.warning(fmt.md(problem), icon=":material/warning:")
        return
    with right:
        count = segment_panels.numbers(entity_key, means)
    _details(entity_key, segment, means, shown, count)


def _rule(entity_key: str, segment: Segment | None, rule: Mapping[str, Any] | None, may_edit: bool) -> Mapping[str, Any] | None:
    if not may_edit:
        hidden = load(segments.problem, entity_key, rule)
        st.markdown("**Rule**")
        st.markdown(fmt.md(load(words_of, entity_key, rule)) if not hidden else "")
        if hidden:
            st.caption(fmt.md(f"The rule reads what your role does not show. {hidden}"))
        return rule
    st.markdown(f"**{entity(entity_key).plural} that match**")
    rule_editor.rule_editor(entity_key, without=segment.id if segment else None)
    made, unfinished = rule_editor.current()
    if unfinished:
        st.caption(f":material/edit_note: {fmt.plural(unfinished, 'condition')} still unfinished; not counted yet.")
    if segment is None:
        _into_url(made)
    elif made != (segment.rule or None):
        _save_bar(segment, made)
    return made


def _into_url(rule: Mapping[str, Any] | None) -> None:
    """A reload of the browser keeps what was put together."""
    packed = json.dumps(rule, separators=(",", ":"), default=str) if rule else ""
    if packed and len(packed) <= LONGEST_IN_URL:
        if st.query_params.get("rule") != packed:
            st.query_params["rule"] = packed
    else:
        st.query_params.pop("rule", None)


def _save_bar(segment: Segment, made: Mapping[str, Any] | None) -> None:
    question, entity_key = f"segment_rule_{segment.id}", segment.entity.value
    seen: Segment = st.session_state.get(_seen(segment.id), segment)
    with st.container(border=True, key="segment_save", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(":orange-badge[Not saved]  The members follow once you save.", width="content")
            pressed = st.button("Save the rule", type="primary", key="save_rule", disabled=clashing(question))
            discarded = st.button("Discard", key="discard_rule", type="tertiary")
        words = {"rule": Part("Rule", lambda rule: load(words_of, entity_key, rule), long=True)}
        save = saver(segments.update, "The rule is saved.", spread=True)
        done = not discarded and save_parts(
            question, pressed, seen=seen, mine={"rule": made or EVERYBODY}, parts=words, save=save,
            values_of=lambda row: {"rule": row.rule or EVERYBODY},
        )  # fmt: skip
        if done or discarded:
            forget_editing(segment.id)
            st.rerun()
        show_problems()


EVERYBODY: dict[str, Any] = {"op": "and", "items": []}


def forget_editing(segment_id: int) -> None:
    """Drop what was typed: the editor begins with the rule as it is kept."""
    rule_editor.forget()
    forget(f"segment_rule_{segment_id}")
    st.session_state.pop(_seen(segment_id), None)


def begin(segment: Segment) -> None:
    """Edit its rule. What was typed stays until it is saved or discarded, whoever else saves or counts meanwhile."""
    mark, seen = str(segment.id), st.session_state.get(_seen(segment.id))
    typed = seen is not None and rule_editor.editing(mark) and rule_editor.current() != (seen.rule or None, 0)
    if not typed:
        if seen is not None and seen.rule != segment.rule:
            rule_editor.forget()
        st.session_state[_seen(segment.id)] = segment
    rule_editor.start(mark, segment.entity.value, segment.rule)


def _seen(segment_id: int) -> str:
    return f"_segment_rule_{segment_id}_seen"


def _details(
    entity_key: str, segment: Segment | None, means: Mapping[str, Any] | None, rule: Mapping[str, Any] | None, count: int
) -> None:
    names = [name for name in _TABS if segment is not None or name != "History"]
    chosen = st.tabs(names, on_change="rerun", key="segment_tab")
    for name, tab in zip(names, chosen, strict=True):
        if not tab.open:
            continue
        with tab:
            if name == "Examples":
                segment_panels.examples(entity_key, means)
            elif name == "Overlap":
                segment_panels.overlap(entity_key, means, segment.id if segment else None, count)
            elif name == "History" and segment is not None:
                segment_panels.growth(segment.id)
            elif load(segments.problem, entity_key, rule):
                st.caption("The rule reads what your role does not show.")
            else:
                segment_panels.in_words_and_sql(entity_key, rule)
