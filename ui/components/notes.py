"""Notifications: the bell on every page with its drawer, and one line of the list."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from crm_core.access import Actor
from crm_core.kit import clock
from crm_core.kit.text import clip
from crm_core.services.collaboration import notification_rules, notifications
from crm_core.services.collaboration.notifications import Told
from ui import format as fmt
from ui.actions import load, perform
from ui.format import md
from ui.navigation import go, page_of
from ui.session import current_actor

IN_DRAWER = 12
_STRESSED = ("title", "name", "file", "queue")
_LONGEST = 160


def bell(actor: Actor) -> None:
    """The button with the count; it opens the latest in a drawer."""
    count = load(notifications.unread)
    shown = f"{notifications.MOST - 1}+" if count >= notifications.MOST else str(count)
    label = f":material/notifications_unread: **{shown}**" if count else ":material/notifications:"
    if st.button(label, key="bell", help=f"{fmt.plural(count, 'unread notification')}" if count else "Notifications"):
        _drawer()


@st.dialog("Notifications", icon=":material/notifications:", position="right", width="small")
def _drawer() -> None:
    actor = current_actor()
    rows, total = load(notifications.find, size=IN_DRAWER)
    if not rows:
        st.caption("Nothing yet. Here you will read what others give you to do, what falls due, and what is ready.")
    with st.container(horizontal=True, vertical_alignment="center"):
        if any(not row.read for row in rows):
            st.button(
                "Mark all as read", icon=":material/done_all:", key="bell_all", on_click=perform, args=(notifications.mark_all,)
            )
        if total and st.button("All notifications", key="bell_more", type="tertiary"):
            go("notifications")
        if st.button("Settings", key="bell_settings", type="tertiary", icon=":material/tune:"):
            go("notifications", tab="settings")
    with st.container(gap="xsmall", key="bell_list"):
        for row in rows:
            note_line(actor, row, key="bell", again=lambda: st.rerun(scope="fragment"))


def sentence(told: Told) -> str:
    """What happened, as Markdown: names stressed, nothing of them read as Markdown."""
    values = {key: _marked(key, value) for key, value in told.values.items()}
    return notification_rules.spoken(told.words, values)


def _marked(key: str, value: object) -> str:
    text = md(clip(str(value), _LONGEST)) if value not in (None, "") else ""
    return f"**{text}**" if text and key in _STRESSED else text


def note_line(actor: Actor, told: Told, *, key: str, again: Callable[[], None]) -> None:
    """One notification: a press opens what it is about; beside it, put it away for later or change its mark."""
    name = f"{key}_{told.id}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"note_{name}"):
        dot = "" if told.read else ":blue[:material/fiber_manual_record:] "
        label = f"{dot}{sentence(told)}  :gray[{md(fmt.ago(actor, told.at))}]"
        openable = bool(told.page) and page_of(actor, told.page) is not None
        with st.container(width="stretch"):
            if openable:
                if st.button(label, icon=f":material/{told.kind.icon}:", type="tertiary", key=f"open_{name}"):
                    perform(notifications.mark, [told.id])
                    go(told.page, **dict(told.query))
            else:
                st.markdown(f":material/{told.kind.icon}: {label}")
        _more(actor, told, name, again)


def _more(actor: Actor, told: Told, name: str, again: Callable[[], None]) -> None:
    mark = "Mark as unread" if told.read else "Mark as read"
    later = {"In an hour": timedelta(hours=1), "In three hours": timedelta(hours=3)}
    chosen = st.menu_button(
        options=[mark, *later, "Tomorrow morning"],
        icon=":material/more_horiz:",
        type="tertiary",
        key=f"more_{name}",
        **fmt.icon_only("Later, or another mark"),
    )
    if chosen is None:
        return
    if chosen == mark:
        perform(notifications.mark, [told.id], read=not told.read)
    else:
        until = clock.utcnow() + later[chosen] if chosen in later else _tomorrow(actor)
        perform(notifications.snooze, told.id, until=until, success=f"It comes back {md(chosen.lower())}.")
    again()


def _tomorrow(actor: Actor) -> datetime:
    day = clock.today(actor.timezone) + timedelta(days=1)
    return datetime.combine(day, time(8), ZoneInfo(actor.timezone))
