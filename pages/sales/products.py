"""Products as a list: what can be sold, and for how much."""

from crm_core.vocabulary import Action
from ui.components.header import header
from ui.components.nothing_yet import nothing_yet
from ui.components.record_list import record_list
from ui.components.record_page import new_dialog
from ui.navigation import go
from ui.session import current_actor

NEW_FIELDS = ("name", "sku", "category_id", "price_minor", "cost_minor", "is_active")
MORE_FIELDS = ("billing", "tax_rate_pct", "stock", "description")


def new_product() -> None:
    new_dialog("product", NEW_FIELDS, {"is_active": True}, more=MORE_FIELDS)


actor = current_actor()
actions = header("Products", "What you sell")
if actions.button("Categories", icon=":material/category:", key="to_categories"):
    go("categories")
if actor.can("product", Action.CREATE) and actions.button(
    "New product", type="primary", icon=":material/add:", shortcut="n", key="new_product"
):
    new_product()

record_list(
    "product",
    on_empty=lambda: nothing_yet(
        actor,
        "product",
        "Enter what you sell: deals and orders take name and price from here",
        new_product,
        file_words=". A price list can come in from a file",
    ),
)
