"""Dialogs of dashboards: a new one, its settings, a tile, notes on days, the start page."""

from datetime import date
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.kit import clock
from crm_core.services.analytics import dashboard_starts, dashboards, home_pages
from crm_core.services.analytics.dashboards import DashboardRow, Note, TileRow
from crm_core.services.analytics.tiles import Look
from crm_core.vocabulary import Action, Against, PeriodPreset, ShownTo
from ui import format as fmt
from ui.actions import load, perform, renew, show_problems, submit_key
from ui.components.day_input import day_input
from ui.components.filter_bar import forget_inline
from ui.components.tile_form import tile_form
from ui.navigation import go
from ui.session import current_actor

_EMPTY = ""


@st.dialog("New dashboard", icon=":material/add_chart:")
def new_dashboard(start: str = "") -> None:
    """Name it, begin empty or with a proposal, say who finds it."""
    actor = current_actor()
    starts = {_EMPTY: "Empty"} | dashboard_starts.offered(actor)
    name = st.text_input("Name", max_chars=80, key="new_board_name", placeholder="What it is about")
    begin = st.selectbox(
        "Begin with",
        list(starts),
        index=list(starts).index(start) if start in starts else 0,
        format_func=lambda key: starts[key],
        key="new_board_start",
    )
    if begin:
        st.caption(fmt.md(dashboard_starts.STARTS[begin][1]))
    shown_to, role_id = _who(actor, None, "new_board")
    if st.button("Create", type="primary", key="new_board_create"):
        made = perform(
            dashboards.create,
            name=name or (starts[begin] if begin else ""),
            description=dashboard_starts.STARTS[begin][1] if begin else "",
            shown_to=shown_to,
            role_id=role_id,
            tiles=dashboard_starts.tiles_for(actor, begin) if begin else (),
            submit_key=submit_key("new_board"),
        )
        if made is None:
            show_problems()
            return
        renew("new_board")
        go("dashboard", id=made, **({} if begin else {"edit": 1}))


def _who(actor: Actor, row: DashboardRow | None, name: str) -> tuple[ShownTo, int | None]:
    """Who finds the dashboard in their list."""
    if not dashboards.may_publish(actor):
        return (row.shown_to, row.role_id) if row else (ShownTo.PRIVATE, None)
    options = ShownTo.options()
    picked = st.segmented_control(
        "Shown to", list(options), default=row.shown_to.value if row else ShownTo.PRIVATE.value, required=True,
        format_func=lambda key: options[key], key=f"{name}_who", help="Everybody sees it with their own rights: figures differ from person to person",
    )  # fmt: skip
    shown_to = ShownTo(picked or ShownTo.PRIVATE.value)
    if shown_to is not ShownTo.ROLE:
        return shown_to, None
    roles = load(home_pages.roles)
    at = list(roles).index(row.role_id) if row and row.role_id in roles else 0
    return shown_to, st.selectbox("Role", list(roles), index=at, format_func=lambda key: roles[key], key=f"{name}_role")


@st.dialog("Dashboard", icon=":material/tune:")
def settings_dialog(row: DashboardRow) -> None:
    """Name, words, who finds it, the period it opens with, for whom it is the start page."""
    actor = current_actor()
    name = st.text_input("Name", row.name, max_chars=80, key="board_name")
    words = st.text_input("What it answers", row.description, max_chars=300, key="board_words")
    shown_to, role_id = _who(actor, row, "board")
    left, right = st.columns(2)
    presets = {key: label for key, label in PeriodPreset.options().items() if key != PeriodPreset.CUSTOM}
    at = list(presets).index(row.settings["period"]) if row.settings.get("period") in presets else 2
    period = left.selectbox(
        "Opens with the period", list(presets), index=at, format_func=lambda key: presets[key], key="board_period"
    )
    against = Against.options()
    at = list(against).index(row.settings["against"]) if row.settings.get("against") in against else 0
    compared = right.selectbox("Compared with", list(against), index=at, format_func=lambda key: against[key], key="board_against")
    if st.button("Save", type="primary", key="board_save"):
        done = perform(
            dashboards.update, row.id, name=name, description=words, shown_to=shown_to, role_id=role_id,
            settings={"period": period, "against": compared}, base_version=row.version, success="Saved.",
        )  # fmt: skip
        if done is None:
            show_problems()
            return
        st.rerun()


