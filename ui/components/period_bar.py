"""The choices above key figures: period, comparison, owner, pipeline. All of them stand in the URL."""

from collections.abc import Callable
from datetime import date, timedelta

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.kit import clock
from crm_core.services.analytics import metrics
from crm_core.services.analytics.metrics import Selection
from crm_core.services.sales import deals
from crm_core.vocabulary import Action, Against, PeriodPreset, Scope
from ui.actions import load
from ui.components.day_input import day_input

_PRESETS = PeriodPreset.options()
_AGAINST = Against.options()


def period_bar(
    actor: Actor, *, default: PeriodPreset = PeriodPreset.MONTHS_12, more: Callable[[], None] | None = None
) -> Selection:
    """Draw the choices and give what was selected; ``more`` draws further ones behind them."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="period_bar"):
        preset = st.segmented_control(
            "Period",
            list(_PRESETS),
            default=default.value,
            required=True,
            format_func=lambda key: _PRESETS[key],
            key="period",
            bind="query-params",
            label_visibility="collapsed",
            wrap=True,
        )
        chosen = PeriodPreset(preset or default.value)
        start, end = _days(actor) if chosen is PeriodPreset.CUSTOM else (None, None)
        against = _against() if chosen is not PeriodPreset.ALL else Against.NONE
        owner_id, pipeline_id = _owner(actor), _pipeline(actor)
        if more is not None:
            more()
    return load(metrics.select, chosen, against, start=start, end=end, owner_id=owner_id, pipeline_id=pipeline_id)


def _days(actor: Actor) -> tuple[date | None, date | None]:
    today = clock.today(actor.timezone)
    picked = day_input(
        "Days",
        (today - timedelta(days=29), today),
        key="days",
        bind="query-params",
        label_visibility="collapsed",
        width=230,
    )
    days = picked if isinstance(picked, tuple) else (picked,)
    if len(days) < 2:
        st.caption("Choose the last day too.")
        st.stop()
    return days[0], days[1]


def _against() -> Against:
    picked = st.selectbox(
        "Compare with",
        list(_AGAINST),
        format_func=lambda key: _AGAINST[key],
        key="against",
        bind="query-params",
        label_visibility="collapsed",
        width=176,
    )
    return Against(picked or Against.PREVIOUS.value)


def _owner(actor: Actor) -> int | None:
    """Whose records, for those who see more than their own."""
    if not any(actor.scopes(key, Action.READ) - {Scope.OWN} for key in ("deal", "lead", "order")):
        return None
    people = _told_apart(load(lists.choices, "user", limit=500))
    picked = st.selectbox(
        "Owner",
        list(people),
        index=None,
        format_func=lambda user_id: people.get(user_id, "?"),
        placeholder="Everybody",
        key="owner",
        bind="query-params",
        label_visibility="collapsed",
        width=170,
    )
    return picked if isinstance(picked, int) else None


def _told_apart(names: dict[int, str]) -> dict[int, str]:
    """Two people of the same name must not become one choice."""
    seen = list(names.values())
    return {user_id: name if seen.count(name) == 1 else f"{name} ({user_id})" for user_id, name in names.items()}


def _pipeline(actor: Actor) -> int | None:
    if not actor.can("deal", Action.READ):
        return None
    pipelines = load(deals.pipelines)
    if len(pipelines) < 2:
        return None
    picked = st.selectbox(
        "Pipeline",
        list(pipelines),
        index=None,
        format_func=lambda pipeline_id: pipelines.get(pipeline_id, "?"),
        placeholder="All pipelines",
        key="pipeline",
        bind="query-params",
        label_visibility="collapsed",
        width=160,
    )
    return picked if isinstance(picked, int) else None
