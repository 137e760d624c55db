"""``/ical/<secret>.ics``: a person's calendar for other programs. The secret in the address is the whole permission."""

import hashlib

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from crm_core.db import read_session
from crm_core.errors import NotFound
from crm_core.services.collaboration import feeds


def show(request: Request) -> Response:
    """The file, or 304 when the program has it already."""
    name = str(request.path_params.get("token", ""))
    try:
        with read_session() as session:
            body = feeds.open_feed(session, name.removesuffix(".ics"))
    except NotFound as error:
        return PlainTextResponse(error.message, 404, headers={"cache-control": "no-store"})
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    kept = {"etag": tag, "cache-control": "private, max-age=300", "x-robots-tag": "noindex"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=kept)
    return Response(
        body, media_type="text/calendar; charset=utf-8", headers=kept | {"content-disposition": 'inline; filename="rapport.ics"'}
    )
