"""Points of leads against the closed form, what is kept for lists, the past; first contact in working time; tasks raised once per quiet spell."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlmodel import select

from crm_core import jobs
from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotPermitted
from crm_core.jobs.run import begin
from crm_core.jobs.tables import DONE, FAILED, RUNNING, statuses
from crm_core.kit.clock import frozen, utcnow
from crm_core.models import Activity, Deal, Lead, Notification, Stage, Task, Touchpoint
from crm_core.services.collaboration import activities, tasks
from crm_core.services.routing import nudges, point_rules, points
from crm_core.services.routing.nudges import SpeedView
from crm_core.services.sales import deals, leads
from crm_core.vocabulary import ActivityKind, Channel, LeadPointKind, Via
from tests.crm_core.services.routing.test_assign import Run, see
from tests.verbs import do

FIT, BEHAVIOUR = LeadPointKind.FIT, LeadPointKind.BEHAVIOUR
AT = datetime(2026, 6, 1, 8, tzinfo=UTC)


class Walk(Run):
    id = ""

    def __init__(self):
        self.cursor = {}


def touch(lead_id, days, kind="form"):
    with write_session() as session:
        session.add(Touchpoint(lead_id=lead_id, channel=Channel.WEB, kind=kind, at=utcnow() - timedelta(days=days)))


def test_fading_follows_the_closed_form_and_stops_at_its_cap():
    instants = [AT - timedelta(days=days) for days in (0, 10, 30)]
    assert point_rules.faded(8, instants, AT, 10, None) == pytest.approx(8 * (1 + 0.5 + 0.125))
    assert point_rules.faded(8, instants, AT, None, None) == 24
    assert point_rules.faded(8, instants, AT, 10, 10) == 10
    assert point_rules.faded(-8, instants, AT, None, 10) == -10
    assert point_rules.faded(8, [AT + timedelta(seconds=1)], AT, 10, None) == 0
    assert [point_rules.grade(*pair, point_rules.START) for pair in ((60, 60), (59, 20), (0, -5))] == ["A1", "B3", "D4"]


def test_a_lead_says_which_rule_gave_what_and_lists_sort_by_it(cast):
    root = cast["root"]
    do(
        points.save,
        root,
        None,
        name="Our country",
        kind=FIT,
        points=40,
        filter={"field": "country", "cmp": "eq", "value": "Germany"},
    )
    do(points.save, root, None, name="Sends a form", kind=BEHAVIOUR, points=20, signal="touch.form", half_life_days=10, cap=50)
    lead = do(leads.create, cast["alice"], {"name": "L", "country": "Germany"})
    cold = do(leads.create, cast["alice"], {"name": "C"})
    touch(lead.id, 10)
    touch(lead.id, 20)
    touch(lead.id, 1, "visit")
    found = see(points.why, cast["alice"], lead.id)
    assert (found.fit, found.grade) == (40, "B4")
    assert found.behaviour == pytest.approx(15, abs=0.01)
    assert [(part.name, part.times) for part in found.parts] == [("Our country", 1), ("Sends a form", 2)]
    points.everything(Walk())
    points.fresh(Walk())
    with read_session() as session:
        kept = session.get(Lead, lead.id)
        assert (kept.points, kept.grade, kept.version) == (55, "B4", lead.version)
        assert session.get(Lead, cold.id).points == 0
    do(points.set_bands, root, fit=[40, 20, 10], behaviour=[15, 10, 5], threshold=50)
    assert see(points.why, root, lead.id).ready
    with pytest.raises(NotPermitted):
        do(points.save, cast["bob"], None, name="X", kind=FIT, points=1, filter={"field": "city", "cmp": "not_empty"})
    for wrong in ({"name": ""}, {"points": 0}, {"kind": BEHAVIOUR, "signal": "nix"}, {"filter": None}):
        with pytest.raises(Invalid):
            do(
                points.save,
                root,
                None,
                **{"name": "Y", "kind": FIT, "points": 5, "filter": {"field": "city", "cmp": "not_empty"}, **wrong},
            )
    for rule in see(points.find, root):
        do(points.remove, root, rule.id)
    assert see(points.why, root, lead.id) is None
    points.everything(Walk())
    with read_session() as session:
        assert session.get(Lead, lead.id).points is None


def asked_for(job_id, minutes, state):
    """A run that was put into the queue so long ago, and what became of it."""
    with frozen(utcnow() - timedelta(minutes=minutes)), write_session() as session:
        jobs.enqueue(session, points.FRESH, job_id=job_id)
        status = statuses(session)
        session.execute(update(status).where(status.c.workflow_uuid == job_id).values(status=state))


def counted(*ids):
    with read_session() as session:
        return [session.get(Lead, lead_id).points for lead_id in ids]


def test_a_run_counts_since_the_last_one_that_came_to_its_end_and_keeps_that_when_it_is_cut_off(any_cast):
    filled = {"field": "country", "cmp": "not_empty"}
    do(points.save, any_cast["root"], None, name="Country", kind=FIT, points=40, filter=filled)
    asked_for("done", 180, DONE)
    asked_for("failed", 90, FAILED)
    asked_for("mine", 1, RUNNING)
    with frozen(utcnow() - timedelta(minutes=100)):
        lead = do(leads.create, any_cast["alice"], {"name": "L", "country": "Peru"}).id
    points.fresh(begin("mine", points.FRESH))
    assert counted(lead) == [40], "the worker was away, one run failed, and this one waited a minute"
    kept = begin("mine", points.FRESH).cursor
    assert timedelta(minutes=181) < utcnow() - datetime.fromisoformat(kept["since"]) < timedelta(minutes=183)
    asked_for("other", 2, DONE)
    again = begin("mine", points.FRESH)
    points.fresh(again)
    assert again.cursor == kept, "taken up again, it looks at no less than before"


def test_what_is_written_down_later_counts_at_once_as_old_as_it_is(cast):
    for signal in ("touch.form", "activity.call", "activity.meeting"):
        do(points.save, cast["root"], None, name=signal, kind=BEHAVIOUR, points=20, signal=signal, half_life_days=10)
    with frozen(utcnow() - timedelta(days=20)):
        called, touched, met, quiet = (do(leads.create, cast["alice"], {"name": name}).id for name in "ABCD")
        with write_session() as session:
            session.add(Activity(kind=ActivityKind.MEETING, subject="Planned", at=utcnow() + timedelta(days=20), lead_id=met))
            session.add(Activity(kind=ActivityKind.CALL, subject="Known", at=utcnow() + timedelta(days=18), lead_id=quiet))
    asked_for("done", 10, DONE)
    touch(touched, 5)
    with write_session() as session:
        session.add(Activity(kind=ActivityKind.CALL, subject="Late", at=utcnow() - timedelta(hours=1), lead_id=called))
    points.fresh(Walk())
    assert counted(called, touched, met, quiet) == [20, 14, 20, None]


def test_the_past_counts_only_what_was_known_a_week_after_a_lead_came_in(cast):
    do(points.save, cast["root"], None, name="Form", kind=BEHAVIOUR, points=80, signal="touch.form")
    with frozen(utcnow() - timedelta(days=200)):
        early, late = (do(leads.create, cast["alice"], {"name": name}).id for name in ("E", "L"))
    touch(early, 199)
    touch(late, 100)
    with write_session() as session:
        session.get(Lead, early).converted_at = utcnow() - timedelta(days=150)
    found = {band.label: (band.leads, band.converted, band.few) for band in see(points.past, cast["root"])}
    assert found == {"80 to 119": (1, 1, True), "0 to 19": (1, 0, True)}


def test_late_leads_are_told_of_however_many_others_wait_for_nothing(cast, monkeypatch):
    monkeypatch.setattr(nudges, "FEW", 2)
    do(nudges.set_targets, cast["root"], [SpeedView("Website", 30, None, None)])
    for name, source in (("a", "Event"), ("b", "Event"), ("c", "Event"), ("d", "Website"), ("e", "Website"), ("f", "Website")):
        do(leads.create, cast["alice"], {"name": name, "source": source})
    for name in ("old", "older"):
        do(leads.create, cast["alice"].through(Via.IMPORT), {"name": name, "source": "Website"})
    with frozen(utcnow() + timedelta(minutes=31)):
        nudges.first_contact(Run())
    with read_session() as session:
        told = session.exec(select(Notification).where(Notification.kind == "lead.late")).all()
    assert len(told) == 3, "what an import brings did not just come in"
    assert see(nudges.figures, cast["alice"]).leads == 3


def test_a_late_first_contact_is_told_once_and_then_goes_up(cast):
    do(nudges.set_targets, cast["root"], [SpeedView(None, 30, None, None)])
    lead = do(leads.create, cast["alice"], {"name": "L"}).id
    for minutes, kinds in ((29, []), (31, ["alice"]), (32, ["alice"]), (61, ["alice", "bob"]), (62, ["alice", "bob"])):
        with frozen(utcnow() + timedelta(minutes=minutes)):
            nudges.first_contact(Run())
        with read_session() as session:
            told = session.exec(
                select(Notification.user_id).where(Notification.kind == "lead.late").order_by(Notification.id)
            ).all()
        assert told == [cast[name].user_id for name in kinds], minutes
    do(activities.log, cast["alice"], "lead", lead, kind=ActivityKind.CALL, text="Reached")
    found = see(nudges.figures, cast["alice"])
    assert (found.leads, found.decided, found.within) == (1, 1, 1)
    assert see(nudges.figures, cast["charlie"]).leads == 0
    with pytest.raises(NotPermitted):
        do(nudges.set_targets, cast["bob"], [])


def test_nine_of_ten_are_reached_within_and_what_became_of_them_is_told_apart(cast):
    alice, started = cast["alice"], utcnow()
    do(nudges.set_targets, cast["root"], [SpeedView(None, 30, None, None)])
    made = [do(leads.create, alice, {"name": f"L{n}", "company": "Acme"}).id for n in range(11)]
    for n, lead in enumerate(made[:10], start=1):
        with frozen(started + timedelta(minutes=5 * n + 1)):
            do(activities.log, alice, "lead", lead, kind=ActivityKind.CALL, text="Reached")
    for lead in (made[0], made[9]):
        do(leads.convert, alice, lead)
    with frozen(started + timedelta(minutes=45)):
        found = see(nudges.figures, alice)
    assert round(found.median_seconds / 60) in (28, 29) and round(found.p90_seconds / 60) == 46
    assert (found.in_time, found.late) == (nudges.Became(5, 1), nudges.Became(6, 1)), "one that still waits is late by now"
    with frozen(started + timedelta(days=60)):
        later = see(nudges.figures, alice)
    assert (later.leads, later.median_seconds, later.p90_seconds, later.in_time) == (0, None, None, nudges.Became(5, 1))


def test_what_was_raised_once_leaves_room_for_the_others(cast, monkeypatch):
    monkeypatch.setattr(nudges, "FEW", 1)
    with frozen(utcnow() - timedelta(days=40)):
        for name in ("First", "Second"):
            do(leads.create, cast["alice"], {"name": name})
    do(nudges.set_switches, cast["root"], {"leads": True})
    for subjects in (["Contact First"], ["Contact First", "Contact Second"], ["Contact First", "Contact Second"]):
        nudges.raise_tasks(Run())
        with read_session() as session:
            raised = session.exec(select(Task).order_by(Task.id)).all()
        assert [task.subject for task in raised] == subjects
        if len(raised) == 1:
            do(tasks.complete, cast["alice"], raised[0].id)


def test_quiet_deals_and_leads_raise_a_task_once_for_each_quiet_spell(cast):
    def mine():
        with read_session() as session:
            return sorted(task.subject for task in session.exec(select(Task)))

    with frozen(utcnow() - timedelta(days=40)):
        deal = do(deals.create, cast["alice"], {"name": "Big"}).id
        do(leads.create, cast["alice"], {"name": "Cold"})
    with write_session() as session:
        stage = session.get(Stage, session.get(Deal, deal).stage_id)
        stage.max_idle_days = 14
        session.add(stage)
    nudges.raise_tasks(Run())
    assert mine() == [], "nobody switched them on"
    do(nudges.set_switches, cast["root"], {"idle": True, "steps": True, "leads": True})
    nudges.raise_tasks(Run())
    nudges.raise_tasks(Run())
    cold, quiet = mine()
    assert cold == "Contact Cold" and re.fullmatch(r"Pick up Big: quiet for 2[6-9] working days", quiet)
    with read_session() as session:
        done = session.exec(select(Task.id).where(Task.deal_id == deal)).one()
    do(tasks.complete, cast["alice"], done)
    nudges.raise_tasks(Run())
    assert mine() == [cold, quiet, "Plan the next step of Big"]
