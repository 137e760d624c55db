"""The first visit: two doors, who may open them, and that they close behind the first one through."""

import time

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid
from crm_core.models import Organisation, User
from crm_core.services.admin import demo as company
from crm_core.services.admin import people
from tests.web.conftest import AWAY, PASSWORD, visitor
from web import demo, setup_token

GOOD = {
    "workspace": "Nordwind",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "name": "Nora",
    "email": "nora@example.com",
    "password": PASSWORD,
}


def workspaces():
    with read_session() as session:
        return list(session.exec(select(Organisation)))


def wait_until_built(client):
    for _ in range(600):
        state = client.get("/welcome/demo/status").json()
        if state["done"] or state["failed"]:
            return state
        time.sleep(0.05)
    raise AssertionError("the demo company was not built within 30 s")


# --- own data -------------------------------------------------------------------------------------------------------------


def test_at_the_machine_nobody_types_a_token_and_the_first_person_is_signed_in(local):
    assert "Setup token" not in local.page("/welcome/own").text
    answer = local.post_form("/welcome/own", GOOD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert local.get("/").json()["id"] == "1"
    assert [(row.name, row.currency, row.timezone) for row in workspaces()] == [("Nordwind", "EUR", "Europe/Berlin")]


@pytest.mark.parametrize(
    ("browser", "given", "stored"),
    [("en-GB", {}, "en_GB"), ("de-DE,en;q=0.5", {}, "de_DE"), ("en-US", {}, "en_US"), ("en-US", {"locale": "sv_SE"}, "sv_SE")],
)
def test_numbers_and_dates_begin_as_the_browser_writes_them_unless_another_order_was_chosen(local, browser, given, stored):
    spoken = {"accept-language": browser}
    offered = local.get("/welcome/own", headers={**spoken, "accept": "text/html"}).text
    assert given or f'value="{stored}" selected' in offered
    local.post_form("/welcome/own", {**GOOD, **given}, **spoken)
    assert [row.locale for row in workspaces()] == [stored]


def test_once_there_is_a_workspace_every_door_leads_to_the_sign_in(local):
    local.post_form("/welcome/own", GOOD)
    later = visitor()
    assert later.page("/welcome").headers["location"] == "/signin"
    assert later.page("/welcome/own").headers["location"] == "/signin"
    assert later.post_form("/welcome/own", {**GOOD, "email": "mallory@example.com"}).headers["location"] == "/signin"
    later.post_form("/welcome/demo")
    assert demo.state().running is False and len(workspaces()) == 1
    with read_session() as session:
        assert [user.email for user in session.exec(select(User))] == ["nora@example.com"]


def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(local):
    answer = local.post_form("/welcome/own", {**GOOD, "email": "nora", "password": "short"})
    assert answer.status_code == 422 and workspaces() == []
    assert 'id="email-wrong"' in answer.text and 'id="password-wrong"' in answer.text and 'value="Nordwind"' in answer.text
    assert 'value="EUR" selected' in answer.text and '"short"' not in answer.text


def test_an_empty_form_names_every_field(local):
    page = local.post_form("/welcome/own", {}).text
    for field in ("workspace", "currency", "timezone", "name", "email", "password"):
        assert f'id="{field}-wrong"' in page


def test_from_another_machine_the_token_of_the_console_is_needed(away):
    assert "Setup token" in away.page("/welcome/own").text and "Setup token" in away.page("/welcome").text
    for token in ("", "guess", "ü"):
        answer = away.post_form("/welcome/own", {**GOOD, "token": token})
        assert answer.status_code == 422 and "printed on the console" in answer.text
        assert away.post_form("/welcome/demo", {"token": token}).status_code == 422
    assert workspaces() == [] and demo.state().running is False
    assert away.post_form("/welcome/own", {**GOOD, "token": setup_token.setup_token()}).status_code == 303


def test_whoever_is_asked_for_the_token_finds_it_on_the_console_once(away, local, capsys):
    local.page("/welcome")
    assert setup_token.setup_token() not in capsys.readouterr().out
    away.page("/welcome")
    away.page("/welcome/own")
    assert capsys.readouterr().out.count(setup_token.setup_token()) == 1


def test_the_link_of_the_console_carries_the_token_along(away):
    page = away.page(f"/welcome?token={setup_token.setup_token()}").text
    assert f'/welcome/own?token={setup_token.setup_token()}"' in page and "Setup token" not in page
    assert "token=guess" not in away.page("/welcome?token=guess").text


def test_a_token_from_the_settings_is_the_one(away, setting):
    setting("SETUP_TOKEN", "chosen by the operator")
    setup_token.setup_token.cache_clear()
    assert away.post_form("/welcome/own", {**GOOD, "token": "chosen by the operator"}).status_code == 303


@pytest.mark.parametrize(
    ("url", "address", "headers"),
    [
        (AWAY, "127.0.0.1", {}),
        ("http://localhost:8501", "203.0.113.7", {}),
        ("http://localhost:8501", "127.0.0.1", {"x-forwarded-for": "203.0.113.7"}),
        ("http://localhost:8501", "127.0.0.1", {"forwarded": "for=203.0.113.7"}),
        ("http://localhost.evil.example", "127.0.0.1", {}),
        ("http://127.0.0.1.evil.example:8501", "127.0.0.1", {}),
    ],
)
def test_only_a_browser_on_the_machine_counts_as_one(database, url, address, headers):
    client = visitor(url=url, address=address)
    assert client.post_form("/welcome/own", GOOD, **headers).status_code == 422 and workspaces() == []


def test_with_a_public_address_everybody_needs_the_token(local, setting):
    setting("PUBLIC_URL", "https://crm.example.com")
    assert local.post_form("/welcome/own", GOOD).status_code == 422 and workspaces() == []


def test_a_form_from_elsewhere_opens_no_door(local):
    for path in ("/welcome/own", "/welcome/demo", "/demo"):
        assert local.post(path, data=GOOD, headers={"origin": "https://evil.example"}).status_code == 403
    assert workspaces() == [] and demo.state().running is False


# --- demo -----------------------------------------------------------------------------------------------------------------


def test_one_click_builds_the_demo_company_and_lets_its_visitor_in(local):
    answer = local.post_form("/welcome/demo")
    assert answer.headers["location"] == "/welcome/demo" and "HttpOnly" in answer.headers["set-cookie"]
    stranger = visitor()
    assert "Building the demo company" in local.page("/welcome/demo").text
    assert stranger.page("/welcome").status_code in (200, 303)
    assert wait_until_built(local)["done"] is True
    assert stranger.page("/welcome/demo").headers["location"] == "/", "without the ticket nobody is let in"
    assert stranger.get("/deals").status_code == 401
    assert local.page("/welcome/demo").headers["location"] == "/"
    assert local.get("/deals").status_code == 200
    assert [row.is_demo for row in workspaces()] == [True]


def test_the_demo_can_be_entered_again_without_a_password_at_the_machine_only(local):
    local.post_form("/welcome/demo")
    wait_until_built(local)
    again, far = visitor(), visitor(url=AWAY, address="203.0.113.7")
    assert "Enter the demo company" in again.page("/signin").text and "Enter the demo company" not in far.page("/signin").text
    assert far.post_form("/demo").status_code == 403
    assert again.post_form("/demo", {"next": "/deals"}).headers["location"] == "/deals"
    assert again.get("/deals").status_code == 200


def test_an_own_workspace_has_no_demo_door(local):
    local.post_form("/welcome/own", GOOD)
    stranger = visitor()
    assert stranger.post_form("/demo").status_code == 403
    assert stranger.get("/deals").status_code == 401


def test_a_second_click_while_it_is_built_starts_nothing_twice(local):
    local.post_form("/welcome/demo")
    second = visitor()
    answer = second.post_form("/welcome/demo")
    assert answer.status_code == 303 and "set-cookie" not in answer.headers
    wait_until_built(local)
    assert len(workspaces()) == 1 and second.page("/welcome/demo").headers["location"] == "/"


def test_when_the_building_fails_the_doors_say_why_and_open_again(local, monkeypatch):
    def fail(**_kwargs):
        raise Invalid("The disk is full.")

    monkeypatch.setattr(company, "build", fail)
    local.post_form("/welcome/demo")
    assert wait_until_built(local)["failed"] is True
    assert local.page("/welcome/demo").headers["location"] == "/welcome"
    assert "The disk is full." in local.page("/welcome").text
    monkeypatch.undo()
    local.post_form("/welcome/demo")
    assert wait_until_built(local)["done"] is True


def test_a_visitor_of_the_demo_sees_it_as_another_role_and_comes_back(local):
    local.post_form("/welcome/demo")
    wait_until_built(local)
    local.page("/welcome/demo")
    first = local.get("/deals").json()
    old = local.cookies["rapport_session"]
    assert local.post_form("/demo/as", {"role": "sales_rep"}).headers["location"] == "/"
    second = local.get("/deals").json()
    with read_session() as session:
        shown = people.demo_people(session)
    assert second["id"] == str(shown["sales_rep"][0]) != first["id"]
    assert visitor().get("/deals", headers={"cookie": f"rapport_session={old}"}).status_code == 401, "the session before has ended"
    assert local.post_form("/demo/as", {"role": "nobody"}).status_code == 404
    local.post_form("/demo/as", {"role": "administrator"})
    assert local.get("/deals").json()["id"] == first["id"]
    assert local.get("/demo/as").status_code == 405
    assert local.post("/demo/as", data={"role": "manager"}, headers={"origin": "https://evil.example"}).status_code == 403


def test_nobody_becomes_somebody_else_outside_the_demo_or_with_an_own_account(staff):
    guest = visitor()
    guest.sign_in("alice")
    for is_demo in (False, True):  # with a password of one's own not even in the demo
        with write_session() as session:
            session.exec(select(Organisation)).one().is_demo = is_demo
        before = guest.get("/deals").json()["id"]
        assert guest.post_form("/demo/as", {"role": "administrator"}).status_code == 403
        assert guest.get("/deals").json()["id"] == before
    assert visitor().post_form("/demo/as", {"role": "administrator"}).status_code in (303, 401)
