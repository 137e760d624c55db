"""Everything I was told, for everybody: what waits, what happened, and how I want to hear of it."""

import streamlit as st

from crm_core.services.collaboration import notifications
from crm_core.services.collaboration.notification_rules import KINDS
from ui import format as fmt
from ui.actions import load, perform
from ui.components.followed import followed
from ui.components.header import empty_state, header
from ui.components.note_settings import wishes
from ui.components.notes import note_line
from ui.session import current_actor

SIZE = 25
GROUPS = list(dict.fromkeys(kind.group for kind in KINDS.values()))


def first_page() -> None:
    st.session_state["page"] = 1


def undo(ids: list[int]) -> None:
    """Take the last marking back."""
    with st.container(horizontal=True, vertical_alignment="center", key="notes_undo"):
        st.caption(f"{fmt.plural(len(ids), 'notification')} marked as read.", width="content")
        if st.button("Undo", icon=":material/undo:", type="tertiary", key="notes_undo_yes"):
            perform(notifications.mark, ids, read=False)
            st.session_state.pop("_notes_marked", None)
            st.rerun()


def everything() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="list_tools"):
        which = st.segmented_control(
            "Show", ["All", "Unread"], default="All", required=True, key="which", label_visibility="collapsed", on_change=first_page
        )
        groups = st.pills(
            "About", GROUPS, selection_mode="multi", key="groups", label_visibility="collapsed", on_change=first_page, wrap=True
        )
    kinds = [kind.key for kind in KINDS.values() if kind.group in groups] if groups else []
    number = int(st.session_state.get("page") or 1)
    rows, total = load(notifications.find, unread_only=which == "Unread", kinds=kinds, page=number, size=SIZE)
    if any(not row.read for row in rows) and actions.button("Mark all as read", icon=":material/done_all:", key="notes_all"):
        st.session_state["_notes_marked"] = perform(notifications.mark_all, kinds=kinds)
        st.rerun()
    if isinstance(marked := st.session_state.get("_notes_marked"), list) and marked:
        undo(marked)
    if not rows:
        nothing(which == "Unread" or bool(groups))
        return
    with st.container(border=True, gap="xsmall", key="notes_list"):
        for row in rows:
            note_line(actor, row, key="list", again=st.rerun)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="list_footer"):
        st.caption(fmt.plural(total, "notification"))
        if total > SIZE:
            st.pagination(-(-total // SIZE), key="page", bind="query-params")


def nothing(filtered: bool) -> None:
    if filtered:
        empty_state("Nothing here", "You have read everything, or nothing of this kind happened.", icon="done_all")
    else:
        empty_state(
            "Nothing yet", "Here you will read what others give you to do, what falls due, and what is ready.", icon="notifications"
        )


actor = current_actor()
actions = header("Notifications", "What happened for you, and how you want to hear of it")
TABS = {"following": "Following", "settings": "Settings"}
first, second, third = st.tabs(
    ["List", "Following", "Settings"],
    default=TABS.get(st.query_params.get("tab", ""), "List"),
    on_change="rerun",
    key="notes_tab",
)
if third.open:
    with third:
        wishes(actor.timezone)
elif second.open:
    with second:
        followed(actor)
else:
    with first:
        everything()
