"""Everything that a stranger can type, tried on a freshly started server: nobody has signed in to this process before."""

import json
import os
import re
import shutil
import subprocess
import sys

import httpx
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.conftest import _environment
from tests.web.conftest import PASSWORD
from tests.web.server import NO_TLS, ROOT, running, wait_until_up
from ui.navigation import PAGES
from web.paths import PUBLIC, is_public

pytestmark = [pytest.mark.server, pytest.mark.slow]
SECRET_WORD = "Zanzibar-4711"
BROWSER = {"accept": "text/html"}


@pytest.fixture(scope="module")
def server(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh")
    shutil.copy(sqlite_template, folder / "rapport.db")
    url = f"sqlite:///{folder / 'rapport.db'}"
    with _environment(url, folder):
        _fill()
    with running(url, folder) as (base, process, log):
        wait_until_up(base, process, log)
        yield base


def _fill():
    from crm_core import records
    from crm_core.db import write_session
    from crm_core.models import User
    from crm_core.services.admin import passwords, setup
    from tests import cast

    with write_session() as session:
        setup.create_organisation(session, "Test Ltd")
        people = cast.create(session)
        for actor in people.values():
            session.get(User, actor.user_id).password_hash = passwords.hash_password(PASSWORD)
        records.create(session, people["alice"], "account", {"name": SECRET_WORD})


@pytest.fixture
def stranger(server):
    with httpx.Client(base_url=server, timeout=20, verify=NO_TLS) as client:
        yield client


def sign_in(server, who="alice"):
    client = httpx.Client(base_url=server, timeout=20, verify=NO_TLS)
    answer = client.post("/signin", data={"email": f"{who}@example.com", "password": PASSWORD}, headers={"origin": server})
    assert answer.status_code == 303, answer.text
    return client


@pytest.fixture(scope="module")
def routes():
    """Every HTTP and websocket route that the installed Streamlit and our own code serve together, as the process itself tells."""
    script = (
        "import json, app\n"
        "built = app.app._build_starlette_app()\n"
        "print('ROUTES' + json.dumps([[r.path, sorted(getattr(r, 'methods', None) or [])] for r in built.routes]))"
    )
    environment = {**os.environ, "RAPPORT_DATABASE_URL": "sqlite://"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    found = json.loads(done.stdout.split("ROUTES", 1)[1])
    assert len(found) > 20, "the list is not empty by accident"
    return found


# --- pages ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", *(screen.url for screen in PAGES), "no-such-page"])
def test_a_stranger_who_types_a_page_lands_on_the_sign_in(stranger, url):
    answer = stranger.get(f"/{url}?id=1", headers=BROWSER)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/signin?next=%2F")
    assert SECRET_WORD not in answer.text


@pytest.mark.parametrize("url", ["", *(screen.url for screen in PAGES)])
def test_even_the_shell_of_a_page_is_not_given_to_a_program(stranger, url):
    assert stranger.get(f"/{url}").status_code == 401


def test_the_health_probe_that_the_browser_makes_below_a_page_is_not_a_way_in(stranger):
    assert stranger.get("/deals/_stcore/health").status_code == 401
    assert stranger.get("/deals/_stcore/stream").status_code == 401


# --- routes ---------------------------------------------------------------------------------------------------------------


def test_every_route_of_the_process_is_closed_unless_it_is_on_the_list(stranger, routes):
    for template, methods in routes:
        path = template.replace("{path:path}", "x/y.js").replace("{file_id:path}", "x.png").replace("{token:path}", "x")
        path = path.replace("{slug:path}", "x").replace("{key:path}", "x").replace("{file:path}", "x.js")
        path = path.replace("{session_id}", "s").replace("{file_id}", "f").replace("{component_id}", "c") or "/"
        assert "{" not in path, f"say what stands for the placeholder in {template}"
        if is_public(path):
            continue
        for method in methods or ["GET"]:
            answer = stranger.request(method, path)
            assert answer.status_code == 401, f"{method} {path} answered {answer.status_code} to a stranger"


def test_every_entry_of_the_list_is_there_for_a_reason(stranger, routes):
    known = {template for template, _ in routes}
    served_as_files = {"/favicon.png"}
    assert known | served_as_files >= PUBLIC


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_no_open_address_answers_with_the_shell_of_the_app_whatever_the_verb(stranger, method):
    for path in (
        *PUBLIC,
        "/invite/x",
        "/invite/x/y",
        "/reset/x",
        "/invite/",
        "/reset/",
        "/t/x",
        "/o/x.gif",
        "/u/x",
        "/p/x",
        "/t/",
        "/u/",
    ):
        answer = stranger.request(method, path, headers=BROWSER)
        assert '<div id="root">' not in answer.text, f"{method} {path}"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_stcore/health", 200),
        ("GET", "/_stcore/host-config", 200),
        ("GET", "/healthz", 200),
        ("GET", "/robots.txt", 200),
        ("GET", "/app/static/icon.svg", 200),
        ("GET", "/app/static/inter-latin.woff2", 200),
        ("GET", "/metrics", 401),
        ("GET", "/_stcore/metrics", 401),
        ("GET", "/_stcore/stream", 401),
        ("PUT", "/_stcore/upload_file/session/file", 401),
        ("DELETE", "/_stcore/upload_file/session/file", 401),
        ("POST", "/_stcore/upload_file/session/file", 401),
        ("GET", "/media/0123456789abcdef.csv", 401),
        ("GET", "/component/x/index.html", 401),
        ("GET", "/_stcore/bidi-components/x/y.js", 401),
        ("GET", "/_stcore/agent/openapi.json", 401),
        ("GET", "/_stcore/script-health-check", 401),
        ("GET", "/oauth2callback", 401),
        ("GET", "/auth/login", 401),
        ("GET", "/demo", 405),
        ("TRACE", "/deals", 405),
        ("OPTIONS", "/deals", 401),
        ("PROPFIND", "/", 405),
    ],
)
def test_what_a_stranger_gets(stranger, method, path, status):
    assert stranger.request(method, path).status_code == status


