"""Today: what waits for me this morning, whatever my role."""

import streamlit as st

from crm_core.kit import clock
from crm_core.services.analytics import attention
from crm_core.services.collaboration import today
from crm_core.services.inbox import arrivals
from crm_core.services.sales import deals, leads
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load
from ui.cache import cached
from ui.components.attention_list import attention_list
from ui.components.first_steps import first_steps
from ui.components.handover_cards import waiting_handovers
from ui.components.header import header
from ui.components.pinned_views import pinned_links
from ui.components.today_cards import changed, my_tasks, waiting
from ui.navigation import page_of
from ui.session import current_actor
from ui.tones import TONES, stage_tones

actor = current_actor()
actions = header("Today", f"{fmt.day(actor, clock.today(actor.timezone))} · what waits for you")
inbox_page = page_of(actor, "inbox")
if inbox_page is not None and (mine := load(arrivals.count, whose=arrivals.MINE)):
    actions.page_link(
        inbox_page, label=f"Inbox ({fmt.written(mine)})", icon=":material/all_inbox:", query_params={"whose": arrivals.MINE}
    )

pinned_links(actor, across=True)
first_steps(actor)
deal_tones = {"stage_id": stage_tones(load(deals.stages))} if actor.can("deal", Action.READ) else None
lead_tones = (
    {"status_id": {status.id: TONES[status.kind] for status in load(leads.statuses)}} if actor.can("lead", Action.READ) else None
)

left, right = st.columns([7, 5], gap="medium")
with left:
    if actor.can("task", Action.READ):
        my_tasks()
    waiting(
        actor,
        load(today.deals) if actor.can("deal", Action.EDIT) else None,
        "Deals that wait for me",
        "None of your open deals waits for you.",
        list_url="deals",
        tones=deal_tones,
    )
    if actor.can("ticket", Action.EDIT):
        waiting(actor, load(today.tickets), "Tickets that wait", "No customer waits for an answer.", list_url="tickets")
with right:
    waiting_handovers(actor)
    team = cached(attention.in_team, entities=attention.KINDS, tables=(*attention.KINDS, "stage", "lead_status"), own=True)
    if team:
        attention_list(actor, team, "Needs attention in the team")
    waiting(actor, load(today.leads), "New leads", "No new lead waits for you.", list_url="leads", tones=lead_tones)
    if not actor.can("ticket", Action.EDIT) and actor.can("ticket", Action.READ):
        waiting(actor, load(today.tickets), "My tickets", "No ticket of yours is open.", list_url="tickets")
    changed(actor, load(today.changes))
