"""Dialogs of booking pages: what one offers and on which terms, and what was booked."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from crm_core import lists
from crm_core.fields import registry
from crm_core.kit.hours import UnreadableError, spans_of, words_of
from crm_core.kit.week import WEEKDAYS
from crm_core.models import BookingPage
from crm_core.services.admin.founding import timezones
from crm_core.services.booking import pages, showing
from crm_core.services.helpdesk import calendars
from crm_core.vocabulary import Action, BookingPlace
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.addresses import absolute
from ui.components.booked import came_buttons
from ui.components.rows_clash import begin, grid_of, mine_stay, save_rows
from ui.components.table import Cell, Column, table
from ui.components.whole_input import whole_number_or_none
from ui.navigation import go
from ui.session import current_actor
from ui.tones import TONES

LIST = 10
PAGE = "booking_page"
ROOM = (0, 5, 10, 15, 30, 45, 60)
NOTICE = {
    0: "None",
    1: "1 hour",
    2: "2 hours",
    4: "4 hours",
    12: "12 hours",
    24: "1 day",
    48: "2 days",
    72: "3 days",
    168: "1 week",
}
AHEAD = {7: "1 week", 14: "2 weeks", 30: "30 days", 60: "60 days", 90: "90 days", 180: "Half a year"}
PLACE_HINTS = {
    BookingPlace.PHONE: "Visitors leave their number.",
    BookingPlace.VIDEO: "https://meet.example.com/your-room",
    BookingPlace.VISIT: "12 Harbour Street, second floor",
}


def page_dialog(page: BookingPage | None) -> None:
    """Begin to change a booking page, or to make one."""
    begin(PAGE, [page])
    _page_dialog()


@st.dialog("Booking page", width="large", icon=":material/event_available:")
def _page_dialog() -> None:
    """What is booked, when, and what visitors are asked."""
    grid = grid_of(PAGE)
    page: BookingPage | None = grid.seen[0]
    tag = f"{page.id}_{grid.turn}" if page else "new"
    what, when, ask = st.tabs(["What", "When", "Questions"])
    with what:
        values = _what(page, tag)
    with when:
        values |= _terms(page, tag)
        hours = _hours(page, tag)
    with ask:
        values |= _questions(page, tag)
    pressed = st.button("Save", type="primary", key=f"bp_save_{tag}", disabled=grid.theirs is not None)
    if mine_stay(PAGE, "this page", _page_words) or pressed:
        try:
            values |= {**hours, "week": [spans_of(text) for text in hours["week"]] if hours["week"] else []}
        except UnreadableError as error:
            st.error(fmt.md(str(error)), icon=":material/error:")
            return
        given = values | {"base_url": absolute("")}

        def save(base: Sequence[BookingPage | None]) -> Any:
            now = base[0]
            return perform(
                pages.save, now.id if now else None, given, base_version=now.version if now else None, success="Page saved."
            )

        save_rows(PAGE, save)
        show_problems()


def _page_words(rows: Sequence[BookingPage]) -> str:
    """``A first talk, 30 minutes, open to visitors; asks: Which product?``."""
    page = rows[0]
    asked = "; ".join(str(one["label"]) for one in page.questions or ()) or "nothing else"
    return f"{page.name}, {page.minutes} minutes, {'open to visitors' if page.is_active else 'switched off'}; asks: {asked}"


def _what(page: BookingPage | None, tag: str) -> dict[str, Any]:
    left, right = st.columns(2)
    name = left.text_input(
        "What is booked *", value=page.name if page else "", max_chars=120, key=f"bp_name_{tag}", placeholder="A first talk"
    )
    slug = right.text_input(
        "End of its address", value=page.slug if page else "", max_chars=60, key=f"bp_slug_{tag}", placeholder="first-talk",
        help="The address is …/book/ and this. Empty: one is made up.",
    )  # fmt: skip
    intro = st.text_area("Words for visitors", value=page.intro if page else "", max_chars=1000, height=80, key=f"bp_intro_{tag}")
    hosts = _hosts(page, tag)
    a, b = st.columns(2)
    place = a.selectbox(
        "Where", list(BookingPlace), index=list(BookingPlace).index(page.place) if page else 0, format_func=lambda one: one.label, key=f"bp_place_{tag}"
    )  # fmt: skip
    text = b.text_input(
        "Address" if place is not BookingPlace.PHONE else "Address (not needed)", value=page.place_text if page else "", max_chars=300,
        key=f"bp_text_{tag}", placeholder=PLACE_HINTS[place or BookingPlace.PHONE], disabled=place is BookingPlace.PHONE,
    )  # fmt: skip
    active = st.toggle("Open to visitors", value=page.is_active if page else True, key=f"bp_active_{tag}")
    return {"name": name, "slug": slug, "intro": intro, "host_ids": hosts, "place": place, "place_text": text, "is_active": active}


def _hosts(page: BookingPage | None, tag: str) -> list[int]:
    """Whose time is offered; only managers offer that of colleagues."""
    actor = current_actor()
    if not pages.may_for_others(actor):
        return list(page.host_ids) if page else [actor.user_id or 0]
    people = load(lists.choices, "user", limit=500)
    chosen = [one for one in (page.host_ids if page else [actor.user_id]) if one in people]
    return st.multiselect(
        "Whose time", list(people), default=chosen, format_func=lambda one: people[one], key=f"bp_hosts_{tag}",
        help="Of several people whoever has the fewest meetings of this page takes the next one",
    )  # fmt: skip


def _terms(page: BookingPage | None, tag: str) -> dict[str, Any]:
    with st.grid(3, min_column_width=150):
        minutes = _choice("Length", pages.LENGTHS, page.minutes if page else 30, f"bp_min_{tag}", _minutes)
        step = _choice("Begins every", pages.STEPS, page.step_minutes if page else 30, f"bp_step_{tag}", _minutes)
        most = whole_number_or_none(
            "Most a day", 1, 50, page.most_a_day if page else None, placeholder="No limit", key=f"bp_most_{tag}",
            help="Meetings of this page per person",
        )  # fmt: skip
        before = _choice("Room before", ROOM, page.before_minutes if page else 0, f"bp_before_{tag}", _minutes)
        after = _choice("Room after", ROOM, page.after_minutes if page else 0, f"bp_after_{tag}", _minutes)
        notice = _choice(
            "Notice", tuple(NOTICE), page.notice_hours if page else 4, f"bp_notice_{tag}", lambda n: NOTICE.get(n, f"{n} hours")
        )
        ahead = _choice(
            "How far ahead", tuple(AHEAD), page.ahead_days if page else 30, f"bp_ahead_{tag}", lambda n: AHEAD.get(n, f"{n} days")
        )
    return {
        "minutes": minutes, "step_minutes": step, "most_a_day": most, "before_minutes": before, "after_minutes": after, "notice_hours": notice,
        "ahead_days": ahead,
    }  # fmt: skip


def _choice(label: str, options: tuple[int, ...], value: int, key: str, words: Any) -> int:
    offered = sorted({*options, value})
    return int(st.selectbox(label, offered, index=offered.index(value), format_func=words, key=key))


def _minutes(count: int) -> str:
    return "None" if count == 0 else f"{count} minutes"


def _hours(page: BookingPage | None, tag: str) -> dict[str, Any]:
    """Working hours of each person, a set of them, or the page's own: ``week`` as the texts that were typed."""
    actor = current_actor()
    sets: dict[int | str, str] = {one.id: one.name for one in load(calendars.find)} if actor.can("ticket", Action.READ) else {}
    kept = page.calendar_id if page else None
    options: list[int | str] = ["", *sets, *([kept] if kept and kept not in sets else []), "own"]
    names: dict[int | str, str] = {"": "Each person’s working hours", "own": "Hours of this page", **sets}
    now: int | str = "own" if page and page.week else kept or ""
    chosen = st.selectbox(
        "Hours", options, index=options.index(now), format_func=lambda one: names.get(one, "Working hours"), key=f"bp_hours_{tag}",
        help="Meetings in the calendar and absences are never offered. Each person’s hours: their shift, else those of the workspace.",
    )  # fmt: skip
    zone, week = page.timezone if page and page.week else actor.timezone, []
    if chosen == "own":
        zones = list(timezones())
        zones = zones if zone in zones else [zone, *zones]
        zone = st.selectbox("Time zone", zones, index=zones.index(zone), key=f"bp_zone_{tag}")
        st.caption("Such as 09:00–12:30, 13:30–17:00. Empty means no meetings.")
        with st.grid(2, min_column_width=220):
            for n, day in enumerate(WEEKDAYS):
                before = page.week[n] if page and page.week else [[9 * 60, 17 * 60]] if n < 5 else []
                shown = words_of(tuple((int(a), int(b)) for a, b in before)) if before else ""
                week.append(st.text_input(day, value=shown, placeholder="none", key=f"bp_day_{n}_{tag}") or "")
    return {"week": week, "timezone": zone, "calendar_id": chosen if isinstance(chosen, int) else None}


