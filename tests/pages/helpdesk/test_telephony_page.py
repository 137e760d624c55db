"""The page of telephone menus."""

from crm_core.db import write_session
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
    assert not app.exception and "Press Call" in words(app)
    app = open_screen(cast["root"], "telephony")
    app.button(key=f"steps_{made.id}").click().run()
    assert not app.exception


def test_each_role_finds_the_page_that_it_may_see(cast):
    for who in ("root", "bob", "sam"):
        assert screen_of("telephony") in screens_for(cast[who])
    for who in ("alice", "dana", "ana"):
        assert screen_of("telephony") not in screens_for(cast[who])
    app = open_screen(cast["sam"], "telephony")
    assert not app.exception and not any(button.key == "new_menu" for button in app.button)
