"""The outbox page: for administrators only, empty and filled."""

from crm_core.db import write_session
from crm_core.services.collaboration import halts, outbox
from crm_core.vocabulary import HaltKind
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


def test_a_stop_of_all_mail_stands_on_every_page_and_goes_on_from_there(cast):
    with write_session() as session:
        halts.stop(session, cast["root"], HaltKind.MAIL, "Wrong *price*")
    theirs = open_screen(cast["alice"], "tasks")
    assert (
        "All outgoing mail is stopped" in words(theirs)
        and "Wrong *price*" in words(theirs)
        and "Switch on again" not in words(theirs)
    )
    mine = open_screen(cast["root"], "outbox")
    assert "Stop all mail" not in words(mine)
    mine.button(key="resume_mail").click().run()
    assert not mine.exception and "Nothing waits." in words(mine)
