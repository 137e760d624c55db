"""The e-mail addresses and phone numbers of people and companies, read and replaced as a whole."""

from typing import Any

from fastapi import APIRouter, Request
from sqlmodel import Session
from starlette.responses import Response

from crm_core import reads, records
from crm_core.access import Actor
from crm_core.entities import ENTITIES
from crm_core.errors import Invalid
from crm_core.services.collaboration.outward import wire
from crm_core.services.customers.points import MAX_POINTS, rows_of
from crm_core.vocabulary import Action, PointKind, ReadWay
from web.api import document
from web.api.answers import Answer, check_version, read, tag_of, versions_asked, write
from web.api.records import Body, RecordId

_POINT = ("kind", "value", "label", "is_primary", "opted_out", "invalid", "verified")
_POINTS_BODY: dict[str, Any] = {
    "type": "object", "required": ["items"], "additionalProperties": False,
    "properties": {
        "items": {
            "type": "array", "maxItems": MAX_POINTS,
            "items": {
                "type": "object", "additionalProperties": False, "required": ["kind", "value"],
                "properties": {
                    "kind": {"type": "string", "enum": [one.value for one in PointKind]}, "value": {"type": "string", "maxLength": 254},
                    "label": {"type": ["string", "null"], "maxLength": 40}, **{key: {"type": ["boolean", "null"]} for key in _POINT[3:]},
                },
            },
        }
    },
}  # fmt: skip


def add(router: APIRouter, key: str, service: Any) -> None:
    """The two routes of a kind of record; ``service`` has ``points`` and ``set_points``."""
    label, plural = ENTITIES[key].label.lower(), ENTITIES[key].plural

    def shown(session: Session, actor: Actor, record_id: int) -> Answer:
        found = service.points(session, actor, record_id)
        items = [{**row, "verified_at": wire(point.verified_at)} for row, point in zip(rows_of(found), found, strict=True)]
        if items:
            reads.looked(session, actor, key, record_id, way=ReadWay.API, fields=("email", "phone"))
        return Answer(200, {"items": items}, {"etag": tag_of(records.get(session, actor, key, record_id).version)})

    def get(request: Request, record_id: RecordId) -> Response:
        return read(request, lambda session, actor: shown(session, actor, record_id))

    def put(request: Request, record_id: RecordId, body: Body) -> Response:
        asked, rows = versions_asked(request, needed=True), _point_rows(body)

        def command(session: Session, actor: Actor) -> Answer:
            check_version(session, actor, key, records.get(session, actor, key, record_id, action=Action.EDIT), asked)
            service.set_points(session, actor, record_id, rows)
            session.flush()
            return shown(session, actor, record_id)

        return write(request, body, command)

    path = f"/{ENTITIES[key].address}/{{record_id}}/points"
    words = f"The e-mail addresses and phone numbers of {document.an(label)}"
    router.add_api_route(path, get, methods=["GET"], **document.described(f"points_{key}", words, plural, ok="List"))
    router.add_api_route(
        path, put, methods=["PUT"],
        **document.described(f"set_points_{key}", f"Replace {words[0].lower()}{words[1:]}", plural, ok="List", body=_POINTS_BODY, versioned=True),
    )  # fmt: skip


def _point_rows(body: dict[str, Any]) -> list[dict[str, Any]]:
    rows = body.get("items")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or set(body) != {"items"}:
        raise Invalid(fields={"items": "Send a list of addresses and numbers."})
    for n, row in enumerate(rows, 1):
        texts, flags = [row.get(key) for key in _POINT[:3]], [row.get(key) for key in _POINT[3:]]
        right = all(one is None or isinstance(one, str) for one in texts) and all(
            one is None or isinstance(one, bool) for one in flags
        )
        if set(row) - set(_POINT) or not right:
            raise Invalid(
                fields={"items": f"Line {n}: send {', '.join(_POINT)}; the first three as texts, the others as true or false."}
            )
    return rows
