"""What was said on a ticket, as plain text: the customer left, we right, notes for colleagues dashed. Mail shows how far it is and what came along."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.models import TicketMessage
from crm_core.services.helpdesk import answers
from crm_core.services.helpdesk.answers import Delivery
from crm_core.vocabulary import Action, MessageDirection
from ui import format as fmt
from ui.actions import load, perform
from ui.components.mail_frame import mail_frame

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
    sent, files = _mailed(ticket_id, shown)
    rows = [_row(actor, message, people, sent.get(message.id), files.get(message.id, [])) for message in shown]
    asked = _TALK(key="conversation", data={"messages": rows}, on_asked_change=_nothing).asked
    if asked:
        _answer(actor, ticket_id, {message.id for message in shown}, asked)


def _mailed(ticket_id: int, shown: Sequence[TicketMessage]) -> tuple[Mapping[int, Delivery], Mapping[int, list[str]]]:
    if not any(message.mail for message in shown):
        return {}, {}
    return load(answers.deliveries, ticket_id, shown), load(answers.names_of, ticket_id, shown)


def _row(
    actor: Actor, message: TicketMessage, people: Mapping[int, str], sent: Delivery | None, files: Sequence[str]
) -> dict[str, Any]:
    hidden = actor.masked("contact", "name")
    mail = message.mail or {}
    lost = [f"{name} (left out: too large)" for name in mail.get("lost", ())]
    said_of = "by mail, " if sent is not None else ""
    return {
        "id": message.id,
        "side": _SIDES[message.direction],
        "who": people.get(message.author_id or 0) or ("Customer" if hidden else message.author_name) or "Somebody",
        "when": fmt.ago(actor, message.at),
        "to": _readers(actor, message),
        "text": message.body,
        "quoted": (message.quoted or "") if message.direction is not MessageDirection.OUTBOUND else "",
        "files": [*files, *lost],
        "formatted": bool(message.html),
        "auto": bool(mail.get("auto")),
        "state": f"{said_of}{sent.words}{': ' + sent.problem if sent.problem else ''}"
        if sent
        else "acknowledged"
        if mail.get("acknowledged")
        else "",
        "good": sent.good if sent else True,
        "again": bool(sent and sent.words == "not sent" and actor.can("ticket", Action.EDIT)),
    }


def _readers(actor: Actor, message: TicketMessage) -> str:
    """Who an answer went to, and whom a customer copied."""
    mail = message.mail or {}
    if actor.masked("contact", "email"):
        return ""
    copied = ", ".join(mail.get("cc", ()))
    if message.direction is MessageDirection.OUTBOUND:
        to = ", ".join(mail.get("to", ()))
        return f"To {to}" + (f", copy to {copied}" if copied else "") if to else ""
    return f"{mail['from']}" + (f", copy to {copied}" if copied else "") if mail.get("from") and not mail.get("auto") else ""


def _answer(actor: Actor, ticket_id: int, known: set[int], asked: Mapping[str, Any]) -> None:
    message_id = int(asked.get("id") or 0)
    if message_id not in known:
        return
    if asked.get("what") == "html":
        as_it_came(ticket_id, message_id)
    elif asked.get("what") == "retry" and actor.can("ticket", Action.EDIT):
        perform(answers.retry, ticket_id, message_id, success="It is on its way again.")
        st.rerun()


@st.dialog("As it came", width="large")
def as_it_came(ticket_id: int, message_id: int) -> None:
    """The formatted message, cleaned, in a frame that runs and loads nothing."""
    frame(load(answers.html_of, ticket_id, message_id), key=f"frame_{message_id}")
    st.caption("Pictures on other servers are not loaded: they would tell the sender that and where the message was read.")


def frame(html: str, *, key: str) -> None:
    """Cleaned HTML of a stranger, in a frame without scripts, forms or network."""
    mail_frame(html, key=key)


def _nothing() -> None:
    """CCv2 gives a result only for keys that have a callback."""
