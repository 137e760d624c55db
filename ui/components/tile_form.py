"""What a tile shows, chosen in a form: key figure × field × chart × filter × period, or a report of rows × columns × measure."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.errors import Invalid
from crm_core.fields import FieldSpec
from crm_core.services.analytics import dimensions, metrics, pivots
from crm_core.services.analytics.backlog import AGE
from crm_core.services.analytics.dashboards import TileRow
from crm_core.services.analytics.dimensions import Dimension
from crm_core.services.analytics.metric_rules import AREAS, METRICS, WHOLE
from crm_core.services.analytics.tile_facts import COUNTED
from crm_core.services.analytics.tile_rules import HEIGHTS, LIMITS, PIVOT_CHARTS, TIME, WIDTHS, Spec, charts_for, checked
from crm_core.services.analytics.tiles import Look
from crm_core.vocabulary import FieldKind, Grain, Measure, PeriodPreset, TileKind
from ui.actions import load
from ui.components.dashboard_tile import draw, evaluated
from ui.components.filter_bar import inline_filter

_OF_DASHBOARD = ""


def tile_form(actor: Actor, before: TileRow | None, look: Look) -> dict[str, Any] | None:
    """Draw the form with a preview; gives the tile as it stands, None while something is missing."""
    kinds = {kind.value: kind.label for kind in TileKind}
    name = f"tile{before.id if before else 0}"
    kind = TileKind(
        st.segmented_control(
            "Kind", list(kinds), default=before.kind.value if before else TileKind.FIGURE.value, required=True,
            format_func=lambda key: kinds[key], key=f"{name}_kind", label_visibility="collapsed",
        )
        or TileKind.FIGURE.value
    )  # fmt: skip
    spec = dict(before.spec) if before is not None and before.kind is kind else {}
    chosen = {TileKind.FIGURE: _figure, TileKind.PIVOT: pivot_form, TileKind.TEXT: _text}[kind](actor, spec, name)
    title, width, height = _frame(before, name, kind)
    try:
        made = checked(kind, chosen)
    except Invalid as error:
        st.caption(":material/info: " + " ".join(error.fields.values() or [error.message]))
        return None
    row = TileRow(0, kind, title, made, width, height)
    if kind is not TileKind.TEXT:
        draw(actor, row, evaluated([row], look)[0], look, ())
    return {"kind": kind.value, "title": title, "spec": made, "width": width, "height": height}


def _frame(before: TileRow | None, name: str, kind: TileKind) -> tuple[str, int, int]:
    left, middle, right = st.columns([2, 1, 1])
    title = left.text_input(
        "Title", before.title if before else "", max_chars=120, placeholder="Made of what it shows", key=f"{name}_title"
    )
    widths, heights = list(WIDTHS), list(HEIGHTS)
    at = widths.index(before.width) if before else 2
    width = middle.selectbox("Width", widths, index=at, format_func=lambda key: WIDTHS[key], key=f"{name}_width")
    at = heights.index(before.height) if before else 1
    height = right.selectbox(
        "Height", heights, index=at, format_func=lambda key: HEIGHTS[key], key=f"{name}_height", disabled=kind is TileKind.TEXT
    )
    return title or "", width, height


def _text(_actor: Actor, spec: Spec, name: str) -> Spec:
    return {"text": st.text_area("Text", spec.get("text", ""), max_chars=2_000, height=160, key=f"{name}_text")}


def _figure(actor: Actor, spec: Spec, name: str) -> Spec:
    offered = [metric for area in AREAS for metric in metrics.offered(actor, area) if not metrics.hidden_reason(actor, metric)]
    if not offered:
        st.info("Your role has no key figures.")
        return {}
    keys = [metric.key for metric in offered]
    left, right = st.columns(2)
    key = left.selectbox(
        "Key figure", keys, index=keys.index(spec["metric"]) if spec.get("metric") in keys else 0,
        format_func=lambda key: f"{METRICS[key].label} ({AREAS[METRICS[key].area].lower()})", key=f"{name}_metric",
        help="Defined once for the whole workspace; the overview shows the same.",
    )  # fmt: skip
    metric = METRICS[key]
    splits = {"": "As one number"} | ({TIME: "Over time"} if metric.history and key not in WHOLE else {})
    splits |= {AGE: "By age"} if key == "open_tickets" else {}
    if key in COUNTED:
        splits |= {
            path: f"By {found.label[:1].lower()}{found.label[1:]}" for path, found in load(dimensions.find, metric.entity).items()
        }
    by = right.selectbox(
        "Show", list(splits), index=_at(splits, spec.get("by")), format_func=lambda path: splits[path], key=f"{name}_by_{key}"
    )
    charts = {chart.value: chart.label for chart in charts_for(by, share=metric.counts is not None)}
    found: Spec = {"metric": key, "by": by}
    with st.container(horizontal=True, vertical_alignment="top"):
        if len(charts) > 1:
            found["chart"] = st.segmented_control("Chart", list(charts), default=list(charts)[_at(charts, spec.get("chart"))], required=True, format_func=lambda chart: charts[chart], key=f"{name}_chart_{key}_{by}")  # fmt: skip
        if not metric.now or by == TIME:
            found["period"] = _period(spec, name)
        if by not in ("", TIME):
            found["limit"] = _limit(spec, name, 10)
    with st.expander("Only some records", icon=":material/filter_list:", expanded=bool(spec.get("filter"))):
        found["filter"] = inline_filter(metric.entity, name, spec.get("filter"))
    return found


def _period(spec: Spec, name: str) -> str:
    presets = {_OF_DASHBOARD: "Of the dashboard"} | {
        key: label for key, label in PeriodPreset.options().items() if key != PeriodPreset.CUSTOM
    }
    return st.selectbox(
        "Period",
        list(presets),
        index=_at(presets, spec.get("period")),
        format_func=lambda key: presets[key],
        key=f"{name}_period",
        width=170,
    )


def _limit(spec: Spec, name: str, usual: int) -> int:
    limit = spec.get("limit") if spec.get("limit") in LIMITS else usual
    return st.selectbox(
        "Groups", LIMITS, index=LIMITS.index(limit or usual), key=f"{name}_limit", width=110, help="Smaller groups are put together"
    )


def _at(options: Mapping[Any, Any], wanted: Any) -> int:
    return list(options).index(wanted) if wanted in options else 0


# --- reports -------------------------------------------------------------------------------------------------------------


def pivot_form(actor: Actor, spec: Spec, name: str) -> Spec:
    """The choices of a report: records, rows, columns, measure, period, chart, filter."""
    kinds = pivots.entities(actor)
    if not kinds:
        st.info("Your role reads no records.")
        return {}
    first, second, third = st.columns(3)
    key = first.selectbox(
        "Records",
        list(kinds),
        index=_at(kinds, spec.get("entity") or "deal"),
        format_func=lambda kind: kinds[kind],
        key=f"{name}_entity",
    )
    same = spec if spec.get("entity") == key else {}
    fields = load(dimensions.find, key, days=True)
    rows = _axis(second, "Rows", fields, same.get("rows"), f"{name}_rows_{key}")
    columns = _axis(third, "Columns", fields, same.get("columns"), f"{name}_columns_{key}", optional=True)
    found: Spec = {"entity": key, "rows": rows, "columns": columns}
    numbers = load(dimensions.numbers, key)
    charts = {chart.value: chart.label for chart in PIVOT_CHARTS if columns or chart.value in ("table", "bars")}
    with st.container(horizontal=True, vertical_alignment="top"):
        found |= _measure(numbers, same, f"{name}_{key}")
        days = {"": "All records"} | {
            path: f"By {one.label.lower()}" for path, one in fields.items() if one.is_day and not one.spec.custom
        }
        found["date"] = st.selectbox("Period counts", list(days), index=_at(days, same.get("date")), format_func=lambda path: days[path], key=f"{name}_date_{key}", width=190, help="The day that the period of the dashboard cuts by")  # fmt: skip
        if found["date"]:
            found["period"] = _period(same, name)
        found["chart"] = st.segmented_control("Shown as", list(charts), default=list(charts)[_at(charts, same.get("chart"))], required=True, format_func=lambda chart: charts[chart], key=f"{name}_shown_{key}_{bool(columns)}")  # fmt: skip
        found["limit"] = _limit(same, name, 15)
    with st.expander("Only some records", icon=":material/filter_list:", expanded=bool(same.get("filter"))):
        found["filter"] = inline_filter(key, name, same.get("filter"))
    return found


def _axis(
    place: Any, label: str, fields: Mapping[str, Dimension], before: Any, key: str, *, optional: bool = False
) -> dict[str, str] | None:
    options = {path: found.label for path, found in fields.items()}
    if optional:
        options = {"": "None"} | options
    wanted = (before or {}).get("field", "")
    path = place.selectbox(label, list(options), index=_at(options, wanted), format_func=lambda path: options[path], key=key)
    if not path:
        return None
    grain = ""
    if fields[path].is_day:
        grains = Grain.options()
        grain = place.selectbox(f"{label} by", list(grains), index=_at(grains, (before or {}).get("grain") or Grain.MONTH.value), format_func=lambda one: grains[one], key=f"{key}_grain", label_visibility="collapsed")  # fmt: skip
    return {"field": path, "grain": grain}


def _measure(numbers: Mapping[str, FieldSpec], spec: Spec, name: str) -> Spec:
    measures = Measure.options() if numbers else {Measure.COUNT.value: Measure.COUNT.label}
    measure = st.selectbox(
        "Measure",
        list(measures),
        index=_at(measures, spec.get("measure")),
        format_func=lambda one: measures[one],
        key=f"{name}_measure",
        width=180,
    )
    if measure == Measure.COUNT:
        return {"measure": measure}
    labels = {key: found.label for key, found in numbers.items() if measure != Measure.SUM or found.kind is not FieldKind.PERCENT}
    field = st.selectbox(
        "Of",
        list(labels),
        index=_at(labels, spec.get("field")),
        format_func=lambda one: labels[one],
        key=f"{name}_field_{measure}",
        width=190,
    )
    return {"measure": measure, "field": field}


def report_of(spec: Spec) -> Spec | None:
    """The spec of a report as it may be kept; None, after saying what is missing."""
    try:
        return checked(TileKind.PIVOT, spec)
    except Invalid as error:
        st.caption(":material/info: " + " ".join(error.fields.values() or [error.message]))
        return None
