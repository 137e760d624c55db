"""The OpenAPI document: routes tell their names and shapes, the field registry tells the fields, custom ones included."""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session
from starlette.responses import Response

from crm_core.entities import ENTITIES, RECORDS
from crm_core.fields import FieldSpec, registry
from crm_core.services.admin import api_key_rules
from crm_core.vocabulary import FieldKind
from web.api.problems import TYPE

FILLED = {"created_on", "ordered_at", "number", "opened_at", "at", "stage_since"}
"""Needed fields that the service fills when they are not sent."""

ABOUT = """
Everything that people do on the screens, for programs. Each request acts as the person the key belongs to: it sees and changes what that
person may, within the scopes of the key, and what it may not see looks as if it were not there.

**Keys.** Make one under *Your account* and send it as `Authorization: Bearer rap_…`.

**Values.** Money is a whole number of minor units (cents) beside `currency`. Instants are UTC (`2026-05-31T09:30:00Z`), days are plain dates.
Links are ids; `names` holds their titles. `masked` lists fields that are hidden from the person; they are null.

**Lists.** `limit`, then `cursor` with the `next` of the page before, until `next` is null. `sort=-updated_at` puts the last changed first.
`total=true` counts all matches. `fields=name,email` leaves the rest out.

**Filters** have the same grammar as the lists of the app: `{"op": "and", "items": [{"field": "amount_minor", "cmp": "ge", "value": 100000},
{"field": "account.industry", "cmp": "in", "value": ["Retail"]}]}`. Values may be relative days (`-90d`, `start_of_month`), `@me`, `@my_team`.

**Versions.** Each record answers with an `ETag`. Changing and archiving need it back in `If-Match`; when somebody was faster the answer is 412 and
says which fields changed. `If-Match: *` overwrites.

**Sent twice.** With an `Idempotency-Key` a repeated request gets the first answer and nothing happens twice; kept for a day.

**Errors** are problem documents (RFC 9457) with a sentence in `detail`, a `code`, and `errors` per field.
""".strip()

_STRING = {"type": ["string", "null"]}
_TYPES: dict[FieldKind, dict[str, Any]] = {
    FieldKind.INTEGER: {"type": ["integer", "null"]},
    FieldKind.MONEY: {"type": ["integer", "null"], "description": "Minor units of “currency”"},
    FieldKind.REFERENCE: {"type": ["integer", "null"], "minimum": 1},
    FieldKind.DECIMAL: {"type": ["number", "null"]},
    FieldKind.PERCENT: {"type": ["number", "null"]},
    FieldKind.BOOLEAN: {"type": ["boolean", "null"]},
    FieldKind.DATE: {"type": ["string", "null"], "format": "date"},
    FieldKind.DATETIME: {"type": ["string", "null"], "format": "date-time"},
}


@dataclass(frozen=True)
class Operation:
    """Names of the operations of one kind of record."""

    entity: str

    @property
    def name(self) -> str:
        return ENTITIES[self.entity].label.title().replace(" ", "")

    def of(
        self, verb: str, summary: str, *, ok: str = "", status: int = 200, body: str | dict[str, Any] = "", versioned: bool = False
    ) -> dict[str, Any]:
        """Keyword arguments of a route."""
        return described(
            f"{verb}_{self.entity}", summary, ENTITIES[self.entity].plural, ok=ok, status=status, body=body, versioned=versioned
        )


def described(
    operation_id: str,
    summary: str,
    tag: str,
    *,
    ok: str | dict[str, Any] = "",
    status: int = 200,
    body: str | dict[str, Any] = "",
    versioned: bool = False,
) -> dict[str, Any]:
    """Keyword arguments of a route: its names, what it takes and what it answers."""
    answer: dict[str, Any] = {"description": "Done"}
    if ok:
        answer["content"] = {"application/json": {"schema": _schema(ok)}}
    extra: dict[str, Any] = {}
    if body:
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": _schema(body)}}}
    headers = [*([_IF_MATCH] if versioned else []), *([_IDEMPOTENCY] if body else [])]
    if headers:
        extra["parameters"] = headers
    wrong = {"description": "A problem", "content": {TYPE: {"schema": _schema("Problem")}}}
    return {
        "operation_id": operation_id,
        "summary": summary,
        "tags": [tag],
        "status_code": status,
        "response_class": Response,
        "responses": {
            status: answer,
            **({304: {"description": "Not changed"}} if operation_id.startswith("get_") else {}),
            "4XX": wrong,
        },
        "openapi_extra": extra,
    }


def an(word: str) -> str:
    """The word with its article."""
    return f"an {word}" if word[0] in "aeio" else f"a {word}"


def _schema(name: str | dict[str, Any]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"} if isinstance(name, str) else name


_IF_MATCH = {
    "name": "If-Match", "in": "header", "required": True, "schema": {"type": "string", "pattern": r'^(\*|"v[0-9]{1,9}")$'},
    "description": "The ETag of the version that you read",
}  # fmt: skip
_IDEMPOTENCY = {
    "name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string", "pattern": "^[0-9a-zA-Z-]{8,64}$"},
    "description": "The same key again gives the first answer again",
}  # fmt: skip


