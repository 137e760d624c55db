"""The menu of a list: saved views, which columns, how many rows. What is chosen stands in the address, so a view is a link."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.fields import FieldSpec, registry
from crm_core.services.collaboration import view_choices, views
from crm_core.services.collaboration.views import LIST, SIZES, View
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.addresses import number
from ui.cache import cached
from ui.components.bin_views import bin_link
from ui.components.bulk_bar import may_bulk, undo_menu
from ui.components.filter_bar import PARAM, set_filter
from ui.components.view_dialogs import edit_dialog, save_dialog
from ui.session import current_actor

_SHAPING = (PARAM, "q", "sort", "cols", "size", "view", "page", "show", "group")
TABLES = ("saved_view", "view_team", "view_pin", "view_default", "user_role")
_SEEN = "_view_seen"


@dataclass(frozen=True)
class Shape:
    """What a list shows at the moment, as a view would keep it."""

    filter: Mapping[str, Any] | None
    q: str
    sort: tuple[str, bool] | None
    columns: tuple[str, ...]
    size: int
    show: str = LIST
    by: str = ""
    pipeline: int | None = None

    def layout(self) -> dict[str, Any]:
        """The layout to store."""
        sort = list(self.sort) if self.sort else None
        how = {"show": self.show, "by": self.by, "pipeline": self.pipeline}
        return {"filter": self.filter, "q": self.q, "sort": sort, "columns": list(self.columns), "size": self.size, **how}


def open_view(entity_key: str, quick_key: str | None) -> View | None:
    """The view in the address, opened when it was not yet; the default one when the person comes to the list without an address of their own.

    Must run before the widgets of the list are made, since it fills them.
    """
    arrived = st.session_state.pop("_arrived", False)
    if not st.query_params.get("view"):
        shaped = any(name in st.query_params for name in _SHAPING) or any(name.startswith("by_") for name in st.query_params)
        default = load(views.default_of, entity_key) if arrived and not shaped else None
        if default is not None:
            _apply(default, quick_key)
        return default
    found = load(_found, entity_key, number("view") or 0)
    if found is None:
        was_open = st.session_state.get("_view_applied") == number("view")
        del st.query_params["view"]
        st.warning(
            "The view that was open here was deleted, or is no longer shared with you. The list stays as it is; save it as a view of your own to keep it."
            if was_open
            else "The view in the address does not exist, or is not shared with you.",
            icon=":material/bookmark_remove:",
        )
    elif _bare() and (arrived or found.layout.get("columns") or st.session_state.get("_view_applied") != found.id):
        _apply(found, quick_key)
    st.session_state["_view_applied"] = found.id if found else None
    if found is None:
        st.session_state.pop(_SEEN, None)
    return found


def _bare() -> bool:
    """Whether the address names the view alone: a link was followed, perhaps on the page of the list itself. What an open view shows stands in the
    address beside it."""
    return not any(name in st.query_params for name in _SHAPING if name not in ("view", "page"))


def _found(session: Session, actor: Actor, entity_key: str, view_id: int) -> View | None:
    return next((view for view in views.find(session, actor, entity_key) if view.id == view_id), None)


def _apply(view: View, quick_key: str | None) -> None:
    layout = load(views.usable, view)
    if view.layout.get("filter") and not layout.get("filter"):
        st.warning(
            "The filter of this view asks for something that your role does not see, or that is gone. All records are shown.",
            icon=":material/filter_alt_off:",
        )
    set_filter(layout.get("filter"))
    st.session_state["q"] = layout.get("q", "")
    if quick_key is not None:
        st.session_state[quick_key] = []
    sort = layout.get("sort")
    set_param("sort", f"{'-' if sort[1] else ''}{sort[0]}" if sort else "")
    set_param("cols", ",".join(layout.get("columns") or ()))
    set_param("size", str(layout.get("size") or ""))
    set_param("show", layout.get("show") or "")
    set_param("group", layout.get("by") or "")
    if layout.get("pipeline"):
        st.session_state["pipeline"] = layout["pipeline"]
    elif layout.get("show"):
        st.session_state.pop("pipeline", None)
        set_param("pipeline", "")
    st.query_params["view"] = str(view.id)
    st.session_state["_view_applied"] = view.id
    st.session_state[_SEEN] = view


def set_param(name: str, value: str) -> None:
    """Put a word into the address, or take it out when it is empty."""
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


def columns_of(entity_key: str, specs: Mapping[str, FieldSpec], second: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The columns in the address, or the usual ones with ``second`` right after the first."""
    chosen = tuple(key for key in dict.fromkeys(st.query_params.get("cols", "").split(",")) if key in specs)
    usual = entity(entity_key).columns
    return chosen or tuple(key for key in dict.fromkeys((*usual[:1], *second, *usual[1:])) if key in specs)


