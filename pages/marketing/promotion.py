"""One promotion: for whoever runs it: is it running, who may use it, what it gave and what came in, and the codes that are out."""

import streamlit as st

from crm_core.services.sales import promotion_codes, promotions
from crm_core.vocabulary import Action, CodeKind
from ui import format as fmt
from ui.actions import load
from ui.components.activity_feed import feed
from ui.components.facts import facts
from ui.components.files import files
from ui.components.header import header
from ui.components.promotion_cards import EDITED, audience_card, state_buttons, terms
from ui.components.promotion_codes import codes_card
from ui.components.promotion_results import orders_card, results_card
from ui.components.record_page import delete_dialog, edit_dialog, facts_of, id_from_url
from ui.navigation import page_of
from ui.session import current_actor
from ui.tones import TONES

ABOUT = (
    "effect", "percent_off", "amount_off_minor", "min_order_minor", "product_id", "category_id", "code_kind", "code", "starts_on", "ends_on",
    "per_customer", "campaign_id", "owner_id",
)  # fmt: skip

actor = current_actor()
promotion_id = id_from_url()
specs, row = load(facts_of, "promotion", promotion_id)
found = load(promotions.get, promotion_id)
may_edit = actor.can("promotion", Action.EDIT)

actions = header(
    row["name"],
    terms(actor, found),
    badges=[(row["state"].label, TONES[row["state"]])],
    back=("Promotions", page_of(actor, "promotions")),
)
if may_edit:
    state_buttons(actions, found)
    if actions.button("Edit", icon=":material/edit:", key="edit", shortcut="e"):
        edit_dialog("promotion", promotion_id, (*EDITED, *(key for key in specs if specs[key].custom)))
if actor.can("promotion", Action.DELETE) and actions.button(
    icon=":material/delete:", key="delete", **fmt.icon_only("Delete this promotion")
):
    delete_dialog("promotion", promotion_id, row["version"], row["name"], "promotions")
if found.ended_because is not None:
    st.info(
        fmt.md(f"It takes no more orders: {found.ended_because.label}. Orders that used it keep their discount."),
        icon=":material/event_busy:",
    )

left, right = st.columns([7, 4], gap="medium")
with left:
    results_card(actor, found)
    if found.code_kind is CodeKind.SINGLE:
        codes_card(actor, found, load(promotion_codes.batches, promotion_id), may_edit=may_edit)
    orders_card(actor, promotion_id)
    with st.expander("What happened"):
        feed("promotion", promotion_id)
with right:
    audience_card(actor, found, may_edit=may_edit)
    facts(actor, "About", specs, row, (*ABOUT, *(key for key in specs if specs[key].custom), "description"))
    files("promotion", promotion_id)
