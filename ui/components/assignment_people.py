"""People as far as work goes: a row each, the dialog of skills, limits and shift, the dialog of absences."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from crm_core.entities import label_of
from crm_core.kit import clock
from crm_core.kit.text import sort_key
from crm_core.services.helpdesk import calendars
from crm_core.services.routing import people
from crm_core.services.routing.choice_rules import TOP_SKILL
from crm_core.services.routing.people import AbsenceView, PersonView
from crm_core.services.routing.standing import KINDS
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.day_input import day_input
from ui.components.parts_clash import Part, clashing, save_parts, saver
from ui.components.whole_input import whole_number_or_none
from ui.session import current_actor


def people_list() -> None:
    """Everybody whom the viewer looks after."""
    found = load(people.find)
    q = st.text_input(
        "Find somebody", key="ap_q", placeholder="Name, team or skill", label_visibility="collapsed", icon=":material/search:"
    )
    words = (q or "").casefold().strip()
    shown = [one for one in found if words in " ".join((one.name, one.team, *one.skills)).casefold()]
    if not shown:
        st.caption("Nobody fits this search." if found else "There is nobody whom you look after.")
    for person in shown:
        person_row(person)


def person_row(person: PersonView) -> None:
    """One person: what they can, how full they are, whether they get work now."""
    with (
        st.container(border=True, key=f"person_{person.id}"),
        st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"),
    ):
        with st.container(width="content", gap=None):
            st.markdown(
                f"**{fmt.md(person.name)}** {state_badge(person)}" + (f" :gray[{fmt.md(person.team)}]" if person.team else "")
            )
            st.caption(fmt.md(about(person)))
            for one in person.absences:
                st.caption(fmt.md(f"Away {span_of(one)}" + (f" · {one.note}" if one.note else "")))
        if person.may_edit or person.id == current_actor().user_id:
            with st.container(horizontal=True, width="content", gap="small"):
                if st.button("Absence", icon=":material/event_busy:", key=f"ap_away_{person.id}", type="tertiary"):
                    absence_dialog(person)
                if person.may_edit and st.button("Change", icon=":material/edit:", key=f"ap_edit_{person.id}", type="tertiary"):
                    person_dialog(person)


def state_badge(person: PersonView) -> str:
    """Whether somebody gets work at this moment (Markdown)."""
    if not person.takes_work:
        return ":gray-badge[Takes no work]"
    if person.away:
        return ":orange-badge[Away]"
    if not person.on_shift:
        return ":gray-badge[Not on shift]"
    return ":green-badge[Takes work]"


def about(person: PersonView) -> str:
    """Skills, open work and shift in a line of plain text."""
    load_ = [
        f"{person.load[key]}{f' of {person.capacity[key]}' if key in person.capacity else ''} open {label_of(key, plural=True).lower()}"
        for key in KINDS
        if person.load[key] or key in person.capacity
    ]
    skills = ", ".join(f"{name} {level}" for name, level in sorted(person.skills.items(), key=lambda skill: sort_key(skill[0])))
    return " · ".join(part for part in (", ".join(load_) or "nothing open", skills or "no skills entered", person.shift) if part)


def span_of(one: AbsenceView) -> str:
    """From when to when, in the viewer's way of writing days."""
    actor = current_actor()
    first, last = fmt.day(actor, one.first_on), fmt.day(actor, one.last_on)
    return first if one.first_on == one.last_on else f"{first} to {last}"


