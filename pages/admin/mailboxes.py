"""Mailboxes: for the administrator, to say which addresses customers write to, what their mail becomes, and to see that it arrives."""

from datetime import timedelta

import streamlit as st

from crm_core.services.inbox import mailboxes, pulling
from crm_core.services.inbox.mailboxes import MailboxView
from crm_core.vocabulary import InboundState, MailSource
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import empty_state, header
from ui.components.mailbox_dialogs import key_dialog, mailbox_dialog
from ui.navigation import page_of
from ui.session import current_actor


def card(view: MailboxView) -> None:
    """One mailbox: how it stands, what came in, what can be done with it."""
    box = view.box
    with st.container(border=True, key=f"box_{box.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(width="content", gap=None):
                badge = "" if box.is_active else " :gray-badge[Paused]"
                st.markdown(f"**{fmt.md(box.name)}**{badge}")
                words = f"{box.address} · {box.source.label.lower()}{where(view)} · becomes {box.becomes.label.lower()}"
                st.markdown(f":small[{fmt.md(words)}]")  # a caption is pale, and the link that an address becomes would be paler
            buttons(view)
        health(view)
        taken = view.taken
        new = taken.get(InboundState.TICKET, 0) + taken.get(InboundState.TIMELINE, 0) + taken.get(InboundState.REPLY, 0)
        machines = sum(taken.get(state, 0) for state in (InboundState.AUTO, InboundState.BOUNCE, InboundState.OWN))
        with st.grid(5, min_column_width=120):
            st.metric(
                "New, 30 days",
                fmt.written(new),
                help="Messages that began something: tickets, entries on customers, answers to campaigns",
            )
            st.metric(
                "Answers",
                fmt.written(taken.get(InboundState.THREAD, 0)),
                help="Added to a ticket that was there",
            )
            st.metric(
                "Filed",
                fmt.written(taken.get(InboundState.FILED, 0)),
                help="Mail of colleagues that came as a blind copy and stands on whom it went to",
            )
            st.metric("In the tray", fmt.written(taken.get(InboundState.TRAY, 0)), help="A person must say where they belong")
            st.metric(
                "By machines",
                fmt.written(machines),
                help="Automatic answers, bounces and our own mail: kept, and nothing was re-opened",
            )


def where(view: MailboxView) -> str:
    box = view.box
    if box.source is MailSource.IMAP:
        return f" from {box.host}"
    return f" {pulling.folder_of(box)}" if box.source is MailSource.FILES else ""


def health(view: MailboxView) -> None:
    """When it was read last, and what is wrong."""
    box = view.box
    if box.failures:
        again = (
            f" Tried {fmt.plural(box.failures, 'time')}; next try {fmt.ago(actor, box.next_pull_at)}." if box.next_pull_at else ""
        )
        st.error(fmt.md(box.message + again), icon=":material/error:")
    elif not box.is_active:
        st.caption("Paused: mail waits on the server, nothing is lost.")
    elif box.last_good_at is None:
        st.caption(
            "Nothing was fetched yet; a worker looks each minute."
            if box.source is not MailSource.WEB
            else "Nothing was sent to its web address yet."
        )
    else:
        late = box.source is not MailSource.WEB and fmt.clock.utcnow() - box.last_good_at > timedelta(minutes=10)
        note = " That is long ago: does a worker run?" if late else ""
        st.caption(fmt.md(f"Last read {fmt.ago(actor, box.last_good_at)}.{note}"))


def buttons(view: MailboxView) -> None:
    """Read now, pause, web address, change, remove."""
    box = view.box
    with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
        if box.is_active and box.source is not MailSource.WEB:
            st.button(
                "Read now", icon=":material/refresh:", key=f"now_{box.id}", type="tertiary", on_click=read_now, args=(box.id,)
            )
        st.button(
            "Go on" if not box.is_active else "Pause",
            key=f"pause_{box.id}",
            type="tertiary",
            on_click=pause,
            args=(box.id, box.is_active),
        )
        if st.button(
            icon=":material/webhook:",
            key=f"key_{box.id}",
            type="tertiary",
            **fmt.icon_only("Its web address, for mail providers"),
        ):
            key_dialog(view)
        if st.button("Change", icon=":material/edit:", key=f"change_{box.id}", type="tertiary"):
            mailbox_dialog(view)
        with st.popover(
            icon=":material/delete:",
            key=f"remove_{box.id}",
            type="tertiary",
            **fmt.icon_only("Remove this mailbox"),
        ):
            st.markdown("Its mail is not read any more. Tickets and messages stay.")
            st.button("Remove", type="primary", key=f"remove_yes_{box.id}", on_click=drop, args=(box.id,))


def read_now(mailbox_id: int) -> None:
    perform(pulling.now, mailbox_id, success="A worker reads it in a moment.")


def pause(mailbox_id: int, paused: bool) -> None:
    perform(mailboxes.pause, mailbox_id, paused=paused, success="Paused." if paused else "It is read again.")


def drop(mailbox_id: int) -> None:
    perform(mailboxes.remove, mailbox_id, success="Mailbox removed.")


actor = current_actor()
actions = header(
    "Mailboxes", "The addresses that customers write to. Their mail becomes tickets, and answers find the ticket they belong to."
)
tray_page = page_of(actor, "tray")
if tray_page is not None:
    actions.page_link(tray_page, label="Mail tray", icon=":material/inbox:")
if actions.button("New mailbox", type="primary", icon=":material/add:", key="new_box", shortcut="n"):
    mailbox_dialog(None)
known = load(mailboxes.find)
if not known:
    box = empty_state(
        "No mailboxes yet", "Connect the address that customers write to. Each message becomes a ticket of its sender; you answer from the ticket.", icon="mark_email_unread",
    )  # fmt: skip
    if box.button("Connect a mailbox", type="primary", icon=":material/add:", key="first_box"):
        mailbox_dialog(None)
for view in known:
    card(view)
if known:
    st.caption("Mail is only read: nothing is marked, moved or deleted on the server.")
