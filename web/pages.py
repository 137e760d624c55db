"""Pages of the door: server-rendered, in the house look, usable without script, asking no other host for anything."""

import logging
import re
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from crm_core.errors import CrmError, TooMany
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
    body = _environment().get_template(template).render({"error": "", "errors": {}, "notice": "", **values})
    return HTMLResponse(body, status, headers={"content-security-policy": _policy(), "cache-control": "no-store"})


def unexpected(error: Exception) -> HTMLResponse:
    """A bug: the log has it under a reference, the visitor gets the reference."""
    reference = token_hex(4).upper()
    log.error("reference %s", reference, exc_info=error)
    message = f"Something went wrong here. If it happens again, tell your administrator this reference: {reference}"
    return render("message.html", status=500, title="That did not work", message=message, link="/", label="Go on")


def failure(error: CrmError) -> HTMLResponse:
    """An error's sentence as a page of its own."""
    response = render(
        "message.html", status=error.status, title="That did not work", message=error.message, link="/", label="Go on"
    )
    if isinstance(error, TooMany):
        response.headers["retry-after"] = "60"
    return response
