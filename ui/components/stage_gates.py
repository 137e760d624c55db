"""What the stages of a pipeline ask of deals that come in: the list of it under the stages, and the dialog that changes it."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from crm_core.services.admin import pipelines
from crm_core.services.admin.pipelines import PipelineRow, StageRow
from crm_core.vocabulary import GateStrictness, StageKind
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.filter_bar import forget_inline, inline_filter
from ui.components.filter_inputs import words_of
from ui.components.parts_clash import Part, clashing, save_parts, saver

ICONS = {GateStrictness.REFUSE: ":material/block:", GateStrictness.WARN: ":material/warning:"}
WHAT = {GateStrictness.REFUSE: "refuses deals unless", GateStrictness.WARN: "warns unless"}


def stage_gates(pipeline: PipelineRow, may_edit: bool) -> None:
    """One line per stage that asks for something, each with its way to change it."""
    open_to_gates = [stage for stage in pipeline.stages if stage.kind is not StageKind.LOST and stage.id is not None]
    gated = [stage for stage in open_to_gates if stage.gate]
    for stage in gated:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            _line(stage)
            if may_edit and st.button("Change", key=f"gate_{stage.id}", type="tertiary", icon=":material/edit:"):
                forget_inline()
                gate_dialog([stage])
    left = [stage for stage in open_to_gates if not stage.gate]
    if may_edit and left and st.button("Ask for something before a stage", icon=":material/rule:", key=f"gate_new_{pipeline.id}"):
        forget_inline()
        gate_dialog(left)


def _line(stage: StageRow) -> None:
    words = load(words_of, "deal", stage.gate)
    st.markdown(
        f"{ICONS[stage.gate_strictness]} **{fmt.md(stage.name)}** {WHAT[stage.gate_strictness]} {fmt.md(words)}  \n"
        f":gray[“{fmt.md(stage.gate_message)}”]",
        width="stretch",
    )
    if stage.broken:
        st.warning(fmt.md(f"This can't be asked any more, so every deal comes in. {stage.broken}"), icon=":material/warning:")


_LACKS = {"refuse": "stays where it is", "warn": "may go on after a warning"}


@st.dialog("What a stage asks for", width="large", icon=":material/rule:", on_dismiss=forget_inline)
def gate_dialog(stages: Sequence[StageRow]) -> None:
    """The conditions, the sentence for deals that don't meet them, and whether they stay outside."""
    stage = stages[0]
    if len(stages) > 1:
        at = st.selectbox("Stage", range(len(stages)), format_func=lambda one: stages[one].name, key="gate_stage")
        stage = stages[at or 0]
    else:
        st.markdown(f"**{fmt.md(stage.name)}**")
    tag = f"{stage.id}_{stage.version}" if len(stages) == 1 else "new"  # what was typed stays when another stage is chosen
    st.markdown("A deal comes in when :gray[· its values after the change count, also those of its account]")
    ast = inline_filter("deal", f"gate_{tag}", stage.gate)
    message = st.text_area(
        "What is missing otherwise? *",
        value=stage.gate_message,
        max_chars=pipelines.MAX_MESSAGE,
        height=80,
        key=f"gate_message_{tag}",
        placeholder="Write down who decides and the next step before you negotiate.",
        help="Whoever moves a deal too early reads it; the board and the deal show it beforehand",
    )
    strict = st.radio(
        "A deal that lacks it",
        list(GateStrictness),
        index=list(GateStrictness).index(stage.gate_strictness),
        format_func=lambda one: _LACKS[one.value],
        captions=["Managers may let it in with a reason, which stands in its timeline", "That stands in its timeline"],
        key=f"gate_strict_{tag}",
    )
    question = f"gate_{stage.id}_{stage.version}"
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        saved = st.button("Save", type="primary", key=f"gate_save_{tag}", disabled=clashing(question))
        removed = bool(stage.gate) and st.button(
            "Ask for nothing any more", type="tertiary", icon=":material/delete:", key=f"gate_remove_{tag}"
        )
    if removed:
        _remove(stage)
    elif saved and not ast:
        st.error("Add at least one condition, or close this.", icon=":material/error:")
    mine = {"gate": ast, "message": message or "", "strictness": strict or GateStrictness.REFUSE}
    save = saver(_set_gate, fmt.md(f"{stage.name} asks for this from now on."))
    if save_parts(question, saved and bool(ast), seen=stage, mine=mine, parts=_PARTS, values_of=_gate, save=save):
        forget_inline()
        st.rerun()
    show_refusal()


_PARTS = {
    "gate": Part("A deal comes in when", lambda ast: load(words_of, "deal", ast) if ast else "Any deal comes in"),
    "message": Part("What is missing otherwise"),
    "strictness": Part("A deal that lacks it", lambda how: _LACKS[GateStrictness(how).value]),
}


def _gate(stage: Any) -> dict[str, Any]:
    return {"gate": stage.gate, "message": stage.gate_message or "", "strictness": stage.gate_strictness}


def _set_gate(session: Any, actor: Any, stage_id: int, values: Mapping[str, Any], **more: Any) -> Any:
    return pipelines.set_gate(
        session, actor, stage_id, values["gate"], message=values["message"], strictness=values["strictness"], **more
    )


def _remove(stage: StageRow) -> None:
    words = fmt.md(f"{stage.name} lets every deal in again.")
    if perform(pipelines.set_gate, stage.id, None, base_version=stage.version, success=words) is not None:
        forget_inline()
        st.rerun()
