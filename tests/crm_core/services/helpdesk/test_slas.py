"""Service levels: promises start, pause, are met, break and are told about; whatever is planned anew, a broken promise stays broken."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlmodel import select

from crm_core import jobs, records, summaries
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.fields import forget
from crm_core.kit import clock
from crm_core.kit.business_calendar import BusinessCalendar, DayException
from crm_core.models import CustomField, Event, SlaClock, Task, Ticket
from crm_core.services.admin import custom_fields
from crm_core.services.customers import accounts
from crm_core.services.helpdesk import calendars, merging, service_levels, sla_rules, sla_watch, slas, tickets
from crm_core.services.routing import assign, rules
from crm_core.vocabulary import FieldKind, PromiseOutcome, RouteMethod, SlaState, SlaTarget, TicketKind
from tests.verbs import do

OFFICE = [[(9 * 60, 12 * 60), (13 * 60, 17 * 60)]] * 5 + [[], []]
MONDAY = datetime(2026, 6, 1, 8, tzinfo=UTC)  # 10:00 in Berlin
TARGETS = {"normal": {"first": 60, "next": 120, "resolve": 480}, "urgent": {"first": 15, "resolve": 120}}


@pytest.fixture
def at(monkeypatch):
    """Callable that sets the clock of the product."""

    def set_to(instant):
        monkeypatch.setattr(clock, "utcnow", lambda: instant)
        for module in (slas, sla_watch):
            monkeypatch.setattr(module, "utcnow", lambda: instant)

    return set_to


def promise(actor, **more):
    hours = do(calendars.save, actor, None, name=f"Office {more.get('name', '')}", timezone="Europe/Berlin", week=OFFICE)
    given = {"name": "Standard", "targets": TARGETS, "calendar_id": hours.id, **more}
    return do(service_levels.save, actor, None, **given)


def states(actor, ticket_id):
    with read_session() as session:
        return {view.target: view for view in slas.of_ticket(session, actor, ticket_id)}


def due(actor, ticket_id):
    with read_session() as session:
        return tickets.get(session, actor, ticket_id).sla_due_at


def test_promises_start_in_working_time_and_are_met_by_an_answer_and_a_solution(any_cast, at):
    root = any_cast["root"]
    promise(root)
    at(MONDAY)
    ticket = do(tickets.create, root, {"subject": "Help"})
    assert states(root, ticket.id)[SlaTarget.FIRST].due_at == MONDAY + timedelta(hours=1)
    assert states(root, ticket.id)[SlaTarget.RESOLVE].due_at == datetime(2026, 6, 2, 9, tzinfo=UTC), (
        "six hours on Monday, two on Tuesday"
    )
    assert due(root, ticket.id) == MONDAY + timedelta(hours=1)
    at(MONDAY + timedelta(minutes=30))
    do(tickets.reply, root, ticket.id, "Try this", then=TicketKind.OPEN)
    assert states(root, ticket.id)[SlaTarget.FIRST].state is SlaState.MET
    assert due(root, ticket.id) == datetime(2026, 6, 2, 9, tzinfo=UTC)
    at(MONDAY + timedelta(minutes=40))
    do(tickets.solve, root, ticket.id)
    assert states(root, ticket.id)[SlaTarget.RESOLVE].state is SlaState.MET
    assert due(root, ticket.id) is None
    assert marks(root, ticket.id) == (MONDAY + timedelta(minutes=40), 1, PromiseOutcome.KEPT, PromiseOutcome.KEPT, 30, 40)


def marks(actor, ticket_id):
    """What the figures read off a ticket; each change of it has reached their daily summary."""
    with read_session() as session:
        assert summaries.differences(session)["ticket"] == 0
        one = tickets.get(session, actor, ticket_id)
    summaries.refresh()
    return (
        one.first_solved_at, one.answer_count, one.response_promise, one.resolution_promise, one.response_minutes, one.resolution_minutes,
    )  # fmt: skip


def test_the_figures_of_a_ticket_follow_it_through_breaking_coming_back_and_merging(any_cast, at):
    root = any_cast["root"]
    promise(root)
    at(MONDAY)
    one, other = (do(tickets.create, root, {"subject": name}, message="Help") for name in ("One", "Other"))
    assert marks(root, one.id) == (None, 0, None, None, None, None)
    at(MONDAY + timedelta(minutes=90))
    do(tickets.reply, root, one.id, "Late, sorry", then=TicketKind.OPEN)
    assert marks(root, one.id)[2:5] == (PromiseOutcome.LATE, None, 90), "late stays late, and the resolution still runs"
    solved = MONDAY + timedelta(minutes=100)
    at(solved)
    do(tickets.solve, root, one.id)
    assert marks(root, one.id) == (solved, 1, PromiseOutcome.LATE, PromiseOutcome.KEPT, 90, 100)
    at(MONDAY + timedelta(days=1))
    do(tickets.receive, root, one.id, "It is back")
    assert marks(root, one.id) == (solved, 1, PromiseOutcome.LATE, None, 90, None), "the first solution is remembered"
    at(MONDAY + timedelta(days=1, minutes=20))
    do(tickets.reply, root, one.id, "Again", then=TicketKind.SOLVED)
    assert marks(root, one.id) == (solved, 2, PromiseOutcome.LATE, PromiseOutcome.KEPT, 90, 120)
    do(merging.merge, root, one.id, other.id)
    assert marks(root, one.id) == (None, 0, None, None, None, None), "a merged ticket was not solved; the other one will be"
    assert marks(root, other.id)[1] == 2


def test_waiting_for_the_customer_stops_the_clock_and_their_answer_starts_it_and_a_next_response(any_cast, at):
    root = any_cast["root"]
    promise(root)
    at(MONDAY)
    ticket = do(tickets.create, root, {"subject": "Help"})
    at(MONDAY + timedelta(minutes=10))
    do(tickets.reply, root, ticket.id, "Which one?")
    assert states(root, ticket.id)[SlaTarget.RESOLVE].state is SlaState.PAUSED and due(root, ticket.id) is None
    at(MONDAY + timedelta(days=1))  # six of the eight hours would be gone
    do(tickets.receive, root, ticket.id, "The red one")
    found = states(root, ticket.id)
    assert found[SlaTarget.RESOLVE].state is SlaState.RUNNING
    assert found[SlaTarget.RESOLVE].due_at == datetime(2026, 6, 3, 8, 50, tzinfo=UTC), "what was left when it paused"
    assert found[SlaTarget.NEXT].due_at == MONDAY + timedelta(days=1, hours=2)
    do(tickets.reply, root, ticket.id, "Press here", then=TicketKind.OPEN)
    assert states(root, ticket.id)[SlaTarget.NEXT].state is SlaState.MET


def test_a_higher_priority_plans_anew_from_the_start_and_what_was_late_stays_late(any_cast, at):
    root = any_cast["root"]
    promise(root)
    at(MONDAY)
    ticket = do(tickets.create, root, {"subject": "Help"})
    at(MONDAY + timedelta(minutes=5))
    do(tickets.update, root, ticket.id, {"impact": "high", "urgency": "high"})
    assert states(root, ticket.id)[SlaTarget.FIRST].due_at == MONDAY + timedelta(minutes=15)
    at(MONDAY + timedelta(minutes=20))
    do(tickets.update, root, ticket.id, {"impact": "medium", "urgency": "medium"})
    found = states(root, ticket.id)[SlaTarget.FIRST]
    assert found.state is SlaState.BREACHED and found.late and found.due_at == MONDAY + timedelta(hours=1)
    at(MONDAY + timedelta(minutes=30))
    do(tickets.reply, root, ticket.id, "Here")
    assert states(root, ticket.id)[SlaTarget.FIRST].state is SlaState.MET_LATE


def test_a_reopened_ticket_counts_on_where_it_stopped(cast, at):
    root = cast["root"]
    promise(root)
    at(MONDAY)
    ticket = do(tickets.create, root, {"subject": "Help"})
    at(MONDAY + timedelta(hours=1))
    do(tickets.solve, root, ticket.id)
    assert states(root, ticket.id).get(SlaTarget.FIRST) is None, "solved without an answer: nobody waits for one"
    at(MONDAY + timedelta(days=2))
    do(tickets.reopen, root, ticket.id)
    found = states(root, ticket.id)[SlaTarget.RESOLVE]
    assert found.state is SlaState.RUNNING and found.due_at == datetime(2026, 6, 4, 8, tzinfo=UTC)


def test_each_step_is_told_once_and_a_breach_becomes_a_task(any_cast, at):
    root = any_cast["root"]
    policy = promise(root, escalate_to_id=any_cast["bob"].user_id)
    at(MONDAY)
    ticket = do(tickets.create, root, {"subject": "Help"})
    for minutes in (31, 31, 46, 61, 90):
        at(MONDAY + timedelta(minutes=minutes))
        jobs.execute(f"watch-{minutes}", sla_watch.JOB, ())
    with read_session() as session:
        told = session.exec(
            select(Event).where(Event.type.in_(["ticket.sla_warned", "ticket.sla_breached"])).order_by(Event.id)
        ).all()
        assert [event.data["pct"] for event in told] == [50, 75, 100]
        task = session.exec(select(Task)).one()
        assert (task.owner_id, task.ticket_id) == (any_cast["bob"].user_id, ticket.id) and ticket.number in task.subject
        clock_row = session.exec(select(SlaClock).where(SlaClock.target == SlaTarget.FIRST)).one()
        assert clock_row.breached_at == MONDAY + timedelta(hours=1) and clock_row.policy_id == policy.id
    assert states(root, ticket.id)[SlaTarget.FIRST].state is SlaState.BREACHED
    assert marks(root, ticket.id)[2:4] == (PromiseOutcome.LATE, None)


def test_one_task_that_can_not_be_made_and_one_company_in_the_bin_keep_no_alarm_from_anybody(cast, at, monkeypatch):
    root = cast["root"]
    promise(root, escalate_to_id=cast["bob"].user_id, targets={"normal": {"first": 60}})
    at(MONDAY)
    company = do(accounts.create, root, {"name": "Gone Ltd"})
    orphan = do(tickets.create, root, {"subject": "Orphan", "account_id": company.id})
    refused, fine = (do(tickets.create, root, {"subject": name}) for name in ("Refused", "Fine"))
    do(records.archive, root, "account", company.id)
    make = records.create_many

    def picky(session, actor, key, rows):
        made = make(session, actor, key, rows)
        if any(row.get("ticket_id") == refused.id for row in rows):
            raise Invalid("A field that somebody has made mandatory is missing.")
        return made

    monkeypatch.setattr(records, "create_many", picky)
    at(MONDAY + timedelta(minutes=90))
    for n in range(2):
        jobs.execute(f"watch-{n}", sla_watch.JOB, ())
    with read_session() as session:
        told = session.exec(select(Event).where(Event.type == "ticket.sla_breached").order_by(Event.record_id)).all()
        assert [(event.record_id, event.account_id) for event in told] == [
            (orphan.id, company.id),
            (refused.id, None),
            (fine.id, None),
        ]
        given = session.exec(select(Task).order_by(Task.ticket_id)).all()
        assert [(task.ticket_id, task.account_id) for task in given] == [(orphan.id, None), (fine.id, None)]
        late = session.exec(select(SlaClock).where(SlaClock.ticket_id == fine.id)).one()
    never = BusinessCalendar("UTC", ((),) * 7)
    late.warned_pct, late.breached_at = 0, None
    assert sla_rules.warn(late, MONDAY + timedelta(minutes=90), never)[-1] == 100 and late.next_warn_at is None


def test_a_new_service_level_reaches_open_tickets_and_the_first_that_matches_holds(cast, at):
    root = cast["root"]
    at(MONDAY)
    old = do(tickets.create, root, {"subject": "Before", "category": "Billing"})
    promise(root, name="Billing", filter={"field": "category", "cmp": "eq", "value": "Billing"}, targets={"normal": {"first": 30}})
    promise(root, name="All")
    other = do(tickets.create, root, {"subject": "Other"})
    jobs.execute("sweep", "helpdesk.sla_sweep", ())
    assert due(root, old.id) == MONDAY + timedelta(minutes=30)
    assert due(root, other.id) == MONDAY + timedelta(hours=1)
    with write_session() as session:
        billing = service_levels.find(session, root)[0]
        service_levels.remove(session, root, billing.id)
    jobs.execute("sweep-2", "helpdesk.sla_sweep", ())
    assert due(root, old.id) == MONDAY + timedelta(hours=1)


def test_a_field_that_a_level_asks_for_stays_in_use_and_a_level_that_can_not_be_asked_keeps_nobody_from_working(cast, at):
    root = cast["root"]
    at(MONDAY)
    field = do(custom_fields.create, root, "account", label="Plan", kind=FieldKind.CHOICE, options=["Gold"])
    gold = {"op": "or", "items": [{"field": f"account.{field.key}", "cmp": "eq", "value": "Gold"}]}
    promise(root, name="Gold", filter=gold, targets={"normal": {"first": 30}})
    promise(root, name="All")
    do(
        rules.save,
        root,
        None,
        name="Gold first",
        entity="ticket",
        method=RouteMethod.TURNS,
        filter=gold,
        people=[(root.user_id, 1)],
    )
    do(rules.save, root, None, name="Rest", entity="ticket", method=RouteMethod.TURNS, people=[(root.user_id, 1)])
    with pytest.raises(Conflict, match="the service level “Gold”, the assignment rule “Gold first”"):
        do(custom_fields.deactivate, root, field.id)
    with write_session() as session:  # as an earlier version allowed
        session.get(CustomField, field.id).active = False
        session.flush()
        forget(session)
    ticket = do(tickets.create, root, {"subject": "Help", "owner_id": None})
    assert due(root, ticket.id) == MONDAY + timedelta(hours=1), "the next level holds"
    assert do(assign.route, root, "ticket", ticket.id).rule_name == "Rest"
    with read_session() as session:
        assert [bool(level.broken) for level in service_levels.find(session, root)] == [True, False]
        assert [bool(rule.broken) for rule in rules.find(session, root)] == [True, False]
        assert rules.words(session, root, "ticket", gold) == "a field that is no longer in use"


def test_without_service_levels_nothing_runs(cast):
    ticket = do(tickets.create, cast["root"], {"subject": "Help"})
    do(tickets.reply, cast["root"], ticket.id, "Yes")
    assert states(cast["root"], ticket.id) == {}


def test_what_makes_no_sense_gets_a_sentence(cast):
    root = cast["root"]
    with pytest.raises(Invalid) as error:
        do(calendars.save, root, None, name=" ", timezone="Mars/Base", week=[[]] * 7)
    assert set(error.value.fields) == {"name", "timezone", "week"}
    with pytest.raises(Invalid, match="overlap"):
        do(calendars.save, root, None, name="x", timezone="UTC", week=[[(0, 60), (30, 90)]] + [[]] * 6)
    for targets in ({}, {"normal": {"first": 0}}, {"normal": {"first": "60"}}, {"dire": {"first": 5}}, {"normal": {"lunch": 5}}):
        with pytest.raises(Invalid):
            do(service_levels.save, root, None, name="x", targets=targets)
    with pytest.raises(Invalid):
        do(service_levels.save, root, None, name="x", targets=TARGETS, filter={"field": "nothing", "cmp": "eq", "value": 1})
    made = promise(root)
    with pytest.raises(Invalid, match="already"):
        do(service_levels.save, root, None, name="standard", targets=TARGETS)
    with pytest.raises(Conflict, match="uses these"):
        do(calendars.remove, root, made.calendar_id)
    with pytest.raises(Conflict, match="Somebody else"):
        do(service_levels.save, root, made.id, name="x", targets=TARGETS, base_version=made.version + 5)
    with pytest.raises(NotFound):
        do(service_levels.save, root, 999, name="x", targets=TARGETS)


def test_only_those_who_may_manage_service_levels_change_them(cast):
    for who in ("alice", "sam", "ana", "dana"):
        with pytest.raises(NotPermitted):
            do(calendars.save, cast[who], None, name="x", timezone="UTC", week=OFFICE)
        with pytest.raises(NotPermitted):
            do(service_levels.save, cast[who], None, name="x", targets=TARGETS)


def test_special_days_are_kept_as_they_were_entered(cast):
    holiday = DayException(date(2026, 12, 24), date(2026, 12, 26), ((540, 720),), "Christmas")
    made = do(calendars.save, cast["root"], None, name="Shop", timezone="Asia/Ho_Chi_Minh", week=OFFICE, exceptions=[holiday])
    with read_session() as session:
        found = calendars.find(session, cast["sam"])
        assert found[0].hours.exceptions == (holiday,) and found[0].id == made.id
        assert session.get(Ticket, 1) is None


def test_a_new_level_raises_no_alarm_for_what_was_late_before_it(cast, at):
    root = cast["root"]
    at(MONDAY - timedelta(days=7))
    old = do(tickets.create, root, {"subject": "Long ago"})
    at(MONDAY)
    promise(root)
    jobs.execute("sweep", "helpdesk.sla_sweep", ())
    jobs.execute("watch", sla_watch.JOB, ())
    assert states(root, old.id)[SlaTarget.FIRST].state is SlaState.BREACHED
    with read_session() as session:
        assert session.exec(select(Task)).all() == []
        assert session.exec(select(Event).where(Event.type == "ticket.sla_breached")).all() == []


def test_a_holiday_that_is_entered_later_moves_what_is_due_and_pauses_stay(cast, at):
    root = cast["root"]
    policy = promise(root)
    at(MONDAY)
    ticket = do(tickets.create, root, {"subject": "Help"})
    waiting = do(tickets.create, root, {"subject": "Wait"})
    do(tickets.reply, root, waiting.id, "Which one?")
    assert states(root, ticket.id)[SlaTarget.RESOLVE].due_at == datetime(2026, 6, 2, 9, tzinfo=UTC)
    off = DayException(date(2026, 6, 2), date(2026, 6, 2), (), "Holiday")
    do(
        calendars.save, root, policy.calendar_id, name="Office", timezone="Europe/Berlin", week=OFFICE, exceptions=[off],
    )  # fmt: skip
    jobs.execute("sweep", "helpdesk.sla_sweep", ())
    assert states(root, ticket.id)[SlaTarget.RESOLVE].due_at == datetime(2026, 6, 3, 9, tzinfo=UTC), "a day later"
    with read_session() as session:
        assert slas.standing(session, root) == {SlaState.RUNNING: 2, SlaState.PAUSED: 1}
        at(MONDAY + timedelta(days=30))
        assert slas.standing(session, root) == {SlaState.BREACHED: 2, SlaState.PAUSED: 1}
        assert slas.standing(session, cast["alice"]).total() <= 3
