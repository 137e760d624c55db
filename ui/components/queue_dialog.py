"""The dialog of a queue: its name, whose it is, how long something may wait."""

import streamlit as st

from crm_core import lists
from crm_core.services.routing import queues
from crm_core.services.routing.queues import QueueView
from ui.actions import load, perform, show_problems
from ui.components.sla_card import minutes_of, span


@st.dialog("Queue", icon=":material/hourglass_top:")
def queue_dialog(queue: QueueView | None) -> None:
    """Name, whose it is, and how long something may wait."""
    teams = load(lists.choices, "team", limit=500)
    tag = f"{queue.id}_{queue.version}" if queue else "new"
    name = st.text_input("Name *", value=queue.name if queue else "", max_chars=80, key=f"q_name_{tag}")
    before = queue.team_id if queue and queue.team_id in teams else None
    team_id = st.selectbox("Whose queue is it?", list(teams), index=list(teams).index(before) if before else None, format_func=lambda one: teams[one], placeholder="Nobody’s in particular", key=f"q_team_{tag}")  # fmt: skip
    wait = st.text_input("Tell them when something waits longer than", value=span(queue.max_wait_minutes) if queue else "", placeholder="30m or 4h; empty: never", key=f"q_wait_{tag}", validate=r"^\s*(\d+\s*(d|h|m|min)?\s*)*$")  # fmt: skip
    if st.button("Save", type="primary", key=f"q_save_{tag}"):
        given = {"name": name or "", "team_id": team_id, "max_wait_minutes": minutes_of(wait)}
        if (
            perform(
                queues.save,
                queue.id if queue else None,
                **given,
                base_version=queue.version if queue else None,
                success="Queue saved.",
            )
            is not None
        ):
            st.rerun()
        show_problems()
