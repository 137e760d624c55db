"""An automation that is switched on, and the worker's part, for the tests of automations."""

from sqlalchemy import select
from sqlmodel import col

from crm_core.db import read_session
from crm_core.jobs.run import begin
from crm_core.models import AutomationRun, AutomationStep
from crm_core.services.automation import automations, upkeep
from tests.verbs import do

TASK = {"id": "t", "kind": "task", "subject": "Call them", "who": "owner", "days": 1}


def see(verb, actor, *args, **kwargs):
    with read_session() as session:
        return verb(session, actor, *args, **kwargs)


def all_of(model, *clause):
    with read_session() as session:
        return list(session.execute(select(model).where(*clause).order_by(model.id)).scalars())


def work(name="test"):
    """What the worker does when it is called; two at once have names of their own."""
    begin(f"automation.work:{name}", "automation.work")
    job = begin(f"automation.work:{name}", "automation.work")
    upkeep.work(job)


def flow(entity="lead", trigger=None, does=(TASK,), **more):
    return {"entity": entity, "trigger": trigger or {"kind": "event", "events": [f"{entity}.created"]}, "steps": list(does), **more}


def switched_on(actor, name="Call new leads", cap=200, **kwargs):
    row = do(automations.save, actor, None, name=name, flow=flow(**kwargs), hourly_cap=cap)
    return do(automations.activate, actor, row.id)


def runs(state=None):
    return all_of(AutomationRun, *([col(AutomationRun.state) == state] if state else []))


def said():
    """What each step said, in order."""
    return [(step.outcome.value, step.message) for step in all_of(AutomationStep)]
