"""Single sign-on against a provider on loopback: the whole way round, and everything that must not open a session."""

from urllib.parse import parse_qs, urlsplit

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.models import AuthSession, User
from crm_core.vocabulary import SigninMethod
from tests.web.conftest import visitor
from tests.web.mock_provider import CLIENT, SECRET, Provider
from web import oidc


@pytest.fixture(scope="module")
def running():
    provider = Provider()
    yield provider
    provider.close()


@pytest.fixture
def provider(running, staff, setting):
    running.changes, running.sign_with, running.announced = {}, "own", running.issuer
    running.claims = {"sub": "subject-1", "email": "alice@example.com", "email_verified": True, "name": "Alice"}
    setting("OIDC_ISSUER", running.issuer)
    setting("OIDC_CLIENT_ID", CLIENT)
    setting("OIDC_CLIENT_SECRET", SECRET)
    setting("OIDC_LABEL", "Company account")
    oidc._client.cache_clear()
    yield running
    oidc._client.cache_clear()


def query_of(url):
    return {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}


def begin(client, path="/signin/sso"):
    return client.get(path, headers={"accept": "text/html"})


def go_round(client, provider, path="/signin/sso", **changes):
    """Begin, consent at the provider, come back."""
    started = begin(client, path)
    back = provider.authorize({**query_of(started.headers["location"]), **changes})
    return client.get(back.removeprefix("http://localhost:8501"), headers={"accept": "text/html"})


def sessions_open():
    with read_session() as session:
        return list(session.exec(select(AuthSession)))


def test_the_sign_in_page_offers_it(guest, provider):
    page = guest.page("/signin?next=/deals").text
    assert 'href="/signin/sso?next=/deals"' in page and "Company account" in page


def test_the_way_there_carries_state_nonce_and_a_hashed_verifier(guest, provider):
    answer = begin(guest)
    query = query_of(answer.headers["location"])
    assert answer.status_code == 303 and answer.headers["location"].startswith(provider.issuer + "/authorize?")
    assert query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43
    assert len(query["state"]) >= 20 and len(query["nonce"]) >= 16 and query["scope"] == "openid email profile"
    assert query["redirect_uri"] == "http://localhost:8501/signin/sso/callback"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "Max-Age=600" in cookie and "Path=/signin/sso" in cookie


def test_the_whole_way_round_ends_in_the_same_kind_of_session_and_on_the_wanted_page(guest, provider, staff):
    answer = go_round(guest, provider, "/signin/sso?next=%2Fdeal%3Fid%3D7")
    assert (answer.status_code, answer.headers["location"]) == (303, "/deal?id=7")
    assert [(row.user_id, row.method) for row in sessions_open()] == [(staff["alice"].user_id, SigninMethod.OIDC)]
    assert guest.get("/deals").json()["id"] == str(staff["alice"].user_id)
    with read_session() as session:
        assert session.get(User, staff["alice"].user_id).oidc_subject == "subject-1"


def test_the_way_on_stays_on_this_site(guest, provider):
    assert go_round(guest, provider, "/signin/sso?next=//evil.example").headers["location"] == "/"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aud": "another-app"}, "meant for another program"),
        ({"aud": ["another-app"], "azp": CLIENT}, "meant for another program, whoever asked for it"),
        ({"aud": None}, "meant for nobody"),
        ({"iss": "http://127.0.0.1:1/other"}, "from another provider"),
        ({"iss": None}, "from nobody"),
        ({"nonce": "replayed"}, "made for another sign-in"),
        ({"nonce": None}, "made for no sign-in"),
        ({"exp": 1_000_000_000}, "long expired"),
        ({"sub": None}, "about nobody"),
    ],
)
def test_an_identity_token_that_is(guest, provider, changes, why):
    provider.changes = changes
    answer = go_round(guest, provider)
    assert answer.status_code == 403 and sessions_open() == [], why
    assert "rapport_session" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize("sign_with", ["foreign", "none", "shared secret"])
def test_an_identity_token_signed_otherwise_opens_nothing_even_if_the_provider_lists_the_method(guest, provider, sign_with):
    provider.sign_with = sign_with
    assert go_round(guest, provider).status_code == 403 and sessions_open() == []


def test_a_provider_that_calls_itself_otherwise_is_not_trusted(guest, provider):
    provider.announced = "http://127.0.0.1:1/other"
    assert go_round(guest, provider).status_code == 403 and sessions_open() == []


def test_an_unverified_address_opens_nothing(guest, provider):
    provider.claims["email_verified"] = False
    answer = go_round(guest, provider)
    assert answer.status_code == 403 and "not verified" in answer.text and sessions_open() == []


def test_somebody_unknown_gets_in_only_with_a_default_role(guest, provider, setting):
    provider.claims |= {"sub": "subject-9", "email": "new@example.com", "name": "New Person"}
    answer = go_round(guest, provider)
    assert answer.status_code == 403 and "no account" in answer.text and sessions_open() == []
    setting("OIDC_DEFAULT_ROLE", "sales_rep")
    assert go_round(guest, provider).status_code == 303 and len(sessions_open()) == 1


def test_somebody_deactivated_stays_out(guest, provider, staff):
    with write_session() as session:
        session.get(User, staff["alice"].user_id).is_active = False
    assert go_round(guest, provider).status_code == 403 and sessions_open() == []


def test_a_code_can_not_be_brought_to_another_browser(guest, provider):
    """Sign-in by a link that an attacker began: without the cookie of the beginning nothing happens."""
    started = begin(visitor())
    back = provider.authorize(query_of(started.headers["location"])).removeprefix("http://localhost:8501")
    answer = guest.page(back)
    assert answer.status_code == 403 and "begun elsewhere" in answer.text and sessions_open() == []


def test_a_code_works_once(guest, provider):
    started = begin(guest)
    back = provider.authorize(query_of(started.headers["location"])).removeprefix("http://localhost:8501")
    assert guest.page(back).status_code == 303
    assert visitor().page(back).status_code == 403 and guest.page(back).status_code == 403


def test_a_changed_state_or_a_refusal_opens_nothing(guest, provider):
    started = begin(guest)
    back = provider.authorize(query_of(started.headers["location"])).removeprefix("http://localhost:8501")
    assert guest.page(back.replace("state=", "state=x")).status_code == 403
    begin(guest)
    answer = guest.page("/signin/sso/callback?error=access_denied&error_description=%3Cscript%3E&state=x")
    assert answer.status_code == 403 and "cancelled or refused" in answer.text and "<script>%" not in answer.text
    assert sessions_open() == []


def test_a_forged_state_cookie_is_not_believed(guest, provider):
    guest.cookies.set(oidc.STATE_COOKIE, "e30.forged.signature", path="/signin/sso")
    assert guest.page("/signin/sso/callback?code=x&state=x").status_code == 403


def test_a_provider_that_does_not_answer_is_named_as_the_reason(guest, provider, setting):
    setting("OIDC_ISSUER", "http://127.0.0.1:9")
    oidc._client.cache_clear()
    answer = begin(guest)
    assert answer.status_code == 503 and "does not answer" in answer.text


def test_without_settings_there_is_no_single_sign_on(guest):
    assert begin(guest).status_code == 404 and guest.page("/signin/sso/callback").status_code == 404
