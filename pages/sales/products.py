"""Products as a list: what can be sold, and for how much."""

from crm_core.vocabulary import Action
from ui.components.header import empty_state, header
from ui.components.record_list import record_list
from ui.components.record_page import new_dialog
from ui.navigation import go, page_of
from ui.session import current_actor

NEW_FIELDS = ("name", "sku", "category_id", "price_minor", "cost_minor", "is_active")
MORE_FIELDS = ("description",)


def new_product() -> None:
    new_dialog("product", NEW_FIELDS, {"is_active": True}, more=MORE_FIELDS)


def nothing_yet() -> None:
    box = empty_state("No products yet", "Enter what you sell: deals and orders take name and price from here.", icon="inventory_2")
    if actor.can("product", Action.CREATE) and box.button(
        "New product", type="primary", icon=":material/add:", key="first_product"
    ):
        new_product()
    if page_of(actor, "import") is not None and box.button("Import a file", icon=":material/upload:", key="first_import"):
        go("import")


actor = current_actor()
actions = header("Products", "What you sell")
if actions.button("Categories", icon=":material/category:", key="to_categories"):
    go("categories")
if actor.can("product", Action.CREATE) and actions.button(
    "New product", type="primary", icon=":material/add:", shortcut="n", key="new_product"
):
    new_product()

record_list("product", on_empty=nothing_yet)
