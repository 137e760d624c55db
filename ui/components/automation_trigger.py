"""What starts an automation, on which conditions, what ends it early: the upper part of its editor."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor
from crm_core.entities import ENTITIES, entity
from crm_core.fields import FieldSpec, registry
from crm_core.kit.week import WEEKDAYS
from crm_core.services.automation import flow_rules
from crm_core.vocabulary import Action, FieldKind, Reentry, SurveyKind, TriggerKind
from ui import format as fmt
from ui.actions import load
from ui.components.automation_draft import Draft, blank, redraw
from ui.components.whole_input import whole_number
from ui.session import current_actor

SHORT = {
    TriggerKind.EVENT: "Something happens", TriggerKind.CHANGED: "A field changes", TriggerKind.DATE: "A date comes near",
    TriggerKind.SCHEDULE: "By the clock", TriggerKind.MANUAL: "By hand",
}  # fmt: skip
ICONS = {
    TriggerKind.EVENT: "bolt", TriggerKind.CHANGED: "edit", TriggerKind.DATE: "event", TriggerKind.SCHEDULE: "schedule",
    TriggerKind.MANUAL: "touch_app",
}  # fmt: skip
Wrong = Mapping[str, str]


def problem(wrong: Wrong, *places: str) -> None:
    """What is wrong at a place, there."""
    for place in places:
        if wrong.get(place):
            st.markdown(f":orange[:material/error: {fmt.md(wrong[place])}]")


def specs_of(session: Session, actor: Actor, key: str) -> dict[str, FieldSpec]:
    """The fields that the person may see."""
    return {name: spec for name, spec in registry(session, key).items() if not actor.masked(key, name)}


def about(draft: Draft, wrong: Wrong) -> None:
    """Its name, and which records it is about."""
    actor = current_actor()
    with st.container(border=True, key="auto_about"):
        name, of = st.columns([3, 2])
        before = draft.name
        draft.name = name.text_input(
            "Name *", value=draft.name, max_chars=120, key=f"{draft.tag}_name", placeholder="What it is good for, in a few words"
        )
        keys = [key for key in flow_rules.ENTITIES if actor.can(key, Action.READ) or key == draft.entity]
        chosen = of.selectbox(
            "It is about", keys, index=keys.index(draft.entity) if draft.entity in keys else None, key=f"{draft.tag}_entity",
            format_func=lambda key: entity(key).plural, disabled=draft.automation_id is not None,
            help="Stays as it is once the automation is saved" if draft.automation_id else None,
        )  # fmt: skip
        if chosen != draft.entity and chosen:
            draft.change({**blank(chosen), "steps": draft.steps})
            redraw()
        if draft.name != before:  # what was refused was the other name
            draft.refused.pop("name", None)
            wrong = {place: words for place, words in wrong.items() if place != "name"}
        problem(wrong, "name", "entity")


def when(draft: Draft, wrong: Wrong) -> None:
    """What starts it."""
    trigger = draft.flow.setdefault("trigger", {})
    with st.container(border=True, key="auto_when"):
        st.markdown("**When**")
        kinds = [kind.value for kind in TriggerKind]
        kind = st.pills(
            "When", kinds, default=trigger.get("kind") if trigger.get("kind") in kinds else kinds[0], required=True, key=f"{draft.tag}_kind",
            format_func=lambda one: f":material/{ICONS[TriggerKind(one)]}: {SHORT[TriggerKind(one)]}", label_visibility="collapsed",
        )  # fmt: skip
        if kind != trigger.get("kind"):
            draft.triggers[str(trigger.get("kind"))] = trigger
            trigger = draft.flow["trigger"] = draft.triggers.get(str(kind), {"kind": kind})
        _FORMS[TriggerKind(kind)](draft, trigger)
        problem(wrong, "trigger")


def _put(target: dict[str, Any], key: str, value: Any, shown: Any) -> None:
    """Take over what was changed; what only looks filled in stays as it is."""
    if value != shown:
        target[key] = value


def _event(draft: Draft, trigger: dict[str, Any]) -> None:
    known = flow_rules.EVENTS[draft.entity]
    shown = [one for one in trigger.get("events") or () if one in known]
    chosen = st.multiselect(
        "What happens", list(known), default=shown, format_func=lambda one: known[one], key=f"{draft.tag}_{draft.entity}_events",
        placeholder="Choose what it waits for", help="Any of these starts it",
    )  # fmt: skip
    _put(trigger, "events", chosen, list(trigger.get("events") or ()))
    if flow_rules.of_surveys(trigger):
        _surveys(draft, trigger)
    _imports(draft, trigger)


def _surveys(draft: Draft, trigger: dict[str, Any]) -> None:
    """Answers of which surveys."""
    names = SurveyKind.options()
    shown = [one for one in trigger.get("surveys") or () if one in names]
    chosen = st.multiselect(
        "Of which surveys", list(names), default=shown, format_func=lambda one: names[one], key=f"{draft.tag}_surveys", placeholder="Any kind",
    )  # fmt: skip
    _put(trigger, "surveys", chosen or None, shown or None)


def _imports(draft: Draft, trigger: dict[str, Any]) -> None:
    shown = bool(trigger.get("imports"))
    words = f"Also for {entity(draft.entity).plural.lower()} that an import brings"
    told = (
        f"Of a large import {fmt.written(draft.cap)} begin at once, the others behind each other, {fmt.written(draft.cap)} an hour"
    )
    _put(trigger, "imports", st.checkbox(words, value=shown, key=f"{draft.tag}_imports", help=told), shown)


def _changed(draft: Draft, trigger: dict[str, Any]) -> None:
    specs = {key: spec for key, spec in load(specs_of, draft.entity).items() if key not in ("created_at", "updated_at")}
    watched = {one["field"]: one for one in trigger.get("fields") or ()}
    shown = [key for key in watched if key in specs]
    chosen = st.multiselect(
        "Which field", list(specs), default=shown, format_func=lambda key: specs[key].label, placeholder="Choose a field or several",
        key=f"{draft.tag}_{draft.entity}_watched", help="A change of any of these starts it",
    )  # fmt: skip
    if chosen != list(watched):
        trigger["fields"] = [watched.get(key, {"field": key}) for key in chosen]
    for one in trigger.get("fields") or ():
        if one["field"] in specs:
            _from_to(draft, specs[one["field"]], one)
    _imports(draft, trigger)


def _from_to(draft: Draft, spec: FieldSpec, one: dict[str, Any]) -> None:
    """From which value and to which, where values can be listed."""
    options = load(values_of, spec, [*(one.get("from") or ()), *(one.get("to") or ())])
    if not options:
        st.caption(f"Any change of {fmt.md(spec.label)}. Ask for values under *If*.")
        return
    columns = st.columns(2)
    for column, side, words in zip(columns, ("from", "to"), ("from", "to"), strict=True):
        shown = [value for value in one.get(side) or () if value in options]
        chosen = column.multiselect(
            f"{fmt.md(spec.label)} {words}", list(options), default=shown, format_func=lambda value: options[value], placeholder="anything",
            key=f"{draft.tag}_{spec.key}_{side}",
        )  # fmt: skip
        _put(one, side, chosen or None, shown or None)


def values_of(session: Session, actor: Actor, spec: FieldSpec, chosen: Sequence[Any] = ()) -> dict[Any, str]:
    """The values of a field that can be listed, as the log keeps them; {} when they can't."""
    if spec.kind is FieldKind.BOOLEAN:
        return {True: "Yes", False: "No"}
    if spec.to in ENTITIES and ENTITIES[spec.to or ""].lookup:
        return lists.choices(session, actor, spec.to or "", limit=500, include=[one for one in chosen if isinstance(one, int)])  # type: ignore[return-value]
    return dict(spec.options or {})


