"""Contacts as a list: the people at your customers."""

from crm_core.vocabulary import Action
from ui.components.header import header
from ui.components.nothing_yet import nothing_yet
from ui.components.record_list import record_list
from ui.components.record_page import new_dialog
from ui.session import current_actor

NEW_FIELDS = ("name", "account_id", "job_title", "email", "phone", "owner_id")
MORE_FIELDS = (
    "salutation",
    "birthday",
    "city",
    "country",
    "source",
    "preferred_channel",
    "preferred_hours",
    "language",
    "goals",
    "do_not",
    "description",
)


def new_contact() -> None:
    new_dialog("contact", NEW_FIELDS, more=MORE_FIELDS)


actor = current_actor()
actions = header("Contacts", "The people you talk to")
if actor.can("contact", Action.CREATE) and actions.button(
    "New contact", type="primary", icon=":material/add:", shortcut="n", key="new_contact"
):
    new_contact()
record_list(
    "contact",
    on_empty=lambda: nothing_yet(
        actor, "contact", "Enter the first person", new_contact, file_words=", or bring your address book in from a file"
    ),
)
