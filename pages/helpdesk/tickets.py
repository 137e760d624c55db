"""Tickets as a list: for the support team, to see who waits and to take the next one."""

from functools import partial

from crm_core.services.inbox import tray
from crm_core.vocabulary import Action, TicketKind
from ui import format as fmt
from ui.actions import load
from ui.components.header import header
from ui.components.nothing_yet import nothing_yet
from ui.components.record_list import Quick, record_list
from ui.components.status_board import status_board
from ui.components.ticket_dialogs import new_ticket
from ui.components.waiting_list import waiting_link
from ui.navigation import go, page_of
from ui.session import current_actor

actor = current_actor()
actions = header("Tickets", "What customers asked for, and how far it is")
if page_of(actor, "tray") is not None:
    waiting = load(tray.count)
    if actions.button(
        f"Mail tray ({fmt.written(waiting)})" if waiting else "Mail tray",
        icon=":material/inbox:",
        key="to_tray",
        help="Mail that found no ticket by itself",
    ):
        go("tray")
if page_of(actor, "macros") is not None and actions.button("Macros", icon=":material/bolt:", key="to_macros"):
    go("macros")
waiting_link(actor, "ticket", actions)
if actor.can("ticket", Action.CREATE) and actions.button(
    "New ticket", type="primary", icon=":material/add:", shortcut="n", key="new_ticket"
):
    new_ticket()

record_list(
    "ticket",
    quick=Quick("status", "Status", TicketKind.options()),
    board=partial(status_board, "ticket"),
    on_empty=lambda: nothing_yet(
        actor, "ticket", "When a customer asks for something, open a ticket: nobody is forgotten then", new_ticket
    ),
)
