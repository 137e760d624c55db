"""Every HTTP route beside the app."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from crm_core.vocabulary import LinkPurpose
from web import demo, health, links, metrics, oidc, signin, welcome
from web.forms import endpoint

_BOTH = ["GET", "POST"]


def _icon(_request: Request) -> Response:
    return RedirectResponse("/app/static/icon.svg", 301)


ROUTES = [
    Route("/signin", endpoint(signin.show, signin.submit), methods=_BOTH),
    Route("/signin/sso", oidc.begin),
    Route("/signin/sso/callback", oidc.finish),
    Route("/signout", endpoint(signin.ask_signout, signin.signout), methods=_BOTH),
    Route("/auth/logout", endpoint(signin.ask_signout)),
    Route("/welcome", endpoint(welcome.show)),
    Route("/welcome/own", endpoint(welcome.show_own, welcome.submit_own), methods=_BOTH),
    Route("/welcome/demo", endpoint(demo.show, welcome.begin_demo), methods=_BOTH),
    Route("/welcome/demo/status", endpoint(demo.status)),
    Route("/demo", endpoint(None, demo.enter), methods=["POST"]),
    Route("/invite/{token}", links.route(LinkPurpose.INVITE), methods=_BOTH),
    Route("/reset/{token}", links.route(LinkPurpose.RESET), methods=_BOTH),
    Route("/healthz", endpoint(health.show)),
    Route("/metrics", endpoint(metrics.show)),
    Route("/robots.txt", endpoint(health.robots)),
    Route("/favicon.ico", endpoint(_icon)),
]
