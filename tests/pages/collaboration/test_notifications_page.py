"""The bell, the page of notifications and its settings."""

from crm_core.db import read_session, write_session
from crm_core.services.collaboration import notifications
from crm_core.services.customers import accounts
from tests.pages.app import open_screen, words

EVIL = "![x](http://e) <script>**b**"


def told(actor):
    with read_session() as session:
        return notifications.find(session, actor)[0]


def test_the_bell_counts_and_the_page_marks_undoes_snoozes_and_opens(cast):
    alice = cast["alice"]
    app = open_screen(alice, "notifications")
    assert not app.exception and "Nothing yet" in words(app)
    with write_session() as session:
        account = accounts.create(session, cast["root"], {"name": EVIL})
        about = {"entity": "account", "record_id": account.id, "params": {"by": cast["root"].user_id}}
        for n in range(3):
            notifications.notify(session, alice.user_id, kind="assigned.record", dedupe_key=f"k{n}", **about)
    app = open_screen(alice, "notifications")
    assert "**3**" in app.button(key="bell").label and EVIL in words(app)
    assert all("![x]" not in button.label and "<script" not in button.label.replace("\\<", "") for button in app.button)
    app.button(key="notes_all").click().run()
    assert [one.read for one in told(alice)] == [True] * 3 and "3 notifications marked as read" in words(app)
    app.button(key="notes_undo_yes").click().run()
    assert not app.exception and [one.read for one in told(alice)] == [False] * 3
    app.button(key="bell").click().run()
    assert not app.exception and any(button.key and button.key.startswith("open_bell_") for button in app.button)
    app.button(key="bell_all").click().run()
    assert not app.exception and all(one.read for one in told(alice))


def test_wishes_are_kept(cast):
    app = open_screen(cast["ana"], "notifications", tab="settings")
    assert not app.exception
    app.selectbox(key="wish_mail_mention").select_index(0)
    app.toggle(key="wish_app_reminder.task").set_value(False)
    app.button(key="wishes_save").click().run()
    assert not app.exception
    with read_session() as session:
        kept = notifications.preference(session, cast["ana"])
        assert kept.channels["mention"] == {"app": True, "mail": "off"} and kept.channels["reminder.task"]["app"] is False
