"""Every kind of record: list, search, read, create, change, archive, restore, many at once. Each through the service that screens use."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session
from starlette.responses import Response

from crm_core import lists, reads, records
from crm_core.access import Actor
from crm_core.entities import ENTITIES, RECORDS
from crm_core.errors import Conflict, CrmError, Invalid
from crm_core.fields import registry
from crm_core.lists import ListQuery
from crm_core.services import crud
from crm_core.services.collaboration import outward
from crm_core.vocabulary import Action, ReadWay
from web.api import bodies, cursors, document
from web.api.answers import Answer, check_version, read, tag_of, versions_asked, write
from web.api.problems import Refused
from web.api.problems import document as problem_body

READ_ONLY = ("segment",)
"""A segment is a rule that is tried out before it holds: that is done on its page."""
MOST_AT_ONCE = 100
DEFAULT_SIZE, MOST_SIZE = 50, 200
Body = Annotated[dict[str, Any], Depends(bodies.read)]
RecordId = Annotated[int, Path(ge=1, le=2**31 - 1, description="Id of the record")]
Fields = Annotated[str, Query(description="Only these fields, separated by commas", max_length=2_000)]


def path_of(entity_key: str) -> str:
    """``deals``: the last part of the address of a kind."""
    return ENTITIES[entity_key].address


def routes() -> APIRouter:
    """The routes of all kinds."""
    router = APIRouter()
    for key in RECORDS:
        _reading(router, key)
        if key not in READ_ONLY:
            _writing(router, key)
    return router


# --- reading ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What a list should show."""

    filter: Mapping[str, Any] | None
    q: str
    fields: tuple[str, ...]
    sort: str
    limit: int
    cursor: str | None
    total: bool
    archived: bool


def _reading(router: APIRouter, key: str) -> None:
    plural, label = path_of(key), ENTITIES[key].label.lower()

    def find(
        request: Request,
        filter: Annotated[str | None, Query(description="A filter as JSON: see Filters", max_length=20_000)] = None,
        q: Annotated[str, Query(description="Words that the record contains", max_length=200)] = "",
        fields: Fields = "",
        sort: Annotated[str, Query(description="A field; with a minus sign the greatest first", max_length=80)] = "-id",
        limit: Annotated[int, Query(ge=1, le=MOST_SIZE)] = DEFAULT_SIZE,
        cursor: Annotated[str | None, Query(description="“next” of the page before", max_length=2_000)] = None,
        total: Annotated[bool, Query(description="Count all that match, too")] = False,
        archived: Annotated[bool, Query(description="What lies in the bin, instead")] = False,
    ) -> Response:
        asked = Asked(_filter(filter), q, _names(fields), sort, limit, cursor, total, archived)
        return read(request, lambda session, actor: _page(session, actor, key, asked))

    def search(request: Request, body: Body) -> Response:
        asked = _asked(body)
        return read(request, lambda session, actor: _page(session, actor, key, asked))

    def get(request: Request, record_id: RecordId, fields: Fields = "") -> Response:
        return read(request, lambda session, actor: _one(session, actor, key, record_id, _names(fields)))

    names = document.Operation(key)
    router.add_api_route(f"/{plural}", find, methods=["GET"], **names.of("find", f"List {plural}", ok=f"{names.name}Page"))
    router.add_api_route(
        f"/{plural}/search", search, methods=["POST"],
        **names.of("search", f"List {plural}, with the filter in the body", ok=f"{names.name}Page", body="Search"),
    )  # fmt: skip
    router.add_api_route(f"/{plural}/{{record_id}}", get, methods=["GET"], **names.of("get", f"Read one {label}", ok=names.name))


def _filter(text: str | None) -> Mapping[str, Any] | None:
    if not text:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(fields={"filter": "The filter is not valid JSON."}) from error
    return _tree(found)


