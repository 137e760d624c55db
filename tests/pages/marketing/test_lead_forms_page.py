"""The page of lead forms."""

from crm_core.db import write_session
from crm_core.services.marketing import capture, lead_forms
from tests.pages.app import open_screen, words
from ui.navigation import screen_of, screens_for

FIELDS = [{"key": "name", "required": True}, {"key": "email", "required": True}]


def test_an_empty_page_says_what_to_do_and_shows_what_is_made(cast):
    app = open_screen(cast["dana"], "forms")
    assert not app.exception and "No forms yet" in words(app)
    app.button(key="first_form").click().run()
    assert not app.exception and any(field.label == "Name *" for field in app.text_input)
    with write_session() as session:
        form = lead_forms.save(session, cast["dana"], None, {"name": "Con<b>tact</b>", "fields": FIELDS})
        key = lead_forms.new_key(session, cast["dana"], form.id)
        capture.submit_by_key(session, key, {"name": "Ada", "email": "ada@example.com"}, capture.Sender())
    for button, text in (
        (f"use_{form.id}", "Its own page"),
        (f"log_{form.id}", "New lead"),
        (f"key_{form.id}", "stops working"),
        (f"change_{form.id}", ""),
    ):
        app = open_screen(cast["dana"], "forms")
        assert [metric.value for metric in app.metric] == ["1", "1", "0"]
        app.button(key=button).click().run()
        assert not app.exception, button
        shown = words(app) + "".join(str(element.proto) for element in app.get("bidi_component"))
        assert text in shown


def test_only_those_who_may_know_of_them_find_the_page(cast):
    assert screen_of("forms") in screens_for(cast["root"])
    for who in ("alice", "bob", "sam", "ana"):
        assert screen_of("forms") not in screens_for(cast[who])
