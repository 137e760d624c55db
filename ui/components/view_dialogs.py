"""The dialogs of saved views: save the list under a name; rename a view, share it, choose for whom it opens the list, delete it."""

from collections.abc import Mapping
from typing import Any

import streamlit as st
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor
from crm_core.services.collaboration import view_choices, views
from crm_core.services.collaboration.views import View
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.session import current_actor

ME, TEAMS, ALL = "Only me", "Teams", "Everyone"


@st.dialog("Save as a view", icon=":material/bookmark_add:")
def save_dialog(actor: Actor, entity_key: str, layout: Mapping[str, Any]) -> None:
    """A name for how the list looks, who sees it, whether the list opens with it."""
    name = st.text_input("Name", key="view_name", max_chars=80)
    shared, teams = _who(actor, False, (), "new")
    default = st.toggle("Open the list with this view", key="view_default")
    pinned = st.toggle("Pin it", key="view_pinned", help="It stands above the list and in the sidebar, one click away")
    st.caption("A view keeps list, board or groups, columns, order, filter, search and rows per page.")
    if st.button("Save", type="primary", key="view_save", shortcut="ctrl+enter"):
        given = {"name": name, "layout": layout, "shared": shared, "teams": teams, "is_default": default, "pinned": pinned}
        made = perform(_create, entity_key, given, success=fmt.md(f"View {name} saved."))
        if made is not None:
            st.query_params["view"] = str(made.id)
            st.rerun()
        show_problems()


def _create(session: Session, actor: Actor, entity_key: str, given: dict[str, Any]) -> View:
    pinned = given.pop("pinned")
    made = views.create(session, actor, entity_key, **given)
    if pinned:
        view_choices.pin(session, actor, made.id)
    return made


def _who(actor: Actor, shared: bool, teams: tuple[int, ...], tag: str) -> tuple[bool, list[int]]:
    """Who sees the view: whether everyone does, and which teams. Who may not share beyond their own team is offered that alone."""
    manages = actor.can("view", Action.MANAGE)
    known = load(lists.choices, "team", limit=500, include=teams) if manages or actor.team_id is not None else {}
    offered = known if manages else {one: name for one, name in known.items() if one == actor.team_id or one in teams}
    options = [ME] + ([TEAMS] if offered else []) + ([ALL] if manages or shared else [])
    if len(options) == 1:
        return shared, list(teams)
    names = {TEAMS: "Teams" if manages else "My team", ME: ME, ALL: ALL}
    before = ALL if shared else TEAMS if teams else ME
    chosen = st.segmented_control(
        "Who sees it", options, default=before, format_func=lambda one: names[one], required=True, key=f"view_who_{tag}"
    )
    if chosen != TEAMS:
        return chosen == ALL, []
    if not manages:
        return False, list(dict.fromkeys([*teams, *([actor.team_id] if actor.team_id is not None else [])]))
    usual = [one for one in teams or ([actor.team_id] if actor.team_id in offered else []) if one is not None]
    picked = st.multiselect("Teams", list(offered), default=usual, format_func=lambda one: offered[one], key=f"view_teams_{tag}")
    return False, picked


def edit_dialog(view: View) -> None:
    """Begin to change a view; whether it is really to go is asked anew."""
    st.session_state.pop(f"_view_sure_{view.id}", None)
    _edit(view)


@st.dialog("Change this view", icon=":material/bookmark:")
def _edit(view: View) -> None:
    actor = current_actor()
    if not view.mine:
        st.caption(fmt.md(f"This view belongs to {view.owner or 'somebody else'}."))
    name = st.text_input("Name", value=view.name, key=f"view_name_{view.id}", max_chars=80)
    shared, teams = _who(actor, view.shared, view.teams, str(view.id))
    words = "Open everybody’s list with it, unless they or their role chose another" if shared else "Open the list with this view"
    may = not shared or actor.can("view", Action.MANAGE)
    default = st.toggle(words, value=view.is_default, key=f"view_default_{view.id}") if may else view.is_default
    roles = _roles(actor, view, shared)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        _delete(view)
        if st.button("Save", type="primary", key="view_change", shortcut="ctrl+enter"):
            given = {
                "name": name,
                "shared": shared if shared != view.shared else None,
                "teams": teams,
                "is_default": default,
                "seen": view,
            }
            if perform(_change, view.id, given, roles, success="View saved.") is not None:
                st.rerun()
            show_problems()


def _roles(actor: Actor, view: View, shared: bool) -> list[int] | None:
    """The roles whose lists open with the view; None where the person may not choose that."""
    if not actor.can("view", Action.MANAGE):
        return None
    if not shared:
        return []
    names, before = load(view_choices.roles_of, view.id)
    return st.multiselect(
        "Opens the list for the roles", list(names), default=before, format_func=lambda one: names[one], key=f"view_roles_{view.id}",
        placeholder="No role of its own", help="A role has one such view per list. People who chose another keep theirs.",
    )  # fmt: skip


def _change(session: Session, actor: Actor, view_id: int, given: Mapping[str, Any], roles: list[int] | None) -> View:
    changed = views.update(session, actor, view_id, **given)
    if (
        roles is not None and changed.shared
    ):  # one that is no longer shared opens no role's list, and may be out of the manager's sight
        view_choices.set_roles(session, actor, view_id, roles)
    return changed


def _delete(view: View) -> None:
    sure = f"_view_sure_{view.id}"
    if not st.session_state.get(sure):
        st.button("Delete view", key="view_delete", type="tertiary", icon=":material/delete:", on_click=_sure, args=(sure,))
        return
    with st.container(width="content", gap="small"):
        if words := load(view_choices.uses, view.id).words:
            st.warning(fmt.md(words), icon=":material/group:")
        if st.button("Yes, delete it", key="view_delete_yes", icon=":material/delete:"):
            if perform(views.remove, view.id, success=fmt.md(f"View {view.name} deleted.")) is not None:
                st.query_params.pop("view", None)
                st.rerun()
            show_problems()


def _sure(name: str) -> None:
    st.session_state[name] = True
