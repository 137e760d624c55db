"""One campaign: for the marketer who runs it: whom to address with what, how it goes out, and what it really added."""

import streamlit as st

from crm_core.services.marketing import plans
from crm_core.vocabulary import Action, CampaignStatus, Outlet, PlanState
from ui import format as fmt
from ui.actions import load
from ui.components.activity_feed import feed
from ui.components.campaign_audience import audience_tab
from ui.components.campaign_cards import channels, figures, status_buttons
from ui.components.campaign_launch import launch_bar
from ui.components.campaign_letter import keep_typed, letter_tab
from ui.components.campaign_members import figures_lists, forget_slice, members, opened_by_number
from ui.components.campaign_results import results_tab
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
plan = load(plans.get, campaign_id)
may_edit = actor.can("campaign", Action.EDIT)


def first_tab() -> str:
    """Where this campaign's work is right now."""
    if plan.launched_at is not None:
        return "Results"
    return "Audience" if may_edit and (plan.id is not None or row["status"] is CampaignStatus.DRAFT) else "Overview"


period = " – ".join(fmt.day(actor, day) for day in (row["starts_on"], row["ends_on"]) if day is not None)
caption = " · ".join(part for part in (period, f"Owned by {row.get('owner_id.title') or 'nobody'}") if part)
actions = header(
    row["name"], caption, badges=[(row["status"].label, TONES[row["status"]])], back=("Campaigns", page_of(actor, "campaigns"))
)
if may_edit:
    ended = plan.state in (PlanState.DONE, PlanState.STOPPED)
    if plan.id is None or (ended and row["status"] is CampaignStatus.RUNNING):
        status_buttons(actions, row)
    if actions.button("Edit", icon=":material/edit:", key="edit", shortcut="e"):
        edit_dialog("campaign", campaign_id)
if actor.can("campaign", Action.DELETE) and actions.button(
    icon=":material/delete:", key="delete", **fmt.icon_only("Delete this campaign")
):
    delete_dialog("campaign", campaign_id, row["version"], row["name"], "campaigns")

keep_typed(campaign_id)
launch_bar(actor, campaign_id, plan, may_edit, fresh=row["status"] is CampaignStatus.DRAFT)

names = ["Overview", "Audience", *(["Letter"] if plan.outlet is Outlet.EMAIL else []), "Results", "Members"]
if opened_by_number(campaign_id):
    st.session_state[f"tabs_{campaign_id}"] = "Members"
tabs = dict(zip(names, st.tabs(names, default=first_tab(), key=f"tabs_{campaign_id}", on_change="rerun"), strict=True))
if not tabs["Members"].open:
    forget_slice()
if tabs["Overview"].open:
    with tabs["Overview"]:
        figures(actor, campaign_id, row)
        figures_lists(actor, campaign_id)
        left, right = st.columns([6, 5], gap="medium")
        with left:
            channels(actor, row, may_edit)
            files("campaign", campaign_id)
            with st.expander("What happened"):
                feed("campaign", campaign_id)
        with right:
            facts(actor, "About", specs, row, (*ABOUT, *(key for key in specs if specs[key].custom), "description"))
if tabs["Audience"].open:
    with tabs["Audience"]:
        audience_tab(actor, campaign_id, plan, may_edit)
if "Letter" in tabs and tabs["Letter"].open:
    with tabs["Letter"]:
        letter_tab(actor, campaign_id, plan, may_edit)
if tabs["Results"].open:
    with tabs["Results"]:
        results_tab(actor, campaign_id)
if tabs["Members"].open:
    with tabs["Members"]:
        members(campaign_id, may_edit)
