"""Booking over HTTP: without an account and without script, nothing typed lost, and no word to anybody whose link is altered."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.models import Activity
from crm_core.services.booking import pages, tokens

NOW = datetime(2026, 7, 6, 7, tzinfo=UTC)
EVIL = '"><script>alert(1)</script>'


@pytest.fixture
def opened(staff):
    with write_session() as session:
        values = {
            "name": "First <b>talk</b>", "slug": "first-talk", "week": [[[480, 720]]] * 5 + [[], []], "timezone": "UTC", "place": "video",
            "place_text": "https://meet.example.com/room", "questions": [{"label": "Why?", "required": True}],
        }  # fmt: skip
        return pages.save(session, staff["alice"], None, values)


@pytest.fixture
def july(monkeypatch):
    with clock.frozen(NOW):
        yield


def fields(answer):
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', answer.text))


def test_a_stranger_chooses_a_time_books_moves_and_calls_off(guest, opened, july, monkeypatch):
    monkeypatch.setattr(tokens, "QUICKEST", 0)
    first = guest.get("/book/first-talk?utm_medium=email&tz=Europe/Berlin", headers={"referer": "https://news.example.com/x?y=1"})
    assert first.status_code == 200 and "First &lt;b&gt;talk&lt;/b&gt;" in first.text and "July 2026" in first.text
    assert "noindex" in first.headers["x-robots-tag"] and "meet.example.com" not in first.text, "the room is for who has booked"
    links = [one.replace("&amp;", "&") for one in re.findall(r'<li><a href="([^"]+)">[0-9:]+</a>', first.text)]
    assert ">13:00</a>" in first.text and "utm_medium=email" in links[0]  # 11:00 UTC, four hours from now
    form = guest.get(links[0])
    sent = fields(form) | {"name": "Ada", "email": "ada@example.com", "note": EVIL}
    wrong = guest.post("/book/first-talk", data=sent)
    assert wrong.status_code == 422 and "Please answer this question" in wrong.text
    assert "<script>alert" not in wrong.text and "&lt;script&gt;alert" in wrong.text, "nothing typed is lost, and it stays text"
    done = guest.post("/book/first-talk", data=fields(wrong) | sent | {"q0": "Because"})
    assert done.status_code == 303, done.text
    booked = guest.get(done.headers["location"])
    assert "A confirmation is on its way to ada@example.com" in booked.text and "meet.example.com/room" in booked.text
    taken = guest.post("/book/first-talk", data=sent | {"q0": "Because", "email": "grace@example.com"})
    assert (
        taken.status_code == 409
        and "just taken" in taken.text
        and 'type="radio" name="at"' in taken.text
        and 'value="grace@example.com"' in taken.text
    )
    own = done.headers["location"].split("?")[0]
    assert guest.get(f"{own}.ics").text.count("BEGIN:VEVENT") == 1
    choose = guest.get(f"{own}?move=1&day=2026-07-08")
    to = re.search(r'<li><a href="([^"]+)">10:00</a>', choose.text)[1].replace("&amp;", "&")
    asked = guest.get(to)
    assert "Move the meeting?" in asked.text and guest.post(own, data=fields(asked)).status_code == 303
    with read_session() as session:
        assert session.exec(select(Activity.at)).one() == datetime(2026, 7, 8, 8, tzinfo=UTC)
    assert "Call the meeting off?" in guest.get(f"{own}?cancel=1").text
    assert guest.post(own, data={"do": "cancel", "reason": EVIL}).status_code == 303
    assert "Called off" in guest.get(own).text and guest.get(f"{own}.ics").status_code == 404
    assert guest.post(own, data={"do": "move", "at": "2026-07-09T08:00Z"}).status_code == 409


def test_what_is_typed_into_the_address_does_no_harm(guest, opened, july):
    for query in (
        "day=x",
        "day=9999-12-31",
        "day=0001-01-01",
        "at=x",
        "at=9999-12-31T23:59Z",
        "at=2026-07-06",
        "tz=../../etc",
        "tz=" + "x" * 3000,
        "utm_source=" + EVIL,
    ):
        answer = guest.get(f"/book/first-talk?{query}")
        assert answer.status_code == 200 and "<script>alert" not in answer.text, query
    assert guest.post("/book/first-talk", data={}).status_code == 422
    assert guest.put("/book/first-talk").status_code == 405
    with write_session() as session:
        pages.save(session, guest_actor(session), opened.id, {"is_active": False})
    for path in ("/book/first-talk", "/book/", "/book/x/y", "/b/", "/b/1-abc", "/b/1-abc.ics"):
        answer = guest.get(path)
        assert answer.status_code == 404 and "Alice" not in answer.text, path


def guest_actor(session):
    from crm_core.access import load
    from crm_core.models import User

    return load(session, session.exec(select(User.id).where(User.email == "alice@example.com")).one())


def test_a_month_without_free_times_says_so(guest, opened, july):
    with write_session() as session:
        pages.save(session, guest_actor(session), opened.id, {"ahead_days": 1, "notice_hours": 48})
    answer = guest.get("/book/first-talk")
    assert answer.status_code == 200 and "No free times in July" in answer.text
    assert clock.utcnow() + timedelta(days=1) > NOW
