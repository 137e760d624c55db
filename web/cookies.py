"""The one cookie that matters, and what the door knows about a request besides it."""

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response

from crm_core.db import write_session
from crm_core.services.admin import sessions
from crm_core.settings import settings

SESSION_COOKIE = "rapport_session"
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def is_https(request: HTTPConnection) -> bool:
    """True when the browser reached us over TLS (also at a proxy that RAPPORT_PUBLIC_URL names)."""
    return request.url.scheme in ("https", "wss") or settings().public_url.startswith("https://")


def set_session(response: Response, request: Request, token: str) -> None:
    """Hand the browser its session: unreadable for scripts, not sent along by other sites."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=settings().session_days * 86_400,
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_https(request),
    )


def let_in(request: Request, token: str, target: str) -> Response:
    """Go on to a page with a new session; the one that this browser had before ends."""
    with write_session() as session:
        sessions.end(session, request.cookies.get(SESSION_COOKIE))
    response = RedirectResponse(target, 303)
    set_session(response, request, token)
    return response


def clear_session(response: Response, request: Request) -> None:
    """Take the cookie back."""
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax", secure=is_https(request))


def address_of(request: Request) -> str:
    """Network address of the browser as the server knows it (behind a proxy: FORWARDED_ALLOW_IPS)."""
    return request.client.host if request.client else ""


def browser_of(request: Request) -> str:
    """What the browser calls itself."""
    return request.headers.get("user-agent", "")


def is_same_origin(request: Request) -> bool:
    """True when a form was sent from a page of ours. A request that says nothing of its origin comes from no browser, and is refused too."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return site is not None
    host = urlsplit(origin).netloc
    return bool(host) and host in (request.headers.get("host"), urlsplit(settings().public_url).netloc)


def is_local(request: Request) -> bool:
    """True for a browser on the very machine: loopback address, loopback name (no rebound DNS name), no proxy in between."""
    host = request.headers.get("host", "")
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if name not in _LOCAL_NAMES or any(header in request.headers for header in _PROXY_HEADERS):
        return False
    public = urlsplit(settings().public_url).hostname
    return _is_loopback(address_of(request)) and (public is None or public in ("localhost", "127.0.0.1", "::1"))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
