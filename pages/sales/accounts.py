"""Accounts as a list: for everybody who works with customers."""

from crm_core.vocabulary import AccountKind, Action
from ui.components.header import empty_state, header
from ui.components.record_list import Quick, record_list
from ui.components.record_page import new_dialog
from ui.navigation import go, page_of
from ui.session import current_actor

NEW_FIELDS = ("name", "kind", "industry", "website", "phone", "owner_id", "city", "country")
MORE_FIELDS = (
    "employees", "revenue_minor", "founded_year", "street", "postcode", "parent_id", "customer_since", "renews_on", "customer_until", "description",
)  # fmt: skip


def nothing_yet() -> None:
    box = empty_state("No accounts yet", "Enter the first company, or bring your list in from a file.", icon="apartment")
    if actor.can("account", Action.CREATE) and box.button(
        "New account", type="primary", icon=":material/add:", key="first_account"
    ):
        new_dialog("account", NEW_FIELDS, more=MORE_FIELDS)
    if page_of(actor, "import") is not None and box.button("Import a file", icon=":material/upload:", key="first_import"):
        go("import")


actor = current_actor()
actions = header("Accounts", "Companies that buy from you, or may")
if actor.can("account", Action.CREATE) and actions.button(
    "New account", type="primary", icon=":material/add:", shortcut="n", key="new_account"
):
    new_dialog("account", NEW_FIELDS, more=MORE_FIELDS)
record_list("account", quick=Quick("kind", "Type", AccountKind.options()), on_empty=nothing_yet)
