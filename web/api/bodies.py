"""What programs send: JSON, of the types that the document promises. Nothing is guessed: a text is no number, and money is whole minor units."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from crm_core.errors import Invalid
from crm_core.fields import FieldSpec
from crm_core.vocabulary import FieldKind
from web.api.problems import Refused

_WHOLE = (FieldKind.INTEGER, FieldKind.MONEY, FieldKind.REFERENCE)
_NUMBER = (FieldKind.DECIMAL, FieldKind.PERCENT)
WORDS = {
    FieldKind.MONEY: "a whole number of minor units (cents)", FieldKind.INTEGER: "a whole number", FieldKind.REFERENCE: "the id of a record",
    FieldKind.DECIMAL: "a number", FieldKind.PERCENT: "a number", FieldKind.BOOLEAN: "true or false", FieldKind.DATE: "a date such as 2026-05-31",
    FieldKind.DATETIME: "an instant such as 2026-05-31T09:30:00Z",
}  # fmt: skip


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


async def read(request: Request) -> dict[str, Any]:
    """The JSON object of a request; an empty body is an empty object."""
    raw = await request.body()
    if not raw:
        return {}
    if request.headers.get("content-type", "").split(";")[0].strip().casefold() not in (
        "application/json",
        "application/merge-patch+json",
    ):
        raise Refused(415, "Send JSON, with the header “Content-Type: application/json”.", code="unsupported")
    try:
        found = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "The body is not valid JSON.") from error
    if not isinstance(found, dict):
        raise Refused(400, "Send one JSON object.")
    return found


def typed(specs: Mapping[str, FieldSpec], values: Any, *, where: str = "") -> dict[str, Any]:
    """The values of a record, each of its type. Raises Invalid with a sentence per field; meaning and rights are the services' to check."""
    if not isinstance(values, Mapping):
        raise Invalid(fields={where or "body": "Send an object with the fields of a record."})
    wrong: dict[str, str] = {}
    found: dict[str, Any] = {}
    for key, value in values.items():
        spec = specs.get(key)
        if spec is None or not spec.editable:
            wrong[key[:80]] = f"“{key[:80]}” can't be set here."
        elif value is not None and not _fits(spec, value):
            wrong[key] = f"{spec.label} must be {WORDS.get(spec.kind, 'a text')}."
        else:
            found[key] = _instant(value) if spec.kind is FieldKind.DATETIME and value else value
    if wrong:
        raise Invalid(fields=wrong)
    return found


def _fits(spec: FieldSpec, value: Any) -> bool:
    if spec.kind is FieldKind.BOOLEAN:
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if spec.kind is FieldKind.REFERENCE:
        return isinstance(value, int) and 0 < value < 2**31
    if spec.kind in _WHOLE:
        return isinstance(value, int)
    if spec.kind in _NUMBER:
        return isinstance(value, int | float)
    if not isinstance(value, str):
        return False
    if spec.kind in (FieldKind.DATE, FieldKind.DATETIME):
        return value == "" or _reads_as_instant(value, date_only=spec.kind is FieldKind.DATE)
    return True


def _reads_as_instant(text: str, *, date_only: bool) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return not date_only or len(text) == 10


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
