"""Promotions as a list: for marketers, to see what takes something off orders now, how much of its budget is spent, and what is planned."""

from crm_core.vocabulary import Action, PromotionState
from ui.components.header import header
from ui.components.nothing_yet import nothing_yet
from ui.components.promotion_cards import MORE_FIELDS, NEW_FIELDS
from ui.components.record_list import Quick, record_list
from ui.components.record_page import new_dialog
from ui.session import current_actor


def new_promotion() -> None:
    new_dialog("promotion", NEW_FIELDS, {"per_customer": 1}, more=MORE_FIELDS)


actor = current_actor()
actions = header("Promotions", "Discount codes: what they take off, who may use them, and how much they may cost in all")
if actor.can("promotion", Action.CREATE) and actions.button(
    "New promotion", type="primary", icon=":material/add:", shortcut="n", key="new_promotion"
):
    new_promotion()

record_list(
    "promotion",
    quick=Quick("state", "State", PromotionState.options()),
    on_empty=lambda: nothing_yet(
        actor,
        "promotion",
        "A promotion takes a discount off orders for whoever has its code, until its last day or the end of its budget",
        new_promotion,
        file_words=", or bring them in from a file",
    ),
)
