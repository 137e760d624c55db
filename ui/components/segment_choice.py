"""A segment as the first condition of a filter in the address: for analyses of its members."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.entities import entity as entity_of
from crm_core.services.marketing import segments
from crm_core.vocabulary import Action, SegmentOf
from ui.actions import load
from ui.components.filter_bar import set_filter
from ui.session import current_actor

Rule = Mapping[str, Any] | None
BEHIND = {"deal": ("account", "contact"), "order": ("account", "contact"), "ticket": ("account", "contact")}
"""Records that have no segments themselves → the references behind which stand those who have."""
Place = tuple[int, str]
"""A segment, and the reference behind which its members are (empty: the records themselves)."""


def chosen_segment(rule: Rule) -> Place | None:
    """The segment to which a filter is narrowed as a whole."""
    items = [rule] if rule and "op" not in rule else list(rule["items"]) if rule and rule["op"] == "and" else []
    found = [item for item in items if isinstance(item.get("segment"), int) and item.get("cmp") == "in"]
    return (found[0]["segment"], str(found[0].get("on") or "").removesuffix("_id")) if found else None


def narrowed(rule: Rule, place: Place | None) -> Rule:
    """The filter within another segment, or within none."""
    before = chosen_segment(rule)
    items = [rule] if rule and rule.get("op") != "and" else list(rule["items"]) if rule else []
    kept = [item for item in items if not (before is not None and item.get("segment") == before[0] and item.get("cmp") == "in")]
    inside = [_leaf(*place)] if place is not None else []
    return {"op": "and", "items": [*inside, *kept]} if inside or kept else None


def _leaf(segment_id: int, on: str) -> dict[str, Any]:
    return {"segment": segment_id, "cmp": "in"} | ({"on": on} if on else {})


def segment_choice(entity: str, rule: Rule) -> None:
    """The choice of a segment, for people who may see them: of the records themselves, or of the companies and people behind them."""
    actor = current_actor()
    if not actor.can("segment", Action.READ):
        return
    kinds = ("",) if entity in list(SegmentOf) else BEHIND.get(entity, ())
    known = {(one.id, on): _words(one.name, on) for on in kinds for one in load(segments.find, entity_key=on or entity)}
    if not known:
        return
    now = chosen_segment(rule)
    places = list(known)
    key = f"segment_of_{entity}_{now or 0}"
    st.selectbox(
        "Segment",
        places,
        index=places.index(now) if now in known else None,
        format_func=lambda place: known[place],
        key=key,
        placeholder="Everybody" if kinds == ("",) else "Every customer",
        width=200,
        on_change=_choose,
        args=(key, rule),
    )


def _words(name: str, on: str) -> str:
    return f"{name} ({entity_of(on).plural.lower()})" if on else name


def _choose(key: str, rule: Rule) -> None:
    set_filter(narrowed(rule, st.session_state.get(key)))