@pytest.mark.parametrize(
    "path",
    ["/static/..%2f..%2fapp.py", "/static/%2e%2e/%2e%2e/app.py", "/app/static/../../data/local/rapport.db", "/app/static/%2e%2e/main.py",
     "/app/static/..%5c..%5capp.py", "/invite/../deals", "/signin/../deals", "//deals", "/static//deals", "/%2fdeals", "/.streamlit/config.toml",
     "/app.py", "/data/local/rapport.db", "/ui/main.py", "/pages/sales/deals.py", "/.env"],
)  # fmt: skip
def test_no_detour_leads_to_a_page_or_a_file(server, path):
    import http.client
    from urllib.parse import urlsplit

    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=20)
    connection.request("GET", path)  # this client sends the path as it is
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status in (400, 401, 404), f"{path} answered {answer.status}"
    assert b"<div id=" not in body and b"import " not in body and b"SQLite" not in body


@pytest.mark.parametrize(
    "name", ["X-Crm-User-Id", "x-crm-user-id", "X_Crm_User_Id", "X-CRM-SESSION", "Remote-User", "X-Forwarded-User"]
)
def test_a_forged_header_is_nobody(server, stranger, name):
    headers = {name: "1", "X-Crm-User-Id": "1", "X-Crm-Session": "1", **BROWSER}
    assert stranger.get("/deals", headers=headers).status_code == 303
    assert refused(server, headers) == 403


# --- websocket ------------------------------------------------------------------------------------------------------------


def socket_of(server, headers=None):
    return connect(
        server.replace("http", "ws") + "/_stcore/stream",
        additional_headers=headers or {},
        subprotocols=["streamlit"],
        max_size=None,
        open_timeout=20,
    )


def refused(server, headers):
    with pytest.raises(InvalidStatus) as caught, socket_of(server, headers):
        pass
    return caught.value.response.status_code


@pytest.mark.parametrize(
    "cookie", ["", "rapport_session=", "rapport_session=made-up", "_streamlit_user=made-up", "rapport_session=a; rapport_session=b"]
)
def test_a_websocket_without_a_session_does_not_open(server, cookie):
    assert refused(server, {"cookie": cookie} if cookie else {}) == 403


def cookie_of(client):
    return {"cookie": f"rapport_session={client.cookies['rapport_session']}"}


def run_page(socket, query="", page_name=""):
    """Ask for a run of a page (the default one); returns the messages until the server has been quiet for a second (a page may run twice by itself)."""
    message = BackMsg()
    message.rerun_script.query_string = query
    message.rerun_script.page_name = page_name
    socket.send(message.SerializeToString())
    found = []
    while True:
        finished = any(answer.WhichOneof("type") == "script_finished" for answer in found)
        try:
            raw = socket.recv(timeout=1 if finished else 60)
        except TimeoutError:
            assert finished, "the run did not end within a minute"
            return found
        answer = ForwardMsg()
        answer.ParseFromString(raw)
        found.append(answer)


def text_of(messages):
    return " ".join(str(message) for message in messages)


def redirects(messages):
    return [message.auth_redirect.url for message in messages if message.WhichOneof("type") == "auth_redirect"]


def test_an_open_tab_of_somebody_signed_in_draws_and_after_sign_out_elsewhere_no_more(server):
    client = sign_in(server)
    with socket_of(server, {**cookie_of(client), "X-Crm-User-Id": "1"}) as socket:
        first = run_page(socket)
        assert "Alice Rep" in text_of(first) and not re.search(r"\bRoot\b", text_of(first)) and redirects(first) == []
        assert client.post("/signout", headers={"origin": server}).status_code == 303
        after = run_page(socket)
    assert redirects(after) == ["/auth/logout"]
    assert SECRET_WORD not in text_of(after) and "Alice Rep" not in text_of(after)


