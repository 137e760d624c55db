"""What can be done with the entries of a timeline: pin them, correct them, move them to the bin."""

from collections.abc import Callable, Collection, Sequence

import streamlit as st

from crm_core.services.collaboration import activities, pins
from crm_core.services.collaboration.timeline import Item
from crm_core.vocabulary import Action
from ui.actions import load, perform, show_problems
from ui.components.record_page import edit_dialog
from ui.session import current_actor

FIELDS = ("kind", "subject", "body", "at", "minutes", "outcome")


def entry_tools(entity_key: str, record_id: int, items: Sequence[Item], pinned: Collection[int]) -> Callable[[Item], None]:
    """A function that draws the buttons under an entry: those that its reader may press."""
    may_edit, may_delete = load(pins.mine_to_change, [item.record_id for item in items if item.entity == "activity"])
    may_pin = current_actor().can(entity_key, Action.EDIT)
    drawn: set[int] = set()

    def draw(item: Item) -> None:
        number = item.record_id
        if item.entity != "activity" or number in drawn or not (may_pin or number in may_edit | may_delete):
            return
        drawn.add(number)
        with st.container(horizontal=True, gap="small", key=f"tools_{number}"):
            if may_pin:
                _pin_button(entity_key, record_id, number, number in pinned)
            if (
                number in may_edit
                and "talk" not in item.data
                and st.button("Correct", icon=":material/edit:", type="tertiary", key=f"correct_{number}")
            ):
                edit_dialog("activity", number, FIELDS, title="Correct this entry")
            if number in may_delete and st.button("Delete", icon=":material/delete:", type="tertiary", key=f"bin_{number}"):
                _delete(number, item.title)

    return draw


def _pin_button(entity_key: str, record_id: int, number: int, is_on: bool) -> None:
    label, verb, said = ("Take off the top", pins.unpin, "Taken off the top.") if is_on else ("Pin to the top", pins.pin, "Pinned.")
    if st.button(label, icon=":material/keep_off:" if is_on else ":material/keep:", type="tertiary", key=f"pin_{number}"):
        perform(verb, entity_key, record_id, number, success=said)
        st.rerun()


@st.dialog("Delete this entry?", width="small")
def _delete(number: int, title: str) -> None:
    st.text(title)
    st.caption("It goes to the bin and can be restored from there.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep it", key="entry_keep"):
            st.rerun()
        if st.button("Delete", type="primary", key="entry_delete"):
            if perform(activities.remove, number, success="Moved to the bin.") is not None:
                st.rerun()
            show_problems()
