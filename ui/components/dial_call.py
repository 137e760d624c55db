"""One person to call: who, why, what they wish, the number, and one press for what came of it. Works by keyboard and on a phone."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from crm_core.access import Actor
from crm_core.kit import clock
from crm_core.models import DialList
from crm_core.services.collaboration import timeline
from crm_core.services.customers import preferences
from crm_core.services.helpdesk import calendars
from crm_core.services.telephony import dial_outcomes
from crm_core.services.telephony.dial_rules import NOBODY_THERE
from crm_core.services.telephony.dialling import Call
from crm_core.vocabulary import CallOutcome, DialWait, Verdict
from ui import format as fmt
from ui.actions import load, perform, renew, show_refusal, submit_key
from ui.components.activity_feed import entry
from ui.components.day_input import day_input, instant_input
from ui.components.dial_views import value_words
from ui.components.record_page import next_steps
from ui.components.whole_input import whole_input
from ui.components.wishes import wishes_card
from ui.navigation import page_of

SPOKEN = (
    CallOutcome.REACHED, CallOutcome.CALL_BACK, CallOutcome.PRICE, CallOutcome.NOT_INTERESTED, CallOutcome.WRONG_NUMBER, CallOutcome.DO_NOT_CALL,
)  # fmt: skip
ICONS = {
    CallOutcome.NO_ANSWER: "phone_missed", CallOutcome.BUSY: "phone_locked", CallOutcome.VOICEMAIL: "voicemail", CallOutcome.REACHED: "check",
    CallOutcome.CALL_BACK: "schedule", CallOutcome.PRICE: "sell", CallOutcome.NOT_INTERESTED: "thumb_down", CallOutcome.WRONG_NUMBER: "phone_disabled",
    CallOutcome.DO_NOT_CALL: "block",
}  # fmt: skip
_MEANS = {
    CallOutcome.WRONG_NUMBER: "The number is marked as wrong, and nobody is given it again.",
    CallOutcome.DO_NOT_CALL: "Nobody calls this person any more, from any list. An administrator can lift it.",
}


def undo(list_id: int) -> None:
    """A slip of the hand can be taken back for a while."""
    found = load(dial_outcomes.slip, list_id)
    if found is not None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="dial_undo"):
            st.caption(fmt.md(f"Last: {found.name}, {found.outcome.label.lower()}"), width="content")
            st.button(
                "Take back",
                icon=":material/undo:",
                type="tertiary",
                key="dial_take_back",
                shortcut="u",
                on_click=_take_back,
                args=(found.attempt_id,),
            )


def _take_back(attempt_id: int) -> None:
    perform(dial_outcomes.take_back, attempt_id, success="Taken back.")


def unsaved() -> None:
    """What was written on somebody whom a colleague took over: to be copied to where it belongs."""
    if note := st.session_state.pop("_dial_unsaved", None):
        with st.container(border=True, key="dial_unsaved"):
            st.caption("What you had written, to be logged on the person’s own page:")
            st.code(note, language=None, wrap_lines=True)


def card(actor: Actor, dial: DialList, call: Call) -> None:
    """The person and the call on the left, what is known of them on the right."""
    st.session_state.pop("_dial_unsaved", None)
    wanted = load(preferences.of, call.record_id) if call.key == "contact" else None
    left, right = st.columns([3, 2], gap="medium")
    with left:
        with st.container(border=True, gap="small", key="dial_person"):
            _who(actor, dial, call)
            if wanted is not None and wanted.wishes.do_not:
                st.markdown(f":orange[:material/front_hand: Please do not:] {fmt.md(wanted.wishes.do_not)}")
            _number(call)
        _outcome(actor, call)
    with right:
        if wanted is not None:
            wishes_card(actor, call.record_id, wanted)
        _before(actor, call)
        next_steps(call.key, call.record_id)


def _who(actor: Actor, dial: DialList, call: Call) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(fmt.md(call.name), anchor=False, width="content")
        if call.wait is DialWait.CALLBACK:
            st.badge("Asked for this call", color="orange")
        elif call.attempts:
            st.badge(f"Call {call.attempts + 1} of {dial.max_attempts}", color="gray")
    about = " · ".join(part for part in (call.job_title, call.company) if part)
    if about:
        st.markdown(fmt.md(about))
    why = [f"{dial.source.label} “{dial.source_name}”", value_words(actor, dial, call.value)]
    st.caption(fmt.md(" · ".join(part for part in why if part)))
    if call.outcome and call.last_at:
        st.caption(fmt.md(f"Last call from this list: {call.outcome.label.lower()}, {fmt.ago(actor, call.last_at)}"))
    if (page := page_of(actor, call.key)) is not None:
        st.page_link(page, label="Open the whole page", icon=":material/open_in_new:", query_params={"id": str(call.record_id)})


def _number(call: Call) -> None:
    local = call.reach.local
    for reason in call.reach.reasons:
        colour = "red" if call.reach.verdict is Verdict.NO else "orange"
        st.markdown(f":{colour}[:material/front_hand:] {fmt.md(reason)}")
    href = "tel:" + "".join(c for c in call.phone if c.isdigit() or c == "+")
    st.link_button(
        fmt.md(f"Call {call.phone}"), href, icon=":material/call:", type="primary", width="stretch", shortcut="t", key="dial_tel",
        disabled=call.reach.verdict is Verdict.NO,
    )  # fmt: skip
    if local is not None:
        st.caption(f"It is {fmt.clock_time(local)} where they are")


def _outcome(actor: Actor, call: Call) -> None:
    name = f"dial_{call.entry_id}_{call.attempts}"
    chosen: CallOutcome | None = st.session_state.get(f"_{name}")
    with st.container(border=True, gap="small", key="dial_outcome"):
        st.text_area(
            "Note", key=f"{name}_note", placeholder="What was said", label_visibility="collapsed", height=84, max_chars=20_000
        )
        st.caption("Nobody there: one press, and the next one comes")
        with st.container(horizontal=True, gap="small"):
            for n, outcome in enumerate(NOBODY_THERE, 1):
                st.button(
                    outcome.label,
                    icon=f":material/{ICONS[outcome]}:",
                    key=f"{name}_{outcome.value}",
                    shortcut=str(n),
                    on_click=_save,
                    args=(call.entry_id, name, outcome),
                )
        st.caption("Somebody answered")
        with st.container(horizontal=True, gap="small"):
            for n, outcome in enumerate(SPOKEN, len(NOBODY_THERE) + 1):
                st.button(
                    outcome.label, icon=f":material/{ICONS[outcome]}:", key=f"{name}_{outcome.value}", shortcut=str(n), on_click=_choose, args=(name, outcome),
                    type="primary" if chosen is outcome else "secondary",
                )  # fmt: skip
        details = _details(actor, name, chosen) if chosen is not None else {}
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.button(
                "Save, next person", type="primary", icon=":material/arrow_forward:", key=f"{name}_save", shortcut="ctrl+enter", disabled=chosen is None,
                on_click=_save, args=(call.entry_id, name, chosen), kwargs=details,
                help=None if chosen else "Say first what came of the call",
            )  # fmt: skip
            st.button(
                "Later",
                icon=":material/update:",
                type="tertiary",
                key=f"{name}_later",
                shortcut="l",
                on_click=_later,
                args=(call.entry_id,),
                help="The person comes again in an hour",
            )
        show_refusal()


def _details(actor: Actor, name: str, chosen: CallOutcome) -> dict[str, Any]:
    """What goes with an outcome: when to call back, the next step, how long it took."""
    if chosen in _MEANS:
        st.caption(_MEANS[chosen])
    at: datetime | None = None
    if chosen is CallOutcome.CALL_BACK:
        now = fmt.local(actor, clock.utcnow()).replace(minute=0, second=0, microsecond=0, tzinfo=None)
        typed = instant_input(
            "Call back at (your time) *",
            value=now + timedelta(hours=2),
            min_value=now,
            step=timedelta(minutes=15),
            key=f"{name}_at",
        )
        at = typed.replace(tzinfo=ZoneInfo(actor.timezone)) if typed is not None else None
    left, right, third = st.columns([3, 2, 1])
    follow_up = left.text_input("Next step", key=f"{name}_follow", placeholder="Send the offer", max_chars=300)
    due = day_input("Due", value=load(calendars.proposed_day, 1), key=f"{name}_due", place=right)
    minutes = whole_input("Minutes", low=0, high=1440, place=third, key=f"{name}_min")
    return {
        "call_back_at": at,
        "follow_up": follow_up or "",
        "follow_up_on": due if follow_up else None,
        "minutes": minutes,
    }


def _choose(name: str, outcome: CallOutcome) -> None:
    st.session_state[f"_{name}"] = outcome


def _save(entry_id: int, name: str, outcome: CallOutcome, **details: Any) -> None:
    note = st.session_state.get(f"{name}_note") or ""
    done = perform(
        dial_outcomes.settle, entry_id, outcome=outcome.value, note=note, submit_key=submit_key(name), success="Logged.", **details
    )
    if done is not None:
        renew(name)
        st.session_state.pop(f"_{name}", None)
    elif note:
        st.session_state["_dial_unsaved"] = note


def _later(entry_id: int) -> None:
    perform(dial_outcomes.put_off, entry_id)


def _before(actor: Actor, call: Call) -> None:
    """What was said before."""
    with st.container(border=True, gap="small", key="dial_before"):
        st.markdown("**Last contact**")
        items, more = load(timeline.find, call.key, call.record_id, kinds="activities", limit=3)
        if not items:
            st.caption("Nobody has talked to them yet, as far as is known here.")
        for item in items:
            entry(actor, item)
        if more:
            st.caption("Everything stands on their page.")
