"""One order: what was bought, by whom, and how far it is."""

from functools import partial

import streamlit as st

from crm_core.services.sales import orders, redeeming
from crm_core.vocabulary import Action, OrderStatus
from ui import format as fmt
from ui.actions import load, perform
from ui.components.activity_feed import feed
from ui.components.facts import facts
from ui.components.files import files
from ui.components.header import Rare, header, more_menu
from ui.components.lines import ORDER, lines_card
from ui.components.order_code import code_card, off_words
from ui.components.record_page import delete_entry, edit_dialog, edit_entry, facts_of, id_from_url
from ui.components.survey_send import survey_entry
from ui.navigation import page_of
from ui.session import current_actor
from ui.tones import TONES

ABOUT = ("account_id", "contact_id", "deal_id", "campaign_id", "owner_id", "ordered_at", "source")
EDITED = ("number", "account_id", "contact_id", "deal_id", "campaign_id", "owner_id", "ordered_at", "source", "description")
VERBS = {
    OrderStatus.PLACED: ("Place", "check"),
    OrderStatus.FULFILLED: ("Fulfil", "local_shipping"),
    OrderStatus.CANCELLED: ("Cancel order", "cancel"),
    OrderStatus.DRAFT: ("Back to draft", "undo"),
}

actor = current_actor()
order_id = id_from_url()
specs, row = load(facts_of, "order", order_id)
lines = load(orders.lines, order_id)
may_edit = actor.can("order", Action.EDIT)
changeable = row["status"] in (OrderStatus.DRAFT, OrderStatus.PLACED)

caption = " · ".join(
    part for part in (row.get("account_id.title"), f"Ordered {fmt.day(actor, fmt.local(actor, row['ordered_at']).date())}") if part
)
actions = header(
    f"Order {row['number']}",
    caption,
    badges=[(row["status"].label, TONES[row["status"]])],
    back=("Orders", page_of(actor, "orders")),
)


def move(status: OrderStatus) -> None:
    perform(orders.move, order_id, status, base_version=row["version"], success=f"{status.label}.")
    st.rerun()


also: list[Rare] = []
if may_edit:
    onward, *back = orders.next_states(row["status"]) or (None,)
    if onward is not None and actions.button(
        VERBS[onward][0], icon=f":material/{VERBS[onward][1]}:", key=f"move_{onward.value}", type="primary"
    ):
        move(onward)
    for status in back:
        if actions.button(VERBS[status][0], key="move_back"):
            move(status)
        also.append(Rare("move_back", *VERBS[status], partial(move, status)))
    edited = (*EDITED, *(() if lines else ("total_minor",)), *(key for key in specs if specs[key].custom))
    if actions.button("Edit", icon=":material/edit:", key="edit", shortcut="e"):
        edit_dialog("order", order_id, edited)
    also.append(edit_entry("order", order_id, edited))
more_menu(
    actions, survey_entry("order", order_id, row["contact_id"]) + delete_entry(actor, "order", row, row["number"], "orders"), also
)

left, right = st.columns([8, 4], gap="medium")
with left:
    with st.grid(4, min_column_width=150):
        st.metric("Total", fmt.money(actor, row["total_minor"]), border=True, height="stretch", help="Net, before tax")
        if isinstance(row["tax_minor"], int) and row["tax_minor"] and isinstance(row["total_minor"], int):
            st.metric("Tax", fmt.money(actor, row["tax_minor"]), border=True, height="stretch")
            st.metric("With tax", fmt.money(actor, row["total_minor"] + row["tax_minor"]), border=True, height="stretch")
        st.metric("Products", fmt.written(len(lines)), border=True, height="stretch")
    lines_card(actor, ORDER, row, lines, may_edit and changeable, note=off_words(actor, lines))
    code_card(actor, row, lines, load(redeeming.of_order, order_id), may_edit=may_edit and changeable)
    feed("order", order_id)
with right:
    facts(actor, "About", specs, row, (*ABOUT, *(key for key in specs if specs[key].custom), "description"))
    files("order", order_id)
