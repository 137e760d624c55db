"""Tickets as a list: for the support team, to see who waits and to take the next one."""

from crm_core.vocabulary import Action, TicketKind
from ui.components.header import empty_state, header
from ui.components.record_list import Quick, record_list
from ui.components.ticket_dialogs import new_ticket
from ui.session import current_actor


def nothing_yet() -> None:
    box = empty_state(
        "No tickets yet", "When a customer asks for something, open a ticket: nobody is forgotten then.", icon="confirmation_number"
    )
    if actor.can("ticket", Action.CREATE) and box.button("New ticket", type="primary", icon=":material/add:", key="first_ticket"):
        new_ticket()


actor = current_actor()
actions = header("Tickets", "What customers asked for, and how far it is")
if actor.can("ticket", Action.CREATE) and actions.button(
    "New ticket", type="primary", icon=":material/add:", shortcut="n", key="new_ticket"
):
    new_ticket()

record_list("ticket", quick=Quick("status", "Status", TicketKind.options()), on_empty=nothing_yet)