def size_of() -> int:
    """The number of rows per page in the address, or the usual one."""
    asked = number("size")
    return asked if asked in SIZES else 50


def view_menu(entity_key: str, opened: View | None, shape: Shape, quick_key: str | None) -> None:
    """The button with everything about how the list looks."""
    actor = current_actor()
    turn = st.session_state.get("_view_turn", 0)  # a new one closes the menu: it would stay open above the dialog
    with st.popover(fmt.md(opened.name[:30]) if opened else "View", icon=":material/bookmarks:", key=f"view_menu_{turn}"):
        _views(views_of(entity_key), opened, quick_key)
        if opened is not None:
            _opened(opened, shape, quick_key)
        st.button("Save as a view", key="view_new", icon=":material/bookmark_add:", width="stretch", on_click=_ask, args=("save",))
        st.button("Columns", key="view_columns", icon=":material/view_column:", width="stretch", on_click=_ask, args=("columns",))
        size = st.segmented_control("Rows per page", SIZES, default=shape.size, required=True, key=f"rows_{shape.size}")
        if size is not None and size != shape.size:
            set_param("size", str(size))
            st.session_state["page"] = 1
            st.rerun()
        if may_bulk(actor, entity_key):
            undo_menu(entity_key)
        bin_link(actor, entity_key)
    asked = st.session_state.pop("_view_dialog", "")
    if asked == "save":
        save_dialog(actor, entity_key, shape.layout())
    elif asked == "columns":
        _columns_dialog(entity_key, shape, opened)
    elif asked == "edit" and opened is not None:
        edit_dialog(opened)


def views_of(entity_key: str) -> list[View]:
    """The views of this list that the person has."""
    return cached(views.find, entity_key, entities=(), tables=TABLES, own=True)


def _seen(view: View) -> View:
    """The view as it was when it was opened: drawing the list again reads what others made of it since, which the list does not show."""
    kept: View | None = st.session_state.get(_SEEN)
    if kept is None or kept.id != view.id:
        kept = st.session_state[_SEEN] = view
    return kept


def _opened(view: View, shape: Shape, quick_key: str | None) -> None:
    """What can be done with the view that is open."""
    seen = _seen(view)
    with st.container(horizontal=True, gap="small"):
        if view.may_edit and st.button("Update", key="view_update", help="Keep the list as it looks now under this name"):
            layout = shape.layout()
            if perform(views.update, view.id, layout=layout, seen=seen, success=fmt.md(f"View {view.name} updated.")) is not None:
                st.session_state.pop(_SEEN, None)
            st.rerun()
        if view.may_edit:
            st.button("Change", key="view_edit", help="Rename, share, make it the default, delete", on_click=_ask, args=("edit",))
        words = "Unpin" if view.pinned else "Pin"
        help_ = (
            "Take it from the top of the list and from the sidebar" if view.pinned else "Keep it above the list and in the sidebar"
        )
        st.button(words, icon=":material/keep:", key="view_pin", help=help_, on_click=_pin, args=(view,))
        st.button(
            "Copy", key="view_copy", help="A view of your own that looks like this one", on_click=_copy, args=(view, quick_key)
        )
    if (not view.mine or view.shared) and (
        view.chosen or not view.opens
    ):  # what opens for everyone, or for a role, was not one's own choice
        words = "My list no longer opens with it" if view.opens else "Open my list with it"
        st.button(words, key="view_choose", type="tertiary", icon=":material/start:", on_click=_choose, args=(view,))


