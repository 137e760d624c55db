"""How I want to be told: what stands in the list, what comes by mail and when, quiet hours, the hour of the summary, when a meeting is announced."""

from datetime import time

import streamlit as st

from crm_core.kit.week import WEEKDAYS
from crm_core.models import UserPreference
from crm_core.services.collaboration import notification_rules, notifications
from crm_core.services.collaboration.notification_rules import KINDS, Kind
from crm_core.vocabulary import MailWay
from ui.actions import load, perform, show_problems
from ui.format import md

BEFORE = {0: "Don’t announce them", 5: "5 minutes before", 10: "10 minutes before", 15: "15 minutes before", 30: "30 minutes before", 60: "An hour before", 24 * 60: "A day before"}  # fmt: skip


def wishes(timezone: str) -> None:
    """The table of kinds, and the hours."""
    mine = load(notifications.preference)
    with st.container(border=True):
        st.markdown("**When**")
        hours = _hours(mine)
        st.caption(f"Hours are of {md(timezone)}. Choose another time zone on your account page.")
    channels: dict[str, dict[str, object]] = {}
    for group in dict.fromkeys(kind.group for kind in KINDS.values()):
        with st.container(border=True):
            st.markdown(f"**{group}**")
            for kind in (kind for kind in KINDS.values() if kind.group == group):
                channels[kind.key] = _channel(kind, mine)
    if st.button("Save", type="primary", key="wishes_save"):
        if perform(notifications.choose, channels=channels, **hours, success="Saved. It holds from now on.") is not None:
            st.rerun()
        show_problems()


def _channel(kind: Kind, mine: UserPreference) -> dict[str, object]:
    app, mail = notification_rules.Wishes(channels=mine.channels).of(kind)
    with st.container(horizontal=True, vertical_alignment="center", key=f"wish_{kind.key}"):
        st.markdown(f":material/{kind.icon}: {kind.label}", width="stretch")
        app = st.toggle("In the list", value=app, key=f"wish_app_{kind.key}")
        way = st.selectbox(
            f"E-mail: {kind.label}",
            list(MailWay),
            index=list(MailWay).index(mail),
            format_func=lambda one: one.label,
            key=f"wish_mail_{kind.key}",
            label_visibility="collapsed",
            width=150,
        )
    return {"app": app, "mail": (way or mail).value}


def _hours(mine: UserPreference) -> dict[str, int | None]:
    with st.grid(3, min_column_width=220):
        quiet = st.toggle(
            "Quiet hours for e-mail", value=mine.quiet_from is not None, key="quiet_on", help="E-mail waits until they end"
        )
        start = st.time_input("From", value=_time(mine.quiet_from, 20 * 60), key="quiet_from", disabled=not quiet)
        end = st.time_input("Until", value=_time(mine.quiet_to, 7 * 60), key="quiet_to", disabled=not quiet)
        digest = st.time_input("Summaries at", value=_time(mine.digest_minute, 0), key="digest_at")
        weekday = st.selectbox(
            "Weekly summary on", range(7), index=mine.digest_weekday, format_func=lambda day: WEEKDAYS[day], key="digest_day"
        )
        before = st.selectbox(
            "Meetings are announced", list(BEFORE), index=_nearest(mine.meeting_minutes), format_func=lambda n: BEFORE[n], key="meeting_before"
        )  # fmt: skip
    return {
        "quiet_from": _minutes(start) if quiet else None, "quiet_to": _minutes(end) if quiet else None,
        "digest_minute": _minutes(digest), "digest_weekday": weekday, "meeting_minutes": before,
    }  # fmt: skip


def _nearest(minutes: int) -> int:
    return min(range(len(BEFORE)), key=lambda place: abs(list(BEFORE)[place] - minutes))


def _time(minutes: int | None, otherwise: int) -> time:
    value = otherwise if minutes is None else minutes
    return time(value // 60, value % 60)


def _minutes(value: time) -> int:
    return value.hour * 60 + value.minute
