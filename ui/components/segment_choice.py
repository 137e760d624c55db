"""A segment as the first condition of a filter in the address: for analyses of its members."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.services.marketing import segments
from crm_core.vocabulary import Action, SegmentOf
from ui.actions import load
from ui.components.filter_bar import set_filter
from ui.session import current_actor

Rule = Mapping[str, Any] | None


def chosen_segment(rule: Rule) -> int | None:
    """The segment to which a filter is narrowed as a whole."""
    items = [rule] if rule and "op" not in rule else list(rule["items"]) if rule and rule["op"] == "and" else []
    found = [item["segment"] for item in items if isinstance(item.get("segment"), int) and item.get("cmp") == "in"]
    return found[0] if found else None


def narrowed(rule: Rule, segment_id: int | None) -> Rule:
    """The filter within another segment, or within none."""
    before = chosen_segment(rule)
    items = [rule] if rule and rule.get("op") != "and" else list(rule["items"]) if rule else []
    kept = [item for item in items if not (item.get("segment") == before and before is not None)]
    inside = [{"segment": segment_id, "cmp": "in"}] if segment_id is not None else []
    return {"op": "and", "items": [*inside, *kept]} if inside or kept else None


def segment_choice(entity: str, rule: Rule) -> None:
    """The choice of a segment, for kinds of records that have segments and people who may see them."""
    actor = current_actor()
    if entity not in list(SegmentOf) or not actor.can("segment", Action.READ):
        return
    known = {one.id: one.name for one in load(segments.find, entity_key=entity)}
    now = chosen_segment(rule)
    if not known:
        return
    key = f"segment_of_{entity}_{now or 0}"
    st.selectbox(
        "Segment",
        list(known),
        index=list(known).index(now) if now in known else None,
        format_func=lambda segment_id: known[segment_id],
        key=key,
        placeholder="Everybody",
        width=200,
        on_change=_choose,
        args=(key, rule),
    )


def _choose(key: str, rule: Rule) -> None:
    set_filter(narrowed(rule, st.session_state.get(key)))
