"""The page of service levels, and what a ticket shows of them."""

import pytest

from crm_core.db import read_session, write_session
from crm_core.services.helpdesk import calendars, service_levels, sla_replay, tickets
from tests.pages.app import open_screen, words
from ui.components.sla_card import minutes_of, span
from ui.navigation import screen_of, screens_for

OFFICE = [[(540, 720), (780, 1020)]] * 5 + [[], []]
TARGETS = {"normal": {"first": 60, "resolve": 480}}


def promise(actor):
    with write_session() as session:
        hours = calendars.save(session, actor, None, name="Office *1*", timezone="Europe/Berlin", week=OFFICE)
        return service_levels.save(session, actor, None, name="Gold <b>", targets=TARGETS, calendar_id=hours.id).id


def test_an_empty_page_says_what_to_do_and_a_level_can_be_made_switched_and_removed(cast):
    root = cast["root"]
    app = open_screen(root, "service-levels")
    assert not app.exception and "No service levels yet" in words(app)
    policy_id = promise(root)
    app = open_screen(root, "service-levels")
    assert not app.exception
    assert "Gold" in words(app) and "Mon–Fri 09:00–12:00, 13:00–17:00" in words(app)
    app.button(key=f"switch_{policy_id}").click().run()
    assert "Switched off" in words(app)
    app.button(key=f"remove_{policy_id}").click().run()
    assert "No service levels yet" in words(app)


def test_the_dialogs_open_with_what_is_there(cast):
    policy_id = promise(cast["root"])
    for key in ("new_policy", "new_calendar", f"edit_{policy_id}", "cal_edit_1"):
        app = open_screen(cast["root"], "service-levels")
        app.button(key=key).click().run()
        assert not app.exception, key
        assert any(field.label == "Name *" for field in app.text_input)


def test_only_whoever_may_know_of_them_finds_the_page(cast):
    assert screen_of("service-levels") in screens_for(cast["bob"])
    for who in ("alice", "dana", "sam", "ana"):
        assert screen_of("service-levels") not in screens_for(cast[who])


def test_a_ticket_shows_what_is_due_next(cast):
    promise(cast["root"])
    with write_session() as session:
        ticket = tickets.create(session, cast["sam"], {"subject": "Help"})
    app = open_screen(cast["sam"], "ticket", id=ticket.id)
    assert not app.exception
    assert "Service level" in words(app) and "First response" in words(app) and "Running" in words(app)
    assert not open_screen(cast["sam"], "tickets").exception


def test_a_level_is_tried_on_the_past_within_what_one_may_see(cast):
    with write_session() as session:
        answered = tickets.create(session, cast["sam"], {"subject": "Answered"})
        tickets.reply(session, cast["sam"], answered.id, "Yes")
        tickets.create(session, cast["sam"], {"subject": "Open"})
    with read_session() as session:
        found = sla_replay.replay(session, cast["sam"], targets=TARGETS)
        assert [(row.target.value, row.kept, row.decided) for row in found.rows] == [("first", 1, 1)]
        assert found.tickets == 2 and found.undecided == 3
        assert 0 < found.rows[0].low < 1 and found.rows[0].high == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "minutes"), [("30m", 30), ("4h", 240), ("1h 30m", 90), ("2 d", 2880), ("8", 480), ("", None), (None, None)]
)
def test_spans_are_read_as_people_write_them(text, minutes):
    assert minutes_of(text) == minutes
    if minutes is not None:
        assert minutes_of(span(minutes)) == minutes


@pytest.mark.parametrize("text", ["soon", "4x", "-3h", "h"])
def test_what_is_no_span_is_refused(text):
    with pytest.raises(ValueError):
        minutes_of(text)
