"""Automations on the pages of records: drawn where there are some, started and left there."""

from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.jobs.run import begin
from crm_core.models import AutomationRun
from crm_core.services import crud
from crm_core.services.automation import automations, record_runs, upkeep
from crm_core.vocabulary import FlowState
from tests.pages.app import open_screen, press, rare, words

NAMES = {"lead": "name", "contact": "name", "account": "name", "deal": "name", "ticket": "subject"}
WAIT = {"id": "w", "kind": "wait", "amount": 3, "unit": "days"}
TELL = {"id": "t", "kind": "tell", "text": "Look at <b>it</b> [x](http://y)"}


def new(actor, entity, **values):
    with write_session() as session:
        return crud.create(session, actor, entity, {NAMES[entity]: "Grace", **values}).id


def by_hand(actor, entity, name="Nurture *gently*"):
    flow = {"entity": entity, "trigger": {"kind": "manual"}, "steps": [WAIT, TELL]}
    with write_session() as session:
        row = automations.save(session, actor, None, name=name, flow=flow)
        return automations.activate(session, actor, row.id).id


def test_a_lead_starts_an_automation_shows_it_and_leaves_it(cast):
    root = cast["root"]
    lead_id = new(root, "lead")
    app = open_screen(root, "lead", id=lead_id)
    assert not app.exception and "automate" not in rare(app)
    automation_id = by_hand(root, "lead")
    app = open_screen(root, "lead", id=lead_id)
    press(app, "automate").run()
    assert "Wait 3 days" in words(app) and "start_yes" in {button.key for button in app.button}
    with write_session() as session:
        record_runs.start(session, root, automation_id, lead_id, submit_key="x")
    upkeep.work(begin("automation.work:test", "automation.work"))
    app = open_screen(root, "lead", id=lead_id)
    assert not app.exception and "Waiting" in words(app) and "Next, " in words(app)
    with read_session() as session:
        run_id = session.exec(select(AutomationRun.id)).one()
    app.button(key=f"leave_yes_{run_id}").click().run()
    assert not app.exception
    with read_session() as session:
        assert session.get(AutomationRun, run_id).state is FlowState.STOPPED


def test_every_page_of_a_record_shows_its_runs(cast):
    root = cast["root"]
    for entity in ("contact", "account", "deal", "ticket"):
        automation_id, record_id = by_hand(root, entity, f"Nurture *a* {entity}"), new(root, entity)
        with write_session() as session:
            record_runs.start(session, root, automation_id, record_id, submit_key=entity)
        app = open_screen(root, entity, id=record_id)
        assert not app.exception and f"{entity}**" in words(app) and "automate" in rare(app)


def test_a_run_that_failed_is_tried_again_by_who_may(cast):
    root, alice = cast["root"], cast["alice"]
    lead_id = new(alice, "lead", owner_id=alice.user_id)
    automation_id = by_hand(root, "lead")
    with write_session() as session:
        record_runs.start(session, root, automation_id, lead_id, submit_key="x")
        run = session.exec(select(AutomationRun)).one()
        run.state, run.message, run.due_at = FlowState.FAILED, "It could not be done", None
        session.add(run)
        run_id = run.id
    app = open_screen(alice, "lead", id=lead_id)
    assert "It could not be done" in words(app) and f"again_{run_id}" not in {button.key for button in app.button}
    app = open_screen(root, "lead", id=lead_id)
    app.button(key=f"again_{run_id}").click().run()
    assert not app.exception
    with read_session() as session:
        assert session.get(AutomationRun, run_id).state is FlowState.RUNNING
