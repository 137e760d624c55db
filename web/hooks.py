"""``/hooks/shop/<token>``: orders of a shop, signed by it. Answered at once; the worker takes them in."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from crm_core.db import write_session
from crm_core.errors import CrmError
from crm_core.services.sales import shop_door
from web import pages


async def shop(request: Request) -> Response:
    """202 kept, 200 nothing to do or a ping, 401 wrong signature, 404 no such shop, 422 no order."""
    if request.method != "POST":
        return JSONResponse({"error": "Send messages with POST."}, 405)
    body = await request.body()
    try:
        state = await run_in_threadpool(_take, str(request.path_params["token"]), dict(request.headers), body)
    except CrmError as error:
        return JSONResponse({"error": error.message}, error.status)
    except Exception as error:
        return pages.unexpected(error)
    return JSONResponse({"state": state}, 202 if state == "waiting" else 200)


def _take(token: str, headers: dict[str, str], body: bytes) -> str:
    with write_session() as session:
        return shop_door.receive(session, token, headers, body).value