def _date(draft: Draft, trigger: dict[str, Any]) -> None:
    specs = {key: spec for key, spec in load(specs_of, draft.entity).items() if spec.kind in (FieldKind.DATE, FieldKind.DATETIME)}
    keys, days = list(specs), int(trigger.get("days") or 0)
    which, side, many = st.columns([3, 3, 2], vertical_alignment="bottom")
    chosen = which.selectbox(
        "Which date", keys, index=keys.index(trigger["field"]) if trigger.get("field") in keys else None, placeholder="Choose a date",
        format_func=lambda key: specs[key].label, key=f"{draft.tag}_{draft.entity}_date",
    )  # fmt: skip
    _put(trigger, "field", chosen, trigger.get("field"))
    sides = {"on": "on the day", "before": "days before", "after": "days after"}
    shown = "on" if not days else "before" if days < 0 else "after"
    where = side.selectbox(
        "Begins", list(sides), index=list(sides).index(shown), format_func=lambda one: sides[one], key=f"{draft.tag}_side"
    )
    if where != "on":
        number = whole_number("Days", 1, 730, abs(days) or 1, key=f"{draft.tag}_days", place=many)
        days = -number if where == "before" else number
    _put(trigger, "days", 0 if where == "on" else days, int(trigger.get("days") or 0))
    yearly = bool(trigger.get("yearly"))
    _put(trigger, "yearly", st.checkbox("Every year, as with birthdays", value=yearly, key=f"{draft.tag}_yearly"), yearly)
    _hour(draft, trigger)


