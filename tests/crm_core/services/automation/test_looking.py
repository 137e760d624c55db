"""Looking at automations: versions and those who keep to them, counts of runs, faults of what is gone meanwhile."""

import pytest

from crm_core.db import read_session, write_session
from crm_core.errors import NotPermitted
from crm_core.models import AutomationRun
from crm_core.services.automation import automations
from crm_core.vocabulary import FlowState

FLOW = {"entity": "lead", "trigger": {"kind": "event", "events": ["lead.created"]}, "steps": [{"id": "e", "kind": "end"}]}


def found(trigger, **more):
    with read_session() as session:
        return automations.problems(session, more.pop("actor"), FLOW | {"trigger": trigger} | more)


def test_versions_keep_what_they_did_and_runs_are_counted_by_version_and_state(cast):
    dana = cast["dana"]
    with write_session() as session:
        row = automations.save(session, dana, None, name="Mine", flow=FLOW)
        automations.save(session, dana, row.id, name="Mine", flow=FLOW | {"steps": [{"id": "t", "kind": "tell", "text": "Look"}]})
        for n, (state, number) in enumerate(
            [(FlowState.WAITING, 1), (FlowState.RUNNING, 2), (FlowState.FAILED, 1), (FlowState.FAILED, 2)]
        ):
            session.add(
                AutomationRun(
                    automation_id=row.id,
                    version_number=number,
                    trigger_key=f"k{n}",
                    entity="lead",
                    record_id=1,
                    state=state,
                    step_id="e",
                )
            )
    with read_session() as session:
        alice = cast["alice"]
        assert automations.story(session, alice, row.id, 1).steps == (("End here", 0),)
        assert automations.story(session, alice, row.id).steps == (("Tell the owner: “Look”", 0),)
        assert automations.under_way(session, alice, row.id) == {1: 1, 2: 1}
        assert automations.run_counts(session, alice, row.id)[FlowState.FAILED] == 2
    with pytest.raises(NotPermitted), write_session() as session:
        automations.retry_all(session, alice, row.id)
    with write_session() as session:
        assert automations.retry_all(session, dana, row.id) == 2
    with write_session() as session:
        assert automations.retry_all(session, dana, row.id) == 0
        assert automations.run_counts(session, dana, row.id) == {FlowState.RUNNING: 3, FlowState.WAITING: 1}


def test_a_flow_in_words_whatever_it_lacks(cast):
    dana = cast["dana"]
    with read_session() as session:
        assert automations.told(session, dana, {}).steps == ()
        odd = automations.told(session, dana, FLOW | {"steps": [{"id": "a", "kind": "gone"}, {"id": "b", "kind": "branch"}]})
        assert odd.sentences["a"] == "A step that this version does not know"
        watched = {"kind": "changed", "fields": [{"field": "owner_id", "to": [dana.user_id]}, {"field": "company"}]}
        assert automations.told(session, dana, FLOW | {"trigger": watched}).when == f"Changed: Owner to {dana.name}, Company"


def test_fields_that_are_gone_are_said_where_they_stand(cast):
    dana = cast["dana"]
    assert found({"kind": "date", "field": "created_at"}, actor=dana) == {}
    for trigger in (
        {"kind": "date", "field": "x_gone"},
        {"kind": "date", "field": "company"},
        {"kind": "changed", "fields": [{"field": "x_gone"}]},
    ):
        assert set(found(trigger, actor=dana)) == {"trigger"}
    assert "Choose" in found({"kind": "date"}, actor=dana)["trigger"]
