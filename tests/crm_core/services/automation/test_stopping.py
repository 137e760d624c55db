"""All automations, or all mail, stand still at a word: what comes meanwhile waits, and goes on or goes away as somebody chooses."""

from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core import events
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.models import AutomationInbox, AutomationRun, Event, Halt, MailDelivery, Task
from crm_core.services.admin import health
from crm_core.services.automation import automations, moving, stopping, upkeep
from crm_core.services.automation.stopping import Waiting
from crm_core.services.collaboration import halts, mail_run, outbox
from crm_core.services.customers import contacts
from crm_core.services.sales import leads
from crm_core.vocabulary import FlowState, HaltKind, MailState
from tests.crm_core.services.automation.automating import TASK, all_of, runs, see, switched_on, work
from tests.verbs import do

ALL, MAIL = HaltKind.AUTOMATIONS, HaltKind.MAIL
WAIT = {"id": "w", "kind": "wait", "amount": 1, "unit": "hours"}
BIRTHDAY = {"kind": "date", "field": "birthday", "days": 0, "yearly": True, "hour": 0}


def the_clock():
    upkeep.look_at_the_clock(begin("automation.clock:test", "automation.clock"))


def test_what_happens_while_automations_stand_still_waits_and_is_worked_off(cast):
    root = cast["root"]
    switched_on(root)
    switched_on(root, name="By hand", trigger={"kind": "manual"})
    do(halts.stop, root, ALL, "Too many tasks")
    lead = do(leads.create, root, {"name": "Grace"})
    work()
    assert (runs(), len(all_of_inbox())) == ([], 1)
    assert see(stopping.waiting, root) == Waiting(events=1, dates=0, slots=0, runs=0)
    by_hand = next(row.automation for row in see(automations.find, root) if row.automation.name == "By hand")
    with pytest.raises(Conflict, match="stopped for now"):
        do(automations.start, root, by_hand.id, lead.id, submit_key="k")
    with pytest.raises(Conflict, match="already"):
        do(halts.stop, root, ALL, "Twice")
    do(stopping.resume, root)
    with pytest.raises(Conflict, match="goes on already"):
        do(stopping.resume, root)
    work()
    assert [run.record_id for run in runs(FlowState.DONE)] == [lead.id] and len(all_of(Task)) == 1
    (halt,) = all_of(Halt)
    assert (halt.by_id, halt.kept, halt.outcome["begun"]) == (root.user_id, True, 1)


def all_of_inbox():
    with read_session() as session:
        return list(session.exec(select(AutomationInbox)))


def test_skipped_is_skipped_for_good_and_runs_under_way_end_only_if_somebody_wants_it(cast):
    root, now = cast["root"], clock.utcnow()
    switched_on(root, does=[WAIT, TASK])
    born = switched_on(root, name="Birthdays", entity="contact", trigger=BIRTHDAY, reentry="always")
    with write_session() as session:
        session.get(type(born), born.id).active_since = now - timedelta(days=9)
    do(leads.create, root, {"name": "Under way"})
    work()
    person = do(contacts.create, root, {"name": "Ida", "birthday": (now.date() - timedelta(days=1)).replace(year=1990)})
    do(halts.stop, root, ALL, "Wrong text")
    do(leads.create, root, {"name": "Meanwhile"})
    with clock.frozen(now + timedelta(hours=2)):
        the_clock()
        assert see(stopping.waiting, root) == Waiting(events=1, dates=1, slots=0, runs=1)
        do(stopping.resume, root, events=False, runs=False)
        work()
        the_clock()
    assert all_of(Task) == [] and all_of_inbox() == []
    assert {(run.entity, run.record_id, run.state) for run in runs()} == {
        ("lead", 1, FlowState.STOPPED), ("contact", person.id, FlowState.SKIPPED),
    }  # fmt: skip