def test_a_disconnected_tab_can_not_be_taken_over_by_somebody_else(server):
    """Streamlit resumes a session whose id the browser names; the id alone must not be enough."""
    alice, charlie = sign_in(server, "alice"), sign_in(server, "charlie")
    with socket_of(server, cookie_of(alice)) as socket:
        found = run_page(socket)
        session_id = next(m.new_session.initialize.session_id for m in found if m.WhichOneof("type") == "new_session")
    address = server.replace("http", "ws") + "/_stcore/stream"
    with connect(
        address, additional_headers=cookie_of(charlie), subprotocols=["streamlit", "PLACEHOLDER", session_id], max_size=None
    ) as socket:
        answer = text_of(run_page(socket))
    assert "Charlie Rep" in answer and "Alice Rep" not in answer.replace("“", "")


def headings(messages):
    shown = [message.delta.new_element for message in messages if message.WhichOneof("type") == "delta"]
    return {element.heading.body for element in shown if element.WhichOneof("type") == "heading"}


def menu(messages):
    return {
        page.url_pathname
        for message in messages
        if message.WhichOneof("type") == "navigation"
        for page in message.navigation.app_pages
        if not page.is_hidden
    }


def test_a_page_of_administrators_opens_for_them_and_is_closed_to_a_sales_rep(server):
    screen = next(screen for screen in PAGES if screen.url == "people")
    with socket_of(server, cookie_of(sign_in(server, "root"))) as socket:
        found = run_page(socket, page_name=screen.url)
    assert screen.title in headings(found) and screen.url in menu(found)

    hidden = {screen for screen in PAGES if screen.needs and screen.needs[0] in ("user", "job", "audit", "organisation")}
    assert len(hidden) >= 5
    client = sign_in(server)
    for screen in hidden:
        with socket_of(server, cookie_of(client)) as socket:
            found = run_page(socket, page_name=screen.url)
        assert headings(found) == {screen.title} and "an administrator has changed what your role may see" in text_of(found), (
            screen.url
        )
        assert screen.url not in menu(found), screen.url


def test_an_upload_needs_the_session_and_the_token_against_forgery(server):
    client = sign_in(server)
    assert client.put("/_stcore/upload_file/unknown/file", files={"f": ("a.csv", b"a")}).status_code in (400, 403)


# --- the front door -------------------------------------------------------------------------------------------------------


def test_signed_in_the_deep_link_is_there_with_its_headers(server):
    client = sign_in(server)
    answer = client.get("/deals?stage=Won", headers=BROWSER)
    assert answer.status_code == 200 and '<div id="root">' in answer.text
    assert "script-src 'self' blob: 'sha256-" in answer.headers["content-security-policy"]


def test_a_server_that_starts_anew_knows_its_sessions(server, tmp_path, sqlite_template):
    shutil.copy(sqlite_template, tmp_path / "rapport.db")
    url = f"sqlite:///{tmp_path / 'rapport.db'}"
    with _environment(url, tmp_path):
        _fill()
    with running(url, tmp_path) as (base, process, log):
        wait_until_up(base, process, log)
        client = sign_in(base)
    with running(url, tmp_path) as (base, process, log):
        wait_until_up(base, process, log)
        again = httpx.get(f"{base}/deals", headers={**BROWSER, "cookie": f"rapport_session={client.cookies['rapport_session']}"})
        assert again.status_code == 200


# --- refusing to start ----------------------------------------------------------------------------------------------------


def test_a_database_that_is_newer_than_the_code_is_refused_with_a_sentence_and_left_alone(sqlite_template, tmp_path):
    import sqlite3

    shutil.copy(sqlite_template, tmp_path / "rapport.db")
    with sqlite3.connect(tmp_path / "rapport.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with running(f"sqlite:///{tmp_path / 'rapport.db'}", tmp_path) as (_base, process, log):
        assert process.wait(60) != 0
    assert "made by a newer version" in log.read_text() and "Traceback" not in log.read_text()
    with sqlite3.connect(tmp_path / "rapport.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


@pytest.mark.postgres
def test_a_server_database_that_nobody_migrated_is_refused_with_the_command_that_does_it(postgres_server, tmp_path):
    from tests.conftest import _postgres

    _postgres(postgres_server, "CREATE DATABASE unmigrated")
    with running(postgres_server.format(name="unmigrated"), tmp_path) as (_base, process, log):
        assert process.wait(60) != 0
    assert "python -m crm_core migrate" in log.read_text() and "Traceback" not in log.read_text()


def test_the_first_start_makes_the_database_and_prints_where_to_begin(tmp_path):
    with running(f"sqlite:///{tmp_path / 'new' / 'rapport.db'}", tmp_path) as (base, process, log):
        wait_until_up(base, process, log)
        text = log.read_text()
        assert f"{base.replace('127.0.0.1', 'localhost')}/welcome" in text and "setup token:" in text
        assert httpx.get(f"{base}/", headers=BROWSER, verify=NO_TLS).headers["location"] == "/welcome"
        assert httpx.get(f"{base}/welcome", verify=NO_TLS).status_code == 200
    assert (tmp_path / "cookie.key").stat().st_mode & 0o777 == 0o600
