"""The calendar: for everybody, to see what is when, for oneself or one's people, and to plan the next thing where there is room."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from crm_core.kit import clock, numerals
from crm_core.services.collaboration import agenda, notifications
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform
from ui.addresses import number
from ui.components.calendar import calendar, day_of, instant_at, span, step
from ui.components.calendar_dialogs import look, plan, settings
from ui.components.header import header
from ui.navigation import go
from ui.session import current_actor

VIEWS = ("Day", "Week", "Month", "Agenda")
EVERYBODY = 0


def turn(to: date) -> None:
    st.query_params["day"] = to.isoformat()


def title_of(view: str, day: date, days: tuple[date, date]) -> str:
    if view == "Month":
        return numerals.month(day, actor.locale)
    return fmt.day(actor, day) if view == "Day" else fmt.days(actor, days[0], days[1] - timedelta(days=1))


def happened(result: Any) -> None:
    """Something was pressed, dropped or picked on the calendar."""
    if result.opened:
        open_entry(result.opened["kind"], int(result.opened["id"]))
    elif result.moved:
        to = result.moved
        start = instant_at(actor, to["day"], int(to["from"]))
        perform(
            agenda.move, to["kind"], int(to["id"]), start, minutes=to["minutes"], base_version=to["version"],
            success=f"Moved to {fmt.md(fmt.instant(actor, start))}.",
        )  # fmt: skip
        st.rerun()
    elif result.picked:
        plan(instant_at(actor, result.picked["day"], int(result.picked["from"])))
    elif result.day:
        st.session_state["_cal_view"] = "Day"
        turn(date.fromisoformat(result.day["day"]))
        st.rerun()


def open_entry(kind: str, record_id: int) -> None:
    if kind == "meeting":
        look(record_id)
    else:
        go(agenda.ENTITY[kind], id=record_id)


actor = current_actor()
if "_cal_view" in st.session_state:
    st.session_state["view"] = st.session_state.pop("_cal_view")
actions = header("Calendar", "Meetings, tasks, due times, closes and campaigns")
may_plan = actor.can("activity", Action.CREATE) or actor.can("task", Action.CREATE)
if actor.can("booking", Action.READ) and actions.button(
    "Booking pages", icon=":material/event_available:", key="cal_booking", help="Let people choose a free time themselves"
):
    go("booking")
adjusted = actions.button(
    icon=":material/settings:",
    key="cal_settings",
    **fmt.icon_only("First weekday, and your calendar in other programs"),
)
pressed = may_plan and actions.button("Plan", icon=":material/add:", type="primary", key="cal_plan")
mine = load(notifications.preference)
known = load(agenda.kinds)
names = load(agenda.people)
with st.container(horizontal=True, vertical_alignment="center", key="list_tools"):
    view = st.segmented_control(
        "View", VIEWS, default="Week", required=True, key="view", label_visibility="collapsed", bind="query-params"
    )
    day = day_of(st.query_params.get("day", ""), clock.today(actor.timezone))
    days = span(view, day, mine.first_weekday)
    st.button("Today", key="cal_today", on_click=turn, args=(clock.today(actor.timezone),))
    st.button(
        icon=":material/chevron_left:",
        key="cal_back",
        **fmt.icon_only("Back"),
        on_click=turn,
        args=(step(view, day, -1),),
    )
    st.button(
        icon=":material/chevron_right:",
        key="cal_on",
        **fmt.icon_only("On"),
        on_click=turn,
        args=(step(view, day, 1),),
    )
    st.markdown(f"**{fmt.md(title_of(view, day, days))}**", width="content")
    who = st.selectbox(
        "Whose", [actor.user_id, EVERYBODY, *[one for one in names if one != actor.user_id]] if len(names) > 1 else [actor.user_id],
        format_func=lambda one: "Mine" if one == actor.user_id else "Everybody I see" if one == EVERYBODY else names[one],
        key="cal_who", label_visibility="collapsed", width=190,
    )  # fmt: skip
chosen = st.pills(
    "Kinds", list(known), selection_mode="multi", default=list(known), format_func=lambda kind: known[kind], key="cal_kinds",
    label_visibility="collapsed", wrap=True,
)  # fmt: skip
entries, cut = load(agenda.find, *days, owners=None if who == EVERYBODY else [who or 0], only=list(chosen))
happened(calendar(actor, entries, names, view=view, day=day, days=days, may_plan=may_plan, key="calendar"))
if cut:
    st.caption("There is more than fits here. Choose one person or fewer kinds.")
if pressed:
    now = clock.utcnow().astimezone(ZoneInfo(actor.timezone))
    at = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    plan(at if days[0] <= at.date() < days[1] else instant_at(actor, days[0].isoformat(), 9 * 60))
if adjusted:
    settings()
asked = number("meeting")  # from a notification
st.query_params.pop("meeting", None)
if asked is not None:
    look(asked)