@pytest.mark.parametrize("any_database", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_a_stop_in_the_middle_of_a_run_holds_from_the_next_step_on(any_cast, monkeypatch):
    """Where others can write meanwhile; on SQLite nobody can."""
    root = any_cast["root"]
    switched_on(root, does=[TASK, {**TASK, "id": "t2", "subject": "Second"}])
    do(leads.create, root, {"name": "Grace"})
    real = moving._Together.settle

    def stopped_meanwhile(self, run, actor):
        real(self, run, actor)
        if not halts_standing():
            do(halts.stop, root, ALL, "Now")

    monkeypatch.setattr(moving._Together, "settle", stopped_meanwhile)
    work()
    (run,) = all_of(AutomationRun)
    assert [task.subject for task in all_of(Task)] == ["Call them"] and (run.state, run.step_id) == (FlowState.RUNNING, "t2")
    do(stopping.resume, root)
    monkeypatch.undo()
    work()
    assert [task.subject for task in all_of(Task)] == ["Call them", "Second"]


def halts_standing():
    with read_session() as session:
        return halts.halted(session, ALL)


def test_no_mail_leaves_until_somebody_chooses_what_does(cast):
    root = cast["root"]
    do(halts.stop, root, MAIL, "Wrong price in the letter")
    for kind, key in (("ticket", "a"), ("campaign_test", "b"), ("campaign_test", "c")):
        do(outbox.queue, root, to="ida@example.com", subject="S", text="T", kind=kind, dedupe_key=key, start=False)
    send()
    assert see(halts.waiting_mail, root) == {"campaign_test": 2, "ticket": 1}
    assert do(halts.resume_mail, root, drop=["campaign_test"]) == {"sent": 1, "dropped": 2}
    send()
    assert [row.state for row in all_of(MailDelivery)] == [MailState.SENT, MailState.CANCELLED, MailState.CANCELLED]
    do(outbox.retry, root, all_of(MailDelivery)[1].id)  # what was taken out can be sent after all


def send():
    mail_run.send_due(begin("mail.send:test", "mail.send"))


def test_a_handful_that_was_claimed_before_the_stop_goes_back_untried(cast, monkeypatch):
    root = cast["root"]
    for key in "ab":
        do(outbox.queue, root, to=f"{key}@example.com", subject="S", text="T", kind="test", dedupe_key=key, start=False)
    real = mail_run._deliver_one

    def one_then_stop(job, way, row):
        sent = real(job, way, row)
        do(halts.stop, root, MAIL, "Now")
        return sent

    monkeypatch.setattr(mail_run, "_deliver_one", one_then_stop)
    send()
    assert [(row.state, row.attempts) for row in all_of(MailDelivery)] == [(MailState.SENT, 1), (MailState.PENDING, 0)]


def test_who_may_stop_who_is_told_and_that_health_and_the_log_say_so(cast):
    for actor, kind in ((cast["alice"], ALL), (cast["dana"], MAIL)):
        with pytest.raises(NotPermitted):
            do(halts.stop, actor, kind, "x")
    with pytest.raises(Invalid, match="Say why"):
        do(halts.stop, cast["bob"], ALL, "  ")
    do(halts.stop, cast["bob"], ALL, "Looks odd")
    do(halts.stop, cast["root"], MAIL, "Looks odd")
    assert {one.kind: (one.by, one.may_end) for one in see(halts.standing, cast["bob"])} == {
        ALL: ("Bob Manager", True), MAIL: (see(halts.standing, cast["root"])[1].by, False),
    }  # fmt: skip
    assert [check.name for check in see(health.overview, cast["root"]).checks][:2] == [ALL.label, MAIL.label]
    with pytest.raises(NotPermitted):
        do(halts.resume_mail, cast["bob"])
    said = [events.sentence_of(row.type).format(**row.data) for row in all_of(Event) if row.type.startswith("halt.")]
    assert said[0] == "stopped all automations: Looks odd"
