"""One pipeline with its stages: a table to change them at once, a form for one of them, and the question whose stages stay when two changed them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from crm_core.services.admin import pipelines
from crm_core.services.admin.pipelines import PipelineRow, StageRow
from crm_core.vocabulary import ForecastCategory, StageKind
from ui import format as fmt
from ui.actions import perform, show_refusal
from ui.components.one_row import Part, one_row, wide
from ui.components.rows_clash import Grid, mine_stay, on_page, save_rows, typed_into
from ui.components.stage_gates import stage_gates

KINDS = {kind.value: kind.label for kind in StageKind}
CATEGORIES = {category.value: category.label for category in ForecastCategory}
FRESH = {"id": None, "name": "", "kind": "open", "probability": 10, "idle": None, "category": "pipeline", "deals": 0}
PARTS = (
    Part("name", "Stage", most=80),
    Part("kind", "Means", "choice", KINDS),
    Part("probability", "Probability %", "number", low=0, high=100),
    Part(
        "idle", "Idle after days", "number", low=1, high=3650, needed=False, help="Working days without contact with the customer"
    ),
    Part("category", "Forecast", "choice", CATEGORIES),
)


def pipeline_editor(pipeline: PipelineRow, may_edit: bool) -> None:
    """Draw it; what is saved is saved with everything above it."""
    name = f"pipeline_{pipeline.id}"
    grid = on_page(name, [pipeline], lambda kept: _typed(kept, name))
    seen: PipelineRow = grid.seen[0]
    with st.container(border=True):
        head = _head(seen, f"{name}_{grid.turn}", may_edit)
        with wide(name):
            rows = _table(seen, f"{name}_{grid.turn}_stages", may_edit)
        if may_edit:
            mine = mine_stay(name, "this pipeline", words)
            if st.button("Save", type="primary", key=f"save_{pipeline.id}", disabled=grid.theirs is not None) or mine:
                _save(name, pipeline.id, head, grid.pending or rows)
            one = one_row(
                f"{name}_{grid.turn}", "stage", _clean(rows), PARTS, _in_words, fresh=FRESH, removable=lambda row: not row["deals"]
            )
            if one is not None:
                grid.pending = one
                _save(name, pipeline.id, head, one)
                grid.pending = None
            show_refusal()
        stage_gates(pipeline, may_edit)


def _save(name: str, pipeline_id: int, head: tuple[str, bool, bool], rows: Sequence[Mapping[str, Any]]) -> None:
    stages = [_stage(row) for row in rows]
    given = dict(zip(("name", "is_default", "is_active"), head, strict=True))

    def save(base: Sequence[PipelineRow]) -> Any:
        return perform(pipelines.save, pipeline_id, stages, **given, base_version=base[0].version, success="Pipeline saved.")

    save_rows(name, save)


def _head(seen: PipelineRow, tag: str, may_edit: bool) -> tuple[str, bool, bool]:
    a, b, c = st.columns([4, 2, 2], vertical_alignment="bottom")
    name = a.text_input("Pipeline", value=seen.name, key=f"{tag}_name", max_chars=80, disabled=not may_edit)
    default = b.toggle("Default", value=seen.is_default, key=f"{tag}_default", disabled=not may_edit)
    return name, default, c.toggle("Open for deals", value=seen.is_active, key=f"{tag}_active", disabled=not may_edit)


def _typed(kept: Grid, name: str) -> bool:
    """Whether something was typed: into the line of the pipeline or into its table."""
    seen, tag = kept.seen[0], f"{name}_{kept.turn}"
    line = {f"{tag}_name": seen.name, f"{tag}_default": seen.is_default, f"{tag}_active": seen.is_active}
    return typed_into(f"{tag}_stages") or any(st.session_state.get(key, value) != value for key, value in line.items())


def _plain(pipeline: PipelineRow) -> list[dict[str, Any]]:
    return [
        {"id": s.id, "name": s.name, "kind": s.kind.value, "probability": s.probability_pct, "idle": s.max_idle_days, "category": s.forecast_category.value, "deals": s.deals}
        for s in pipeline.stages
    ]  # fmt: skip


def _clean(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the table, with what was typed into it, as the form takes them."""
    whole = ("id", "probability", "idle", "deals")
    return [
        {**{key: row.get(key) for key in FRESH}, **{key: _whole(row.get(key)) for key in whole}} for row in rows if row.get("name")
    ]


def _in_words(row: Mapping[str, Any]) -> str:
    deals = f" · {fmt.plural(row['deals'], 'deal')}" if row["deals"] else ""
    means = f" · {KINDS[row['kind']]}" if KINDS[row["kind"]] != row["name"] else ""
    return f"{row['name']}{means} · {row['probability']}%{deals}"


def words(seen: Sequence[PipelineRow]) -> str:
    """``Standard: New (Open, 10%), Won (Won, 100%)``."""
    row = seen[0]
    notes = [note for note, on in (("the default", row.is_default), ("closed for deals", not row.is_active)) if on]
    stages = ", ".join(f"{s.name} ({s.kind.label}, {s.probability_pct}%)" for s in row.stages)
    return f"{row.name}{f' ({chr(44).join(notes)})' if notes else ''}: {stages}"


def _table(pipeline: PipelineRow, key: str, may_edit: bool) -> list[dict[str, Any]]:
    """The stages as an editable table; the order of the rows is the order of the board."""
    frame = pd.DataFrame([{**row, "position": n + 1} for n, row in enumerate(_plain(pipeline))])
    column = st.column_config
    edited = st.data_editor(
        frame,
        key=key,
        num_rows="dynamic",
        placeholder=fmt.NOTHING,
        hide_index=True,
        disabled=["deals"] if may_edit else True,
        column_order=["position", "name", "kind", "probability", "idle", "category", "deals"],
        column_config={
            "position": column.NumberColumn("Order", min_value=1, step=1, width="small", required=True, default=len(frame)),
            "name": column.TextColumn("Stage", required=True, max_chars=80),
            "kind": column.SelectboxColumn("Means", options=list(KINDS), format_func=lambda one: KINDS[str(one)], required=True, default="open"),
            "probability": column.NumberColumn("Probability %", min_value=0, max_value=100, step=1, required=True, default=10),
            "idle": column.NumberColumn("Idle after days", help="Working days without contact with the customer", min_value=1, max_value=3650, step=1),
            "category": column.SelectboxColumn("Forecast", options=list(CATEGORIES), format_func=lambda one: CATEGORIES[str(one)], required=True, default="pipeline"),
            "deals": column.NumberColumn("Deals", help="Deals that stand in this stage, the bin included"),
        },
    )  # fmt: skip
    rows: list[dict[Any, Any]] = edited.sort_values("position", kind="stable").to_dict("records")
    return [row for row in rows if row.get("name")]


def _stage(row: Mapping[str, Any]) -> StageRow:
    """A row of the table or the form as the service takes it."""
    return StageRow(
        _whole(row.get("id")),
        str(row["name"]),
        StageKind(row.get("kind") or "open"),
        _whole(row.get("probability")) or 0,
        _whole(row.get("idle")),
        ForecastCategory(row.get("category") or "pipeline"),
    )


def _whole(value: float | None) -> int | None:
    """A number of the table (an empty cell is NaN) as a whole one."""
    return int(value) if value is not None and not pd.isna(value) else None
