"""Following a record: the button above its timeline, and the list of what I follow."""

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import ENTITIES, label_of
from crm_core.kit.text import fold
from crm_core.services.collaboration import following
from crm_core.services.collaboration.following import Followed
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import empty_state
from ui.navigation import go, page_of

SIZE = 25


def follow_button(entity_key: str, record_id: int) -> None:
    """Follow the record, or stop; for everybody who sees it."""
    on = load(following.is_on, entity_key, record_id)
    label, icon, verb = ("Following", "check", following.stop) if on else ("Follow", "visibility", following.follow)
    words = "You are told of what others do here. Press to stop" if on else "Be told of what others do here"
    if st.button(label, icon=f":material/{icon}:", type="tertiary", key="follow", help=words):
        done = perform(verb, entity_key, record_id)
        st.rerun(scope="fragment" if done is not None else "app")


def followed(actor: Actor) -> None:
    """The list of what I follow, what changed last first."""
    rows = load(following.find)
    _undo()
    if not rows:
        empty_state(
            "You follow nothing yet",
            "Press “Follow” above the timeline of a lead, deal, account, ticket or other record. Where colleagues mention you, you follow from then on.",
            icon="visibility",
        )
        return
    wanted = ""
    if len(rows) > SIZE:
        wanted = st.text_input("Find", key="followed_find", placeholder="Find by name", label_visibility="collapsed")
    shown = [row for row in rows if fold(wanted or "") in fold(row.title)]
    number = 1
    if len(shown) > SIZE:
        number = st.pagination(-(-len(shown) // SIZE), key="followed_page")
    with st.container(border=True, gap="xsmall", key="followed_list"):
        if not shown:
            st.caption("Nothing that you follow has this name.")
        for row in shown[(number - 1) * SIZE : number * SIZE]:
            _line(actor, row)
    st.caption(fmt.plural(len(shown), "record"))


def _line(actor: Actor, row: Followed) -> None:
    name, page = f"{row.entity}_{row.record_id}", ENTITIES[row.entity].page
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"note_followed_{name}"):
        label = f"**{fmt.md(row.title)}**  :gray[{label_of(row.entity)} · changed {fmt.md(fmt.ago(actor, row.changed_at))}]"
        with st.container(width="stretch"):
            if page and page_of(actor, page) is not None:
                if st.button(label, type="tertiary", key=f"followed_open_{name}"):
                    go(page, id=row.record_id)
            else:
                st.markdown(label)
        if st.button("Stop following", type="tertiary", key=f"followed_stop_{name}"):
            perform(following.stop, row.entity, row.record_id)
            st.session_state["_unfollowed"] = (row.entity, row.record_id, row.title)
            st.rerun()


def _undo() -> None:
    gone = st.session_state.get("_unfollowed")
    if gone is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="followed_undo"):
        st.caption(f"You no longer follow {fmt.md(gone[2])}.", width="content")
        if st.button("Undo", icon=":material/undo:", type="tertiary", key="followed_undo_yes"):
            st.session_state.pop("_unfollowed")
            perform(following.follow, gone[0], gone[1])
            st.rerun()
