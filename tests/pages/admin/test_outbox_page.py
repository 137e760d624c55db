"""The outbox page: for administrators only, empty and filled."""

from crm_core.db import write_session
from crm_core.services.collaboration import outbox
from tests.pages.app import open_screen, words
from ui.navigation import screens_for


def put(actor, **values):
    with write_session() as session:
        given = {
            "to": "ida@example.com",
            "subject": "*Hello*",
            "text": "The words",
            "kind": "report",
            "dedupe_key": "k",
            "start": False,
        }
        return outbox.queue(session, actor, **{**given, **values})


def test_an_empty_outbox_says_what_comes_here_and_where_mail_goes(cast):
    app = open_screen(cast["root"], "outbox")
    assert not app.exception and "Nothing was sent yet" in words(app) and "No mail server is set" in words(app)


def test_a_message_shows_its_words_and_a_secret_one_does_not(cast):
    open_id, secret_id = put(cast["root"]), put(cast["root"], dedupe_key="s", secret=True, text="token-abc", kind="invite")
    shown = open_screen(cast["root"], "outbox", mail=open_id)
    assert not shown.exception and "The words" in "".join(code.value for code in shown.code)
    hidden = open_screen(cast["root"], "outbox", mail=secret_id)
    assert "token-abc" not in "".join(code.value for code in hidden.code) and "not shown" in words(hidden)


def test_nobody_else_has_the_page(cast):
    having = {who for who, actor in cast.items() if "outbox" in {screen.url for screen in screens_for(actor)}}
    assert having == {"root"}
