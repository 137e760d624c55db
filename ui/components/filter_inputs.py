"""Inputs for the value of a condition, and conditions in words: shared by the filter of lists and the segment builder."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import streamlit as st
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor
from crm_core.entities import ENTITIES
from crm_core.fields import FieldSpec
from crm_core.filters import COMPARISONS, in_words
from crm_core.kit.money import most_major, to_major, to_minor
from crm_core.vocabulary import FieldKind
from ui import format as fmt
from ui.actions import load
from ui.components.day_input import day_input
from ui.components.picker import picker
from ui.session import current_actor

RELATIVE = {
    "today": "today",
    "-7d": "7 days ago",
    "-30d": "30 days ago",
    "-90d": "90 days ago",
    "-365d": "a year ago",
    "start_of_month": "start of this month",
    "start_of_quarter": "start of this quarter",
    "start_of_year": "start of this year",
    "+7d": "in 7 days",
    "+30d": "in 30 days",
}
_SPAN = re.compile(r"([+-])0*(\d{1,4})([dwmy])")
_SPANS = {"d": "day", "w": "week", "m": "month", "y": "year"}
NO_VALUE = ("empty", "not_empty")


def words_of(session: Session, actor: Actor, entity_key: str, ast: Mapping[str, Any] | None) -> str:
    """A filter as a sentence, with the names that the actor may see. Plain text."""

    def show(spec: FieldSpec, raw: Any) -> str:
        if isinstance(raw, str) and (words := relative_words(raw)):
            return words
        if raw == "@me":
            return "me"
        if raw == "@my_team":
            return "my team"
        if spec.to in ENTITIES and isinstance(raw, int):
            return lists.titles(session, actor, spec.to or "", [raw]).get(raw, "a hidden record")
        if spec.kind is FieldKind.DATE and isinstance(raw, str) and len(raw) == 10:
            return fmt.day(actor, date.fromisoformat(raw))
        return fmt.value(actor, spec, raw) if not isinstance(raw, str) or spec.options else raw

    return in_words(session, entity_key, ast, show)


def relative_words(raw: str) -> str:
    """A day that moves along, as people say it: those of the menu, and any other that a rule brought along (``-24m``). Empty for all else."""
    if raw in RELATIVE:
        return RELATIVE[raw]
    match = _SPAN.fullmatch(raw)
    if match is None:
        return "start of this week" if raw == "start_of_week" else ""
    span = fmt.plural(int(match[2]), _SPANS[match[3]])
    return f"{span} ago" if match[1] == "-" else f"in {span}"


def comparisons(spec: FieldSpec) -> list[str]:
    """The comparisons of a field for which there is an input."""
    several = spec.to is None or (spec.to in ENTITIES and ENTITIES[spec.to].lookup)
    return [cmp for cmp in COMPARISONS[spec.kind] if several or cmp not in ("in", "not_in")]


def value_input(spec: FieldSpec, cmp: str, before: Any, key: str) -> Any:
    actor = current_actor()
    if cmp == "between":
        first, second = before if isinstance(before, (list, tuple)) and len(before) == 2 else (None, None)
        left, right = st.columns(2)
        with left:
            low = value_input(spec, "ge", first, key + "a")
        with right:
            high = value_input(spec, "le", second, key + "b")
        return [low, high]
    options = dict(spec.options or {})
    if options and cmp in ("in", "not_in"):
        chosen = [item for item in before if item in options] if isinstance(before, (list, tuple)) else []
        return st.multiselect(
            "Values",
            list(options),
            default=chosen,
            format_func=lambda v: options[v],
            key=key,
            label_visibility="collapsed",
        )
    if options and cmp in ("eq", "ne"):
        at = list(options).index(before) if before in options else None
        return st.selectbox(
            "Value", list(options), index=at, format_func=lambda v: options[v], key=key, label_visibility="collapsed"
        )
    if spec.kind is FieldKind.REFERENCE:
        return _reference(actor, spec, cmp, before, key)
    if spec.kind is FieldKind.BOOLEAN:
        return st.selectbox(
            "Value",
            [True, False],
            index=0 if before in (None, True) else 1,
            format_func=lambda v: "Yes" if v else "No",
            key=key,
            label_visibility="collapsed",
        )
    if spec.kind in (FieldKind.DATE, FieldKind.DATETIME):
        return _date(before, key)
    if spec.kind is FieldKind.MONEY:
        shown = float(to_major(int(before), actor.currency)) if isinstance(before, (int, float)) else None
        most = most_major(actor.currency)
        typed = st.number_input(
            "Amount",
            value=shown,
            min_value=-most,
            max_value=most,
            key=key,
            label_visibility="collapsed",
            placeholder=actor.currency,
        )
        return to_minor(typed, actor.currency) if typed is not None else None
    if spec.numeric:
        number = st.number_input(
            "Number",
            value=float(before) if isinstance(before, (int, float)) else None,
            format="%g",
            key=key,
            label_visibility="collapsed",
        )
        return int(number) if number is not None and number == int(number) else number
    if cmp in ("in", "not_in"):
        text = st.text_input(
            "Values", value=", ".join(map(str, before or [])), key=key, label_visibility="collapsed", placeholder="one, two, three"
        )
        return [part.strip() for part in (text or "").split(",") if part.strip()]
    return st.text_input("Value", value=before or "", key=key, label_visibility="collapsed")


def _reference(actor: Actor, spec: FieldSpec, cmp: str, before: Any, key: str) -> Any:
    if spec.to not in ENTITIES:
        return None
    if ENTITIES[spec.to].lookup:
        given = [item for item in (before if isinstance(before, (list, tuple)) else [before]) if isinstance(item, int)]
        people = {"@me": "Me"} if spec.to == "user" else {}
        options: dict[Any, str] = {**people, **load(lists.choices, spec.to, limit=500, include=given)}
        if cmp in ("in", "not_in"):
            chosen = [item for item in before if item in options] if isinstance(before, (list, tuple)) else []
            return st.multiselect(
                "Values", list(options), default=chosen, format_func=lambda v: options[v], key=key, label_visibility="collapsed"
            )
        at = list(options).index(before) if isinstance(before, (int, str)) and before in options else None
        return st.selectbox(
            "Value", list(options), index=at, format_func=lambda v: options[v], key=key, label_visibility="collapsed"
        )
    title = load(lists.titles, spec.to, [before]).get(before, "") if isinstance(before, int) else ""
    return picker(
        "",
        lambda q: load(lists.choices, spec.to, q, limit=20),
        key=key,
        value=before if isinstance(before, int) else None,
        title=title,
    )


def _date(before: Any, key: str) -> Any:
    relative = before if isinstance(before, str) and relative_words(before) else "day"
    options = list(dict.fromkeys(["day", *RELATIVE, relative]))
    kind = st.selectbox(
        "When",
        options,
        index=options.index(relative),
        format_func=lambda v: relative_words(v) or "on a date",
        key=key + "k",
        label_visibility="collapsed",
    )
    if kind != "day":
        return kind
    start = date.fromisoformat(before) if isinstance(before, str) and len(before) == 10 else None
    chosen = day_input("Day", value=start, key=key + "d", label_visibility="collapsed")
    return chosen.isoformat() if isinstance(chosen, date) else None


def bare(ast: Mapping[str, Any] | None) -> Any:
    """A filter without groups of one, which mean nothing; None for one that asks for nothing."""
    if not ast or "op" not in ast or ast["op"] == "not":
        return ast or None
    items = [bare(item) for item in ast.get("items") or ()]
    return (items[0] if items else None) if len(items) <= 1 else {**ast, "items": items}
