"""The privacy page finds who asked, notes what they asked, makes a copy and begins an erasure only after reason and name."""

import pytest

from crm_core import jobs
from crm_core.db import read_session
from crm_core.models import PrivacyRequest
from crm_core.services import crud
from crm_core.services.admin.privacy import requests
from crm_core.vocabulary import PrivacyState
from tests.pages.app import draw_alone, open_screen, words
from tests.verbs import do, look
from ui.components.privacy_cards import erase_dialog


@pytest.fixture
def ida(cast):
    jobs.prepare()
    return cast["root"], do(crud.create, cast["root"], "contact", {"name": "Ida Holmgren", "email": "ida@holm.example"}).id


def test_nothing_is_there_at_first_and_a_search_that_finds_nobody_says_so(ida):
    root, _ = ida
    app = open_screen(root, "privacy")
    assert not app.exception and "Nothing is waiting" in words(app)
    app.text_input(key="privacy_q").set_value("Nemo").run()
    assert not app.exception and "Nobody found" in words(app)
    app.text_input(key="privacy_q").set_value("holmgren").run()
    assert not app.exception and "Nobody found" not in words(app)


def test_a_request_is_noted_and_a_copy_made(ida):
    root, contact = ida
    app = open_screen(root, "privacy", entity="contact", id=contact)
    app.button(key="erase_note").click().run()
    assert not app.exception and "due by" in words(app)
    app.button(key="copy_make").click().run()
    assert not app.exception
    found = look(requests.get, root, "contact", contact).requests
    assert [row.state for row in found] == [PrivacyState.RUNNING, PrivacyState.OPEN]
    jobs.execute(job_of(found[0].id), "privacy.copy", (found[0].id,))
    app = open_screen(root, "privacy", entity="contact", id=contact)
    assert not app.exception and "Made " in words(app)


def test_an_erasure_asks_for_reason_and_name_and_the_record_says_that_it_was_erased(ida):
    root, contact = ida
    app = open_screen(root, "privacy", entity="contact", id=contact)
    app.button(key="erase_preview").click().run()
    assert not app.exception and "Erase for good" in words(app)
    app = draw_alone(root, erase_dialog, look(requests.preview, root, "contact", contact), None)
    app.button(key="erase_yes").click().run()
    assert "Say why" in words(app) and look(requests.get, root, "contact", contact).requests == ()
    app.text_input(key="erase_reason").set_value("Asked by mail")
    app.text_input(key="erase_typed").set_value("ida holmgren")
    app.button(key="erase_yes").click().run()
    (request,) = look(requests.get, root, "contact", contact).requests
    jobs.execute(job_of(request.id), "privacy.erase", (request.id,))
    app = open_screen(root, "privacy", entity="contact", id=contact)
    assert not app.exception and f"Erased person {contact}" in words(app) and "Asked by mail" in words(app)
    app = open_screen(root, "contact", id=contact)
    assert not app.exception and "This person was erased" in words(app)


def test_what_was_read_is_confirmed_not_what_came_since(ida):
    root, contact = ida
    app = draw_alone(root, erase_dialog, look(requests.preview, root, "contact", contact), None)
    do(crud.update, root, "contact", contact, {"city": "Lund"})
    app.text_input(key="erase_reason").set_value("Asked by mail")
    app.text_input(key="erase_typed").set_value("Ida Holmgren")
    app.button(key="erase_yes").click().run()
    assert "was changed since the preview" in words(app) and look(requests.get, root, "contact", contact).requests == ()


def test_others_have_neither_the_page_nor_the_entry(cast):
    with pytest.raises(ValueError, match="no screen"):
        open_screen(cast["bob"], "privacy")


def job_of(request_id):
    with read_session() as session:
        return session.get_one(PrivacyRequest, request_id).job_id
