"""Views that a person keeps at hand: a row of them above the list, all of them in the sidebar, and their order."""

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.services.collaboration import view_choices
from crm_core.services.collaboration.views import View
from ui import format as fmt
from ui.actions import perform
from ui.cache import cached
from ui.components.view_menu import TABLES, open_one, views_of
from ui.navigation import page_of


def my_pins() -> list[view_choices.Pinned]:
    """The pinned views of the person, of all lists."""
    return cached(view_choices.pins, entities=(), tables=TABLES, own=True)


def pinned_row(entity_key: str, opened: View | None, quick_key: str | None) -> None:
    """The pinned views of a list as buttons in one row, the open one marked; nothing without any."""
    mine = [one for one in my_pins() if one.entity == entity_key]
    if not mine:
        return
    known = {view.id: view for view in views_of(entity_key)}
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="pinned_views"):
        for one in mine:
            if one.view_id in known:
                here = opened is not None and opened.id == one.view_id
                st.button(
                    fmt.md(one.name[:40]), icon=":material/keep:", type="secondary" if here else "tertiary", key=f"pinned_{one.view_id}",
                    on_click=open_one, args=(known[one.view_id], quick_key),
                )  # fmt: skip
        if len(mine) > 1:
            with st.popover(
                icon=":material/swap_vert:",
                type="tertiary",
                **fmt.icon_only("Order of the pinned views"),
                key="pin_order",
            ):
                _order(mine)


def _order(mine: list[view_choices.Pinned]) -> None:
    for n, one in enumerate(mine):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            st.markdown(fmt.md(one.name[:40]), width="content")
            with st.container(horizontal=True, width="content", gap=None):
                st.button(icon=":material/arrow_upward:", type="tertiary", key=f"pin_up_{one.view_id}", **fmt.icon_only("Further to the front"), disabled=n == 0, on_click=_move, args=(one.view_id, True))  # fmt: skip
                st.button(icon=":material/arrow_downward:", type="tertiary", key=f"pin_down_{one.view_id}", **fmt.icon_only("Further back"), disabled=n == len(mine) - 1, on_click=_move, args=(one.view_id, False))  # fmt: skip
                st.button(
                    icon=":material/keep_off:",
                    type="tertiary",
                    key=f"pin_off_{one.view_id}",
                    **fmt.icon_only("Unpin"),
                    on_click=_off,
                    args=(one.view_id,),
                )


def _move(view_id: int, up: bool) -> None:
    perform(view_choices.move, view_id, up=up)


def _off(view_id: int) -> None:
    perform(view_choices.unpin, view_id, success="Unpinned.")


def pinned_links(actor: Actor, *, across: bool = False) -> None:
    """All pinned views as links, for the sidebar; ``across``: in one line, for the top of a page. Nothing without any."""
    shown = [(one, page) for one in my_pins() if (page := page_of(actor, entity(one.entity).address)) is not None]
    if not shown:
        return
    box = (
        st.container(horizontal=True, vertical_alignment="center", gap="small", key="pinned_today")
        if across
        else st.container(gap=None, key="pinned_links")
    )
    with box:
        st.caption("Pinned", width="content")
        for one, page in shown:
            icon = f":material/{entity(one.entity).icon}:"
            st.page_link(
                page,
                label=fmt.md(one.name[:40]),
                icon=icon,
                query_params={"view": str(one.view_id)},
                help=entity(one.entity).plural,
            )
