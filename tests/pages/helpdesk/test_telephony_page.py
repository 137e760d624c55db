"""The page of telephone menus."""

from datetime import UTC, datetime, timedelta

import pytest

from crm_core.db import read_session, write_session
from crm_core.errors import NotFound, NotPermitted
from crm_core.services.helpdesk import calendars
from crm_core.services.telephony import menus
from tests.pages.app import open_screen, words
from ui.navigation import screen_of, screens_for


def test_from_an_empty_page_to_a_menu_in_use(cast):
    app = open_screen(cast["root"], "telephony")
    assert not app.exception and "No telephone menu yet" in words(app)
    app.button(key="first_menu").click().run()
    assert not app.exception and any(field.label == "Name *" for field in app.text_input)
    with write_session() as session:
        made = menus.save(session, cast["root"], None, {"name": "Ma<b>in"})
    app = open_screen(cast["root"], "telephony")
    assert not app.exception and "calls are refused until" in words(app)
    app.button(key=f"publish_{made.id}").click().run()
    assert "In use" in words(app)
    app.button(key=f"try_{made.id}").click().run()
    assert not app.exception and "Press Call" in words(app) and "always open" in words(app)
    app = open_screen(cast["root"], "telephony")
    app.button(key=f"steps_{made.id}").click().run()
    assert not app.exception


def test_an_earlier_version_is_looked_at_and_brought_back(cast):
    root = cast["root"]
    with write_session() as session:
        menu = menus.publish(session, root, menus.save(session, root, None, {"name": "Main"}).id)
        first = dict(menu.flow)
        other = {"kind": "hangup", "title": "Bye", "prompt": "We <b>moved</b>"}
        menus.set_node(session, root, menu.id, "message", other)
        menus.publish(session, root, menu.id)
    app = open_screen(cast["sam"], "telephony")
    app.button(key=f"versions_{menu.id}").click().run()
    assert not app.exception and not any(str(button.key).startswith("vv_back") for button in app.button)
    app = open_screen(root, "telephony")
    app.button(key=f"versions_{menu.id}").click().run()
    assert "Version 2" in " ".join(one.label for one in app.expander)
    assert "put to use are lost" not in words(app), "the draft is version 2"
    with write_session() as session:
        menus.set_node(session, root, menu.id, "message", {**other, "title": "See you"})
    app = open_screen(root, "telephony")
    app.button(key=f"versions_{menu.id}").click().run()
    assert "Steps that were not put to use are lost" in words(app)
    app.button(key=f"versions_{menu.id}").click()  # pressed together: Streamlit's runner closes a dialog with the next run
    app.button(key=f"vv_back_{menu.id}_1").click().run()
    assert not app.exception
    with read_session() as session:
        row = menus.find(session, root)[0]
        assert (row.menu.flow, row.menu.published_no, row.changed) == (first, 2, True), "callers hear it only once it is put to use"
        assert [(one.no, one.by, one.calls) for one in menus.versions(session, root, menu.id)] == [(2, "Root", 0), (1, "Root", 0)]
    with pytest.raises(NotPermitted), write_session() as session:
        menus.bring_back(session, cast["sam"], menu.id, 1)
    with pytest.raises(NotFound), write_session() as session:
        menus.bring_back(session, root, menu.id, 9)


def test_the_hours_of_a_menu_answer_for_any_moment(cast):
    root, monday = cast["root"], datetime(2026, 6, 1, 8, tzinfo=UTC)
    with write_session() as session:
        hours = calendars.save(session, root, None, name="Office", timezone="Europe/Berlin", week=[[(540, 1020)]] * 5 + [[], []])
        menu = menus.save(session, root, None, {"name": "Main", "calendar_id": hours.id})
    with read_session() as session:
        assert menus.opening(session, cast["sam"], menu.id, monday) == (True, "Office")
        assert menus.opening(session, cast["sam"], menu.id, monday - timedelta(hours=2)) == (False, "Office")
        with pytest.raises(NotPermitted):
            menus.opening(session, cast["alice"], menu.id, monday)


def test_each_role_finds_the_page_that_it_may_see(cast):
    for who in ("root", "bob", "sam"):
        assert screen_of("telephony") in screens_for(cast[who])
    for who in ("alice", "dana", "ana"):
        assert screen_of("telephony") not in screens_for(cast[who])
    app = open_screen(cast["sam"], "telephony")
    assert not app.exception and not any(button.key == "new_menu" for button in app.button)
