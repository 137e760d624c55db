"""The door: every request and every websocket passes here first.

Pure ASGI, since Starlette's BaseHTTPMiddleware never sees a websocket. It looks the session cookie up, tells the app who it is through two
headers that nobody else can set, and turns everybody else away before any page code runs.
"""

import logging
import time
from typing import Any
from urllib.parse import quote

import anyio
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crm_core.db import read_session
from crm_core.errors import CrmError
from crm_core.services.admin import sessions, setup
from crm_core.settings import settings
from web import gate, headers, metrics, pages
from web.cookies import SESSION_COOKIE
from web.paths import is_odd, is_public

log = logging.getLogger("rapport.web")
_IDENTITY = b"x-crm-"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FORM_LIMIT = 1_000_000
_API = "/api/"
_TOO_LARGE = "This is too large; a file may have {} MB, a message 30 MB."
_UPLOADS = "/_stcore/upload_file/"
_MAIL, _MAIL_LIMIT = "/mail/in/", 42 << 20
"""A message of 30 MB as a form of a provider is a third larger."""


class _TooLarge(Exception):
    """The body grew past its limit while it was read."""


class Door:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, _with_headers(send, scope))
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal, scope = await _examine(scope)
        if refusal is None and _declared_length(scope) > _limit(scope["path"]):
            refusal = _too_large(scope["path"])
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, _counted(receive, _limit(scope["path"])), watched)
        except _TooLarge:
            if not started:
                await _too_large(scope["path"])(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal, scope = await _examine(scope, public=False)
        if refusal is not None:
            await receive()
            await send({"type": "websocket.close", "code": 4401, "reason": "Sign in first."})
            return
        await self.app(scope, receive, send)


async def _examine(scope: Scope, *, public: bool = True) -> tuple[Response | None, Scope]:
    """Who asks, and whether that is enough: a refusal, or None with the scope to pass on."""
    clean = [(key, value) for key, value in scope["headers"] if not key.lower().startswith(_IDENTITY)]
    scope = {**scope, "headers": clean}
    if is_odd(scope["path"]):
        return _refused(scope["path"], 400, "This address is not valid."), scope
    if scope.get("method", "GET") not in _METHODS:
        return _refused(scope["path"], 405, "This method is not supported."), scope
    if public and is_public(scope["path"]):
        return None, scope
    try:
        found = await anyio.to_thread.run_sync(_find, HTTPConnection(scope).cookies.get(SESSION_COOKIE))
        if found is None:
            return await _turned_away(scope), scope
    except CrmError as error:
        log.error("the session could not be looked up: %s", error.message)
        return pages.failure(error), scope
    except Exception as error:
        return pages.unexpected(error), scope
    identity = [(b"x-crm-user-id", str(found.user_id).encode()), (b"x-crm-session", str(found.session_id).encode())]
    return None, {**scope, "headers": [*clean, *identity]}


def _find(token: str | None) -> sessions.SignedIn | None:
    if not token:
        return None
    with read_session() as session:
        return sessions.lookup(session, token)


async def _turned_away(scope: Scope) -> Response:
    """A person goes to the sign-in page (and afterwards where they wanted to); a program gets 401."""
    if scope["type"] == "websocket" or not _wants_page(scope):
        return PlainTextResponse("Sign in first.", 401)
    if not await anyio.to_thread.run_sync(_workspace_exists):
        return RedirectResponse("/welcome", 303)
    query = scope["query_string"].decode("latin-1")
    target = scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse("/signin" if target == "/" else f"/signin?next={quote(target, safe='')}", 303)


def _workspace_exists() -> bool:
    with read_session() as session:
        return setup.organisation(session) is not None


def _wants_page(scope: Scope) -> bool:
    found = Headers(scope=scope)
    return scope["method"] in ("GET", "HEAD") and (
        "text/html" in found.get("accept", "") or found.get("sec-fetch-mode") == "navigate"
    )


# --- size ---------------------------------------------------------------------------------------------------------------


def _limit(path: str) -> int:
    if path.startswith(_MAIL):
        return _MAIL_LIMIT
    return settings().max_upload_mb * 1_048_576 + _FORM_LIMIT if path.startswith(_UPLOADS) else _FORM_LIMIT


def _declared_length(scope: Scope) -> int:
    text = Headers(scope=scope).get("content-length", "0")
    return int(text) if text.isdecimal() else 0


def _too_large(path: str) -> Response:
    words = "A request may have 1 MB." if path.startswith(_API) else _TOO_LARGE.format(settings().max_upload_mb)
    return _refused(path, 413, words)


def _refused(path: str, status: int, words: str) -> Response:
    """A refusal in the language of whoever asks: programs of the API read problem documents."""
    if not path.startswith(_API):
        return PlainTextResponse(words, status)
    body = {"type": "about:blank", "title": "Refused at the door", "status": status, "code": "refused", "detail": words}
    return JSONResponse(body, status, media_type="application/problem+json")


def _counted(receive: Receive, limit: int) -> Receive:
    """``receive`` that stops a body without a declared length at the same limit."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _TooLarge
        return message

    return counted


# --- headers ------------------------------------------------------------------------------------------------------------


def _with_headers(send: Send, scope: Scope) -> Send:
    began = time.perf_counter()

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            metrics.count_request(message["status"], time.perf_counter() - began)
            message = {**message, "headers": [*message.get("headers", []), *_missing(message.get("headers", []), scope)]}
        await send(message)

    return sending


def _missing(present: Any, scope: Scope) -> list[tuple[bytes, bytes]]:
    known = {key.lower() for key, _ in present}
    wanted = {**headers.COMMON, "content-security-policy": headers.app_policy()}
    if gate.is_used():  # the next request may be somebody else's, through the same proxy
        wanted["connection"] = "close"
    if scope.get("scheme") == "https":
        wanted["strict-transport-security"] = "max-age=31536000"
    return [(key.encode(), value.encode()) for key, value in wanted.items() if key.encode() not in known]
