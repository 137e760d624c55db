"""The inbox: for everybody who answers customers, to see what came in over all channels and waits, and to take the next one."""

from typing import Any

import streamlit as st

from crm_core.services.inbox import arrivals, by_hand
from crm_core.services.inbox.arrivals import ALL, MINE, UNASSIGNED, Arrival, Found
from crm_core.vocabulary import InboundChannel
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import empty_state, header
from ui.components.inbound_dialog import inbound_dialog
from ui.components.table import Cell, Column, table
from ui.navigation import go, page_of
from ui.session import current_actor
from ui.tones import TONES

COLUMNS = [
    Column("who", "From", sortable=False),
    Column("what", "What", sortable=False),
    Column("channel", "Channel", sortable=False),
    Column("state", "State", sortable=False),
    Column("owner", "Assigned to", sortable=False, muted=True, named=True),
    Column("at", "Came", sortable=False, muted=True),
]
WHOSE = {ALL: "All", MINE: "Mine", UNASSIGNED: "Unassigned"}
DONE = "_inbox_done"


def first_page() -> None:
    st.session_state["page"] = 1


def cells(one: Arrival) -> list[Cell]:
    return [
        Cell(one.who), Cell(one.what), Cell(one.channel.label, tone=TONES[one.channel]), Cell(one.state), Cell(one.owner or "nobody yet"),
        Cell(fmt.ago(actor, one.at)),
    ]  # fmt: skip


def channels(found: Found) -> dict[str, str]:
    """The choice of channels, with how much waits in each."""
    words = {"all": f"Everything ({fmt.written(sum(found.counts.values()))})"}
    return words | {one.value: f"{one.label} ({fmt.written(found.counts[one])})" for one in InboundChannel if found.counts.get(one)}


def act(chosen: list[Arrival]) -> None:
    """What can be done with the rows that are ticked."""
    settled, taken = [one for one in chosen if one.may_settle], [one for one in chosen if one.may_take]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="inbox_bar"):
        st.markdown(f"**{fmt.plural(len(chosen), 'message')} selected**", width="content")
        if taken and st.button(
            f"Take {len(taken)}" if len(taken) < len(chosen) else "Take", icon=":material/back_hand:", key="inbox_take"
        ):
            for one in taken:
                perform(arrivals.take, one.kind, one.id, success=fmt.md(f"{one.what} is yours."))
            st.rerun()
        if settled and st.button(
            f"Needs no answer ({len(settled)})" if len(settled) < len(chosen) else "Needs no answer", icon=":material/done:", key="inbox_settle"
        ):  # fmt: skip
            done = [(one.kind, one.id) for one in settled if perform(arrivals.settle, one.kind, one.id) is not None]
            st.session_state[DONE] = done
            st.rerun()
        if not settled and not taken:
            st.caption("Open them to answer: they leave the inbox by themselves.", width="content")


def way_back() -> None:
    kept: list[tuple[str, int]] | None = st.session_state.get(DONE)
    if not kept:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="inbox_note"):
        st.markdown(f":green[:material/check_circle:] {fmt.plural(len(kept), 'message')} put aside.", width="content")
        st.button("Undo", icon=":material/undo:", key="inbox_undo", on_click=undo)
        st.button(
            icon=":material/close:",
            key="inbox_hide",
            type="tertiary",
            **fmt.icon_only("Hide this note"),
            on_click=lambda: st.session_state.pop(DONE, None),
        )


def undo() -> None:
    for kind, number in st.session_state.pop(DONE, []):
        perform(arrivals.unsettle, kind, number)


def rows_of(found: Found) -> None:
    """The list, and what happens in it."""
    by_number = dict(enumerate(found.rows, start=1))
    happened = table(
        COLUMNS, [(number, cells(one)) for number, one in by_number.items()], key="table_inbox", label="What waits", selectable=True,
        hrefs={number: address(one) for number, one in by_number.items()},
    )  # fmt: skip
    if happened.opened in by_number:
        opened = by_number[happened.opened]
        go(opened.page, **opened.query)
    chosen = [by_number[number] for number in happened.selected if number in by_number]
    if chosen:
        act(chosen)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="list_footer"):
        st.caption(fmt.plural(found.total, "message"))
        if found.pages > 1:
            st.pagination(found.pages, key="page", bind="query-params")


def address(one: Arrival) -> str:
    query = "&".join(f"{name}={value}" for name, value in one.query.items())
    return f"/{one.page}?{query}" if query else f"/{one.page}"


def nothing(found: Found, filtered: bool) -> Any:
    if filtered:
        return empty_state("Nothing waits here", "Take the filter away to see what waits elsewhere.", icon="filter_alt_off")
    return empty_state(
        "Nothing waits", "Mail, forms, calls, chats and comments stand here until somebody answers them. What no machine reads, you log.", icon="inbox"
    )  # fmt: skip


actor = current_actor()
actions = header("Inbox", "What came in and waits for an answer or a place")
tray_page = page_of(actor, "tray")
if tray_page is not None:
    actions.page_link(tray_page, label="Mail tray", icon=":material/drafts:")
if by_hand.becomes(actor) and actions.button("Log inbound", type="primary", icon=":material/add:", key="log_inbound", shortcut="n"):
    inbound_dialog()
way_back()
with st.container(horizontal=True, vertical_alignment="center", key="list_tools"):
    whose = st.segmented_control(
        "Whose", list(WHOSE), default=ALL, required=True, format_func=lambda one: WHOSE[one], key="whose", label_visibility="collapsed",
        on_change=first_page, bind="query-params",
    )  # fmt: skip
    q = st.text_input(
        "Search",
        key="q",
        placeholder="Subject, name or number",
        type="search",
        on_change=first_page,
        bind="query-params",
        label_visibility="collapsed",
    )
kept = st.session_state.get("channel")
channel = InboundChannel(kept) if kept in {one.value for one in InboundChannel} else None
found = load(arrivals.find, whose=whose, channel=channel, q=q or "", page=int(st.session_state.get("page") or 1))
words = channels(found)
if channel is not None:
    words.setdefault(channel.value, f"{channel.label} (0)")
if len(words) > 2 or channel is not None:
    st.pills(
        "Channel", list(words), default="all", required=True, format_func=lambda one: words[one], key="channel", label_visibility="collapsed",
        on_change=first_page,
    )  # fmt: skip
if found.rows:
    rows_of(found)
else:
    nothing(found, filtered=bool(q) or channel is not None or whose != ALL)
