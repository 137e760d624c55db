"""Orders as a list: for sales and service, to see what was bought and what is still to be delivered."""

from crm_core.vocabulary import Action, OrderStatus
from ui.components.header import empty_state, header
from ui.components.record_list import Quick, record_list
from ui.components.record_page import new_dialog
from ui.navigation import go, page_of
from ui.session import current_actor

NEW_FIELDS = ("account_id", "contact_id", "status", "source", "owner_id")
MORE_FIELDS = ("ordered_at", "number", "deal_id", "campaign_id", "description")


def nothing_yet() -> None:
    box = empty_state(
        "No orders yet",
        "Won deals with products become orders. You can also enter one, or bring them in from a file.",
        icon="receipt_long",
    )
    if actor.can("order", Action.CREATE) and box.button("New order", type="primary", icon=":material/add:", key="first_order"):
        new_dialog("order", NEW_FIELDS, {"status": OrderStatus.DRAFT}, more=MORE_FIELDS)
    if page_of(actor, "import") is not None and box.button("Import a file", icon=":material/upload:", key="first_import"):
        go("import")


actor = current_actor()
actions = header("Orders", "What customers bought")
if actor.can("order", Action.CREATE) and actions.button(
    "New order", type="primary", icon=":material/add:", shortcut="n", key="new_order"
):
    new_dialog("order", NEW_FIELDS, {"status": OrderStatus.DRAFT}, more=MORE_FIELDS)

record_list("order", quick=Quick("status", "Status", OrderStatus.options()), on_empty=nothing_yet)
