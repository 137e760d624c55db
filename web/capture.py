"""``/f/<form>`` is a public lead form, ``/capture/<key>`` takes leads from programs, ``/c/<token>`` confirms an address. No account."""

import json
import re
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from crm_core.db import read_session, write_session
from crm_core.errors import CrmError, Invalid
from crm_core.services.marketing import capture
from crm_core.services.marketing.capture import PublicForm, Sender
from crm_core.vocabulary import FieldKind
from web import headers, pages
from web.cookies import address_of
from web.forms import Form
from web.tracking import VISITOR_COOKIE

_TYPES = {FieldKind.EMAIL: "email", FieldKind.PHONE: "tel", FieldKind.URL: "text", FieldKind.INTEGER: "number"}
_FILL = {
    "name": "name",
    "company": "organization",
    "email": "email",
    "phone": "tel",
    "city": "address-level2",
    "country": "country-name",
}
VISITOR_FIELD = "rapport_v"
"""Name of the browser, which the own site's snippet puts into the link of a form."""
_VISITOR = re.compile(r"[0-9a-f]{32}")
_MOST = 50
"""Fields of a sending by program."""


def show(request: Request) -> Response:
    """The empty form."""
    with write_session() as session:  # the first visit makes the key that signs the hour
        form = capture.public(session, _name(request, "slug"))
        stamp = capture.stamp(session, form.id)
    return _form(request, form, stamp, {VISITOR_FIELD: request.query_params.get(VISITOR_FIELD, "")}, {})


def submit(request: Request, values: Form) -> Response:
    """Thank you, or the same form with what must be corrected; nothing typed is lost."""
    slug = _name(request, "slug")
    with read_session() as session:
        form = capture.public(session, slug)
    visitor = values.get(VISITOR_FIELD, "") or request.cookies.get(VISITOR_COOKIE, "")
    sender = Sender(
        address_of(request), values.get("stamp"), visitor if _VISITOR.fullmatch(visitor) else "", request.headers.get("referer", "")
    )
    try:
        with write_session() as session:
            capture.submit(session, slug, values, sender)
    except Invalid as error:
        return _form(
            request, form, values.get("stamp", ""), values, dict(error.fields or {}), error.message if not error.fields else ""
        )
    return _page(request, form, inputs=[], stamp="", done=True, agreed=False)


def _form(request: Request, form: PublicForm, stamp: str, values: Form, wrong: dict[str, str], error: str = "") -> Response:
    inputs = [
        {
            "key": spec.key,
            "label": label,
            "required": required,
            "type": _TYPES.get(spec.kind, "text"),
            "long": spec.kind is FieldKind.LONG_TEXT,
            "options": list((spec.options or {}).items()) if spec.kind is FieldKind.CHOICE else [],
            "limit": min(spec.max_length or capture.MAX_TEXT, capture.MAX_TEXT),
            "fill": _FILL.get(spec.key, "off"),
            "value": values.get(spec.key, ""),
            "wrong": wrong.get(spec.key, ""),
        }
        for spec, label, required in form.fields
    ]
    agreed = values.get(capture.CONSENT) == "yes"
    return _page(
        request,
        form,
        status=422 if wrong or error else 200,
        inputs=inputs,
        stamp=stamp,
        done=False,
        agreed=agreed,
        error=error,
        visitor=values.get(VISITOR_FIELD, "") if _VISITOR.fullmatch(values.get(VISITOR_FIELD, "")) else "",
    )


def _page(request: Request, form: PublicForm, **values: Any) -> Response:
    """The form in a page of its own, or plain in a frame: only the sites that it names may show it in one."""
    framed = request.headers.get("sec-fetch-dest", "") in ("iframe", "frame")
    response = pages.public("lead_form.html", referrer="same-origin", form=form, framed=framed, trap=capture.TRAP, **values)
    response.headers["content-security-policy"] = headers.framed_by(response.headers["content-security-policy"], form.embed_hosts)
    return response


async def by_key(request: Request) -> Response:
    """A lead from a program: JSON or a form. 201 new, 200 known or sent twice, 404 wrong key, 422 with a sentence per field."""
    if request.method != "POST":
        return JSONResponse({"error": "Send leads with POST."}, 405)
    try:
        values = await _values(request)
        state = await run_in_threadpool(_take, _name(request, "key"), values, Sender(address_of(request)))
    except Invalid as error:
        return JSONResponse({"error": error.message, "fields": error.fields or {}}, 422)
    except CrmError as error:
        return JSONResponse({"error": error.message}, error.status)
    except Exception as error:
        return pages.unexpected(error)
    return JSONResponse({"state": state}, 201 if state == "lead" else 200)


def _take(key: str, values: dict[str, object], sender: Sender) -> str:
    with write_session() as session:
        return capture.submit_by_key(session, key, values, sender).value


async def _values(request: Request) -> dict[str, object]:
    try:
        if "json" in request.headers.get("content-type", ""):
            found = json.loads(await request.body())
        else:
            async with request.form(max_files=0, max_fields=_MOST, max_part_size=100_000) as form:
                found = {key: value for key, value in form.items() if isinstance(value, str)}
    except Exception as error:  # a broken body raises whatever the parser feels like
        raise Invalid("The body could not be read. Send JSON or a form.") from error
    if not isinstance(found, dict) or len(found) > _MOST or any(isinstance(value, dict | list) for value in found.values()):
        raise Invalid("Send one flat object with the fields of a lead.")
    return found


def ask(request: Request) -> Response:
    """Looking changes nothing: scanners follow every link of a message. The button confirms."""
    with read_session() as session:
        capture.pending(session, _name(request, "token"))
    return pages.public("confirm.html", token=_name(request, "token"), done=False)


def confirm(request: Request, _values: Form) -> Response:
    """The button."""
    with write_session() as session:
        capture.confirm(session, _name(request, "token"))
    return pages.public("confirm.html", token="", done=True)


def _name(request: Request, part: str) -> str:
    return str(request.path_params[part])[:100]
