"""``/s/<token>``: a shared page for people without an account. Read-only, without script, in one answer; whatever is wrong looks the same."""

import threading
import time
from collections import OrderedDict, deque
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from crm_core.db import read_session, write_session
from crm_core.errors import CrmError, NotPermitted, TooMany
from crm_core.kit import clock, hashing
from crm_core.services.analytics import paper, shared_pages, sharing
from crm_core.services.analytics.sharing import Opened
from web import headers, pages
from web.cookies import address_of, browser_of, is_https
from web.forms import Form, endpoint

PER_MINUTE = 60
"""Requests of one address to shared pages, whether the links work or not."""
_PASS_SECONDS = 86_400
_KEPT = 64
_seen: dict[str, deque[float]] = {}
_drawn: OrderedDict[Any, str] = OrderedDict()
_lock = threading.Lock()


def show(request: Request) -> Response:
    """The page behind a link, or the question for its password."""
    _slow_down(address_of(request))
    with read_session() as session:
        opened = sharing.open_link(session, _token(request))
        if opened.password_hash and not sharing.has_pass(opened, request.cookies.get(_cookie(opened), "")):
            return _ask(request)
        body = _document(session, opened)
    if request.method != "HEAD":
        _note(request, opened)
    return _page(body, opened)


def submit(request: Request, form: Form) -> Response:
    """Try the password of a link; the browser keeps a signed mark for a day."""
    address = address_of(request)
    _slow_down(address)
    try:
        with write_session() as session:
            opened = sharing.open_link(session, _token(request))
            sharing.begin_try(session, opened, address=address)
    except TooMany as error:
        return _ask(request, error.message, 429)
    if opened.password_hash is None:
        return RedirectResponse(request.url.path, 303)
    if not hashing.fits(opened.password_hash, form.get("password", "")):
        _note(request, opened, refused=True)
        return _ask(request, sharing.WRONG, NotPermitted.status)
    response = RedirectResponse(request.url.path, 303)
    response.set_cookie(
        _cookie(opened),
        sharing.pass_sign(opened),
        max_age=_PASS_SECONDS,
        path="/s/",
        httponly=True,
        samesite="lax",
        secure=is_https(request),
    )
    return response


route = endpoint(show, submit, stranger=True)


def _token(request: Request) -> str:
    return str(request.path_params["token"])


def _cookie(opened: Opened) -> str:
    return f"rapport_share_{opened.id}"


def _document(session: Any, opened: Opened) -> str:
    """Drawn once for as long as no table behind it changes and the day stays the same."""
    actor = opened.actor
    key = (opened.id, opened.version, clock.today(actor.timezone), shared_pages.freshness(session, actor))
    with _lock:
        if key in _drawn:
            _drawn.move_to_end(key)
            return _drawn[key]
    made = shared_pages.page(session, opened, icon="/app/static/icon.svg")
    with _lock:
        _drawn[key] = made
        while len(_drawn) > _KEPT:
            _drawn.popitem(last=False)
    return made


def _page(body: str, opened: Opened) -> Response:
    found = {"content-security-policy": _policy(opened.embeddable), "cache-control": "no-store", "referrer-policy": "no-referrer"}
    response = HTMLResponse(body, headers=found)
    if opened.embeddable:
        response.headers["x-frame-options"] = "ALLOWALL"  # no such value: browsers ignore it and follow frame-ancestors
        response.headers["cross-origin-opener-policy"] = "unsafe-none"
    return response


@lru_cache(maxsize=2)
def _policy(embeddable: bool) -> str:
    policy = headers.page_policy((), (paper.style(),))
    return policy.replace("frame-ancestors 'none'", "frame-ancestors *") if embeddable else policy


def _note(request: Request, opened: Opened, *, refused: bool = False) -> None:
    try:
        with write_session() as session:
            sharing.note_view(session, opened, address=address_of(request), browser=browser_of(request), refused=refused)
    except CrmError:
        pages.log.warning("the opening of shared link %s was not written down", opened.id)


def _ask(request: Request, error: str = "", status: int = 200) -> Response:
    return pages.public("share.html", status=status, referrer="same-origin", action=request.url.path, error=error)


def _slow_down(address: str) -> None:
    """At most so many requests per minute and address; raises TooMany. Kept in memory: it protects this process."""
    now = time.monotonic()
    with _lock:
        if len(_seen) > 10_000:
            _seen.clear()
        times = _seen.setdefault(address, deque())
        while times and now - times[0] > 60:
            times.popleft()
        if len(times) >= PER_MINUTE:
            raise TooMany("Too many requests. Wait a minute and try again.")
        times.append(now)
