"""Quotas of people by month: a grid to fill for managers, a table to read for everybody else."""

from datetime import date
from typing import Any

import pandas as pd
import streamlit as st
from babel.dates import format_date

from crm_core.access import Actor
from crm_core.errors import Conflict
from crm_core.kit.money import to_major, to_minor
from crm_core.services.analytics import quotas
from crm_core.services.analytics.periods import Period, add_months, unit_start
from crm_core.services.analytics.quotas import Change, PersonQuotas
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.session import current_actor


def quota_button(actor: Actor, today: date, fiscal_start_month: int) -> None:
    """The button that opens the quotas; nothing for people who may not see any."""
    if not actor.can("quota", Action.READ):
        return
    words = "Set quotas" if actor.can("quota", Action.MANAGE) else "Quotas"
    if st.button(words, icon=":material/flag:", key="quotas_open"):
        _quotas(today, fiscal_start_month)


@st.dialog("Quotas", width="large", icon=":material/flag:")
def _quotas(today: date, fiscal_start_month: int) -> None:
    actor = current_actor()
    first = unit_start(today, 12, fiscal_start_month)
    years = {add_months(first, shift): _year(actor, add_months(first, shift)) for shift in (-12, 0, 12)}
    start = st.segmented_control(
        "Year", list(years), default=first, format_func=lambda day: years[day], key="quota_year", required=True
    )
    months = quotas.months_of(Period(start, add_months(start, 12) if start else None))[:12]
    rows = load(quotas.find, months)
    if not rows:
        st.caption("Nobody whose quota you may see works on deals yet. Add people first.")
        return
    st.caption(f"What each person is to win, in {actor.currency} per month. Quarters and years are sums.")
    if not any(row.editable for row in rows):
        st.dataframe(_frame(actor, rows, months), width="stretch", hide_index=True, placeholder=fmt.NOTHING)
        return
    _edit(actor, [row for row in rows if row.editable], months)


def _year(actor: Actor, start: date) -> str:
    end = add_months(start, 11)
    return (
        str(start.year)
        if start.month == 1
        else f"{format_date(start, 'MMM y', locale=actor.locale)} – {format_date(end, 'MMM y', locale=actor.locale)}"
    )


def _frame(actor: Actor, rows: list[PersonQuotas], months: list[date]) -> pd.DataFrame:
    short = "LLL" if len({month.year for month in months}) == 1 else "LLL yy"  # the chosen year stands above
    names = [format_date(month, short, locale=actor.locale) for month in months]
    frame: dict[str, Any] = {"Person": [row.name for row in rows]}
    for place, name in enumerate(names):
        amounts = [row.amounts[place] for row in rows]
        frame[name] = pd.array(
            [None if amount is None else float(to_major(amount, actor.currency)) for amount in amounts], dtype="Float64"
        )
    return pd.DataFrame(frame)


def _edit(actor: Actor, rows: list[PersonQuotas], months: list[date]) -> None:
    shown = _frame(actor, rows, months)
    numbers = {name: st.column_config.NumberColumn(min_value=0.0, format="localized", width="small") for name in shown.columns[1:]}
    edited = st.data_editor(
        shown, hide_index=True, width="stretch", disabled=["Person"], num_rows="fixed", placeholder=fmt.NOTHING, key=f"quota_grid_{months[0]}_{hash(str(rows))}",
        column_config={"Person": st.column_config.TextColumn(pinned=True), **numbers},
    )  # fmt: skip
    changes = _changes(actor, rows, months, edited)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        label = f"Save {fmt.plural(len(changes), 'change')}" if changes else "Save"
        if st.button(label, type="primary", key="quota_save", disabled=not changes):
            if perform(quotas.save, changes, success="Quotas saved") is not None:
                st.rerun()
            if isinstance(st.session_state.get("_conflict"), Conflict):
                st.session_state.pop("_conflict")
            show_problems()
        st.caption(_sum(actor, edited))


def _changes(actor: Actor, rows: list[PersonQuotas], months: list[date], edited: pd.DataFrame) -> list[Change]:
    found = []
    for row, values in zip(rows, edited.itertuples(index=False), strict=True):
        for month, before, value in zip(months, row.amounts, values[1:], strict=True):
            after = None if pd.isna(value) else to_minor(float(value), actor.currency)
            if after != before:
                found.append(Change(row.owner_id, month, before, after))
    return found


def _sum(actor: Actor, edited: pd.DataFrame) -> str:
    total = sum(float(value) for column in edited.columns[1:] for value in edited[column].dropna())
    return f"In all {fmt.md(fmt.money(actor, to_minor(total, actor.currency)))}"
