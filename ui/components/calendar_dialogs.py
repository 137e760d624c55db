"""Planning a meeting or a task, looking at a meeting, and one's own calendar elsewhere."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from crm_core import lists
from crm_core.kit.clock import utcnow
from crm_core.kit.week import WEEKDAYS
from crm_core.services.booking import showing
from crm_core.services.collaboration import activities, agenda, feeds, invitations, notifications, tasks
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, renew, show_problems, submit_key
from ui.addresses import absolute
from ui.components.booked import came_bar
from ui.components.day_input import day_input
from ui.components.meeting_guests import guests_of
from ui.components.picker import picker
from ui.format import md
from ui.navigation import go
from ui.session import current_actor

LENGTHS = (15, 30, 45, 60, 90, 120, 180, 240, 480)


@st.dialog("Plan something", width="medium")
def plan(at: datetime) -> None:
    """A new meeting or task at a chosen place."""
    actor = current_actor()
    what = st.segmented_control(
        "What", _allowed(), default=_allowed()[0], required=True, key="plan_what", label_visibility="collapsed"
    )
    subject = st.text_input("Subject", key="plan_subject", max_chars=300, placeholder="Demo with Maria")
    with st.grid(3, min_column_width=140):
        day = day_input("Day", value=at.date(), key="plan_day")
        hour = st.time_input("Time", value=at.time(), step=timedelta(minutes=15), key="plan_time")
        minutes = st.selectbox("Length", LENGTHS, index=1, format_func=_length, key="plan_minutes", disabled=what != "Meeting")
    meeting = what == "Meeting"
    with st.grid(2, min_column_width=220):
        account = picker("Account", lambda q: load(lists.choices, "account", q, limit=8), key="plan_account") if actor.can("account", Action.READ) else None  # fmt: skip
        contact = picker("Contact", lambda q: load(lists.choices, "contact", q, limit=8), key="plan_contact") if actor.can("contact", Action.READ) else None  # fmt: skip
    place, guests, send = _about(contact) if meeting else ("", [], False)
    body = st.text_area("Notes", key="plan_body", height=80, max_chars=20_000, help="Only colleagues see them")
    if st.button("Plan it", type="primary", key="plan_yes", shortcut="ctrl+enter"):
        when = datetime.combine(day, hour, ZoneInfo(actor.timezone))
        values = {"subject": subject, "body": body.strip() or None, "account_id": account, "contact_id": contact}
        key = submit_key("plan")
        if meeting:
            invited = {"contact_ids": [contact] if send and contact else [], "addresses": guests}
            done: object = perform(
                invitations.plan, {**values, "at": when, "minutes": minutes, "place": place.strip() or None}, **invited, submit_key=key,
                success="Planned, and the invitation is on its way." if any(invited.values()) else "Planned.",
            )  # fmt: skip
        else:
            done = perform(tasks.create, {**values, "due_at": when}, submit_key=key, success="Planned.")
        if done is not None:
            renew("plan")
            st.rerun()
        show_problems()


def _about(contact: int | None) -> tuple[str, list[str], bool]:
    """Where a meeting is, and who gets an invitation by e-mail."""
    with st.grid(2, min_column_width=220):
        place = st.text_input("Where", key="plan_place", max_chars=300, placeholder="Video link, address or number")
        guests = st.multiselect(
            "Also invite", [], accept_new_options=True, key="plan_guests", placeholder="E-mail addresses", max_selections=20,
            help="They get an invitation for their calendar by e-mail",
        )  # fmt: skip
    send = bool(contact) and st.checkbox("Send the contact an invitation for their calendar", value=True, key="plan_send")
    return place or "", guests, send


def _allowed() -> list[str]:
    actor = current_actor()
    return [word for word, key in (("Meeting", "activity"), ("Task", "task")) if actor.can(key, Action.CREATE)]


def _length(minutes: int) -> str:
    return f"{minutes} minutes" if minutes < 60 else f"{minutes // 60} h {minutes % 60 or ''}".strip()


@st.dialog("Meeting", width="medium")
def look(record_id: int) -> None:
    """A meeting: when, with whom, about what; move it or call it off."""
    actor = current_actor()
    found = load(agenda.meeting, record_id)
    st.markdown(f"**{md(found['subject'])}**")
    st.caption(
        f"{md(fmt.instant(actor, found['at']))} · {_length(found['minutes'])}{' · ' + md(found['owner']) if found['owner'] else ''}"
    )
    if found["place"]:
        st.markdown(f":material/location_on: {md(found['place'])}")
    if found["body"]:
        st.text(found["body"])
    with st.container(horizontal=True):
        for key, (linked, name) in found["about"].items():
            if st.button(md(name), key=f"meet_{key}", icon=":material/open_in_new:", type="tertiary"):
                go(key, id=linked)
    came_bar(load(showing.of_meeting, record_id))
    guests_of(record_id, may_edit=actor.can("activity", Action.EDIT) and found["at"] > utcnow())
    if not actor.can("activity", Action.EDIT):
        return
    local = found["at"].astimezone(ZoneInfo(actor.timezone))
    with st.grid(3, min_column_width=140):
        day = day_input("Day", value=local.date(), key=f"meet_day_{record_id}")
        hour = st.time_input("Time", value=local.time(), step=timedelta(minutes=15), key=f"meet_time_{record_id}")
        lengths = sorted({*LENGTHS, found["minutes"]})
        minutes = st.selectbox(
            "Length", lengths, index=lengths.index(found["minutes"]), format_func=_length, key=f"meet_len_{record_id}"
        )
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        with st.popover("Call it off", icon=":material/event_busy:", key="meet_off_ask"):
            st.markdown("It goes to the bin. Guests who were invited get a cancellation.")
            if st.button("Call it off", type="primary", key="meet_off"):
                if perform(activities.remove, record_id, success="Called off.") is not None:
                    st.rerun()
                show_problems()
        if st.button("Save", type="primary", key="meet_save", shortcut="ctrl+enter"):
            start = datetime.combine(day, hour, ZoneInfo(actor.timezone))
            if (
                perform(agenda.move, "meeting", record_id, start, minutes=minutes, base_version=found["version"], success="Saved.")
                is not None
            ):
                st.rerun()
            show_problems()


@st.dialog("Your calendar", width="medium")
def settings() -> None:
    """The first day of the week, and the address under which other programs read one's calendar."""
    mine = load(notifications.preference)
    first = st.selectbox(
        "The week begins on", range(7), index=mine.first_weekday, format_func=lambda day: WEEKDAYS[day], key="cal_first"
    )
    if first != mine.first_weekday:
        perform(notifications.choose, first_weekday=first)
        st.rerun()
    st.markdown("**In other programs**")
    st.caption(
        "Your meetings and tasks in Outlook, Google Calendar or on a telephone: they read a secret address, nobody else should know it."
    )
    if token := st.session_state.pop("_feed_token", None):
        st.code(absolute(f"/ical/{token}.ics"), language=None, wrap_lines=True)
        st.caption("Copy it now: it is not shown again. Add it there as a calendar from the internet.")
    elif mine.feed_since is not None:
        st.caption(f"An address has been in use since {md(fmt.instant(current_actor(), mine.feed_since))}.")
    with st.container(horizontal=True):
        if st.button("Make a new address" if mine.feed_sha256 else "Make an address", key="feed_new", icon=":material/link:", help="An earlier one stops working"):  # fmt: skip
            st.session_state["_feed_token"] = perform(feeds.renew)
            if st.session_state["_feed_token"]:
                st.rerun(scope="fragment")
        if mine.feed_sha256 and st.button("Switch it off", key="feed_off", icon=":material/link_off:"):
            perform(feeds.revoke, success="The address opens nothing any more.")
            st.rerun()
    show_problems()
