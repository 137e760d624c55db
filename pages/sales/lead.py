"""One lead: for whoever decides whether it is worth a deal, and takes the next step."""

from functools import partial

import streamlit as st

from crm_core.services.automation import record_runs
from crm_core.services.inbox import correspondence
from crm_core.services.sales import leads
from crm_core.vocabulary import Action, LeadKind
from ui import format as fmt
from ui.actions import load, perform
from ui.components.activity_feed import feed, log_box
from ui.components.assign import assign_entry, take_button
from ui.components.booked import booked_card
from ui.components.consent_card import consent_card
from ui.components.decision_card import decision_card
from ui.components.facts import facts
from ui.components.files import files
from ui.components.header import Rare, header, more_menu
from ui.components.lead_dialogs import became, convert_dialog, disqualify_dialog
from ui.components.looks import looks_button
from ui.components.merge_records import merge_entry, merged_note
from ui.components.points_card import points_card
from ui.components.privacy_cards import erased_note, privacy_entry
from ui.components.record_automations import automations_card, start_entry
from ui.components.record_page import delete_entry, edit_dialog, edit_entry, facts_of, id_from_url, name_of, next_steps
from ui.components.score_card import score_card
from ui.components.write_dialog import write_button, write_to
from ui.navigation import page_of
from ui.session import current_actor
from ui.tones import TONES

REACH = ("email", "phone", "website", "city", "country")
_WRONG = ("email", "phone", "phone_invalid", *REACH[2:])
ABOUT = (
    "job_title",
    "source",
    "campaign_id",
    "owner_id",
    "estimated_minor",
    "score",
    "disqualified_reason",
    "first_response_at",
    "created_at",
)

actor = current_actor()
lead_id = id_from_url()
specs, row = load(facts_of, "lead", lead_id)
automated = load(record_runs.on_record, "lead", lead_id)
kinds = {status.id: status.kind for status in load(leads.statuses)}
kind = LeadKind.CONVERTED if row["converted_at"] is not None else kinds[row["status_id"]]
may_edit = actor.can("lead", Action.EDIT)
live = kind in (LeadKind.OPEN, LeadKind.WORKING, LeadKind.QUALIFIED)

caption = " · ".join(part for part in (row["company"], f"Owned by {row.get('owner_id.title') or 'nobody'}") if part)
actions = header(
    name_of("lead", row),
    caption,
    badges=[(row["status_id.title"] or kind.label, TONES[kind])],
    back=("Leads", page_of(actor, "leads")),
)
if may_edit and kind in (LeadKind.OPEN, LeadKind.WORKING):
    if actions.button("Qualify", type="primary", icon=":material/check:", key="qualify", shortcut="q"):
        perform(leads.qualify, lead_id, base_version=row["version"], success=fmt.md(f"{row['name']} qualified."))
        st.rerun()
    if actions.button("Convert", icon=":material/moving:", key="convert"):
        convert_dialog(lead_id, row["version"], row)
if may_edit and kind is LeadKind.QUALIFIED and actions.button("Convert", type="primary", icon=":material/moving:", key="convert"):
    convert_dialog(lead_id, row["version"], row)
if (
    may_edit
    and kind in (LeadKind.UNQUALIFIED, LeadKind.RECYCLED)
    and actions.button("Re-open", type="primary", icon=":material/undo:", key="reopen")
):
    perform(leads.reopen, lead_id, base_version=row["version"], success=fmt.md(f"{row['name']} is taken up again."))
    st.rerun()
also: list[Rare] = []
if may_edit and live:
    if actions.button("Disqualify", key="disqualify"):
        disqualify_dialog(lead_id, row["version"], row["name"])
    also.append(Rare("disqualify", "Disqualify", "block", partial(disqualify_dialog, lead_id, row["version"], row["name"])))
rare: list[Rare] = []
if may_edit and kind is not LeadKind.CONVERTED:
    if row["owner_id"] is None:
        take_button(actor, actions, row, leads.assign)
    else:
        rare = assign_entry(actor, "lead", row, leads.assign)
    if actions.button("Edit", icon=":material/edit:", key="edit", shortcut="e"):
        edit_dialog("lead", lead_id)
    also.append(edit_entry("lead", lead_id))
if row["email"]:
    also += write_button(actions, "lead", lead_id)
rare += (
    start_entry(automated, "lead", lead_id)
    + privacy_entry(actor, "lead", lead_id)
    + merge_entry(actor, "lead", lead_id)
    + delete_entry(actor, "lead", row, row["name"], "leads")
)
more_menu(actions, rare, also)

merged_note("lead", lead_id)
erased_note("lead", lead_id, str(row["name"]))

if kind is LeadKind.CONVERTED:
    became(actor, row, may_edit)

left, right = st.columns([7, 4], gap="medium")
with left:
    log_box("lead", lead_id)
    feed("lead", lead_id)
with right:
    next_steps("lead", lead_id)
    booked_card(actor, "lead", lead_id)
    automations_card(automated, "lead", lead_id)
    score_card("lead", lead_id)
    points_card(lead_id)
    decision_card("lead", lead_id)
    write = partial(write_to, "lead", lead_id) if row["email"] and load(correspondence.may_write) else None
    facts(actor, "Reach", specs, row, _WRONG if row["phone_invalid"] is True else REACH, write=write)
    facts(actor, "About", specs, row, (*ABOUT, *(key for key in specs if specs[key].custom), "description"))
    looks_button(actor, "lead", lead_id)
    consent_card(actor, "lead", lead_id)
    files("lead", lead_id)
