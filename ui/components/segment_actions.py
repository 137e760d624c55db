"""From an analysis to a segment: the rule to edit in the builder, or exactly these records."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from crm_core.services.marketing import segments
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import perform, renew, show_problems, submit_key
from ui.components.analysis import Analysis
from ui.navigation import go, page_of
from ui.session import current_actor

LONGEST_RULE = 4_000
"""Characters of a rule in an address; browsers and proxies cut longer ones."""


def segment_buttons(
    key: str,
    *,
    entity: str,
    name: str,
    source: Mapping[str, Any],
    rule: Mapping[str, Any] | None = None,
    members: Callable[[], list[int]] | None = None,
    count: int | None = None,
) -> None:
    """Buttons that make a segment: ``rule`` opens the builder with it, ``members()`` is read only when it is asked for. Plain text."""
    actor = current_actor()
    if page_of(actor, "segment") is None or not actor.can("segment", Action.CREATE):
        return
    packed = json.dumps(rule, separators=(",", ":"), default=str) if rule else ""
    if (
        packed
        and len(packed) <= LONGEST_RULE
        and st.button(
            "Edit as a segment",
            icon=":material/tune:",
            key=f"rule_{key}",
            help="Opens the segment builder with this rule, which finds new customers too",
        )
    ):
        go("segment", entity=entity, rule=packed, source=json.dumps({**source, "name": name}, default=str), name=name)
    if members is not None and st.button(
        "Freeze as a segment" if packed else "Make a segment", icon=":material/group_add:", key=f"freeze_{key}", type="secondary" if packed else "primary",
        help="Exactly these customers, as of this run",
    ):  # fmt: skip
        _freeze(key, entity, name, dict(source), members, count)


def published_rule(shown: Analysis, mark: str, label: str) -> dict[str, Any] | None:
    """Those who carry a label now, and after every later publishing; None while the run was not published."""
    if shown.run.published_at is None:
        return None
    return {"op": "and", "items": [{"mark": mark, "cmp": "eq", "value": label}]}


@st.dialog("Make a segment")
def _freeze(key: str, entity: str, name: str, source: dict[str, Any], members: Callable[[], list[int]], count: int | None) -> None:
    typed = st.text_input("Name", name[:120], max_chars=120)
    if count is not None:
        st.caption(f"{fmt.written(count)} records, fixed: who joins or leaves later does not change it.")
    if st.button("Make it", type="primary", key=f"freeze_{key}_yes"):
        made = perform(
            segments.create, name=typed.strip() or name, entity=entity, kind="static", record_ids=members(), source=source,
            submit_key=submit_key(f"freeze_{key}"), success="The segment is made",
        )  # fmt: skip
        if made is None:
            show_problems()
            return
        renew(f"freeze_{key}")
        go("segment", id=made)
