"""Pipelines and stages: for the administrator, to make the board follow how the team sells."""

import streamlit as st

from crm_core.services.admin import pipelines
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.checklists import checklists
from ui.components.header import header
from ui.components.lead_statuses import lead_statuses
from ui.components.pipeline_editor import pipeline_editor
from ui.session import current_actor

PARTS = {"pipelines": "Deals", "statuses": "Lead statuses", "handovers": "Hand-overs"}


def choose_part() -> str:
    """Pipelines of deals, statuses of leads or checklists of hand-overs, as the address says."""
    part = st.query_params.get("part", "")
    part = part if part in PARTS else "pipelines"
    chosen = st.segmented_control(
        "Of",
        list(PARTS),
        default=part,
        format_func=lambda one: PARTS[one],
        required=True,
        key=f"part_{part}",
        label_visibility="collapsed",
    )
    if chosen and chosen != part:
        st.query_params["part"] = chosen
        st.rerun()
    return part


@st.dialog("New pipeline")
def new_pipeline() -> None:
    name = st.text_input("Name", key="pipeline_name", max_chars=80, placeholder="Partners")
    if st.button("Create", type="primary", key="pipeline_create"):
        if perform(pipelines.create, name, success=fmt.md(f"Pipeline {name} created.")) is not None:
            st.rerun()
        show_refusal()


actor = current_actor()
may_edit = actor.can("pipeline", Action.MANAGE)
actions = header(
    "Pipelines", "The ways your deals and leads go. What a stage or status means is what reports count; its name is yours."
)
part = choose_part()
if part == "statuses":
    lead_statuses(actions, may_edit)
    st.stop()
if part == "handovers":
    checklists(may_edit)
    st.stop()
if may_edit and actions.button("New pipeline", type="primary", icon=":material/add:", key="new_pipeline"):
    new_pipeline()

for pipeline in load(pipelines.find):
    pipeline_editor(pipeline, may_edit)
