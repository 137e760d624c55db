"""What is no record of its own: who asks, which fields there are, lookups, search over everything, lines, messages."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlmodel import Session
from starlette.responses import Response

from crm_core import lists
from crm_core.access import Actor, require
from crm_core.entities import ENTITIES, RECORDS
from crm_core.errors import Invalid, NotFound
from crm_core.fields import registry
from crm_core.services import finder
from crm_core.services.collaboration.outward import wire
from crm_core.services.customers import accounts, contacts
from crm_core.services.helpdesk import tickets
from crm_core.services.sales import deals, leads, orders
from crm_core.services.sales.lines import GIVEN, MAX_PERIODS, LineView, sums
from crm_core.vocabulary import Action, Billing
from web.api import document, points
from web.api.answers import Answer, check_version, read, tag_of, versions_asked, write
from web.api.callers import caller_of
from web.api.records import Body, RecordId

LOOKUPS = tuple(key for key, found in ENTITIES.items() if found.lookup)
_LINE = GIVEN
_LINES_BODY: dict[str, Any] = {
    "type": "object", "required": ["items"], "additionalProperties": False,
    "properties": {
        "items": {
            "type": "array", "maxItems": 200,
            "items": {
                "type": "object", "additionalProperties": False,
                "properties": {
                    "product_id": {"type": ["integer", "null"], "minimum": 1}, "name": {"type": ["string", "null"], "maxLength": 300},
                    "quantity": {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000},
                    "unit_price_minor": {"type": "integer", "minimum": 0, "maximum": 1_000_000_000},
                    "discount_pct": {"type": "number", "minimum": 0, "maximum": 100},
                    "billing": {"type": ["string", "null"], "enum": [*(one.value for one in Billing), None]},
                    "periods": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_PERIODS},
                    "tax_rate_pct": {"type": ["number", "null"], "minimum": 0, "maximum": 100},
                },
            },
        }
    },
}  # fmt: skip


def routes() -> APIRouter:
    """The routes."""
    router = APIRouter()
    general = "General"
    router.add_api_route(
        "/me", me, methods=["GET"], **document.described("me", "Who this key acts as, and what it reaches", general, ok="Thing")
    )
    router.add_api_route(
        "/search",
        search,
        methods=["GET"],
        **document.described("search", "Search over everything that this key may see", general, ok="List"),
    )
    router.add_api_route(
        "/fields/{kind}", fields, methods=["GET"],
        **document.described("fields", "The fields of a kind of record, custom ones included", general, ok="List"),
    )  # fmt: skip
    router.add_api_route(
        "/lookups/{kind}", lookup, methods=["GET"],
        **document.described("lookup", f"Ids and names of: {', '.join(LOOKUPS)}", general, ok="List"),
    )  # fmt: skip
    router.add_api_route(
        "/tickets/{record_id}/messages", messages, methods=["GET"],
        **document.described("messages_ticket", "The conversation of a ticket", "Tickets", ok="List"),
    )  # fmt: skip
    for key, service in (("deal", deals), ("order", orders)):
        _lines(router, key, service)
    for key, of in (("contact", contacts), ("account", accounts)):
        points.add(router, key, of)
    return router


def me(request: Request) -> Response:
    """Person, workspace currency and scopes."""
    caller = caller_of(request)

    def query(_session: Session, actor: Actor) -> Answer:
        reach = {key: [one.value for one in Action if actor.can(key, one)] for key in RECORDS if actor.can(key, Action.READ)}
        body = {
            "user_id": actor.user_id, "name": actor.name, "email": actor.email, "currency": actor.currency, "timezone": actor.timezone,
            "scopes": list(caller.scopes), "may": reach,
        }  # fmt: skip
        return Answer(200, body)

    return read(request, query)


def search(request: Request, q: Annotated[str, Query(min_length=1, max_length=200)]) -> Response:
    """The newest records that hold all words."""

    def query(session: Session, actor: Actor) -> Answer:
        return Answer(
            200, {"items": [{"kind": hit.entity, "id": hit.id, "title": hit.title} for hit in finder.find(session, actor, q)]}
        )

    return read(request, query)


def fields(request: Request, kind: str) -> Response:
    """Keys, labels, types and values of the fields."""

    def query(session: Session, actor: Actor) -> Answer:
        if kind not in RECORDS:
            raise NotFound(f"There is no such kind of record. There are: {', '.join(RECORDS)}.")
        require(actor, kind, Action.READ)
        items = [
            {
                "key": spec.key, "label": spec.label, "type": spec.kind.value, "required": spec.required,
                "editable": spec.editable and not actor.locked(kind, spec.key),
                "custom": spec.custom, "masked": actor.masked(kind, spec.key), "options": dict(spec.options) if spec.options else None,
                "to": spec.to, "help": spec.help, "schema": document.field(spec),
            }
            for spec in registry(session, kind).values()
        ]  # fmt: skip
        return Answer(200, {"items": items})

    return read(request, query)


def lookup(request: Request, kind: str, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Ids with names, to fill links such as ``owner_id`` or ``stage_id``."""

    def query(session: Session, actor: Actor) -> Answer:
        if kind not in LOOKUPS:
            raise NotFound(f"There is no such lookup. There are: {', '.join(LOOKUPS)}.")
        if kind == "stage":
            rows = [
                {
                    "id": one.id,
                    "name": one.name,
                    "pipeline_id": one.pipeline_id,
                    "means": one.kind.value,
                    "probability_pct": one.probability_pct,
                }
                for one in deals.stages(session, actor)
            ]
        elif kind == "lead_status":
            rows = [{"id": one.id, "name": one.label, "means": one.kind.value} for one in leads.statuses(session, actor)]
        else:
            rows = [{"id": key, "name": name} for key, name in lists.choices(session, actor, kind, q, limit=500).items()]
        return Answer(200, {"items": rows})

    return read(request, query)


