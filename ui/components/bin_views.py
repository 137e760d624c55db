"""The pieces of the bin: what can be done with the chosen records, what was done, and a look at one of them."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.services import crud, deleted
from crm_core.services.bulk import Outcome
from crm_core.services.deleted import Gone
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import perform, show_problems, tell
from ui.components.facts import facts
from ui.components.list_tools import counted
from ui.navigation import page_of
from ui.session import current_actor

EFFECTS = {
    "activity": "Guests of a meeting that is still to come are invited again.",
    "article": "An article that was published is public again at once.",
    "segment": "A live segment is counted anew.",
}
"""What coming back does beyond being there again."""

_DONE, _JUST = "_bin_done", "_just_deleted"


def bin_link(actor: Actor, entity_key: str, *, label: str = "") -> None:
    """The way to what was deleted of a kind, for whoever may delete it."""
    page = page_of(actor, "bin")
    if page is not None and actor.can(entity_key, Action.DELETE):
        words = label or f"Deleted {entity(entity_key).plural.lower()}"
        st.page_link(page, label=words, icon=":material/delete:", query_params={"kind": entity_key})


# --- on the page of the bin -------------------------------------------------------------------------------------------------


def restore_bar(entity_key: str, selected: Sequence[int]) -> None:
    """What can be done with the chosen ones; what was done last while nothing is chosen."""
    if not selected:
        _restored(entity_key)
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="bulk_bar"):
        st.markdown(f"**{counted(entity_key, len(selected))} selected**", width="content")
        if st.button("Restore", type="primary", icon=":material/restore_from_trash:", key="bin_restore"):
            take_back(entity_key, selected)
            st.rerun()


def take_back(entity_key: str, ids: Sequence[int]) -> bool:
    """Restore records and remember what came of it for the next drawing of the page."""
    result: tuple[dict[int, str], Outcome] | None = perform(deleted.restore, entity_key, ids)
    if result is None:
        return False
    st.session_state[_DONE] = (entity_key, *result)
    st.query_params["kind"] = entity_key  # with the last one gone the page would turn to another kind, and say nothing
    st.session_state["_bin_turn"] = st.session_state.get("_bin_turn", 0) + 1  # a new table: nothing is selected any more
    return True


def _restored(entity_key: str) -> None:
    """What came back, with the way to it, and what stayed and why."""
    kind, back, outcome = st.session_state.get(_DONE) or ("", {}, None)
    if kind != entity_key or outcome is None:
        return
    found = entity(entity_key)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="bulk_done"):
        if back:
            st.markdown(f":green[:material/check_circle:] {_named(entity_key, back)}", width="content")
        page = page_of(current_actor(), found.page if len(back) == 1 else f"{found.page}s") if back and found.page else None
        if page is not None:
            one = {"id": str(next(iter(back)))} if len(back) == 1 else None
            st.page_link(
                page, label="Open it" if one else f"All {found.plural.lower()}", icon=":material/arrow_forward:", query_params=one
            )
        if outcome.refused:
            with st.popover(
                f"{fmt.written(len(outcome.refused))} could not be restored", type="tertiary", icon=":material/warning:"
            ):
                for title, sentence in outcome.refused[:50]:
                    st.markdown(f"**{fmt.md(title[:80])}**  \n{fmt.md(sentence)}")
        if st.button(icon=":material/close:", key="bin_hide", type="tertiary", **fmt.icon_only("Hide this note")):
            st.session_state.pop(_DONE, None)
            st.rerun()


def _named(entity_key: str, back: dict[int, str]) -> str:
    if len(back) == 1:
        return f"{entity(entity_key).label} {fmt.md('“' + next(iter(back.values()))[:80] + '”')} is back."
    return f"{counted(entity_key, len(back))} are back."


def _looked() -> None:
    st.query_params.pop("record", None)


@st.dialog("In the bin", width="large", icon=":material/delete:", on_dismiss=_looked)
def look_at(entity_key: str, gone: Gone) -> None:
    """A record as it was when it was deleted, and the way back for whoever may."""
    actor = current_actor()
    st.markdown(f"**{fmt.md(gone.title)}**")
    st.caption(fmt.md(f"{entity(entity_key).label}, deleted by {gone.by} on {fmt.instant(actor, gone.at)}"))
    if not gone.mine:
        st.caption(f"You may see this {entity(entity_key).label.lower()}, but only who may delete it can restore it.")
    elif st.button(
        "Restore", type="primary", icon=":material/restore_from_trash:", key="bin_restore_one", help=EFFECTS.get(entity_key)
    ):
        if take_back(entity_key, [gone.id]):
            st.query_params.pop("record", None)
            st.rerun()
        show_problems()
    held = [key for key in gone.specs if key not in ("created_at", "updated_at") and gone.row.get(key) is not False]
    facts(actor, "What it held", gone.specs, gone.row, held)


# --- right after deleting ---------------------------------------------------------------------------------------------------


def just_deleted(entity_key: str, record_id: int, title: str) -> None:
    """Remember what was deleted on its page, for the list that comes next."""
    st.session_state[_JUST] = (entity_key, record_id, title)


def deleted_note(entity_key: str) -> None:
    """Over the list: what was deleted a moment ago, with the way back and the way to the bin."""
    kind, record_id, title = st.session_state.get(_JUST) or ("", 0, "")
    if kind != entity_key:
        return
    found = entity(entity_key)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", border=True, key="bulk_done_one"):
        st.markdown(f":material/delete: {found.label} {fmt.md('“' + title[:80] + '”')} is in the bin.", width="content")
        if st.button("Undo", icon=":material/undo:", key="deleted_undo"):
            _undo(entity_key, record_id, title)
            st.rerun()
        bin_link(current_actor(), entity_key, label="Open the bin")
        if st.button(icon=":material/close:", key="deleted_hide", type="tertiary", **fmt.icon_only("Hide this note")):
            st.session_state.pop(_JUST, None)
            st.rerun()


def _undo(entity_key: str, record_id: int, title: str) -> None:
    done: Any = perform(crud.restore, entity_key, record_id)
    if done is not None:
        st.session_state.pop(_JUST, None)
        tell(f"{entity(entity_key).label} “{title[:80]}” is back.", "ok")
