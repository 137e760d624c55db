"""What came in on a record and waits for an answer: above its timeline, with the ways to be done with it."""

import streamlit as st

from crm_core.services.collaboration import interactions
from crm_core.services.collaboration.interactions import Waiting
from crm_core.services.inbox import correspondence
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform
from ui.components.write_dialog import write_dialog
from ui.session import current_actor

_PUT_ASIDE = "_put_aside"


def waiting_answers(entity_key: str, record_id: int) -> None:
    """The messages, the oldest first; nothing when nobody waits."""
    if entity_key not in correspondence.WRITABLE:
        return
    _way_back(entity_key, record_id)
    for one in load(interactions.open_of, entity_key, record_id):
        _card(entity_key, record_id, one)


def _card(entity_key: str, record_id: int, one: Waiting) -> None:
    actor = current_actor()
    with st.container(border=True, gap="small", key=f"waits_{one.id}"):
        st.markdown(
            f":orange[:material/reply:] **{fmt.md(one.title)}**  \n:gray[:small[{fmt.md(f'{one.channel.label} · {fmt.ago(actor, one.at)} · waits for an answer')}]]"
        )
        if one.text and one.text.strip() != one.title.strip():
            st.text(one.text)
        with st.container(horizontal=True, gap="small"):
            if not actor.can("activity", Action.CREATE):
                return
            if one.by_mail and st.button("Answer", icon=":material/reply:", key=f"answer_{one.id}"):
                write_dialog(entity_key, record_id, answers=one.id)
            st.button(
                "Needs no answer", icon=":material/done:", type="tertiary", key=f"aside_{one.id}", on_click=_aside, args=(entity_key, record_id, one.id, one.title),
                help="It stays on the timeline. A call, mail or meeting that you log here settles it too.",
            )  # fmt: skip


def _aside(entity_key: str, record_id: int, number: int, title: str) -> None:
    if perform(interactions.put_aside, number) is not None:
        st.session_state[_PUT_ASIDE] = (entity_key, record_id, number, title)


def _way_back(entity_key: str, record_id: int) -> None:
    kept = st.session_state.get(_PUT_ASIDE)
    if kept is None or kept[:2] != (entity_key, record_id):
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="aside_note"):
        st.markdown(f":green[:material/check_circle:] Needs no answer: {fmt.md(kept[3])}", width="content")
        st.button("Undo", icon=":material/undo:", key="aside_undo", on_click=_back, args=(kept[2],))


def _back(number: int) -> None:
    st.session_state.pop(_PUT_ASIDE, None)
    perform(interactions.take_up, number, success="It waits for an answer again.")