def messages(request: Request, record_id: RecordId) -> Response:
    """Oldest first."""

    def query(session: Session, actor: Actor) -> Answer:
        rows = [
            {
                "id": one.id,
                "at": wire(one.at),
                "direction": one.direction.value,
                "author": one.author_name or "",
                "author_id": one.author_id,
                "body": one.body,
            }
            for one in tickets.messages(session, actor, record_id)
        ]
        return Answer(200, {"items": rows})

    return read(request, query)


def _lines(router: APIRouter, key: str, service: Any) -> None:
    label, plural = ENTITIES[key].label.lower(), ENTITIES[key].plural

    def get(request: Request, record_id: RecordId) -> Response:
        return read(request, lambda session, actor: _shown(session, actor, service, record_id))

    def put(request: Request, record_id: RecordId, body: Body) -> Response:
        asked, rows = versions_asked(request, needed=True), _rows(body)

        def command(session: Session, actor: Actor) -> Answer:
            check_version(session, actor, key, service.get(session, actor, record_id, action=Action.EDIT), asked)
            service.set_lines(session, actor, record_id, rows)
            session.flush()
            return _shown(session, actor, service, record_id)

        return write(request, body, command)

    path = f"/{ENTITIES[key].address}/{{record_id}}/lines"
    router.add_api_route(
        path,
        get,
        methods=["GET"],
        **document.described(f"lines_{key}", f"The products of {document.an(label)}", plural, ok="Lines"),
    )
    router.add_api_route(
        path, put, methods=["PUT"],
        **document.described(f"set_lines_{key}", f"Replace the products of {document.an(label)}", plural, ok="Lines", body=_LINES_BODY, versioned=True),
    )  # fmt: skip


def _shown(session: Session, actor: Actor, service: Any, record_id: int) -> Answer:
    record = service.get(session, actor, record_id)
    lines = service.lines(session, actor, record_id)
    body = {"items": [_line(one) for one in lines], "currency": record.currency, **_summed(lines)}
    return Answer(200, body, {"etag": tag_of(record.version)})


def _summed(lines: Sequence[LineView]) -> dict[str, Any]:
    """What the lines come to; null where amounts are hidden."""
    hidden, found = any(one.total_minor is None for one in lines), sums(lines)
    names = {"net_minor": found.net, "tax_minor": found.tax, "gross_minor": found.gross, "once_minor": found.once, "mrr_minor": found.monthly, "arr_minor": found.yearly}  # fmt: skip
    return {name: None if hidden else value for name, value in names.items()}


def _line(one: LineView) -> dict[str, Any]:
    names = ("id", *GIVEN, "promotion_minor", "total_minor", "tax_minor")
    return {name: wire(getattr(one, name)) for name in names}


def _rows(body: dict[str, Any]) -> list[dict[str, Any]]:
    rows = body.get("items")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or set(body) != {"items"}:
        raise Invalid(fields={"items": "Send a list of lines."})
    for n, row in enumerate(rows, 1):
        unknown = [key for key in row if key not in _LINE]
        numbers = [
            row.get(key) for key in ("quantity", "discount_pct", "unit_price_minor", "product_id", "tax_rate_pct", "periods")
        ]
        if unknown or any(one is not None and (isinstance(one, bool) or not isinstance(one, int | float)) for one in numbers):
            raise Invalid(
                fields={"items": f"Line {n}: send {', '.join(_LINE)}; quantity, price, discount, periods and tax rate as numbers."}
            )
        if isinstance(row.get("unit_price_minor"), float) or (row.get("product_id") is not None and not _is_id(row["product_id"])):
            raise Invalid(fields={"items": f"Line {n}: the price is a whole number of minor units, the product an id."})
        if any(row.get(key) is not None and not isinstance(row[key], str) for key in ("name", "billing")):
            raise Invalid(fields={"items": f"Line {n}: name and billing are texts."})
    return rows


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and 0 < value < 2**31
