"""Who is invited to a meeting, what they answered, and inviting more."""

import streamlit as st

from crm_core import lists
from crm_core.services.collaboration import invitations
from crm_core.services.collaboration.invitations import GuestView
from crm_core.vocabulary import Action
from ui.actions import load, perform, show_problems
from ui.components.picker import picker
from ui.format import for_badge, icon_only, md
from ui.navigation import go
from ui.session import current_actor
from ui.tones import TONES


def guests_of(record_id: int, *, may_edit: bool) -> None:
    """The guests of a meeting; whoever may change it invites more and takes some off."""
    guests = load(invitations.of, record_id)
    if guests:
        st.markdown("**Guests**")
    for guest in guests:
        _row(guest, may_edit)
    if may_edit:
        with st.expander("Invite somebody", icon=":material/person_add:", key=f"guests_more_{record_id}"):
            _invite(record_id, len(guests))


def _row(guest: GuestView, may_edit: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"guest_{guest.id}"):
        name = guest.name or guest.email
        opens = ("contact", guest.contact_id) if guest.contact_id else ("lead", guest.lead_id)
        if opens[1] and current_actor().can(opens[0], Action.READ):
            if st.button(
                md(name), key=f"guest_open_{guest.id}", type="tertiary", icon=":material/open_in_new:", help=md(guest.email) or None
            ):
                go(opens[0], id=opens[1])
        else:
            st.markdown(md(name), width="content")
        st.badge(for_badge(guest.state.label), color=TONES[guest.state])  # type: ignore[arg-type]
        if may_edit and st.button(
            icon=":material/person_remove:",
            key=f"guest_off_{guest.id}",
            type="tertiary",
            **icon_only("Take them off: they get a cancellation"),
        ):
            perform(invitations.uninvite, guest.id, success="They are told.")
            st.rerun(scope="fragment")


def _invite(record_id: int, count: int) -> None:
    """A contact or an address. The key counts the guests, so that the form is empty again afterwards."""
    contact = None
    if current_actor().can("contact", Action.READ):
        contact = picker("Contact", lambda q: load(lists.choices, "contact", q, limit=8), key=f"guest_contact_{record_id}_{count}")
    address = st.text_input(
        "Or an e-mail address", key=f"guest_address_{record_id}_{count}", max_chars=254, placeholder="maria@example.com"
    )
    st.caption("They get an invitation for their calendar by e-mail, and hear of every change. Your notes stay here.")
    if st.button("Invite", key=f"guest_add_{record_id}", type="primary", disabled=not (contact or address)):
        chosen = {"contact_ids": [contact] if contact else [], "addresses": [address] if address else []}
        if perform(invitations.invite, record_id, **chosen, success="The invitation is on its way.") is not None:
            st.rerun(scope="fragment")
        show_problems()
