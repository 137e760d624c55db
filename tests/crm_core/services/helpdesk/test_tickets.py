"""Tickets: from the question to the answer, and who may do what."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from crm_core import lists
from crm_core.db import read_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.services import crud, finder
from crm_core.services.customers import contacts
from crm_core.services.helpdesk import installed, tickets
from crm_core.services.sales import leads, orders
from crm_core.vocabulary import Level, MessageDirection, Priority, TicketKind
from tests.verbs import do


def new(actor, message="It is broken", **values):
    return do(tickets.create, actor, {"subject": "Broken", **values}, message=message)


def said(actor, ticket_id):
    with read_session() as session:
        return tickets.messages(session, actor, ticket_id)


def get(actor, ticket_id):
    with read_session() as session:
        return tickets.get(session, actor, ticket_id)


@pytest.mark.parametrize(
    ("impact", "urgency", "priority"),
    [(Level.LOW, Level.LOW, Priority.LOW), (Level.MEDIUM, Level.MEDIUM, Priority.NORMAL), (Level.HIGH, Level.HIGH, Priority.URGENT), (Level.LOW, Level.HIGH, Priority.NORMAL)],
)  # fmt: skip
def test_priority_follows_impact_and_urgency(cast, impact, urgency, priority):
    ticket = new(cast["sam"], impact=impact, urgency=urgency)
    assert ticket.priority is priority
    changed = do(tickets.update, cast["sam"], ticket.id, {"impact": "high", "urgency": "high"}).record
    assert changed.priority is Priority.URGENT


def test_a_ticket_belongs_to_the_account_of_its_contact_and_keeps_what_was_said(any_cast):
    alice, sam = any_cast["alice"], any_cast["sam"]
    account = do(leads.accounts.create, alice, {"name": "Alfreds"})
    person = do(contacts.create, alice, {"name": "Maria Anders", "account_id": account.id})
    ticket = new(sam, "It **did not** arrive", contact_id=person.id)
    assert ticket.account_id == account.id and ticket.number.startswith("T-")
    assert [(m.direction, m.author_name, m.body) for m in said(sam, ticket.id)] == [
        (MessageDirection.INBOUND, "Maria Anders", "It **did not** arrive")
    ]


def test_an_answer_counts_as_first_response_takes_the_ticket_and_waits(any_cast):
    sam = any_cast["sam"]
    ticket = new(sam, owner_id=None)
    do(tickets.reply, sam, ticket.id, "Note first", internal=True)
    assert get(sam, ticket.id).first_response_at is None
    do(tickets.reply, sam, ticket.id, "We look into it")
    after = get(sam, ticket.id)
    assert after.first_response_at is not None
    assert (after.owner_id, after.status) == (sam.user_id, TicketKind.WAITING_CUSTOMER)
    do(tickets.receive, sam, ticket.id, "Thanks, still broken")
    assert get(sam, ticket.id).status is TicketKind.OPEN
    with pytest.raises(Invalid, match="Write an answer"):
        do(tickets.reply, sam, ticket.id, "   ")


def test_whoever_answers_what_somebody_else_has_answered_meanwhile_is_told_first(any_cast):
    sam, root = any_cast["sam"], any_cast["root"]
    ticket = new(sam)
    read = said(sam, ticket.id)[-1].id
    do(tickets.reply, sam, ticket.id, "A moment, please", read_until=read)  # one's own words are known
    do(tickets.reply, sam, ticket.id, "Here it is", read_until=read)
    read = said(sam, ticket.id)[-1].id
    for verb, words, told in (
        (partial(tickets.reply, internal=True), "Careful, a lawsuit", f"{root.name} left a note"),
        (tickets.receive, "Hello?", "The customer wrote again"),
        (tickets.reply, "I have sent it", f"{root.name} answered"),
        (tickets.receive, "Thank you", f"{root.name} answered"),  # two answers are worse than a late one
    ):
        do(verb, root, ticket.id, words)
        with pytest.raises(Conflict, match=told):
            do(tickets.reply, sam, ticket.id, "Too late", read_until=read)
    do(tickets.reply, sam, ticket.id, "A note needs no reading", internal=True, read_until=read)
    do(tickets.reply, sam, ticket.id, "And one more thing", read_until=said(sam, ticket.id)[-1].id)
    assert "Too late" not in [message.body for message in said(sam, ticket.id)]


def test_the_same_click_twice_says_it_once(any_cast):
    sam = any_cast["sam"]
    ticket = new(sam)
    for _ in range(2):
        do(tickets.reply, sam, ticket.id, "Once", submit_key="k1")
        do(tickets.receive, sam, ticket.id, "Also once", submit_key="k2")
    assert [m.body for m in said(sam, ticket.id)] == ["It is broken", "Once", "Also once"]


def test_solve_and_reopen_within_the_term(any_cast):
    sam = any_cast["sam"]
    ticket = new(sam)
    do(tickets.solve, sam, ticket.id)
    with pytest.raises(Conflict, match="Re-open it first"):
        do(tickets.solve, sam, ticket.id)
    with pytest.raises(Conflict, match="Re-open it first"):
        do(tickets.wait, sam, ticket.id, TicketKind.WAITING_CUSTOMER)
    back = do(tickets.reopen, sam, ticket.id)
    assert (back.status, back.reopened_count, back.solved_at) == (TicketKind.OPEN, 1, None)
    with pytest.raises(Conflict, match="is open"):
        do(tickets.reopen, sam, ticket.id)
    do(tickets.solve, sam, ticket.id)
    with clock.frozen(clock.utcnow() + timedelta(days=15)), pytest.raises(Conflict, match="Open a new one"):
        do(tickets.reopen, sam, ticket.id)


def test_assigning_opens_a_new_ticket_and_an_old_screen_is_refused(any_cast):
    sam, root = any_cast["sam"], any_cast["root"]
    ticket = new(sam, owner_id=None)
    taken = do(tickets.assign, sam, ticket.id, sam.user_id, base_version=ticket.version)
    assert (taken.owner_id, taken.status) == (sam.user_id, TicketKind.OPEN)
    with pytest.raises(Conflict, match="meanwhile"):
        do(tickets.solve, root, ticket.id, base_version=ticket.version)


def test_who_may_not_work_on_tickets_is_told_so_and_missing_ones_are_missing(cast):
    ticket = new(cast["sam"])
    with pytest.raises(NotPermitted):
        do(tickets.reply, cast["alice"], ticket.id, "I try")
    with pytest.raises(NotPermitted):
        do(tickets.solve, cast["ana"], ticket.id)
    with pytest.raises(NotPermitted):
        do(tickets.create, cast["dana"], {"subject": "x"})
    with pytest.raises(NotFound):
        do(tickets.solve, cast["sam"], 9999)


def test_a_manager_sees_tickets_of_their_people_only(cast):
    ticket = new(cast["sam"])
    with pytest.raises(NotFound):
        do(tickets.solve, cast["bob"], ticket.id)


def test_a_card_that_is_dropped_on_a_status_follows_the_rules_of_the_buttons(cast):
    sam = cast["sam"]
    ticket = new(sam)
    waits = do(tickets.move, sam, ticket.id, TicketKind.WAITING_CUSTOMER, base_version=ticket.version)
    assert waits.status is TicketKind.WAITING_CUSTOMER and waits.solved_at is None
    with pytest.raises(Conflict, match="meanwhile"):
        do(tickets.move, sam, ticket.id, TicketKind.SOLVED, base_version=ticket.version)
    solved = do(tickets.move, sam, ticket.id, TicketKind.SOLVED)
    assert solved.solved_at is not None and do(tickets.move, sam, ticket.id, TicketKind.SOLVED).version == solved.version
    again = do(tickets.move, sam, ticket.id, TicketKind.OPEN)
    assert (again.status, again.solved_at, again.reopened_count) == (TicketKind.OPEN, None, 1)
    with pytest.raises(NotPermitted):
        do(tickets.move, cast["alice"], ticket.id, TicketKind.SOLVED)


def test_an_account_shows_its_products_with_serial_numbers_and_tickets_are_found_by_them(any_cast):
    root, alice, sam = any_cast["root"], any_cast["alice"], any_cast["sam"]
    account = do(leads.accounts.create, alice, {"name": "Alfreds"})
    pump, hose = (do(crud.create, root, "product", {"name": name, "price_minor": 100}) for name in ("Pump", "Hose"))
    order = do(orders.create, root, {"account_id": account.id, "status": "placed"})
    do(orders.set_lines, root, order.id, [{"product_id": pump.id, "quantity": 2}])
    for serial in ("A-17", "A-17", "B 4"):
        last = new(sam, account_id=account.id, product_id=pump.id, serial_number=serial)
    do(tickets.solve, sam, last.id)
    new(sam, account_id=account.id, product_id=hose.id)
    with read_session() as session:
        first, second = installed.at_account(session, root, account.id)
        assert (first.name, first.bought, first.tickets, first.open_tickets) == ("Pump", 2, 3, 2)
        assert [(one.number, one.tickets) for one in first.serials] == [("B 4", 1), ("A-17", 2)]
        assert (second.name, second.bought, second.open_tickets, second.serials) == ("Hose", None, 1, ())
        assert [hit.entity for hit in finder.find(session, sam, "A-17")] == ["ticket", "ticket"]
        query = ListQuery(filter={"field": "serial_number", "cmp": "eq", "value": "a-17"})
        assert lists.count(session, sam, "ticket", query) == 2
        blind = replace(alice, grants={key: scopes for key, scopes in alice.grants.items() if key[0] not in ("ticket", "order")})
        assert installed.at_account(session, blind, account.id) == []
