"""Whether somebody came to a booked meeting: said on the meeting, on the list of bookings, and shown on the person."""

import streamlit as st

from crm_core.access import Actor
from crm_core.services.booking import showing
from crm_core.services.booking.showing import Shown
from crm_core.vocabulary import Action, BookingState
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.session import current_actor
from ui.tones import TONES

_ICONS = {BookingState.ATTENDED: "how_to_reg", BookingState.NO_SHOW: "event_busy"}


def came_bar(found: Shown | None) -> None:
    """On a meeting that somebody booked: did they come? Nothing for any other meeting."""
    if found is None or not (found.may_mark or found.state in showing.SAID):
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"came_{found.id}"):
        if found.open:
            st.markdown(f"Did {fmt.md(found.name)} come?", width="content")
            came_buttons(found)
        else:
            st.badge(fmt.for_badge(found.state.label), color=TONES[found.state])  # type: ignore[arg-type]
            after(found)
    show_problems()


def came_buttons(found: Shown) -> None:
    """They came, or they did not."""
    for state, words in ((BookingState.ATTENDED, "Came"), (BookingState.NO_SHOW, "Did not come")):
        st.button(
            words, icon=f":material/{_ICONS[state]}:", key=f"came_{state.value}_{found.id}", on_click=_mark, args=(found.id, state)
        )


def after(found: Shown) -> None:
    """What can be done once it is said: take it back, or ask somebody who did not come for another time."""
    if found.may_ask_again:
        st.button(
            "Send a link for another time", icon=":material/forward_to_inbox:", key=f"again_{found.id}", on_click=_again, args=(found.id,),
            help="They get an e-mail with the booking page, once",
        )  # fmt: skip
    elif found.again is not None:
        st.caption(f"Link for another time sent {fmt.ago(current_actor(), found.again)}", width="content")
    if found.may_mark and found.state in showing.SAID:
        st.button(
            icon=":material/undo:",
            key=f"came_undo_{found.id}",
            type="tertiary",
            **fmt.icon_only("Take it back"),
            on_click=_mark,
            args=(found.id, BookingState.BOOKED),
        )


def _mark(booking_id: int, state: BookingState) -> None:
    words = {BookingState.ATTENDED: "Noted: they came.", BookingState.NO_SHOW: "Noted: they did not come."}.get(
        state, "Taken back."
    )
    perform(showing.mark, booking_id, state.value, success=words)


def _again(booking_id: int) -> None:
    perform(showing.ask_again, booking_id, success="The link is on its way.")


def booked_card(actor: Actor, entity_key: str, record_id: int) -> None:
    """On a contact or lead: the meetings that they booked, and how often they did not come. Nothing when they booked none."""
    if not actor.can("activity", Action.READ):
        return
    rows = load(showing.of_person, entity_key, record_id)
    if not rows:
        return
    missed = sum(row.state is BookingState.NO_SHOW for row in rows)
    with st.container(border=True, gap="small", key="booked_card"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown("**Booked meetings**", width="content")
            if missed:
                st.badge(fmt.plural(missed, "no-show"), color="red")
        for row in rows:
            _line(actor, row)


def _line(actor: Actor, row: Shown) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"booked_{row.id}"):
        st.badge(fmt.for_badge(row.state.label), color=TONES[row.state])  # type: ignore[arg-type]
        st.caption(fmt.md(f"{row.page or 'Meeting'} · {fmt.instant(actor, row.at)}"), width="content")
        if row.open and row.may_mark:
            came_buttons(row)
        else:
            after(row)
