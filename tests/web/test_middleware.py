"""The door: who gets through, with which identity, with which headers."""

import pytest
from starlette.websockets import WebSocketDisconnect

from crm_core.db import write_session
from crm_core.models import User
from crm_core.services.admin import sessions
from tests.web.conftest import visitor
from web.cookies import SESSION_COOKIE


def test_a_stranger_goes_to_the_sign_in_page_and_finds_the_page_again(guest):
    answer = guest.page("/deal?id=7&tab=lines")
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?next=%2Fdeal%3Fid%3D7%26tab%3Dlines")
    assert guest.page("/").headers["location"] == "/signin"
    assert guest.sign_in(next="/deal?id=7&tab=lines").headers["location"] == "/deal?id=7&tab=lines"
    assert guest.page("/deal?id=7&tab=lines").json()["id"]


def test_before_anything_is_set_up_every_page_leads_to_the_welcome(local):
    assert local.page("/deals").headers["location"] == "/welcome"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/media/x.png"), ("PUT", "/_stcore/upload_file/a/b"), ("POST", "/"), ("GET", "/_stcore/metrics")]
)
def test_a_program_without_a_session_gets_401(guest, method, path):
    answer = guest.request(method, path)
    assert answer.status_code == 401 and "id" not in answer.text


def test_the_app_is_told_who_it_is_by_the_session_alone(guest, staff):
    guest.sign_in()
    forged = {"X-Crm-User-Id": str(staff["root"].user_id), "x-crm-session": "777", "X-CRM-Anything": "1"}
    told = guest.get("/deals", headers=forged).json()
    assert (told["id"] == str(staff["alice"].user_id) and told["sid"] != forged["x-crm-session"]) or told["sid"] == "1"
    assert told["id"] != forged["X-Crm-User-Id"]


def test_forged_headers_alone_are_nobody(guest, staff):
    assert guest.get("/deals", headers={"X-Crm-User-Id": "1", "X-Crm-Session": "1"}).status_code == 401
    told = guest.get("/app/static/whatever", headers={"X-Crm-User-Id": "1"}).json()
    assert told["id"] is None, "nor on public paths"


def test_a_websocket_without_a_session_is_rejected_before_it_opens(guest):
    for headers in ({}, {"X-Crm-User-Id": "1", "X-Crm-Session": "1"}, {"cookie": f"{SESSION_COOKIE}=made-up"}):
        with pytest.raises(WebSocketDisconnect), guest.websocket_connect("ws://localhost:8501/_stcore/stream", headers=headers):
            pass


def test_a_websocket_with_a_session_carries_one_identity_whatever_was_forged(guest, staff):
    guest.sign_in()
    with guest.websocket_connect(
        "ws://localhost:8501/_stcore/stream", headers={"X-Crm-User-Id": "1", "x-crm-user-id": "1"}
    ) as socket:
        assert socket.receive_json() == {"id": [str(staff["alice"].user_id)]}


def test_a_websocket_has_no_public_paths(guest):
    with pytest.raises(WebSocketDisconnect), guest.websocket_connect("ws://localhost:8501/healthz"):
        pass


@pytest.mark.parametrize("path", ["/static/%2e%2e/deals", "/static//x", "/a%5Cb", "/x%00y"])
def test_an_odd_path_is_refused_whoever_asks(guest, path):
    guest.sign_in()
    assert guest.get(path).status_code == 400


def test_every_answer_carries_the_headers_that_a_browser_should_obey(guest):
    guest.sign_in()
    for path in ("/deals", "/signin", "/nothing", "/healthz"):
        headers = guest.page(path).headers
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "SAMEORIGIN"
        policy = headers["content-security-policy"]
        assert "object-src 'none'" in policy and "form-action 'self'" in policy
        assert "unsafe-eval" not in policy and "http:" not in policy.replace("ws:", "")
        script = next(part for part in policy.split("; ") if part.startswith("script-src"))
        assert "unsafe-inline" not in script


def test_the_policy_of_the_app_allows_exactly_the_inline_script_of_the_installed_page():
    import re
    from pathlib import Path

    import streamlit

    from web.headers import app_policy, source_hash

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text()
    inline = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(inline) == 1 and source_hash(inline[0]) in app_policy()


def test_a_body_beyond_the_limit_is_refused_with_and_without_a_declared_length(guest):
    guest.sign_in()

    def pieces():
        for _ in range(3):
            yield b"x" * 500_000

    assert guest.post("/anything", content=b"x" * 1_500_000).status_code == 413
    assert guest.post("/anything", content=pieces()).status_code == 413
    assert guest.post("/anything", content=b"x" * 900_000).json()["read"] == 900_000
    assert guest.put("/_stcore/upload_file/a/b", content=b"x" * 1_500_000).json()["read"] == 1_500_000


def test_an_upload_beyond_the_setting_is_refused(guest, setting):
    setting("MAX_UPLOAD_MB", "1")
    guest.sign_in()
    answer = guest.put("/_stcore/upload_file/a/b", content=b"x" * 3_000_000)
    assert answer.status_code == 413 and "1 MB" in answer.text


def test_a_revoked_session_is_out_on_the_next_request(guest, staff):
    guest.sign_in()
    assert guest.get("/deals").status_code == 200
    with write_session() as session:
        sessions.revoke_all(session, staff["alice"].user_id)
    assert guest.get("/deals").status_code == 401


def test_a_deactivated_person_is_out_on_the_next_request(guest, staff):
    guest.sign_in()
    with write_session() as session:
        session.get(User, staff["alice"].user_id).is_active = False
    assert guest.get("/deals").status_code == 401


def test_when_the_database_does_not_answer_a_page_says_so(guest, setting, tmp_path):
    guest.sign_in()
    (tmp_path / "folder.db").mkdir()
    setting("DATABASE_URL", f"sqlite:///{tmp_path / 'folder.db'}")
    answer = guest.page("/deals")
    assert answer.status_code == 503 and "does not answer" in answer.text and str(tmp_path) not in answer.text
    assert guest.sign_in().status_code == 503
    for path in ("/f/x", "/b/x-1", "/book/x", "/u/x-1", "/p/x-1", "/q/x-1", "/c/x"):
        answer = guest.page(path)
        assert (answer.status_code, "does not answer" in answer.text, str(tmp_path) in answer.text) == (503, True, False), path


def test_a_bug_in_the_door_gives_a_reference_and_no_detail(guest, monkeypatch):
    def broken(*_args):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(sessions, "lookup", broken)
    guest.cookies.set(SESSION_COOKIE, "x")
    for path in ("/deals", "/signin"):
        answer = guest.page(path)
        assert answer.status_code == 500 and "reference" in answer.text and "secret detail" not in answer.text


def test_the_cookie_is_unreadable_for_scripts_and_not_sent_by_other_sites(guest):
    cookie = guest.sign_in().headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=") and "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie
    assert "Max-Age=1209600" in cookie and "Secure" not in cookie


def test_over_tls_the_cookie_is_secure(staff):
    client = visitor(url="https://crm.example.com", address="203.0.113.7")
    answer = client.sign_in()
    assert "; Secure" in answer.headers["set-cookie"] and "strict-transport-security" in answer.headers
