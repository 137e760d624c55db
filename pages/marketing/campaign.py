"""One campaign: for the marketer who runs it: who is in it, what it costs, what comes of it."""

import streamlit as st

from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load
from ui.components.activity_feed import feed
from ui.components.campaign_cards import channels, figures, members, status_buttons
from ui.components.facts import facts
from ui.components.files import files
from ui.components.header import header
from ui.components.record_page import delete_dialog, edit_dialog, facts_of, id_from_url
from ui.navigation import page_of
from ui.session import current_actor
from ui.tones import TONES

ABOUT = ("goal", "starts_on", "ends_on", "budget_minor", "expected_response_pct", "expected_revenue_minor", "owner_id")

actor = current_actor()
campaign_id = id_from_url()
specs, row = load(facts_of, "campaign", campaign_id)
may_edit = actor.can("campaign", Action.EDIT)

period = " – ".join(fmt.day(actor, day) for day in (row["starts_on"], row["ends_on"]) if day is not None)
caption = " · ".join(part for part in (period, f"Owned by {row.get('owner_id.title') or 'nobody'}") if part)
actions = header(
    row["name"], caption, badges=[(row["status"].label, TONES[row["status"]])], back=("Campaigns", page_of(actor, "campaigns"))
)
if may_edit:
    status_buttons(actions, row)
    if actions.button("Edit", icon=":material/edit:", key="edit", shortcut="e"):
        edit_dialog("campaign", campaign_id)
if actor.can("campaign", Action.DELETE) and actions.button("", icon=":material/delete:", key="delete", help="Delete this campaign"):
    delete_dialog("campaign", campaign_id, row["version"], row["name"], "campaigns")

figures(actor, campaign_id, row)

left, right = st.columns([7, 4], gap="medium")
with left:
    members(campaign_id, may_edit)
with right:
    channels(actor, row, may_edit)
    facts(actor, "About", specs, row, (*ABOUT, *(key for key in specs if specs[key].custom), "description"))
    files("campaign", campaign_id)
    with st.expander("What happened"):
        feed("campaign", campaign_id)
