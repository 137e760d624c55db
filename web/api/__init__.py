"""``/api/v1``: the REST API. The framework behind it is loaded when somebody first asks for it, so that the app starts without it."""

from threading import Lock

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

_lock = Lock()
_loaded: list[ASGIApp] = []


def _load() -> ASGIApp:
    with _lock:
        if not _loaded:
            from web.api.gate import Gate

            _loaded.append(Gate())
        return _loaded[0]


async def api(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI app below ``/api``."""
    app = _loaded[0] if _loaded else await anyio.to_thread.run_sync(_load)
    await app(scope, receive, send)
