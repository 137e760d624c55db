"""One task: what is to be done, by whom, by when, and about whom."""

import streamlit as st

from crm_core.services.collaboration import tasks
from crm_core.vocabulary import Action, TaskStatus
from ui import format as fmt
from ui.actions import load, perform
from ui.components.activity_feed import feed
from ui.components.assign import assign_entry
from ui.components.facts import facts
from ui.components.files import files
from ui.components.header import Rare, header, more_menu
from ui.components.record_page import delete_entry, edit_dialog, edit_entry, facts_of, id_from_url
from ui.components.task_cards import later_menu, task_badges
from ui.navigation import page_of
from ui.session import current_actor

ABOUT = ("due_at", "owner_id", "account_id", "contact_id", "deal_id", "lead_id", "ticket_id", "done_at")
EDITED = (
    "subject",
    "due_at",
    "priority",
    "status",
    "owner_id",
    "account_id",
    "contact_id",
    "deal_id",
    "lead_id",
    "ticket_id",
    "body",
)

actor = current_actor()
task_id = id_from_url()
specs, row = load(facts_of, "task", task_id)
may_edit = actor.can("task", Action.EDIT)

caption = " · ".join(
    part
    for part in (f"Due {fmt.ago(actor, row['due_at'])}" if row["due_at"] else "No date", row.get("owner_id.title") or "Nobody's")
    if part
)
actions = header(row["subject"], caption, badges=task_badges(actor, row), back=("Tasks", page_of(actor, "tasks")))
rare: list[Rare] = []
also: list[Rare] = []
if may_edit and row["status"] is TaskStatus.OPEN:
    if actions.button("Done", type="primary", icon=":material/check:", key="complete", shortcut="d"):
        perform(tasks.complete, task_id, success="Done.")
        st.rerun()
    also = later_menu(actor, actions, row)
    rare = assign_entry(actor, "task", row, tasks.assign)
elif may_edit and actions.button("Open again", icon=":material/undo:", key="reopen"):
    perform(tasks.reopen, task_id, success="The task is open again.")
    st.rerun()
edited = [*EDITED, *(key for key in specs if specs[key].custom)]
if may_edit:
    if actions.button("Edit", icon=":material/edit:", key="edit", shortcut="e"):
        edit_dialog("task", task_id, edited)
    also.append(edit_entry("task", task_id, edited))
more_menu(actions, rare + delete_entry(actor, "task", row, row["subject"], "tasks"), also)

left, right = st.columns([7, 4], gap="medium")
with left:
    with st.container(border=True, gap="small", key="task_notes"):
        st.markdown("**Notes**")
        if row["body"]:
            st.text(row["body"])
        else:
            st.caption("Nothing written down.")
    feed("task", task_id)
with right:
    facts(actor, "About", specs, row, (*ABOUT, *(key for key in specs if specs[key].custom)))
    files("task", task_id)
