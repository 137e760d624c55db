"""Who follows a record is told what others do on it: calmly, once, and only of what they may see."""

from datetime import timedelta

import pytest

from crm_core import jobs, records
from crm_core.db import read_session
from crm_core.errors import Invalid, NotFound
from crm_core.kit import clock
from crm_core.services.admin import users
from crm_core.services.collaboration import activities, assignments, following, notifications
from crm_core.services.collaboration.timeline import LINKS
from crm_core.services.customers import accounts
from crm_core.services.helpdesk import tickets
from crm_core.services.sales import deals, leads
from crm_core.vocabulary import ActivityKind, Via
from tests.verbs import do, look


@pytest.fixture
def acme(cast):
    return do(accounts.create, cast["alice"], {"name": "Acme"})


def news(actor):
    """What the actor was told through following, after the job looked twice."""
    for second in (0, 1):
        with clock.frozen(clock.utcnow() + timedelta(minutes=2, seconds=second)):
            jobs.execute(f"f{clock.utcnow():%H%M%S%f}", assignments.NAME, ())
    with clock.frozen(clock.utcnow() + timedelta(minutes=2)), read_session() as session:
        return [told.text() for told in notifications.find(session, actor)[0] if told.kind.key.startswith("follow.")]


def note(actor, key, record, text="Called them"):
    return do(activities.log, actor, key, record.id, kind=ActivityKind.CALL, text=text)


def test_followers_hear_what_others_do_once_an_hour_and_what_decides_goes_before(any_cast):
    alice, bob = any_cast["alice"], any_cast["bob"]
    acme = do(accounts.create, alice, {"name": "Acme"})
    deal = do(deals.create, alice, {"name": "Pumps", "account_id": acme.id})
    note(alice, "deal", deal)
    for _ in range(2):
        do(following.follow, bob, "deal", deal.id)
    do(following.follow, alice, "deal", deal.id)
    assert look(following.is_on, bob, "deal", deal.id) and not look(following.is_on, bob, "account", acme.id)
    assert news(bob) == [], "what was before one followed is no news"
    with clock.frozen(clock.utcnow().replace(minute=20) + timedelta(hours=3)):
        note(alice, "deal", deal)
        note(bob, "deal", deal)
        assert news(bob) == ["Pumps: Alice Rep logged a call"] and news(alice) == ["Pumps: Bob Manager logged a call"]
        note(alice, "deal", deal)
        do(deals.win, alice, deal.id)
        note(alice, "deal", deal)
        assert news(bob) == ["Pumps: Alice Rep won the deal"] and len(news(alice)) == 1
        assert [(one.entity, one.title) for one in look(following.find, bob)] == [("deal", "Pumps")]
        do(following.stop, bob, "deal", deal.id)
    with clock.frozen(clock.utcnow() + timedelta(hours=8)):
        note(alice, "deal", deal)
        assert len(news(bob)) == 1 and look(following.find, bob) == []


def test_who_is_mentioned_follows_and_a_customers_words_are_told_to_all_but_the_owner(cast):
    alice, sam = cast["alice"], cast["sam"]
    ticket = do(tickets.create, sam, {"subject": "Broken", "owner_id": sam.user_id})
    do(tickets.reply, sam, ticket.id, "@alice knows more", internal=True)
    do(following.follow, sam, "ticket", ticket.id)
    assert look(following.is_on, alice, "ticket", ticket.id)
    do(tickets.receive, cast["root"], ticket.id, "It still is")
    assert news(alice) == ["The customer wrote on Broken"] and news(sam) == []


def test_nobody_hears_of_what_they_may_not_see_nor_after_they_left(cast, acme):
    alice, bob, charlie = cast["alice"], cast["bob"], cast["charlie"]
    deal = do(deals.create, alice, {"name": "Pumps", "account_id": acme.id})
    with pytest.raises(NotFound):
        do(following.follow, charlie, "deal", deal.id)
    do(following.follow, charlie, "account", acme.id)
    theirs = do(leads.create, charlie, {"name": "Ada"})
    gone = do(leads.create, charlie, {"name": "Gone"})
    for lead in (theirs, gone):
        do(following.follow, charlie, "lead", lead.id)
    do(following.follow, bob, "account", acme.id)
    with pytest.raises(Invalid):
        do(following.follow, bob, "user", bob.user_id)
    do(leads.update, cast["root"], theirs.id, {"owner_id": alice.user_id})
    note(alice, "lead", theirs)
    do(records.archive, cast["root"], "lead", gone.id)
    do(users.deactivate, cast["root"], bob.user_id)
    note(alice, "deal", deal)
    note(alice.through(Via.IMPORT), "account", acme)
    assert news(charlie) == [] and [one.title for one in look(following.find, charlie)] == ["Acme"]
    note(alice, "account", acme)
    assert news(charlie) == ["Acme: Alice Rep logged a call"]
    with read_session() as session:
        assert notifications.find(session, bob)[0] == []


def test_many_at_once_are_one_sentence_and_what_is_gone_for_good_is_forgotten(cast):
    alice, bob = cast["alice"], cast["bob"]
    many = [do(leads.create, alice, {"name": f"Lead {n}"}) for n in range(6)]
    for lead in many:
        do(following.follow, bob, "lead", lead.id)
    with clock.frozen(clock.utcnow().replace(minute=20) + timedelta(hours=3)):
        for lead in many:
            note(alice, "lead", lead)
        assert news(bob) == ["6 leads that you follow have news"]
    hidden = [do(leads.create, cast["charlie"], {"name": f"Hidden {n}"}) for n in range(6)]
    for lead in hidden:
        do(following.follow, cast["charlie"], "lead", lead.id)
        do(leads.update, cast["root"], lead.id, {"owner_id": alice.user_id})
    with clock.frozen(clock.utcnow().replace(minute=20) + timedelta(hours=5)):
        for lead in hidden:
            note(alice, "lead", lead)
        assert news(cast["charlie"]) == [], "not even how many"
    assert set(LINKS) <= set(following.FOLLOWED)
    do(following.forget)
    assert len(look(following.find, bob)) == 6
