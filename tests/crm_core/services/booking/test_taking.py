"""Booking a meeting: a free time is taken once, whoever asks; the person is known or becomes a lead; both sides hear of everything."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, CrmError, Invalid, NotFound, NotPermitted, TooMany
from crm_core.kit import clock
from crm_core.models import Absence, Activity, Booking, BookingPage, Contact, Event, Lead, MailDelivery, Notification, Touchpoint
from crm_core.services.booking import pages, showing, taking, tokens, upkeep
from crm_core.services.booking.taking import JustTaken, Visit
from crm_core.services.collaboration import activities, agenda, invitations
from crm_core.vocabulary import BookingState, Channel
from tests.verbs import do

NOW = datetime(2026, 7, 6, 7, tzinfo=UTC)  # a Monday
AT = datetime(2026, 7, 7, 9, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
ALL_DAY = [[[8 * 60, 18 * 60]]] * 5 + [[], []]
ADA = {"name": "Ada Lovelace", "email": "ada@example.com", "phone": "+44 20 7946 0958", "q0": "Machines"}


@pytest.fixture(autouse=True)
def monday():
    with clock.frozen(NOW):
        yield


def rows(model):
    with read_session() as session:
        return list(session.exec(select(model).order_by(model.id)))


def page(actor, **more):
    values = {
        "name": "First talk",
        "slug": "first-talk",
        "week": ALL_DAY,
        "timezone": "UTC",
        "questions": [{"label": "About what?"}],
    }
    return do(pages.save, actor, None, values | more)


def visit(made, *, age=10, address="203.0.113.5", **utm):
    with write_session() as session:
        at = int(clock.utcnow().timestamp()) - age
        return Visit(address, f"{at}.{tokens.mac(session, f'{made.id}.{at}')}", utm=utm)


def take(made, at=AT, values=ADA, **how):
    return do(taking.book, made.slug, at, values, visit(made, **how))


def free(made, day=AT):
    with read_session() as session:
        return taking.month(session, made.slug, ZoneInfo("UTC"), day.date()).days.get(day.date(), [])


def mails(kind="invitation"):
    do(invitations.tell)
    return [mail for mail in rows(MailDelivery) if mail.kind == kind]


def test_a_stranger_becomes_a_lead_with_a_meeting_and_both_sides_hear_of_it(any_cast):
    alice = any_cast["alice"]
    made = page(alice)
    token = take(made, utm_medium="cpc", utm_source="search", tz="Europe/Berlin")
    [lead], [meeting], [touch] = rows(Lead), rows(Activity), rows(Touchpoint)
    assert (lead.name, lead.email, lead.owner_id) == ("Ada Lovelace", "ada@example.com", alice.user_id)
    assert (meeting.at, meeting.minutes, meeting.lead_id, meeting.owner_id) == (AT, 30, lead.id, alice.user_id)
    assert "Machines" in meeting.body and meeting.place == "By telephone: +44 20 7946 0958"
    assert touch.lead_id == lead.id and touch.channel is Channel.PAID_SEARCH
    [mail] = mails()
    assert mail.subject == "Confirmed: First talk with Alice Rep, 7 July, 11:00" and f"/b/{token}" in mail.content
    assert "11:00 to 11:30 (Europe/Berlin)" in mail.content and "METHOD:REQUEST" in mail.attachments[0]["text"]
    assert mails() == [mail], "once"
    assert [note.kind for note in rows(Notification)] == ["booking.made"]
    assert AT not in free(made) and AT + timedelta(minutes=30) in free(made)


def test_the_same_click_twice_is_one_booking_and_two_people_never_get_the_same_time(any_cast):
    made = page(any_cast["alice"])
    assert take(made) == take(made)
    with pytest.raises(JustTaken) as gone:
        take(made, values={**ADA, "email": "grace@example.com"})
    assert gone.value.instead and AT not in gone.value.instead
    assert len(rows(Booking)) == len(rows(Lead)) == 1

    def race(number):
        with clock.frozen(NOW):
            try:
                return take(
                    made, AT + timedelta(hours=2), {**ADA, "email": f"p{number}@example.com"}, address=f"198.51.100.{number}"
                )
            except CrmError as error:
                return type(error).__name__

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(race, range(4)))
    assert sum("-" in one for one in found) == 1, found
    assert len([one for one in rows(Activity) if one.at == AT + timedelta(hours=2)]) == 1


def test_known_people_stay_one_and_nothing_of_them_is_overwritten(cast):
    made = page(cast["alice"])
    with write_session() as session:
        session.add(Contact(name="Ada King", email="ADA@example.com"))
    take(made)
    take(made, AT + timedelta(hours=1), {**ADA, "name": "Somebody", "email": "new@example.com"})
    take(made, AT + timedelta(hours=2), {**ADA, "name": "Other", "email": "new@example.com"})
    assert [one.name for one in rows(Contact)] == ["Ada King"] and [one.name for one in rows(Lead)] == ["Somebody"]
    assert rows(Activity)[0].contact_id == rows(Contact)[0].id


def test_what_is_busy_is_not_offered(cast):
    alice = cast["alice"]
    made = page(alice, before_minutes=15, after_minutes=15)
    assert len(free(made)) == 20
    do(agenda.meet, alice, {"subject": "Dentist", "at": AT, "minutes": 30})
    assert [f"{one:%H:%M}" for one in free(made)[:4]] == ["08:00", "10:00", "10:30", "11:00"]
    with write_session() as session:
        session.add(Absence(user_id=alice.user_id, first_on=AT.date(), last_on=AT.date()))
    assert free(made) == []
    with pytest.raises(JustTaken):
        take(made, AT + timedelta(hours=3))
    for wrong in (AT - timedelta(days=2), AT + timedelta(days=200), AT + timedelta(days=1, minutes=7)):
        with pytest.raises(JustTaken):
            take(made, wrong)


def test_several_people_take_turns_and_the_last_one_free_takes_the_rest(cast):
    ids = [cast["alice"].user_id, cast["charlie"].user_id]
    made = page(cast["bob"], host_ids=ids)
    for number in range(2):
        take(made, AT, {**ADA, "email": f"p{number}@example.com"})
    assert {one.owner_id for one in rows(Activity)} == set(ids), "both have time at once"
    take(made, AT + timedelta(hours=1), {**ADA, "email": "p3@example.com"})
    take(made, AT + timedelta(hours=2), {**ADA, "email": "p4@example.com"})
    assert sorted(one.owner_id for one in rows(Activity)) == sorted(ids * 2)


def test_moving_and_calling_off_by_the_link(any_cast):
    made = page(any_cast["alice"])
    token = take(made)
    assert len(mails()) == 1
    later = AT + timedelta(minutes=15)
    with pytest.raises(JustTaken):
        do(taking.move, token, later)
    do(taking.move, token, AT + timedelta(minutes=30))  # touches the meeting itself, which is in nobody's way
    do(taking.move, token, AT + timedelta(minutes=30))
    [_, moved] = mails()
    assert moved.subject.startswith("Changed:") and AT in free(made)
    numbers = [int(one.attachments[0]["text"].split("SEQUENCE:")[1].split()[0]) for one in (_, moved)]
    assert numbers[0] < numbers[1], "calendars take only what is newer"
    do(taking.cancel, token, "Ill")
    do(taking.cancel, token)
    [*_, off] = mails()
    assert len(mails()) == 3 and "METHOD:CANCEL" in off.attachments[0]["text"]
    assert [note.kind for note in rows(Notification)] == ["booking.made", "booking.moved", "booking.cancelled"]
    note = next(one for one in rows(Activity) if one.deleted_at is None)
    assert note.subject.startswith("Called off") and "Ill" in note.body
    with pytest.raises(Conflict):
        do(taking.move, token, AT)
    assert do(taking.show, token).cancelled
    for altered in (token[:-1], token + "0", "1-" + token.split("-")[1][::-1], "", "zz", "ffffffff-" + "0" * 32):
        with pytest.raises(NotFound):
            do(taking.show, altered)


def test_what_a_colleague_changes_in_the_calendar_reaches_the_visitor(cast):
    alice = cast["alice"]
    take(page(alice))
    meeting = rows(Activity)[0]
    mails()
    do(activities.update, alice, meeting.id, {"body": "Only for us"})
    assert len(mails()) == 1, "notes of colleagues are no news for the visitor"
    do(agenda.move, alice, "meeting", meeting.id, AT + timedelta(days=1))
    do(activities.remove, alice, meeting.id)
    [_, off] = mails()
    assert off.subject.startswith("Called off") and "Only for us" not in off.content


def test_robots_floods_and_bad_input(cast, monkeypatch):
    made = page(cast["alice"])
    for values, how, field in (
        ({**ADA, "email": "nobody"}, {}, "email"), ({**ADA, "name": " "}, {}, "name"), ({**ADA, "phone": ""}, {}, "phone"),
        ({**ADA, taking.TRAP: "x"}, {}, None), (ADA, {"age": 0}, None),
    ):  # fmt: skip
        with pytest.raises(Invalid) as wrong:
            take(made, values=values, **how)
        assert field is None or field in wrong.value.fields
    for number in range(taking.MOST_COMING):
        take(made, AT + timedelta(minutes=30 * number))
    with pytest.raises(TooMany):
        take(made, AT + timedelta(hours=5))
    monkeypatch.setattr(taking, "PER_SOURCE", 5)
    with pytest.raises(TooMany):
        take(made, AT + timedelta(hours=5), {**ADA, "email": "other@example.com"})
    assert len(rows(Booking)) == taking.MOST_COMING


def test_a_day_before_the_visitor_is_reminded_once(cast):
    made = page(cast["alice"])
    take(made, AT + timedelta(days=2))
    take(made, AT, {**ADA, "email": "quick@example.com"})
    for hours, told in ((1, 0), (48, 0), (51, 1), (52, 1)):
        with clock.frozen(NOW + timedelta(hours=hours)):
            do(upkeep.remind_now, clock.utcnow())
        assert len([one for one in rows(MailDelivery) if one.kind == "booking_reminder"]) == told


def test_who_may_make_pages(cast):
    alice, bob = cast["alice"], cast["bob"]
    made = page(alice)
    with pytest.raises(Invalid, match="your own time"):
        page(alice, slug="for-both", host_ids=[alice.user_id, bob.user_id])
    with pytest.raises(NotPermitted):
        do(pages.save, cast["charlie"], made.id, {"name": "Mine now"})
    with pytest.raises(NotPermitted):
        do(pages.save, cast["ana"], None, {"name": "Mine"})
    with pytest.raises(Conflict):
        do(pages.save, alice, made.id, {"name": "Old"}, base_version=made.version + 1)
    with pytest.raises(Invalid) as wrong:
        page(bob, name="", slug="first-talk", minutes=0, week=[[]] * 7, place="video", ahead_days=0)
    assert set(wrong.value.fields) == {"name", "slug", "minutes", "week", "place_text", "ahead_days"}
    do(pages.save, bob, made.id, {"name": "By Bob", "is_active": False})
    with pytest.raises(NotFound):
        do(taking.offer, "first-talk")
    take_part = do(pages.find, alice)
    assert take_part[0].may_edit and take_part[0].next_free is None
    do(pages.remove, alice, made.id)
    assert rows(BookingPage) == []


def test_who_did_not_come_is_noted_asked_for_once_and_invited_again(cast):
    alice, bob, charlie = cast["alice"], cast["bob"], cast["charlie"]
    made = page(alice)
    token = take(made)
    booking = rows(Booking)[0]
    with pytest.raises(Conflict, match="not begun"):
        do(showing.mark, alice, booking.id, "no_show")
    assert do(showing.ask_now, AT + timedelta(minutes=29)) == 0, "it is not over"
    with clock.frozen(AT + timedelta(hours=1)):
        assert [do(showing.ask_now, clock.utcnow()) for _ in range(2)] == [1, 0]
        assert [one.kind for one in rows(Notification)].count("booking.unmarked") == 1
        assert [one.name for one in do(showing.unmarked, alice, made.id)] == ["Ada Lovelace"] and do(
            showing.unmarked, charlie, made.id
        ) == []
        with pytest.raises(NotPermitted):
            do(showing.mark, charlie, booking.id, "no_show")
        for _ in range(2):
            do(showing.mark, bob, booking.id, "no_show")
        assert [one.type for one in rows(Event)].count("lead.no_show") == 1 and do(showing.unmarked, alice, made.id) == []
        shown = do(showing.of_meeting, alice, booking.activity_id)
        assert (shown.state, shown.open, shown.may_mark, shown.may_ask_again) == (BookingState.NO_SHOW, False, True, True)
        assert [one.id for one in do(showing.of_person, alice, "lead", booking.lead_id)] == [booking.id]
        row = do(pages.find, alice)[0]
        assert (row.missed, row.said, row.lately) == (1, 1, 1)
        do(showing.ask_again, alice, booking.id)
        with pytest.raises(Conflict, match="already"):
            do(showing.ask_again, alice, booking.id)
        mail = rows(MailDelivery)[-1]
        assert mail.kind == "booking_again" and "/book/first-talk" in mail.content
        do(showing.mark, alice, booking.id, "attended")
        with pytest.raises(Conflict):
            do(showing.ask_again, alice, booking.id)
        assert (do(pages.find, alice)[0].missed, do(taking.show, token).cancelled) == (0, False)
        do(showing.mark, alice, booking.id, "booked")
        assert do(pages.find, alice)[0].said == 0
        do(showing.mark, alice, booking.id, "no_show")
        later = clock.utcnow() + timedelta(days=3)
        do(activities.update, alice, booking.activity_id, {"at": later})
        shown = do(showing.of_meeting, alice, booking.activity_id)
        assert (shown.state, shown.may_ask_again) == (BookingState.BOOKED, False), "on another day they may come"
    with clock.frozen(later - timedelta(hours=20)):
        assert do(upkeep.remind_now, clock.utcnow()) == 1
    with clock.frozen(later + timedelta(hours=1)):
        assert do(showing.of_meeting, alice, booking.activity_id).open
        assert [do(showing.ask_now, clock.utcnow()) for _ in range(2)] == [1, 0]
        do(showing.mark, alice, booking.id, "no_show")
        assert do(showing.of_meeting, alice, booking.activity_id).state is BookingState.NO_SHOW
