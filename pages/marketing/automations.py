"""Automations: for managers and marketers, to let routine happen by itself and to see what it did."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from crm_core.kit.text import fold
from crm_core.services.automation import automations, recipes
from crm_core.services.automation.automations import Row
from crm_core.services.automation.recipes import Recipe
from crm_core.vocabulary import Action, AutomationState, FlowState, HaltKind
from ui import format as fmt
from ui.actions import load, perform
from ui.components.automation_desk import on_dialog
from ui.components.automation_dialogs import recipe_dialog, runs_dialog
from ui.components.automation_editor import draft_of
from ui.components.automation_words import in_words
from ui.components.halt import stop_button
from ui.components.header import empty_state, header
from ui.navigation import go, page_of
from ui.session import current_actor

MANY = 6
BADGES = {AutomationState.ACTIVE: "green", AutomationState.PAUSED: "orange", AutomationState.DRAFT: "gray"}


def card(row: Row) -> None:
    """One automation: when, what, how it went, what can be done with it."""
    one = row.automation
    with st.container(border=True, key=f"automation_{one.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
                st.page_link(editor_page, label=f"**{fmt.md(one.name)}**", query_params={"id": str(one.id)}, width="content")
                st.badge(one.state.label, color=BADGES[one.state])  # type: ignore[arg-type]
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
                if st.button("Runs", icon=":material/list:", key=f"runs_{one.id}", type="tertiary"):
                    runs_dialog(one.id, one.name)
                if may_manage:
                    buttons(row)
        if one.state is AutomationState.PAUSED and one.reason:
            st.caption(f":material/pause_circle: Paused: {fmt.md(one.reason)}")
        st.caption(in_words(load(automations.story, one.id)))
        failed, started = row.runs.get(FlowState.FAILED, 0), sum(row.runs.values())
        words = f"{fmt.plural(started, 'run')} in 30 days" + (f" · :red[{fmt.written(failed)} failed]" if failed else "")
        st.caption(f"{words} · acts for {fmt.md(row.owner or 'nobody')}")


def narrowed(found: list[Row]) -> list[Row]:
    """Those with a word in their name, in a state."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        text = st.text_input(
            "Search",
            key="automations_q",
            placeholder="Search by name",
            label_visibility="collapsed",
            width=260,
            bind="query-params",
        )
        states = [state for state in AutomationState if any(row.automation.state is state for row in found)]
        state = st.pills("State", states, format_func=lambda one: one.label, key="automations_state", label_visibility="collapsed")
    return [
        row for row in found if fold(text or "") in fold(row.automation.name) and (state is None or row.automation.state is state)
    ]


def buttons(row: Row) -> None:
    """On, off, away."""
    one = row.automation
    if st.button("Edit", icon=":material/edit:", key=f"edit_{one.id}", type="tertiary"):
        go("automation", id=one.id)
    if one.state is AutomationState.ACTIVE:
        st.button(
            "Pause", icon=":material/pause:", key=f"pause_{one.id}", type="tertiary", on_click=act, args=(automations.pause, one.id)
        )
        return
    if one.state is AutomationState.DRAFT:
        if st.button("Switch on …", icon=":material/play_arrow:", key=f"on_{one.id}", type="tertiary"):
            on_dialog(replace(load(draft_of, one.id), mark=f"list {one.id}"))  # what the editor holds stays there
    else:
        st.button(
            "Switch on", icon=":material/play_arrow:", key=f"on_{one.id}", type="tertiary", on_click=act, args=(automations.activate, one.id)
        )  # fmt: skip
    with st.popover(
        icon=":material/delete:",
        key=f"remove_{one.id}",
        type="tertiary",
        **fmt.icon_only("Remove this automation"),
    ):
        st.markdown("Its runs go with it. What it did to records stays.")
        st.button("Remove", type="primary", key=f"remove_yes_{one.id}", on_click=act, args=(automations.remove, one.id))


def act(verb: Callable[..., Any], automation_id: int) -> None:
    perform(verb, automation_id)


def offer(recipe: Recipe) -> None:
    """A recipe that is not in use yet."""
    with st.container(border=True, key=f"recipe_{recipe.key}"):
        st.markdown(f":material/{recipe.icon}: **{fmt.md(recipe.name)}**")
        st.caption(fmt.md(recipe.words))
        with st.container(horizontal=True, gap="small"):
            if st.button("Try on the past", key=f"try_{recipe.key}", type="tertiary", icon=":material/history:"):
                recipe_dialog(recipe)
            if st.button("Adapt", key=f"adapt_{recipe.key}", type="tertiary", icon=":material/edit:", help="Open it in the editor"):
                go("automation", recipe=recipe.key)


actor = current_actor()
may_manage = actor.can("automation", Action.MANAGE)
editor_page = page_of(actor, "automation")
actions = header(
    "Automations", "Routine that happens by itself: at once or days later, once and never twice, with a record of every step"
)
stop_button(actions, HaltKind.AUTOMATIONS)
if may_manage and actions.button("New automation", type="primary", icon=":material/add:", key="new_automation", shortcut="n"):
    go("automation")
rows = load(automations.find)
shown = narrowed(rows) if len(rows) > MANY else rows
for row in shown:
    card(row)
if rows and not shown:
    st.caption("None of them fits. Clear the search to see all.")
open_ones = load(recipes.open_to) if may_manage else []
if open_ones:
    st.subheader("Ready to switch on")
    st.caption("See first what each would have done; nothing happens before you switch it on. Adapt one, or write your own.")
    with st.grid(3, min_column_width=260):
        for recipe in open_ones:
            offer(recipe)
if not rows and not may_manage:
    empty_state(
        "No automations yet", "Managers and marketers switch them on. What each does to your records will stand here.", icon="bolt"
    )
