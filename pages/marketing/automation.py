"""One automation: for managers and marketers, to write down when something is to happen by itself and what, to try it, and to look after it."""

from typing import Any

import streamlit as st

from crm_core.entities import label_of
from crm_core.services.automation import automations, recipes
from crm_core.vocabulary import Action, AutomationState, FlowState
from ui import format as fmt
from ui.actions import load, perform
from ui.components import automation_draft
from ui.components.automation_draft import Draft
from ui.components.automation_editor import draft_of, editor, reader, row_if
from ui.components.header import empty_state, header
from ui.components.record_page import id_from_url
from ui.navigation import go, page_of
from ui.session import current_actor

BADGES = {AutomationState.ACTIVE: "green", AutomationState.PAUSED: "orange", AutomationState.DRAFT: "gray"}


def kept(automation_id: int) -> None:
    """An automation that is saved."""
    if may_manage and load(row_if, automation_id) is None and unsaved(str(automation_id)):
        header("Automation", back=back)
        editor(str(automation_id))
        return
    row = load(automations.get, automation_id)
    owner = load(owner_name, row.owner_id)
    badges = [(row.state.label, BADGES[row.state]), (label_of(row.entity, plural=True), "blue")]
    failed = load(automations.run_counts, row.id).get(FlowState.FAILED, 0)
    badges += [(f"{fmt.written(failed)} failed", "red")] if failed else []
    actions = header(row.name, f"Version {row.current} · acts for {owner or 'nobody'}", badges=badges, back=back)
    if not may_manage:
        reader(row)
        return
    if actions.button("Duplicate", icon=":material/content_copy:", key="auto_copy"):
        go("automation", copy=row.id)
    with actions.popover(icon=":material/delete:", key="auto_remove", **fmt.icon_only("Remove this automation")):
        if row.state is AutomationState.ACTIVE:
            st.markdown("Pause it before you remove it.")
        else:
            st.markdown("Its runs and versions go with it. What it did to records stays.")
            if st.button("Remove", type="primary", key="auto_remove_yes"):
                remove(row.id)
    automation_draft.opened(str(row.id), lambda: load(draft_of, row.id))
    editor(str(row.id))


def unsaved(mark: str) -> bool:
    """Whether there is something to lose although the automation itself is gone."""
    draft = automation_draft.drafts().get(mark)
    return draft is not None and (draft.dirty or draft.automation_id is None)


def owner_name(session: Any, asker: Any, owner_id: int | None) -> str:
    from crm_core import lists

    return lists.titles(session, asker, "user", {owner_id}).get(owner_id or 0, "")


def remove(automation_id: int) -> None:
    if perform(automations.remove, automation_id, success="Automation removed.") is not None:
        automation_draft.forget(str(automation_id))
        go("automations")


def new() -> None:
    """One that is written from nothing, from a recipe, or from another one."""
    if not may_manage:
        header("Automation", back=back)
        empty_state("Your role writes no automations", "Open one from the list, or ask a manager or marketer.", icon="lock")
        return
    mark, begin = beginning()
    draft = automation_draft.opened(mark, lambda: begin(mark))
    header(
        "New automation",
        "When something happens, if it matters, then do something. Nothing runs before you switch it on.",
        back=back,
    )
    if draft.dirty and draft.name != draft.kept[0] and st.session_state.get("_arrived"):
        st.caption(":material/edit_note: You began this earlier; it is as you left it.")
    editor(mark)


def beginning() -> tuple[str, Any]:
    """The mark of the draft, and how it begins."""
    recipe = next((one for one in recipes.RECIPES if one.key == st.query_params.get("recipe")), None)
    if recipe is not None:
        return f"recipe {recipe.key}", lambda mark: started(mark, recipe.name, dict(recipe.flow), recipe.key)
    if "copy" in st.query_params:
        source = id_from_url("copy")
        return f"copy {source}", lambda mark: started(mark, *load(copied, source))
    return "new", lambda mark: Draft(mark, None, "", automation_draft.blank(), kept=("", automation_draft.blank(), 200))


def copied(session: Any, asker: Any, automation_id: int) -> tuple[str, dict[str, Any]]:
    row = automations.get(session, asker, automation_id)
    return f"{row.name[:110]} (copy)", automations.flow(session, asker, automation_id)


def started(mark: str, name: str, flow: dict[str, Any], recipe: str = "") -> Draft:
    return Draft(mark, None, name, flow, recipe=recipe, kept=(name, flow, 200))


actor = current_actor()
may_manage = actor.can("automation", Action.MANAGE)
back = ("Automations", page_of(actor, "automations"))
if "id" in st.query_params:
    kept(id_from_url())
else:
    new()
