"""The choices of a whole dashboard: period, comparison, owner, pipeline, and the past day to look back to. All stand in the address."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.kit import clock
from crm_core.services.analytics import tiles
from crm_core.services.analytics.periods import parsed
from crm_core.services.analytics.tiles import Look
from crm_core.vocabulary import Against, PeriodPreset
from ui import format as fmt
from ui.components.day_input import day_input
from ui.components.period_bar import period_bar


def dashboard_bar(actor: Actor, settings: Mapping[str, Any]) -> Look:
    """Draw the choices and give how the dashboard is to be seen. ``settings``: what it opens with when the address says nothing."""
    if "against" not in st.session_state and "against" not in st.query_params and settings.get("against") in Against.options():
        st.session_state["against"] = settings["against"]
    preset = PeriodPreset(settings.get("period") or PeriodPreset.MONTHS_12.value)
    selection = period_bar(actor, default=preset, more=lambda: _past_day(actor))
    day = _chosen(actor)
    chosen = PeriodPreset(st.session_state.get("period") or preset.value)
    if day is not None:
        st.info(
            f"As it stood at the end of {fmt.md(fmt.day(actor, day))}: rebuilt from the log of changes and the records’ own days. "
            "Only records that you may see today count.",
            icon=":material/history:",
        )
    return tiles.look(selection, day, chosen)


def _past_day(actor: Actor) -> None:
    day = _chosen(actor)
    label = f"As of {fmt.md(fmt.short_day(actor, day))}" if day is not None else "As of now"
    with st.popover(label, icon=":material/history:", key="as_of_menu", help="See the figures as they stood on a past day"):
        day_input(
            "As they stood at the end of",
            value=None,
            max_value=clock.today(actor.timezone) - timedelta(days=1),
            key="as_of",
            bind="query-params",
        )
        st.button("Back to now", key="as_of_now", disabled=day is None, on_click=_now)


def _now() -> None:
    st.session_state["as_of"] = None


def _chosen(actor: Actor) -> date | None:
    """The day, of the widget or, before that was drawn, of the address."""
    raw = st.session_state.get("as_of", st.query_params.get("as_of"))
    picked = parsed(raw) if isinstance(raw, str) else raw
    return picked if isinstance(picked, date) and picked < clock.today(actor.timezone) else None
