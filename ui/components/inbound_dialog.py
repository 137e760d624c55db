"""Entering what came in by a channel that no machine reads: who, by which way, what; in seconds."""

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.services.inbox import by_hand
from crm_core.services.inbox.by_hand import LEAD, TICKET, TIMELINE
from crm_core.vocabulary import Action, InboundChannel
from ui.actions import load, perform, renew, show_refusal, submit_key
from ui.components.picker import picker
from ui.navigation import go, page_of
from ui.session import current_actor

_WORDS = {TICKET: "A ticket", LEAD: "A lead", TIMELINE: "An entry on the timeline"}
_DONE = {"ticket": "Ticket opened.", "lead": "Lead entered.", "contact": "Put onto the timeline."}


@st.dialog("Log inbound", width="medium", icon=":material/add:")
def inbound_dialog() -> None:
    """The form."""
    actor = current_actor()
    turn = st.session_state.get("_turn_inbound", 0)
    channel = st.pills(
        "Channel", list(by_hand.CHANNELS), default=InboundChannel.PHONE, required=True, format_func=lambda one: one.label, key=f"in_channel_{turn}",
        label_visibility="collapsed",
    )  # fmt: skip
    text = st.text_area(
        "What do they want? *", key=f"in_text_{turn}", height=110, max_chars=by_hand.MAX_TEXT, persist_state="session"
    )
    may = by_hand.becomes(actor)
    into = st.segmented_control(
        "It becomes", list(may), default=may[0], required=True, format_func=lambda one: _WORDS[one], key=f"in_into_{turn}"
    )  # fmt: skip
    contact_id, name, reach = _who(actor, into, turn)
    take = into != TIMELINE and _taken(into, turn)
    waits = into == TICKET or st.checkbox("Waits for an answer", value=True, key=f"in_waits_{turn}")
    if st.button("Save", type="primary", key="in_save", shortcut="ctrl+enter"):
        made = perform(
            by_hand.log, channel=channel, text=text or "", into=into, contact_id=contact_id, name=name, reach=reach, waits=waits, take=take,
            submit_key=submit_key("inbound"),
        )  # fmt: skip
        if made is not None:
            renew("inbound")
            st.session_state["_turn_inbound"] = turn + 1
            st.session_state.setdefault("_toasts", []).append(("ok", _DONE[made.entity]))
            seen = load(lists.titles, made.entity, [made.record_id])
            if page_of(actor, made.entity) is not None and into != TIMELINE and seen:
                go(made.entity, id=made.record_id)
            st.rerun()
    show_refusal()


def _taken(into: str, turn: int) -> bool:
    """Whether whoever writes takes the ticket or lead, or the rules give it to somebody. A lead without rules is its writer's: nobody else would see it."""
    ruled = load(by_hand.ruled, into)
    if into == LEAD and not ruled:
        return True
    others = "By the rules" if ruled else "Nobody yet"
    chosen = st.segmented_control(
        "Who takes it", [others, "Me"], default=others if ruled else "Me", required=True, key=f"in_take_{into}_{turn}_{ruled}",
        help=f"The assignment rules choose as for any {into} that comes in" if ruled else "There are no active assignment rules for tickets",
    )  # fmt: skip
    return chosen == "Me"


def _who(actor: Actor, into: str, turn: int) -> tuple[int | None, str, str]:
    """Somebody of the list, or a name with an address or a number."""
    chosen = None
    if into != LEAD and actor.can("contact", Action.READ):
        chosen = picker(
            "Who?", lambda q: load(lists.choices, "contact", q, limit=20), key=f"in_who_{turn}", placeholder="Type a name"
        )
    if chosen is not None:
        return chosen, "", ""
    if into != LEAD and not actor.can("contact", Action.CREATE):
        return None, "", ""
    left, right = st.columns(2)
    label = "Name *" if into == LEAD else "Or a new person"
    name = left.text_input(label, key=f"in_name_{turn}", max_chars=300)
    reach = right.text_input("E-mail or phone", key=f"in_reach_{turn}", max_chars=254)
    return None, name or "", reach or ""
