"""What happens by itself while a promise runs out: each deed once, and no deed brings about the next one."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.models import Event, Notification, SlaClock, Team, Ticket, User
from crm_core.services.helpdesk import escalation_rules, service_levels, sla_watch, slas, tickets
from crm_core.services.routing import escalating, rules
from crm_core.vocabulary import Priority, RouteMethod, SlaTarget
from tests.verbs import do, look

MONDAY = datetime(2026, 6, 1, 8, tzinfo=UTC)
TARGETS = {"normal": {"resolve": 400}, "high": {"resolve": 100}, "urgent": {"resolve": 10}}


def step(pct, deed, to=None, target=""):
    return {"pct": pct, "target": target, "do": deed, "to": to}


@pytest.fixture
def watched(monkeypatch):
    """Callable: what the worker does at an instant; the deeds are done twice, as after a kill."""

    def at(minutes):
        called = []
        monkeypatch.setattr(sla_watch, "enqueue", lambda session, name, steps: called.append(steps))
        with clock.frozen(MONDAY + timedelta(minutes=minutes)):
            sla_watch.watch(begin(f"watch:{minutes}", sla_watch.JOB))
            for steps in called:
                for _ in range(2):
                    escalating.escalate(begin(f"escalate:{minutes}", sla_watch.ESCALATE), steps)
        return called

    return at


def opened(actor, **values):
    with clock.frozen(MONDAY):
        return do(tickets.create, actor, {"subject": "Help", **values})


def said(ticket_id):
    with read_session() as session:
        query = select(Event.data).where(Event.type == "ticket.escalated", Event.record_id == ticket_id).order_by(Event.id)
        return [(data["pct"], data["what"]) for data in session.exec(query)]


def test_each_threshold_does_its_deeds_once_and_a_raised_priority_moves_no_due_time(any_cast, watched):
    root, sam = any_cast["root"], any_cast["sam"]
    with write_session() as session:
        team = Team(name="Second line")
        session.add(team)
        session.flush()
        session.get(User, sam.user_id).manager_id = root.user_id
    steps = [
        step(50, "priority"), step(75, "priority"), step(75, "notify", sam.user_id), step(75, "manager"),
        step(100, "reassign", f"team:{team.id}"), step(100, "notify", "owner", "first"),
    ]  # fmt: skip
    do(service_levels.save, root, None, name="S", targets=TARGETS, escalation=steps)
    ticket = opened(root, owner_id=sam.user_id)
    due = MONDAY + timedelta(minutes=400)
    for minutes in (199, 200, 201, 300, 301, 400, 401, 500):
        watched(minutes)
    with read_session() as session:
        after, sla = session.get_one(Ticket, ticket.id), session.exec(select(SlaClock)).one()
        told = set(
            session.exec(
                select(Notification.user_id, Notification.kind).where(
                    Notification.kind.startswith("sla.e") | (Notification.kind == "sla.paged")
                )
            )
        )
    assert (after.priority, after.team_id, after.owner_id) == (Priority.URGENT, team.id, None)
    assert (sla.due_at, sla.minutes, sla.raised_to) == (due, 400, Priority.URGENT)
    assert said(ticket.id) == [
        (50, "raised the priority to high"), (75, "raised the priority to urgent"), (75, "told Sam Agent"), (75, f"paged {root.name}"),
        (100, "gave it to the team Second line"),
    ]  # fmt: skip
    assert told == {(sam.user_id, "sla.escalated"), (root.user_id, "sla.paged")}
    assert look(slas.escalations, root, ticket.id)[0].why == "100% of the time for the resolution was used up"
    with clock.frozen(MONDAY + timedelta(minutes=501)):  # a person who changes the priority plans anew
        do(tickets.update, root, ticket.id, {"urgency": "low", "impact": "high"})
    with read_session() as session:
        assert session.exec(select(SlaClock.raised_to)).one() is None


def test_after_a_pause_of_the_worker_the_same_deed_counts_once_and_a_kept_promise_calls_for_nothing(cast, watched):
    root, sam = cast["root"], cast["sam"]
    do(
        service_levels.save,
        root,
        None,
        name="S",
        targets=TARGETS,
        escalation=[step(50, "priority"), step(75, "priority"), step(100, "reassign", "rules")],
    )
    do(rules.save, root, None, name="All", entity="ticket", method=RouteMethod.TURNS, people=[(sam.user_id, 1)])
    late, kept = opened(root, owner_id=cast["root"].user_id), opened(root)
    with clock.frozen(MONDAY + timedelta(minutes=30)):
        do(tickets.solve, root, kept.id)
    watched(900)
    watched(901)
    assert (
        said(late.id) == [(75, "raised the priority to high"), (100, "gave it to Sam Agent by an assignment rule")]
        and said(kept.id) == []
    )


def test_what_is_wrong_with_an_escalation_is_said(cast):
    def save(*steps):
        do(service_levels.save, cast["root"], None, name="S", targets=TARGETS, escalation=list(steps))

    for wrong in (
        step(60, "priority"),
        step(50, "shout"),
        step(50, "notify", 999),
        step(50, "reassign", "team:9"),
        step(50, "reassign", "owner"),
    ):
        with pytest.raises(Invalid):
            save(wrong)
    with pytest.raises(Invalid, match="one place only"):
        save(step(50, "reassign", "rules"), step(50, "reassign", cast["sam"].user_id, "first"))
    assert escalation_rules.due([step(50, "priority", target="first")], SlaTarget.RESOLVE, 50) == []
