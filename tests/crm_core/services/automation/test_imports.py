"""What automations make of a real import: only who takes imports begins, once per record, and nothing that was undone meanwhile."""

from datetime import timedelta

import pytest

from crm_core.db import read_session, write_session
from crm_core.jobs import find_jobs
from crm_core.kit import clock
from crm_core.models import Automation, AutomationInbox, Event, Task
from crm_core.services.admin.imports import writing
from crm_core.services.automation import automations, taking_up
from crm_core.services.sales import leads
from crm_core.vocabulary import AutomationState, FlowState, Via
from tests.crm_core.services.admin.imports.conftest import imports as imports
from tests.crm_core.services.automation.automating import all_of, runs, see, switched_on, work
from tests.verbs import do

LEADS = "Name,Email,Source\nAda,ada@x.example,Website\nBob,bob@x.example,Event\nCy,cy@x.example,Website\n"
TOO = {"kind": "event", "events": ["lead.created"], "imports": True}


def inbox():
    with read_session() as session:
        return [row.event_id for row in session.query(AutomationInbox).all()]


def called(root):
    with read_session() as session:
        return [row["job"].title for row in find_jobs(session, root).rows if row["job"].title == "Automations"]


def test_a_real_import_starts_the_automations_that_take_imports_once_per_record(any_cast, imports):
    root = any_cast["root"]
    plain = switched_on(root)
    too = switched_on(root, name="Imports too", trigger=TOO, **{"if": {"field": "source", "cmp": "eq", "value": "Website"}})
    imports.run(root, "lead", LEADS)
    logged = all_of(Event, Event.type == "lead.created")
    assert inbox() == [event.id for event in logged] and {event.via for event in logged} == {Via.IMPORT}
    assert called(root) == ["Automations"]
    work()
    work()
    assert {run.automation_id for run in runs()} == {too.id} and plain.id != too.id
    names = {row["id"]: row["name"] for row in imports.find(root, "lead", ("name",))}
    assert sorted(names[task.lead_id] for task in all_of(Task)) == ["Ada", "Cy"]
    assert inbox() == []
    assert see(automations.get, root, too.id).reason == ""


@pytest.mark.parametrize("listener", [None, "lead", "contact"])
def test_an_import_that_nobody_waits_for_is_written_the_fast_way_and_calls_no_worker(cast, imports, monkeypatch, listener):
    root = cast["root"]
    if listener:
        more = {"trigger": {"kind": "event", "events": ["contact.created"], "imports": True}} if listener == "contact" else {}
        switched_on(root, entity=listener, **more)
        work()
    asked = []
    reserve = writing.reserve
    monkeypatch.setattr(
        writing, "reserve", lambda session, table, count: asked.append(table.name) or reserve(session, table, count)
    )
    before = called(root)
    imports.run(root, "lead", LEADS)
    assert asked == ["lead"] and inbox() == [] and called(root) == before and len(all_of(Event, Event.type == "lead.created")) == 3


def test_an_import_undone_before_it_was_heard_starts_nothing(any_cast, imports):
    root = any_cast["root"]
    imports.run(root, "lead", LEADS)
    switched_on(root, trigger=TOO)
    moved = {"kind": "changed", "fields": [{"field": "source", "to": ["Referral"]}], "imports": True}
    switched_on(root, name="Moved", trigger=moved)
    run = imports.run(root, "lead", "Name,Email,Source\nAda,ada@x.example,Referral\nDi,di@x.example,Event\n")
    assert len(inbox()) == 2
    imports.undo(root, run)
    assert inbox() == []
    work()
    assert runs() == [] and all_of(Task) == [] and imports.count(root, "lead") == 3


def test_a_large_import_pauses_nothing_its_runs_wait_their_turn_and_end_when_it_is_undone(any_cast, imports):
    root, began = any_cast["root"], clock.utcnow()
    switched_on(root, cap=2, trigger=TOO)
    imports.run(root, "lead", "Name,Email\n" + "".join(f"Lead {n},lead{n}@x.example\n" for n in range(7)))
    work()

    def turns():
        """Half hours until the runs that wait begin."""
        return [round((one.due_at - began).total_seconds() / 1800) for one in runs(FlowState.WAITING)]

    assert len(runs(FlowState.DONE)) == 2 and turns() == [1, 2, 3, 4, 5], "two an hour"
    more = imports.run(root, "lead", "Name,Email\nLate,late@x.example\n")
    for n in range(2):
        do(leads.create, root, {"name": f"By hand {n}"})
    work()
    assert len(runs(FlowState.DONE)) == 4 and turns() == [1, 2, 3, 4, 5, 6], "others keep their own room"
    imports.undo(root, more)
    assert [one.message for one in runs(FlowState.STOPPED)] == ["The import was undone"] and turns() == [1, 2, 3, 4, 5]
    with clock.frozen(began + timedelta(minutes=75)):
        work()
    assert len(runs(FlowState.DONE)) == 6 and all_of(Automation)[0].state is AutomationState.ACTIVE


def test_an_import_undone_while_a_run_is_under_way_leaves_no_trace_on_records_that_are_gone(any_cast, imports):
    root = any_cast["root"]
    switched_on(root, trigger=TOO)
    run = imports.run(root, "lead", LEADS)
    with write_session() as session:
        assert taking_up.hear(session) == 3
    imports.undo(root, run)
    assert imports.count(root, "lead") == 0
    work()
    assert all_of(Task) == [] and not [one for one in runs() if one.ended_at is None]
