"""Keys of programs: the list with what each reaches, the dialog that makes one and shows it once, taking one back."""

from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.services.admin import api_key_rules as rules
from crm_core.services.admin import api_keys
from crm_core.services.admin.api_keys import KeyRow
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.addresses import absolute
from ui.components.header import empty_state
from ui.session import current_actor

TONES = {"works": "green", "expired": "orange", "revoked": "gray"}
WORDS = {"works": "Works", "expired": "Expired", "revoked": "Taken back"}
LIFETIMES = {30: "30 days", 90: "90 days", 365: "A year", None: "Until it is taken back"}
_MADE = "_api_key"


def keys_section(*, mine: bool) -> None:
    """The keys, those that work first; one's own on the account page, everybody's in Admin."""
    found = load(api_keys.find, mine=mine)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="keys_top"):
        st.caption("A key lets a program work here as you, within what you choose. The page of the API says what it can do.")
        with st.container(horizontal=True, width="content", gap="small"):
            st.link_button("API documentation", absolute("/api/v1/docs"), icon=":material/description:", type="tertiary")
            if found and st.button("New key", icon=":material/add:", key="key_new", type="primary" if not mine else "secondary"):
                new_key(for_others=not mine)
    if not found:
        box = empty_state(
            "No keys yet",
            "Make one to let a script, a spreadsheet or another product read and write here. It can do no more than you can.",
            icon="vpn_key",
        )
        if box.button("Make a key", type="primary", icon=":material/add:", key="key_first"):
            new_key(for_others=not mine)
        return
    for row in found:
        _card(row, mine=mine)


def _card(row: KeyRow, *, mine: bool) -> None:
    actor = current_actor()
    with (
        st.container(border=True, key=f"key_{row.id}"),
        st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"),
    ):
        with st.container(width="content", gap=None):
            badge = f":{TONES[row.state]}-badge[{WORDS[row.state]}]"
            st.markdown(f"**{fmt.md(row.name)}** {badge}")
            st.caption(fmt.md(f"{row.prefix}…" + ("" if mine else f" · acts as {row.who}")))
            st.caption(fmt.md(rules.in_words(row.scopes)))
            used = f"last used {fmt.ago(actor, row.last_used_at)}" if row.last_used_at else "never used"
            until = f"until {fmt.day(actor, row.expires_at)}" if row.expires_at else "no end"
            st.caption(fmt.md(f"{used} · {fmt.plural(row.calls, 'request')} in seven days · {until}"))
        if row.state == "works":
            with st.popover("Take back", icon=":material/block:", key=f"key_off_{row.id}", type="tertiary"):
                st.markdown("Programs that use it are refused from this moment. This can't be undone; make a new one instead.")
                st.button("Take it back", type="primary", key=f"key_off_yes_{row.id}", on_click=_revoke, args=(row.id,))


def _revoke(key_id: int) -> None:
    perform(api_keys.revoke, key_id, success="The key opens nothing any more.")


def _forget() -> None:
    st.session_state.pop(_MADE, None)


@st.dialog("API key", width="medium", icon=":material/vpn_key:", on_dismiss=_forget)
def new_key(*, for_others: bool = False) -> None:
    """Name, reach, lifetime; then the key, this once."""
    if made := st.session_state.get(_MADE):
        _show(made)
        return
    name = st.text_input("What is it for? *", key="key_name", max_chars=80, placeholder="Monthly report in a spreadsheet")
    user_id = _person() if for_others else None
    st.markdown("**What it reaches**")
    scopes: list[str] = []
    for area, label in rules.LABELS.items():
        scopes += _reach(area, label)
    days = st.selectbox("How long it works", list(LIFETIMES), index=1, format_func=lambda one: LIFETIMES[one], key="key_days")
    if st.button("Make the key", type="primary", key="key_make"):
        found = perform(api_keys.create, name=name or "", scopes=scopes, days=days, user_id=user_id)
        if found is not None:
            st.session_state[_MADE] = found[1]
            st.rerun(scope="fragment")
        show_problems()


def _reach(area: str, label: str) -> list[str]:
    row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small")
    row.markdown(fmt.md(label), width="content")
    chosen: Any = row.segmented_control(
        label, ["none", "read", "write"], default="none", required=True, label_visibility="collapsed", key=f"key_reach_{area}",
        format_func=lambda one: {"none": "Nothing", "read": "Read", "write": "Read and write"}[one], width="content",
    )  # fmt: skip
    return {"read": [f"{area}:{rules.READ}"], "write": [f"{area}:{rules.READ}", f"{area}:{rules.WRITE}"]}.get(str(chosen), [])


def _person() -> int | None:
    actor = current_actor()
    people = load(lists.choices, "user", limit=500)
    return st.selectbox(
        "Acts as", list(people), index=list(people).index(actor.user_id) if actor.user_id in people else None,
        format_func=lambda one: people[one], key="key_user", help="The program sees and may do what this person sees and may do",
    )  # fmt: skip


def _show(key: str) -> None:
    st.success(
        "This is the only time the key is shown. Keep it where the program finds it and people do not.",
        icon=":material/check_circle:",
    )
    st.code(key, language=None, wrap_lines=True)
    st.code(f"curl -H 'Authorization: Bearer {key}' {absolute('/api/v1/me')}", language="bash", wrap_lines=True)
    if st.button("Done", type="primary", key="key_done"):
        _forget()
        st.rerun()
