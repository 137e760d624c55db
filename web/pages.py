"""Pages of the door: server-rendered, in the house look, usable without script, asking no other host for anything."""

import logging
import re
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session
from starlette.responses import HTMLResponse

from crm_core.db import read_session, shared
from crm_core.errors import CrmError, NotFound, TooMany
from crm_core.services.admin import setup
from web import headers

log = logging.getLogger("rapport.web")
_HERE = Path(__file__).resolve().parent / "templates"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["words"] = _marked
    environment.globals["style"] = Markup(_source("door.css"))  # noqa: S704  (a file of ours)
    environment.globals["script"] = Markup(_source("door.js"))  # noqa: S704  (a file of ours)
    return environment


def _marked(text: str) -> Markup:
    """A paragraph of ours in which ``**`` means bold and back-ticks mean code."""
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(text)))
    return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", bold, flags=re.S))  # noqa: S704  (escaped above)


def _source(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _policy() -> str:
    return headers.page_policy((_source("door.js"),), (_source("door.css"),))


def render(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page. It is never stored by the browser: a form that somebody left must not come back with "back"."""
    body = (
        _environment()
        .get_template(template)
        .render({"error": "", "errors": {}, "notice": "", "brand": "", "framed": False, **values})
    )
    return HTMLResponse(body, status, headers={"content-security-policy": _policy(), "cache-control": "no-store"})


def public(template: str, *, status: int = 200, referrer: str = "no-referrer", **values: Any) -> HTMLResponse:
    """A page for people without an account: under the name of the workspace that wrote to them, no index, no way into the app.

    ``referrer``: a page whose own form must come from here, or is asked where it came from, says ``same-origin``.
    """
    response = render(template, status=status, **{"brand": _workspace(), **values})
    response.headers.update({"x-robots-tag": "noindex, nofollow", "referrer-policy": referrer})
    return response


def message(title: str, words: str, *, status: int = 200) -> HTMLResponse:
    """A sentence for people without an account."""
    return public("message.html", status=status, title=title, message=words, link="", label="")


def _workspace() -> str:
    """How the workspace calls itself; empty before there is one, and while the database can't be asked: an error's page needs it least."""
    try:
        with read_session() as session:
            return shared(session, "web.workspace", ("organisation",), lambda: _name(session))
    except (CrmError, SQLAlchemyError) as error:
        log.warning("the name of the workspace could not be read: %s", error)
        return ""


def _name(session: Session) -> str:
    found = setup.organisation(session)
    return found.name if found is not None else ""


def unexpected(error: Exception, *, stranger: bool = False) -> HTMLResponse:
    """A bug: the log has it under a reference, the visitor gets the reference."""
    reference = token_hex(4).upper()
    log.error("reference %s", reference, exc_info=error)
    whom = "whoever sent you here" if stranger else "your administrator"
    words = f"Something went wrong here. If it happens again, tell {whom} this reference: {reference}"
    way = ("", "") if stranger else ("/", "Go on")
    return render("message.html", status=500, title="That did not work", message=words, link=way[0], label=way[1])


def failure(error: CrmError, *, stranger: bool = False) -> HTMLResponse:
    """An error's sentence as a page of its own. ``stranger``: for somebody whom no page of the app would let in."""
    if stranger:
        titles = {NotFound: "This link does not work", TooMany: "One moment, please"}
        response = message(titles.get(type(error), "That did not work"), error.message, status=error.status)
    else:
        response = render(
            "message.html", status=error.status, title="That did not work", message=error.message, link="/", label="Go on"
        )
    if isinstance(error, TooMany):
        response.headers["retry-after"] = "60"
    return response
