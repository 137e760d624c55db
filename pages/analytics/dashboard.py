"""One dashboard: for whoever answers the same questions again and again; seen with a period, changed in place by its owner."""

import streamlit as st

from crm_core.services.analytics import dashboards
from crm_core.services.analytics.dashboards import DashboardRow, TileRow
from crm_core.services.analytics.tile_rules import WIDTHS, rows
from crm_core.services.analytics.tiles import Look
from crm_core.vocabulary import ShownTo
from ui import format as fmt
from ui.actions import load, perform, submit_key
from ui.addresses import number
from ui.components.dashboard_bar import dashboard_bar
from ui.components.dashboard_dialogs import home_dialog, new_dashboard, notes_dialog, remove_dialog, settings_dialog, tile_dialog
from ui.components.dashboard_tile import draw, evaluated
from ui.components.filter_bar import forget_inline
from ui.components.header import empty_state, header
from ui.components.share_dialogs import report_dialog, share_dialog
from ui.navigation import go, page_of
from ui.session import current_actor

actor = current_actor()
row = load(dashboards.get, number("id") or 0)


def editing() -> bool:
    """Whether tiles are being moved about; kept in the address."""
    return row.may_edit and st.query_params.get("edit") == "1"


def set_editing(on: bool) -> None:
    if on:
        st.query_params["edit"] = "1"
    else:
        st.query_params.pop("edit", None)


def top(found: DashboardRow) -> None:
    """Name, who sees it, and what can be done with the dashboard."""
    who = found.role if found.shown_to is ShownTo.ROLE and found.role else found.shown_to.label
    caption = found.description or ("" if found.mine else f"by {found.owner}")
    actions = header(
        found.name,
        caption,
        badges=[(who, "gray" if found.shown_to is ShownTo.PRIVATE else "blue")],
        back=("Dashboards", page_of(actor, "dashboards")),
    )
    if editing():
        words = load(dashboards.last_change, found.id)
        if actions.button(
            "Undo",
            icon=":material/undo:",
            key="undo",
            disabled=not words,
            help=fmt.md(f"Take back: {words.lower()}") if words else None,
        ):
            perform(dashboards.undo, found.id, success="Undone.")
            st.rerun()
        if actions.button("Add a tile", icon=":material/add:", key="add_tile"):
            st.session_state["_tile"] = 0
        actions.button("Done", type="primary", icon=":material/check:", key="edit_done", on_click=set_editing, args=(False,))
        return
    if found.may_edit:
        actions.button("Edit", icon=":material/edit:", key="edit", on_click=set_editing, args=(True,))
    if dashboards.may_publish(actor) and actions.button("Share", icon=":material/share:", key="share"):
        st.session_state["_ask"] = "share"
    with actions.popover(icon=":material/more_vert:", **fmt.icon_only("More"), key=f"more_{st.session_state.get('_more_turn', 0)}"):
        entries = [
            ("Send by e-mail", "report", "schedule_send"),
            ("Notes on days", "notes", "edit_calendar"),
            ("Start pages", "home", "home"),
            ("Make a copy", "copy", "content_copy"),
        ]
        entries += [("Settings", "settings", "tune"), ("Remove", "remove", "delete")] if found.may_edit else []
        for words, what, icon in entries:
            st.button(
                words, key=f"ask_{what}", icon=f":material/{icon}:", width="stretch", type="tertiary", on_click=ask, args=(what,)
            )


def ask(what: str) -> None:
    """Remember which dialog is wanted, and close the menu: it would stay open above the dialog."""
    st.session_state["_ask"] = what
    st.session_state["_more_turn"] = st.session_state.get("_more_turn", 0) + 1


