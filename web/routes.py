"""Every HTTP route beside the app. What answers at an address is loaded when somebody first comes there: the first page does not wait for it."""

import importlib
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from crm_core.vocabulary import LinkPurpose
from web.api import api
from web.forms import endpoint

Endpoint = Callable[[Request], Awaitable[Response]]

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
"""Each route takes every verb and answers 405 itself: one that it left alone would go on to Streamlit, which answers any path with its shell."""


def _icon(_request: Request) -> Response:
    return RedirectResponse("/app/static/icon.svg", 301)


def _named(place: str) -> Any:
    """What ``module.name`` stands for in this package."""
    module, name = place.rsplit(".", 1)
    return getattr(importlib.import_module(f"web.{module}"), name)


def _late(path: str, load: Callable[[], Endpoint]) -> Route:
    """A route whose endpoint is made when it is first asked for."""
    made: list[Endpoint] = []

    async def answer(request: Request) -> Response:
        if not made:
            made.append(await run_in_threadpool(load))
        return await made[0](request)

    answer.load = load  # type: ignore[attr-defined]  # for those who want to know beforehand whether it can be loaded
    return Route(path, answer, methods=_METHODS)


def _form(path: str, show: str | None, submit: str | None = None, *, from_anywhere: bool = False, stranger: bool = False) -> Route:
    """A page that is shown, and a form on it that is acted on."""

    def load() -> Endpoint:
        return endpoint(
            _named(show) if show else None, _named(submit) if submit else None, from_anywhere=from_anywhere, stranger=stranger
        )

    return _late(path, load)


def _own(path: str, place: str) -> Route:
    """An endpoint that reads its request itself."""
    return _late(path, lambda: _named(place))


ROUTES: list[BaseRoute] = [
    _form("/signin", "signin.show", "signin.submit"),
    _own("/signin/sso", "oidc.begin"),
    _own("/signin/sso/callback", "oidc.finish"),
    _form("/signout", "signin.ask_signout", "signin.signout"),
    _form("/auth/logout", "signin.ask_signout"),
    _form("/welcome", "welcome.show"),
    _form("/welcome/own", "welcome.show_own", "welcome.submit_own"),
    _form("/welcome/demo", "demo.show", "welcome.begin_demo"),
    _form("/welcome/demo/status", "demo.status"),
    _form("/demo", None, "demo.enter"),
    _form("/demo/as", None, "demo.switch"),
    _late("/invite/{token:path}", lambda: _named("links.route")(LinkPurpose.INVITE)),
    _late("/reset/{token:path}", lambda: _named("links.route")(LinkPurpose.RESET)),
    _form("/t/{token:path}", "tracking.click", stranger=True),
    _form("/o/{token:path}", "tracking.opened", stranger=True),
    _form("/u/{token:path}", "preferences.ask", "preferences.leave", from_anywhere=True),
    _form("/p/{token:path}", "preferences.show", "preferences.save", from_anywhere=True),
    _own("/s/{token:path}", "share.route"),
    _form("/f/{slug:path}", "capture.show", "capture.submit", from_anywhere=True),
    _form("/book/{slug:path}", "booking.show", "booking.submit", from_anywhere=True),
    _form("/b/{token:path}", "booking.meeting", "booking.change", from_anywhere=True),
    _form("/c/{token:path}", "capture.ask", "capture.confirm", from_anywhere=True),
    _own("/capture/{key:path}", "capture.by_key"),
    _own("/mail/in/{key:path}", "mail.take_in"),
    Mount("/api", api),
    _own("/hooks/shop/{token:path}", "hooks.shop"),
    _form("/ical/{token:path}", "ical.show"),
    _own("/voice/{key:path}", "voice.take"),
    _form("/q/{token:path}", "surveys.show", "surveys.submit", from_anywhere=True),
    _form("/r/{token:path}", "reports.ask", "reports.leave", from_anywhere=True),
    _form("/help", "help.show", stranger=True),
    _form("/help/{slug:path}", "help.article", "help.vote", stranger=True),
    _form("/v/{file:path}", "visits.show"),
    _form("/healthz", "health.show"),
    _form("/metrics", "metrics.show"),
    _form("/robots.txt", "health.robots"),
    Route("/favicon.ico", _icon, methods=_METHODS),
]
