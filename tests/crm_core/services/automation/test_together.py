"""Many runs in one transaction: the order of what happened holds, and neither a fault nor somebody else's lock costs anybody but one run a moment."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.event import listen
from sqlalchemy.exc import OperationalError
from sqlmodel import col

from crm_core import records
from crm_core.db import read_session, write_session
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.models import Automation, AutomationInbox, AutomationStep, Lead, Notification, RoutingTurn, SubmitKey, Task
from crm_core.services.automation import one_by_one, places, steps, upkeep
from crm_core.services.automation.engine import RUNS
from crm_core.services.automation.steps.base import Done, StepKind
from crm_core.services.automation.taking_up import hear
from crm_core.services.customers import contacts
from crm_core.services.routing import assign, rules
from crm_core.services.sales import leads
from crm_core.vocabulary import AutomationState, FlowState, RouteMethod
from tests.crm_core.services.automation.automating import TASK, all_of, runs, switched_on, work
from tests.verbs import do

only_postgres = pytest.mark.parametrize("any_database", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
WAIT = {"id": "w", "kind": "wait", "amount": 1, "unit": "hours"}


def look_at_the_clock():
    upkeep.look_at_the_clock(begin("automation.clock:test", "automation.clock"))


def an_hour_later():
    """Every wait is over."""
    with write_session() as session:
        session.execute(update(RUNS).where(RUNS.c.state == FlowState.WAITING).values(due_at=clock.utcnow()))


def test_a_date_that_is_looked_at_again_and_again_uses_up_no_room_of_the_hour(cast):
    root, today = cast["root"], clock.utcnow().date()
    born = date(1984, today.month, today.day)
    for name in ("Ada", "Grace"):
        do(contacts.create, root, {"name": name, "birthday": born})
    task = {"id": "t", "kind": "task", "subject": "Say hello", "who": root.user_id, "days": 0}
    trigger = {"kind": "date", "field": "birthday", "days": 0, "yearly": True, "hour": 0}
    switched_on(root, cap=3, entity="contact", reentry="always", trigger=trigger, does=[task])
    for _ in range(3):
        look_at_the_clock()
    assert (len(runs()), len(all_of(Task))) == (2, 2)
    do(contacts.create, root, {"name": "Joan", "birthday": born})
    look_at_the_clock()
    assert (len(runs()), all_of(Automation)[0].state) == (3, AutomationState.ACTIVE), "old runs take nobody's place"
    do(contacts.create, root, {"name": "Mary", "birthday": born})
    look_at_the_clock()
    assert (len(runs()), all_of(Automation)[0].state) == (3, AutomationState.PAUSED)


def test_of_two_automations_that_set_one_field_the_later_event_has_the_last_word(any_cast):
    root = any_cast["root"]
    for event, word in (("lead.qualified", "Qualified"), ("lead.created", "Created")):
        does = [{"id": "s", "kind": "set", "field": "job_title", "value": word}]
        switched_on(root, name=word, trigger={"kind": "event", "events": [event]}, does=does)
    made = [do(leads.create, root, {"name": f"Lead {n}"}) for n in range(3)]
    for lead in made:
        do(leads.qualify, root, lead.id)
    work()
    assert {lead.job_title for lead in all_of(Lead)} == {"Qualified"}
    assert [run.cause_id for run in runs()] == sorted(run.cause_id for run in runs())


def test_a_fault_beside_the_steps_of_one_run_ends_that_run_and_the_others_are_heard(cast, monkeypatch):
    root, follow = cast["root"], places.follow
    switched_on(root)
    bad = do(leads.create, root, {"name": "Bad"})
    do(leads.create, root, {"name": "Good"})

    def broken(flow, run, step, result):
        if run.record_id == bad.id:
            raise KeyError("a step that is no longer there")
        return follow(flow, run, step, result)

    monkeypatch.setattr(places, "follow", broken)
    work()
    assert {run.record_id == bad.id: run.state for run in runs()} == {True: FlowState.FAILED, False: FlowState.DONE}
    assert [task.lead_id for task in all_of(Task)] != [bad.id] and len(all_of(Task)) == 1, (
        "what it did in this transaction went with it"
    )
    assert len(all_of(Notification, col(Notification.kind) == "automation.failed")) == 1
    with read_session() as session:
        assert session.execute(select(AutomationInbox)).first() is None


def test_a_deadlock_is_no_attempt_and_the_log_holds_no_customers(cast, monkeypatch, caplog):
    root, tries = cast["root"], []

    def stumble(context, step):
        tries.append(context.record.name)
        if len(tries) < 7:
            raise OperationalError("UPDATE lead SET name=%(name)s", {"name": context.record.name}, Exception("deadlock detected"))
        return Done("At last")

    monkeypatch.setitem(steps.kinds(), "stumble", StepKind("stumble", "Stumble", "bolt", 1, stumble, lambda step, names: "Stumble"))
    monkeypatch.setattr(one_by_one, "SOON", 0.01)
    caplog.set_level("INFO")
    switched_on(root, does=[{"id": "s", "kind": "stumble"}])
    do(leads.create, root, {"name": "Grace Hopper"})
    for _ in range(9):
        work()
    (run,) = runs()
    assert (run.state, run.attempts, len(tries)) == (FlowState.DONE, 0, 7)
    assert len(all_of(AutomationStep)) == 1 and all_of(Notification, col(Notification.kind) == "automation.failed") == []
    assert "Grace" not in caplog.text


def test_a_run_sees_the_record_that_an_earlier_run_of_the_same_moment_gave_to_it(cast):
    root, bob, alice, charlie = (cast[name] for name in ("root", "bob", "alice", "charlie"))
    switched_on(root, name="Back", does=[WAIT, {"id": "a", "kind": "assign", "who": alice.user_id}])
    switched_on(bob, name="Team", does=[WAIT, TASK])
    lead = do(leads.create, alice, {"name": "Grace", "owner_id": alice.user_id})
    work()
    do(leads.assign, root, lead.id, charlie.user_id)
    an_hour_later()
    work()
    assert {run.state for run in runs()} == {FlowState.DONE} and len(runs()) == 2
    assert [task.lead_id for task in all_of(Task)] == [lead.id]


@only_postgres
def test_a_record_that_somebody_keeps_for_long_holds_nobody_else_up(any_cast):
    root = any_cast["root"]
    switched_on(root, trigger={"kind": "event", "events": ["lead.created", "lead.qualified"]}, reentry="always")
    kept, free = (do(leads.create, root, {"name": name}) for name in ("Kept", "Free"))
    do(leads.qualify, root, kept.id)
    with ThreadPoolExecutor(1) as worker, write_session() as session:
        session.execute(update(Lead).where(col(Lead.id) == kept.id).values(job_title="Being written"))
        worker.submit(work).result(20)
        assert {run.record_id: run.state for run in runs(FlowState.DONE)} == {free.id: FlowState.DONE}
        resting = runs(FlowState.RUNNING)
        assert [(run.record_id, run.attempts) for run in resting] == [(kept.id, 0)] * 2
        with read_session() as other:
            assert other.execute(select(AutomationInbox)).first() is None, "all was heard"
    work()
    assert len(runs(FlowState.DONE)) == 3 and len(all_of(Task)) == 3
    third = do(leads.create, root, {"name": "Third"})
    do(leads.qualify, root, third.id)
    with write_session() as session:
        hear(session)
    with ThreadPoolExecutor(1) as worker, write_session() as session:  # another worker has the earlier run, and waits to assign
        session.execute(select(RUNS.c.id).where(RUNS.c.record_id == third.id).order_by(RUNS.c.id).limit(1).with_for_update())
        worker.submit(work).result(20)
        assert [run.record_id for run in runs(FlowState.RUNNING)] == [third.id] * 2, "what comes later stays later"
    work()
    assert len(runs(FlowState.DONE)) == 5


@only_postgres
def test_whoever_assigns_by_hand_and_an_automation_that_assigns_never_wait_in_a_circle(any_cast):
    root, alice = any_cast["root"], any_cast["alice"]
    do(rules.save, root, None, name="All", entity="lead", method=RouteMethod.TURNS, people=[(alice.user_id, 1)])
    switched_on(root, does=[TASK, {"id": "r", "kind": "route"}])
    lead = do(leads.create, root, {"name": "Grace", "owner_id": None})
    with ThreadPoolExecutor(1) as worker:
        with write_session() as session:
            assign.lock(session)
            assert session.execute(select(col(RoutingTurn.id))).all()
            moved = worker.submit(work)
            with pytest.raises(TimeoutError):
                moved.result(0.7)
            session.execute(text("SET LOCAL lock_timeout = '200ms'"))  # it waits for its turn with no record in its hands
            session.execute(update(Lead).where(col(Lead.id) == lead.id).values(job_title="Written"))
        moved.result(20)
    assert [run.state for run in runs()] == [FlowState.DONE]
    assert (all_of(Lead)[0].owner_id, all_of(Lead)[0].job_title) == (alice.user_id, "Written")


def test_a_transaction_without_events_does_not_ask_which_automations_are_on(cast):
    asked = []
    with write_session() as session:
        listen(session.connection(), "before_cursor_execute", lambda _c, _cursor, statement, *_: asked.append(statement))
        session.add(SubmitKey(key="k", at=clock.utcnow(), result={}))
        session.flush()
        assert asked and not any("automation" in statement for statement in asked)
        records.create(session, cast["root"], "account", {"name": "Northwind"})
        session.flush()
        assert sum("FROM automation" in statement for statement in asked) == 1
