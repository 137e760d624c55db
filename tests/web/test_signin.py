"""The sign-in page, signing out, and the links by which people come."""

import re

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.models import AuthSession, User
from crm_core.services.admin import links, signin
from crm_core.vocabulary import LinkPurpose
from tests.web.conftest import AWAY, PASSWORD, visitor
from web.cookies import SESSION_COOKIE


def issue(staff, purpose, who="alice"):
    with write_session() as session:
        user = session.get(User, staff[who].user_id)
        return links.path_of(links.issue(session, staff["root"], user, purpose), purpose)


# --- sign in --------------------------------------------------------------------------------------------------------------


def test_the_page_names_the_workspace_and_labels_its_fields(guest):
    page = guest.page("/signin").text
    assert "Test Ltd" in page and '<label for="email">' in page and '<label for="password">' in page
    assert 'autocomplete="username"' in page and 'autocomplete="current-password"' in page
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page), "nothing from another host"


def test_a_wrong_password_says_the_same_as_an_unknown_address_and_keeps_what_was_typed(guest):
    wrong, unknown = guest.sign_in(password="wrong"), guest.sign_in("nobody")
    assert wrong.status_code == unknown.status_code == 401
    assert signin.WRONG.replace("'", "&#39;") in wrong.text and 'value="alice@example.com"' in wrong.text
    assert wrong.text.replace("alice@", "nobody@") == unknown.text
    assert "set-cookie" not in wrong.headers


def test_after_too_many_tries_the_page_says_how_long_to_wait(guest):
    for _ in range(signin.LIMITS["pair"]):
        guest.sign_in(password="wrong")
    answer = guest.sign_in()
    assert answer.status_code == 429 and "Wait 15 minutes" in answer.text


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example", "/signout"])
def test_the_way_on_stays_on_this_site(guest, target):
    assert guest.sign_in(next=target).headers["location"] == "/"
    assert guest.page(f"/signin?next={target}").headers["location"] == "/", "also for somebody who is signed in already"


def test_a_form_from_elsewhere_is_refused(guest):
    form = {"email": "alice@example.com", "password": PASSWORD}
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost:8501"},
        {"sec-fetch-site": "same-site"},
    ):
        answer = guest.post("/signin", data=form, headers=headers)
        assert answer.status_code == 403 and "RAPPORT_PUBLIC_URL" in answer.text and "set-cookie" not in answer.headers


def test_behind_a_proxy_that_rewrites_the_host_the_public_address_counts(guest, setting):
    setting("PUBLIC_URL", "https://crm.example.com")
    form = {"email": "alice@example.com", "password": PASSWORD}
    answer = guest.post("/signin", data=form, headers={"origin": "https://crm.example.com"})
    assert answer.status_code == 303 and "; Secure" in answer.headers["set-cookie"]


def test_a_token_planted_before_sign_in_is_not_taken_over(guest):
    guest.cookies.set(SESSION_COOKIE, "planted-by-an-attacker")
    guest.sign_in()
    assert guest.cookies.get(SESSION_COOKIE, domain="localhost.local") != "planted-by-an-attacker"
    attacker = visitor()
    attacker.cookies.set(SESSION_COOKIE, "planted-by-an-attacker")
    assert attacker.get("/deals").status_code == 401


def test_signing_in_again_ends_the_earlier_session_of_this_browser(guest):
    guest.sign_in()
    guest.sign_in("bob")
    with read_session() as session:
        assert len(session.exec(select(AuthSession)).all()) == 1


def test_a_script_in_what_was_typed_stays_text(guest):
    page = guest.post_form("/signin", {"email": '"><script>alert(1)</script>', "password": "x", "next": '/x"><script>'}).text
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b"email=" + b"x" * 300_000, b"a=1&" * 5000])
def test_a_broken_form_gets_a_sentence(guest, body):
    headers = {"origin": "http://localhost:8501", "content-type": "application/x-www-form-urlencoded"}
    answer = guest.post("/signin", content=body, headers=headers)
    assert answer.status_code in (401, 422)


