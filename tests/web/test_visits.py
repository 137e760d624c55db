"""The snippet on the own site: only with consent, never more than a count, and one's own visits once a browser has a name."""

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import NotPermitted
from crm_core.kit import clock
from crm_core.models import Campaign, Lead, Touchpoint
from crm_core.services.marketing import tracking, visits
from crm_core.vocabulary import Channel
from tests.verbs import look
from tests.web.conftest import visitor
from web import visits as door

PERSON = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0"}
WHO = "0123456789abcdef" * 2
SITE = "https://shop.example.com"


@pytest.fixture
def key(cast):
    door._seen.clear()
    with write_session() as session:
        return visits.open_key(session, cast["dana"])


def visit(key, who=WHO, url=f"{SITE}/", referrer="", **headers):
    return visitor().get(f"/v/{key}.gif", params={"v": who, "u": url, "r": referrer}, headers={**PERSON, **headers})


def touches():
    with read_session() as session:
        return session.exec(select(Touchpoint).order_by(Touchpoint.id)).all()


def test_the_snippet_is_served_for_the_right_key_only_and_asks_for_consent_before_it_sends(key):
    answer = visitor().get(f"/v/{key}.js")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.text.index("agreed =") < answer.text.rindex("tell()"), "nothing is told before somebody agreed"
    assert visitor().get(f"/v/{'0' * 32}.js").status_code == 404


def test_a_visit_is_kept_once_with_its_channel_and_campaign_and_without_its_query(key):
    with write_session() as session:
        session.add(Campaign(name="Spring offer!"))
    tagged = f"{SITE}/shoes?email=a@b.c&utm_medium=cpc&utm_campaign=spring-offer"
    assert visit(key, url=tagged).headers["content-type"] == "image/gif"
    visit(key, url=tagged)
    visit(key, url=f"{SITE}/other")
    (found,) = touches()
    assert (found.channel, found.url, found.kind, found.anonymous_id) == (Channel.PAID_SEARCH, f"{SITE}/shoes", "visit", WHO)
    assert found.campaign_id is not None and found.contact_id is None and found.lead_id is None


@pytest.mark.parametrize(
    ("url", "referrer", "channel"),
    [
        (f"{SITE}/", "", Channel.DIRECT),
        (f"{SITE}/", f"{SITE}/before", Channel.DIRECT),
        (f"{SITE}/", "https://www.google.com/", Channel.ORGANIC),
        (f"{SITE}/", "https://www.linkedin.com/feed", Channel.SOCIAL),
        (f"{SITE}/", "https://blog.example.org/x", Channel.REFERRAL),
        (f"{SITE}/?utm_medium=Newsletter", "https://www.google.com/", Channel.EMAIL),
        (f"{SITE}/?gclid=1", "https://www.google.com/", Channel.PAID_SEARCH),
    ],
)
def test_the_channel_is_what_the_link_says_else_where_the_visitor_came_from(key, url, referrer, channel):
    visit(key, url=url, referrer=referrer)
    assert [one.channel for one in touches()] == [channel]


def test_what_is_odd_leaves_nothing_behind_and_shows_nothing(key):
    for who, url in (
        (WHO.upper(), f"{SITE}/"),
        ("", f"{SITE}/"),
        (WHO, "javascript:alert(1)"),
        (WHO, ""),
        (WHO, "https://[bad"),
        ("x" * 4_000, f"{SITE}/"),
    ):
        assert visit(key, who, url).status_code == 200
    assert visit("0" * 32).status_code == 200 and visit("").status_code in (200, 404)
    visit(key, **{"user-agent": "Googlebot/2.1"})
    visit(key, **{"sec-purpose": "prefetch"})
    assert touches() == []


def test_a_flood_from_one_address_is_dropped(key, monkeypatch):
    monkeypatch.setattr(door, "MOST", 3)
    for number in range(6):
        visit(key, who=f"{number:032x}")
    assert len(touches()) == 3


def test_visits_become_the_persons_own_with_a_form_and_later_ones_at_once(cast, key):
    visit(key, referrer="https://www.google.com/")
    visit(key, who="f" * 32)
    with write_session() as session:
        session.add(lead := Lead(name="Nora", status_id=session.exec(select(Lead.status_id)).first() or 1))
        session.flush()
        tracking.join(session, WHO, lead_id=lead.id)
        lead_id = lead.id
    with clock.frozen(clock.utcnow() + visits.SAME_VISIT * 2):
        visit(key)
    first, other, later = touches()
    assert first.lead_id == later.lead_id == lead_id and other.lead_id is None
    found = look(visits.lately, cast["dana"])
    assert (found.visits, found.known) == (3, 2)


def test_only_who_manages_forms_gets_the_key(cast):
    with write_session() as session, pytest.raises(NotPermitted):
        visits.open_key(session, cast["alice"])
    with read_session() as session:
        assert visits.key(session) == "", "nobody asked for it, so no link names a browser"
