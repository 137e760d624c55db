"""The page of booking pages, and guests in the dialog of a meeting."""

from datetime import timedelta

import pytest

from crm_core.db import write_session
from crm_core.kit import clock
from crm_core.services.booking import pages
from crm_core.services.collaboration import invitations
from tests.pages.app import open_screen, words
from ui.navigation import screen_of, screens_for


def test_a_page_is_made_changed_and_shown_by_whoever_meets_people(cast):
    app = open_screen(cast["alice"], "booking")
    assert not app.exception and "No booking pages yet" in words(app)
    app.button(key="first_page").click().run()
    assert not app.exception and not [one for one in app.multiselect if one.label == "Whose time"], "one's own time only"
    assert {"What is booked *", "End of its address"} <= {one.label for one in app.text_input}
    with write_session() as session:
        values = {"name": "A first <b>talk</b>", "week": [[[540, 1020]]] * 5 + [[], []], "timezone": "UTC"}
        pages.save(session, cast["alice"], None, values)
        [row] = pages.find(session, cast["alice"])
    for button in (f"list_{row.page.id}", f"change_{row.page.id}"):
        app = open_screen(cast["bob"], "booking")
        app.button(key=button).click().run()
        assert not app.exception, button
    app = open_screen(cast["charlie"], "booking")
    assert not app.exception and f"change_{row.page.id}" not in [one.key for one in app.button]


@pytest.mark.parametrize(("who", "there"), [("root", True), ("bob", True), ("dana", True), ("sam", True), ("ana", False)])
def test_who_finds_the_page(cast, who, there):
    assert (screen_of("booking") in screens_for(cast[who])) is there


def test_a_meeting_shows_its_guests_and_a_place_for_more(cast):
    with write_session() as session:
        values = {"subject": "Demo", "at": clock.utcnow() + timedelta(days=1), "place": "Room <1>"}
        meeting = invitations.plan(session, cast["alice"], values, addresses=["ida@example.com"])
    app = open_screen(cast["alice"], "calendar", meeting=meeting.id)
    assert not app.exception and "ida@example.com" in words(app) and "Guests" in words(app)
    assert app.text_input(key=f"guest_address_{meeting.id}_1")
