"""Booking pages: for everybody who meets people, to let them choose a free time themselves; for managers, to offer the time of a team in turn."""

import streamlit as st

from crm_core.services.booking import pages
from crm_core.services.booking.pages import PageRow
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform
from ui.addresses import absolute
from ui.components.booking_dialogs import bookings_dialog, page_dialog
from ui.components.header import empty_state, header
from ui.navigation import page_of
from ui.session import current_actor


def card(row: PageRow) -> None:
    """One page: what it offers, its address, what came of it."""
    page = row.page
    with st.container(border=True, key=f"booking_{page.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(width="content", gap=None):
                st.markdown(f"**{fmt.md(page.name)}**" + ("" if page.is_active else " :gray-badge[Switched off]"))
                people = ", ".join(row.people) or "Nobody who is active"
                st.caption(f"{page.minutes} minutes · {fmt.md(people)}")
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
                st.link_button(
                    "Preview", absolute(f"/book/{page.slug}"), icon=":material/open_in_new:", disabled=not page.is_active
                )
                if st.button("Bookings", icon=":material/list:", key=f"list_{page.id}", type="tertiary"):
                    bookings_dialog(page.id, page.name)
                if row.may_edit:
                    buttons(row)
        if page.is_active:
            st.code(absolute(f"/book/{page.slug}"), language=None, wrap_lines=True)
        with st.grid(3, min_column_width=120):
            st.metric("Booked in 30 days", fmt.written(row.lately))
            st.metric("Meetings to come", fmt.written(row.coming))
            missed = f"{row.missed / row.said:.0%}" if row.said else "–"
            st.metric(
                "Did not come",
                missed,
                help=f"{fmt.written(row.missed)} of the {fmt.written(row.said)} visitors of whom somebody said whether they came",
            )
        if page.is_active:
            free = (
                fmt.instant(actor, row.next_free)
                if row.next_free
                else "none. Look at the hours, the notice and how far ahead is offered"
            )
            st.caption(f"Next free time: {fmt.md(free)}")


def buttons(row: PageRow) -> None:
    """Change, switch, remove."""
    page = row.page
    if st.button("Change", icon=":material/edit:", key=f"change_{page.id}", type="tertiary"):
        page_dialog(page)
    with st.popover(icon=":material/delete:", key=f"remove_{page.id}", type="tertiary", **fmt.icon_only("Remove this page")):
        st.markdown("Its address stops working. Meetings that were booked stay, and their visitors can still call them off.")
        st.button("Remove", type="primary", key=f"remove_yes_{page.id}", on_click=drop, args=(page.id,))


def drop(page_id: int) -> None:
    perform(pages.remove, page_id, success="Page removed.")


actor = current_actor()
may_make = actor.can("booking", Action.MANAGE)
actions = header(
    "Booking pages",
    "Give out an address, and people choose a time at which you are free. The meeting stands in the calendar at once.",
)
if (back := page_of(actor, "calendar")) is not None:
    actions.page_link(back, label="Calendar", icon=":material/calendar_month:")
if may_make and actions.button("New page", type="primary", icon=":material/add:", key="new_page", shortcut="n"):
    page_dialog(None)

rows = load(pages.find)
if not rows:
    box = empty_state(
        "No booking pages yet",
        "Make one, put its link into your signature or on your site, and nobody has to ask any more when you have time.",
        icon="event_available",
    )
    if may_make and box.button("Make a page", type="primary", icon=":material/add:", key="first_page"):
        page_dialog(None)
for row in rows:
    card(row)