def _questions(page: BookingPage | None, tag: str) -> dict[str, Any]:
    st.caption("Name and e-mail address are always asked. What else do you want to know beforehand?")
    frame = pd.DataFrame(page.questions if page and page.questions else [], columns=["label", "required"])
    column = st.column_config
    edited = st.data_editor(
        frame.astype({"label": "object", "required": "bool"}), num_rows="dynamic", hide_index=True, key=f"bp_questions_{tag}",
        column_config={"label": column.TextColumn("Question", max_chars=120, width="large"), "required": column.CheckboxColumn("Needed", default=False)},
    )  # fmt: skip
    rows = [
        {"label": row["label"], "required": row.get("required") is True}
        for row in edited.to_dict("records")
        if isinstance(row["label"], str)
    ]
    phone = st.toggle(
        "Ask for a telephone number",
        value=page.ask_phone if page else False,
        key=f"bp_phone_{tag}",
        help="Always asked where you call",
    )
    remind = st.toggle("Remind visitors a day before", value=page.remind if page else True, key=f"bp_remind_{tag}")
    source = _source(page, tag)
    return {"questions": rows, "ask_phone": phone, "remind": remind, "source": source}


def _source(page: BookingPage | None, tag: str) -> str:
    """The source of leads that come through the page."""
    known = list((load(lambda session, _actor: registry(session, "lead")["source"]).options or {}).values())
    before = page.source if page else ""
    known = known if not before or before in known else [*known, before]
    return (
        st.selectbox(
            "Source of new leads", known, index=known.index(before) if before else None, placeholder="–", key=f"bp_source_{tag}"
        )
        or ""
    )


