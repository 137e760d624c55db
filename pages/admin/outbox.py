"""Mail that went out or waits: for the administrator, to see whether an invitation, a report or a campaign got through, and to try again."""

from typing import Any

import streamlit as st

from crm_core.channels import email
from crm_core.services.collaboration import outbox
from crm_core.services.customers import delivery_reports
from crm_core.vocabulary import HaltKind, MailState
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.addresses import number
from ui.components.halt import stop_button
from ui.components.header import empty_state, header
from ui.components.mail_frame import mail_frame
from ui.components.table import Cell, Column, table
from ui.session import current_actor

TONES = {
    MailState.PENDING: "orange", MailState.SENDING: "blue", MailState.HANDED: "violet", MailState.SENT: "green", MailState.FAILED: "red",
    MailState.BOUNCED: "red", MailState.HELD: "gray", MailState.CANCELLED: "gray",
}  # fmt: skip
KINDS = {
    "invite": "Invitation", "reset": "New password", "campaign": "Campaign", "campaign_test": "Campaign test", "report": "Report",
    "automation": "Automation", "survey": "Survey", "confirmation": "Question for consent", "test": "Mail test", "notification": "Notification", "ticket": "Answer to a ticket", "ticket_ack": "Note that mail arrived",
}  # fmt: skip
COLUMNS = [
    Column("to", "To", sortable=False),
    Column("subject", "Subject", sortable=False),
    Column("kind", "Kind", sortable=False, muted=True),
    Column("state", "State", sortable=False),
    Column("queued", "Queued", sortable=False, muted=True),
    Column("message", "What the server said", sortable=False, muted=True),
]


def first_page() -> None:
    st.session_state["page"] = 1


def kind_of(key: str) -> str:
    return KINDS.get(key, key.replace("_", " ").capitalize())


def cells(row: dict[str, Any]) -> list[Cell]:
    to = f"{row['name']} <{row['address']}>" if row["name"] else row["address"]
    return [
        Cell(to), Cell(row["subject"] or fmt.NOTHING), Cell(kind_of(row["kind"])), Cell(row["state"].label, tone=TONES[row["state"]]),
        Cell(fmt.ago(actor, row["created_at"])), Cell(row["message"], hot=row["state"] in (MailState.FAILED, MailState.BOUNCED)),
    ]  # fmt: skip


def where_it_goes() -> None:
    if email.configured():
        st.caption(f"Mail goes out through {fmt.md(email.where())}.")
    else:
        st.info(
            "No mail server is set, so nothing leaves this machine: messages are written as files to the outbox folder and can be "
            "read here. Set `RAPPORT_SMTP_URL` and `RAPPORT_MAIL_FROM` to send for real.",
            icon=":material/drafts:",
        )


def figures(found: dict[MailState, int]) -> None:
    waiting = found[MailState.PENDING] + found[MailState.SENDING] + found[MailState.HELD]
    with st.grid(4, min_column_width=150):
        st.metric("Sent", fmt.number(actor, found[MailState.SENT]), border=True)
        st.metric("Waiting", fmt.number(actor, waiting), border=True, help="Being sent, waiting for another try, or held back")
        st.metric(
            "Not confirmed",
            fmt.number(actor, found[MailState.HANDED]),
            border=True,
            help="The mail server had the whole message when the connection or the worker ended. Not sent again by itself: the reader might get it twice",
        )
        st.metric("Failed or bounced", fmt.number(actor, found[MailState.FAILED] + found[MailState.BOUNCED]), border=True)


@st.dialog("Message", width="large", on_dismiss=lambda: st.query_params.pop("mail", None))
def details(row: dict[str, Any]) -> None:
    """One message: where it stands, its words, and what can be done."""
    st.markdown(f"**{fmt.md(row['subject'] or 'No subject')}**")
    st.badge(row["state"].label, color=TONES[row["state"]])  # type: ignore[arg-type]
    if row["message"]:
        st.caption(fmt.md(row["message"]))
    facts = {
        "To": fmt.md(row["address"]), "Kind": fmt.md(kind_of(row["kind"])), "Queued": fmt.md(fmt.instant(actor, row["created_at"])),
        "Sent": fmt.md(fmt.instant(actor, row["sent_at"])), "Tries": str(row["attempts"]),
        "Next try": fmt.md(fmt.instant(actor, row["next_at"])) if row["state"] is MailState.PENDING else fmt.NOTHING,
    }  # fmt: skip
    st.table(facts, border="horizontal")
    if row["secret"]:
        st.caption("This message holds a one-time link, so its words are not shown.")
    else:
        words(row)
    buttons(row)


