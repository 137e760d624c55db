"""Contracts whose day comes soon: a list that needs no analysis, on the page about contracts at risk."""

import streamlit as st

from crm_core.services.analytics import renewals
from crm_core.services.analytics.renewals import WINDOWS
from ui import format as fmt
from ui.actions import load
from ui.components.follow_up_dialog import follow_up_button, last_follow_up
from ui.components.table import Cell, Column, table
from ui.navigation import go
from ui.session import current_actor

SIZE = 20


def renewal_list() -> None:
    """The companies with owner, day and what they brought in; it ends in tasks for the owners."""
    actor = current_actor()
    if renewals.hidden(actor):
        st.caption("The days of contracts are hidden from your role, so there is no list of them.")
        return
    with st.container(border=True, gap="small", key="renewals"):
        st.markdown("**Contracts whose day comes soon**")
        st.caption("Straight from the companies' records, the next day first. No risk is computed here.")
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            window = st.segmented_control(
                "Within", list(WINDOWS), format_func=lambda one: WINDOWS[one], default="90", required=True, key="renewal_window", bind="query-params",
                help="“Passed”: the renewal day is over, and nobody wrote down whether the contract goes on",
            )  # fmt: skip
            mine = st.toggle("Only mine", key="renewal_mine", bind="query-params")
        choice = {"window": window or "90", "mine": bool(mine)}
        number = int(st.session_state.get("renewal_page", 1) or 1)
        found = load(renewals.page, **choice, start=(number - 1) * SIZE, size=SIZE)
        last_follow_up()
        if not found.total:
            st.caption(
                "No contract has its day in this time. A company has one when “Contract renews” or “Customer until” is filled in on its page."
            )
            return
        _rows(found, choice, number)


def _rows(found: renewals.Page, choice: dict[str, object], number: int) -> None:
    actor = current_actor()
    columns = [
        Column("name", "Company", sortable=False),
        Column("owner", "Owner", sortable=False, muted=True),
        Column("on", "Day", sortable=False),
        Column("what", "Then it", sortable=False, muted=True),
        Column("since", "Customer since", sortable=False, muted=True, named=True),
        Column("revenue", "Orders, 12 months", right=True, sortable=False, named=True),
    ]
    rows = [
        (
            row.id,
            [
                Cell(row.title), Cell(row.owner or fmt.NOTHING), Cell(fmt.day(actor, row.on)), Cell("ends" if row.ends else "renews or ends"),
                Cell(fmt.day(actor, row.since) if row.since else fmt.NOTHING),
                Cell(fmt.money(actor, row.revenue_minor, compact=True) if row.revenue_minor is not None else fmt.NOTHING),
            ],
        )
        for row in found.rows
    ]  # fmt: skip
    happened = table(
        columns,
        rows,
        key=f"renewals_{number}_{choice['window']}_{choice['mine']}",
        label="Contracts",
        href="account?id={id}",
        selectable=True,
    )
    if happened.opened:
        go("account", id=happened.opened)
    pages = -(-found.total // SIZE)
    if pages > 1:
        st.pagination(pages, key="renewal_page")
    selected = happened.selected
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="renewal_actions"):
        count = len(selected) or found.total
        st.markdown(f"{'Selected' if selected else 'All of them'}: **{fmt.written(count)}**", width="content")
        wanted = (lambda: selected) if selected else (lambda: load(renewals.ids, **choice))
        follow_up_button("account", 0, wanted, count, chosen=True, notes=renewals.notes, subject="Talk about the contract")
