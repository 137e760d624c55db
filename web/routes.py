"""Every HTTP route beside the app."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from crm_core.vocabulary import LinkPurpose
from web import (
    capture,
    demo,
    health,
    hooks,
    ical,
    links,
    mail,
    metrics,
    oidc,
    preferences,
    reports,
    share,
    signin,
    surveys,
    tracking,
    visits,
    voice,
    welcome,
)
from web.api import api
from web.forms import endpoint

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
"""Each route takes every verb and answers 405 itself: one that it left alone would go on to Streamlit, which answers any path with its shell."""


def _icon(_request: Request) -> Response:
    return RedirectResponse("/app/static/icon.svg", 301)


def _route(path: str, answer: Callable[..., Any]) -> Route:
    return Route(path, answer, methods=_METHODS)


ROUTES: list[BaseRoute] = [
    _route("/signin", endpoint(signin.show, signin.submit)),
    _route("/signin/sso", oidc.begin),
    _route("/signin/sso/callback", oidc.finish),
    _route("/signout", endpoint(signin.ask_signout, signin.signout)),
    _route("/auth/logout", endpoint(signin.ask_signout)),
    _route("/welcome", endpoint(welcome.show)),
    _route("/welcome/own", endpoint(welcome.show_own, welcome.submit_own)),
    _route("/welcome/demo", endpoint(demo.show, welcome.begin_demo)),
    _route("/welcome/demo/status", endpoint(demo.status)),
    _route("/demo", endpoint(None, demo.enter)),
    _route("/demo/as", endpoint(None, demo.switch)),
    _route("/invite/{token:path}", links.route(LinkPurpose.INVITE)),
    _route("/reset/{token:path}", links.route(LinkPurpose.RESET)),
    _route("/t/{token:path}", endpoint(tracking.click)),
    _route("/o/{token:path}", endpoint(tracking.opened)),
    _route("/u/{token:path}", endpoint(preferences.ask, preferences.leave, from_anywhere=True)),
    _route("/p/{token:path}", endpoint(preferences.show, preferences.save, from_anywhere=True)),
    _route("/s/{token:path}", share.route),
    _route("/f/{slug:path}", endpoint(capture.show, capture.submit, from_anywhere=True)),
    _route("/c/{token:path}", endpoint(capture.ask, capture.confirm, from_anywhere=True)),
    _route("/capture/{key:path}", capture.by_key),
    _route("/mail/in/{key:path}", mail.take_in),
    Mount("/api", api),
    _route("/hooks/shop/{token:path}", hooks.shop),
    _route("/ical/{token:path}", endpoint(ical.show)),
    _route("/voice/{key:path}", voice.take),
    _route("/q/{token:path}", endpoint(surveys.show, surveys.submit, from_anywhere=True)),
    _route("/r/{token:path}", endpoint(reports.ask, reports.leave, from_anywhere=True)),
    _route("/v/{file:path}", endpoint(visits.show)),
    _route("/healthz", endpoint(health.show)),
    _route("/metrics", endpoint(metrics.show)),
    _route("/robots.txt", endpoint(health.robots)),
    _route("/favicon.ico", endpoint(_icon)),
]
