"""How a request becomes one unit of work and one answer: versions (ETag, If-Match) and requests that are sent twice (Idempotency-Key)."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from crm_core.access import Actor
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict
from crm_core.services.admin import api_door
from crm_core.services.admin.api_door import Caller
from crm_core.services.collaboration import outward
from web.api.callers import caller_of
from web.api.problems import Refused

_TAG = re.compile(r'^(?:W/)?"v(\d{1,9})"$')
_KEY = re.compile(r"^[\x21-\x7e]{1,255}$")


@dataclass(frozen=True)
class Answer:
    """Status, body (None: none) and headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, **more: str) -> Response:
        """The answer on the line."""
        if self.body is None:
            return Response(status_code=self.status, headers={**self.headers, **more})
        text = json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))
        return Response(text, self.status, headers={**self.headers, **more}, media_type="application/json")


def read(request: Request, query: Callable[[Session, Actor], Answer]) -> Response:
    """Answer from what is there. With If-None-Match of the same version: 304 without a body."""
    with read_session() as session:
        answer = query(session, caller_of(request).actor)
    tag = answer.headers.get("etag")
    if tag and tag in [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers={"etag": tag})
    return answer.response()


def write(request: Request, body: Mapping[str, Any], command: Callable[[Session, Actor], Answer]) -> Response:
    """Do it in one transaction. With an Idempotency-Key the answer is kept in the same one, and given again to the same request."""
    caller, key = caller_of(request), request.headers.get("idempotency-key")
    if key is None:
        return _done(request, lambda: _plain(caller, command)).response()
    if not _KEY.match(key):
        raise Refused(400, "An idempotency key has 1 to 255 visible characters, such as a UUID.")
    with write_session() as session:
        earlier = api_door.begin(session, caller, key, _fingerprint(request, body))
    if earlier is not None:
        kept = earlier.answer
        return Answer(earlier.status, kept.get("body"), kept.get("headers", {})).response(**{"idempotency-replayed": "true"})
    return _done(request, lambda: _kept(caller, key, command)).response()


def _done(request: Request, work: Callable[[], Answer]) -> Answer:
    """Of two that change the same version at the same instant the second is told so in the same words as one that comes later."""
    try:
        return work()
    except Conflict as error:
        if isinstance(error.__cause__, StaleDataError) and "if-match" in request.headers:
            return work()
        raise


def _plain(caller: Caller, command: Callable[[Session, Actor], Answer]) -> Answer:
    with write_session() as session:
        return command(session, caller.actor)


def _kept(caller: Caller, key: str, command: Callable[[Session, Actor], Answer]) -> Answer:
    try:
        with write_session() as session:
            answer = command(session, caller.actor)
            kept = {"body": answer.body, "headers": dict(answer.headers)}
            api_door.finish(session, caller, key, answer.status, kept)
        return answer
    except Exception:
        with write_session() as session:
            api_door.forget(session, caller, key)
        raise


def _fingerprint(request: Request, body: Mapping[str, Any]) -> str:
    parts = [
        request.method,
        request.url.path,
        request.url.query,
        request.headers.get("if-match", ""),
        json.dumps(body, sort_keys=True),
    ]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()


# --- versions --------------------------------------------------------------------------------------------------------------------


def tag_of(version: int) -> str:
    """The ETag of a version."""
    return f'"v{version}"'


def versions_asked(request: Request, *, needed: bool) -> tuple[int, ...] | None:
    """The versions of If-Match; None when any will do. Raises 428 where one must be named."""
    text = request.headers.get("if-match")
    if text is None:
        if needed:
            message = (
                "Send the header “If-Match” with the ETag that you read, so that you overwrite nobody's change (or “If-Match: *”)."
            )
            raise Refused(428, message)
        return None
    if text.strip() == "*":
        return None
    found = [_TAG.match(one.strip()) for one in text.split(",")]
    if not all(found):
        raise Refused(400, '“If-Match” holds what an ETag of ours said, such as "v3".')
    return tuple(int(one[1]) for one in found if one is not None)


def check_version(session: Session, actor: Actor, entity_key: str, record: Any, asked: tuple[int, ...] | None) -> None:
    """Raise 412 with what changed since, when the record is no longer at a version that was asked for."""
    if asked is None or record.version in asked:
        return
    raise Refused(
        412,
        "Somebody else changed this record since you read it. Read it again, then repeat your change.",
        headers={"etag": tag_of(record.version)},
        version=record.version,
        changed=outward.changes_since(session, actor, entity_key, record.id, max(asked, default=0)),
    )
