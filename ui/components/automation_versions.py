"""The versions of an automation: what each does, how many runs still keep to it, what it would have done, and how to bring it back."""

from datetime import datetime

import streamlit as st

from crm_core.models import Automation
from crm_core.services.automation import automations
from ui import format as fmt
from ui.actions import load
from ui.components.automation_dialogs import look_back, replay_view
from ui.components.automation_draft import Draft
from ui.components.automation_words import at_length
from ui.session import current_actor


def versions(row: Automation, draft: Draft | None, tab_key: str) -> None:
    """The latest first. ``draft``: None for somebody who only reads."""
    busy = load(automations.under_way, row.id)
    st.caption("Each saving is a version of its own. Runs keep to the version they began with; new ones take the current one.")
    for at, now, before in load(automations.taken_over, row.id):
        words = f"{fmt.instant(current_actor(), at)}: acts with the rights of {now or 'somebody'} from then on, until then of {before or 'somebody'}."
        st.caption(f":material/badge: {fmt.md(words)}")
    for number, at, author in load(automations.versions, row.id):
        _version(row, draft, tab_key, (number, at, author), busy.get(number, 0))


def _version(row: Automation, draft: Draft | None, tab_key: str, one: tuple[int, datetime, str], busy: int) -> None:
    number, at, author = one
    current = number == row.current
    said = [
        f"**Version {number}**" + (" :green-badge[Current]" if current else ""),
        fmt.instant(current_actor(), at),
        fmt.md(author or "–"),
    ]
    said += [f"{fmt.plural(busy, 'run')} under way"] if busy else []
    shown = st.expander(" · ".join(said), key=f"auto_version_{row.id}_{number}", on_change="rerun")
    if not shown.open:
        return
    with shown:
        told = load(automations.story, row.id, number)
        st.markdown(at_length(told))
        if draft is None:
            return
        with st.container(horizontal=True, gap="small"):
            if st.button("Try on the past", icon=":material/history:", key=f"auto_try_{number}"):
                draft.tried[str(number)] = ("", look_back(told.flow, row.hourly_cap))
            if not current:
                st.button(
                    "Bring it back", icon=":material/restore:", key=f"auto_back_{number}", on_click=_back, args=(draft, row.id, number, tab_key),
                    help="Puts it into the editor; it becomes a new version once you save",
                )  # fmt: skip
        if str(number) in draft.tried:
            replay_view(draft.tried[str(number)][1], row.entity)


def _back(draft: Draft, automation_id: int, number: int, tab_key: str) -> None:
    draft.change(load(automations.flow, automation_id, number))
    st.session_state[tab_key] = "Write"
