"""One shape for the routes of the door: reading shows a page, a form that comes from our own page is acted on, errors become pages."""

import logging
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from crm_core.errors import CrmError, Invalid, NotPermitted
from web import pages
from web.cookies import is_same_origin

log = logging.getLogger("rapport.web")
Form = dict[str, str]
Show = Callable[[Request], Response]
Submit = Callable[[Request, Form], Response]

FOREIGN = (
    "This form was not sent from a page of this server, so nothing was done. Open the page again and repeat it. "
    "(Behind a proxy, the server needs the setting RAPPORT_PUBLIC_URL.)"
)


def endpoint(
    show: Show | None, submit: Submit | None = None, *, from_anywhere: bool = False, stranger: bool = False
) -> Callable[[Request], Awaitable[Response]]:
    """A Starlette endpoint from two plain functions, which run in a thread and may raise CrmError. ``from_anywhere``: the form may come
    from another program, since what stands in the address is the whole permission (a mail program's one click to unsubscribe). ``stranger``:
    who comes here has no account (always so ``from_anywhere``)."""
    stranger = stranger or from_anywhere

    async def answer(request: Request) -> Response:
        try:
            if request.method == "POST" and submit is not None:
                if not from_anywhere and not is_same_origin(request):
                    raise NotPermitted(FOREIGN)
                return await run_in_threadpool(submit, request, await read(request))
            if show is not None and request.method in ("GET", "HEAD"):
                return await run_in_threadpool(show, request)
            return PlainTextResponse("This address does not work that way.", 405)
        except CrmError as error:
            # the page bears the name of the workspace, which a database may have to be asked for
            return await run_in_threadpool(pages.failure, error, stranger=stranger)
        except Exception as error:
            return pages.unexpected(error, stranger=stranger)

    return answer


async def read(request: Request) -> Form:
    """The text fields of a form; files and doubled fields are not expected anywhere here."""
    try:
        async with request.form(max_files=0, max_fields=60, max_part_size=100_000) as form:
            return {key: value for key, value in form.items() if isinstance(value, str)}
    except Exception as error:  # a broken body raises whatever the parser feels like
        log.info("a form could not be read: %s", error)
        raise Invalid("The form could not be read. Go back and send it again.") from error
