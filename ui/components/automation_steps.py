"""The steps of an automation as a list that reads from top to bottom, with arms where it branches; each is changed where it stands."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from crm_core.entities import entity
from crm_core.services.automation import edit_rules, flow_rules, steps
from crm_core.services.automation.automations import Story
from crm_core.services.automation.edit_rules import Place
from crm_core.services.automation.steps import StepKind
from ui import format as fmt
from ui.components.automation_draft import Draft
from ui.components.automation_inputs import step_form
from ui.components.automation_trigger import Wrong, problem
from ui.components.automation_words import sentence

Step = dict[str, Any]
ARM_WORDS = {"yes": "Yes", "no": "Otherwise"}
ACTIONS = {
    "above": ":material/add_row_above: Insert above", "below": ":material/add_row_below: Insert below", "up": ":material/arrow_upward: Move up",
    "down": ":material/arrow_downward: Move down", "copy": ":material/content_copy: Duplicate", "wrap": ":material/call_split: Put into a branch",
    "unwrap": ":material/call_merge: Remove the branch, keep its steps", "remove": ":material/delete: Remove",
}  # fmt: skip


def then(draft: Draft, told: Story, wrong: Wrong) -> None:
    """The list."""
    with st.container(border=True, key="auto_then"):
        st.markdown("**Then**")
        if not draft.steps and draft.adding is None:
            st.caption("What is to happen? Steps are taken one after the other, each once.")
        _sequence(draft, told, wrong, draft.steps, ("end", ""))
        problem(wrong, "steps")


def _sequence(draft: Draft, told: Story, wrong: Wrong, sequence: list[Step], end: Place) -> None:
    for step in sequence:
        _spot(draft, ("before", step["id"]))
        _row(draft, told, wrong, step)
        _spot(draft, ("after", step["id"]))
    if draft.adding == end:
        _chooser(draft, end)
    else:
        words = "Add a step" if end[0] == "end" else f"Add a step under “{ARM_WORDS[end[0]]}”"
        st.button(
            words, icon=":material/add:", key=f"{draft.tag}_add_{end[0]}_{end[1]}", type="tertiary" if end[1] or sequence else "secondary",
            on_click=_choose, args=(draft, end),
        )  # fmt: skip


def _choose(draft: Draft, place: Place | None) -> None:
    draft.catch_up()
    draft.adding = place


def _spot(draft: Draft, place: Place) -> None:
    if draft.adding == place:
        _chooser(draft, place)


def _chooser(draft: Draft, place: Place) -> None:
    """What can be put in here."""
    with st.container(border=True, key="auto_choose", gap="small"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**What is to happen?**", width="content")
            st.button(
                icon=":material/close:",
                key="auto_choose_off",
                type="tertiary",
                on_click=_choose,
                args=(draft, None),
                **fmt.icon_only("Add nothing"),
            )
        with st.container(horizontal=True, gap="small"):
            for kind in steps.kinds().values():
                if not kind.entities or draft.entity in kind.entities:
                    st.button(
                        kind.title,
                        icon=f":material/{kind.icon}:",
                        key=f"auto_kind_{kind.key}",
                        on_click=_add,
                        args=(draft, place, kind),
                    )


def _add(draft: Draft, place: Place, kind: StepKind) -> None:
    draft.catch_up()
    step = edit_rules.fresh(kind.key, {param.key: param.default for param in kind.params if param.default is not None})
    draft.restep(edit_rules.insert(draft.steps, place, step))
    draft.open_step = step["id"]


def _row(draft: Draft, told: Story, wrong: Wrong, step: Step) -> None:
    kind = steps.kinds().get(str(step.get("kind")))
    is_open = draft.open_step == step["id"]
    with st.container(border=True, key=f"auto_step_{step['id']}", gap="small"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
            icon = kind.icon if kind else "help"
            st.markdown(f":material/{icon}: {fmt.md(sentence(told, step))}", width="stretch")
            if kind is not None:
                st.button(
                    icon=":material/expand_less:" if is_open else ":material/edit:", key=f"{draft.tag}_open_{step['id']}", type="tertiary",
                    on_click=_open, args=(draft, step["id"]), **fmt.icon_only("Close" if is_open else "Change this step"),
                )  # fmt: skip
            _menu(draft, step)
        if is_open and kind is not None:
            _form(draft, step, kind, wrong)
        else:
            problem(wrong, step["id"])
        if step.get("kind") == "branch":
            _arms(draft, told, wrong, step)


def _form(draft: Draft, step: Step, kind: StepKind, wrong: Wrong) -> None:
    if kind.key == "branch":
        st.caption(f"Asked of the {entity(draft.entity).label.lower()} when a run comes here.")
        flaw = draft.condition(step["id"], step)
        problem({"if": flaw}, "if")
    else:
        step_form(draft, step, kind)
        if not kind.params:
            st.caption("Nothing to fill in.")
    problem(wrong, step["id"])


def _arms(draft: Draft, told: Story, wrong: Wrong, step: Step) -> None:
    for arm in flow_rules.ARMS:
        with st.container(key=f"auto_arm_{arm}_{step['id']}", gap="small"):
            st.markdown(f":{'green' if arm == 'yes' else 'gray'}-badge[{ARM_WORDS[arm]}]")
            _sequence(draft, told, wrong, step.setdefault(arm, []), (arm, step["id"]))


def _open(draft: Draft, step_id: str) -> None:
    draft.catch_up()
    draft.open_step = "" if draft.open_step == step_id else step_id


def _menu(draft: Draft, step: Step) -> None:
    allowed = [name for name in ACTIONS if name != "unwrap" or step.get("kind") == "branch"]
    for name, by in (("up", -1), ("down", 1)):
        if not edit_rules.may_move(draft.steps, step["id"], by):
            allowed.remove(name)
    key = f"{draft.tag}_menu_{step['id']}"
    st.menu_button(
        options=allowed, icon=":material/more_vert:", type="tertiary", format_func=lambda name: ACTIONS[name], key=key, on_click=_act,
        args=(draft, step["id"], key), **fmt.icon_only("Insert, move, duplicate, branch or remove"),
    )  # fmt: skip


def _act(draft: Draft, step_id: str, key: str) -> None:
    draft.catch_up()
    action = str(st.session_state.get(key))
    if action in ("above", "below"):
        draft.adding = ("before" if action == "above" else "after", step_id)
        return
    given = draft.steps
    simple: dict[str, Callable[[], list[Step]]] = {
        "up": lambda: edit_rules.move(given, step_id, -1),
        "down": lambda: edit_rules.move(given, step_id, 1),
        "unwrap": lambda: edit_rules.unwrap(given, step_id),
        "remove": lambda: edit_rules.remove(given, step_id),
    }
    if action in simple:
        draft.restep(simple[action]())
    elif action in ("copy", "wrap"):
        made, name = (edit_rules.duplicate if action == "copy" else edit_rules.wrap)(given, step_id)
        draft.restep(made)
        draft.open_step = name or draft.open_step
