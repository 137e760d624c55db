"""Automations: for managers and marketers, to let routine happen by itself and to see what it did."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from crm_core.services.automation import automations, recipes
from crm_core.services.automation.automations import Row, Story
from crm_core.services.automation.recipes import Recipe
from crm_core.vocabulary import Action, AutomationState, FlowState
from ui import format as fmt
from ui.actions import load, perform
from ui.components.automation_dialogs import recipe_dialog, runs_dialog
from ui.components.filter_inputs import words_of
from ui.components.header import header
from ui.session import current_actor

BADGES = {AutomationState.ACTIVE: "green", AutomationState.PAUSED: "orange", AutomationState.DRAFT: "gray"}


def card(row: Row) -> None:
    """One automation: when, what, how it went, what can be done with it."""
    one = row.automation
    with st.container(border=True, key=f"automation_{one.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"**{fmt.md(one.name)}** :{BADGES[one.state]}-badge[{one.state.label}]")
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
                if st.button("Runs", icon=":material/list:", key=f"runs_{one.id}", type="tertiary"):
                    runs_dialog(one.id, one.name)
                if may_manage:
                    buttons(row)
        if one.state is AutomationState.PAUSED and one.reason:
            st.caption(f":material/pause_circle: Paused: {fmt.md(one.reason)}")
        st.caption(in_words(load(automations.story, one.id)))
        failed, started = row.runs.get(FlowState.FAILED, 0), sum(row.runs.values())
        words = f"{fmt.plural(started, 'run')} in 30 days" + (f" · :red[{failed:,} failed]" if failed else "")
        st.caption(f"{words} · acts for {fmt.md(row.owner or 'nobody')}")


def in_words(told: Story) -> str:
    """When, on what condition and what, as a list."""
    asked = f", if {fmt.md(load(words_of, told.entity, told.filter))}" if told.filter else ""
    lines = [f"{'  ' * depth}- {fmt.md(sentence)}" for sentence, depth in told.steps]
    return f"**{fmt.md(told.when)}**{asked}\n" + "\n".join(lines)


def buttons(row: Row) -> None:
    """On, off, away."""
    one = row.automation
    if one.state is AutomationState.ACTIVE:
        st.button(
            "Pause", icon=":material/pause:", key=f"pause_{one.id}", type="tertiary", on_click=act, args=(automations.pause, one.id)
        )
        return
    st.button(
        "Switch on",
        icon=":material/play_arrow:",
        key=f"on_{one.id}",
        type="tertiary",
        on_click=act,
        args=(automations.activate, one.id),
    )
    with st.popover("", icon=":material/delete:", key=f"remove_{one.id}", type="tertiary", help="Remove this automation"):
        st.markdown("Its runs go with it. What it did to records stays.")
        st.button("Remove", type="primary", key=f"remove_yes_{one.id}", on_click=act, args=(automations.remove, one.id))


def act(verb: Callable[..., Any], automation_id: int) -> None:
    perform(verb, automation_id)


def offer(recipe: Recipe) -> None:
    """A recipe that is not in use yet."""
    with st.container(border=True, key=f"recipe_{recipe.key}"):
        st.markdown(f":material/{recipe.icon}: **{fmt.md(recipe.name)}**")
        st.caption(fmt.md(recipe.words))
        if st.button("Try on the past", key=f"try_{recipe.key}", type="tertiary", icon=":material/history:"):
            recipe_dialog(recipe)


actor = current_actor()
may_manage = actor.can("automation", Action.MANAGE)
header("Automations", "Routine that happens by itself: at once or days later, once and never twice, with a record of every step")
rows = load(automations.find)
for row in rows:
    card(row)
open_ones = load(recipes.open_to) if may_manage else []
if open_ones:
    st.subheader("Ready to switch on")
    st.caption("See first what each would have done; nothing happens before you switch it on.")
    with st.grid(3, min_column_width=260):
        for recipe in open_ones:
            offer(recipe)
if not rows and not may_manage:
    st.caption("Nobody has switched an automation on yet. Managers and marketers can.")