def _tree(found: Any) -> Mapping[str, Any] | None:
    if found is not None and not isinstance(found, dict):
        raise Invalid(fields={"filter": "A filter is one JSON object."})
    return found or None


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _asked(body: Mapping[str, Any]) -> Asked:
    """The same from a body. Raises Invalid per part that is of the wrong type."""
    rules: dict[str, tuple[Callable[[Any], bool], Any, str]] = {
        "filter": (lambda v: v is None or isinstance(v, dict), None, "A filter is one JSON object."),
        "q": (lambda v: isinstance(v, str) and len(v) <= 200, "", "Words to look for, at most 200 characters."),
        "fields": (lambda v: isinstance(v, list) and all(isinstance(one, str) for one in v), [], "A list of names of fields."),
        "sort": (lambda v: isinstance(v, str), "-id", "The name of a field, with a minus sign for the greatest first."),
        "limit": (
            lambda v: isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= MOST_SIZE,
            DEFAULT_SIZE,
            f"1 to {MOST_SIZE}.",
        ),
        "cursor": (lambda v: v is None or isinstance(v, str), None, "“next” of the page before."),
        "total": (lambda v: isinstance(v, bool), False, "true or false."),
        "archived": (lambda v: isinstance(v, bool), False, "true or false."),
    }
    wrong = {key[:80]: "There is no such part of a search." for key in body if key not in rules}
    wrong |= {key: text for key, (fits, _, text) in rules.items() if key in body and not fits(body[key])}
    if wrong:
        raise Invalid(fields=wrong)
    got = {key: body.get(key, default) for key, (_, default, _) in rules.items()}
    return Asked(**{**got, "filter": got["filter"] or None, "fields": tuple(got["fields"])})


def _page(session: Session, actor: Actor, key: str, asked: Asked) -> Answer:
    sort = (asked.sort.removeprefix("-"), asked.sort.startswith("-"))
    query = ListQuery(filter=asked.filter, q=asked.q, sort=sort, deleted=asked.archived)
    of = cursors.mark(key, asked.filter, asked.q, asked.sort, asked.archived)
    outward.chosen(session, key, asked.fields)
    ids, end = outward.ids_after(session, actor, key, query, position=cursors.decode(asked.cursor, of), size=asked.limit)
    items = outward.records_of(session, actor, key, ids, fields=asked.fields, with_deleted=asked.archived)
    reads.took(session, actor, key, ids, fields=asked.fields)
    body: dict[str, Any] = {"items": items, "next": cursors.encode(end, of)}
    if asked.total:
        body["total"] = lists.count(session, actor, key, query)
    return Answer(200, body)


def _one(session: Session, actor: Actor, key: str, record_id: int, fields: tuple[str, ...]) -> Answer:
    records.get(session, actor, key, record_id)
    found = outward.records_of(session, actor, key, [record_id], fields=fields)
    reads.looked(session, actor, key, record_id, way=ReadWay.API, fields=fields)
    return Answer(200, found[0], {"etag": tag_of(found[0]["version"])})


def shown(session: Session, actor: Actor, key: str, record: Any, *, status: int = 200) -> Answer:
    """What an answer to a change holds. Whoever gave a record away may see it no longer: then its id and version stand alone."""
    session.flush()
    found = outward.records_of(session, actor, key, [record.id]) if actor.can(key, Action.READ) else []
    if found and status != 201:  # a change of nothing reads all the same; what somebody just made they know
        reads.looked(session, actor, key, record.id, way=ReadWay.API)
    body = found[0] if found else {"id": record.id, "version": record.version, "names": {}, "masked": []}
    headers = {"etag": tag_of(record.version)}
    if status == 201:
        headers["location"] = f"/api/v1/{path_of(key)}/{record.id}"
    return Answer(status, body, headers)


# --- writing ---------------------------------------------------------------------------------------------------------------------


