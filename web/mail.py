"""``POST /mail/in/<key>`` takes mail that another server hands over: the raw message, or the multipart form of a mail provider. No account."""

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from crm_core.db import write_session
from crm_core.errors import CrmError, Invalid
from crm_core.services.inbox import intake, webhook
from crm_core.services.inbox.webhook import Post
from web import pages

SIGNATURE = "x-rapport-signature"
_FIELDS, _FILES = 200, 60


async def take_in(request: Request) -> Response:
    """200 with what became of it (also for one that is known), 404 wrong key, 403 wrong signature, 413 too large, 422 no message in it."""
    if request.method != "POST":
        return JSONResponse({"error": "Send messages with POST."}, 405)
    try:
        post = await _post(request)
        return JSONResponse(await run_in_threadpool(_take, str(request.path_params["key"])[:100], post))
    except Invalid as error:
        return JSONResponse({"error": error.message}, 422)
    except CrmError as error:
        return JSONResponse({"error": error.message}, error.status)
    except Exception as error:
        return pages.unexpected(error)


def _take(key: str, post: Post) -> dict[str, object]:
    with write_session() as session:
        taken = webhook.take(session, key, post)
        return {"id": taken.id, "state": taken.state.value, "new": taken.new}


async def _post(request: Request) -> Post:
    """The request, read. A form is kept as bytes too: the signature is over what came."""
    body = await request.body()
    signature = request.headers.get(SIGNATURE, "")
    kind = request.headers.get("content-type", "").lower()
    if "multipart/form-data" not in kind and "application/x-www-form-urlencoded" not in kind:
        return Post(body, signature)
    fields: dict[str, str] = {}
    files = []
    try:
        async with request.form(max_files=_FILES, max_fields=_FIELDS, max_part_size=intake.MAX_BYTES) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    content = await value.read()
                    files.append((name, value.filename or "", value.content_type or "application/octet-stream", content))
                else:
                    fields[name] = value
    except Exception as error:  # a broken body raises whatever the parser feels like
        raise Invalid("The form could not be read. Send the raw message, or multipart/form-data.") from error
    return Post(body, signature, fields, files)
