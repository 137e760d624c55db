"""How a contact wants to be treated: the card on top of the person, and the buttons that obey it."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.services.collaboration import tasks
from crm_core.services.customers import preferences
from crm_core.services.customers.preferences import Preferences
from crm_core.vocabulary import Action, ActivityKind, PreferredChannel, Verdict, Way
from ui import format as fmt
from ui.actions import load, perform, renew, submit_key
from ui.components.record_page import edit_dialog

_ICONS = {Way.CALL: ":material/call:", Way.EMAIL: ":material/mail:"}
_PLAIN = (PreferredChannel.ANY, PreferredChannel.NONE)


def wishes_card(actor: Actor, contact_id: int, found: Preferences) -> None:
    """What this person asked for, in the order in which it matters; a way to write it down where nothing is known."""
    may_edit = actor.can("contact", Action.EDIT)
    lines, badges = _lines(actor, found), _badges(found)
    if not (lines or badges):
        if may_edit and st.button(
            "Note how this person wants to be treated", icon=":material/favorite:", type="tertiary", key="wishes_first"
        ):
            edit_dialog("contact", contact_id, preferences.FIELDS, title="Preferences")
        return
    with st.container(border=True, gap="small", key="wishes"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
                st.markdown(":material/favorite: **Preferences**", width="content")
                for words, colour in badges:
                    st.badge(fmt.for_badge(words), color=colour)  # type: ignore[arg-type]
            if may_edit and st.button("Change", icon=":material/edit:", type="tertiary", key="wishes_edit"):
                edit_dialog("contact", contact_id, preferences.FIELDS, title="Preferences")
        for label, text in lines:
            st.markdown(f":gray[{label}]  {fmt.md(text)}")
        if found.noted is not None:
            st.caption(fmt.md(f"Noted by {found.noted.who} · {fmt.ago(actor, found.noted.at)}"))


def _badges(found: Preferences) -> list[tuple[str, str]]:
    wishes = found.wishes
    said = [
        ("Do not contact", "red") if wishes.channel is PreferredChannel.NONE else None,
        ("Do not call", "red") if wishes.no_call else None,
        ("Do not e-mail", "red") if wishes.no_email else None,
        (f"Prefers {wishes.channel.label.lower()}", "blue") if wishes.channel not in _PLAIN else None,
        (wishes.language, "gray") if wishes.language else None,
    ]
    return [badge for badge in said if badge is not None]


def _lines(actor: Actor, found: Preferences) -> list[tuple[str, str]]:
    wishes, local = found.wishes, found.call.local
    hours = [wishes.hours, f"now {fmt.clock_time(local)} there" if local is not None else ""]
    rows = [
        ("Best time", " · ".join(part for part in hours if part) if wishes.hours else ""),
        ("Please do not", wishes.do_not),
        ("Goals", wishes.goals),
    ]
    return [(label, text) for label, text in rows if text]


def reach_button(
    actor: Actor, found: Preferences, way: Way, text: str, href: str, *, key: str, write: Callable[[], None] | None = None
) -> None:
    """A call or mail button that obeys: plain when nothing speaks against it, behind a word of warning, or out of order with the reason.
    ``write``: what opens instead of the address."""
    answer = found.call if way is Way.CALL else found.email
    if answer.verdict is Verdict.NO:
        st.button(fmt.md(text), icon=_ICONS[way], type="tertiary", disabled=True, key=f"{key}_no", help=fmt.md(answer.reasons[0]))
        st.badge("Not wanted", color="red")
    elif answer.verdict is Verdict.YES:
        _go(text, href, write, key=key, icon=_ICONS[way], kind="tertiary", contact_id=found.contact_id)
    else:
        with st.popover(fmt.md(text), icon=_ICONS[way], type="tertiary", key=f"{key}_think"):
            for reason in answer.reasons:
                st.markdown(f":orange[:material/schedule:] {fmt.md(reason)}")
            words = "Call anyway" if way is Way.CALL else "Write anyway"
            _go(words, href, write, key=key, icon=_ICONS[way], kind="secondary", contact_id=found.contact_id)
            if way is Way.CALL and found.next_time is not None and actor.can("task", Action.CREATE):
                _plan(actor, found, key)


def _go(text: str, href: str, write: Callable[[], None] | None, *, key: str, icon: str, kind: Any, contact_id: int) -> None:
    if href.startswith("tel:"):  # the telephone rings, and the box that logs the call is ready for what comes of it
        st.link_button(fmt.md(text), href, icon=icon, type=kind, key=f"{key}_call", on_click=_calling, args=(contact_id,))
    elif write is None:
        st.link_button(fmt.md(text), href, icon=icon, type=kind)
    elif st.button(fmt.md(text), icon=icon, type=kind, key=f"{key}_write"):
        write()


def _calling(contact_id: int) -> None:
    st.session_state[f"log_contact_{contact_id}_kind"] = ActivityKind.CALL


def _plan(actor: Actor, found: Preferences, key: str) -> None:
    """A task at the next moment that suits them; planned twice is planned once."""
    moment = fmt.instant(actor, found.next_time)
    if st.button(f"Plan it for {fmt.md(moment)}", icon=":material/event:", key=f"{key}_plan"):
        name = f"plan_{found.contact_id}"
        values: dict[str, Any] = {
            "subject": f"Call {found.wishes.name}"[:300],
            "due_at": found.next_time,
            "contact_id": found.contact_id,
        }
        if perform(tasks.create, values, submit_key=submit_key(name), success="Planned as a task.") is not None:
            renew(name)
        st.rerun()


def reach_note(contact_id: int | None, way: Way) -> None:
    """A line under a box that logs a call or answers by e-mail: what this person asked for, when it speaks against it."""
    found = load(preferences.of_some, contact_id)
    if found is None:
        return
    answer = found.call if way is Way.CALL else found.email
    colour = "red" if answer.verdict is Verdict.NO else "orange"
    for reason in answer.reasons:
        st.markdown(f":{colour}[:material/front_hand:] {fmt.md(reason)}")
    if way is Way.EMAIL and found.wishes.language and answer.verdict is not Verdict.NO:
        st.caption(fmt.md(f"Speaks {found.wishes.language}."))
