"""Signing in: the right password, the wrong one, nobody, too often, from many addresses; sessions that live and end."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotPermitted, TooMany
from crm_core.kit import hashing
from crm_core.kit.clock import frozen, utcnow
from crm_core.models import AuthSession, Event, SigninAttempt, User
from crm_core.services.admin import passwords, sessions, signin
from crm_core.vocabulary import SigninMethod
from tests.quick_hashes import quick_hashes as quick_hashes

PASSWORD = "quiet river stone"


def with_password(actor):
    with write_session() as session:
        session.get(User, actor.user_id).password_hash = passwords.hash_password(PASSWORD)
    return actor


@pytest.fixture
def alice(cast):
    return with_password(cast["alice"])


@pytest.fixture
def any_alice(any_cast):
    return with_password(any_cast["alice"])


def attempt(email, password, address="10.0.0.1"):
    with write_session() as session:
        tried = signin.begin(session, email, address=address)
    if not passwords.fits(tried.password_hash, password):
        with write_session() as session:
            signin.fail(session, tried, address=address)
        return None
    with write_session() as session:
        return signin.succeed(session, tried, password=password, address=address, browser="Test")


def event_types():
    with read_session() as session:
        return list(session.exec(select(Event.type).order_by(Event.id)))


def test_the_right_password_opens_a_session_and_leaves_an_event(any_alice):
    token = attempt(" Alice@Example.com ", PASSWORD)
    with read_session() as session:
        found = sessions.lookup(session, token)
        assert found.user_id == any_alice.user_id
        stored = session.get(AuthSession, found.session_id)
        assert stored.token_sha256 != token and len(stored.token_sha256) == 64
        assert (stored.address, stored.browser) == ("10.0.0.1", "Test")
    assert event_types() == ["user.signed_in"]


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer_and_only_the_first_an_event(alice):
    assert attempt("alice@example.com", "quiet river stones") is None
    assert attempt("nobody@example.com", PASSWORD) is None
    assert event_types() == ["user.signin_failed"]


def test_somebody_who_was_deactivated_is_nobody(alice):
    with write_session() as session:
        session.get(User, alice.user_id).is_active = False
    assert attempt("alice@example.com", PASSWORD) is None


def test_somebody_without_a_password_can_not_sign_in_with_an_empty_one(cast):
    assert attempt("bob@example.com", "") is None


def test_the_ninth_try_on_an_account_is_refused_even_with_the_right_password_and_allowed_later(alice):
    for _ in range(signin.LIMITS["pair"]):
        assert attempt("alice@example.com", "wrong") is None
    with pytest.raises(TooMany, match=r"Wait 15 minutes"):
        attempt("alice@example.com", PASSWORD)
    assert attempt("alice@example.com", PASSWORD, address="10.0.0.2") is not None, "a colleague elsewhere is not locked out"
    with frozen(utcnow() + timedelta(minutes=16)):
        assert attempt("alice@example.com", PASSWORD) is not None


def test_one_address_can_not_walk_through_many_accounts(alice):
    for n in range(signin.LIMITS["address"]):
        assert attempt(f"guess{n}@example.com", "wrong") is None
    with pytest.raises(TooMany):
        attempt("alice@example.com", PASSWORD)


def test_a_success_forgives_the_account_but_not_the_address(any_alice):
    for _ in range(signin.LIMITS["pair"] - 1):
        attempt("alice@example.com", "wrong")
    assert attempt("alice@example.com", PASSWORD) is not None
    for _ in range(signin.LIMITS["pair"] - 1):
        assert attempt("alice@example.com", "wrong") is None
    with read_session() as session:
        by_address = session.exec(select(SigninAttempt).where(SigninAttempt.key == "a:10.0.0.1")).all()
        assert len(by_address) == 2 * signin.LIMITS["pair"] - 1


def test_a_crowd_of_tries_at_once_does_not_slip_past_the_count(any_alice):
    def guess(_):
        try:
            with write_session() as session:
                signin.begin(session, "alice@example.com", address="10.0.0.9")
            return True
        except TooMany:
            return False

    with ThreadPoolExecutor(12) as crowd:
        admitted = sum(crowd.map(guess, range(24)))
    assert admitted == signin.LIMITS["pair"]


def test_what_was_typed_as_an_address_is_stored_nowhere_in_clear(alice):
    attempt("my secret password", "alice@example.com")
    with read_session() as session:
        assert not [row for row in session.exec(select(SigninAttempt)) if "secret" in row.key]


def test_every_sign_in_makes_a_new_token(alice):
    assert attempt("alice@example.com", PASSWORD) != attempt("alice@example.com", PASSWORD)


def test_signing_out_ends_one_browser_once(alice):
    first, second = attempt("alice@example.com", PASSWORD), attempt("alice@example.com", PASSWORD)
    with write_session() as session:
        assert signin.leave(session, first) is True
    with write_session() as session:
        assert signin.leave(session, first) is False
        assert sessions.lookup(session, first) is None
        assert sessions.lookup(session, second) is not None


def test_a_session_expires_after_its_days_and_its_row_goes_with_the_next_failed_try(any_alice):
    token = attempt("alice@example.com", PASSWORD)
    with frozen(utcnow() + timedelta(days=15)):
        with read_session() as session:
            assert sessions.lookup(session, token) is None
        attempt("alice@example.com", "wrong")
        with read_session() as session:
            assert session.exec(select(AuthSession)).all() == []


@pytest.mark.parametrize("token", [None, "", "x", "x" * 5000, "' OR 1=1 --", "\x00"])
def test_a_made_up_token_finds_nothing(alice, token):
    with read_session() as session:
        assert sessions.lookup(session, token) is None


def test_a_session_answers_only_for_its_own_person(alice, cast):
    token = attempt("alice@example.com", PASSWORD)
    with read_session() as session:
        found = sessions.lookup(session, token)
        assert sessions.recheck(session, found.session_id, alice.user_id) == found
        assert sessions.recheck(session, found.session_id, cast["root"].user_id) is None


def test_entering_a_deactivated_account_is_refused(alice):
    with write_session() as session:
        session.get(User, alice.user_id).is_active = False
    with pytest.raises(NotPermitted), write_session() as session:
        signin.enter(session, alice.user_id, SigninMethod.OIDC)


def test_the_actor_of_a_session_is_kept_until_a_role_changes(any_alice):
    token = attempt("alice@example.com", PASSWORD)
    with read_session() as session:
        found = sessions.lookup(session, token)
        first = sessions.actor_of(session, found)
        assert first.session_id == found.session_id and first.user_id == any_alice.user_id
        assert sessions.actor_of(session, found).grants is first.grants
    with write_session() as session:
        session.get(User, any_alice.user_id).name = "Alice B."
    with read_session() as session:
        assert sessions.actor_of(session, found).name == "Alice B."


def test_a_sign_of_life_is_written_after_minutes_and_changes_no_version(any_alice):
    token = attempt("alice@example.com", PASSWORD)
    with read_session() as session:
        found = sessions.lookup(session, token)
        version = session.get(User, any_alice.user_id).version
    assert not sessions.is_stale(found)
    later = utcnow() + timedelta(minutes=6)
    with frozen(later):
        assert sessions.is_stale(found)
        with write_session() as session:
            sessions.touch(session, found)
    with read_session() as session:
        assert sessions.lookup(session, token).last_seen_at == later
        assert session.get(User, any_alice.user_id).version == version
        assert session.get(User, any_alice.user_id).last_seen_at == later


def test_an_old_hash_is_renewed_on_the_next_sign_in(alice):
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with write_session() as session:
        session.get(User, alice.user_id).password_hash = weak
    attempt("alice@example.com", PASSWORD)
    with read_session() as session:
        renewed = session.get(User, alice.user_id).password_hash
    assert renewed != weak and passwords.fits(renewed, PASSWORD)


# --- passwords ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "at least 10 characters"),
        ("x" * 201, "at most 200"),
        ("Password123", "among the first"),
        ("aaaaaaaaaaaaaa", "among the first"),
        ("alice@example.com", "your name or e-mail"),
        ("AliceLongname1", "your name or e-mail"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(password, words):
    with pytest.raises(Invalid, match=words):
        passwords.require_strong(password, email="alice@example.com", name="AliceLongname")


def test_a_few_words_are_a_password():
    passwords.require_strong(PASSWORD, email="alice@example.com", name="Alice")


def test_nobody_costs_as_much_as_somebody():
    """Instead of a stop-watch: both ways verify exactly one real hash."""
    calls = []
    original = hashing._hasher
    stored = original.hash("x")
    hashing._nobody()

    class Counting:
        def verify(self, given_hash, password):
            calls.append(given_hash[:30])
            return original.verify(given_hash, password)

    hashing._hasher = Counting()
    try:
        assert passwords.fits(None, "nobody has this password") is False
        assert passwords.fits(stored, "y") is False
    finally:
        hashing._hasher = original
    assert len(calls) == 2 and calls[0][:15] == calls[1][:15]
