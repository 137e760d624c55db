"""The engine: what starts a run, what a run does, and that each step counts once and fails in the open."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from crm_core import jobs
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.fields import FieldSpec, builtin, to_json
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.models import (
    Automation,
    AutomationInbox,
    AutomationRun,
    AutomationStep,
    Event,
    Lead,
    MailDelivery,
    Notification,
    Task,
    User,
)
from crm_core.services.automation import automations, engine, one_by_one, picking, places, replay, steps, taking_up, upkeep
from crm_core.services.automation.steps.base import Done, StepKind
from crm_core.services.customers import contacts
from crm_core.services.sales import deals, leads
from crm_core.vocabulary import AutomationState, FieldKind, FlowState, StepOutcome, Via
from tests.crm_core.services.automation.automating import TASK, all_of, flow, runs, switched_on, work
from tests.crm_core.services.marketing.outreach import no_quiet_hours
from tests.verbs import do


def later(monkeypatch, **delta):
    """Move the clock of the engine."""
    then = clock.utcnow() + timedelta(**delta)
    for module in (engine, taking_up, picking, places, one_by_one, upkeep, automations, clock):
        monkeypatch.setattr(module, "utcnow", lambda: then)
    return then


def test_a_new_lead_gets_its_task_once_and_whoever_asks_sees_why(any_cast):
    dana, root = any_cast["dana"], any_cast["root"]
    switched_on(root, **{"if": {"field": "source", "cmp": "eq", "value": "Website"}})
    lead = do(leads.create, dana, {"name": "Grace", "source": "Website"})
    do(leads.create, dana, {"name": "Hopper", "source": "Event"})
    assert len(all_of(Event, col(Event.type) == "lead.created")) == 2
    with read_session() as session:
        assert [row["job"].title for row in jobs.find_jobs(session, root).rows] == ["Automations"]
    work()
    work()
    (task,) = all_of(Task)
    assert (task.subject, task.lead_id) == ("Call them", lead.id)
    (run,) = runs()
    assert (run.state, run.record_id) == (FlowState.DONE, lead.id)
    (step,) = all_of(AutomationStep)
    assert step.outcome is StepOutcome.DONE
    assert "Call them" in step.message
    caused = all_of(Event, col(Event.type) == "task.created")[0]
    assert (caused.cause_id, caused.depth, caused.via) == (run.cause_id, 1, Via.WORKER)
    with read_session() as session:
        assert session.execute(select(AutomationInbox)).first() is None
        (view, name) = automations.runs_of(session, root, "lead", lead.id)[0]
        assert (name, view.title, view.taken[0].outcome) == ("Call new leads", "Grace", StepOutcome.DONE)


def test_nothing_is_heard_while_nobody_listens_and_a_rolled_back_event_leaves_nothing(cast):
    root = cast["root"]
    do(leads.create, root, {"name": "Before"})
    switched_on(root)
    with pytest.raises(ZeroDivisionError), write_session() as session:
        leads.create(session, root, {"name": "Never"})
        1 / 0  # noqa: B018
    work()
    assert runs() == []
    row = switched_on(root, name="Second")
    do(automations.pause, root, row.id)
    do(leads.create, root, {"name": "Now"})
    work()
    assert [run.automation_id for run in runs()] != [row.id]
    assert len(runs()) == 1


WATCHED = {"kind": "changed", "fields": [{"field": "rating", "from": None, "to": ["hot"]}]}


def test_watched_fields_see_old_and_new_values(cast):
    root = cast["root"]
    deal_stage = {"kind": "changed", "fields": [{"field": "stage_id"}]}
    switched_on(
        root, entity="deal", trigger=deal_stage, before={"field": "amount_minor", "cmp": "ge", "value": 100_00}, reentry="always"
    )
    deal = do(deals.create, root, {"name": "Big", "amount_minor": 500_00})
    small = do(deals.create, root, {"name": "Small", "amount_minor": 5_00})
    with read_session() as session:
        following = [stage.id for stage in deals.stages(session, root, deal.pipeline_id)][1]
    for one in (deal, small):
        do(deals.move, root, one.id, following)
    do(deals.update, root, deal.id, {"amount_minor": 1_00})
    work()
    assert [run.record_id for run in runs()] == [deal.id]


@pytest.mark.parametrize(
    ("reentry", "expected"), [("once", 1), ("idle", 2), ("always", 2)], ids=["once in a lifetime", "again when idle", "every time"]
)
def test_a_record_is_taken_up_again_only_as_said(cast, reentry, expected):
    root = cast["root"]
    switched_on(root, trigger={"kind": "event", "events": ["lead.qualified", "lead.reopened", "lead.created"]}, reentry=reentry)
    lead = do(leads.create, root, {"name": "Grace"})
    work()
    do(leads.qualify, root, lead.id)
    work()
    assert len(runs()) == expected


def test_a_journey_waits_branches_and_ends_at_its_goal(cast, monkeypatch):
    root = cast["root"]
    does = [
        {"id": "a", "kind": "tell", "text": "A new one"},
        {"id": "w", "kind": "wait", "amount": 2, "unit": "days"},
        {
            "id": "b", "kind": "branch", "if": {"field": "source", "cmp": "eq", "value": "Website"},
            "yes": [{"id": "y", "kind": "task", "subject": "Web", "who": "owner", "days": 0}],
            "no": [{"id": "n", "kind": "task", "subject": "Other", "who": "owner", "days": 0}],
        },
        {"id": "w2", "kind": "wait", "amount": 1, "unit": "days"},
        {"id": "z", "kind": "task", "subject": "Last call", "who": "owner", "days": 0},
    ]  # fmt: skip
    switched_on(root, does=does, goal={"field": "job_title", "cmp": "eq", "value": "Boss"})
    web = do(leads.create, cast["alice"], {"name": "Web", "source": "Website", "owner_id": cast["alice"].user_id})
    fair = do(leads.create, cast["alice"], {"name": "Event", "source": "Event", "owner_id": cast["alice"].user_id})
    work()
    assert {run.state for run in runs()} == {FlowState.WAITING}
    assert all_of(Task) == []
    assert [note.user_id for note in all_of(Notification, col(Notification.kind) == "automation.message")] == [
        cast["alice"].user_id
    ] * 2
    later(monkeypatch, days=2, minutes=1)
    work()
    assert {(task.subject, task.lead_id) for task in all_of(Task)} == {("Web", web.id), ("Other", fair.id)}
    do(leads.update, root, fair.id, {"job_title": "Boss"})
    later(monkeypatch, days=2)
    work()
    assert [task.lead_id for task in all_of(Task, col(Task.subject) == "Last call")] == [web.id]
    assert {run.record_id: run.message for run in runs(FlowState.DONE)}[fair.id] == "The goal is reached"


def test_runs_keep_the_version_with_which_they_began(cast, monkeypatch):
    root = cast["root"]
    row = switched_on(root, does=[{"id": "w", "kind": "wait", "amount": 1, "unit": "hours"}, {**TASK, "subject": "Old words"}])
    do(leads.create, root, {"name": "Early"})
    work()
    do(automations.save, root, row.id, name=row.name, flow=flow(does=[{**TASK, "subject": "New words"}]))
    do(leads.create, root, {"name": "Late"})
    work()
    later(monkeypatch, hours=2)
    work()
    assert [task.subject for task in all_of(Task)] == ["New words", "Old words"]
    with read_session() as session:
        assert [number for number, _, _ in automations.versions(session, root, row.id)] == [2, 1]


def test_automations_that_start_each_other_come_to_an_end(cast):
    root = cast["root"]
    for name, to in (("Ping", "A"), ("Pong", "B")):
        other = "B" if to == "A" else "A"
        trigger = {"kind": "changed", "fields": [{"field": "job_title", "to": [other]}]}
        switched_on(
            root, name=name, trigger=trigger, does=[{"id": "s", "kind": "set", "field": "job_title", "value": to}], reentry="always"
        )
    lead = do(leads.create, root, {"name": "Ball"})
    do(leads.update, root, lead.id, {"job_title": "A"})
    work()
    skipped = runs(FlowState.SKIPPED)
    assert len(runs(FlowState.DONE)) == 5
    assert "5 times in a row" in skipped[0].message
    assert max(event.depth for event in all_of(Event)) == 5


def test_too_many_runs_within_an_hour_pause_it_and_tell_its_owner(cast):
    root = cast["root"]
    row = switched_on(root, cap=3)
    for n in range(6):
        do(leads.create, root, {"name": f"Lead {n}"})
    work()
    assert len(runs()) == 3
    (now,) = all_of(Automation)
    assert now.state is AutomationState.PAUSED
    assert "More than 3 runs" in now.reason
    assert [note.user_id for note in all_of(Notification, col(Notification.kind) == "automation.paused")] == [root.user_id]
    do(automations.activate, root, row.id)
    assert all_of(Automation)[0].reason == ""


def test_it_acts_with_the_rights_of_its_owner_and_rests_when_the_owner_leaves(cast):
    bob, charlie = cast["bob"], cast["charlie"]
    switched_on(bob)
    lead = do(leads.create, charlie, {"name": "Not Bob's", "owner_id": charlie.user_id})
    work()
    assert runs() == []
    mine = do(leads.create, cast["alice"], {"name": "Bob's team", "owner_id": cast["alice"].user_id})
    work()
    assert [run.record_id for run in runs()] == [mine.id] != [lead.id]
    with write_session() as session:
        session.execute(update(User).where(col(User.id) == bob.user_id).values(is_active=False))
    do(leads.create, cast["alice"], {"name": "Another", "owner_id": cast["alice"].user_id})
    work()
    (row,) = all_of(Automation)
    assert row.state is AutomationState.PAUSED
    assert "deactivated" in row.reason


def test_a_condition_that_can_not_be_asked_is_a_failure_that_is_seen(cast):
    root = cast["root"]
    row = switched_on(root, **{"if": {"field": "source", "cmp": "eq", "value": "Website"}})
    with write_session() as session:
        broken = {"field": "no_longer_there", "cmp": "eq", "value": 1}
        session.execute(
            update(engine.VERSIONS).where(engine.VERSIONS.c.automation_id == row.id).values(flow={**flow(), "if": broken})
        )
    do(leads.create, root, {"name": "Grace"})
    work()
    (run,) = runs()
    assert run.state is FlowState.FAILED
    assert "condition could not be asked" in run.message
    do(leads.create, root, {"name": "Ada", "source": "Website"})
    work()
    assert len(all_of(Notification, col(Notification.kind) == "automation.failed")) == 1, "its owner hears once"
    with pytest.raises(Conflict, match="still can't be asked"):
        do(automations.retry_all, root, row.id)
    mended = flow(does=[{**TASK, "id": "another"}], **{"if": {"field": "source", "cmp": "eq", "value": "Website"}})
    do(automations.save, root, row.id, name=row.name, flow=mended)
    assert do(automations.retry_all, root, row.id) == 2
    work()
    grace, ada = runs()
    assert (grace.state, ada.state) == (FlowState.SKIPPED, FlowState.DONE)
    assert [task.lead_id for task in all_of(Task)] == [ada.record_id], "the condition holds for those that are tried again too"


def test_a_step_that_fails_is_tried_again_later_then_stands_among_the_failures_until_somebody_retries(cast, monkeypatch):
    root, tries = cast["root"], []

    def stumble(context, step):
        tries.append(context.key)
        if len(tries) < 7:
            raise RuntimeError("secret detail")
        return Done("At last")

    monkeypatch.setitem(steps.kinds(), "stumble", StepKind("stumble", "Stumble", "bolt", 1, stumble, lambda step, names: "Stumble"))
    switched_on(root, does=[{"id": "s", "kind": "stumble"}])
    do(leads.create, root, {"name": "Grace"})
    work()
    assert (len(tries), runs()[0].state) == (1, FlowState.RUNNING)
    for hours in range(1, 7):
        later(monkeypatch, hours=3 * hours)
        work()
    (run,) = runs()
    assert (len(tries), run.state) == (5, FlowState.FAILED)
    assert "secret" not in run.message
    assert len(all_of(Notification, col(Notification.kind) == "automation.failed")) == 1
    with pytest.raises(NotPermitted):
        do(automations.retry, cast["alice"], run.id)
    do(automations.retry, root, run.id)
    work()
    later(monkeypatch, hours=1)
    work()
    assert (len(tries), len(set(tries)), runs()[0].state) == (7, 1, FlowState.DONE)
    with pytest.raises(Conflict):
        do(automations.retry, root, run.id)


def test_one_record_that_stumbles_among_many_costs_the_others_nothing_and_each_step_counts_once(any_cast, monkeypatch):
    root, tries = any_cast["root"], []

    def stumble(context, step):
        tries.append(context.record.name)
        if context.record.name == "Lead 3":
            raise Conflict("Not with this one.")
        return Done("Well")

    monkeypatch.setitem(steps.kinds(), "stumble", StepKind("stumble", "Stumble", "bolt", 1, stumble, lambda step, names: "Stumble"))
    offer = {"id": "o", "kind": "offer", "text": "Ten percent", "rest_days": 0, "budget": 4}
    switched_on(
        root, does=[TASK, {"id": "s", "kind": "stumble"}, offer, {"id": "g", "kind": "set", "field": "job_title", "value": "Seen"}]
    )
    people = [do(leads.create, root, {"name": f"Lead {n}"}) for n in range(7)]
    work()
    assert len(all_of(Task)) == 7 and tries.count("Lead 3") == 1
    failed = runs(FlowState.FAILED)
    assert [run.record_id for run in failed] == [people[3].id] and len(runs(FlowState.DONE)) == 6
    taken = [(step.run_id, step.step_id) for step in all_of(AutomationStep)]
    assert len(taken) == len(set(taken)) == 6 * 4 + 2
    offered = [step.outcome for step in all_of(AutomationStep, col(AutomationStep.kind) == "offer")]
    assert offered.count(StepOutcome.DONE) == 4 == len(all_of(Event, col(Event.type) == "lead.offer_made"))
    assert len(all_of(Event, col(Event.type) == "lead.updated")) == 6


def test_a_budget_in_money_holds_when_two_workers_make_offers_at_once(any_cast):
    root = any_cast["root"]
    offer = {"id": "o", "kind": "offer", "text": "A free month", "worth_minor": 10_00, "budget_minor": 35_00}
    for n in range(2):  # two runs of the same automation may not both find room for the last offer
        switched_on(root, name=f"Offer {n}", does=[offer], trigger={"kind": "event", "events": ["lead.created"]})
    for n in range(8):
        do(leads.create, root, {"name": f"Lead {n}"})
    with ThreadPoolExecutor(2) as workers:
        for done in [workers.submit(work, name) for name in ("one", "two")]:
            done.result(60)
    work()
    assert len(runs(FlowState.DONE)) == 16
    made = all_of(AutomationStep, col(AutomationStep.kind) == "offer")
    for one in {step.automation_id for step in made}:
        mine = [step for step in made if step.automation_id == one]
        given = [step for step in mine if step.outcome is StepOutcome.DONE]
        assert len(mine) == 8 and [step.amount_minor for step in given] == [10_00] * 3
        assert all("budget of $35" in step.message for step in mine if step not in given)
    assert len(all_of(Event, col(Event.type) == "lead.offer_made")) == 6
    with pytest.raises(Invalid, match="what one offer costs"):
        switched_on(root, name="No price", does=[{**offer, "worth_minor": 0}])


def test_a_step_that_is_refused_fails_at_once_and_leaves_nothing_half_done(cast):
    root = cast["root"]
    switched_on(root, does=[{"id": "s", "kind": "assign", "who": cast["alice"].user_id}, TASK])
    with write_session() as session:
        session.execute(update(engine.VERSIONS).values(flow=flow(does=[{"id": "s", "kind": "assign", "who": 999_999}, TASK])))
    do(leads.create, root, {"name": "Grace"})
    work()
    assert [run.state for run in runs()] == [FlowState.FAILED]
    assert all_of(Task) == []


def test_dates_count_once_each_and_birthdays_every_year(any_cast, monkeypatch):
    root = any_cast["root"]
    today = clock.utcnow().date()
    born = do(
        contacts.create,
        root,
        {"name": "Ada", "birthday": date(1985, today.month, today.day if (today.month, today.day) != (2, 29) else 28)},
    )
    do(contacts.create, root, {"name": "Not today", "birthday": date(1985, 1 + today.month % 12, 15)})
    trigger = {"kind": "date", "field": "birthday", "days": 0, "yearly": True, "hour": 0}
    switched_on(
        root,
        entity="contact",
        trigger=trigger,
        does=[{"id": "t", "kind": "task", "subject": "Say hello", "who": root.user_id, "days": 0}],
    )
    for _ in range(2):
        upkeep.look_at_the_clock(begin("automation.clock:test", "automation.clock"))
    assert [run.record_id for run in runs()] == [born.id]
    assert len(all_of(Task)) == 1


def test_a_schedule_takes_up_what_matches_once_per_slot(cast, monkeypatch):
    root = cast["root"]
    idle = do(leads.create, root, {"name": "Idle", "source": "Website"})
    monday = {"kind": "schedule", "every": "day", "hour": clock.utcnow().hour}
    row = switched_on(root, trigger=monday, **{"if": {"field": "source", "cmp": "eq", "value": "Website"}})
    with write_session() as session:
        session.execute(update(Automation).values(checked_at=clock.utcnow() - timedelta(days=2)))
    for _ in range(2):
        upkeep.look_at_the_clock(begin("automation.clock:test", "automation.clock"))
    assert [run.record_id for run in runs()] == [idle.id]
    assert all_of(Automation)[0].version == row.version


def look():
    upkeep.look_at_the_clock(begin("automation.clock:test", "automation.clock"))


def change_all(**values):
    with write_session() as session:
        session.execute(update(Automation).values(**values))


def test_what_the_clock_finds_is_taken_up_to_the_last_record_however_many_were_before(cast, monkeypatch):
    root, today = cast["root"], clock.utcnow().date()
    monkeypatch.setattr(upkeep, "AT_ONCE", 2)
    for n in range(5):
        do(contacts.create, root, {"name": f"Born {n}", "birthday": today.replace(year=1984)})
    trigger = {"kind": "date", "field": "birthday", "days": 0, "yearly": True, "hour": 0}
    told = {"id": "n", "kind": "tell", "who": root.user_id, "text": "Today"}
    row = switched_on(root, entity="contact", trigger=trigger, does=[told])
    look()
    look()
    assert len(runs(FlowState.DONE)) == 5 and all_of(Automation)[0].state is AutomationState.ACTIVE
    daily, everybody = {"kind": "schedule", "every": "day", "hour": 0}, {"field": "name", "cmp": "starts", "value": "Born"}
    change_all(checked_at=clock.utcnow() - timedelta(days=2))
    do(automations.save, root, row.id, name=row.name, flow=flow("contact", daily, [told], **{"if": everybody}))
    look()
    assert len(runs()) == 5, "what another trigger would have wanted before is past"
    change_all(checked_at=clock.utcnow() - timedelta(days=2))
    look()
    assert len(runs(FlowState.DONE)) == 10


def test_one_that_the_clock_can_not_ask_is_paused_and_the_others_go_on(cast):
    root, daily, named = cast["root"], {"kind": "schedule", "every": "day", "hour": 0}, {"field": "name", "cmp": "not_empty"}
    do(leads.create, root, {"name": "Grace"})
    broken = switched_on(root, trigger=daily, **{"if": named})
    switched_on(root, name="Sound", trigger=daily, **{"if": named})
    gone = flow(trigger=daily, **{"if": {"field": "no_longer_there", "cmp": "eq", "value": 1}})
    with write_session() as session:
        session.execute(update(engine.VERSIONS).where(engine.VERSIONS.c.automation_id == broken.id).values(flow=gone))
    change_all(checked_at=clock.utcnow() - timedelta(days=2))
    look()
    first, sound = all_of(Automation)
    assert (first.state, sound.state) == (AutomationState.PAUSED, AutomationState.ACTIVE)
    assert "could not be asked" in first.reason
    assert [run.automation_id for run in runs(FlowState.DONE)] == [sound.id]


INSTANTS = {
    "autumn, first": datetime(2026, 10, 24, 22, tzinfo=UTC), "autumn, last": datetime(2026, 10, 25, 22, 59, tzinfo=UTC),
    "the day after": datetime(2026, 10, 25, 23, tzinfo=UTC), "spring": datetime(2026, 3, 29, 21, 59, tzinfo=UTC),
    "the day after spring": datetime(2026, 3, 29, 22, tzinfo=UTC), "leap": datetime(2024, 2, 29, 12, tzinfo=UTC),
}  # fmt: skip
DAYS = [
    (date(2026, 10, 25), False, ["autumn, first", "autumn, last"]),  # 25 hours
    (date(2026, 10, 26), False, ["the day after"]),
    (date(2027, 10, 25), True, ["autumn, first", "autumn, last"]),
    (date(2026, 3, 29), False, ["spring"]),  # 23 hours
    (date(2026, 3, 30), False, ["the day after spring"]),
    (date(2027, 2, 28), True, ["leap"]),
    (date(2028, 2, 28), True, []),
    (date(2028, 2, 29), True, ["leap"]),
]


def test_an_instant_counts_on_its_day_in_that_time_zone_also_where_the_clocks_change(any_cast):
    table, own = Lead.__table__, FieldSpec("lead", "x_at", "At", FieldKind.DATETIME, custom=True)
    for name, at in INSTANTS.items():
        made = do(leads.create, any_cast["root"], {"name": name})
        with write_session() as session:
            session.execute(update(Lead).where(col(Lead.id) == made.id).values(created_at=at, extra={"x_at": to_json(at)}))
    for spec in (builtin("lead")["created_at"], own):
        for day, yearly, meant in DAYS:
            with read_session() as session:
                that_day = upkeep.on_day(spec, table, day, yearly, "Europe/Berlin")
                found = session.execute(select(table.c.name).where(that_day).order_by(table.c.id))
                assert list(found.scalars()) == meant, (spec.key, day)


def test_imports_start_nothing_unless_wanted(cast):
    root = cast["root"]
    switched_on(root)
    switched_on(root, name="Imports too", trigger={"kind": "event", "events": ["lead.created"], "imports": True})
    do(leads.create, root.through(Via.IMPORT), {"name": "From a file"})
    work()
    with read_session() as session:
        assert [automations.get(session, root, run.automation_id).name for run in runs()] == ["Imports too"]


MAIL = {
    "id": "m",
    "kind": "mail",
    "purpose": "service",
    "subject": "Hello {{first_name|there}}",
    "body": "We have your **request**.",
}


def test_a_mail_goes_once_and_never_to_who_objected(cast):
    root = cast["root"]
    no_quiet_hours(root)
    switched_on(root, does=[MAIL], reentry="always")
    lead = do(leads.create, root, {"name": "Grace Hopper", "email": "grace@example.org"})
    do(leads.create, root, {"name": "No address"})
    work()
    (letter,) = all_of(MailDelivery)
    assert (letter.address, letter.subject, letter.lead_id) == ("grace@example.org", "Hello Grace", lead.id)
    outcomes = [step.outcome for step in all_of(AutomationStep)]
    assert outcomes == [StepOutcome.DONE, StepOutcome.SKIPPED]


def test_started_by_hand_only_for_what_the_starter_may_change(cast):
    root, alice, ana = cast["root"], cast["alice"], cast["ana"]
    row = switched_on(root, trigger={"kind": "manual"})
    mine = do(leads.create, alice, {"name": "Mine", "owner_id": alice.user_id})
    hidden = do(leads.create, cast["charlie"], {"name": "Hidden", "owner_id": cast["charlie"].user_id})
    with read_session() as session:
        assert [one.id for one in automations.manual(session, alice, "lead")] == [row.id]
        assert automations.manual(session, ana, "lead") == []
    assert do(automations.start, alice, row.id, mine.id, submit_key="a")
    assert not do(automations.start, alice, row.id, mine.id, submit_key="a")
    with pytest.raises(NotFound):
        do(automations.start, alice, row.id, hidden.id, submit_key="b")
    with pytest.raises(NotPermitted):
        do(automations.start, ana, row.id, mine.id, submit_key="c")
    work()
    assert [run.record_id for run in runs()] == [mine.id]


def test_an_unfinished_automation_can_be_kept_but_not_switched_on(cast):
    root = cast["root"]
    row = do(
        automations.save, root, None, name="Later", flow=flow(does=[{"id": "x", "kind": "task"}, {"id": "y", "kind": "branch"}])
    )
    with pytest.raises(Invalid) as refused:
        do(automations.activate, root, row.id)
    assert set(refused.value.fields) == {"x", "y"}
    with pytest.raises(Invalid):
        do(automations.save, root, None, name="later", flow=flow())
    with pytest.raises(NotPermitted):
        do(automations.save, cast["alice"], None, name="Mine", flow=flow())
    with pytest.raises(Conflict):
        do(automations.save, root, row.id, name="Later", flow=flow(), base_version=99)
    do(automations.remove, root, row.id)
    assert all_of(Automation) == []


def test_stopping_ends_a_run_for_good(cast, monkeypatch):
    root = cast["root"]
    switched_on(root, does=[{"id": "w", "kind": "wait", "amount": 1, "unit": "hours"}, TASK])
    do(leads.create, root, {"name": "Grace"})
    work()
    do(automations.stop, root, runs()[0].id)
    later(monkeypatch, hours=2)
    work()
    assert all_of(Task) == []
    assert "Stopped by Root" in runs()[0].message


def test_a_replay_tells_what_would_have_been_and_writes_nothing(cast):
    root = cast["root"]
    for n in range(5):
        do(leads.create, root, {"name": f"Lead {n}", "source": "Website" if n < 3 else "Event"})
    wanted = flow(does=[MAIL, TASK], **{"if": {"field": "source", "cmp": "eq", "value": "Website"}})
    with read_session() as session:
        told = replay.run(session, root, wanted, hourly_cap=2)
    assert (told.starts, told.records, told.mails, told.over_cap, told.looked_at) == (3, 3, 1, True, 5)
    assert sum(told.per_day.values()) == 3
    assert {name for _, _, name in told.examples} == {"Lead 0", "Lead 1", "Lead 2"}
    assert (runs(), all_of(Task), all_of(MailDelivery)) == ([], [], [])
    switched_on(root, does=[TASK], **{"if": {"field": "source", "cmp": "eq", "value": "Website"}})
    with read_session() as session, pytest.raises(Invalid):
        replay.run(session, root, flow(does=[{"id": "x", "kind": "task"}]))


def test_two_workers_with_one_event_each_about_a_record_take_it_up_once(any_cast):
    root = any_cast["root"]
    switched_on(root, trigger={"kind": "event", "events": ["lead.created", "lead.qualified"]}, reentry="once")
    lead = do(leads.create, root, {"name": "Twice"})
    do(leads.qualify, root, lead.id)

    def hear():
        with write_session() as session:
            return taking_up.hear(session, limit=1)

    with ThreadPoolExecutor(1) as other:
        with write_session() as session:
            assert taking_up.hear(session, limit=1) == 1
            second = other.submit(hear)
            time.sleep(0.4)
        assert second.result(20) == 1
    assert len(runs()) == 1
    with read_session() as session:
        assert session.execute(select(AutomationInbox.event_id)).first() is None


def test_the_purge_forgets_old_runs_only(cast):
    root = cast["root"]
    switched_on(root)
    for name in ("Old", "New"):
        do(leads.create, root, {"name": name})
    work()
    with write_session() as session:
        old = runs()[0]
        session.execute(
            update(AutomationRun).where(col(AutomationRun.id) == old.id).values(ended_at=clock.utcnow() - timedelta(days=500))
        )
    (row,) = all_of(Automation)
    do(automations.save, root, row.id, name=row.name, flow=flow(reentry="once"))
    upkeep.purge(begin("automation.purge:test", "automation.purge"))
    assert len(runs()) == 2, "once is for ever"
    do(automations.save, root, row.id, name=row.name, flow=flow())
    upkeep.purge(begin("automation.purge:test", "automation.purge"))
    assert [run.id for run in runs()] != [old.id]
    assert len(runs()) == 1
    assert len(all_of(AutomationStep)) == 1


def test_slots_of_a_schedule():
    now = datetime(2026, 6, 3, 9, 30, tzinfo=UTC)  # a Wednesday
    daily, weekly = {"every": "day", "hour": 8}, {"every": "week", "weekday": 0, "hour": 8}
    assert upkeep.slot_of(daily, now - timedelta(days=1), now, "UTC") == datetime(2026, 6, 3, 8, tzinfo=UTC)
    assert upkeep.slot_of(daily, now - timedelta(hours=1), now, "UTC") is None
    assert upkeep.slot_of(weekly, now - timedelta(days=3), now, "UTC") == datetime(2026, 6, 1, 8, tzinfo=UTC)
    assert upkeep.slot_of({"every": "day", "hour": 10}, now - timedelta(hours=20), now, "UTC") is None
