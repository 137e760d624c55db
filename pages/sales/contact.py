"""One contact: who this person is, how they want to be treated, what was said."""

import streamlit as st

from crm_core.services.automation import record_runs
from crm_core.services.customers import preferences
from crm_core.services.sales import deals
from crm_core.vocabulary import Action
from ui.actions import load
from ui.components.activity_feed import feed, log_box
from ui.components.booked import booked_card
from ui.components.consent_card import consent_card
from ui.components.contact_points import contact_points
from ui.components.facts import facts
from ui.components.files import files
from ui.components.header import Rare, header, more_menu
from ui.components.looks import looks_button
from ui.components.merge_records import merge_entry, merged_note
from ui.components.privacy_cards import erased_note, privacy_entry
from ui.components.product_suggestions import customer_suggestions
from ui.components.record_automations import automations_card, start_entry
from ui.components.record_page import delete_entry, edit_dialog, edit_entry, facts_of, id_from_url, name_of, next_steps, related
from ui.components.survey_send import survey_entry
from ui.components.wishes import wishes_card
from ui.components.write_dialog import write_button
from ui.navigation import page_of
from ui.session import current_actor
from ui.tones import stage_tones

ABOUT = ("account_id", "job_title", "salutation", "birthday", "city", "country", "source", "owner_id", "timezone")

actor = current_actor()
contact_id = id_from_url()
specs, row = load(facts_of, "contact", contact_id)
automated = load(record_runs.on_record, "contact", contact_id)
here = {"field": "contact_id", "cmp": "eq", "value": contact_id}

caption = " · ".join(part for part in (row["job_title"], row.get("account_id.title")) if part)
actions = header(name_of("contact", row), caption, back=("Contacts", page_of(actor, "contacts")))
also: list[Rare] = []
wanted = load(preferences.of, contact_id)
write_button(actions, "contact", contact_id, wanted, first=True)
if actor.can("contact", Action.EDIT):
    if actions.button("Edit", icon=":material/edit:", key="edit", shortcut="e"):
        edit_dialog("contact", contact_id)
    also.append(edit_entry("contact", contact_id))
more_menu(
    actions,
    survey_entry("contact", contact_id, contact_id)
    + start_entry(automated, "contact", contact_id)
    + privacy_entry(actor, "contact", contact_id)
    + merge_entry(actor, "contact", contact_id)
    + delete_entry(actor, "contact", row, row["name"], "contacts"),
    also,
)

merged_note("contact", contact_id)
erased_note("contact", contact_id, str(row["name"]))
wishes_card(actor, contact_id, wanted)

left, right = st.columns([7, 4], gap="medium")
with left:
    log_box("contact", contact_id, contact_id)
    feed("contact", contact_id)
with right:
    next_steps("contact", contact_id)
    booked_card(actor, "contact", contact_id)
    automations_card(automated, "contact", contact_id)
    offer = {"contact_id": contact_id, "account_id": row["account_id"]}
    customer_suggestions(actor, "contact", contact_id, actor.can("contact", Action.EDIT), offer)
    contact_points(actor, contact_id, wanted)
    facts(actor, "About", specs, row, (*ABOUT, *(key for key in specs if specs[key].custom), "description"))
    looks_button(actor, "contact", contact_id)
    if actor.can("deal", Action.READ):
        tones = {"stage_id": stage_tones(load(deals.stages))}
        related(
            actor, "deal", where=here, columns=("name", "stage_id", "amount_minor"), title="Deals", list_url="deals", tones=tones
        )
    related(actor, "ticket", where=here, columns=("subject", "status"), title="Tickets", list_url="tickets")
    related(actor, "order", where=here, columns=("number", "ordered_at", "total_minor"), title="Orders", list_url="orders")
    consent_card(actor, "contact", contact_id)
    files("contact", contact_id)
