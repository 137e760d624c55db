"""The box below a conversation: answer by mail or on paper, note something for colleagues, enter what the customer said."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from crm_core.services.helpdesk import answers, macros, ticket_rules, tickets
from crm_core.services.helpdesk.answers import Envelope, NewFile
from crm_core.services.marketing import templates
from crm_core.vocabulary import Action, LetterUse, TicketKind, Way
from ui import format as fmt
from ui.actions import hush, load, perform, renew, show_refusal, submit_key, tell
from ui.components.article_picker import add_words, article_picker, forget, insert, inserted
from ui.components.wishes import reach_note
from ui.session import current_actor

KINDS = {"reply": "Answer", "note": "Internal note", "said": "Customer said"}
_THEN = {
    TicketKind.WAITING_CUSTOMER: "wait for the customer",
    TicketKind.WAITING_THIRD: "wait for a third party",
    TicketKind.OPEN: "keep it open",
    TicketKind.SOLVED: "solved",
}
_WORDS = {"reply": "Write to the customer", "note": "Only colleagues see this", "said": "What did the customer answer?"}
_PLACE = "_answer_taken"
_UNREAD = "_answer_unread"
Canned = tuple[str, str, Callable[[int, int, str], None], int]
"""Words that were written before: name, words, what puts them into the box, and from what."""


@st.fragment
def answer_box(ticket_id: int, status: TicketKind, contact_id: int | None = None, read_until: int = 0) -> None:
    """What to say, to whom, and what becomes of the ticket then. ``read_until``: the last message of the conversation above it."""
    name = f"reply_{ticket_id}"
    turn = st.session_state.get(f"_turn_{name}", 0)
    done = status in ticket_rules.DONE
    _second_thought(ticket_id)
    with st.container(border=True, key="replybox"):
        kinds = ["note", "said"] if done else list(KINDS)
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            kind = st.segmented_control(
                "Kind", kinds, default=kinds[0], format_func=lambda one: KINDS[one], required=True, key=f"{name}_kind_{done}", label_visibility="collapsed",
            )  # fmt: skip
            with st.container(horizontal=True, vertical_alignment="center", width="content", gap="small"):
                if kind == "reply":
                    article_picker(ticket_id, f"{name}_text_{turn}")
                _canned(ticket_id, f"{name}_text_{turn}", kind)
        envelope = load(answers.envelope, ticket_id) if kind == "reply" else None
        to, cc, by_mail = _readers(envelope, name, turn)
        body = st.text_area(
            "Message",
            key=f"{name}_text_{turn}",
            placeholder=_WORDS[kind],
            label_visibility="collapsed",
            height=130,
            max_chars=tickets.MAX_BODY,
        )
        chosen = _files(name, turn) if by_mail else []
        then, pressed = _foot(name, kind, done)
        if by_mail and envelope is not None and envelope.signature:
            st.caption(fmt.md("Below it: " + " · ".join(envelope.signature.splitlines())))
        _meanwhile(name, turn)
        if pressed:
            _send(ticket_id, name, turn, kind, body or "", then, (to, cc, chosen) if by_mail else None, read_until)
        if kind == "reply":
            reach_note(contact_id, Way.EMAIL)
            if not by_mail:
                st.caption("The answer is kept here; no e-mail leaves Rapport.")
        show_refusal()


def _canned(ticket_id: int, key: str, kind: str) -> None:
    """Words that were written before, put into the box."""
    if kind == "said":
        return
    known: list[Canned] = [(one.name, one.answer, _insert, one.id) for one in load(macros.usable) if one.answer]
    if current_actor().can("letter_template", Action.READ):
        letters = [one.template for one in load(templates.find, use=LetterUse.SERVICE)]
        known += [(one.name, one.body, _insert_letter, one.id) for one in letters]
    if not known:
        return
    turn = st.session_state.get(f"canned_turn_{key}", 0)
    with st.popover("Insert", icon=":material/quickreply:", type="tertiary", key=f"canned_{key}_box{turn}"):
        query = st.text_input("Find", key=f"canned_q_{key}", placeholder="Find words", label_visibility="collapsed", live=True)
        fits = [one for one in known if not query or query.casefold() in f"{one[0]} {one[1]}".casefold()]
        for name, words, put, source in fits[:8]:
            st.button(
                fmt.md(name), key=f"canned_{key}_{put.__name__}_{source}", width="stretch", on_click=put, args=(ticket_id, source, key),
                help=fmt.md(words[:200]),
            )  # fmt: skip
        if not fits:
            st.caption("No words like that.")


def _insert(ticket_id: int, macro_id: int, key: str) -> None:
    _close(key)
    add_words(key, load(macros.answer_for, macro_id, ticket_id))


def _close(key: str) -> None:
    """Close the list: it covers what was written."""
    st.session_state[f"canned_turn_{key}"] = st.session_state.get(f"canned_turn_{key}", 0) + 1


def _insert_letter(ticket_id: int, template_id: int, key: str) -> None:
    """Put a kept letter into the box, with what is known of the ticket and its customer."""
    _close(key)
    made = load(templates.rendered, template_id, "ticket", ticket_id)
    add_words(key, made.text)
    perform(templates.note_used, template_id)
    if made.holes:
        tell(f"Nothing is known here of: {', '.join(made.holes).lower()}. Look at the words before you send them.")


def _readers(envelope: Envelope | None, name: str, turn: int) -> tuple[str, str, bool]:
    """To whom, and whether it leaves as mail at all."""
    if envelope is None:
        return "", "", False
    works = bool(envelope.sender)
    if not works:
        return "", "", False
    by_mail = st.toggle(
        "Send it as an e-mail", value=envelope.by_mail, key=f"{name}_mail_{turn}", help=fmt.md(f"From {envelope.sender}")
    )
    if not by_mail:
        return "", "", False
    left, right = st.columns(2)
    to = left.text_input("To", value=", ".join(envelope.to), key=f"{name}_to_{turn}", placeholder="name@example.com")
    cc = right.text_input("Copy to", value=", ".join(envelope.cc), key=f"{name}_cc_{turn}", placeholder="Nobody")
    return to or "", cc or "", True


def _files(name: str, turn: int) -> list[NewFile]:
    with st.expander("Files", icon=":material/attach_file:"):
        given = st.file_uploader(
            "Files",
            accept_multiple_files=True,
            key=f"{name}_files_{turn}",
            label_visibility="collapsed",
            max_upload_size=answers.MAX_FILES_MB,
        )
    return [NewFile(one.name, one.getvalue()) for one in given or []]


def _foot(name: str, kind: str, done: bool) -> tuple[TicketKind | None, bool]:
    then = None
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        if kind == "reply":
            then = st.selectbox(
                "Then",
                list(_THEN),
                format_func=lambda one: f"then {_THEN[one]}",
                key=f"{name}_then",
                label_visibility="collapsed",
                width=230,
            )
        elif kind == "said" and done:
            st.caption("The ticket is open again then.", width="content")
        else:
            st.caption("The status stays." if kind == "note" else "A waiting ticket is open again then.", width="content")
        pressed = st.button("Send" if kind == "reply" else "Save", type="primary", key=f"{name}_send", shortcut="ctrl+enter")
    return then, pressed


def _meanwhile(name: str, turn: int) -> None:
    """What was said while the answer was being written: it stands above now, so that the next press sends."""
    kept = st.session_state.get(_UNREAD)
    if kept is not None and kept[:2] == (name, turn):
        st.warning(fmt.md(kept[2]), icon=":material/forum:")


def _send(
    ticket_id: int,
    name: str,
    turn: int,
    kind: str,
    body: str,
    then: TicketKind | None,
    mail: tuple[str, str, list[NewFile]] | None,
    read_until: int,
) -> None:
    key, used = submit_key(name), inserted(f"{name}_text_{turn}")
    if kind == "said":
        saved: Any = perform(tickets.receive, ticket_id, body, submit_key=key, success="Entered.")
    elif mail is not None:
        to, cc, enclosed = mail
        saved = perform(
            answers.send, ticket_id, body, to=to, cc=cc, enclosed=enclosed, then=then, submit_key=key, read_until=read_until, articles=used
        )  # fmt: skip
    else:
        words = "Noted." if kind == "note" else "Answered."
        saved = perform(
            tickets.reply, ticket_id, body, internal=kind == "note", then=then, submit_key=key, read_until=read_until, articles=used, success=words
        )  # fmt: skip
    if saved is None:
        conflict = st.session_state.get("_conflict")
        if conflict is not None and "messages" in conflict.details:
            hush()
            st.session_state[_UNREAD] = (name, turn, conflict.message)
            st.rerun()
        return
    st.session_state.pop(_UNREAD, None)
    if mail is not None:
        st.session_state[_PLACE] = {"ticket": ticket_id, "message": saved.id, "at": fmt.clock.utcnow()}
    renew(name)
    forget(f"{name}_text_{turn}")
    st.session_state[f"_turn_{name}"] = turn + 1
    st.rerun()


def _second_thought(ticket_id: int) -> None:
    """For some seconds an answer can be taken back whole; its words are in the box again then."""
    kept: Mapping[str, Any] | None = st.session_state.get(_PLACE)
    if kept is None or kept["ticket"] != ticket_id:
        return
    left = answers.UNDO_SECONDS - (fmt.clock.utcnow() - kept["at"]).total_seconds()
    if left <= 1:
        st.session_state.pop(_PLACE, None)
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="answer_sent"):
        st.markdown(f":green[:material/check_circle:] The answer leaves in {answers.UNDO_SECONDS} seconds.", width="content")
        st.button("Take it back", icon=":material/undo:", key="answer_undo", on_click=_take_back, args=(ticket_id, kept["message"]))


def _take_back(ticket_id: int, message_id: int) -> None:
    taken = perform(answers.take_back, ticket_id, message_id, success="Taken back. Its words are in the box again.")
    st.session_state.pop(_PLACE, None)
    if taken is not None:
        name = f"reply_{ticket_id}"
        key = f"{name}_text_{st.session_state.get(f'_turn_{name}', 0)}"
        st.session_state[key] = taken.words
        insert(key, taken.articles)
