"""Automations on a record's page: what comes next, who may end a run, who may start one."""

import pytest

from crm_core.errors import Conflict, NotFound, NotPermitted
from crm_core.services.automation import automations, record_runs
from crm_core.services.automation.record_runs import OnRecord
from crm_core.services.sales import leads
from crm_core.vocabulary import FlowState
from tests.crm_core.services.automation.automating import TASK, runs, see, switched_on, work
from tests.verbs import do

JOURNEY = ({"id": "w", "kind": "wait", "amount": 3, "unit": "days"}, TASK)
BY_HAND = {"kind": "manual"}


def on(actor, lead):
    return see(record_runs.on_record, actor, "lead", lead.id)


def test_a_record_tells_what_comes_next_and_nothing_where_nothing_is(cast):
    root, alice = cast["root"], cast["alice"]
    before = do(leads.create, alice, {"name": "Before", "owner_id": alice.user_id})
    switched_on(root, does=JOURNEY)
    lead = do(leads.create, alice, {"name": "Grace", "owner_id": alice.user_id})
    work()
    assert on(alice, before) == OnRecord()
    (line,) = on(alice, lead).lines
    assert (line.name, line.state, line.next) == (
        "Call new leads",
        FlowState.WAITING,
        "Create the task “Call them” for the owner, due tomorrow",
    )
    assert (line.at, line.may_leave, line.may_retry, line.rests) == (runs()[0].due_at, False, False, False)
    do(automations.pause, root, runs()[0].automation_id)
    (line,) = on(root, lead).lines
    assert (line.may_leave, line.rests) == (True, True)
    with pytest.raises(NotFound):
        see(record_runs.on_record, cast["charlie"], "lead", lead.id)


def test_runs_under_way_stand_first_and_old_ones_are_cut(cast):
    root = cast["root"]
    switched_on(root, name="Journey", does=JOURNEY)
    for n in range(6):
        switched_on(root, name=f"At once {n}")
    lead = do(leads.create, root, {"name": "Grace"})
    work()
    found = on(root, lead)
    assert [line.name for line in found.lines] == ["Journey", "At once 5", "At once 4", "At once 3", "At once 2"]
    assert found.more


def test_a_run_is_left_by_who_manages_automations_or_by_who_could_start_it(cast):
    root, alice, ana = cast["root"], cast["alice"], cast["ana"]
    switched_on(root, does=JOURNEY)
    lead = do(leads.create, alice, {"name": "Grace", "owner_id": alice.user_id})
    row = switched_on(root, name="By hand", trigger=BY_HAND, does=JOURNEY)
    work()
    with pytest.raises(NotPermitted):
        do(record_runs.leave, alice, runs()[0].id)
    assert do(record_runs.start, alice, row.id, lead.id, submit_key="a") == ""
    hand = next(line for line in on(alice, lead).lines if line.name == "By hand")
    assert hand.may_leave
    with pytest.raises(NotPermitted):
        do(record_runs.leave, ana, hand.run_id)
    with pytest.raises(NotFound):
        do(record_runs.leave, cast["charlie"], hand.run_id)
    do(record_runs.leave, alice, hand.run_id)
    with pytest.raises(Conflict):
        do(record_runs.leave, alice, hand.run_id)
    do(record_runs.leave, root, runs()[0].id)
    assert {(run.state, run.message) for run in runs()} == {
        (FlowState.STOPPED, "Stopped by Alice Rep"),
        (FlowState.STOPPED, "Stopped by Root"),
    }
    with pytest.raises(NotFound):
        do(record_runs.leave, root, 99)


def test_starting_by_hand_says_why_it_did_not_begin(cast):
    root, alice, ana = cast["root"], cast["alice"], cast["ana"]
    row = switched_on(root, trigger=BY_HAND, does=JOURNEY, **{"if": {"field": "source", "cmp": "eq", "value": "Website"}})
    web = do(leads.create, alice, {"name": "Web", "source": "Website", "owner_id": alice.user_id})
    fair = do(leads.create, alice, {"name": "Fair", "source": "Event", "owner_id": alice.user_id})
    (offered,) = on(alice, web).starts
    assert (offered.id, offered.does) == (row.id, ("Wait 3 days", "Create the task “Call them” for the owner, due tomorrow"))
    assert on(ana, web).starts == ()
    assert do(record_runs.start, alice, row.id, web.id, submit_key="a") == ""
    assert "under way" in do(record_runs.start, alice, row.id, web.id, submit_key="b")
    assert "conditions" in do(record_runs.start, alice, row.id, fair.id, submit_key="c")
    with pytest.raises(NotPermitted):
        do(record_runs.start, ana, row.id, web.id, submit_key="d")
    do(automations.pause, root, row.id)
    assert on(alice, web).starts == ()
    with pytest.raises(Conflict):
        do(record_runs.start, alice, row.id, web.id, submit_key="e")
