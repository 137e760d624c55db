"""Orders as a list: for sales and service, to see what was bought and what is still to be delivered."""

from crm_core.vocabulary import Action, OrderStatus
from ui.components.header import header
from ui.components.nothing_yet import nothing_yet
from ui.components.record_list import Quick, record_list
from ui.components.record_page import new_dialog
from ui.session import current_actor

NEW_FIELDS = ("account_id", "contact_id", "status", "source", "owner_id")
MORE_FIELDS = ("ordered_at", "number", "deal_id", "campaign_id", "description")


def new_order() -> None:
    new_dialog("order", NEW_FIELDS, {"status": OrderStatus.DRAFT}, more=MORE_FIELDS)


actor = current_actor()
actions = header("Orders", "What customers bought")
if actor.can("order", Action.CREATE) and actions.button(
    "New order", type="primary", icon=":material/add:", shortcut="n", key="new_order"
):
    new_order()

record_list(
    "order",
    quick=Quick("status", "Status", OrderStatus.options()),
    on_empty=lambda: nothing_yet(
        actor,
        "order",
        "Won deals with products become orders. You can also enter one",
        new_order,
        file_words=", or bring them in from a file",
    ),
)
