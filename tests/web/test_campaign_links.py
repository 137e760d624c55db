"""Links of campaign messages: signed, never an open redirect, one click to leave, machines not counted."""

from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.models import CampaignMember, Consent, MailDelivery, Suppression, Touchpoint
from crm_core.services.marketing import letters, segments, signing, token_rules
from crm_core.vocabulary import Channel
from tests.crm_core.services.marketing.outreach import campaign, launch, no_quiet_hours, people, run
from tests.verbs import do
from tests.web.conftest import visitor

PERSON = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0"}


@pytest.fixture
def sent(cast):
    """A campaign of two people that went out an hour ago; gives ids and a maker of tokens."""
    no_quiet_hours(cast["root"])
    made = campaign(cast["dana"], people(2))
    launch(cast["dana"], made)
    run(made)
    with write_session() as session:
        for mail in session.exec(select(MailDelivery)):
            mail.sent_at = clock.utcnow() - timedelta(hours=1)
        rows = session.exec(select(CampaignMember).order_by(CampaignMember.id)).all()
        key, links = signing.key(session), letters.link_ids(session, cast["dana"], made)

    def token(kind, link=None, days=0, member=rows[0].id):
        return token_rules.make(
            key, kind, member, next(iter(links.values())) if link is None else link, clock.today() - timedelta(days=days)
        )

    return rows[0].id, token


def member(member_id):
    with read_session() as session:
        return session.get(CampaignMember, member_id)


def rows(model):
    with read_session() as session:
        return session.exec(select(model).order_by(model.id)).all()


def test_a_click_is_noted_and_leads_to_the_address_of_the_letter_with_its_source(sent):
    member_id, token = sent
    answer = visitor().get(f"/t/{token(token_rules.CLICK)}", headers=PERSON)
    assert answer.status_code == 302
    assert (
        answer.headers["location"]
        == "https://shop.example.com/offer?x=1&utm_source=rapport&utm_medium=email&utm_campaign=spring-offer&utm_content=a"
    )
    assert answer.headers["x-robots-tag"].startswith("noindex") and "rapport_visitor=" in answer.headers["set-cookie"]
    found = member(member_id)
    assert found.clicked_at and found.opened_at and found.status == "clicked"
    (touch,) = rows(Touchpoint)
    assert (touch.contact_id, touch.kind, touch.channel) == (found.contact_id, "click", Channel.EMAIL)


def test_an_altered_cut_foreign_or_old_link_leads_nowhere(sent):
    member_id, token = sent
    good, guest = token(token_rules.CLICK), visitor()
    wrong = [
        good[:-1] + ("A" if good[-1] != "A" else "B"), good[:-1] + chr(ord(good[-1]) + 1), good[:10], "", "%00", "https://evil.example.com", good + "%2F..%2F..%2Fdeals",
        token(token_rules.OPEN), token(token_rules.LEAVE), token(token_rules.CLICK, link=9_999), token(token_rules.CLICK, days=401),
        token(token_rules.CLICK, member=9_999), token_rules.make("another key", token_rules.CLICK, member_id, 1, clock.today()),
    ]  # fmt: skip
    for text in wrong:
        answer = guest.get(f"/t/{text}", headers={**PERSON, "accept": "text/html"})
        assert answer.status_code in (400, 404) and "location" not in answer.headers, text
    assert member(member_id).clicked_at is None and rows(Touchpoint) == []


def test_the_end_of_the_sentence_that_a_mail_program_took_along_does_no_harm(sent):
    member_id, token = sent
    for end in (".", "),", "%3E", "!"):
        assert visitor().get(f"/t/{token(token_rules.CLICK)}{end}", headers=PERSON).status_code == 302, end
    assert member(member_id).clicked_at


def test_machines_and_what_comes_within_seconds_of_sending_are_not_counted(sent):
    member_id, token = sent
    guest = visitor()
    link = f"/t/{token(token_rules.CLICK)}"
    for headers in ({"user-agent": "Googlebot/2.1"}, {"user-agent": ""}, {**PERSON, "sec-purpose": "prefetch;prerender"}):
        assert guest.get(link, headers=headers).status_code == 302
    assert guest.head(link, headers=PERSON).status_code == 302
    with write_session() as session:
        for mail in session.exec(select(MailDelivery)):
            mail.sent_at = clock.utcnow()
    assert guest.get(link, headers=PERSON).status_code == 302
    assert member(member_id).clicked_at is None


def test_the_picture_is_always_a_picture_and_notes_an_opening(sent):
    member_id, token = sent
    for text in ("nonsense.gif", token(token_rules.OPEN) + ".gif"):
        answer = visitor().get(f"/o/{text}", headers=PERSON)
        assert (
            answer.status_code == 200
            and answer.headers["content-type"] == "image/gif"
            and answer.headers["cache-control"] == "no-store"
        )
    assert member(member_id).status == "opened"


def test_an_unknown_visitors_touches_are_joined_when_they_click(sent):
    member_id, token = sent
    name = "ab" * 16
    with write_session() as session:
        session.add(Touchpoint(anonymous_id=name, channel=Channel.ORGANIC, at=clock.utcnow(), kind="visit"))
    guest = visitor()
    guest.cookies.set("rapport_visitor", name)
    guest.get(f"/t/{token(token_rules.CLICK)}", headers=PERSON)
    assert {touch.contact_id for touch in rows(Touchpoint)} == {member(member_id).contact_id}


def test_one_click_of_a_mail_program_unsubscribes_and_looking_does_not(sent):
    member_id, token = sent
    link, guest = f"/u/{token(token_rules.LEAVE, 0, days=2_000)}", visitor()
    page = guest.get(link)
    assert (
        page.status_code == 200
        and "Unsubscribe?" in page.text
        and member(member_id).address not in page.text
        and "noindex" in page.text
    )
    assert rows(Suppression) == []
    for _ in range(2):
        answer = guest.post(link, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200 and "You are unsubscribed" in answer.text
    assert [row.address_key for row in rows(Suppression)] == [member(member_id).address]
    assert member(member_id).unsubscribed_at
    assert guest.post(f"/u/{token(token_rules.CLICK)}").status_code == 404


def test_the_preference_page_says_and_keeps_what_a_person_wants(sent):
    member_id, token = sent
    link, guest = f"/p/{token(token_rules.LEAVE, 0)}", visitor()
    assert 'name="marketing" value="yes" checked' in guest.get(link).text
    assert "Saved" in guest.post_form(link, {"events": "yes"}).text
    latest = {
        (row.purpose, row.status)
        for row in rows(Consent)
        if row.is_latest and row.contact_id == member(member_id).contact_id and row.way == "email"
    }
    assert latest == {("marketing", "withdrawn"), ("research", "withdrawn"), ("events", "granted")}
    guest.post_form(link, {})
    assert [row.lifted_at is None for row in rows(Suppression)] == [True]
    guest.post_form(link, {"marketing": "yes"})
    assert [row.lifted_at is None for row in rows(Suppression)] == [False]
    assert visitor().get("/p/nonsense").status_code == 404


def test_without_any_campaign_no_link_works(cast):
    text = token_rules.make("", token_rules.CLICK, 1, 1, clock.today())
    assert visitor().get(f"/t/{text}").status_code == 404
    assert do(segments.find, cast["dana"]) == []
