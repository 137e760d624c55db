"""How soon new leads are contacted, and which tasks are raised by themselves."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from crm_core import lists
from crm_core.fields import registry
from crm_core.services.helpdesk import calendars
from crm_core.services.routing import nudges
from crm_core.services.routing.nudges import SpeedView
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.rows_clash import mine_stay, on_page, save_rows, typed_into
from ui.components.sla_card import minutes_of, span
from ui.components.whole_input import whole_number
from ui.session import current_actor

OTHERS = "All other sources"
SPEED = "speed_targets"
ENOUGH = 10
"""From so many leads on each side it is said what became of them."""


def follow_tab(may_edit: bool) -> None:
    """Targets of the first contact with their figures, then the switches."""
    with st.container(border=True):
        _speed(may_edit)
    with st.container(border=True):
        _tasks(may_edit)


def _speed(may_edit: bool) -> None:
    st.markdown("**First contact with new leads**")
    st.caption("From when a lead comes in to the first call, e-mail or meeting, in working time. When it is late its owner is told, after twice the time their manager.")  # fmt: skip
    found = load(nudges.figures)
    if found is not None and found.leads:
        parts = [f"{fmt.plural(found.leads, 'lead')} of the last 30 days"]
        parts += [f"{found.within} of {found.decided} within target"] if found.decided else []
        parts += [f"median {fmt.duration(found.median_seconds)}"] if found.median_seconds is not None else []
        parts += [f"nine of ten within {fmt.duration(found.p90_seconds)}"] if found.p90_seconds is not None else []
        parts += [f"{found.waiting} still wait"] if found.waiting else []
        st.markdown(fmt.md(" · ".join(parts)))
        if min(found.in_time.leads, found.late.leads) >= ENOUGH:
            words = " · ".join((_became("reached in time", found.in_time), _became("later or not yet", found.late)))
            st.caption(
                fmt.md(
                    f"Of the leads of the last {nudges.OUTCOME_DAYS} days were converted: {words}. That speed is the reason is not proven by it."
                )
            )
    people, hours = load(lists.choices, "user", limit=500), _hours()
    sources = [OTHERS, *(load(lambda session, _actor: registry(session, "lead")["source"]).options or {}).values()]
    grid = on_page(SPEED, load(nudges.targets), lambda kept: typed_into(f"speed_rows_{kept.turn}"))
    rows = [
        {"Source": one.source or OTHERS, "Within": span(one.minutes), "Working hours": hours.get(one.calendar_id), "Tell when twice as late": people.get(one.escalate_to_id or 0)}
        for one in grid.seen
    ]  # fmt: skip
    columns = ["Source", "Within", "Working hours", "Tell when twice as late"]
    table = st.data_editor(
        pd.DataFrame(rows or [dict.fromkeys(columns)], columns=columns).astype("object"), hide_index=True, num_rows="dynamic", placeholder=fmt.NOTHING, key=f"speed_rows_{grid.turn}", disabled=not may_edit,
        column_config={
            "Source": st.column_config.SelectboxColumn(options=sources),
            "Within": st.column_config.TextColumn(max_chars=20, help="30m, 4h or 1h 30m"),
            "Working hours": st.column_config.SelectboxColumn(options=list(hours.values()), help="Empty: round the clock"),
            "Tell when twice as late": st.column_config.SelectboxColumn(options=list(people.values()), help="Empty: the owner’s manager"),
        },
    )  # fmt: skip
    mine = mine_stay(SPEED, "the targets of speed", partial(_listed, people, hours))
    if may_edit and (st.button("Save targets", key="save_speed", disabled=grid.theirs is not None) or mine):
        _save(table, {name: one for one, name in people.items()}, {name: one for one, name in hours.items()})
        show_problems()


def _became(words: str, found: nudges.Became) -> str:
    from ml.lift import wilson  # loads libraries that the page needs for this line alone

    low, high = wilson(found.converted, found.leads)
    return f"{words} {found.converted} of {found.leads} ({found.converted / found.leads:.0%}, {low:.0%} to {high:.0%})"


def _hours() -> dict[int | None, str]:
    if not current_actor().can("ticket", Action.READ):
        return {}
    return {one.id: one.name for one in load(calendars.find)}


def _save(table: pd.DataFrame, people: dict[str, Any], hours: dict[str, Any]) -> None:
    made = []
    for row in table.astype("object").where(table.notna(), None).to_dict("records"):
        if not row["Source"] or not row["Within"]:
            continue
        minutes = _minutes(row["Within"])
        if minutes is None:
            st.error(f"“{fmt.md(row['Within'])}” is not a time. Write 30m, 4h or 1h 30m.")
            return
        source = None if row["Source"] == OTHERS else row["Source"]
        made.append(SpeedView(source, minutes, hours.get(row["Working hours"]), people.get(row["Tell when twice as late"])))
    save_rows(SPEED, lambda base: perform(nudges.set_targets, made, base=base, success="Targets saved."))


def _listed(people: Mapping[int, str], hours: Mapping[int | None, str], rows: Sequence[SpeedView]) -> str:
    """``Web: 1h in Office, Other sources: 4h``."""
    shown = [
        f"{one.source or OTHERS}: {span(one.minutes)}" + (f" in {hours.get(one.calendar_id, 'other hours')}" if one.calendar_id else "")
        + (f", then {people.get(one.escalate_to_id, 'somebody')}" if one.escalate_to_id else "")
        for one in rows
    ]  # fmt: skip
    return "; ".join(shown) or "no targets"


def _minutes(text: str) -> int | None:
    try:
        return minutes_of(str(text))
    except ValueError:
        return None


def _tasks(may_edit: bool) -> None:
    found = load(nudges.switches)
    st.markdown("**Tasks that are raised by themselves**")
    st.caption("Every morning, for the owner, once for each quiet spell, and only where no task is open.")
    idle = st.toggle(
        "Deals that are idle: no contact for as many working days as their stage allows (set under Pipelines)",
        value=found["idle"],
        key="nudge_idle",
        disabled=not may_edit,
    )
    line = st.columns([3, 1], vertical_alignment="center")
    steps = line[0].toggle(
        "Deals without a next step, after days in their stage:", value=found["steps"], key="nudge_steps", disabled=not may_edit
    )
    steps_days = whole_number(
        "Days",
        1,
        365,
        int(found["steps_days"]),
        key="nudge_steps_days",
        place=line[1],
        label_visibility="collapsed",
        disabled=not may_edit,
    )
    line = st.columns([3, 1], vertical_alignment="center")
    leads = line[0].toggle(
        "Leads that nobody has contacted, after days:", value=found["leads"], key="nudge_leads", disabled=not may_edit
    )
    leads_days = whole_number(
        "Days ",
        1,
        365,
        int(found["leads_days"]),
        key="nudge_leads_days",
        place=line[1],
        label_visibility="collapsed",
        disabled=not may_edit,
    )
    if may_edit:
        values = {"idle": idle, "steps": steps, "steps_days": steps_days, "leads": leads, "leads_days": leads_days}
        st.button("Save", key="save_nudges", on_click=_save_switches, args=(values,))


def _save_switches(values: dict[str, Any]) -> None:
    perform(nudges.set_switches, values, success="Saved.")