def complete(document: dict[str, Any], session: Session) -> dict[str, Any]:
    """The framework's document with the shapes of this workspace."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= _COMMON
    for key in RECORDS:
        schemas |= _shapes(key, list(registry(session, key).values()))
    document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "A key: rap_…"}}
    document["security"] = [{"key": []}]
    document["x-scopes"] = dict(zip(api_key_rules.SCOPES, api_key_rules.SCOPES, strict=True))
    return document


def _shapes(key: str, specs: list[FieldSpec]) -> dict[str, Any]:
    name = Operation(key).name
    record = {"id": {"type": "integer"}, "version": {"type": "integer"}} | {spec.key: field(spec) for spec in specs}
    if any(spec.kind is FieldKind.MONEY for spec in specs):
        record["currency"] = {"type": "string", "minLength": 3, "maxLength": 3}
    record |= {"names": _NAMES, "masked": {"type": "array", "items": {"type": "string"}}}
    given = {spec.key: field(spec, sent=True) for spec in specs if spec.editable}
    needed = [spec.key for spec in specs if spec.editable and spec.required and spec.to is None and spec.key not in FILLED]
    create = {"type": "object", "properties": given, "required": needed, "additionalProperties": False}
    change = {"type": "object", "properties": given, "additionalProperties": False, "minProperties": 1}
    one = {
        "type": "object", "required": ["id", "changes"], "additionalProperties": False,
        "properties": {"id": {"type": "integer", "minimum": 1}, "version": {"type": "integer"}, "changes": _schema(f"{name}Change")},
    }  # fmt: skip
    batch = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "create": {"type": "array", "items": _schema(f"{name}Create"), "maxItems": 100},
            "update": {"type": "array", "items": one, "maxItems": 100},
            "all_or_nothing": {"type": "boolean"},
        },
    }
    page = {
        "type": "object", "required": ["items", "next"],
        "properties": {"items": {"type": "array", "items": _schema(name)}, "next": _STRING, "total": {"type": "integer"}},
    }  # fmt: skip
    return {
        name: {"type": "object", "required": ["id", "version", "names", "masked"], "properties": record},
        f"{name}Create": create,
        f"{name}Change": change,
        f"{name}Batch": batch,
        f"{name}Page": page,
        f"{name}Done": {
            "type": "object", "required": ["record", "result"],
            "properties": {"record": _schema(name), "result": {"type": "object", "additionalProperties": True}},
        },
    }  # fmt: skip


def field(spec: FieldSpec, *, sent: bool = False) -> dict[str, Any]:
    """The schema of one field, as it is told or as it is sent."""
    made: dict[str, Any] = {**_TYPES.get(spec.kind, _STRING), "title": spec.label}
    if spec.help:
        made["description"] = spec.help
    if spec.to is not None:
        made["description"] = f"Id of {an(ENTITIES[spec.to].label.lower())}"
    if spec.enum is not None:
        made["enum"] = [*(spec.options or {}), None]
    if sent:
        made |= {"maxLength": spec.max_length} if spec.max_length and "string" in made["type"] and "enum" not in made else {}
        made |= {"minimum": spec.low} if spec.low is not None else {}
        made |= {"maximum": spec.high} if spec.high is not None else {}
        if spec.required:
            made["type"] = next(iter(made["type"]))
            made |= {"enum": [one for one in made["enum"] if one is not None]} if "enum" in made else {}
            made |= {"minLength": 1} if made["type"] == "string" and "enum" not in made and "format" not in made else {}
    return made


_NAMES = {"type": "object", "additionalProperties": {"type": "string"}, "description": "Titles of linked records"}
_COMMON: dict[str, Any] = {
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {"type": "object", "properties": {"field": {"type": "string"}, "message": {"type": "string"}}},
            },
            "version": {"type": "integer", "description": "With 412: the version now"},
            "changed": {"type": "array", "items": {"type": "object"}, "description": "With 412: field, then, now"},
        },
    },
    "Search": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "filter": {"type": ["object", "null"], "description": "See Filters"},
            "q": {"type": "string", "maxLength": 200},
            "fields": {"type": "array", "items": {"type": "string"}},
            "sort": {"type": "string"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 200},
            "cursor": _STRING,
            "total": {"type": "boolean"},
            "archived": {"type": "boolean"},
        },
    },
    "BatchResult": {
        "type": "object",
        "required": ["created", "updated", "failed", "results"],
        "properties": {
            "created": {"type": "integer"},
            "updated": {"type": "integer"},
            "failed": {"type": "integer"},
            "results": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["action", "index", "status"],
                    "properties": {
                        "action": {"enum": ["create", "update"]},
                        "index": {"type": "integer"},
                        "status": {"type": "integer"},
                        "id": {"type": "integer"},
                        "version": {"type": "integer"},
                        "error": _schema("Problem"),
                    },
                },
            },
        },
    },
    "Lines": {
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "items": {"type": "object"}},
            "currency": {"type": "string"},
            **{
                key: {"type": ["integer", "null"]}
                for key in ("net_minor", "tax_minor", "gross_minor", "once_minor", "mrr_minor", "arr_minor")
            },
        },
    },
    "List": {"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": {"type": "object"}}}},
    "Thing": {"type": "object"},
}