def _schedule(draft: Draft, trigger: dict[str, Any]) -> None:
    often, day = st.columns(2, vertical_alignment="bottom")
    rhythm = {"day": "Every day", "week": "Every week"}
    shown = "week" if trigger.get("every") == "week" else "day"
    every = often.segmented_control(
        "How often", list(rhythm), default=shown, required=True, format_func=lambda one: rhythm[one], key=f"{draft.tag}_every"
    )
    trigger["every"] = every
    if every == "week":
        before = int(trigger.get("weekday") or 0)
        on = day.selectbox("On", range(7), index=before, format_func=lambda n: WEEKDAYS[n], key=f"{draft.tag}_weekday")
        _put(trigger, "weekday", on, trigger.get("weekday"))
    _hour(draft, trigger)
    st.caption(f"Each time it looks at all {entity(draft.entity).plural.lower()} that match, and takes them up one by one.")


def _hour(draft: Draft, trigger: dict[str, Any]) -> None:
    shown = flow_rules.hour_of(trigger)
    hour = st.selectbox(
        "At", range(24), index=shown, format_func=lambda n: f"{n:02}:00", key=f"{draft.tag}_hour", width=140,
        help="In the time zone of whoever switches it on",
    )  # fmt: skip
    _put(trigger, "hour", hour, shown)


def _manual(draft: Draft, trigger: dict[str, Any]) -> None:
    st.caption(
        f"Once it is switched on, people start it with :material/bolt: on the page of a {entity(draft.entity).label.lower()}, or here beside."
    )


_FORMS = {
    TriggerKind.EVENT: _event, TriggerKind.CHANGED: _changed, TriggerKind.DATE: _date, TriggerKind.SCHEDULE: _schedule,
    TriggerKind.MANUAL: _manual,
}  # fmt: skip


def conditions(draft: Draft, wrong: Wrong) -> None:
    """Which records, and how they were before the change."""
    plural = entity(draft.entity).plural.lower()
    with st.container(border=True, key="auto_if"):
        st.markdown("**If**")
        if not draft.flow.get("if"):
            st.caption(f"For all {plural}. Add a condition to take up only some.")
        flaw = draft.condition("if", draft.flow)
        problem({"if": flaw} if flaw else wrong, "if")
        kind = (draft.flow.get("trigger") or {}).get("kind")
        if kind in (TriggerKind.EVENT.value, TriggerKind.CHANGED.value) or draft.flow.get("before"):
            with st.expander("How it was before the change", expanded=bool(draft.flow.get("before")), key=f"{draft.tag}_was"):
                st.caption("Asked of the values just before, such as: the amount *was* below 1,000.")
                flaw = draft.condition("before", draft.flow, "before")
                problem({"before": flaw} if flaw else wrong, "before")


def limits(draft: Draft, wrong: Wrong) -> None:
    """What ends it early, whether a record is taken up again, how many runs an hour are too many."""
    flow, one = draft.flow, entity(draft.entity).label.lower()
    with st.expander(
        "Ends early, begins again, limit", expanded=bool(flow.get("goal") or wrong.get("goal")), key=f"{draft.tag}_more"
    ):
        st.markdown("**Ends early when**")
        st.caption("Looked at before each step: the goal is reached, so the rest is left out.")
        flaw = draft.condition("goal", flow, "goal")
        problem({"goal": flaw} if flaw else wrong, "goal")
        again, rest, most = st.columns(3, vertical_alignment="bottom")
        ways: dict[str, str] = {kind.value: kind.label for kind in Reentry}
        shown = str(flow.get("reentry") if flow.get("reentry") in ways else Reentry.IDLE.value)
        chosen = again.selectbox(
            f"The same {one} again",
            list(ways),
            index=list(ways).index(shown),
            format_func=lambda key: ways[key],
            key=f"{draft.tag}_again",
        )
        _put(flow, "reentry", chosen, shown)
        if chosen != Reentry.ONCE.value:
            days = int(flow.get("rest_days") or 0)
            _put(flow, "rest_days", whole_number("Not again within days", 0, 3650, days, key=f"{draft.tag}_rest", place=rest), days)
        draft.cap = whole_number(
            "At most an hour", 1, flow_rules.MOST_AN_HOUR, draft.cap, key=f"{draft.tag}_cap", place=most,
            help="More runs within an hour look like a mistake: it pauses and tells you. What imports bring begins at that pace instead",
        )  # fmt: skip
        problem(wrong, "hourly_cap")