def _pin(view: View) -> None:
    verb, done = (view_choices.unpin, "unpinned") if view.pinned else (view_choices.pin, "pinned")
    perform(verb, view.id, success=fmt.md(f"View {view.name} {done}."))


def _copy(view: View, quick_key: str | None) -> None:
    made = perform(views.copy, view.id, success=fmt.md(f"View {view.name} copied: it is yours to change."))
    if made is not None:
        open_one(made, quick_key)


def _choose(view: View) -> None:
    words = "Your list opens as before." if view.opens else f"Your list opens with {view.name} from now on."
    perform(view_choices.choose, view.id, on=not view.opens, success=fmt.md(words))


def _views(found: Sequence[View], opened: View | None, quick_key: str | None) -> None:
    for view in found:
        shared = ("shared", view.shared or bool(view.teams))
        marks = [word for word, on in (("default", view.opens), shared, ("pinned", view.pinned)) if on]
        note = f"  :gray[{', '.join(marks)}]" if marks else ""
        icon = ":material/check:" if opened is not None and view.id == opened.id else ":material/bookmark:"
        st.button(
            f"{fmt.md(view.name)}{note}",
            key=f"view_{view.id}",
            icon=icon,
            type="tertiary",
            on_click=open_one,
            args=(view, quick_key),
        )
    if not found:
        st.caption("No saved view yet. Filter and sort the list, choose its columns, and save that under a name.")
    if opened is not None:
        st.button("Leave this view", key="view_none", icon=":material/close:", type="tertiary", on_click=_leave, args=(quick_key,))


def _ask(dialog: str) -> None:
    st.session_state["_view_dialog"] = dialog
    _close()


def _close() -> None:
    st.session_state["_view_turn"] = st.session_state.get("_view_turn", 0) + 1


def open_one(view: View, quick_key: str | None) -> None:
    """Let the list look like this view (of a callback)."""
    _apply(view, quick_key)
    _close()


def _leave(quick_key: str | None) -> None:
    for name in ("view", "sort", "cols", "size", "show", "group", PARAM):
        st.query_params.pop(name, None)
    st.session_state["q"] = ""
    if quick_key is not None:
        st.session_state[quick_key] = []
    st.session_state["page"] = 1
    _close()


@st.dialog("Columns", icon=":material/view_column:")
def _columns_dialog(entity_key: str, shape: Shape, opened: View | None) -> None:
    specs = load(lambda session, _actor: registry(session, entity_key))
    chosen = st.multiselect(
        "Columns, in their order",
        list(specs),
        default=list(shape.columns),
        format_func=lambda key: specs[key].label,
        key="columns_chosen",
    )
    st.caption("To move a column to the end, take it out and choose it again.")
    mine = opened is not None and opened.may_edit
    keep = st.toggle(
        fmt.md(f"Keep them in the view {opened.name}") if mine and opened else "Open the list like this from now on",
        key="columns_keep",
    )
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        if st.button("Usual columns", type="tertiary", key="columns_usual"):
            set_param("cols", "")
            st.rerun()
        if st.button("Show", type="primary", key="columns_yes", disabled=not chosen):
            set_param("cols", ",".join(chosen))
            if not keep or _kept(entity_key, shape, chosen, opened if mine else None):
                st.rerun()
            show_problems()


def _kept(entity_key: str, shape: Shape, columns: list[str], own: View | None) -> bool:
    """Remember the columns: in the opened view, or in a view of one's own with which the list opens. What is filtered or searched for in passing stays out."""
    if own is not None:
        layout = {**own.layout, "columns": columns}
        return perform(views.update, own.id, layout=layout, success=fmt.md(f"View {own.name} updated.")) is not None
    layout = {**shape.layout(), "columns": columns, "filter": None, "q": ""}
    made = perform(views.keep, entity_key, layout=layout, success=f"The list opens like this from now on: {views.OWN_NAME}.")
    if made is None:
        return False
    st.query_params["view"] = str(made.id)
    return True
