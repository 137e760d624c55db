"""Links and reports that leave the house: for whoever shares, to see who opened what, to copy an address, and to withdraw it."""

import streamlit as st

from crm_core.kit import clock
from crm_core.services.analytics import dashboards, reports, sharing
from crm_core.services.analytics.reports import ScheduleRow
from crm_core.services.analytics.sharing import DAYS, LinkRow
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import empty_state, header
from ui.components.share_dialogs import address, words
from ui.components.table import Cell, Column, table
from ui.navigation import go, page_of
from ui.session import current_actor

COLUMNS = [
    Column(key, label, sortable=False)
    for key, label in (("at", "When"), ("address", "Network"), ("browser", "Browser"), ("what", "What"))
]


def state_of(link: LinkRow) -> tuple[str, str]:
    """A link's state as a word with its colour."""
    if link.revoked_at is not None:
        return "Withdrawn", "gray"
    if link.works:
        return "Works", "green"
    return ("Expired", "gray") if link.expires_at <= clock.utcnow() else ("Does not work", "orange")


def card(link: LinkRow) -> None:
    """One link: what it shows, its address, what can be done with it."""
    with st.container(border=True, gap="small", key=f"link_{link.id}"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
                st.markdown(f"**{fmt.md(link.label)}**", width="content")
                text, tone = state_of(link)
                st.badge(text, color=tone)  # type: ignore[arg-type]
            with st.container(horizontal=True, gap="small", width="content"):
                actions(link)
        if link.works and link.mine:
            address(link)
        by = "" if link.mine else f"by {link.owner} · "
        last = f" · last {fmt.ago(actor, link.last_view_at)}" if link.last_view_at else ""
        st.caption(fmt.md(f"{link.target} · {by}{words(link)}{last}"))
        if st.session_state.get("_views_of") == link.id:
            opened_by(link)


def actions(link: LinkRow) -> None:
    """Who opened it, longer, withdraw."""
    if st.button("Who opened it", key=f"views_{link.id}", type="tertiary", icon=":material/visibility:"):
        st.session_state["_views_of"] = None if st.session_state.get("_views_of") == link.id else link.id
        st.rerun()
    if link.revoked_at is not None:
        return
    with st.popover("Longer", type="tertiary", icon=":material/update:", key=f"longer_{link.id}"):
        for days, name in DAYS.items():
            if st.button(f"{name} from now", key=f"extend_{link.id}_{days}", width="stretch"):
                perform(sharing.extend, link.id, days=days, success="The link works longer.")
                st.rerun()
    if st.button("Withdraw", key=f"revoke_{link.id}", type="tertiary", icon=":material/link_off:"):
        withdraw(link)


@st.dialog("Withdraw the link?", icon=":material/link_off:")
def withdraw(link: LinkRow) -> None:
    """Ask before a link stops working for everybody who has it."""
    st.markdown(f"**{fmt.md(link.label)}** stops opening at once, and for ever. Whoever needs it must get a new link.")
    if st.button("Withdraw", type="primary", key="revoke_sure"):
        perform(sharing.revoke, link.id, success="The link no longer works.")
        st.rerun()


def opened_by(link: LinkRow) -> None:
    """The log of one link."""
    found = load(sharing.views, link.id)
    if not found:
        st.caption("Nobody opened it yet.")
        return
    rows = [
        (
            view["id"],
            [
                Cell(fmt.instant(actor, view["at"])),
                Cell(view["address"] or fmt.NOTHING),
                Cell(browser(view["browser"])),
                Cell("Wrong password", tone="orange") if view["refused"] else Cell("Opened"),
            ],
        )
        for view in found
    ]
    table(COLUMNS, rows, key=f"views_table_{link.id}", label="Who opened it")


def browser(agent: str) -> str:
    """What a browser calls itself, shortened to its family."""
    for mark, name in (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"), ("curl", "curl")):
        if mark in agent:
            return name + (" on a phone" if "Mobile" in agent else "")
    return agent[:40] or fmt.NOTHING


def report_card(row: ScheduleRow) -> None:
    """One report by e-mail: when, to whom, and how the last one went."""
    with st.container(border=True, gap="small", key=f"report_{row.id}"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
                st.markdown(f"**{fmt.md(row.dashboard)}**", width="content")
                st.badge("By e-mail" if row.is_active else "Paused", color="green" if row.is_active else "gray")
            with st.container(horizontal=True, gap="small", width="content"):
                if st.button("Send now", key=f"report_now_{row.id}", type="tertiary", icon=":material/send:"):
                    perform(reports.send_now, row.id, success="The report is on its way; Jobs shows how far it is.")
                    st.rerun()
                words, icon = ("Pause", "pause") if row.is_active else ("Go on", "play_arrow")
                if st.button(words, key=f"report_pause_{row.id}", type="tertiary", icon=f":material/{icon}:"):
                    perform(reports.pause, row.id, active=not row.is_active)
                    st.rerun()
                if st.button("End", key=f"report_end_{row.id}", type="tertiary", icon=":material/delete:"):
                    end_report(row)
        by = "" if row.mine else f" · by {row.owner}"
        last = f" · last {fmt.ago(actor, row.last_at)}" if row.last_at else ""
        st.caption(fmt.md(f"{row.when} · next {fmt.instant(actor, row.next_at)}{last}{by}"))
        st.caption(fmt.md("To " + ", ".join(email if gets else f"{email} (unsubscribed)" for email, gets in row.recipients)))
        if row.message:
            st.warning(fmt.md(f"The last one did not go out: {row.message}"), icon=":material/error:")


@st.dialog("End the report?", icon=":material/delete:")
def end_report(row: ScheduleRow) -> None:
    """Ask before a report ends for everybody who gets it."""
    st.markdown(f"**{fmt.md(row.dashboard)}** is no longer sent to {fmt.plural(len(row.recipients), 'address', 'addresses')}.")
    if st.button("End it", type="primary", key="report_end_sure"):
        perform(reports.remove, row.id, success="The report is no longer sent.")
        st.rerun()


actor = current_actor()
header("Links and reports", "What people outside can open, and who did", back=("Dashboards", page_of(actor, "dashboards")))
links = load(sharing.find) if dashboards.may_publish(actor) else []
mailed = load(reports.find)
if not links and not mailed:
    box = empty_state(
        "Nothing leaves the house yet",
        "Open a dashboard: Share makes a link that opens without an account, Send by e-mail mails it by the clock.",
        icon="share",
    )
    if box.button("Go to dashboards", type="primary", key="to_dashboards"):
        go("dashboards")
if mailed:
    st.subheader("By e-mail", anchor=False)
    for row in mailed:
        report_card(row)
if links:
    st.subheader("Links", anchor=False)
    for link in links:
        card(link)
