"""``/t/<token>`` counts a click and leads on; ``/o/<token>.gif`` is the picture that tells of an opening. For readers of campaign messages."""

import base64

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from crm_core.db import write_session
from crm_core.errors import CrmError
from crm_core.services.marketing import tracking
from web.cookies import is_https

VISITOR_COOKIE = "rapport_visitor"
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_YEAR = 31_536_000
_HIDDEN = {"x-robots-tag": "noindex, nofollow", "cache-control": "no-store", "referrer-policy": "no-referrer"}


def click(request: Request) -> Response:
    """Lead on to the address that the campaign wrote down. An altered or old link leads nowhere."""
    with write_session() as session:
        visitor = request.cookies.get(VISITOR_COOKIE, "")
        found = tracking.click(session, str(request.path_params["token"]), visitor=visitor, machine=machine(request))
    response = RedirectResponse(found.url, 302, headers=_HIDDEN)
    response.set_cookie(
        VISITOR_COOKIE, found.visitor, max_age=_YEAR, path="/", httponly=True, samesite="lax", secure=is_https(request)
    )
    return response


def opened(request: Request) -> Response:
    """The picture, whatever becomes of the note: a reader must never see that something went wrong here."""
    try:
        with write_session() as session:
            tracking.opened(session, str(request.path_params["token"]).removesuffix(".gif"), machine=machine(request))
    except CrmError:
        return Response(PIXEL, media_type="image/gif", headers=_HIDDEN)
    return Response(PIXEL, media_type="image/gif", headers=_HIDDEN)


def machine(request: Request) -> bool:
    purpose = " ".join(request.headers.get(name, "") for name in ("purpose", "sec-purpose", "x-purpose", "x-moz"))
    return request.method != "GET" or tracking.is_machine(request.headers.get("user-agent", ""), purpose)
