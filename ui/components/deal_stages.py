"""The way of a deal through its pipeline, as a row of stages; a click moves it."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.services.sales import deals
from crm_core.services.sales.deals import StageView
from crm_core.vocabulary import StageKind
from ui import format as fmt
from ui.actions import load, perform
from ui.components.deal_dialogs import STAGE_TURN, closed_meanwhile, move_to
from ui.components.stage_times import stage_times_button


def stage_path(actor: Actor, deal_id: int, row: Mapping[str, Any], may_edit: bool) -> None:
    """The open stages of the deal's pipeline. Choosing another one is the same service as the board and the form."""
    click = st.session_state.pop("_stage_click", None)
    clicked = click[1:] if click is not None and click[0] == deal_id else None
    known = load(deals.stages, row["pipeline_id"])
    stages = {stage.id: stage.name for stage in known if stage.kind is StageKind.OPEN}
    if row["outcome"] is not StageKind.OPEN or row["stage_id"] not in stages:
        if clicked is not None:
            closed_meanwhile(row["name"], row["stage_id.title"] or row["outcome"].label)
            st.rerun()
        stage_times_button(actor, deal_id)
        return
    turn = st.session_state.get(STAGE_TURN, 0)
    key = f"stage_{deal_id}_{row['version']}" + (f"_{turn}" if turn else "")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.segmented_control(
            "Stage",
            list(stages),
            default=row["stage_id"],
            format_func=lambda one: fmt.md(stages[one]),
            required=True,
            disabled=not may_edit or actor.locked("deal", "stage_id"),
            key=key,
            label_visibility="collapsed",
            on_change=_note,
            args=(deal_id, row["version"], key),
        )
        st.caption(
            f"In this stage since {fmt.md(fmt.ago(actor, row['stage_since']))}",
            width="content",
            help=_asked(known, row["stage_id"]),
        )
        stage_times_button(actor, deal_id)
    if clicked is not None and clicked[1] in stages:
        version, stage_id = clicked
        move_to(deal_id, version, row["name"], stage_id, row["pipeline_id"])


def by_hand_line(actor: Actor, row: Mapping[str, Any], may_edit: bool) -> None:
    """Who set the win probability by hand and when, what the stage would say, and the way back to it; nothing while it follows the stage."""
    set_ = load(deals.by_hand, row["id"]) if row["probability_own"] else None
    if set_ is None:
        return
    who = f" by {set_.who}" if set_.who else ""
    when = f" {fmt.ago(actor, set_.at)}" if set_.at is not None else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="by_hand"):
        st.caption(
            fmt.md(f"Win probability {row['probability_pct']}% set by hand{who}{when}; the stage says {set_.stage_pct}%."),
            width="content",
        )
        free = may_edit and not actor.locked("deal", "probability_pct")
        if free and st.button(
            f"Back to the stage’s {set_.stage_pct}%", type="tertiary", icon=":material/undo:", key="follow_stage"
        ):
            perform(
                deals.follow_stage, row["id"], base_version=row["version"], success="The win probability follows the stage again."
            )
            st.rerun()


def _asked(stages: Sequence[StageView], now: int) -> str | None:
    """What the stages ask of a deal that comes in, as Markdown; the one in which it stands has let it in."""
    asking = [stage for stage in stages if stage.asks and stage.id != now]
    return "  \n".join(f"**{fmt.md(stage.name)}:** {fmt.md(stage.asks)}" for stage in asking) or None


def _note(deal_id: int, version: int, key: str) -> None:
    """Keep a click with the version on which it was made: when others changed the deal meanwhile, its buttons are no longer those."""
    st.session_state["_stage_click"] = (deal_id, version, st.session_state[key])
