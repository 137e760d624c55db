"""Before any route of the API: who asks, how often, and afterwards one line of the log."""

import logging
import time

import anyio
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crm_core.db import read_session, write_session
from crm_core.errors import CrmError
from crm_core.services.admin import api_door, sessions
from crm_core.services.admin.api_door import Caller, Unknown
from crm_core.settings import settings
from web.api import pace
from web.api.app import HERE, build
from web.api.problems import Refused, problem, unexpected
from web.cookies import SESSION_COOKIE, address_of

log = logging.getLogger("rapport.web")
READABLE = ("/api/v1/docs", "/api/v1/openapi.json")
"""May be opened by whoever is signed in, too."""


class Gate:
    """ASGI app around the routes."""

    def __init__(self) -> None:
        self.routes: ASGIApp = build()
        self.origins: tuple[str, ...] = ()
        self.with_cors: ASGIApp = self._inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await self._app()(scope, receive, send)

    def _app(self) -> ASGIApp:
        """With headers for scripts of other sites only where the setting names them."""
        origins = tuple(one.strip() for one in settings().api_cors_origins.split(",") if one.strip())
        if origins != self.origins:
            self.origins = origins
            self.with_cors = self._inner if not origins else CORSMiddleware(
                self._inner, allow_origins=origins, allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"], max_age=600,
                allow_headers=["authorization", "content-type", "if-match", "if-none-match", "idempotency-key"],
                expose_headers=["etag", "ratelimit", "ratelimit-policy", "retry-after", "location", "idempotency-replayed"],
            )  # fmt: skip
        return self.with_cors

    async def _inner(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, began = Request(scope), time.perf_counter()
        try:
            caller, extra = await anyio.to_thread.run_sync(_enter, request)
        except CrmError as error:
            await problem(error, error.details.get("headers"))(scope, receive, send)
            return
        except Exception as error:
            await unexpected(error)(scope, receive, send)
            return
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.setdefault("cache-control", "no-store")
                headers.update(extra)
            await send(message)

        scope = {**scope, "rapport.caller": caller, "root_path": HERE}
        try:
            await self.routes(scope, receive, sending)
        except Exception:  # a bug: it was logged and answered below, and is passed on only to be logged once more
            if not status:
                raise
        finally:
            ms = int((time.perf_counter() - began) * 1000)
            await anyio.to_thread.run_sync(_note, caller, scope["method"], scope["path"], status or 500, ms)


def _enter(request: Request) -> tuple[Caller | None, dict[str, str]]:
    """The caller and headers for the answer. Raises Unknown without a key that works, Refused for one that asks too often."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    with read_session() as session:
        try:
            if scheme.casefold() != "bearer":
                raise Unknown("This needs a key: send “Authorization: Bearer rap_…”. Keys are made under Your account.")
            caller = api_door.enter(session, key.strip())
        except Unknown as error:
            if request.url.path in READABLE and sessions.lookup(session, request.cookies.get(SESSION_COOKIE)) is not None:
                return None, {}
            found = pace.of_stranger(address_of(request))
            if found.over:
                raise Refused(429, "Too many requests without a key that works. Wait a minute.", headers=found.headers()) from error
            raise
        found = pace.of_key(session, caller.key_id)
    if found.over:
        message = f"This key may ask {found.limit:,} times a minute. Wait {found.seconds} seconds."
        raise Refused(429, message, headers=found.headers())
    return caller, found.headers()


def _note(caller: Caller | None, method: str, path: str, status: int, ms: int) -> None:
    if caller is None:
        return
    try:
        with write_session() as session:
            api_door.note(session, caller, method=method, path=path, status=status, ms=ms)
        pace.EVERYWHERE.done(caller.key_id)
    except Exception:  # the answer is out: a full disk must not turn it into an error
        log.exception("a request could not be noted")
