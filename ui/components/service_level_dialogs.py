"""Dialogs of service levels: the promises of one, the working hours, and what a level would have meant on the past."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from crm_core import lists
from crm_core.fields import registry
from crm_core.kit.business_calendar import BusinessCalendar, DayException, Minutes
from crm_core.kit.hours import UnreadableError, spans_of, words_of
from crm_core.kit.week import WEEKDAYS
from crm_core.services.admin.founding import timezones
from crm_core.services.helpdesk import calendars, service_levels, sla_replay
from crm_core.services.helpdesk.calendars import CalendarView
from crm_core.services.helpdesk.service_levels import PolicyView
from crm_core.vocabulary import Priority, SlaTarget
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.escalation_editor import escalation_editor
from ui.components.rows_clash import begin, grid_of, mine_stay, save_rows
from ui.components.sla_card import minutes_of, span
from ui.session import current_actor

ORDER = (Priority.URGENT, Priority.HIGH, Priority.NORMAL, Priority.LOW)
LEVEL, HOURS = "service_level", "working_hours"
START = {"urgent": (60, 120, 480), "high": (120, 240, 960), "normal": (240, 480, 1_920), "low": (480, 960, 4_800)}
"""Minutes that a new level starts with: hours for what burns, working days for the rest."""


# --- a service level ----------------------------------------------------------------------------------------------------------


def policy_dialog(policy: PolicyView | None) -> None:
    """Begin to change a service level, or to make one."""
    begin(LEVEL, [policy])
    _policy_dialog()


@st.dialog("Service level", width="large", icon=":material/timer:")
def _policy_dialog() -> None:
    """Which tickets, in which hours, what is promised, who hears of a breach; and the same on the last 90 days."""
    known, grid = load(calendars.find), grid_of(LEVEL)
    policy: PolicyView | None = grid.seen[0]
    tag = f"{policy.id}_{grid.turn}" if policy else "new"
    left, right = st.columns(2)
    name = left.text_input(
        "Name *", value=policy.name if policy else "", max_chars=80, key=f"sl_name_{tag}", placeholder="Standard"
    )
    hours: dict[int | None, str] = {None: "Round the clock", **{one.id: one.name for one in known}}
    before = policy.calendar_id if policy else (known[0].id if known else None)
    calendar_id = right.selectbox(
        "Working hours", list(hours), index=list(hours).index(before if before in hours else None), format_func=lambda one: hours[one], key=f"sl_hours_{tag}"
    )  # fmt: skip
    chosen = _categories(policy, left, tag)
    escalate = _escalation(policy, right, tag)
    st.caption("Times as 30m, 4h or 1h 30m, counted in the working hours. Empty: nothing is promised.")
    table = _targets_table(policy, tag)
    steps = escalation_editor(policy.escalation if policy else (), tag)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        tried = st.button("Try it on the last 90 days", icon=":material/history:", key=f"sl_try_{tag}")
        saved = st.button("Save", type="primary", key=f"sl_save_{tag}", disabled=grid.theirs is not None)
    mine = mine_stay(LEVEL, "this service level", partial(_policy_words, hours))
    if not (tried or saved or mine):
        return
    try:
        targets, ast = _targets(table), _filter(policy, chosen)
    except UnreadableError as error:
        st.error(fmt.md(str(error)), icon=":material/error:")
        return
    if tried:
        _show_replay(targets, ast, calendar_id)
        return
    given: dict[str, Any] = {
        "name": name or "",
        "targets": targets,
        "filter": ast,
        "calendar_id": calendar_id,
        "escalate_to_id": escalate,
        "escalation": steps,
    }

    def save(base: Sequence[PolicyView | None]) -> Any:
        now = base[0]
        kept = {"is_active": now.is_active, "base_version": now.version} if now else {}
        words = "Service level saved. Open tickets follow within a moment."
        return perform(service_levels.save, now.id if now else None, **given, **kept, success=words)

    save_rows(LEVEL, save)
    show_problems()


def _policy_words(hours: Mapping[int | None, str], rows: Sequence[PolicyView]) -> str:
    """``Standard, Office: Urgent first answer 1h, …``."""
    row = rows[0]
    promised = [
        f"{priority.label} " + ", ".join(f"{target.label.lower()} {span(minutes)}" for target in SlaTarget if (minutes := row.targets[priority.value].get(target.value)))
        for priority in ORDER
        if row.targets.get(priority.value)
    ]  # fmt: skip
    return f"{row.name}, {hours.get(row.calendar_id, 'other hours').lower()}: {'; '.join(promised)}"


def _categories(policy: PolicyView | None, where: Any, tag: str) -> list[str] | None:
    """The categories that the level is for; None when its filter is of another kind, which is then kept as it is."""
    before = _plain_categories(policy.filter if policy else None)
    if before is None:
        where.text_input("Which tickets?", value="A filter made elsewhere; it stays", disabled=True, key=f"sl_filter_{tag}")
        return None
    options = load(lambda session, _actor: registry(session, "ticket")["category"]).options or {}
    values = list(dict.fromkeys([*options.values(), *before]))
    return where.multiselect("Which tickets?", values, default=before, placeholder="All of them", key=f"sl_categories_{tag}")


def _plain_categories(ast: Mapping[str, Any] | None) -> list[str] | None:
    if not ast:
        return []
    plain = ast.get("field") == "category" and ast.get("cmp") == "in"
    return [str(one) for one in ast.get("value", ())] if plain else None


def _filter(policy: PolicyView | None, chosen: list[str] | None) -> dict[str, Any] | None:
    if chosen is None:
        return policy.filter if policy else None
    return {"field": "category", "cmp": "in", "value": chosen} if chosen else None


def _escalation(policy: PolicyView | None, where: Any, tag: str) -> int | None:
    people = load(lists.choices, "user", limit=500)
    before = policy.escalate_to_id if policy and policy.escalate_to_id in people else None
    return where.selectbox(
        "Who gets a task when it breaks?", list(people), index=list(people).index(before) if before else None, format_func=lambda one: people[one],
        placeholder="The manager of whoever has the ticket", key=f"sl_escalate_{tag}",
    )  # fmt: skip


def _targets_table(policy: PolicyView | None, tag: str) -> pd.DataFrame:
    rows = []
    for priority in ORDER:
        given = (
            policy.targets.get(priority.value, {})
            if policy
            else dict(zip(("first", "next", "resolve"), START[priority.value], strict=True))
        )
        rows.append({"priority": priority.label, **{target.value: span(given.get(target.value)) for target in SlaTarget}})
    text = st.column_config.TextColumn
    return st.data_editor(
        pd.DataFrame(rows),
        hide_index=True,
        placeholder=fmt.NOTHING,
        disabled=["priority"],
        key=f"sl_targets_{tag}",
        column_config={"priority": text("Priority"), **{target.value: text(target.label, max_chars=20) for target in SlaTarget}},
    )


def _targets(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for priority, row in zip(ORDER, table.to_dict("records"), strict=True):
        for target in SlaTarget:
            text = row.get(target.value)
            try:
                minutes = minutes_of(None if text is None or pd.isna(text) else str(text))
            except ValueError as error:
                raise UnreadableError(f"“{text}” is not a time. Write 30m, 4h or 1h 30m.") from error
            if minutes is not None:
                found.setdefault(priority.value, {})[target.value] = minutes
    return found


def _show_replay(targets: dict[str, dict[str, int]], ast: dict[str, Any] | None, calendar_id: int | None) -> None:
    actor = current_actor()
    with st.spinner("Trying it on the past …"):
        found = load(sla_replay.replay, targets=targets, filter=ast, calendar_id=calendar_id)
    if not found.rows:
        st.info(
            "No ticket of the last 90 days that you may see falls under this level, so nothing can be said.", icon=":material/info:"
        )
        return
    st.markdown(
        f"**Would have been kept** · {fmt.plural(found.tickets, 'ticket')} since {fmt.md(fmt.day(actor, fmt.local(actor, found.since).date()))}"
    )
    st.table(
        {
            "Promise": [f"{row.priority.label}: {row.target.label.lower()} in {span(row.minutes)}" for row in found.rows],
            "Kept": [f"{row.kept} of {row.decided}" for row in found.rows],
            "Share": [fmt.md(f"{fmt.percent(actor, row.kept / row.decided, 0)} ({fmt.percent(actor, row.low, 0)} to {fmt.percent(actor, row.high, 0)})") for row in found.rows],
            "Took, median": [fmt.duration(row.median_seconds) for row in found.rows],
        },
        border="horizontal",
    )  # fmt: skip
    st.caption(
        "Waiting for others does not count, as far as the log knows of it. The range is the 95% Wilson interval of the share."
        + (f" {fmt.plural(found.undecided, 'promise')} still open and in time left out." if found.undecided else "")
        + (" Only the newest 5,000 tickets were looked at." if found.cut else "")
    )


# --- working hours ------------------------------------------------------------------------------------------------------------


def calendar_dialog(calendar: CalendarView | None) -> None:
    """Begin to change working hours, or to make some."""
    begin(HOURS, [calendar])
    _calendar_dialog()


@st.dialog("Working hours", width="medium", icon=":material/schedule:")
def _calendar_dialog() -> None:
    """A name, a time zone, the hours of each weekday, and days on which others hold."""
    grid = grid_of(HOURS)
    calendar: CalendarView | None = grid.seen[0]
    tag = f"{calendar.id}_{grid.turn}" if calendar else "new"
    left, right = st.columns(2)
    name = left.text_input(
        "Name *", value=calendar.name if calendar else "", max_chars=80, key=f"cal_name_{tag}", placeholder="Office"
    )
    zones = list(timezones())
    here = calendar.hours.timezone if calendar else current_actor().timezone
    zones = zones if here in zones else [here, *zones]
    zone = right.selectbox("Time zone", zones, index=zones.index(here), key=f"cal_zone_{tag}")
    st.caption("Such as 09:00–12:30, 13:30–17:00. Empty means closed.")
    texts = [_day_input(n, calendar, tag) for n in range(7)]
    st.markdown("**Other hours on single days** · holidays stay empty")
    special = _exceptions_table(calendar, tag)
    pressed = st.button("Save", type="primary", key=f"cal_save_{tag}", disabled=grid.theirs is not None)
    if mine_stay(HOURS, "these working hours", _hours_words) or pressed:
        try:
            week, exceptions = [spans_of(text) for text in texts], _exceptions(special)
        except UnreadableError as error:
            st.error(fmt.md(str(error)), icon=":material/error:")
            return
        given: dict[str, Any] = {"name": name or "", "timezone": zone, "week": week, "exceptions": exceptions}

        def save(base: Sequence[CalendarView | None]) -> Any:
            now = base[0]
            version, words = now.version if now else None, "Working hours saved."
            return perform(calendars.save, now.id if now else None, **given, base_version=version, success=words)

        save_rows(HOURS, save)
        show_problems()


def _hours_words(rows: Sequence[CalendarView]) -> str:
    """``Office, Europe/Berlin: Mon–Fri 09:00–17:00; other hours: Dec 24``."""
    row, actor = rows[0], current_actor()
    special = ", ".join(f"{fmt.day(actor, one.first)} {words_of(one.hours) or 'closed'}" for one in row.hours.exceptions[:10])
    return f"{row.name}, {row.hours.timezone}: {week_words(row.hours)}" + (f"; other hours: {special}" if special else "")


def _day_input(n: int, calendar: CalendarView | None, tag: str) -> str:
    usual: tuple[Minutes, ...] = ((540, 1_020),) if n < 5 else ()
    shown = words_of(calendar.hours.week[n] if calendar else usual)
    return st.text_input(WEEKDAYS[n], value=shown, placeholder="closed", key=f"cal_day_{n}_{tag}") or ""


def _exceptions_table(calendar: CalendarView | None, tag: str) -> pd.DataFrame:
    rows = [
        {"first": one.first, "last": one.last, "name": one.name, "hours": words_of(one.hours)}
        for one in (calendar.hours.exceptions if calendar else ())
    ]
    day, text = st.column_config.DateColumn, st.column_config.TextColumn
    return st.data_editor(
        pd.DataFrame(rows, columns=["first", "last", "name", "hours"]),
        num_rows="dynamic",
        hide_index=True,
        placeholder=fmt.NOTHING,
        key=f"cal_special_{tag}",
        column_config={"first": day("From", required=True), "last": day("To"), "name": text("What", max_chars=80), "hours": text("Hours")},
    )  # fmt: skip


def _exceptions(table: pd.DataFrame) -> list[DayException]:
    found = []
    for row in table.to_dict("records"):
        first = _day(row.get("first"))
        if first is None:
            continue
        last = _day(row.get("last")) or first
        if last < first:
            raise UnreadableError("A period of special hours can't end before it starts.")
        found.append(DayException(first, last, tuple(spans_of(_text(row.get("hours")))), _text(row.get("name"))))
    return found


def _text(raw: Any) -> str:
    return "" if raw is None or pd.isna(raw) else str(raw)


def _day(raw: Any) -> date | None:
    return None if raw is None or pd.isna(raw) else pd.Timestamp(raw).date()


def week_words(hours: BusinessCalendar) -> str:
    """A week in one line: equal days together."""
    parts: list[tuple[str, str, str]] = []
    for n, spans in enumerate(hours.week):
        shown = words_of(spans) or "closed"
        if parts and parts[-1][2] == shown:
            parts[-1] = (parts[-1][0], WEEKDAYS[n][:3], shown)
        else:
            parts.append((WEEKDAYS[n][:3], WEEKDAYS[n][:3], shown))
    return " · ".join(f"{a if a == b else f'{a}–{b}'} {shown}" for a, b, shown in parts if shown != "closed")
