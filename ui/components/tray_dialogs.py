"""A message of the tray: its words, where it may belong, and the way back from what was chosen."""

from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.services.inbox import tray
from crm_core.services.inbox.tray import Opened
from crm_core.vocabulary import Action, InboundState
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.conversation import frame
from ui.components.picker import picker
from ui.navigation import go
from ui.session import current_actor
from ui.tones import TONES

_DONE = "_tray_done"


def _closed() -> None:
    st.query_params.pop("mail", None)


@st.dialog("Message", width="large", on_dismiss=_closed)
def mail_dialog(found: Opened) -> None:
    """One message, and what can be done with it."""
    actor, row = current_actor(), found.row
    hidden = actor.masked("contact", "email")
    st.markdown(f"**{fmt.md(row.subject or '(no subject)')}**")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(fmt.for_badge(row.state.label), color=TONES[row.state])  # type: ignore[arg-type]
        st.caption(fmt.md(row.reason), width="content")
    if not hidden:
        who = f"{row.sender_name} <{row.sender}>" if row.sender_name else row.sender or "nobody"
        st.caption(fmt.md(f"From {who} · to {', '.join(found.to) or 'nobody named'} · {fmt.instant(actor, row.created_at)}"))
    if found.meeting_title and row.state is InboundState.TRAY:
        st.caption(
            fmt.md(f"About the meeting {found.meeting_title}" + (f" · {found.contact_title}" if found.contact_title else ""))
        )
    _words(found)
    if found.files:
        st.caption(fmt.md("Files: " + ", ".join(found.files)))
    if row.state is InboundState.TRAY and actor.can("ticket", Action.EDIT):
        _choices(actor, found)
    else:
        _outcome(actor, found)
    show_problems()


def _words(found: Opened) -> None:
    views = ["Text", *(["As it came"] if found.html else []), *(["Source"] if found.has_source else [])]
    view = (
        st.segmented_control(
            "View", views, default="Text", required=True, key=f"tray_view_{found.row.id}", label_visibility="collapsed"
        )
        if len(views) > 1
        else "Text"
    )
    if view == "As it came":
        frame(found.html, key=f"tray_frame_{found.row.id}")
    elif view == "Source":
        source = load(tray.source, found.row.id)
        st.code(source[: tray.SOURCE_CHARS].decode("utf-8", "replace"), language=None, wrap_lines=True, height=260)
        st.download_button(
            "Download .eml", source, file_name=f"message-{found.row.id}.eml", mime="message/rfc822", key=f"tray_eml_{found.row.id}"
        )
    else:
        st.code(found.text or "No text could be read.", language=None, wrap_lines=True, height=220)


def _choices(actor: Any, found: Opened) -> None:
    """Where it belongs: a new ticket, one that is there, a customer, or nowhere."""
    mail_id = found.row.id
    new, add, person = st.tabs(["New ticket", "Add to a ticket", "Onto a customer"])
    with new:
        kinds = ["contact", "new", "none"]
        words = {
            "contact": "Somebody known",
            "new": f"A new contact ({found.row.sender_name or found.row.sender})",
            "none": "Nobody",
        }
        if not found.row.sender or not actor.can("contact", Action.CREATE):
            kinds.remove("new")
        first = "contact" if found.row.contact_id or "new" not in kinds else "new"
        kind = st.radio(
            "Who asks?",
            kinds,
            index=kinds.index(first),
            format_func=lambda one: fmt.md(words[one]),
            horizontal=True,
            key=f"tray_who_{mail_id}",
        )
        contact = _person(found, f"tray_new_{mail_id}") if kind == "contact" else None
        if st.button("Make a ticket", type="primary", key=f"tray_ticket_{mail_id}", disabled=kind == "contact" and contact is None):
            _finish(tray.make_ticket, mail_id, "A ticket was made.", contact_id=contact, new_contact=kind == "new")
    with add:
        chosen = picker(
            "Ticket",
            lambda q: load(lists.choices, "ticket", q, limit=20),
            key=f"tray_add_{mail_id}",
            placeholder="Number or subject",
        )
        if st.button("Add it", type="primary", key=f"tray_add_yes_{mail_id}", disabled=chosen is None):
            _finish(tray.add_to_ticket, mail_id, "Added to the ticket.", ticket_id=chosen)
    with person:
        contact = _person(found, f"tray_on_{mail_id}")
        st.caption("It stands on their timeline then, and opens no ticket.")
        if st.button("Put it there", type="primary", key=f"tray_on_yes_{mail_id}", disabled=contact is None):
            _finish(tray.add_to_contact, mail_id, "Put onto the timeline.", contact_id=contact)
    if st.button("Discard it", icon=":material/delete_sweep:", key=f"tray_drop_{mail_id}", type="tertiary"):
        _drop(mail_id)


def _person(found: Opened, key: str) -> int | None:
    return picker(
        "Contact",
        lambda q: load(lists.choices, "contact", q, limit=20),
        key=key,
        value=found.row.contact_id if found.contact_title else None,
        title=found.contact_title,
    )


def _finish(verb: Any, mail_id: int, words: str, **choice: Any) -> None:
    if perform(verb, mail_id, **choice) is not None:
        _remember(words, [mail_id])
        st.rerun()


def _drop(mail_id: int) -> None:
    if perform(tray.discard, [mail_id]) is not None:
        _remember("The message was discarded.", [mail_id])
        st.rerun()


def _remember(words: str, mail_ids: list[int]) -> None:
    st.query_params.pop("mail", None)
    st.session_state[_DONE] = (words, mail_ids)


def _outcome(actor: Any, found: Opened) -> None:
    """What became of it, and the way there."""
    with st.container(horizontal=True, gap="small"):
        if found.ticket_title and st.button(
            "Open the ticket", icon=":material/confirmation_number:", key=f"tray_go_{found.row.id}"
        ):
            go("ticket", id=found.row.ticket_id)
            st.rerun()
        if found.contact_title and st.button("Open the contact", icon=":material/person:", key=f"tray_who_go_{found.row.id}"):
            go("contact", id=found.row.contact_id)
            st.rerun()
        if found.row.settled_at is not None and actor.can("ticket", Action.EDIT):
            st.button(
                "Back into the tray",
                icon=":material/undo:",
                key=f"tray_back_{found.row.id}",
                on_click=_undo,
                args=([found.row.id],),
            )


def tray_done() -> None:
    """What was just chosen, with the way back."""
    kept = st.session_state.get(_DONE)
    if kept is None:
        return
    words, mail_ids = kept
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="tray_note"):
        st.markdown(f":green[:material/check_circle:] {fmt.md(words)}", width="content")
        st.button("Undo", icon=":material/undo:", key="tray_undo", on_click=_undo, args=(mail_ids,))
        st.button(
            icon=":material/close:",
            key="tray_hide",
            type="tertiary",
            **fmt.icon_only("Hide this note"),
            on_click=lambda: st.session_state.pop(_DONE, None),
        )


def _undo(mail_ids: list[int]) -> None:
    st.query_params.pop("mail", None)
    st.session_state.pop(_DONE, None)
    for mail_id in mail_ids:
        if perform(tray.undo, mail_id) is None:
            return
    st.session_state.setdefault("_toasts", []).append(("ok", "Back in the tray."))
