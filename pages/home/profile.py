"""One's own account: for everybody, to change the password and to see where one is signed in."""

from typing import Any

import streamlit as st

from crm_core.services.admin import users, workspace
from crm_core.services.admin.founding import timezones
from crm_core.services.inbox import filing
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.api_keys import keys_section
from ui.components.header import header
from ui.components.look import look_switch
from ui.components.table import Cell, Column, table
from ui.navigation import PAGES, page_of
from ui.session import current_actor


def about(person: dict[str, Any]) -> None:
    """Name and time zone, and what an administrator decides."""
    key = f"me_{person['version']}"
    name = st.text_input("Name", value=person["name"], key=f"{key}_name", max_chars=200)
    home, own = load(workspace.zone), person["timezone"] or ""
    zones = ["", *timezones(), *([own] if own and own not in timezones() else [])]
    zone = st.selectbox(
        "Time zone",
        zones,
        index=zones.index(own),
        format_func=lambda one: one or f"As the workspace ({home})",
        key=f"{key}_zone",
    )
    place = {
        "E-mail": person["email"],
        "Roles": ", ".join(person["roles"]),
        "Team": person["team"],
        "Reports to": person["manager"],
    }
    st.table({word: fmt.md(text) for word, text in place.items() if text}, border="horizontal")
    if st.button("Save", type="primary", key="me_save"):
        if perform(users.update_me, name=name, timezone=zone, success="Saved.") is not None:
            st.rerun()
        show_problems()


def password() -> None:
    """Change the password; the present one is asked for."""
    with st.form("password", border=False, clear_on_submit=True):
        current = st.text_input("Present password", type="password", key="pw_current", autocomplete="current-password")
        new = st.text_input(
            "New password", type="password", key="pw_new", autocomplete="new-password", help="At least 10 characters"
        )
        if st.form_submit_button("Change password"):
            if (
                perform(
                    users.change_password, current=current, new=new, success="Password changed. Other browsers were signed out."
                )
                is not None
            ):
                st.rerun()
            show_problems()


def browsers() -> None:
    """Where one is signed in."""
    found = load(users.signed_in_on, actor.user_id)
    table(
        [
            Column(key, label, sortable=False)
            for key, label in (("where", "Browser"), ("address", "Address"), ("method", "By"), ("seen", "Last seen"))
        ],
        [
            (
                row["id"],
                [
                    Cell(words(row)),
                    Cell(row["address"] or fmt.NOTHING),
                    Cell(row["method"].label),
                    Cell(fmt.ago(actor, row["last_seen_at"])),
                ],
            )
            for row in found
        ],
        key="browsers",
        label="Browsers",
    )
    if len(found) > 1 and st.button("Sign out all others", icon=":material/logout:", key="sign_out_others"):
        perform(users.sign_out_everywhere, actor.user_id, success="All other browsers were signed out.")
        st.rerun()


def words(row: dict[str, Any]) -> str:
    """A browser in a word that people know, and whether it is this one."""
    agent = row["browser"]
    name = next((word for sign, word in AGENTS if sign in agent), "Another program")
    return f"{name} (this one)" if row["is_this"] else name


@st.dialog("A new filing address?", icon=":material/autorenew:")
def new_address(turn: int) -> None:
    """Asks once more: the old one is in address books and rules of mail programs."""
    st.markdown(
        "The address that you have now stops working at once. What still goes to it waits in the mail tray and is filed nowhere."
    )
    st.caption("Put the new one into your mail program: into its address book, and wherever it adds a blind copy by itself.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep this one", key="filing_keep"):
            st.rerun()
        pressed = st.button("New address", type="primary", key="filing_yes")
        if pressed and perform(filing.renew, turn=turn, success="You have a new filing address.") is not None:
            st.rerun()
    show_problems()


def filing_address() -> None:
    """The address for blind copies of one's own mail."""
    found = load(filing.address_of)
    if found is not None:
        st.caption(
            "Put it into BCC when you write to a customer from your own mail program: the mail is filed on the contacts and leads whom it goes to, "
            "and becomes no ticket."
        )
        st.code(found.address, language=None, wrap_lines=True)
        st.text(f"It takes mail from {actor.email} only.")
        if not found.plain and st.button("New address …", icon=":material/autorenew:", key="filing_new"):
            new_address(found.turn)
        return
    st.caption("With it, mail that you write in your own mail program is filed on your customers. No mailbox takes such mail yet.")
    page = page_of(actor, "mailboxes")
    if page is not None:
        st.page_link(page, label="Set up a mailbox", icon=":material/mark_email_unread:")
    else:
        st.caption("An administrator sets it up under Mailboxes.")


AGENTS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
actor = current_actor()
header("Your account", "Your name, your password, and where you are signed in")
mine = load(users.me)
left, right = st.columns(2, gap="large")
with left, st.container(border=True):
    about(mine)
with right, st.container(border=True):
    if mine["has_password"]:
        password()
    else:
        st.caption("You came without a password. An administrator can make you a link to choose one.")
st.subheader("Light or dark", anchor=False)
look_switch(["/", *(f"/{screen.url}" for screen in PAGES)])
st.caption("On this browser only.")
st.subheader("Notifications", anchor=False)
st.caption("What you are told, by which way, and when it stays quiet.")
st.page_link(page_of(actor, "notifications"), label="Choose", icon=":material/tune:", query_params={"tab": "settings"})  # type: ignore[arg-type]
if actor.can("activity", Action.CREATE):
    st.subheader("Your filing address", anchor=False)
    filing_address()
st.subheader("Signed in on", anchor=False)
browsers()
if actor.can("integration", Action.READ):
    st.subheader("API keys", anchor=False)
    keys_section(mine=True)
