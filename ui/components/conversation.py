"""What was said on a ticket, as plain text: the customer left, we right, notes for colleagues dashed."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.models import TicketMessage
from crm_core.vocabulary import MessageDirection
from ui import format as fmt
from ui.actions import load

_HERE = Path(__file__).parent
_TALK = st.components.v2.component(
    "rapport_conversation",
    html='<div class="talk"></div>\n',
    css=(_HERE / "conversation.css").read_text(),
    js=(_HERE / "conversation.js").read_text(),
)
_SIDES = {MessageDirection.INBOUND: "in", MessageDirection.OUTBOUND: "out", MessageDirection.INTERNAL: "note"}
_AT_FIRST = 30


def conversation(actor: Actor, ticket_id: int, messages: Sequence[TicketMessage]) -> None:
    """Draw the newest messages, oldest of them first; a button brings the earlier ones."""
    everything = st.session_state.get("_talk_all") == ticket_id
    shown = messages if everything else messages[-_AT_FIRST:]
    if len(shown) < len(messages) and st.button(
        f"Show {fmt.plural(len(messages) - len(shown), 'earlier message')}", type="tertiary", key="talk_more"
    ):
        st.session_state["_talk_all"] = ticket_id
        st.rerun()
    if not messages:
        st.caption("Nothing said yet.")
        return
    people = load(lists.titles, "user", [message.author_id for message in shown])
    hidden = actor.masked("contact", "name")
    rows = [
        {
            "side": _SIDES[message.direction],
            "who": people.get(message.author_id or 0) or ("Customer" if hidden else message.author_name) or "Somebody",
            "when": fmt.ago(actor, message.at),
            "text": message.body,
        }
        for message in shown
    ]
    _TALK(key="conversation", data={"messages": rows})
