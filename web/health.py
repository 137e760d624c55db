"""``/healthz``: is this process fit to serve? (``/_stcore/health`` says only that it runs.)"""

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from crm_core import schema
from crm_core.db import read_session
from crm_core.errors import CrmError
from crm_core.services.helpdesk import help_pages


def show(_request: Request) -> Response:
    """200 when the database answers and has the shape that this code expects, otherwise 503 with what is wrong."""
    try:
        current = schema.is_current()
    except Exception:  # whatever is raised: the question is only whether it answers, and the reason is not for everybody
        return _answer(503, database="The database does not answer.")
    return _answer(200, database="ok", migrations="ok") if current else _answer(503, database="ok", migrations="missing")


def _answer(status: int, **parts: str) -> Response:
    return JSONResponse({"ok": status == 200, **parts}, status, headers={"cache-control": "no-store"})


def robots(_request: Request) -> Response:
    """Nothing here is for search engines, but for the help centre where the workspace says so."""
    try:
        with read_session() as session:
            allowed = help_pages.may_be_indexed(session)
    except (CrmError, SQLAlchemyError):
        allowed = False
    return PlainTextResponse("User-agent: *\n" + ("Allow: /help\n" if allowed else "") + "Disallow: /\n")
