"""The settings of an analysis, drawn from its declaration. They stand in the address, so that a question is a link; Run asks it."""

import json
from datetime import date
from typing import Any

import streamlit as st
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.kit import clock
from crm_core.services.analytics import runs
from crm_core.services.analytics.methods import Method, Param
from crm_core.services.analytics.runs import Run
from ui import format as fmt
from ui.actions import load, perform
from ui.components.day_input import day_input
from ui.components.filter_bar import PARAM as FILTER
from ui.components.filter_bar import filter_button, filter_from_url, filter_words
from ui.components.segment_choice import segment_choice
from ui.components.whole_input import whole_number_or_none

PREFIX = "p_"
_DAY = PREFIX + "as_of"


def settings(actor: Actor, found: Method, shown: Run | None) -> None:
    """Draw the settings, folded away while a result is shown, and start a run on demand."""
    _remember_run(found, shown)
    start: dict[str, Any] = dict(shown.params) if shown is not None else {param.key: param.default for param in found.params}
    with st.expander(_label(actor, found, shown), icon=":material/tune:", expanded=shown is None, key=f"settings_{found.kind}"):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="analysis_settings"):
            values = {
                param.key: _field(actor, param, start) for param in found.params if param.kind != "filter" and not param.advanced
            }
            chosen = next((param for param in found.params if param.kind == "filter"), None)
            if chosen is not None:
                entity = chosen.about(values)
                values[chosen.key] = filter_from_url(entity)
                segment_choice(entity, values[chosen.key])
                filter_button(entity, values[chosen.key])
            values |= _more(actor, found, start)
            day = values.pop("_day")
            if st.button("Run", type="primary", icon=":material/play_arrow:", key="analysis_run"):
                _ask(found, values, day)
        if chosen is not None:
            filter_words(entity, values[chosen.key])


def _more(actor: Actor, found: Method, start: dict[str, Any]) -> dict[str, Any]:
    """What is rarely changed: the day from which to look, and advanced parameters."""
    today = clock.today(actor.timezone)
    with st.popover("More", icon=":material/more_horiz:", type="tertiary"):
        day = day_input(
            "Data up to",
            "today",
            max_value=today,
            key=_DAY,
            bind="query-params",
            help="Later records are not seen: the result of that day",
        )
        values = {param.key: _field(actor, param, start) for param in found.params if param.advanced and param.kind != "filter"}
    return {**values, "_day": day if isinstance(day, date) else today}


def _ask(found: Method, values: dict[str, Any], day: date) -> None:
    run_id = perform(runs.request, found.kind, values, day)
    if run_id is not None:
        st.query_params["run"] = str(run_id)
        st.query_params.pop("with", None)
        st.session_state["_analysis_filter"] = run_id  # the address holds what was asked
    st.rerun()


def show_run(found: Method, run_id: int | None) -> None:
    """For callbacks: put a run into the address, and its settings into the widgets in place of what was typed."""
    for name in ("run", "with", FILTER):
        st.query_params.pop(name, None)
    st.session_state.pop("_analysis_filter", None)
    if run_id is None:
        return
    st.query_params["run"] = str(run_id)
    run = load(runs.get, run_id, found.kind)
    st.session_state[_DAY] = run.as_of
    for param in found.params:
        if param.kind not in ("filter", "segment"):
            st.session_state[PREFIX + param.key] = _typed(param, run.params.get(param.key, param.default))


def _typed(param: Param, value: Any) -> Any:
    """A stored setting as its widget holds it."""
    if param.kind == "choice":
        return None if value is None else str(value)
    if param.kind == "multi":
        return [str(item) for item in value or []]
    return date.fromisoformat(value) if param.kind == "date" and isinstance(value, str) else value


def _remember_run(found: Method, shown: Run | None) -> None:
    """The filter of a run that was just opened goes into the address, once: after that the address says what is asked next."""
    if shown is None or st.session_state.get("_analysis_filter") == shown.id:
        return
    st.session_state["_analysis_filter"] = shown.id
    rule = next((shown.params.get(param.key) for param in found.params if param.kind == "filter"), None)
    if rule and FILTER not in st.query_params:
        st.query_params[FILTER] = json.dumps(rule, separators=(",", ":"), default=str)


