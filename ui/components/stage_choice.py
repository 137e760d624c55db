"""The choice of a stage: those of one pipeline, or of all with the name of theirs; a deal that goes to another pipeline is asked where it goes on."""

import streamlit as st

from crm_core.services.sales import deals
from crm_core.vocabulary import StageKind
from ui.actions import load


def stage_choice(label: str, pipeline_id: int | None, value: int | None, key: str) -> int | None:
    """The open stages of a pipeline (None: of all), and the present one whatever it means; nothing is chosen yet when it belongs to another."""
    names = load(deals.pipelines)
    known = [one for one in load(deals.stages, pipeline_id) if one.kind is StageKind.OPEN or one.id == value]
    several = len({one.pipeline_id for one in known}) > 1
    words = {one.id: f"{one.name} ({names.get(one.pipeline_id, '')})" if several else one.name for one in known}
    other = value is not None and value not in words
    return st.selectbox(
        label, list(words), index=list(words).index(value) if value in words else None, format_func=lambda one: words[one], key=f"{key}_{pipeline_id}",
        placeholder="In which stage does it go on?" if other else "–",
    )  # fmt: skip