def _writing(router: APIRouter, key: str) -> None:
    plural, label = path_of(key), ENTITIES[key].label.lower()

    def create(request: Request, body: Body) -> Response:
        def command(session: Session, actor: Actor) -> Answer:
            return shown(session, actor, key, _create(session, actor, key, body), status=201)

        return write(request, body, command)

    def update(request: Request, record_id: RecordId, body: Body) -> Response:
        asked = versions_asked(request, needed=True)

        def command(session: Session, actor: Actor) -> Answer:
            record = records.get(session, actor, key, record_id, action=Action.EDIT)
            check_version(session, actor, key, record, asked)
            return shown(session, actor, key, _update(session, actor, key, record_id, body))

        return write(request, body, command)

    def archive(request: Request, record_id: RecordId) -> Response:
        asked = versions_asked(request, needed=True)

        def command(session: Session, actor: Actor) -> Answer:
            record = records.get(session, actor, key, record_id, action=Action.DELETE)
            check_version(session, actor, key, record, asked)
            crud.archive(session, actor, key, record_id)
            return Answer(204)

        return write(request, {}, command)

    def restore(request: Request, record_id: RecordId) -> Response:
        return write(request, {}, lambda session, actor: shown(session, actor, key, crud.restore(session, actor, key, record_id)))

    def many(request: Request, body: Body) -> Response:
        return write(request, body, lambda session, actor: _many(session, actor, key, body))

    names = document.Operation(key)
    name, one = names.name, f"/{plural}/{{record_id}}"
    router.add_api_route(
        f"/{plural}",
        create,
        methods=["POST"],
        **names.of("create", f"Create {document.an(label)}", ok=name, status=201, body=f"{name}Create"),
    )
    router.add_api_route(
        f"/{plural}/batch", many, methods=["POST"],
        **names.of("batch", f"Create and change up to {MOST_AT_ONCE} {plural} at once", ok="BatchResult", body=f"{name}Batch"),
    )  # fmt: skip
    router.add_api_route(
        one,
        update,
        methods=["PATCH"],
        **names.of("update", f"Change {document.an(label)}", ok=name, body=f"{name}Change", versioned=True),
    )
    router.add_api_route(
        one, archive, methods=["DELETE"], **names.of("archive", f"Move {document.an(label)} to the bin", status=204, versioned=True)
    )
    router.add_api_route(
        f"{one}/restore", restore, methods=["POST"], **names.of("restore", f"Take {document.an(label)} back from the bin", ok=name)
    )


def _create(session: Session, actor: Actor, key: str, values: Any) -> Any:
    return crud.create(session, actor, key, bodies.typed(registry(session, key), values))


def _update(session: Session, actor: Actor, key: str, record_id: int, values: Any) -> Any:
    return crud.update(session, actor, key, record_id, bodies.typed(registry(session, key), values)).record


def _many(session: Session, actor: Actor, key: str, body: Mapping[str, Any]) -> Answer:
    created, changed, whole = body.get("create", []), body.get("update", []), body.get("all_or_nothing", False)
    if not isinstance(created, list) or not isinstance(changed, list) or not isinstance(whole, bool) or set(body) - set(_PARTS):
        raise Invalid(fields={"body": "Send “create” and “update” as lists, and “all_or_nothing” as true or false."})
    if not 1 <= len(created) + len(changed) <= MOST_AT_ONCE:
        raise Invalid(fields={"body": f"Send 1 to {MOST_AT_ONCE} records."})
    results = [_result(session, "create", n, partial(_create, session, actor, key, one)) for n, one in enumerate(created)]
    results += [_result(session, "update", n, partial(_change_one, session, actor, key, one)) for n, one in enumerate(changed)]
    failed = sum(one["status"] >= 400 for one in results)
    if failed and whole:
        raise Refused(
            422, f"{failed} of {len(results)} records can't be taken, so nothing was saved.", code="batch_failed", results=results
        )
    done = {"created": sum(one["status"] == 201 for one in results), "updated": sum(one["status"] == 200 for one in results)}
    return Answer(200, {**done, "failed": failed, "results": results})


_PARTS = ("create", "update", "all_or_nothing")


def _change_one(session: Session, actor: Actor, key: str, item: Any) -> Any:
    if not isinstance(item, dict) or not isinstance(item.get("id"), int) or isinstance(item["id"], bool):
        raise Invalid(fields={"id": "Say which record: “id”, “changes” and, to be safe, “version”."})
    version = item.get("version")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise Invalid(fields={"version": "The version is a whole number."})
    record = records.get(session, actor, key, item["id"], action=Action.EDIT)
    check_version(session, actor, key, record, None if version is None else (version,))
    return _update(session, actor, key, item["id"], item.get("changes"))


def _result(session: Session, action: str, index: int, work: Callable[[], Any]) -> dict[str, Any]:
    """What became of one of many: the others go on whatever happens to it."""
    made: dict[str, Any] = {"action": action, "index": index}
    try:
        with session.begin_nested():
            record = work()
            session.flush()
    except (IntegrityError, StaleDataError):
        error: CrmError = Conflict("There is already a record with this value, or somebody changed it at the same moment.")
        return made | {"status": error.status, "error": problem_body(error)}
    except CrmError as found:
        return made | {"status": found.status, "error": problem_body(found)}
    return made | {"status": 201 if action == "create" else 200, "id": record.id, "version": record.version}
