"""Pipelines and stages: for the administrator, to make the board follow how the team sells."""

import pandas as pd
import streamlit as st

from crm_core.services.admin import pipelines
from crm_core.services.admin.pipelines import PipelineRow, StageRow
from crm_core.vocabulary import Action, ForecastCategory, StageKind
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.header import header
from ui.components.lead_statuses import lead_statuses
from ui.components.stage_gates import stage_gates
from ui.session import current_actor

KINDS = {kind.value: kind.label for kind in StageKind}
PARTS = {"pipelines": "Deals", "statuses": "Lead statuses"}
CATEGORIES = {category.value: category.label for category in ForecastCategory}


def stage_table(pipeline: PipelineRow) -> list[StageRow]:
    """The stages as an editable table; the order of the rows is the order of the board."""
    frame = pd.DataFrame(
        [
            {"id": s.id, "position": n + 1, "name": s.name, "kind": s.kind.value, "probability": s.probability_pct, "idle": s.max_idle_days, "category": s.forecast_category.value, "deals": s.deals}
            for n, s in enumerate(pipeline.stages)
        ]
    )  # fmt: skip
    edited = st.data_editor(
        frame,
        key=f"stages_{pipeline.id}_{pipeline.version}",
        num_rows="dynamic",
        placeholder=fmt.NOTHING,
        hide_index=True,
        disabled=["deals"] if may_edit else True,
        column_order=["position", "name", "kind", "probability", "idle", "category", "deals"],
        column_config={
            "position": st.column_config.NumberColumn(
                "Order", min_value=1, step=1, width="small", required=True, default=len(frame)
            ),
            "name": st.column_config.TextColumn("Stage", required=True, max_chars=80),
            "kind": st.column_config.SelectboxColumn(
                "Means", options=list(KINDS), format_func=lambda one: KINDS[str(one)], required=True, default="open"
            ),
            "probability": st.column_config.NumberColumn(
                "Probability %", min_value=0, max_value=100, step=1, required=True, default=10
            ),
            "idle": st.column_config.NumberColumn(
                "Idle after days", help="Working days without contact with the customer", min_value=1, max_value=3650, step=1
            ),
            "category": st.column_config.SelectboxColumn(
                "Forecast",
                options=list(CATEGORIES),
                format_func=lambda one: CATEGORIES[str(one)],
                required=True,
                default="pipeline",
            ),
            "deals": st.column_config.NumberColumn("Deals", help="Deals that stand in this stage, the bin included"),
        },
    )
    return [as_stage(row) for row in edited.sort_values("position", kind="stable").to_dict("records") if row.get("name")]


def as_stage(row: dict) -> StageRow:
    """A row of the table as the service takes it."""
    return StageRow(
        whole(row.get("id")),
        str(row["name"]),
        StageKind(row.get("kind") or "open"),
        whole(row.get("probability")) or 0,
        whole(row.get("idle")),
        ForecastCategory(row.get("category") or "pipeline"),
    )


def whole(value: float | None) -> int | None:
    """A number of the table (an empty cell is NaN) as a whole one."""
    return int(value) if value is not None and not pd.isna(value) else None


def choose_part() -> str:
    """Pipelines of deals or statuses of leads, as the address says."""
    part = "statuses" if st.query_params.get("part") == "statuses" else "pipelines"
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
if choose_part() == "statuses":
    lead_statuses(actions, may_edit)
    st.stop()
if may_edit and actions.button("New pipeline", type="primary", icon=":material/add:", key="new_pipeline"):
    new_pipeline()

for pipeline in load(pipelines.find):
    with st.container(border=True):
        a, b, c = st.columns([4, 2, 2], vertical_alignment="bottom")
        name = a.text_input(
            "Pipeline", value=pipeline.name, key=f"name_{pipeline.id}_{pipeline.version}", max_chars=80, disabled=not may_edit
        )
        default = b.toggle(
            "Default", value=pipeline.is_default, key=f"default_{pipeline.id}_{pipeline.version}", disabled=not may_edit
        )
        active = c.toggle(
            "Open for deals", value=pipeline.is_active, key=f"active_{pipeline.id}_{pipeline.version}", disabled=not may_edit
        )
        rows = stage_table(pipeline)
        if may_edit and st.button("Save", type="primary", key=f"save_{pipeline.id}"):
            version = pipeline.version
            if (name, default, active) != (pipeline.name, pipeline.is_default, pipeline.is_active):
                saved = perform(
                    pipelines.update_pipeline, pipeline.id, name=name, is_default=default, is_active=active, base_version=version
                )
                version = saved.version if saved is not None else -1
            if (
                version > 0
                and perform(pipelines.set_stages, pipeline.id, rows, base_version=version, success="Pipeline saved.") is not None
            ):
                st.rerun()
            st.rerun()
        stage_gates(pipeline, may_edit)