@st.dialog("Bookings", width="large", icon=":material/list:")
def bookings_dialog(page_id: int, name: str) -> None:
    """What was booked, the latest first; a press opens the meeting."""
    actor = current_actor()
    st.caption(fmt.md(name))
    for one in load(showing.unmarked, page_id):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key=f"unmarked_{one.id}"):
            st.markdown(f"Did **{fmt.md(one.name)}** come? :gray[{fmt.md(fmt.instant(actor, one.at))}]", width="content")
            came_buttons(one)
    show_problems()
    page = int(st.session_state.get(f"booked_page_{page_id}") or 1)
    rows, total = load(pages.bookings, page_id, page=page, size=LIST)
    if not rows:
        st.caption("Nobody has booked here yet.")
        return
    happened = table(
        [Column("who", "Who", sortable=False), Column("at", "When", sortable=False), Column("host", "With", sortable=False), Column("state", "State", sortable=False)],
        [(row.id, [Cell(row.who), Cell(fmt.instant(actor, row.at)), Cell(row.host), Cell(row.state.label, tone=TONES[row.state])]) for row in rows],
        key=f"booked_{page_id}",
        label="Bookings of this page",
    )  # fmt: skip
    if total > LIST:
        st.pagination(-(-total // LIST), key=f"booked_page_{page_id}")
    opened = next((row for row in rows if happened.opened == row.id), None)
    if opened is not None and opened.activity_id is not None:
        go("calendar", meeting=opened.activity_id, day=fmt.local(actor, opened.at).date().isoformat())
        st.rerun()
