"""One account: for everybody who serves this customer, all that is known and going on."""

import streamlit as st

from crm_core.services.automation import record_runs
from crm_core.services.customers import accounts
from crm_core.services.sales import deals
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load
from ui.components.activity_feed import feed, log_box
from ui.components.contact_points import account_points
from ui.components.deal_dialogs import NEW_FIELDS, new_deal
from ui.components.facts import facts
from ui.components.files import files
from ui.components.handover_cards import handover_card, offer_button
from ui.components.header import header, more_menu
from ui.components.installed_card import installed_card
from ui.components.merge_records import merge_entry, merged_note
from ui.components.product_suggestions import customer_suggestions
from ui.components.record_automations import automations_card, start_entry
from ui.components.record_page import delete_entry, edit_dialog, edit_entry, facts_of, id_from_url, next_steps, related
from ui.components.write_dialog import write_button
from ui.navigation import page_of
from ui.session import current_actor
from ui.tones import TONES, stage_tones

ABOUT = (
    "website",
    "industry",
    "employees",
    "revenue_minor",
    "founded_year",
    "street",
    "postcode",
    "city",
    "country",
    "parent_id",
    "customer_since",
    "renews_on",
    "customer_until",
)

actor = current_actor()
account_id = id_from_url()
specs, row = load(facts_of, "account", account_id)
automated = load(record_runs.on_record, "account", account_id)
figures = load(accounts.figures, account_id)
here = {"field": "account_id", "cmp": "eq", "value": account_id}

actions = header(
    row["name"],
    f"Owned by {row.get('owner_id.title') or 'nobody'}",
    badges=[(row["kind"].label, TONES[row["kind"]]), *([(row["industry"], "gray")] if row["industry"] else [])],
    back=("Accounts", page_of(actor, "accounts")),
)
if actor.can("deal", Action.CREATE) and actions.button("New deal", type="primary", icon=":material/add:", key="new_deal"):
    new_deal(account_id=account_id)
may_edit = actor.can("account", Action.EDIT)
if may_edit and actions.button("Edit", icon=":material/edit:", key="edit", shortcut="e"):
    edit_dialog("account", account_id)
also = [edit_entry("account", account_id)] * may_edit
also += offer_button(actor, actions, account_id) + write_button(actions, "account", account_id)
more_menu(
    actions,
    start_entry(automated, "account", account_id)
    + merge_entry(actor, "account", account_id)
    + delete_entry(actor, "account", row, row["name"], "accounts"),
    also,
)

merged_note("account", account_id)
with st.grid(4, min_column_width=150):
    if figures.order_revenue_minor is not None:
        st.metric(
            "Order revenue", fmt.money(actor, figures.order_revenue_minor, compact=True), delta=fmt.plural(figures.orders or 0, "order"), delta_color="off",
            delta_arrow="off", border=True, height="stretch", help="Placed and fulfilled orders that you may see",
        )  # fmt: skip
    if figures.won_minor is not None:
        st.metric(
            "Won deals",
            fmt.money(actor, figures.won_minor, compact=True),
            border=True,
            height="stretch",
            help="Sum of the won deals that you may see",
        )
        st.metric(
            "Open pipeline", fmt.money(actor, figures.open_minor, compact=True), delta=fmt.plural(figures.open_deals or 0, "deal"), delta_color="off",
            delta_arrow="off", border=True, height="stretch",
        )  # fmt: skip
    if figures.open_tickets is not None:
        st.metric("Open tickets", fmt.number(actor, figures.open_tickets), border=True, height="stretch")

left, right = st.columns([7, 4], gap="medium")
with left:
    related(
        actor, "deal", where=here, columns=("name", "stage_id", "amount_minor", "expected_close_on"), title="Deals", list_url="deals",
        tones={"stage_id": stage_tones(load(deals.stages))} if actor.can("deal", Action.READ) else None, preset={"account_id": account_id}, fields=NEW_FIELDS,
    )  # fmt: skip
    log_box("account", account_id)
    feed("account", account_id)
with right:
    handover_card(account_id)
    next_steps("account", account_id)
    automations_card(automated, "account", account_id)
    customer_suggestions(actor, "account", account_id, actor.can("account", Action.EDIT), {"account_id": account_id})
    account_points(actor, account_id)
    facts(actor, "About", specs, row, (*ABOUT, *(key for key in specs if specs[key].custom), "description"))
    related(
        actor, "contact", where=here, columns=("name", "job_title"), title="People", list_url="contacts", preset={"account_id": account_id},
        fields=("name", "job_title", "email", "phone", "account_id", "owner_id"),
    )  # fmt: skip
    installed_card(actor, account_id)
    related(actor, "ticket", where=here, columns=("subject", "status"), title="Tickets", list_url="tickets")
    related(actor, "order", where=here, columns=("number", "ordered_at", "total_minor"), title="Orders", list_url="orders")
    files("account", account_id)
