"""One's own account: everybody has the screen, with and without a password."""

import pytest

from crm_core.db import read_session, write_session
from crm_core.models import User
from crm_core.services.admin import passwords, sessions
from crm_core.vocabulary import SigninMethod
from tests.pages.app import open_screen, words
from tests.quick_hashes import quick_hashes as quick_hashes


@pytest.mark.parametrize("who", ["root", "bob", "alice", "dana", "sam", "ana"])
def test_everybody_sees_their_account(cast, who):
    app = open_screen(cast[who], "profile")
    assert not app.exception and not app.error
    assert cast[who].name in app.text_input[0].value and "You came without a password" in words(app)


def test_a_time_zone_of_ones_own_can_be_given_up_again(cast):
    alice = cast["alice"]
    with write_session() as session:
        session.get(User, alice.user_id).timezone = "Asia/Calcutta"  # by an older name, as some imports bring it
    for wanted in ("Pacific/Auckland", ""):
        app = open_screen(alice, "profile")
        zone = next(box for box in app.selectbox if box.label == "Time zone")
        assert zone.options[0] == "As the workspace (UTC)"
        app.button(key="me_save").click().run()
        next(box for box in app.selectbox if box.label == "Time zone").set_value(wanted)
        app.button(key="me_save").click().run()
        assert not app.exception and not app.error
        with read_session() as session:
            assert session.get(User, alice.user_id).timezone == (wanted or None)


def test_the_password_is_changed_with_the_present_one_and_signs_the_others_out(cast):
    alice = cast["alice"]
    with write_session() as session:
        session.get(User, alice.user_id).password_hash = passwords.hash_password("quiet river stone")
        elsewhere = sessions.start(session, alice.user_id, SigninMethod.LOCAL)
    app = open_screen(alice, "profile")
    app.text_input(key="pw_current").set_value("wrong")
    app.text_input(key="pw_new").set_value("another long password")
    next(button for button in app.button if button.label == "Change password").click()
    app.run()
    assert "not your present password" in words(app)
    app.text_input(key="pw_current").set_value("quiet river stone")
    app.text_input(key="pw_new").set_value("another long password")
    next(button for button in app.button if button.label == "Change password").click()
    app.run()
    assert not app.exception and not app.error
    with read_session() as session:
        assert passwords.fits(session.get(User, alice.user_id).password_hash, "another long password")
        assert sessions.lookup(session, elsewhere) is None


def test_the_other_browsers_are_signed_out_with_one_click(cast):
    alice = cast["alice"]
    with write_session() as session:
        elsewhere = sessions.start(session, alice.user_id, SigninMethod.LOCAL)
    app = open_screen(alice, "profile")
    app.button(key="sign_out_others").click().run()
    assert not app.exception
    with read_session() as session:
        assert sessions.lookup(session, elsewhere) is None
