"""One-time links: once, in time, for their purpose, for their person."""

from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotFound
from crm_core.kit.clock import frozen, utcnow
from crm_core.models import AuthSession, OneTimeLink, User
from crm_core.services.admin import links, passwords, sessions
from crm_core.vocabulary import LinkPurpose, SigninMethod
from tests.quick_hashes import quick_hashes as quick_hashes

PASSWORD = "quiet river stone"


def issue(cast, purpose=LinkPurpose.RESET, who="alice"):
    with write_session() as session:
        return links.issue(session, cast["root"], session.get(User, cast[who].user_id), purpose)


def redeem(token, purpose=LinkPurpose.RESET, password=PASSWORD):
    with write_session() as session:
        return links.redeem(session, token, purpose, password)


def test_a_link_sets_the_password_and_signs_everybody_else_out(any_cast):
    token = issue(any_cast)
    with write_session() as session:
        sessions.start(session, any_cast["alice"].user_id, SigninMethod.LOCAL)
    redeem(token)
    with read_session() as session:
        assert passwords.fits(session.get(User, any_cast["alice"].user_id).password_hash, PASSWORD)
        assert session.exec(select(AuthSession)).all() == []


def test_a_link_works_once(any_cast):
    token = issue(any_cast)
    redeem(token)
    with pytest.raises(NotFound, match="used already"):
        redeem(token, password="another long password")


def test_a_weak_password_does_not_spend_the_link(cast):
    token = issue(cast)
    with pytest.raises(Invalid):
        redeem(token, password="short")
    redeem(token)


@pytest.mark.parametrize(("purpose", "days"), [(LinkPurpose.RESET, 1), (LinkPurpose.INVITE, 7)])
def test_a_link_expires(cast, purpose, days):
    token = issue(cast, purpose)
    with frozen(utcnow() + timedelta(days=days, seconds=1)), pytest.raises(NotFound):
        redeem(token, purpose)


def test_a_newer_link_replaces_the_older_one(cast):
    old, new = issue(cast), issue(cast)
    with pytest.raises(NotFound):
        redeem(old)
    redeem(new)


def test_a_link_is_good_for_its_purpose_only(cast):
    with pytest.raises(NotFound):
        redeem(issue(cast, LinkPurpose.INVITE), LinkPurpose.RESET)


@pytest.mark.parametrize("token", ["", "unknown", "x" * 10_000])
def test_an_unknown_link_gets_the_same_sentence(cast, token):
    with pytest.raises(NotFound, match="used already, has expired, or was replaced"):
        redeem(token)


def test_the_link_of_a_deactivated_person_is_void(cast):
    token = issue(cast)
    with write_session() as session:
        session.get(User, cast["alice"].user_id).is_active = False
    with pytest.raises(NotFound):
        redeem(token)


def test_the_token_itself_is_stored_nowhere(cast):
    token = issue(cast)
    with read_session() as session:
        stored = session.exec(select(OneTimeLink)).one()
    assert token not in str(stored.model_dump())