def words(row: dict[str, Any]) -> None:
    source = load(outbox.source, row["id"])
    text = source.decode("utf-8", "replace") if source else row["content"]
    if not text:
        st.caption("The words of this message were not kept after it was sent.")
        return
    html = load(outbox.html_of, row["id"])
    views = ["As the reader sees it", "As it was sent" if source else "As text"]
    shown = (
        st.segmented_control("View", views, default=views[0], required=True, key="mail_view", label_visibility="collapsed")
        if html
        else views[1]
    )
    if shown == views[0]:
        mail_frame(html, key=f"mail_frame_{row['id']}")
        st.caption(
            "Pictures from elsewhere stay out and links lead nowhere here, so that looking counts as no opening and no click."
        )
        return
    st.code(text, language=None, wrap_lines=True, height=320)
    if source:
        st.download_button(
            "Download .eml", source, file_name=f"message-{row['id']}.eml", mime="message/rfc822", key="mail_download"
        )


def buttons(row: dict[str, Any]) -> None:
    with st.container(horizontal=True, horizontal_alignment="right"):
        if row["state"] in (MailState.PENDING, MailState.HELD) and st.button("Don't send it", key="mail_cancel"):
            finish(outbox.cancel, row["id"], "Taken out of the outbox.")
        if outbox.may_go_again(row) and row["content"]:
            if row["state"] is MailState.HANDED:
                st.caption("It may have arrived: sending it again may reach the reader twice.", width="stretch")
            if st.button("Send again", type="primary", key="mail_again"):
                finish(outbox.retry, row["id"], "It is on its way.")


def finish(verb: Any, mail_id: int, success: str) -> None:
    st.query_params.pop("mail", None)
    perform(verb, mail_id, success=success)
    st.rerun()


def tools(found: dict[MailState, int]) -> None:
    if actions.button("Mail me a test", icon=":material/outgoing_mail:", key="mail_try"):
        perform(outbox.try_out, success=f"A message to {fmt.md(actor.email)} is on its way.")
        st.rerun()
    if actions.button(
        "Bounces", icon=":material/undo:", key="mail_bounces", help="Hand in messages that came back, and complaints"
    ):
        bounce_dialog()
    if found[MailState.FAILED] and actions.button("Retry failed", icon=":material/refresh:", key="mail_retry_all"):
        perform(outbox.retry_failed, success="The failed messages are on their way again.")
        st.rerun()
    stop_button(actions, HaltKind.MAIL)


@st.dialog("Bounces and complaints", width="small")
def bounce_dialog() -> None:
    """Reports of messages that came back, saved as files by a mail program."""
    st.caption(
        "Hand in the messages (.eml) that say that something could not be delivered or was marked as spam. A dead address is blocked, and "
        "whoever complained gets no offers and news any more. Reports that reach a connected mailbox are noted by themselves."
    )
    files = st.file_uploader(
        "Report", type=["eml", "txt"], accept_multiple_files=True, key="bounce_files", label_visibility="collapsed"
    )
    if st.button("Note them", type="primary", key="bounce_yes", disabled=not files):
        done = sum(perform(delivery_reports.take_in, one.getvalue()) is not None for one in files or [])
        show_problems()
        if done:
            st.success(f"{fmt.plural(done, 'report')} noted.", icon=":material/check_circle:")


actor = current_actor()
actions = header("Outbox", "Every message this workspace sent or is about to send")
found = load(outbox.counts)
tools(found)
where_it_goes()
if not sum(found.values()):
    empty_state("Nothing was sent yet", "Invitations, reports and campaigns appear here once they are queued.", icon="outbox")
    st.stop()
figures(found)
with st.container(horizontal=True, vertical_alignment="bottom", key="list_tools"):
    q = st.text_input("Search", key="q", placeholder="Address or subject", type="search", on_change=first_page, bind="query-params")
    state = st.selectbox(
        "State",
        list(MailState),
        index=None,
        format_func=lambda one: one.label,
        placeholder="All",
        key="state",
        on_change=first_page,
    )
    kind = st.selectbox(
        "Kind", load(outbox.kinds), index=None, format_func=kind_of, placeholder="All", key="kind", on_change=first_page
    )
page = load(outbox.find, q=q or "", state=state, kind=kind or "", page=int(st.session_state.get("page") or 1))
if not page.rows:
    empty_state("No message matches", "Try another word, state or kind.", icon="search_off")
else:
    happened = table(
        COLUMNS, [(row["id"], cells(row)) for row in page.rows], key="table_outbox", label="Messages", href="/outbox?mail={id}"
    )
    if happened.opened:
        st.query_params["mail"] = str(happened.opened)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="list_footer"):
        st.caption(fmt.plural(page.total, "message"))
        if page.pages > 1:
            st.pagination(page.pages, key="page", bind="query-params")
if mail_id := number("mail"):
    details(load(outbox.get, mail_id))