@st.dialog("Start pages", icon=":material/home:")
def home_dialog(row: DashboardRow) -> None:
    """Make the dashboard one's own start page, or that of a role."""
    actor = current_actor()
    mine = load(home_pages.own) == str(row.id)
    wanted = st.toggle("Open this dashboard when I sign in", mine, key="home_mine")
    chosen: list[int] = []
    may = actor.can("user", Action.MANAGE) and dashboards.may_publish(actor) and row.shown_to is not ShownTo.PRIVATE
    given = load(home_pages.of_roles)
    if may:
        roles = load(home_pages.roles)
        fitting = {key: name for key, name in roles.items() if row.shown_to is ShownTo.SHARED or key == row.role_id}
        chosen = st.multiselect("Start page of these roles", list(fitting), default=[key for key in fitting if given.get(key) == row.id], format_func=lambda key: fitting[key], key="home_roles", help="Whoever chose a start page of their own keeps it")  # fmt: skip
    elif dashboards.may_publish(actor) and row.shown_to is ShownTo.PRIVATE:
        st.caption("Only you see this dashboard. Show it to a role or to everyone to make it the start page of others.")
    if st.button("Save", type="primary", key="home_save"):
        done = True if wanted == mine else perform(home_pages.choose, dashboard_id=row.id if wanted else None)
        for role_id in fitting if may else ():
            if (role_id in chosen) != (given.get(role_id) == row.id):
                done = perform(home_pages.set_for_role, role_id, row.id if role_id in chosen else None) and done
        if done is None:
            show_problems()
            return
        st.rerun()


@st.dialog("Tile", width="large", icon=":material/widgets:")
def tile_dialog(row: DashboardRow, tile: TileRow | None, look: Look) -> None:
    """Choose what a tile shows, with a preview."""
    actor = current_actor()
    made = tile_form(actor, tile, look)
    if st.button("Add the tile" if tile is None else "Save", type="primary", key="tile_save", disabled=made is None):
        if save_tile(row, tile, made or {}):
            st.rerun()
        show_problems()


def save_tile(row: DashboardRow, tile: TileRow | None, made: dict[str, Any]) -> bool:
    """Store a tile of the form; False with a message when it could not be."""
    if tile is None:
        done = perform(dashboards.add_tile, row.id, made, submit_key=submit_key(f"tile_of_{row.id}"))
    else:
        done = perform(dashboards.update_tile, row.id, tile.id, made, base_version=row.version)
    if done is None:
        return False
    renew(f"tile_of_{row.id}")
    forget_inline()
    return True


@st.dialog("Notes on days", icon=":material/edit_calendar:")
def notes_dialog(row: DashboardRow, notes: list[Note]) -> None:
    """What happened on a day, written on every chart over time."""
    actor = current_actor()
    if row.may_edit:
        left, right = st.columns([1, 2])
        day = day_input("Day", clock.today(actor.timezone), key="note_day", place=left)
        text = right.text_input("What happened", max_chars=200, key="note_text", placeholder="Prices raised")
        if st.button("Add the note", type="primary", key="note_add") and isinstance(day, date):
            if perform(dashboards.add_note, row.id, day=day, text=text or "") is not None:
                st.rerun()
            show_problems()
    for note in notes:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{fmt.md(fmt.day(actor, note.day))}** {fmt.md(note.text)}", width="stretch")
            if row.may_edit and st.button(
                icon=":material/close:",
                type="tertiary",
                key=f"note_{note.id}",
                **fmt.icon_only("Remove this note"),
            ):
                perform(dashboards.remove_note, row.id, note.id)
                st.rerun()
    if not notes:
        st.caption("No notes yet." if row.may_edit else "Nobody wrote a note on this dashboard.")


@st.dialog("Remove the dashboard?", icon=":material/delete:")
def remove_dialog(row: DashboardRow) -> None:
    """Ask before a dashboard goes, with what goes with it."""
    st.markdown(
        f"**{fmt.md(row.name)}** disappears for everybody who sees it. Links to it stop working, and reports of it are no longer sent."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep it", key="board_keep"):
            st.rerun()
        if (
            st.button("Remove", type="primary", key="board_remove")
            and perform(dashboards.archive, row.id, success="Dashboard removed.") is not None
        ):
            go("dashboards")
    show_problems()
