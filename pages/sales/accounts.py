"""Accounts as a list: for everybody who works with customers."""

from crm_core.vocabulary import AccountKind, Action
from ui.components.header import header
from ui.components.nothing_yet import nothing_yet
from ui.components.record_list import Quick, record_list
from ui.components.record_page import new_dialog
from ui.session import current_actor

NEW_FIELDS = ("name", "kind", "industry", "website", "phone", "owner_id", "city", "country")
MORE_FIELDS = (
    "employees", "revenue_minor", "founded_year", "street", "postcode", "parent_id", "customer_since", "renews_on", "customer_until", "description",
)  # fmt: skip


def new_account() -> None:
    new_dialog("account", NEW_FIELDS, more=MORE_FIELDS)


actor = current_actor()
actions = header("Accounts", "Companies that buy from you, or may")
if actor.can("account", Action.CREATE) and actions.button(
    "New account", type="primary", icon=":material/add:", shortcut="n", key="new_account"
):
    new_account()
record_list(
    "account",
    quick=Quick("kind", "Type", AccountKind.options()),
    on_empty=lambda: nothing_yet(
        actor, "account", "Enter the first company", new_account, file_words=", or bring your list in from a file"
    ),
)