def dialogs(found: DashboardRow, stored: list[TileRow], look: Look) -> None:
    """Open the dialog that was asked for."""
    what = st.session_state.pop("_ask", None)
    chosen = st.session_state.pop("_tile", None)
    if chosen is not None:
        forget_inline()
        tile_dialog(found, next((tile for tile in stored if tile.id == chosen), None), look)
    elif what == "settings":
        settings_dialog(found)
    elif what == "home":
        home_dialog(found)
    elif what == "notes":
        notes_dialog(found, load(dashboards.notes, found.id))
    elif what == "share":
        share_dialog(found, look)
    elif what == "report":
        report_dialog(found, look)
    elif what == "remove":
        remove_dialog(found)
    elif what == "copy":
        made = perform(
            dashboards.duplicate,
            found.id,
            submit_key=submit_key(f"copy_{found.id}_{found.version}"),
            success="Copied. This copy is yours.",
        )
        if made is not None:
            go("dashboard", id=made)


def tools(found: DashboardRow, tile: TileRow) -> None:
    """Move, resize, change, copy, remove a tile."""
    widths = list(WIDTHS)
    at = widths.index(tile.width)
    with st.container(horizontal=True, vertical_alignment="center", gap=None, key=f"tools_{tile.id}"):
        if small("arrow_back", f"earlier_{tile.id}", "Move earlier"):
            act(dashboards.move_tile, found, tile, by=-1)
        if small("arrow_forward", f"later_{tile.id}", "Move later"):
            act(dashboards.move_tile, found, tile, by=1)
        if small("remove", f"narrower_{tile.id}", "Narrower", disabled=at == 0):
            act(dashboards.update_tile, found, tile, {"width": widths[at - 1]})
        if small("add", f"wider_{tile.id}", "Wider", disabled=at == len(widths) - 1):
            act(dashboards.update_tile, found, tile, {"width": widths[at + 1]})
        if small("edit", f"change_{tile.id}", "Change what it shows"):
            st.session_state["_tile"] = tile.id
        if small("content_copy", f"double_{tile.id}", "Put a copy beside it"):
            act(dashboards.duplicate_tile, found, tile)
        if small("delete", f"remove_{tile.id}", "Remove; Undo brings it back"):
            act(dashboards.remove_tile, found, tile)


def small(icon: str, key: str, words: str, *, disabled: bool = False) -> bool:
    """A button that is only an icon."""
    return st.button(icon=f":material/{icon}:", key=key, **fmt.icon_only(words), type="tertiary", disabled=disabled)


def act(command, found: DashboardRow, tile: TileRow, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
    """One change of the tiles, drawn at once."""
    perform(command, found.id, tile.id, *args, base_version=found.version, **kwargs)
    st.rerun()


def grid(found: DashboardRow, stored: list[TileRow], look: Look) -> None:
    """The tiles, row by row."""
    made = evaluated(stored, look)
    notes = load(dashboards.notes, found.id)
    for line in rows([tile.width for tile in stored]):
        spare = 12 - sum(place.width for place in line)
        columns = st.columns([*(place.width for place in line), *([spare] if spare else [])], gap="small")
        for place, column in zip(line, columns, strict=False):
            with column:
                if editing():
                    tools(found, stored[place.index])
                draw(actor, stored[place.index], made[place.index], look, notes)


def no_tiles(found: DashboardRow) -> None:
    """An empty dashboard: what to do."""
    if not found.may_edit:
        empty_state("Nothing on this dashboard yet", f"{found.owner} has not put anything on it.", icon="dashboard_customize")
        return
    box = empty_state("This dashboard is empty", "Add key figures, charts, reports or text.", icon="dashboard_customize")
    if box.button("Add a tile", type="primary", icon=":material/add:", key="first_tile"):
        st.session_state["_tile"] = 0
    if box.button("Begin with a proposal", icon=":material/add_chart:", key="from_start"):
        new_dashboard("sales")


top(row)
stored = load(dashboards.tiles, row.id)
look = dashboard_bar(actor, row.settings)
if stored:
    grid(row, stored, look)
else:
    no_tiles(row)
dialogs(row, stored, look)
if row.may_edit and not editing() and not row.mine:
    st.caption(fmt.md(f"By {row.owner}. You may change it, since your role manages analytics."))
