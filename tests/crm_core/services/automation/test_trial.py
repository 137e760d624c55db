"""A trial: what would come of each step for one record, and nothing of it stays."""

import pytest
from sqlalchemy import func, select

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.models import AutomationInbox, AutomationRun, Event, MailDelivery, Notification, Task
from crm_core.services.automation import automations, trial
from crm_core.services.sales import leads
from crm_core.vocabulary import StepOutcome

FLOW = {
    "entity": "lead",
    "trigger": {"kind": "manual"},
    "if": {"field": "company", "cmp": "eq", "value": "Acme"},
    "steps": [
        {"id": "t", "kind": "task", "subject": "Call them", "who": "owner", "days": 1},
        {"id": "w", "kind": "wait", "amount": 3, "unit": "days"},
        {
            "id": "b", "kind": "branch", "if": {"field": "company", "cmp": "eq", "value": "Acme"},
            "yes": [{"id": "s", "kind": "set", "field": "company", "value": "Umbrella"}],
            "no": [{"id": "x", "kind": "tell", "who": "owner", "text": "Never"}],
        },
        {"id": "c", "kind": "branch", "if": {"field": "company", "cmp": "eq", "value": "Umbrella"}, "yes": [{"id": "o", "kind": "offer", "text": "10%"}]},
        {"id": "m", "kind": "mail", "purpose": "service", "subject": "Hello", "body": "Hello {{first_name|there}}"},
        {"id": "e", "kind": "end"},
    ],
}  # fmt: skip


def counted():
    with read_session() as session:
        kept = (Task, Event, MailDelivery, Notification, AutomationRun, AutomationInbox)
        return [session.execute(select(func.count()).select_from(model.__table__)).scalar_one() for model in kept]


def tried(actor, record_id, **more):
    with write_session() as session:
        return trial.run(session, actor, FLOW | more, record_id)


def test_each_step_says_what_would_come_of_it_and_nothing_stays(cast):
    dana = cast["dana"]
    with write_session() as session:
        lead = leads.create(session, dana, {"name": "Ada", "company": "Acme", "email": "ada@example.com"})
        heard = automations.save(
            session, dana, None, name="Listens", flow=FLOW | {"trigger": {"kind": "changed", "fields": [{"field": "company"}]}}
        )
        automations.activate(session, dana, heard.id)
    before = counted()
    told = tried(dana, lead.id)
    assert told.title == "Ada" and told.matches
    said = [(line.kind, line.message, line.outcome) for line in told.lines]
    assert [kind for kind, _, _ in said] == ["task", "wait", "branch", "set", "branch", "offer", "mail", "end"]
    assert (
        said[0][1].startswith("Task “Call them” for")
        and said[2][1] == "Yes"
        and said[4][1] == "Yes"
        and said[5][1] == "Offered: 10%"
    )
    assert "“Hello”" in said[6][1] and told.end == "It ends here."
    assert (told.lines[3].at - told.lines[0].at).days == 3
    assert counted() == before, "nothing of it stays"
    with read_session() as session:
        assert leads.get(session, dana, lead.id).company == "Acme"
    assert not tried(dana, lead.id, **{"if": {"field": "company", "cmp": "eq", "value": "Else"}}).matches
    reached = tried(dana, lead.id, goal={"field": "company", "cmp": "eq", "value": "Umbrella"})
    assert [line.kind for line in reached.lines] == ["task", "wait", "branch", "set"] and "goal" in reached.end
    broken = tried(dana, lead.id, steps=[FLOW["steps"][0], {"id": "a", "kind": "assign", "who": 999_999}, FLOW["steps"][5]])
    assert [line.outcome for line in broken.lines] == [StepOutcome.DONE, StepOutcome.FAILED] and "somebody to look" in broken.end


def test_a_trial_is_for_those_who_manage_automations_and_see_the_record(cast):
    with write_session() as session:
        lead = leads.create(session, cast["root"], {"name": "Ada", "company": "Acme"})
    with pytest.raises(NotPermitted):
        tried(cast["alice"], lead.id)
    with pytest.raises(NotFound):
        tried(cast["dana"], 999_999)
    with pytest.raises(Invalid, match="Add at least one step"):
        tried(cast["dana"], lead.id, steps=[])
