"""``POST /voice/<key>`` speaks with a telephone provider: it reports what a caller does and is told what to do next, as TwiML."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from crm_core.db import write_session
from crm_core.errors import CrmError
from crm_core.services.telephony import calls
from crm_core.services.telephony.calls import Report
from crm_core.settings import settings
from web import forms, pages

SIGNATURE = "x-twilio-signature"


async def take(request: Request) -> Response:
    """200 with TwiML, 403 for a wrong signature, 404 for an unknown menu, 422 for what is no call."""
    if request.method != "POST":
        return PlainTextResponse("Calls are reported with POST.", 405)
    try:
        fields = await forms.read(request)
        made = await run_in_threadpool(_handle, str(request.path_params["key"])[:60], _report(request, fields))
        return Response(made, 200, headers={"cache-control": "no-store"}, media_type="text/xml")
    except CrmError as error:
        return PlainTextResponse(error.message, error.status)
    except Exception as error:
        return pages.unexpected(error)


def _handle(key: str, report: Report) -> str:
    with write_session() as session:
        return calls.handle(session, key, report)


def _report(request: Request, fields: forms.Form) -> Report:
    """The address as the provider called it: behind a proxy that is the public address of the settings."""
    base = settings().public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"
    query = f"?{request.url.query}" if request.url.query else ""
    address = base + request.url.path
    given = request.query_params
    return Report(
        address + query, fields, request.headers.get(SIGNATURE, ""), address, given.get("e", "")[:10], given.get("t", "")[:6]
    )
