"""Workspace settings: for the administrator, set once and rarely changed."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

import streamlit as st

from crm_core.kit.hours import clock_times
from crm_core.kit.money import most_major, to_major, to_minor
from crm_core.kit.week import WEEKDAYS, hours_in_words
from crm_core.services.admin import organisation
from crm_core.vocabulary import Action
from ui.actions import load, perform, show_refusal
from ui.components import parts_clash
from ui.components.header import header
from ui.components.parts_clash import SAVED_ELSEWHERE, Part, clashing, columns_of, named, save_parts
from ui.session import current_actor

QUESTION = "settings"
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def hours_editor() -> dict[str, list[list[str]]]:
    """Working hours per weekday, with a pause where there are two spans."""
    found: dict[str, list[list[str]]] = {}
    for n, name in enumerate(WEEKDAYS):
        spans = ", ".join(f"{start}–{end}" for start, end in settings.working_hours.get(str(n), []))
        text = st.text_input(name, value=spans, key=f"hours_{n}_{tag}", placeholder="closed", disabled=not may_edit)
        found[str(n)] = clock_times(text or "")
    return found


def drawn() -> organisation.Settings:
    """The settings that the form began with: what is typed stays when somebody else saves meanwhile, and saving it asks first."""
    now = load(organisation.get)
    if st.session_state.get("_arrived") or "_settings" not in st.session_state:
        st.session_state["_settings"] = now
    found: organisation.Settings = st.session_state["_settings"]
    if found.version != now.version and not clashing(QUESTION):
        st.warning(f"Somebody else changed the settings meanwhile. {SAVED_ELSEWHERE}", icon=":material/group:")
        st.button("Show the new state", key="settings_anew", icon=":material/refresh:", on_click=forget)
    return found


def forget() -> None:
    """The next drawing begins with what is stored."""
    parts_clash.forget(QUESTION)
    st.session_state.pop("_settings", None)
    st.session_state["_settings_turn"] = st.session_state.get("_settings_turn", 0) + 1


def parts(locales: Mapping[str, str]) -> dict[str, Part]:
    """What it is asked about when two people changed it."""
    return {
        "name": Part("Name"),
        "currency": Part("Currency"),
        "timezone": Part("Time zone"),
        "locale": Part("Numbers and dates as in", named(locales)),
        "fiscal_year_start_month": Part("Fiscal year starts in", lambda n: MONTHS[n - 1]),
        "phone_region": Part("Country of phone numbers without a prefix"),
        "single_threaded_minor": Part(
            "Warn of one contact only from", lambda minor: str(to_major(minor, settings.currency)) + f" {settings.currency}"
        ),
        "tax_rate_pct": Part("Usual tax rate (%)", lambda rate: f"{rate:g}"),
        "working_hours": Part("Working hours", lambda hours: "\n".join(hours_in_words(hours)), long=True),
    }


def save(values: Mapping[str, Any], base: Any) -> Any:
    return perform(organisation.update, dict(values), base_version=base.version, success="Settings saved.")


actor = current_actor()
may_edit = actor.can("organisation", Action.MANAGE)
actions = header("Workspace settings", "What holds for everybody in this workspace")
settings = drawn()
tag = f"{settings.version}_{st.session_state.get('_settings_turn', 0)}"

asked = st.container()
left, right = st.columns([3, 2], gap="large")
with left, st.container(border=True):
    st.markdown("**Company and formats**")
    name = st.text_input("Name", value=settings.name, key=f"name_{tag}", max_chars=200, disabled=not may_edit)
    a, b = st.columns(2)
    codes = sorted({*organisation.CURRENCIES, settings.currency})
    currency = a.selectbox(
        "Currency", codes, index=codes.index(settings.currency), key=f"currency_{tag}", disabled=settings.has_money or not may_edit,
        help="Stays as it is once there are amounts in it" if settings.has_money else None,
    )  # fmt: skip
    zones = sorted(available_timezones())
    timezone = b.selectbox("Time zone", zones, index=zones.index(settings.timezone), key=f"zone_{tag}", disabled=not may_edit)
    locales = {
        **organisation.LOCALES,
        **({settings.locale: settings.locale} if settings.locale not in organisation.LOCALES else {}),
    }
    a, b = st.columns(2)
    locale = a.selectbox(
        "Numbers and dates as in",
        list(locales),
        index=list(locales).index(settings.locale),
        format_func=lambda one: locales[one],
        key=f"locale_{tag}",
        disabled=not may_edit,
    )
    month = b.selectbox(
        "Fiscal year starts in",
        range(1, 13),
        index=settings.fiscal_year_start_month - 1,
        format_func=lambda n: MONTHS[n - 1],
        key=f"month_{tag}",
        disabled=not may_edit,
    )
    a, b = st.columns(2)
    region = a.text_input(
        "Country of phone numbers without a prefix",
        value=settings.phone_region,
        max_chars=2,
        key=f"region_{tag}",
        disabled=not may_edit,
        help="Two letters, such as DE",
    )
    amount = b.number_input(
        f"Warn of one contact only from ({currency})", value=float(to_major(settings.single_threaded_minor, settings.currency)), min_value=0.0, max_value=most_major(settings.currency), key=f"single_{tag}", disabled=not may_edit,
        help="A deal of this size with fewer than two people in its buying committee is marked as single-threaded",
    )  # fmt: skip
    a, b = st.columns(2)
    tax_rate = a.number_input(
        "Usual tax rate (%)", value=settings.tax_rate_pct, min_value=0.0, max_value=100.0, step=0.5, format="%.4g", key=f"tax_{tag}", disabled=not may_edit,
        help="New lines of deals and orders begin with it, unless the product has a rate of its own",
    )  # fmt: skip
with right, st.container(border=True):
    st.markdown("**Working hours**")
    st.caption("Such as 09:00–12:30, 13:30–17:00. Empty means closed.")
    hours = hours_editor()

if may_edit:
    pressed = actions.button("Save settings", type="primary", key="save_settings", disabled=clashing(QUESTION))
    mine = {
        "name": name,
        "currency": currency,
        "timezone": timezone,
        "locale": locale,
        "fiscal_year_start_month": month,
        "phone_region": (region or "").upper(),
        "single_threaded_minor": to_minor(amount, currency),
        "tax_rate_pct": float(tax_rate or 0),
        "working_hours": hours,
    }
    with asked:
        if save_parts(
            QUESTION, pressed, seen=settings, mine=mine, parts=parts(locales), values_of=columns_of(mine), save=save, scope="app"
        ):
            forget()
            st.rerun()
    show_refusal()
