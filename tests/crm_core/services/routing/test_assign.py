"""Assignment: who is away, full or unskilled is passed over; nobody free means a queue that drains; every decision says why; two at once share turns."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlmodel import select

from crm_core import jobs
from crm_core.access import system
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.models import JobRun, Notification, QueueItem, RoutingDecision, RoutingTurn, Ticket
from crm_core.services.helpdesk import calendars, tickets
from crm_core.services.routing import assign, decisions, flow, people, queues, replay, rules
from crm_core.services.sales import leads
from crm_core.vocabulary import RouteMethod, RouteOutcome
from tests.verbs import do

MONDAY = datetime(2026, 6, 1, 8, tzinfo=UTC)
OFFICE = [[(9 * 60, 17 * 60)]] * 5 + [[], []]


def see(verb, actor, *args, **kwargs):
    with read_session() as session:
        return verb(session, actor, *args, **kwargs)


class Run:
    """A job as its function sees it, without an engine."""

    cursor: dict = {}

    def transaction(self):
        return write_session()

    def report(self, *_):
        pass


def lead(cast, **values):
    return do(leads.create, cast["root"], {"name": "L", "owner_id": None, **values}).id


def ticket(cast, **values):
    return do(tickets.create, cast["root"], {"subject": "T", "owner_id": None, **values}).id


def owner(kind, record_id):
    with read_session() as session:
        return session.get(kind, record_id).owner_id


def rule(cast, entity="lead", **more):
    people_ = more.pop("who", ("alice", "charlie"))
    given = {
        "name": f"R{len(more)}{entity}",
        "method": RouteMethod.TURNS,
        "people": [(cast[name].user_id, 1) for name in people_],
        **more,
    }
    return do(rules.save, cast["root"], None, entity=entity, **given)


def give(cast, entity, record_id):
    made = do(assign.route, system(), entity, record_id, why="New")
    return (
        None if made is None or made.user_id is None else next(key for key, actor in cast.items() if actor.user_id == made.user_id)
    )


def profile(cast, name, **more):
    given = {"takes_work": True, "skills": {}, "capacity": {}, "calendar_id": None, **more}
    do(people.save, cast["root"], cast[name].user_id, **given)


def test_a_record_without_an_owner_asks_the_rules_once_it_is_committed(cast):
    lead(cast)
    with read_session() as session:
        assert session.exec(select(JobRun).where(JobRun.name == "routing.route")).first() is None, "no rule, no job"
    rule(cast)
    first, own = lead(cast), do(leads.create, cast["alice"], {"name": "Mine"}).id
    with read_session() as session:
        assert [row.job_id for row in session.exec(select(JobRun).where(JobRun.name == "routing.route"))] == [f"route:lead:{first}"]
    assert give(cast, "lead", own) is None, "who was chosen by hand stays"
    flow.route_one(Run(), "lead", first)
    flow.route_one(Run(), "lead", first)
    with read_session() as session:
        assert len(session.exec(select(RoutingDecision)).all()) == 1
        assert session.exec(select(RoutingTurn)).one().turns == 1
        told = session.exec(select(Notification).where(Notification.kind == "assigned.rule")).one()
    assert told.params == {"rule": "R0lead"}
    assert told.user_id == cast["alice"].user_id


def test_away_full_switched_off_without_right_or_shift_is_passed_over_and_the_log_says_so(cast, monkeypatch):
    for module in (assign, people):
        monkeypatch.setattr(module, "utcnow", lambda: MONDAY)
    hours = do(calendars.save, cast["root"], None, name="Late", timezone="UTC", week=[[(20 * 60, 22 * 60)]] * 7)
    rule(cast, who=("alice", "bob", "charlie", "ana", "dana"))
    do(people.add_absence, cast["root"], cast["alice"].user_id, first_on=date(2026, 5, 30), last_on=date(2026, 6, 3))
    profile(cast, "bob", capacity={"lead": 0})
    profile(cast, "charlie", takes_work=False)
    profile(cast, "dana", calendar_id=hours.id)
    waits = lead(cast)
    assert give(cast, "lead", waits) is None
    shown = see(decisions.of_record, cast["root"], "lead", waits)[0]
    assert shown.outcome is RouteOutcome.WAITS
    assert {one.name: one.why_not for one in shown.considered} == {
        "Alice Rep": "away until 2026-06-03",
        "Ana Analyst": "may not work on these",
        "Bob Manager": "full: 0 of 0",
        "Charlie Rep": "takes no work at the moment",
        "Dana Marketer": "not on shift",
    }
    with read_session() as session:
        assert session.exec(select(RoutingTurn)).one().turns == 0, "a turn that nobody took is nobody's"


def test_what_waits_is_handed_out_when_somebody_is_free_the_oldest_first_and_taken_by_one(cast):
    queue = do(queues.save, cast["root"], None, name="Front desk", team_id=None, max_wait_minutes=30)
    rule(cast, entity="ticket", who=("sam",), queue_id=queue.id)
    profile(cast, "sam", capacity={"ticket": 0})
    first, second, third = (ticket(cast) for _ in range(3))
    for one in (first, second, third):
        give(cast, "ticket", one)
    assert [row.record_id for row in see(queues.waiting, cast["sam"])] == [first, second, third]
    assert see(queues.count, cast["sam"], "ticket") == 3
    assert see(queues.find, cast["root"])[0].waiting == 3
    flow.drain(Run())
    assert owner(Ticket, first) is None
    with read_session() as session:
        assert len(session.exec(select(RoutingDecision)).all()) == 3, "waiting on writes nothing into the log"
    profile(cast, "sam", capacity={"ticket": 1})
    flow.drain(Run())
    assert [owner(Ticket, one) for one in (first, second, third)] == [cast["sam"].user_id, None, None]
    do(assign.take, cast["sam"], "ticket", second)
    with pytest.raises(Conflict):
        do(assign.take, cast["root"], "ticket", second)
    do(tickets.assign, cast["root"], third, cast["root"].user_id)
    flow.drain(Run())
    with read_session() as session:
        assert session.exec(select(QueueItem)).all() == [], "what somebody was given by hand no longer waits"
        assert session.get(Ticket, second).status == "open"


def test_the_first_rule_that_fits_decides_and_territories_and_skills_are_kept_apart(cast):
    rule(cast, name="Germany", who=(), method=RouteMethod.TERRITORY, territory={"field": "country", "rows": [{"values": ["Germany"], "user_id": cast["alice"].user_id}, {"values": ["*"], "user_id": cast["charlie"].user_id}]}, filter={"field": "source", "cmp": "eq", "value": "Website"})  # fmt: skip
    rule(cast, name="Rest", who=("bob",))
    assert give(cast, "lead", lead(cast, source="Website", country="Germany")) == "alice"
    assert give(cast, "lead", lead(cast, source="Website", country="France")) == "charlie"
    assert give(cast, "lead", lead(cast, source="Event")) == "bob"
    rule(
        cast,
        entity="ticket",
        name="Skill",
        who=("sam", "bob", "root"),
        method=RouteMethod.CAPABLE,
        skill={"field": "category", "min": 3},
    )
    profile(cast, "sam", skills={"Billing": 4})
    profile(cast, "bob", skills={"Billing": 2})
    chosen = ticket(cast, category="Billing")
    assert give(cast, "ticket", chosen) == "sam"
    why = {one.name: one.why_not for one in see(decisions.of_record, cast["root"], "ticket", chosen)[0].considered}
    assert why["Bob Manager"] == "lacks the skill Billing (2 of 3)"
    blind = replace(cast["root"], masks=frozenset({("ticket", "category")}))
    told = {one.name: one.why_not for one in see(decisions.of_record, blind, "ticket", chosen)[0].considered}
    assert told["Bob Manager"] == "not for this one" and "Billing" not in str(told)
    preview = see(decisions.preview, cast["root"], "ticket", chosen)
    assert preview.who == "Sam Agent"


def test_no_rule_that_fits_is_a_decision_too(cast):
    rule(cast, filter={"field": "source", "cmp": "eq", "value": "Website"})
    missed = lead(cast, source="Event")
    assert do(assign.route, system(), "lead", missed).outcome is RouteOutcome.NO_RULE


def test_tickets_that_a_rule_gave_are_handed_on_when_somebody_goes_away_and_those_given_by_hand_stay(cast):
    rule(cast, entity="ticket", who=("sam",))
    mine = ticket(cast)
    give(cast, "ticket", mine)
    by_hand = do(tickets.create, cast["sam"], {"subject": "Own"}).id
    today = clock.today()
    do(people.add_absence, cast["sam"], cast["sam"].user_id, first_on=today, last_on=today)
    flow.hand_on(Run())
    assert owner(Ticket, mine) == cast["sam"].user_id, "nobody else is free, so it stays"
    rule(cast, entity="ticket", name="Second", who=("bob",))
    do(rules.move, cast["root"], see(rules.find, cast["root"])[1].id, up=True)
    do(people.add_absence, cast["sam"], cast["sam"].user_id, first_on=today, last_on=today)
    flow.hand_on(Run())
    assert owner(Ticket, mine) == cast["bob"].user_id
    assert owner(Ticket, by_hand) == cast["sam"].user_id


def test_two_at_once_lose_no_turn_and_double_none(any_cast):
    rule(any_cast, who=("alice", "bob", "charlie"))
    profile(any_cast, "bob", capacity={"lead": 3})
    waiting = [lead(any_cast) for _ in range(12)]
    errors = []

    def work(mine):
        try:
            for one in mine:
                do(assign.route, system(), "lead", one)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(waiting[at::3] + waiting[:2],)) for at in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert errors == []
    with read_session() as session:
        got = Counter(session.exec(select(RoutingDecision.user_id)))
        assert session.exec(select(RoutingTurn)).one().turns == 12
    assert got[any_cast["bob"].user_id] == 3, "never more than the capacity"
    assert abs(got[any_cast["alice"].user_id] - got[any_cast["charlie"].user_id]) <= 1


def test_who_may_do_what(cast):
    made = rule(cast)
    for name in ("bob", "alice", "sam", "ana", "dana"):
        with pytest.raises(NotPermitted):
            do(rules.save, cast[name], None, name="X", entity="lead", method=RouteMethod.TURNS, people=[(1, 1)])
        with pytest.raises(NotPermitted):
            do(rules.remove, cast[name], made.id)
        with pytest.raises(NotPermitted):
            do(queues.save, cast[name], None, name="Q")
    profile_ = {"takes_work": True, "skills": {"German": 3}, "capacity": {"lead": 5}, "calendar_id": None}
    do(people.save, cast["bob"], cast["alice"].user_id, **profile_)
    with pytest.raises(NotFound):
        do(people.save, cast["bob"], cast["charlie"].user_id, **profile_)
    with pytest.raises(NotPermitted):
        do(people.save, cast["alice"], cast["alice"].user_id, **profile_)
    assert [one.name for one in see(people.find, cast["bob"])] == ["Alice Rep", "Bob Manager"]
    hidden = lead(cast, owner_id=cast["charlie"].user_id)
    with pytest.raises(NotFound):
        see(decisions.of_record, cast["alice"], "lead", hidden)
    with pytest.raises(NotPermitted):
        see(decisions.find, cast["alice"])


def test_a_rule_that_goes_by_a_hidden_field_is_named_to_nobody_to_whom_it_is_hidden(cast):
    queue = do(queues.save, cast["root"], None, name="Rich people")
    big = {"field": "estimated_minor", "cmp": "ge", "value": 100}
    rule(cast, name="Over a million", filter=big, queue_id=queue.id)
    rule(cast, name="Everybody else")
    rich, poor, waits = lead(cast, estimated_minor=500), lead(cast), lead(cast, estimated_minor=500)
    assert give(cast, "lead", rich) and give(cast, "lead", poor)
    for name in ("alice", "charlie"):
        profile(cast, name, takes_work=False)
    assert give(cast, "lead", waits) is None
    blind = replace(cast["root"], masks=frozenset({("lead", "estimated_minor")}))
    named = {
        actor: [see(decisions.of_record, actor, "lead", one)[0].rule for one in (rich, poor)] for actor in (cast["root"], blind)
    }
    assert list(named.values()) == [["Over a million", "Everybody else"], ["•••", "Everybody else"]]
    assert {one.rule for one in see(decisions.find, blind)[0]} == {"•••", "Everybody else"}
    assert see(decisions.preview, blind, "lead", waits).rule == "•••"
    said = [[(one.queue, one.rule) for one in see(queues.waiting, actor)] for actor in (cast["root"], blind)]
    assert said == [[("Rich people", "Over a million")], [("•••", "")]]
    (made,) = [one for one in see(rules.find, cast["root"]) if one.name == "Over a million"]
    do(rules.remove, cast["root"], made.id)
    assert see(decisions.of_record, blind, "lead", rich)[0].rule == "•••", "nobody knows any more what it went by"


def test_bad_input_is_refused_with_a_sentence(cast):
    for wrong in (
        {"name": ""}, {"name": "X", "people": []}, {"name": "X", "people": [(99_999, 1)]}, {"name": "X", "people": [(cast["alice"].user_id, 0)]},
        {"name": "X", "team_id": 999}, {"name": "X", "queue_id": 999}, {"name": "X", "method": RouteMethod.TERRITORY}, {"name": "X", "skill": {"field": "nix"}},
        {"name": "X", "filter": {"field": "nix", "cmp": "eq", "value": 1}}, {"name": "X", "entity": "account"},
    ):  # fmt: skip
        given = {"entity": "lead", "method": RouteMethod.TURNS, "people": [(cast["alice"].user_id, 1)], **wrong}
        with pytest.raises(Invalid):
            do(rules.save, cast["root"], None, **given)
    with pytest.raises(Invalid):
        do(people.save, cast["root"], cast["alice"].user_id, takes_work=True, skills={"A": 9}, capacity={}, calendar_id=None)
    with pytest.raises(Invalid):
        do(people.add_absence, cast["root"], cast["alice"].user_id, first_on=date(2026, 6, 2), last_on=date(2026, 6, 1))


def test_replay_deals_the_past_out_again_and_counts_what_would_have_waited(cast):
    made = rule(cast)
    for _ in range(5):
        lead(cast, owner_id=cast["bob"].user_id)
    found = see(replay.replay, cast["root"], made)
    assert found.records == 5
    assert {row.name: (row.would, row.had) for row in found.rows} == {
        "Alice Rep": (3, 0),
        "Charlie Rep": (2, 0),
        "Bob Manager": (0, 5),
    }
    assert found.waited == 0


def test_the_job_of_a_new_record_is_known_by_its_name():
    assert jobs.registry.spec("routing.route") is not None
