"""Errors as problem documents (RFC 9457): a sentence for people, a code and field names for programs."""

import logging
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from starlette.responses import JSONResponse

from crm_core.errors import CrmError, Invalid

log = logging.getLogger("rapport.web")
TYPE = "application/problem+json"
TITLES = {
    400: "The request can't be read", 401: "No valid key", 403: "Not allowed", 404: "Not found", 405: "This address does not work that way",
    409: "Somebody else was faster", 412: "The record was changed meanwhile", 413: "Too large", 415: "Send JSON", 422: "Something is not valid",
    428: "Say which version you mean", 429: "Too many requests", 500: "That did not work", 503: "Not available right now",
}  # fmt: skip


class Refused(CrmError):
    """The request itself is wrong: its header, its body, its pace."""

    def __init__(self, status: int, message: str, *, code: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.status = status
        self.code = code or {400: "bad_request", 412: "changed_meanwhile", 428: "version_needed", 429: "too_many"}.get(
            status, "refused"
        )


def document(error: CrmError) -> dict[str, Any]:
    """The body of the answer."""
    made: dict[str, Any] = {
        "type": f"/api/v1/docs#problem-{error.code}",
        "title": TITLES.get(error.status, "That did not work"),
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if isinstance(error, Invalid) and error.fields:
        made["errors"] = [{"field": key, "message": text} for key, text in error.fields.items()]
    if isinstance(error, Refused):
        made |= {key: value for key, value in error.details.items() if key not in ("headers", "bin")}
    return made


def problem(error: CrmError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as an answer."""
    found = dict(headers or {})
    if error.status == 401:
        found["www-authenticate"] = 'Bearer realm="Rapport"'
    if error.status == 503:
        found.setdefault("retry-after", "5")
    return JSONResponse(document(error), error.status, headers=found, media_type=TYPE)


def unexpected(error: Exception) -> JSONResponse:
    """A bug: the log has it under a reference, the program gets the reference."""
    reference = token_hex(4).upper()
    log.error("reference %s", reference, exc_info=error)
    body = {
        "type": "/api/v1/docs#problem-error", "title": TITLES[500], "status": 500, "code": "error", "reference": reference,
        "detail": f"Something went wrong here. If it happens again, tell the administrator this reference: {reference}",
    }  # fmt: skip
    return JSONResponse(body, 500, media_type=TYPE)
