"""The mail tray: for agents, to say where mail belongs that found no place by itself, and to see what became of all the other mail."""

from typing import Any

import streamlit as st

from crm_core.services.inbox import tray
from crm_core.vocabulary import Action, InboundState
from ui import format as fmt
from ui.actions import load, perform
from ui.addresses import number
from ui.components.header import empty_state, header
from ui.components.table import Cell, Column, table
from ui.components.tray_dialogs import mail_dialog, tray_done
from ui.navigation import go, page_of
from ui.session import current_actor
from ui.tones import TONES

COLUMNS = [
    Column("from", "From", sortable=False),
    Column("subject", "Subject", sortable=False),
    Column("state", "What became of it", sortable=False),
    Column("reason", "Why", sortable=False, muted=True),
    Column("at", "Came", sortable=False, muted=True),
]
ALL = "all"


def cells(row: dict[str, Any]) -> list[Cell]:
    who = row["sender_name"] or row["sender"] or "Nobody named"
    state = InboundState(row["state"])
    return [
        Cell(who), Cell(row["subject"] or "(no subject)"), Cell(state.label, tone=TONES[state]), Cell(row["reason"]), Cell(fmt.ago(actor, row["created_at"])),
    ]  # fmt: skip


def first_page() -> None:
    st.session_state["page"] = 1


actor = current_actor()
actions = header(
    "Mail tray",
    "Mail that found no ticket or customer by itself waits here for a person.",
    back=("Tickets", page_of(actor, "tickets")),
)
mailboxes = page_of(actor, "mailboxes") if actor.can("mailbox", Action.MANAGE) else None
if mailboxes is not None:
    actions.page_link(mailboxes, label="Mailboxes", icon=":material/mark_email_unread:")
found = load(tray.counts)
tray_done()
if not sum(found.values()):
    box = empty_state(
        "No mail came in yet",
        "Once a mailbox is set up, everything that arrives is listed here, whatever becomes of it.",
        icon="inbox",
    )
    if mailboxes is not None and box.button("Mailboxes", type="primary", icon=":material/mark_email_unread:", key="to_mailboxes"):
        go("mailboxes")
    st.stop()
words = {InboundState.TRAY.value: f"In the tray ({fmt.written(found.get(InboundState.TRAY, 0))})"}
words |= {state.value: state.label for state in InboundState if state is not InboundState.TRAY and found.get(state)}
words[ALL] = "Everything"
with st.container(horizontal=True, vertical_alignment="center", key="list_tools"):
    q = st.text_input("Search", key="q", placeholder="Sender or subject", type="search", on_change=first_page, bind="query-params")
chosen = st.pills(
    "State", list(words), default=InboundState.TRAY.value, required=True, format_func=lambda one: words[one], key="state", label_visibility="collapsed", on_change=first_page
)  # fmt: skip
states = [] if chosen == ALL else [InboundState(chosen)]
page = load(tray.find, states=states, q=q or "", page=int(st.session_state.get("page") or 1))
if not page.rows and chosen == InboundState.TRAY.value and not q:
    empty_state("The tray is empty", "Everything that came in found its place.", icon="done_all")
elif not page.rows:
    empty_state("No message matches", "Try another word, or look at everything.", icon="search_off")
else:
    in_tray = chosen == InboundState.TRAY.value and actor.can("ticket", Action.EDIT)
    happened = table(
        COLUMNS,
        [(row["id"], cells(row)) for row in page.rows],
        key=f"table_tray_{chosen}",
        label="Messages",
        href="/tray?mail={id}",
        selectable=in_tray,
    )
    if happened.opened:
        st.query_params["mail"] = str(happened.opened)
    if in_tray and happened.selected:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="tray_bar"):
            st.markdown(f"**{fmt.plural(len(happened.selected), 'message')} selected**", width="content")
            if st.button("Discard", icon=":material/delete_sweep:", key="tray_discard"):
                done = perform(tray.discard, happened.selected)
                if done is not None:
                    st.session_state["_tray_done"] = (f"{fmt.plural(done, 'message')} discarded.", list(happened.selected))
                st.rerun()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="list_footer"):
        st.caption(fmt.plural(page.total, "message"))
        if page.pages > 1:
            st.pagination(page.pages, key="page", bind="query-params")
if mail_id := number("mail"):
    mail_dialog(load(tray.get, mail_id))
