"""The door without Streamlit behind it (fast), and a visitor who behaves like a browser."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

from crm_core.db import write_session
from crm_core.models import User
from crm_core.services.admin import passwords
from crm_core.settings import settings
from tests.quick_hashes import quick_hashes as quick_hashes
from web import demo, setup_token
from web.middleware import Door
from web.routes import ROUTES

PASSWORD = "quiet river stone"
HERE = "http://localhost:8501"
AWAY = "http://crm.example.com"


async def tell_headers(request: Request) -> JSONResponse:
    """Stands for the app: tells who it was told that asks."""
    body = await request.body()
    return JSONResponse(
        {"id": request.headers.get("x-crm-user-id"), "sid": request.headers.get("x-crm-session"), "read": len(body)}
    )


async def tell_socket(websocket):
    await websocket.accept()
    await websocket.send_json({"id": websocket.headers.getlist("x-crm-user-id")})
    await websocket.close()


APP = Starlette(
    routes=[
        *ROUTES,
        WebSocketRoute("/_stcore/stream", tell_socket),
        Route("/{path:path}", tell_headers, methods=["GET", "POST", "PUT", "HEAD"]),
    ],
    middleware=[Middleware(Door)],
)


class Visitor(TestClient):
    """A browser: keeps cookies, does not follow by itself, says where its forms come from."""

    def post_form(self, path, form=None, **headers):
        return self.post(path, data=form or {}, headers={"origin": str(self.base_url).rstrip("/"), **headers})

    def page(self, path, **headers):
        return self.get(path, headers={"accept": "text/html", **headers})

    def sign_in(self, who="alice", password=PASSWORD, **form):
        return self.post_form("/signin", {"email": f"{who}@example.com", "password": password, **form})


def visitor(*, url=HERE, address="127.0.0.1"):
    return Visitor(APP, base_url=url, client=(address, 50000), follow_redirects=False)


@pytest.fixture(autouse=True)
def forget():
    """What the door keeps in memory."""
    demo._state = demo.State()
    setup_token.setup_token.cache_clear()
    setup_token.announce.cache_clear()
    yield


@pytest.fixture
def local(database):
    """Somebody at the machine, before anything is set up."""
    return visitor()


@pytest.fixture
def away(database):
    """Somebody on another machine, before anything is set up."""
    return visitor(url=AWAY, address="203.0.113.7")


@pytest.fixture
def staff(cast):
    """The cast, with passwords."""
    with write_session() as session:
        for actor in cast.values():
            session.get(User, actor.user_id).password_hash = passwords.hash_password(PASSWORD)
    return cast


@pytest.fixture
def guest(staff):
    """Somebody at the machine, in a workspace with the cast, not signed in."""
    return visitor()


@pytest.fixture
def setting(monkeypatch):
    """``setting("PUBLIC_URL", "https://…")``"""

    def choose(name, value):
        monkeypatch.setenv(f"RAPPORT_{name}", value)
        settings.cache_clear()

    return choose
