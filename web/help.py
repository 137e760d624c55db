"""``/help`` is the public help centre, ``/help/<article>`` an article: published ones only, no account, nothing kept in the reader's browser."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from crm_core.db import read_session, write_session
from crm_core.errors import NotFound, TooMany
from crm_core.kit.network import network_of
from crm_core.services.helpdesk import help_pages
from crm_core.services.helpdesk.help_pages import Centre
from web import pages
from web.api.pace import Counter
from web.cookies import address_of
from web.forms import Form

PER_MINUTE = 120
"""Pages that one address may open in a minute."""
_CACHE = "public, max-age=60"
_COUNTER = Counter()


def show(request: Request) -> Response:
    """The list: by category, or what fits the words."""
    _slow_down(request)
    query, category = (request.query_params.get(key, "").strip()[: help_pages.MAX_QUERY] for key in ("q", "c"))
    with read_session() as session:
        centre = help_pages.centre(session)
        known = help_pages.categories(session)
        category = category if category in known else ""
        found = help_pages.find(session, query, category)
    return _page("help.html", request, centre, found=found, query=query, category=category, categories=known)


def article(request: Request) -> Response:
    """One article; a sentence and the way to all others for what is no article. ``/help/`` is the list."""
    _slow_down(request)
    if not _slug(request):
        return RedirectResponse("/help", 301)
    try:
        with read_session() as session:
            found = help_pages.article(session, _slug(request))
    except NotFound as error:
        return _missing(error)
    thanks = request.query_params.get("helped", "")
    reviewed = f"{found.reviewed_on.day} {found.reviewed_on:%B %Y}" if found.reviewed_on else ""
    return _page(
        "help_article.html",
        request,
        found.centre,
        article=found,
        reviewed=reviewed,
        thanks=thanks if thanks in ("yes", "no") else "",
    )


def vote(request: Request, values: Form) -> Response:
    """“Did this help?”: noted, then the article again, so that going back or reloading sends nothing twice."""
    helped, slug = values.get("helped", ""), _slug(request)
    try:
        _slow_down(request)
        if helped not in ("yes", "no"):
            raise NotFound(help_pages.MISSING)
        with write_session() as session:
            browser = request.headers.get("user-agent", "")
            help_pages.vote(session, slug, helped=helped == "yes", address=address_of(request), browser=browser)
    except NotFound as error:
        return _missing(error)
    return RedirectResponse(f"/help/{slug}?helped={helped}#helped", 303)


def _page(template: str, request: Request, centre: Centre, **values: Any) -> Response:
    response = pages.public(template, referrer="same-origin", centre=centre, **values)
    response.headers["cache-control"] = _CACHE
    if centre.indexed and not request.query_params:  # what a stranger puts into an address is nothing for search engines
        response.headers["x-robots-tag"] = "all"
    return response


def _missing(error: NotFound) -> Response:
    with read_session() as session:
        try:
            help_pages.centre(session)
        except NotFound as closed:
            return pages.failure(closed, stranger=True)
    words = {"title": "This article is not here", "message": error.message, "link": "/help", "label": "All articles"}
    return pages.public("message.html", status=404, **words)


def _slug(request: Request) -> str:
    return str(request.path_params["slug"])[:100]


def _slow_down(request: Request) -> None:
    if _COUNTER.count(network_of(address_of(request)), PER_MINUTE).over:
        raise TooMany("Many pages were opened from here within a minute. Wait a moment and try again.")