def _label(actor: Actor, found: Method, shown: Run | None) -> str:
    if shown is None:
        return "Settings"
    parts = [
        words for param in found.params if not param.advanced and (words := in_words(actor, param, shown.params.get(param.key)))
    ]
    return "Settings: " + fmt.md(", ".join(parts)) if parts else "Settings"


def in_words(actor: Actor, param: Param, value: Any) -> str:
    """A setting with its name, as a part of a sentence; empty when nothing is set."""
    words = value_words(actor, param, value)
    if not words or param.kind in ("choice", "multi", "filter"):
        return words.lower() if param.kind == "multi" else words
    return (param.label.lower() if value else "") if param.kind == "bool" else f"{param.label.lower()} {words}"


def value_words(actor: Actor, param: Param, value: Any) -> str:
    """The value of a setting as people read it; empty when nothing is set."""
    if value in (None, "", []):
        return ""
    if param.kind == "filter":
        return "filtered"
    if param.kind in ("choice", "multi"):
        known = load(_choices, param)
        picked = value if isinstance(value, list) else [value]
        return ", ".join(known.get(item, str(item)) for item in picked[:3]) + (" …" if len(picked) > 3 else "")
    if param.kind == "bool":
        return "yes" if value else "no"
    return fmt.number(actor, value) if isinstance(value, int | float) else str(value)


def _choices(session: Session, actor: Actor, param: Param) -> dict[Any, str]:
    return param.choices(session, actor)


def _field(actor: Actor, param: Param, start: dict[str, Any]) -> Any:
    """One widget, at the value of the run that is shown."""
    key, before = PREFIX + param.key, start.get(param.key, param.default)
    common: dict[str, Any] = {"key": key, "help": param.help or None, "bind": "query-params"}
    if param.kind in ("choice", "multi"):
        return _choice(actor, param, before, common)
    if param.kind == "bool":
        return st.toggle(param.label, bool(before), **common)
    if param.kind in ("int", "float"):
        return _number(param, before, common)
    if param.kind == "date":
        return _date(param, before, common)
    return st.text_input(param.label, before or "", width=200, **common)


def _choice(actor: Actor, param: Param, before: Any, common: dict[str, Any]) -> Any:
    options = load(_choices, param)
    words = {str(value): text for value, text in options.items()}
    if param.kind == "multi":
        picked = [str(value) for value in (before or []) if str(value) in words]
        chosen = st.multiselect(
            param.label, list(words), default=picked, format_func=lambda v: words.get(v, v), width=420, placeholder="Any", **common
        )
        return [_back(options, value) for value in chosen]
    if not words:
        return param.default
    at = list(words).index(str(before)) if str(before) in words else 0
    empty = None if param.default is None and before is None else at
    chosen_one = st.selectbox(
        param.label, list(words), index=empty, format_func=lambda v: words.get(v, v), width=190, placeholder="All", **common
    )
    return _back(options, chosen_one) if chosen_one is not None else None


def _back(options: dict[Any, str], text: str) -> Any:
    return next((value for value in options if str(value) == text), text)


def _number(param: Param, before: Any, common: dict[str, Any]) -> Any:
    low, high, value = (float(each) if each is not None else None for each in (param.low, param.high, before))
    if param.kind == "float":
        return st.number_input(param.label, low, high, value, width=190, **common)
    least, most, now = (int(each) if each is not None else None for each in (low, high, value))
    return whole_number_or_none(param.label, least, most, now, width=190, **common)


def _date(param: Param, before: Any, common: dict[str, Any]) -> Any:
    start = date.fromisoformat(before) if isinstance(before, str) and before else None
    picked = day_input(param.label, start, width=160, **common)
    return picked.isoformat() if isinstance(picked, date) else None
