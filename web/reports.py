"""``/r/<token>``: whoever gets a report by e-mail ends it here, without an account; one click of a mail program does it too (RFC 8058)."""

from starlette.requests import Request
from starlette.responses import Response

from crm_core.db import read_session, write_session
from crm_core.services.analytics import reports
from web import pages
from web.forms import Form


def ask(request: Request) -> Response:
    """Looking changes nothing: scanners follow every link of a message. The button does it."""
    with read_session() as session:
        row = reports.recipient(session, _token(request))
    if row.unsubscribed_at is not None:
        return _left()
    return pages.public("leave_report.html", email=row.email, action=request.url.path)


def leave(request: Request, _form: Form) -> Response:
    """End the report for this address."""
    with write_session() as session:
        reports.leave(session, _token(request))
    return _left()


def _token(request: Request) -> str:
    return str(request.path_params["token"])


def _left() -> Response:
    return pages.message("Done", "This address gets this report no longer.")
