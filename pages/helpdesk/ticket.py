"""One ticket: for the agent who answers it, with the customer beside the conversation."""

from functools import partial

import streamlit as st

from crm_core.services.automation import record_runs
from crm_core.services.helpdesk import answers, slas, tickets
from crm_core.services.helpdesk.ticket_rules import DONE
from crm_core.vocabulary import Action
from ui.actions import load, perform
from ui.components.activity_feed import feed, log_box
from ui.components.answer_box import answer_box
from ui.components.assign import assign_entry, take_button
from ui.components.conversation import conversation
from ui.components.decision_card import decision_card
from ui.components.facts import facts
from ui.components.files import files
from ui.components.header import Rare, header, more_menu
from ui.components.macro_dialogs import macro_done, use_dialog
from ui.components.merge_dialog import merge_dialog, merged_notes
from ui.components.record_automations import automations_card, start_entry
from ui.components.record_page import delete_entry, edit_dialog, edit_entry, facts_of, id_from_url, next_steps
from ui.components.sla_card import sla_card
from ui.components.survey_send import survey_entry
from ui.components.ticket_dialogs import customer, priority_badges, same_piece, wait_entries
from ui.navigation import page_of
from ui.session import current_actor

ABOUT = (
    "account_id", "product_id", "serial_number", "channel", "category", "impact", "urgency", "priority", "owner_id", "team_id", "opened_at", "first_response_at",
    "solved_at",
)  # fmt: skip

actor = current_actor()
ticket_id = id_from_url()
specs, row = load(facts_of, "ticket", ticket_id)
automated = load(record_runs.on_record, "ticket", ticket_id)
messages = load(tickets.messages, ticket_id)
links = load(answers.links_of, ticket_id)
may_edit = actor.can("ticket", Action.EDIT)
done = row["status"] in DONE

who = row.get("contact_id.title") or row.get("account_id.title")
caption = " · ".join(part for part in (row["number"], who, f"Assigned to {row.get('owner_id.title') or 'nobody'}") if part)
actions = header(row["subject"], caption, badges=priority_badges(row), back=("Tickets", page_of(actor, "tickets")))
rare: list[Rare] = []
if may_edit and not done:
    if actions.button("Solve", icon=":material/check:", key="solve"):
        perform(tickets.solve, ticket_id, base_version=row["version"], success="Solved.")
        st.rerun()
    if row["owner_id"] != actor.user_id:
        take_button(actor, actions, row, tickets.assign)
    rare = assign_entry(actor, "ticket", row, tickets.assign) + wait_entries(row)
if may_edit and done and not links["into"] and actions.button("Re-open", icon=":material/undo:", key="reopen"):
    perform(tickets.reopen, ticket_id, base_version=row["version"], success="The ticket is open again.")
    st.rerun()
if may_edit and actions.button("Macro", icon=":material/bolt:", key="macro", shortcut="m", help="Several steps at once"):
    use_dialog({ticket_id: row["version"]})
if may_edit:
    if actions.button("Edit", icon=":material/edit:", key="edit", shortcut="e"):
        edit_dialog("ticket", ticket_id)
    if not links["into"]:
        rare.append(Rare("merge", "Merge into another ticket", "merge", partial(merge_dialog, row)))
rare += survey_entry("ticket", ticket_id, row["contact_id"]) + start_entry(automated, "ticket", ticket_id)
also = [
    Rare("macro", "Macro", "bolt", partial(use_dialog, {ticket_id: row["version"]})),
    edit_entry("ticket", ticket_id),
] * may_edit
more_menu(actions, rare + delete_entry(actor, "ticket", row, row["subject"], "tickets"), also)

macro_done([ticket_id])
merged_notes(actor, row, links)
left, right = st.columns([7, 4], gap="medium")
with left:
    talk, history = st.tabs(["Conversation", "Activities and changes"])
    with talk:
        conversation(actor, ticket_id, messages)
        if may_edit:
            answer_box(ticket_id, row["status"], row["contact_id"], max((message.id for message in messages), default=0))
    with history:
        log_box("ticket", ticket_id, row["contact_id"])
        feed("ticket", ticket_id)
with right:
    sla_card(actor, load(slas.of_ticket, ticket_id), load(slas.escalations, ticket_id))
    decision_card("ticket", ticket_id)
    customer(actor, specs, row)
    next_steps("ticket", ticket_id)
    automations_card(automated, "ticket", ticket_id)
    again = ("reopened_count",) if row["reopened_count"] else ()
    facts(actor, "About", specs, row, (*ABOUT, *again, *(key for key in specs if specs[key].custom)))
    same_piece(actor, row["serial_number"])
    files("ticket", ticket_id)
