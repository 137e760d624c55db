"""One rule of idleness: working days counted by hand, what is contact, and the same answer wherever it is asked."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from sqlmodel import select

from crm_core import filters, idleness, lists
from crm_core.db import read_session, write_session
from crm_core.errors import Invalid
from crm_core.filters import Context
from crm_core.kit import clock
from crm_core.kit.business_calendar import BusinessCalendar, DayException
from crm_core.lists import ListQuery
from crm_core.models import Activity, Deal, Notification, Stage, Task
from crm_core.services.analytics import attention
from crm_core.services.collaboration import activities, agenda, reminders, today
from crm_core.services.routing import nudges
from crm_core.services.sales import board, deals
from crm_core.vocabulary import ActivityKind, CallOutcome, StageKind
from tests.verbs import do

NINE_TO_FIVE = ((9 * 60, 17 * 60),)
WEEK = BusinessCalendar("Europe/Berlin", (NINE_TO_FIVE,) * 5 + ((), ()))
NOW = datetime(2026, 3, 11, 15, 0, tzinfo=UTC)  # a Wednesday, 16:00 in Berlin


def local(day, hour, minute=0):
    return datetime(2026, 3, day, hour - 1, minute, tzinfo=UTC)


def test_working_days_are_counted_back_at_the_same_time_of_day():
    assert idleness.back(WEEK, NOW, (1, 2, 3, 5)) == {1: local(10, 16), 2: local(9, 16), 3: local(6, 16), 5: local(4, 16)}
    # On a Saturday the clock stands at the end of Friday; the first working day before that is Thursday's end.
    saturday = idleness.back(WEEK, datetime(2026, 3, 14, 9, tzinfo=UTC), (1,))[1]
    assert (saturday + timedelta(microseconds=1)) == local(12, 1) + timedelta(hours=23)
    holiday = BusinessCalendar(
        WEEK.timezone, WEEK.week, (DayException(NOW.date() - timedelta(days=2), NOW.date() - timedelta(days=2)),)
    )
    assert idleness.back(holiday, NOW, (2,)) == {2: local(6, 16)}
    never = BusinessCalendar("UTC", ((),) * 7)
    assert idleness.back(never, NOW, (4,)) == {4: NOW - timedelta(days=4)}


def test_quiet_days_say_the_same_as_the_limits():
    assert [idleness.quiet_days(WEEK, at, NOW) for at in (NOW, local(11, 9), local(10, 16), local(10, 17), local(6, 16), local(7, 12))] == [
        0, 0, 1, 0, 3, 2,
    ]  # fmt: skip
    for hours in range(0, 400, 7):
        since = NOW - timedelta(hours=hours)
        days = idleness.quiet_days(WEEK, since, NOW)
        assert since > idleness.back(WEEK, NOW, (days + 1,))[days + 1]
        assert not days or since <= idleness.back(WEEK, NOW, (days,))[days]


def contact(deal_id):
    with read_session() as session:
        return session.get(Deal, deal_id).last_contact_at


def test_contact_goes_both_ways_and_follows_its_activities(any_cast):
    alice, start = any_cast["alice"], clock.utcnow() - timedelta(days=5)
    one, other = (do(deals.create, alice, {"name": name}).id for name in "AB")

    def logged(hours, kind, outcome=None):
        at = start + timedelta(hours=hours)
        return do(activities.log, alice, "deal", one, kind=kind, text="x", at=at, outcome=outcome).id, at

    logged(9, ActivityKind.NOTE)
    for outcome in (CallOutcome.NO_ANSWER, CallOutcome.VOICEMAIL, CallOutcome.WRONG_NUMBER):
        logged(8, ActivityKind.CALL, outcome.value)
    assert contact(one) is None
    _mail, mailed = logged(1, ActivityKind.EMAIL)
    call, called = logged(2, ActivityKind.CALL, "reached")
    version = do(deals.get, alice, one).version
    assert contact(one) == called
    do(activities.update, alice, call, {"outcome": "no_answer"})
    assert contact(one) == mailed
    do(activities.update, alice, call, {"outcome": "call_back"})
    do(activities.update, alice, call, {"deal_id": other})
    assert (contact(one), contact(other)) == (mailed, called)
    do(activities.remove, alice, call)
    assert (contact(one), contact(other)) == (mailed, None)
    met = start + timedelta(days=9)
    do(agenda.meet, alice, {"subject": "Demo", "at": met, "deal_id": one})
    assert contact(one) == met
    assert do(deals.get, alice, one).version == version, "nobody's form is about it"


def test_everywhere_the_same_deals_are_idle(any_cast):
    alice, draw = any_cast["alice"], Random(5)
    with write_session() as session:
        stages = list(session.exec(select(Stage)))
        for stage in stages:
            if stage.kind is StageKind.OPEN:
                stage.max_idle_days = draw.choice((None, 1, 3, 10)) if stage.name != "Proposal" else 4
        for n in range(60):
            stage, since = draw.choice(stages), clock.utcnow() - timedelta(hours=draw.randint(1, 500))
            heard = draw.choice((None, since + timedelta(hours=draw.randint(-100, 90))))
            closed = clock.today() if stage.kind is not StageKind.OPEN else None
            session.add(Deal(name=f"D{n}", pipeline_id=stage.pipeline_id, stage_id=stage.id, outcome=stage.kind, owner_id=alice.user_id, amount_minor=1, created_on=clock.today(), closed_on=closed, stage_since=since, last_contact_at=heard))  # fmt: skip
    now = clock.utcnow().replace(second=30)
    with clock.frozen(now), read_session() as session:
        limits = idleness.limits(session)
        rows = [deal for deal in session.exec(select(Deal)) if deal.outcome is StageKind.OPEN]
        idle = {deal.id for deal in rows if idleness.is_idle(deal, limits)}
        assert 5 < len(idle) < len(rows) - 5
        # By the definition itself: as many working days as the stage says.
        calendar, days = idleness.working_hours(session), {stage.id: stage.max_idle_days for stage in stages}
        minute = now.replace(second=0, microsecond=0)
        assert idle == {
            deal.id for deal in rows if days[deal.stage_id] and idleness.quiet_days(calendar, idleness.since(deal), minute) >= days[deal.stage_id]
        }  # fmt: skip

        def listed(ast):
            return {row["id"] for row in lists.find(session, alice, "deal", ListQuery(filter=ast, size=100)).rows}

        assert listed(idleness.IDLE) == idle
        busy = {"field": "idle", "cmp": "eq", "value": False}
        assert (
            listed({"op": "and", "items": [busy, {"field": "outcome", "cmp": "eq", "value": "open"}]})
            == {d.id for d in rows} - idle
        )
        assert listed({"field": "idle", "cmp": "ne", "value": True}) == listed(busy)
        node = filters.bind(session, "deal", idleness.IDLE, Context(alice, now))
        test = filters.predicate(node)
        assert {deal.id for deal in rows if test(vars(deal))} == idle
        assert filters.in_words(session, "deal", idleness.IDLE).startswith("Idle is")
        (found,) = [one for one in attention.find(session, alice) if one.key == "idle"]
        assert found.count == len(idle)
        block = today.deals(session, alice)
        marked = {key for key, why in block.why.items() if "Idle" in why}
        assert marked == idle & set(block.why)
        cards = [card for column in board.columns(session, alice, stages[0].pipeline_id, limits={stage.id: 99 for stage in stages}) for card in column.cards]  # fmt: skip
        assert {card.id for card in cards if card.idle} == idle
    do(nudges.set_switches, any_cast["root"], {"idle": True})
    with clock.frozen(now), write_session() as session:
        for _key, values in nudges._idle(session, {}):
            session.add(Task(**{**values, "subject": "x"}))
    with clock.frozen(now), read_session() as session:
        assert {task.deal_id for task in session.exec(select(Task))} == idle
    # People are told within two working days of it, and once.
    with clock.frozen(now):
        first, second = (do(lambda session, _actor: reminders.idle_deals(session, clock.today()), alice) for _ in "ab")
    with read_session() as session:
        told = [note.record_id for note in session.exec(select(Notification)) if note.kind == "reminder.follow_up"]
    assert len(told) == first > 0 == second and set(told) <= idle


def test_a_filter_by_idleness_is_one_of_deals(cast):
    with read_session() as session, pytest.raises(Invalid, match="no field"):
        filters.where(session, "contact", idleness.IDLE, cast["root"])


def test_deals_know_their_contact_whoever_writes_it(cast):
    deal = do(deals.create, cast["alice"], {"name": "A"}).id
    with write_session() as session:
        session.add(Activity(kind=ActivityKind.CALL, subject="x", at=NOW, deal_id=deal))
    assert contact(deal) == NOW
    with write_session() as session:
        session.delete(session.exec(select(Activity)).one())
    assert contact(deal) is None
