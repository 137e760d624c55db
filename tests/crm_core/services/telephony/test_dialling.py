"""Calling from lists: who is called when, never by two at once, and what an outcome means."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlmodel import select

from crm_core import records
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.kit.business_calendar import DayException
from crm_core.models import Activity, CampaignMember, Contact, ContactPoint, DialEntry, Suppression, Task
from crm_core.services.collaboration import activities
from crm_core.services.customers.reach_rules import Wishes
from crm_core.services.helpdesk import calendars
from crm_core.services.sales import leads
from crm_core.services.telephony import dial_lists, dial_outcomes, dial_results, dial_rules, dialling
from crm_core.services.telephony.dial_rules import Hours
from crm_core.vocabulary import ActivityKind, CallOutcome, DialState, DialWait, MemberStatus, Outlet, TaskStatus
from tests.crm_core.services.marketing.outreach import campaign, launch, people
from tests.verbs import do

MONDAY = datetime(2026, 6, 1, 10, tzinfo=UTC)
BERLIN, OTHER, DENVER = "+49 30 901820", "+49 30 901821", "+1 303 555 0123"
DAYTIME = Hours(480, 1200, True)


def at(instant, verb, *args, **kwargs):
    with clock.frozen(instant):
        return do(verb, *args, **kwargs)


def contact(actor, name, phone=BERLIN, **values):
    return do(records.create, actor, "contact", {"name": name, "phone": phone, **values}).id


def made(actor, *, when=MONDAY, **values):
    given = {"name": "Calls", "source": "filter", "entity": "contact", "order_by": "name", "reach": "private", **values}
    return at(when, dial_lists.save, actor, None, given)


def entries():
    with read_session() as session:
        return {(row.contact_id or row.lead_id): row for row in session.exec(select(DialEntry))}


def settle(actor, entry_id, outcome, when=MONDAY, key=None, **more):
    return at(
        when,
        dial_outcomes.settle,
        actor,
        entry_id,
        outcome=outcome,
        submit_key=key or f"{entry_id}-{outcome}-{when:%d%H%M}",
        **more,
    )


def test_when_somebody_may_be_called():
    berlin, here = Wishes("Ida", zones=("Europe/Berlin",)), "America/New_York"

    def opens(wishes, *moment, hours=DAYTIME):
        return dial_rules.opens_at(wishes, datetime(*moment, tzinfo=UTC), hours, fallback_zone=here)

    assert opens(berlin, 2026, 6, 1, 10) is None
    assert opens(berlin, 2026, 6, 1, 5, 59) == datetime(2026, 6, 1, 6, tzinfo=UTC), "eight o'clock there"
    assert opens(berlin, 2026, 6, 1, 18) == datetime(2026, 6, 2, 6, tzinfo=UTC), "the evening waits for the morning"
    assert opens(berlin, 2026, 6, 5, 18) == datetime(2026, 6, 8, 6, tzinfo=UTC), "Friday evening waits for Monday"
    sunday_first = Hours(480, 1200, True, days_off=frozenset({4, 5}))
    assert opens(berlin, 2026, 6, 4, 18, hours=sunday_first) == datetime(2026, 6, 7, 6, tzinfo=UTC), "free on Friday and Saturday"
    assert opens(berlin, 2026, 6, 5, 18, hours=Hours(480, 1200, False)) == datetime(2026, 6, 6, 6, tzinfo=UTC)
    assert opens(berlin, 2026, 3, 28, 20, hours=Hours(480, 1200, False)) == datetime(2026, 3, 29, 6, tzinfo=UTC), (
        "the clock changes"
    )
    own = Wishes("Ida", hours="Tue-Sat 20-22", zones=("Europe/Berlin",))
    assert opens(own, 2026, 6, 1, 10) == datetime(2026, 6, 2, 18, tzinfo=UTC), "their own hours come before those of the list"
    assert opens(own, 2026, 6, 6, 19) is None
    assert opens(Wishes("Ida"), 2026, 6, 1, 11) == datetime(2026, 6, 1, 12, tzinfo=UTC), "the caller's clock where nothing is known"
    spoken = Wishes("Ida", zones=("Europe/Berlin",), do_not="Call before 13:00; send brochures")
    assert opens(spoken, 2026, 6, 1, 10) == datetime(2026, 6, 1, 11, tzinfo=UTC), "what they asked us not to do is obeyed too"
    assert opens(Wishes("Ida", do_not="call on Mondays"), 2026, 6, 1, 15) == datetime(2026, 6, 2, 12, tzinfo=UTC)
    then = dial_rules.after(CallOutcome.NO_ANSWER, 3, now=MONDAY, retry_hours=4, most=3)
    assert (then.state, then.due_at) == (DialState.DONE, None)
    again = dial_rules.after(CallOutcome.BUSY, 1, now=MONDAY, retry_hours=4, most=3)
    assert (again.wait, again.due_at) == (DialWait.RETRY, MONDAY + timedelta(minutes=30))


def test_special_hours_cut_those_of_a_list_and_the_last_word_about_a_day_holds():
    day, here = date(2026, 6, 1), "UTC"
    for special, hours, expected in (
        (((600, 660), (720, 1440)), (480, 1200), [(10, 11), (12, 20)]),
        (((600, 1440),), (1200, 120), [(20, 24)]),
        (((0, 300),), (480, 1200), []),
    ):
        rules = Hours(*hours, False, (DayException(day, day), DayException(day, day, special)))
        found = [
            hour
            for hour in range(24)
            if dial_rules.opens_at(Wishes("Ida"), datetime(2026, 6, 1, hour, tzinfo=UTC), rules, fallback_zone=here) is None
        ]
        night = [0, 1] if hours[1] < hours[0] else []
        assert found == night + [hour for first, last in expected for hour in range(first, last)], (special, hours)


def test_who_is_passed_over_and_when_they_come_back(cast):
    alice = cast["alice"]
    ids = {name: contact(alice, name) for name in ("Ada", "Bea", "Cid")}
    asleep = contact(alice, "Dee", DENVER)
    contact(alice, "Eve", None), contact(alice, "Fay", do_not_call=True), contact(alice, "Gus", preferred_channel="none")
    do(activities.log, alice, "contact", ids["Bea"], kind=ActivityKind.CALL, text="before", at=MONDAY - timedelta(hours=1))
    list_id, ready = made(alice)
    assert ready == 4
    first = at(MONDAY, dialling.take_next, alice, list_id)
    with clock.frozen(MONDAY), read_session() as session:
        call = dialling.current(session, alice, list_id)
        assert (call.name, call.phone, call.entry_id) == ("Ada", BERLIN, first) and call.reach.local.hour == 12
        assert dial_lists.left_out(session, alice, list_id) == {"no_address": 1, "objected": 2}
    second = settle(alice, first, "no_answer")
    with clock.frozen(MONDAY), read_session() as session:
        assert dialling.current(session, alice, list_id).name == "Cid", "Bea was called today"
        found = dial_lists.progress(session, alice, list_id)
        assert (found.total, found.done, found.due, found.waits) == (
            4,
            0,
            1,
            {DialWait.RETRY: 1, DialWait.CALLED: 1, DialWait.HOURS: 1},
        ), "Dee sleeps, although no press has put her there yet"
    assert (
        settle(alice, second, "reached", note="Likes **tea**", minutes=4, follow_up="Send it", follow_up_on=MONDAY.date()) is None
    )
    kept = entries()
    assert (kept[asleep].wait, kept[asleep].due_at) == (DialWait.HOURS, datetime(2026, 6, 1, 14, tzinfo=UTC))
    assert kept[ids["Ada"]].due_at == MONDAY + timedelta(hours=4) and kept[ids["Bea"]].due_at == datetime(2026, 6, 2, tzinfo=UTC)
    with read_session() as session:
        logged = session.exec(select(Activity).where(Activity.contact_id == ids["Cid"])).one()
        assert (logged.kind, logged.outcome, logged.minutes, logged.body or logged.subject) == (
            ActivityKind.CALL,
            CallOutcome.REACHED,
            4,
            "Likes **tea**",
        )
        assert session.exec(select(Task.subject)).all() == ["Send it"]
    do(dial_lists.save, alice, list_id, {"from_minute": 0, "until_minute": 1440})
    assert (entries()[asleep].wait, entries()[asleep].due_at) == (None, None), "other hours ask anew who sleeps"
    do(dial_lists.save, alice, list_id, {"from_minute": 480, "until_minute": 1200})
    assert at(MONDAY, dialling.take_next, alice, list_id) is None and entries()[asleep].wait is DialWait.HOURS
    later = MONDAY + timedelta(hours=4)
    again = at(later, dialling.take_next, alice, list_id)
    assert again == first, "Ada comes again before Dee: she stands before her, and her own call from this list is no call of today"
    after = settle(alice, again, "voicemail", later)
    assert after == entries()[asleep].id, "it is morning in Denver"
    assert settle(alice, after, "no_answer", later, key="x") is None
    with clock.frozen(later), write_session() as session:
        slip = dial_outcomes.slip(session, alice, list_id)
        dial_outcomes.take_back(session, alice, slip.attempt_id)
        assert dialling.current(session, alice, list_id).name == "Dee"
        assert dial_outcomes.slip(session, alice, list_id) is not None, "the voicemail before it"
    assert (entries()[asleep].attempts, entries()[asleep].outcome) == (0, None)
    found = do(dial_results.get, alice, list_id)
    assert (found.attempts, found.people.hits, found.people.of) == (3, 1, 2) and 0 < found.people.low < 0.5 < found.people.high < 1


def test_a_promised_call_comes_first_to_whoever_promised_it_and_other_outcomes_settle(cast):
    alice, bob = cast["alice"], cast["bob"]
    ids = [contact(alice, name) for name in ("Ada", "Bea", "Cid", "Dee")]
    do(leads.create, alice, {"name": "Bea", "phone": OTHER})
    do(records.update, alice, "contact", ids[1], {"phone": OTHER})
    list_id, _ = made(alice, reach="team")
    first = at(MONDAY, dialling.take_next, alice, list_id)
    for wrong in ({}, {"call_back_at": MONDAY - timedelta(hours=1)}):
        with pytest.raises(Invalid):
            settle(alice, first, "call_back", **wrong)
    promised = MONDAY + timedelta(hours=1)
    second = settle(alice, first, "call_back", call_back_at=promised)
    assert settle(alice, first, "call_back", call_back_at=promised) == second, "a double click takes nobody else"
    third = settle(alice, second, "do_not_call")
    with read_session() as session:
        assert session.get(Contact, ids[1]).do_not_call and session.exec(select(Suppression.address_key)).one() == OTHER
        task = session.exec(select(Task)).one()
        assert (task.subject, task.due_at, task.owner_id) == ("Call back Ada", promised, alice.user_id)
    fourth = settle(alice, third, "do_not_call")
    assert settle(alice, fourth, "reached") is None, "the number of a switchboard is called on for its other people"
    twins, ready = made(alice, entity="lead")
    assert ready == 0 and do(dial_lists.left_out, alice, twins) == {"suppressed": 1}, "the lead with her number is Bea too"
    do(dial_lists.remove, alice, twins)
    assert at(promised, dialling.take_next, bob, list_id) is None, "the promise is hers for half an hour"
    assert at(promised, dialling.take_next, alice, list_id) == first
    at(promised, dialling.release, alice, list_id)
    late = promised + timedelta(minutes=31)
    assert at(late, dialling.take_next, bob, list_id) == first
    assert settle(bob, first, "price", late) is None
    with read_session() as session:
        assert session.exec(select(Task.status)).one() is TaskStatus.DONE, "the promise is kept"
    assert {row.state for row in entries().values()} == {DialState.DONE}
    at(late, dial_lists.close, alice, list_id)
    with pytest.raises(Conflict):
        at(late, dialling.take_next, alice, list_id)


def test_who_may_see_and_change_a_list(cast):
    alice, bob, charlie, ana = (cast[name] for name in ("alice", "bob", "charlie", "ana"))
    contact(alice, "Ada")
    list_id, _ = made(alice)
    for who in (bob, charlie, cast["root"]):
        with pytest.raises(NotFound):
            do(dial_lists.get, who, list_id)
    with pytest.raises(NotPermitted):
        do(dial_lists.find, ana)
    do(dial_lists.save, alice, list_id, {"reach": "team"})
    assert do(dial_lists.get, bob, list_id).team_id == alice.team_id
    with pytest.raises(NotFound):
        do(dial_lists.get, charlie, list_id)
    do(dial_lists.save, alice, list_id, {"reach": "shared"})
    assert [row.may_edit for row in do(dial_lists.find, charlie)] == [False]
    with pytest.raises(NotPermitted):
        do(dial_lists.remove, charlie, list_id)
    with pytest.raises(Conflict):
        do(dial_lists.save, bob, list_id, {"name": "Mine"}, base_version=1)
    for wrong in ({"name": " "}, {"retry_hours": 0}, {"from_minute": 1200, "until_minute": 480}, {"max_attempts": "x"}):
        with pytest.raises(Invalid):
            do(dial_lists.save, bob, list_id, wrong)
    with pytest.raises(Conflict, match="You don’t have this person"):
        settle(charlie, next(iter(entries().values())).id, "reached")
    do(dial_lists.remove, bob, list_id)
    assert entries() == {}


def test_a_shared_list_tells_nobody_what_their_role_does_not_show(cast):
    alice, bob = cast["alice"], cast["bob"]
    ada = do(leads.create, alice, {"name": "Ada Long", "phone": BERLIN, "estimated_minor": 4200}).id
    list_id, _ = made(alice, entity="lead", order_by="estimated_minor", reach="team")
    blind = replace(bob, masks=frozenset({("lead", "name"), ("lead", "estimated_minor")}))
    first = at(MONDAY, dialling.take_next, blind, list_id)
    with clock.frozen(MONDAY), read_session() as session:
        assert dialling.current(session, bob, list_id).value == 4200
        call = dialling.current(session, blind, list_id)
        assert (call.name, call.value) == (f"Lead {ada}", None)
    settle(blind, first, "no_answer")
    with clock.frozen(MONDAY), read_session() as session:
        assert dial_outcomes.slip(session, blind, list_id).name == f"Lead {ada}"
    later = MONDAY + timedelta(hours=4)
    assert at(later, dialling.take_next, blind, list_id) == first
    settle(blind, first, "call_back", later, call_back_at=later + timedelta(hours=1))
    with read_session() as session:
        assert session.exec(select(Task.subject)).one() == f"Call back Lead {ada}"


def test_two_people_never_have_the_same_person_before_them(any_cast):
    alice, bob = any_cast["alice"], any_cast["bob"]
    ids = [contact(alice, f"P{n}") for n in range(6)]
    lists = [made(alice, reach="team", name=name)[0] for name in ("One", "Two")]
    start, got = Barrier(4), []

    def call(actor, list_id):
        start.wait()
        got.append(at(MONDAY, dialling.take_next, actor, list_id))

    jobs = [Thread(target=call, args=(who, one)) for one in lists for who in (alice, bob)]
    [job.start() for job in jobs], [job.join() for job in jobs]
    people_of = {row.id: row.contact_id for row in _rows()}
    assert len({people_of[one] for one in got}) == 4, "four calls from two lists with the same six people"
    late = MONDAY + timedelta(minutes=21)
    for row in _rows():
        if row.list_id == lists[1] and row.contact_id != ids[0]:
            do(_drop, row.id)
    at(late, dialling.release, alice, lists[1]), at(late, dialling.release, bob, lists[1])
    taken = at(late, dialling.take_next, bob, lists[1])
    assert people_of[taken] == ids[0], "after twenty minutes somebody who went home keeps nobody"


def _rows():
    with read_session() as session:
        return list(session.exec(select(DialEntry)))


def _drop(session, entry_id):
    session.delete(session.get(DialEntry, entry_id))


def test_the_call_list_of_a_campaign_is_called_and_answers_it(cast):
    dana, alice = cast["dana"], cast["alice"]
    ids = people(3, phone=BERLIN, first=7)
    with clock.frozen(MONDAY):
        made_id = campaign(dana, ids, outlet=Outlet.CALL_LIST)
        with pytest.raises(Conflict):
            made(dana, source="campaign", source_id=made_id, entity="")
        launch(dana, made_id)
    assert made_id in do(dial_lists.launched, alice)
    list_id, ready = made(dana, source="campaign", source_id=made_id, entity="", purpose="marketing", reach="shared")
    assert ready == 3
    one = at(MONDAY, dialling.take_next, alice, list_id)
    two = settle(alice, one, "reached")
    three = settle(alice, two, "not_interested")
    assert settle(alice, three, "no_answer") is None
    with read_session() as session:
        members = {row.contact_id: row for row in session.exec(select(CampaignMember))}
        assert [members[one].status for one in ids] == [MemberStatus.RESPONDED, MemberStatus.DECLINED, MemberStatus.SENT]
        assert [members[one].responded_at for one in ids] == [MONDAY, None, None]


def test_the_count_asks_the_hours_as_the_press_does(cast):
    alice, bob = cast["alice"], cast["bob"]
    for name in ("Ada", "Bea"):
        contact(alice, name)
    list_id, _ = made(alice, reach="team")
    evening = datetime(2026, 6, 1, 20, 30, tzinfo=UTC)
    before = at(evening, dial_lists.progress, alice, list_id)
    assert (before.due, before.waits, before.next_at) == (0, {DialWait.HOURS: 2}, datetime(2026, 6, 2, 6, tzinfo=UTC))
    assert [row.progress for row in at(evening, dial_lists.find, alice)] == [before], "the page of all lists says the same"
    assert at(evening, dialling.take_next, alice, list_id) is None
    assert at(evening, dial_lists.progress, alice, list_id) == before, "the press found what the count had said"
    morning = datetime(2026, 6, 2, 10, tzinfo=UTC)
    at(morning, dialling.take_next, alice, list_id), at(morning, dialling.take_next, bob, list_id)
    for who in (alice, bob):
        found = at(morning, dial_lists.progress, who, list_id)
        assert (found.due, found.taken) == (1, 1), "their own person can be called, the colleague's can't"


@pytest.mark.parametrize("field", ["phone", "timezone", "preferred_hours"])
def test_the_count_tells_nobody_by_whose_clock_somebody_lives_whose_number_or_hours_a_role_hides(cast, field):
    alice = cast["alice"]
    for name, phone, zone in (("Ada", BERLIN, None), ("Bea", DENVER, None), ("Cem", OTHER, "Asia/Tokyo")):
        contact(alice, name, phone, timezone=zone)
    list_id, _ = made(alice)
    evening = datetime(2026, 6, 1, 20, 30, tzinfo=UTC)
    blind = replace(alice, masks=frozenset({("contact", field)}))
    assert at(evening, dial_lists.progress, alice, list_id).waits == {DialWait.HOURS: 2}
    found = at(evening, dial_lists.progress, blind, list_id)
    assert (found.due, found.waits, found.next_at) == (3, {}, None)
    assert at(evening, dialling.take_next, alice, list_id) is not None
    assert {wait for (wait,) in at(evening, _waits)} == {None, DialWait.HOURS}, "the press wrote down who waits for the hour"
    kept = at(evening, dial_lists.progress, blind, list_id)
    assert (kept.due + kept.taken, kept.waits, kept.next_at) == (3, {}, None), "and that tells nobody either"


def _waits(session):
    return [(one,) for one in session.exec(select(DialEntry.wait))]


def test_a_list_keeps_the_holidays_of_working_hours(cast):
    alice, root = cast["alice"], cast["root"]
    week = (((9 * 60, 17 * 60),),) * 5 + ((), ())
    free = DayException(date(2026, 6, 1), date(2026, 6, 2), name="Two days off")
    short = DayException(date(2026, 6, 3), date(2026, 6, 3), ((600, 720),), "Closes early")
    days = do(calendars.save, root, None, name="Office", timezone="Europe/Berlin", week=week, exceptions=(free, short)).id
    assert do(dial_lists.holiday_sets, alice) == ({days: "Office"}, days), "a new list begins with those that know a holiday"
    person = contact(alice, "Ada", preferred_hours="Mon-Sat 9-20")
    list_id, _ = made(alice, calendar_id=days)
    assert at(MONDAY, dial_lists.progress, alice, list_id).due == 0 and at(MONDAY, dialling.take_next, alice, list_id) is None
    assert entries()[person].due_at == datetime(2026, 6, 3, 8, tzinfo=UTC), (
        "not before the special hours of the first day that is no holiday"
    )
    for hour, ready in ((7, 0), (8, 1), (9, 1), (10, 0)):
        wednesday = datetime(2026, 6, 3, hour, 30 * (hour < 10), tzinfo=UTC)
        assert at(wednesday, dial_lists.progress, alice, list_id).due == ready, (
            f"{hour} o'clock UTC of a day that is open from ten to twelve"
        )
    assert at(datetime(2026, 6, 3, 10, tzinfo=UTC), dialling.take_next, alice, list_id) is None
    assert entries()[person].due_at == datetime(2026, 6, 4, 7, tzinfo=UTC), "their own hours of the day after"
    at(MONDAY, dial_lists.save, alice, list_id, {"calendar_id": None})
    assert at(MONDAY, dialling.take_next, alice, list_id), "without holidays Monday is a day as any other"
    with pytest.raises(Invalid, match="no longer exist"):
        do(dial_lists.save, alice, list_id, {"calendar_id": 999})
    endless = Hours(480, 1200, False, (DayException(date(2026, 1, 1), date(2036, 1, 1)),))
    assert dial_rules.opens_at(Wishes("Ida"), MONDAY, endless, fallback_zone="UTC") > MONDAY + timedelta(days=700)


def test_a_wrong_number_is_called_no_more_until_there_is_another_one(cast):
    alice = cast["alice"]
    lead = do(leads.create, alice, {"name": "Lea", "phone": BERLIN}).id
    imported = contact(alice, "Ada")
    do(_without_points, imported)
    for key in ("lead", "contact"):
        list_id, ready = made(alice, entity=key)
        assert ready == 1
        assert settle(alice, at(MONDAY, dialling.take_next, alice, list_id), "wrong_number") is None
        fresh, ready = made(alice, entity=key, name="Again")
        assert ready == 0 and do(dial_lists.left_out, alice, fresh) == {"bad_address": 1}, key
    assert do(records.get, alice, "lead", lead).phone_invalid
    became = do(leads.convert, alice, lead).contact_id
    with read_session() as session:
        assert session.exec(select(ContactPoint.invalid).where(ContactPoint.contact_id == became)).one(), "the contact knows it too"
    other = do(leads.create, alice, {"name": "Lou", "phone": BERLIN, "phone_invalid": True}).id
    do(leads.update, alice, other, {"phone": OTHER})
    assert not do(records.get, alice, "lead", other).phone_invalid, "another number is a new try"
    assert made(alice, entity="lead", name="New number")[1] == 1


def _without_points(session, contact_id):
    for row in session.exec(select(ContactPoint).where(ContactPoint.contact_id == contact_id)):
        session.delete(row)


def test_two_who_fill_one_list_at_once_both_get_it_filled(any_cast):
    alice = any_cast["alice"]
    contact(alice, "Ada")
    list_id, _ = made(alice)
    for n in range(30):
        contact(alice, f"P{n}")
    start, got = Barrier(3), []

    def fill():
        start.wait()
        try:
            got.append(do(dial_lists.refill, alice, list_id))
        except Exception as error:
            got.append(error)

    jobs = [Thread(target=fill) for _ in range(3)]
    [job.start() for job in jobs], [job.join() for job in jobs]
    assert got == [31, 31, 31] and len(entries()) == 31


@pytest.mark.parametrize("any_database", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_a_press_waits_for_nobody_who_moves_the_same_people(any_cast):
    alice, bob = any_cast["alice"], any_cast["bob"]
    asleep = [contact(alice, f"A{n}", DENVER) for n in range(3)]
    awake = contact(alice, "B")
    list_id, _ = made(alice, reach="team")
    got = []
    with write_session() as other:
        held = other.exec(select(DialEntry).where(DialEntry.contact_id == asleep[1]).with_for_update()).one()
        job = Thread(target=lambda: got.append(at(MONDAY, dialling.take_next, bob, list_id)), daemon=True)
        job.start(), job.join(20)
        assert got, "the press waited for a colleague's"
    people_of = entries()
    assert people_of[awake].id == got[0]
    assert [people_of[one].wait for one in asleep] == [DialWait.HOURS, None, DialWait.HOURS], held.id
