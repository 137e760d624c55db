"""Quotas of people by month: a grid to fill for managers, a table to read for everybody else."""

from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd
import streamlit as st
from babel.dates import format_date

from crm_core.access import Actor
from crm_core.kit.money import to_major, to_minor
from crm_core.services.analytics import quotas
from crm_core.services.analytics.periods import Period, add_months, unit_start
from crm_core.services.analytics.quotas import Change, PersonQuotas
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import hush, load, perform, show_problems
from ui.components.one_row import wide
from ui.components.rows_clash import Grid, forget, on_page, rows_clash, typed_into
from ui.session import current_actor


def quota_button(actor: Actor, today: date, fiscal_start_month: int) -> None:
    """The button that opens the quotas; nothing for people who may not see any."""
    if not actor.can("quota", Action.READ):
        return
    words = "Set quotas" if actor.can("quota", Action.MANAGE) else "Quotas"
    if st.button(words, icon=":material/flag:", key="quotas_open"):
        for key in [key for key in st.session_state if str(key).startswith(("_quotas_mine_", "_grid_quotas_"))]:
            del st.session_state[key]
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
    name = f"quotas_{months[0]}"
    mine: list[Change] = st.session_state.get(_mine(months), [])
    grid = on_page(name, rows, lambda kept: bool(mine) or typed_into(_key(months, kept)), scope="fragment")
    rows = grid.seen
    shown = _frame(actor, [_over(row, months, mine) for row in rows], months)
    numbers = {name: st.column_config.NumberColumn(min_value=0.0, format="localized", width="small") for name in shown.columns[1:]}
    with wide("quotas"):
        edited = st.data_editor(
            shown, hide_index=True, width="stretch", disabled=["Person"], num_rows="fixed", placeholder=fmt.NOTHING, key=_key(months, grid),
            column_config={"Person": st.column_config.TextColumn(pinned=True), **numbers},
        )  # fmt: skip
    changes = _changes(actor, rows, months, edited)
    one = _one(actor, rows, months, edited)
    if _clash(actor, grid, rows, months, changes):
        _save(grid, changes, months)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        label = f"Save {fmt.plural(len(changes), 'change')}" if changes else "Save"
        pressed = st.button(label, type="primary", key="quota_save", disabled=not changes or grid.theirs is not None)
        st.caption(_sum(actor, edited))
    if pressed or one is not None:
        grid.pending = one
        _save(grid, changes, months)
        show_problems()


def _mine(months: list[date]) -> str:
    """Where the amounts are kept that somebody typed beside cells of which they took the others'."""
    return f"_quotas_mine_{months[0]}"


def _over(row: PersonQuotas, months: list[date], mine: list[Change]) -> PersonQuotas:
    """A person's quotas with what was typed over them."""
    typed = {one.month_on: one.after for one in mine if one.owner_id == row.owner_id}
    return replace(row, amounts=tuple(typed.get(month, amount) for month, amount in zip(months, row.amounts, strict=True)))


def _key(months: list[date], grid: Grid) -> str:
    return f"quota_grid_{months[0]}_{grid.turn}"


def _save(grid: Grid, changes: list[Change], months: list[date]) -> None:
    """Save the cells that were changed; those that somebody else changed meanwhile are asked about, with what stands there."""
    stands = {(one.owner_id, one.month_on): one.before for one in grid.theirs or ()}
    wanted = grid.pending if grid.pending is not None else changes
    given = [replace(one, before=stands.get((one.owner_id, one.month_on), one.before)) for one in wanted]
    if perform(quotas.save, given, success="Quotas saved") is not None:
        forget(f"quotas_{months[0]}")
        st.session_state.pop(_mine(months), None)
        st.rerun()
    conflict = st.session_state.pop("_conflict", None)
    if conflict is not None and "rows" in conflict.details:
        grid.theirs = conflict.details["rows"]
        hush()
        st.rerun(scope="fragment")


def _clash(actor: Actor, grid: Grid, rows: list[PersonQuotas], months: list[date], changes: list[Change]) -> bool:
    """While two changed the same cells, ask whose amounts stay; True once mine are to be saved. What was typed elsewhere stays typed."""
    if grid.theirs is None:
        return False
    names = {row.owner_id: row.name for row in rows}

    def said(one: Change, amount: int | None) -> str:
        month = format_date(one.month_on, "MMM y", locale=actor.locale)
        return f"{names.get(one.owner_id, 'Somebody')}, {month}: {fmt.money(actor, amount) if amount is not None else 'none'}"

    before = {(row.owner_id, month): amount for row in rows for month, amount in zip(months, row.amounts, strict=True)}
    theirs = "; ".join(said(one, one.before) for one in grid.theirs)
    earlier = "; ".join(said(one, before.get((one.owner_id, one.month_on))) for one in grid.theirs)
    answer = rows_clash("these quotas", theirs, earlier, key="quotas")
    if answer == "theirs":
        asked = {(one.owner_id, one.month_on) for one in grid.theirs}
        st.session_state[_mine(months)] = [one for one in changes if (one.owner_id, one.month_on) not in asked]
        forget(f"quotas_{months[0]}")
        st.rerun(scope="fragment")
    return answer == "mine"


def _one(actor: Actor, rows: list[PersonQuotas], months: list[date], edited: pd.DataFrame) -> list[Change] | None:
    """One quota as a form, for screens on which twelve months do not fit; gives what is to be saved when its button was pressed."""
    with st.expander("Set one quota", icon=":material/edit_note:", key=f"one_quota_{months[0]}"):
        left, right = st.columns(2)
        at = left.selectbox("Person", range(len(rows)), format_func=lambda n: rows[n].name, key=f"one_quota_who_{months[0]}")
        place = right.selectbox(
            "Month",
            range(len(months)),
            format_func=lambda n: format_date(months[n], "LLLL y", locale=actor.locale),
            key=f"one_quota_month_{months[0]}",
        )
        shown: Any = edited.iloc[at, place + 1]
        typed = st.number_input(
            f"Quota ({actor.currency})", 0.0, float(to_major(quotas.MAX_MINOR, actor.currency)), None if pd.isna(shown) else float(shown), step=100.0,
            key=f"one_quota_{months[place]}_{rows[at].owner_id}", placeholder="No quota",
        )  # fmt: skip
        if not st.button("Save this quota", type="primary", key="one_quota_save"):
            return None
    after = None if typed is None else to_minor(typed, actor.currency)
    row, before = rows[at], rows[at].amounts[place]
    others = [one for one in _changes(actor, rows, months, edited) if (one.owner_id, one.month_on) != (row.owner_id, months[place])]
    return [*others, *([Change(row.owner_id, months[place], before, after)] if after != before else [])]


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