# --- sign out -------------------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_and_takes_the_cookie(guest):
    guest.sign_in()
    answer = guest.page("/auth/logout", **{"sec-fetch-site": "same-origin"})
    assert answer.headers["location"] == "/signin" and 'rapport_session=""' in answer.headers["set-cookie"]
    with read_session() as session:
        assert session.exec(select(AuthSession)).all() == []


def test_a_link_on_another_site_signs_nobody_out_unasked(guest):
    guest.sign_in()
    answer = guest.page("/auth/logout", **{"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200 and "Sign out?" in answer.text
    assert guest.get("/deals").status_code == 200
    assert guest.post("/signout", headers={"origin": "https://evil.example"}).status_code == 403
    assert guest.get("/deals").status_code == 200
    assert guest.post_form("/signout").headers["location"] == "/signin"
    assert guest.get("/deals").status_code == 401


def test_a_tab_whose_session_was_ended_elsewhere_finds_its_page_again(guest, staff):
    answer = guest.page("/auth/logout", referer="http://localhost:8501/deal?id=7")
    assert answer.headers["location"] == "/signin?why=ended&next=%2Fdeal%3Fid%3D7"
    assert "You were signed out." in guest.page("/signin?why=ended&next=%2Fdeal%3Fid%3D7").text
    assert guest.page("/auth/logout", referer="https://evil.example/x").headers["location"] == "/signin"


# --- links ----------------------------------------------------------------------------------------------------------------


def test_an_invited_person_chooses_a_password_and_is_in(guest, staff):
    path = issue(staff, LinkPurpose.INVITE)
    page = guest.page(path)
    assert "Welcome, Alice Rep" in page.text and "alice@example.com" in page.text and page.headers["cache-control"] == "no-store"
    answer = guest.post_form(path, {"name": "Alice R.", "password": "another long password"})
    assert answer.headers["location"] == "/" and guest.get("/deals").json()["id"] == str(staff["alice"].user_id)
    assert visitor().sign_in(password="another long password").status_code == 303
    with read_session() as session:
        assert session.get(User, staff["alice"].user_id).name == "Alice R."


def test_a_used_an_unknown_and_a_wrong_kind_of_link_look_alike(guest, staff):
    used = issue(staff, LinkPurpose.RESET)
    guest.post_form(used, {"password": "another long password"})
    other = visitor()
    other_kind = issue(staff, LinkPurpose.RESET).replace("/reset/", "/invite/")
    pages = [other.page(path) for path in (used, "/reset/unknown", other_kind, "/invite/" + "x" * 5000)]
    assert {page.status_code for page in pages} == {404} and len({page.text for page in pages}) == 1
    assert other.post_form(used, {"password": "yet another password"}).status_code == 404


def test_a_link_for_somebody_else_says_who_is_signed_in_and_signs_them_out(guest, staff):
    assert guest.sign_in("bob").status_code == 303
    path = issue(staff, LinkPurpose.INVITE)
    assert "In this browser Bob Manager is signed in." in guest.page(path).text and "is signed in." not in visitor().page(path).text
    guest.post_form(path, {"name": "Alice", "password": "another long password"})
    assert guest.get("/deals").json()["id"] == str(staff["alice"].user_id)


def test_a_weak_password_keeps_the_link_alive(guest, staff):
    path = issue(staff, LinkPurpose.RESET)
    answer = guest.post_form(path, {"password": "short"})
    assert answer.status_code == 422 and "at least 10 characters" in answer.text and 'aria-invalid="true"' in answer.text
    assert guest.post_form(path, {"password": "another long password"}).status_code == 303


def test_a_link_can_not_be_used_from_a_form_elsewhere(guest, staff):
    path = issue(staff, LinkPurpose.RESET)
    assert guest.post(path, data={"password": "another long password"}, headers={"origin": AWAY}).status_code == 403
    assert guest.page(path).status_code == 200
