"""Today: what waits for whom, and nothing of others."""

from datetime import timedelta

from crm_core.kit import clock
from crm_core.services import crud
from crm_core.services.collaboration import tasks, today
from crm_core.services.helpdesk import tickets
from crm_core.services.sales import deals, leads
from tests.verbs import do, look


def test_my_tasks_overdue_first_with_the_record_they_hang_on(any_cast):
    alice, bob = any_cast["alice"], any_cast["bob"]
    deal = do(crud.create, alice, "deal", {"name": "Big one"})
    now = clock.utcnow()
    for subject, days in (("Later", 3), ("Late", -2), ("Whenever", None)):
        due = now + timedelta(days=days) if days is not None else None
        do(tasks.create, alice, {"subject": subject, "due_at": due, "deal_id": deal.id})
    do(tasks.create, bob, {"subject": "Not mine"})
    found, total = look(today.my_tasks, alice)
    assert [(task.subject, task.overdue) for task in found] == [("Late", True), ("Later", False), ("Whenever", False)]
    assert total == 3 and (found[0].entity, found[0].title) == ("deal", "Big one")
    do(tasks.complete, alice, found[0].id)
    assert look(today.my_tasks, alice)[1] == 2
    assert look(today.my_tasks, alice, limit=1)[1] == 2


def test_deals_wait_with_their_reasons(any_cast):
    alice = any_cast["alice"]
    day = clock.today()
    fine = {"next_step": "Call", "next_step_on": day + timedelta(days=2), "expected_close_on": day + timedelta(days=9)}
    do(crud.create, alice, "deal", {"name": "Fine", **fine})
    late = do(crud.create, alice, "deal", {"name": "Late", **fine, "expected_close_on": day - timedelta(days=1)})
    bare = do(crud.create, alice, "deal", {"name": "Bare", "expected_close_on": day + timedelta(days=9)})
    won = do(crud.create, alice, "deal", {"name": "Won"})
    do(deals.win, alice, won.id)
    do(crud.create, any_cast["bob"], "deal", {"name": "Bob's"})
    block = look(today.deals, alice)
    assert block.page.total == 2
    assert dict(block.why) == {late.id: ("Closing date passed",), bare.id: ("No next step",)}
    with clock.frozen(clock.utcnow() + timedelta(days=400)):
        assert "Idle" in look(today.deals, alice).why[late.id]


def test_tickets_and_leads_that_nobody_has_wait_for_those_who_may_take_them(any_cast):
    sam, alice, dana = (any_cast[key] for key in ("sam", "alice", "dana"))
    do(tickets.create, sam, {"subject": "Free", "owner_id": None})
    mine = do(tickets.create, sam, {"subject": "Mine"})
    done = do(tickets.create, sam, {"subject": "Done"})
    do(tickets.solve, sam, done.id)
    with clock.frozen(clock.utcnow() - timedelta(days=2)):
        do(tickets.create, sam, {"subject": "Waits longest"})
    assert [row["subject"] for row in look(today.tickets, sam).page.rows] == ["Waits longest", "Free", mine.subject]
    assert look(today.tickets, alice).page.total == 0
    do(leads.create, dana, {"name": "Free lead", "owner_id": None})
    taken = do(leads.create, dana, {"name": "Worked on"})
    do(leads.qualify, dana, taken.id)
    assert [row["name"] for row in look(today.leads, dana).page.rows] == ["Free lead"]
    assert look(today.leads, alice).page.total == 0
    assert look(today.leads, sam) is None and look(today.deals, sam) is None


def test_changes_are_those_of_others_on_my_records_since_yesterday(any_cast):
    alice, bob, root = (any_cast[key] for key in ("alice", "bob", "root"))
    deal = do(crud.create, alice, "deal", {"name": "Big one"})
    with clock.frozen(clock.utcnow() - timedelta(days=3)):
        do(crud.update, bob, "deal", deal.id, {"next_step": "Old news"})
    do(crud.update, alice, "deal", deal.id, {"next_step": "My own"})
    do(crud.update, bob, "deal", deal.id, {"amount_minor": 100})
    do(crud.create, root, "deal", {"name": "Not mine"})
    items = look(today.changes, alice)
    assert [(item.who, item.title, item.record_id) for item in items] == [("Bob Manager", "Big one", deal.id)]
    assert look(today.changes, any_cast["ana"]) == []
