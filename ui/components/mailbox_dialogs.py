"""Dialogs of mailboxes: where the mail is, what it becomes, how it is answered; and the web address for mail providers."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.fields import registry
from crm_core.services.inbox import mailboxes, writing
from crm_core.services.inbox.mailboxes import MailboxView
from crm_core.vocabulary import Level, MailBecomes, MailSource, MailTls, UnknownSender
from ui import format as fmt
from ui.actions import load, perform, show_problems, show_refusal
from ui.addresses import absolute
from ui.components.parts_clash import Part, clashing, columns_of, named, plainly, save_parts, saver
from ui.components.whole_input import whole_number

_LABELS = {
    "host": "Mail server (IMAP)", "tls": "Protection", "username": "User name", "secret": "Password", "becomes": "A new message becomes",
    "unknown": "When nobody here has the sender's address", "team_id": "Team", "owner_id": "Assigned to", "plus_address": "Answers come back to an address with a mark",
    "acknowledge": "Tell the sender at once", "ack_subject": "Subject of the acknowledgement", "ack_body": "Text of the acknowledgement",
}  # fmt: skip
_PORTS = {MailTls.TLS: 993, MailTls.STARTTLS: 143, MailTls.NONE: 143}


@st.dialog("Mailbox", width="large", icon=":material/mark_email_unread:")
def mailbox_dialog(view: MailboxView | None) -> None:
    """Everything about a mailbox, in three parts."""
    box = view.box if view else None
    tag = f"{box.id}_{box.version}" if box else "new"
    get = lambda key, otherwise: getattr(box, key) if box else otherwise  # noqa: E731
    left, right = st.columns(2)
    values: dict[str, Any] = {
        "address": left.text_input("Address that customers write to *", value=get("address", ""), max_chars=254, key=f"mb_address_{tag}", placeholder="support@example.com"),
        "name": right.text_input("Name", value=get("name", ""), max_chars=80, key=f"mb_name_{tag}", placeholder="Support", help="Customers see it as the sender of answers"),
    }  # fmt: skip
    inn, becomes, out = st.tabs(["How it comes in", "What it becomes", "Answers"])
    with inn:
        values |= _server(view, get, tag)
    with becomes:
        values |= _becomes(get, tag)
    with out:
        values |= _answers(get, tag)
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        if values["source"] is MailSource.IMAP and st.button(
            "Test connection", icon=":material/network_check:", key=f"mb_test_{tag}"
        ):
            with st.spinner("Asking the mail server…"):
                found = load(mailboxes.probe, box.id if box else None, values)
            st.session_state[f"_mb_probe_{tag}"] = (found.good, found.words)
        question = f"mailbox_{tag}"
        pressed = st.button("Save", type="primary", key=f"mb_save_{tag}", disabled=clashing(question))
    told = st.session_state.get(f"_mb_probe_{tag}")
    if told:
        (st.success if told[0] else st.error)(fmt.md(told[1]), icon=":material/check_circle:" if told[0] else ":material/error:")

    if save_parts(
        question,
        pressed,
        seen=box,
        mine=values,
        parts=_parts(values),
        values_of=columns_of(values),
        save=saver(mailboxes.save, "Mailbox saved."),
    ):
        st.session_state.pop(f"_mb_probe_{tag}", None)
        st.rerun()
    show_refusal()


def _parts(values: Mapping[str, Any]) -> dict[str, Part]:
    known = {"team_id": "team", "owner_id": "user"}
    words = {key: named(load(lists.choices, entity, limit=500), "Nobody yet") for key, entity in known.items() if key in values}
    return {key: Part(_LABELS.get(key, key.capitalize()), words.get(key, plainly)) for key in values}


def _server(view: MailboxView | None, get: Any, tag: str) -> dict[str, Any]:
    source = st.segmented_control(
        "Source", list(MailSource), default=get("source", MailSource.IMAP), required=True, format_func=lambda one: one.label, key=f"mb_source_{tag}", label_visibility="collapsed"
    )  # fmt: skip
    values: dict[str, Any] = {"source": source}
    if source is MailSource.WEB:
        st.caption(
            "Save it, then take its web address from the card and give it to your mail provider as the target for incoming mail."
        )
        return values
    if source is MailSource.FILES:
        st.caption(
            "Every .eml file that lands in the folder is taken in: for trying out, or for another program that fetches mail."
        )
        return values | {"folder": get("folder", "support") or "support"}
    left, middle, right = st.columns([3, 2, 1], vertical_alignment="bottom")
    values["host"] = left.text_input(
        "Mail server (IMAP)", value=get("host", ""), max_chars=253, key=f"mb_host_{tag}", placeholder="imap.example.com"
    )
    values["tls"] = middle.selectbox(
        "Protection",
        list(MailTls),
        index=list(MailTls).index(get("tls", MailTls.TLS)),
        format_func=lambda one: one.label,
        key=f"mb_tls_{tag}",
    )
    port = get("port", 993) if values["tls"] is get("tls", MailTls.TLS) else _PORTS[values["tls"]]
    values["port"] = whole_number("Port", 1, 65_535, port, key=f"mb_port_{tag}_{values['tls']}", place=right)
    left, middle, right = st.columns([2, 2, 2], vertical_alignment="bottom")
    values["username"] = left.text_input(
        "User name", value=get("username", ""), max_chars=254, key=f"mb_user_{tag}", placeholder="support@example.com"
    )
    kept = view is not None and view.has_secret
    typed = middle.text_input(
        "Password", type="password", key=f"mb_secret_{tag}", placeholder="Kept; type to replace it" if kept else "", autocomplete="new-password",
        help="Kept encrypted, never shown again. Gmail and Microsoft 365 want an app password here.",
    )  # fmt: skip
    if typed:
        values["secret"] = typed
    values["folder"] = right.text_input("Folder", value=get("folder", "INBOX"), max_chars=200, key=f"mb_folder_{tag}")
    if view is None:
        values["first_days"] = whole_number(
            "Days to look back at first",
            0,
            mailboxes.MAX_FIRST_DAYS,
            1,
            key=f"mb_days_{tag}",
            help="Older mail stays where it is",
        )
    return values


def _becomes(get: Any, tag: str) -> dict[str, Any]:
    left, right = st.columns(2)
    becomes = left.radio(
        "A new message becomes", list(MailBecomes), index=list(MailBecomes).index(get("becomes", MailBecomes.TICKET)), format_func=lambda one: one.label, key=f"mb_becomes_{tag}"
    )  # fmt: skip
    if becomes is MailBecomes.FILED:
        right.caption(
            "For mail that colleagues send from their own mail program with this address as a blind copy (BCC): it is filed on the contacts and leads "
            "whom it went to. Nothing here becomes a ticket. Each person finds the address under Your account."
        )
        return {"becomes": becomes}
    unknown = right.radio(
        "When nobody here has the sender's address", list(UnknownSender), index=list(UnknownSender).index(get("unknown", UnknownSender.CONTACT)),
        format_func=lambda one: one.label, key=f"mb_unknown_{tag}",
    )  # fmt: skip
    values: dict[str, Any] = {"becomes": becomes, "unknown": unknown}
    if becomes is not MailBecomes.TICKET:
        return values
    teams, people = load(lists.choices, "team", limit=200), load(lists.choices, "user", limit=500)
    options = list((load(lambda session, _actor: registry(session, "ticket")["category"]).options or {}).values())
    left, middle, right = st.columns(3)
    for where, key, label, known in ((left, "team_id", "Team", teams), (middle, "owner_id", "Assigned to", people)):
        before = get(key, None)
        values[key] = where.selectbox(
            label, list(known), index=list(known).index(before) if before in known else None, format_func=lambda one, names=known: names[one], placeholder="Nobody yet", key=f"mb_{key}_{tag}"
        )  # fmt: skip
    before = get("category", None)
    values["category"] = right.selectbox(
        "Category", options, index=options.index(before) if before in options else None, placeholder="–", key=f"mb_category_{tag}"
    )
    left, right = st.columns(2)
    for where, key, label in ((left, "impact", "Impact"), (right, "urgency", "Urgency")):
        values[key] = where.segmented_control(
            label,
            list(Level),
            default=get(key, Level.MEDIUM),
            required=True,
            format_func=lambda one: one.label,
            key=f"mb_{key}_{tag}",
        )
    return values


def _answers(get: Any, tag: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "signature": st.text_area(
            "Signature", value=get("signature", "{{agent}}\n{{workspace}}"), height=90, max_chars=2000, key=f"mb_sign_{tag}", help="{{agent}} and {{workspace}} are put in"
        ),
        "plus_address": st.toggle(
            "Answers come back to an address with a mark (support+t12-…@)", value=get("plus_address", False), key=f"mb_plus_{tag}",
            help="The surest way to find the ticket or the record. It also gives each colleague an address for blind copies (BCC). Your mail server must take plus addresses; send yourself a mail to name+test@… to find out.",
        ),
        "acknowledge": st.toggle("Tell the sender at once that their message arrived", value=get("acknowledge", False), key=f"mb_ack_{tag}"),
    }  # fmt: skip
    if values["acknowledge"]:
        values["ack_subject"] = st.text_input(
            "Subject", value=get("ack_subject", "") or writing.ACK_SUBJECT, max_chars=200, key=f"mb_ack_s_{tag}"
        )
        values["ack_body"] = st.text_area(
            "Text", value=get("ack_body", "") or writing.ACK_BODY, height=150, max_chars=4000, key=f"mb_ack_b_{tag}"
        )
        st.caption(
            fmt.md(
                "Fields: "
                + ", ".join("{{" + key + "}}" for key in writing.ACK_FIELDS)
                + ". Machines and lists get none, and nobody more than three a day."
            )
        )
    return values


@st.dialog("Web address", width="medium", icon=":material/webhook:")
def key_dialog(view: MailboxView) -> None:
    """The address to which a mail provider sends messages, shown once; and the key that signs them."""
    box = view.box
    made = st.session_state.get("_box_key")
    if made and made[0] == box.id:
        address = absolute(f"/mail/in/{made[1]}")
        st.markdown("Give this address to your mail provider as the target for incoming mail. It is shown only here and now.")
        st.code(address, language=None, wrap_lines=True)
        st.code(f"curl -X POST {address} \\\n  -H 'content-type: message/rfc822' \\\n  --data-binary @message.eml", language="bash")
        st.caption("It takes the raw message, and the forms of Mailgun, SendGrid and the like.")
        return
    st.markdown(
        "Mail providers can send messages here instead of being asked each minute. "
        + ("The address before stops working." if box.key_sha256 else "")
    )
    if st.button("Make a new address", type="primary", key=f"box_key_{box.id}"):
        key = perform(mailboxes.new_key, box.id)
        if key is not None:
            st.session_state["_box_key"] = (box.id, key)
        st.rerun(scope="fragment")
    typed = st.text_input(
        "Signing key of the provider", type="password", key=f"box_sign_{box.id}", placeholder="Kept; type to replace it" if view.has_signing else "Optional",
        autocomplete="new-password", help="Then only messages that are signed with it are taken (HMAC-SHA256)",
    )  # fmt: skip
    if typed and st.button("Keep the signing key", key=f"box_sign_yes_{box.id}"):
        if perform(mailboxes.save, box.id, {"signing": typed}, success="Only signed messages are taken now.") is not None:
            st.rerun()
        show_problems()
