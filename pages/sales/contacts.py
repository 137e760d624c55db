"""Contacts as a list: the people at your customers."""

from crm_core.vocabulary import Action
from ui.components.header import empty_state, header
from ui.components.record_list import record_list
from ui.components.record_page import new_dialog
from ui.navigation import go, page_of
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


def nothing_yet() -> None:
    box = empty_state("No contacts yet", "Enter the first person, or bring your address book in from a file.", icon="person")
    if actor.can("contact", Action.CREATE) and box.button(
        "New contact", type="primary", icon=":material/add:", key="first_contact"
    ):
        new_dialog("contact", NEW_FIELDS, more=MORE_FIELDS)
    if page_of(actor, "import") is not None and box.button("Import a file", icon=":material/upload:", key="first_import"):
        go("import")


actor = current_actor()
actions = header("Contacts", "The people you talk to")
if actor.can("contact", Action.CREATE) and actions.button(
    "New contact", type="primary", icon=":material/add:", shortcut="n", key="new_contact"
):
    new_dialog("contact", NEW_FIELDS, more=MORE_FIELDS)
record_list("contact", on_empty=nothing_yet)
