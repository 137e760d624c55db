"""The calendar shows what one may see, moves what may move, and leaves the house as a file that other programs read."""

from datetime import UTC, date, datetime, timedelta

import pytest
from icalendar import Calendar

from crm_core.db import read_session
from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.services.collaboration import agenda, feeds, notifications, tasks
from crm_core.services.marketing import campaigns
from crm_core.services.sales import deals
from tests.verbs import do

MONDAY = datetime(2026, 3, 30, 9, tzinfo=UTC)  # the day after the clocks went forward in Europe
EVIL = "Ärger; mit, Komma\nund Zeile " + "lang " * 40


def see(verb, *args, **kwargs):
    with read_session() as session:
        return verb(session, *args, **kwargs)


def week(actor, **more):
    return see(agenda.find, actor, date(2026, 3, 30), date(2026, 4, 6), **more)[0]


def test_each_kind_within_the_days_and_the_reach_of_the_role(any_cast):
    alice, bob, charlie, root = (any_cast[name] for name in ("alice", "bob", "charlie", "root"))
    do(agenda.meet, alice, {"subject": "Demo", "at": MONDAY, "minutes": 45})
    do(agenda.meet, alice, {"subject": "Next week", "at": MONDAY + timedelta(days=7)})
    do(agenda.meet, charlie, {"subject": "Elsewhere", "at": MONDAY})
    do(tasks.create, alice, {"subject": "Offer", "due_at": MONDAY + timedelta(hours=5)})
    do(deals.create, alice, {"name": "Big", "amount_minor": 5, "expected_close_on": date(2026, 4, 5)})
    do(campaigns.create, root, {"name": "Spring", "starts_on": date(2026, 3, 1), "ends_on": date(2026, 3, 30)})
    assert [entry.title for entry in week(alice)] == ["Spring", "Demo", "Offer", "Big"]
    assert [entry.title for entry in week(alice, owners=[alice.user_id])] == ["Demo", "Offer", "Big"]
    assert {entry.title for entry in week(bob)} == {"Demo", "Offer", "Big", "Spring"} and week(bob, owners=[bob.user_id]) == []
    assert {entry.title for entry in week(root)} == {"Demo", "Elsewhere", "Offer", "Big", "Spring"}
    assert list(see(agenda.people, alice).values()) == ["Alice Rep"] and len(see(agenda.people, bob)) == 2
    assert [entry.title for entry in week(root, only=["meeting"])] == ["Demo", "Elsewhere"]


def test_moving_and_resizing_and_what_can_not_move(cast):
    alice, charlie = cast["alice"], cast["charlie"]
    meeting = do(agenda.meet, alice, {"subject": "Demo", "at": MONDAY})
    do(agenda.move, alice, "meeting", meeting.id, MONDAY + timedelta(hours=2), minutes=90, base_version=1)
    (entry,) = week(alice)
    assert (entry.start, entry.end, entry.version) == (MONDAY + timedelta(hours=2), MONDAY + timedelta(hours=3, minutes=30), 2)
    with pytest.raises((NotFound, NotPermitted)):
        do(agenda.move, charlie, "meeting", meeting.id, MONDAY)
    with pytest.raises(Invalid):
        do(agenda.move, alice, "deal", 1, MONDAY)
    with pytest.raises(Invalid):
        do(agenda.meet, alice, {"subject": " ", "at": MONDAY})


def test_the_feed_is_a_calendar_that_others_read_and_ends_with_its_secret(cast, monkeypatch):
    alice = cast["alice"]
    do(notifications.choose, alice, meeting_minutes=30)
    with clock.frozen(MONDAY):
        meeting = do(agenda.meet, alice, {"subject": EVIL, "at": MONDAY, "minutes": 60})
        do(tasks.create, alice, {"subject": "Offer", "due_at": MONDAY + timedelta(hours=5)})
        do(agenda.meet, cast["bob"], {"subject": "Not mine", "at": MONDAY})
        token = do(feeds.renew, alice)
        raw = see(feeds.open_feed, token)
        assert raw == see(feeds.open_feed, token) and all(len(line) <= 75 for line in raw.split(b"\r\n"))
        first, second = Calendar.from_ical(raw).walk("VEVENT")
        assert first["summary"] == EVIL.strip().replace("\n", " ") or first["summary"].startswith("Ärger; mit, Komma")
        assert first.decoded("dtstart") == MONDAY and first["sequence"] == 0 and second["summary"] == "Offer"
        assert first.walk("VALARM")[0].decoded("trigger") == timedelta(minutes=-30)
        do(agenda.move, alice, "meeting", meeting.id, MONDAY + timedelta(hours=1))
        moved = next(one for one in Calendar.from_ical(see(feeds.open_feed, token)).walk("VEVENT") if one["uid"] == first["uid"])
        assert moved["sequence"] == 1 and moved.decoded("dtstart") == MONDAY + timedelta(hours=1)
        monkeypatch.setattr(agenda, "MOST", 1)
        do(agenda.meet, alice, {"subject": "Next month", "at": MONDAY + timedelta(days=40)})
        assert b"Next month" in see(feeds.open_feed, token), "however much there is before"
        newer = do(feeds.renew, alice)
        with pytest.raises(NotFound):
            see(feeds.open_feed, token)
        do(feeds.revoke, alice)
        with pytest.raises(NotFound):
            see(feeds.open_feed, newer)