@st.dialog("Skills, limits and shift", width="medium", icon=":material/badge:")
def person_dialog(person: PersonView) -> None:
    """What somebody can, how much they may have open, when they work."""
    st.markdown(f"**{fmt.md(person.name)}**")
    takes = st.toggle("Takes work from assignment rules", value=person.takes_work, key=f"pd_takes_{person.id}")
    st.caption(
        f"Skills with a level from 1 to {TOP_SKILL}. A rule may ask for one by name, or for the one called like a ticket’s category."
    )
    table = st.data_editor(
        pd.DataFrame([{"Skill": name, "Level": level} for name, level in sorted(person.skills.items(), key=lambda skill: sort_key(skill[0]))] or [{"Skill": "", "Level": 3}]),
        hide_index=True, num_rows="dynamic", key=f"pd_skills_{person.id}",
        column_config={
            "Skill": st.column_config.TextColumn(max_chars=60),
            "Level": st.column_config.NumberColumn(min_value=1, max_value=TOP_SKILL, step=1, default=3),
        },
    )  # fmt: skip
    st.caption("At most so many open at once; empty means no limit.")
    capacity = {
        key: whole_number_or_none(
            label_of(key, plural=True), 0, 10_000, person.capacity.get(key), key=f"pd_cap_{key}_{person.id}", place=column
        )
        for column, key in zip(st.columns(len(KINDS)), KINDS, strict=True)
    }
    known = {one.id: one.name for one in load(calendars.find)} if current_actor().can("ticket", Action.READ) else {}
    before = person.calendar_id if person.calendar_id in known else None
    calendar_id = st.selectbox(
        "Shift", list(known), index=list(known).index(before) if before else None, format_func=lambda one: known[one], placeholder="Round the clock",
        key=f"pd_shift_{person.id}", help="Working hours are made under Service levels",
    )  # fmt: skip
    name = f"profile_{person.id}_{person.version}"
    pressed = st.button("Save", type="primary", key=f"pd_save_{person.id}", disabled=clashing(name))
    mine = {"takes_work": takes, "skills": _skills(table), "capacity": _limits(capacity), "calendar_id": calendar_id}
    parts = {
        "takes_work": Part("Takes work", lambda value: "Yes" if value else "No"),
        "skills": Part("Skills", lambda value: ", ".join(f"{skill} {level}" for skill, level in value.items())),
        "capacity": Part("Most open at once", _limit_words),
        "calendar_id": Part("Shift", lambda value: known.get(value, "Round the clock")),
    }

    save = saver(people.save, fmt.md(f"{person.name} saved."), spread=True)
    if save_parts(name, pressed, seen=person, mine=mine, parts=parts, values_of=_profile, save=save):
        st.rerun()
    show_problems()


def _profile(row: Any) -> dict[str, Any]:
    return {"takes_work": row.takes_work, "skills": row.skills, "capacity": row.capacity, "calendar_id": row.calendar_id}


def _limits(capacity: Mapping[str, Any]) -> dict[str, int]:
    return {key: int(value) for key, value in capacity.items() if value is not None}


def _limit_words(capacity: Mapping[str, int]) -> str:
    return ", ".join(f"{most} {label_of(key, plural=True).lower()}" for key, most in capacity.items())


def _skills(table: pd.DataFrame) -> dict[str, int]:
    rows: Sequence[dict[Any, Any]] = table.to_dict("records")
    return {str(row["Skill"]).strip(): int(row["Level"]) for row in rows if _given(row["Skill"]) and _given(row["Level"])}


def _given(value: Any) -> bool:
    return value is not None and not pd.isna(value) and str(value).strip() != ""


@st.dialog("Absence", width="medium", icon=":material/event_busy:")
def absence_dialog(person: PersonView) -> None:
    """Days on which somebody is away; the ones entered, to take back."""
    st.markdown(f"**{fmt.md(person.name)}**")
    today = clock.today(current_actor().timezone)
    days = day_input("From and to", value=(today, today + timedelta(days=6)), key=f"ad_days_{person.id}")
    note = st.text_input("Note", key=f"ad_note_{person.id}", max_chars=120, placeholder="Holiday")
    hand_on = st.checkbox("Give the open tickets that a rule assigned to others meanwhile", value=True, key=f"ad_hand_{person.id}")
    if st.button("Enter", type="primary", key=f"ad_save_{person.id}"):
        chosen: tuple[date, ...] = days if isinstance(days, tuple) else (days,)
        if not chosen:
            st.error("Choose the days.")
            return
        done = perform(
            people.add_absence, person.id, first_on=chosen[0], last_on=chosen[-1], note=note or "", hand_on=hand_on, success="Absence entered."
        )  # fmt: skip
        if done is not None:
            st.rerun()
        show_problems()
    for one in person.absences:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(fmt.md(span_of(one) + (f" · {one.note}" if one.note else "")), width="content")
            if st.button("Remove", key=f"ad_remove_{one.id}", type="tertiary", icon=":material/delete:"):
                if perform(people.remove_absence, one.id, success="Absence removed.") is not None:
                    st.rerun()
                show_problems()
