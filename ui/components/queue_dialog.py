"""The dialog of a queue: its name, whose it is, how long something may wait."""

import streamlit as st

from crm_core import lists
from crm_core.services.routing import queues
from crm_core.services.routing.queues import QueueView
from ui.actions import load, show_problems
from ui.components.parts_clash import Part, clashing, columns_of, named, save_parts, saver
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
    question = f"queue_{tag}"
    pressed = st.button("Save", type="primary", key=f"q_save_{tag}", disabled=clashing(question))
    mine = {"name": name or "", "team_id": team_id, "max_wait_minutes": minutes_of(wait)}
    parts = {
        "name": Part("Name"),
        "team_id": Part("Whose queue it is", named(teams, "Nobody’s in particular")),
        "max_wait_minutes": Part("Tell them when something waits longer than", lambda minutes: span(minutes) or "Never"),
    }
    if save_parts(
        question,
        pressed,
        seen=queue,
        mine=mine,
        parts=parts,
        values_of=columns_of(mine),
        save=saver(queues.save, "Queue saved.", spread=True),
    ):
        st.rerun()
    show_problems()
