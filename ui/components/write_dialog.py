"""Writing a mail from a record: the window, the button that opens it, and the moment in which it can be taken back."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import streamlit as st

from crm_core.access import Actor
from crm_core.kit import clock
from crm_core.services.collaboration import files
from crm_core.services.customers.preferences import Preferences
from crm_core.services.helpdesk import calendars
from crm_core.services.inbox import correspondence, filing
from crm_core.services.inbox.addressees import Addressee
from crm_core.services.inbox.correspondence import Draft
from crm_core.services.marketing import templates
from crm_core.vocabulary import Action, LetterUse, Verdict
from ui import format as fmt
from ui.actions import load, perform, renew, show_refusal, submit_key
from ui.components.day_input import day_input
from ui.components.header import Rare
from ui.session import current_actor

_SENT = "_letter_sent"
_MOST_IN_A_LINK = 1_500


def write_button(
    where: Any, entity_key: str, record_id: int, wanted: Preferences | None = None, *, first: bool = False
) -> list[Rare]:
    """A button in ``where`` that opens the window; out of order, with the reason, for somebody who does not want mail. Gives its entry for the
    menu of phones, where it is of use and not the ``first`` thing to do, which stays a button there."""
    if not current_actor().can("activity", Action.CREATE):
        return []
    refused = wanted is not None and wanted.email.verdict is Verdict.NO
    words = fmt.md(wanted.email.reasons[0]) if refused and wanted is not None else "Write an e-mail"
    first = first and not refused
    key, kind = ("write_first", "primary") if first else ("write_mail", "secondary")
    if where.button("Write", icon=":material/mail:", key=key, type=kind, help=words, disabled=refused):  # type: ignore[arg-type]
        write_dialog(entity_key, record_id)
    return [] if refused or first else [Rare("write_mail", "Write", "mail", partial(write_dialog, entity_key, record_id))]


def write_dialog(entity_key: str, record_id: int, *, to: str = "", answers: int | None = None) -> None:
    """Open the window. ``to``: the address that was clicked; ``answers``: what came in that is to be answered."""
    title = "Answer" if answers else "Write an e-mail"

    @st.dialog(title, width="large", icon=":material/mail:")
    def show() -> None:
        _window(entity_key, record_id, to, answers)

    show()


def write_to(entity_key: str, record_id: int, address: str) -> None:
    """Open the window for an address that was clicked."""
    write_dialog(entity_key, record_id, to=address)


def _window(entity_key: str, record_id: int, first: str, answers: int | None) -> None:
    actor = current_actor()
    draft = load(correspondence.draft, entity_key, record_id, answers=answers)
    name = f"letter_{entity_key}_{record_id}_{answers or 0}"
    turn = st.session_state.get(f"_turn_{name}", 0)
    to = _to(draft, first, f"{name}_to_{turn}_{first}")
    _template(draft, entity_key, record_id, name, turn, f"{name}_to_{turn}_{first}")
    if draft.subject and f"_began_{name}_{turn}" not in st.session_state:
        st.session_state[f"_began_{name}_{turn}"] = True  # once: what was typed over it stays
        st.session_state.setdefault(f"{name}_subject_{turn}", draft.subject)
    subject = st.text_input("Subject", key=f"{name}_subject_{turn}", max_chars=300, persist_state="session")
    text = st.text_area(
        "Message", key=f"{name}_text_{turn}", height=240, max_chars=correspondence.MAX_TEXT, persist_state="session",
        placeholder="Your signature is put below it." if draft.signature else "",
    )  # fmt: skip
    file_ids = _files(entity_key, record_id, f"{name}_files_{turn}")
    follow_up, due = _follow_up(actor, f"{name}_{turn}")
    _where_it_goes(draft)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        _own_program(draft, to, subject, text, f"{name}_own")
        pressed = st.button(
            "Send", type="primary", icon=":material/send:", key=f"{name}_send", disabled=not draft.by_mail, shortcut="ctrl+enter"
        )
    if pressed:
        values = {
            "to": to,
            "subject": subject or "",
            "text": text or "",
            "file_ids": file_ids,
            "follow_up": follow_up,
            "follow_up_on": due,
        }
        _send(entity_key, record_id, name, turn, values, answers)
    show_refusal()


def _to(draft: Draft, first: str, key: str) -> list[str]:
    """Whom it goes to. Who must not be written to is named, and not offered."""
    offered = {one.address: one for one in draft.people if not one.no}
    start = [first] if first else list(draft.to)
    options = list(dict.fromkeys([*offered, *start]))
    chosen = st.multiselect(
        "To", options, default=start, format_func=lambda one: _named(offered.get(one), one), accept_new_options=True, key=key,
        placeholder="Choose, or type an address", max_selections=20,
    )  # fmt: skip
    for one in (one for one in draft.people if one.no):
        st.markdown(f":red[:material/front_hand:] {fmt.md(f'{one.name} <{one.address}>: {one.no}')}")
    for reason in dict.fromkeys(offered[one].think for one in chosen if one in offered and offered[one].think):
        st.markdown(f":orange[:material/front_hand:] {fmt.md(reason)}")
    return list(chosen)


def _named(one: Addressee | None, address: str) -> str:
    return f"{one.name} <{one.address}>" if one is not None else address


def _template(draft: Draft, entity_key: str, record_id: int, name: str, turn: int, to: str) -> None:
    """A kept letter to begin with, with the facts of whom it goes to put in."""
    known = load(templates.choices, LetterUse.SALES)
    if not known:
        return
    people = {one.address: ("contact", one.contact_id) if one.contact_id else ("lead", one.lead_id) for one in draft.people}
    key = f"{name}_template_{turn}"
    st.selectbox(
        "Letter template", list(known), index=None, format_func=lambda one: known[one], placeholder="Write freely", key=key, on_change=_fill,
        args=(key, to, people, (entity_key, record_id), name, turn),
    )  # fmt: skip
    holes = st.session_state.get(f"_holes_{name}_{turn}")
    if holes:
        st.markdown(f":orange[:material/edit_note:] {fmt.md('Nothing is known for: ' + ', '.join(holes) + '. Read it over.')}")


def _fill(key: str, to: str, people: Mapping[str, Any], place: tuple[str, int], name: str, turn: int) -> None:
    """Put the letter in: below what is written already; its subject where there is none yet."""
    chosen = st.session_state.get(key)
    if chosen is None:
        return
    first = next(iter(st.session_state.get(to) or []), "")
    about = people[first] if first in people and people[first][1] else place
    made = load(templates.rendered, chosen, *about)
    subject, text = f"{name}_subject_{turn}", f"{name}_text_{turn}"
    if not (st.session_state.get(subject) or "").strip():
        st.session_state[subject] = made.subject
    written = (st.session_state.get(text) or "").strip()
    st.session_state[text] = f"{written}\n\n{made.text}" if written else made.text
    st.session_state[f"_holes_{name}_{turn}"] = made.holes
    st.session_state[f"_template_{name}_{turn}"] = chosen


def _files(entity_key: str, record_id: int, key: str) -> list[int]:
    known = {one.id: one.name for one in load(files.find, entity_key, record_id)}
    if not known:
        return []
    return list(
        st.multiselect("Files of this record", list(known), format_func=lambda one: known[one], key=key, placeholder="None")
    )


def _follow_up(actor: Actor, name: str) -> tuple[str, Any]:
    if not actor.can("task", Action.CREATE):
        return "", None
    with st.expander("Follow-up task", icon=":material/task_alt:"):
        left, right = st.columns(2)
        words = left.text_input("What to do", key=f"{name}_follow", placeholder="Ask whether it arrived", max_chars=300)
        due = day_input("Due", value=load(calendars.proposed_day, 3), key=f"{name}_due", place=right)
    return words or "", due if words else None


def _where_it_goes(draft: Draft) -> None:
    if not draft.by_mail:
        st.caption("No mail server is set up, so Rapport can't send it. Your own mail program can.")
        return
    back = (
        "the answer comes back to this timeline"
        if draft.comes_back
        else "the answer goes to your own mailbox: no mailbox is connected here"
    )
    sender = draft.sender.replace("@", "\u2060@")  # no link: in a caption it would be too pale to read
    words = [f"From {sender}", back, *(["below it: " + " · ".join(draft.signature.splitlines())] if draft.signature else [])]
    st.caption(fmt.md(" · ".join(words)))


def _own_program(draft: Draft, to: Sequence[str], subject: str, text: str, key: str) -> None:
    """The same mail in one's own program; a blind copy to one's filing address brings it back here."""
    copy = load(filing.address_of)
    parts = {"subject": subject or "", "body": (text or "")[:_MOST_IN_A_LINK], "bcc": copy.address if copy is not None else ""}
    query = "&".join(f"{name}={quote(value)}" for name, value in parts.items() if value)
    link = f"mailto:{quote(','.join(to), safe='@,')}" + (f"?{query}" if query else "")
    noted = "A blind copy files it here" if copy is not None else "Log it here afterwards"
    st.link_button("Use my mail program", link, icon=":material/open_in_new:", type="tertiary", help=noted, disabled=not to)


def _send(entity_key: str, record_id: int, name: str, turn: int, values: Mapping[str, Any], answers: int | None) -> None:
    key = submit_key(name)
    sent = perform(correspondence.send, entity_key, record_id, **values, answers=answers, submit_key=key)
    if sent is None:
        return
    used = st.session_state.pop(f"_template_{name}_{turn}", None)
    if used is not None:
        perform(templates.note_used, used)
    place = {
        "entity": entity_key,
        "record": record_id,
        "activity": sent.id,
        "key": key,
        "at": clock.utcnow(),
        "name": name,
        "turn": turn + 1,
    }
    st.session_state[_SENT] = {**place, "subject": values["subject"], "text": values["text"]}
    renew(name)
    st.session_state[f"_turn_{name}"] = turn + 1
    st.rerun()


def second_thought(entity_key: str, record_id: int) -> None:
    """For some seconds a mail can be taken back; its words are in the window again then."""
    kept: Mapping[str, Any] | None = st.session_state.get(_SENT)
    if kept is None or (kept["entity"], kept["record"]) != (entity_key, record_id):
        return
    if (clock.utcnow() - kept["at"]).total_seconds() > correspondence.UNDO_SECONDS - 1:
        st.session_state.pop(_SENT, None)
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="letter_sent"):
        st.markdown(f":green[:material/check_circle:] The mail leaves in {correspondence.UNDO_SECONDS} seconds.", width="content")
        st.button("Take it back", icon=":material/undo:", key="letter_undo", on_click=_take_back, args=(dict(kept),))


def _take_back(kept: Mapping[str, Any]) -> None:
    st.session_state.pop(_SENT, None)
    done = perform(
        correspondence.take_back, kept["activity"], submit_key=kept["key"], success="Taken back. Its words are in the window again."
    )
    if done is not None:
        st.session_state[f"{kept['name']}_subject_{kept['turn']}"] = kept["subject"]
        st.session_state[f"{kept['name']}_text_{kept['turn']}"] = kept["text"]
