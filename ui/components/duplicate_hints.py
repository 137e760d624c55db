"""While somebody enters a person or a company: what is already here, why we think so, and the way to it."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.entities import ENTITIES
from crm_core.matching import MATCHED
from crm_core.services.customers import duplicates
from crm_core.services.customers.created_anyway import MAX_WORDS, Why
from crm_core.services.customers.duplicates import Duplicate, Found
from crm_core.vocabulary import DuplicateReason
from ui import format as fmt
from ui.actions import load
from ui.navigation import go, screen_of

_READ = ("name", "email", "phone", "website", "company")


def duplicate_hints(entity_key: str, values: Mapping[str, Any], *, name: str) -> tuple[bool, bool]:
    """Show what may be the same. Gives whether there is something, and whether the person has seen all of it before this run."""
    typed = {key: values[key] for key in _READ if values.get(key)}
    if entity_key not in MATCHED or not typed:
        return False, True
    found = load(duplicates.check, entity_key, typed)
    marks = {f"{hit.entity}{hit.id}" for hit in found.shown} | ({f"hidden{found.hidden}"} if found.hidden else set())
    before: set[str] = st.session_state.get(f"_dupes_{name}", set())
    st.session_state[f"_dupes_{name}"] = marks
    if marks:
        _card(found, name)
    return bool(marks), marks <= before


def why_anyway(name: str) -> Why:
    """Why it is a new one all the same: asked below what was found, kept with the record."""
    options = {one.value: one.label for one in DuplicateReason}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key=f"{name}_why_box"):
        chosen = st.selectbox(
            "If it is a new one: why? *", list(options), index=None, format_func=lambda one: options[one], placeholder="Choose a reason", key=f"{name}_why",
        )  # fmt: skip
        words = st.text_input("In your words", key=f"{name}_why_words", max_chars=MAX_WORDS, placeholder="For the timeline")
    return Why(DuplicateReason(chosen) if chosen else None, words or "")


def forget_hints(name: str) -> None:
    """Start anew after the form was saved."""
    for key in (f"_dupes_{name}", f"{name}_why", f"{name}_why_words"):
        st.session_state.pop(key, None)


def _card(found: Found, name: str) -> None:
    with st.container(border=True, gap="small", key=f"{name}_dupes"):
        st.markdown(":orange[:material/content_copy:] **This may already be here**")
        for hit in found.shown[:5]:
            _hit(hit, name)
        more = max(0, len(found.shown) - 5)
        if more:
            st.caption(f"and {more} more")
        if found.hidden:
            st.caption(
                f":material/visibility_off: {found.hidden} {'more ' if found.shown else ''}that {'is' if found.hidden == 1 else 'are'} not shared with you"
            )


def _hit(hit: Duplicate, name: str) -> None:
    found = ENTITIES[hit.entity]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", gap="small"):
        with st.container(gap=None, width="stretch"):
            st.markdown(f":material/{found.icon}: {fmt.md(hit.title[:80])}  :gray[{found.label}]")
            st.caption(fmt.md(", ".join(hit.reasons)))
        if screen_of(found.page) is not None and st.button(
            "Use this one",
            key=f"{name}_open_{hit.entity}_{hit.id}",
            type="tertiary",
            icon=":material/arrow_forward:",
            help="Go to it; nothing new is created",
        ):
            go(found.page, id=hit.id)
