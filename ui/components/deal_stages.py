"""The way of a deal through its pipeline, as a row of stages; a click moves it."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.services.sales import deals
from crm_core.vocabulary import StageKind
from ui import format as fmt
from ui.actions import load
from ui.components.deal_dialogs import move_to


def stage_path(actor: Actor, deal_id: int, row: Mapping[str, Any], may_edit: bool) -> None:
    """The open stages of the deal's pipeline. Choosing another one is the same service as the board and the form."""
    stages = {stage.id: stage.name for stage in load(deals.stages, row["pipeline_id"]) if stage.kind is StageKind.OPEN}
    if row["outcome"] is not StageKind.OPEN or row["stage_id"] not in stages:
        return
    key = f"stage_{deal_id}_{row['version']}"
    _say_moved(deal_id, key, row["stage_id"], stages)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        chosen = st.segmented_control(
            "Stage",
            list(stages),
            default=row["stage_id"],
            format_func=lambda one: fmt.md(stages[one]),
            required=True,
            disabled=not may_edit,
            key=key,
            label_visibility="collapsed",
        )
        st.caption(f"In this stage since {fmt.md(fmt.ago(actor, row['stage_since']))}", width="content")
    if chosen is not None and chosen != row["stage_id"]:
        st.session_state["_stage_asked"] = key
        move_to(deal_id, row["version"], row["name"], chosen, row["pipeline_id"])


def _say_moved(deal_id: int, key: str, stage_id: int, stages: Mapping[int, str]) -> None:
    """A click that was meant for the deal as it stood before finds no button any more: say where it stands now, so that it is no surprise."""
    for older in [name for name in st.session_state if str(name).startswith(f"stage_{deal_id}_") and name != key]:
        if st.session_state.pop(older) not in (None, stage_id) and older != st.session_state.get("_stage_asked"):
            st.toast(f"This deal has moved meanwhile: it stands in {fmt.md(stages[stage_id])} now.", icon=":material/call_split:")
