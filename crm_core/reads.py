"""Who looked at personal data: opening a record of a person, exporting, reading through the API.

Whoever reads never waits for the log. Pages and the API only put a line into a book in memory (once per person, record and quarter of an hour);
a thread of the process writes the book down every few seconds, in a transaction of its own. So a page that reads stays a page that reads, a
database with one writer is asked rarely, and what can be lost when a machine dies is the last few seconds.
"""

import logging
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.db import is_sqlite, shared, write_session
from crm_core.errors import CrmError
from crm_core.fields import registry
from crm_core.kit.clock import utcnow
from crm_core.models import AuditPolicy, PersonalRead
from crm_core.settings import settings
from crm_core.vocabulary import ReadWay

log = logging.getLogger("rapport.reads")

SLOT_SECONDS = 900
EVERY_SECONDS = 4.0
MOST_WAITING = 20_000
"""So many lines wait at most when the database takes none: then the oldest are given up, and the program's log says so."""

_TABLE: Any = PersonalRead.__table__  # type: ignore[attr-defined]
_POLICY: Any = AuditPolicy.__table__  # type: ignore[attr-defined]
_lock = threading.Lock()


@dataclass
class _Book:
    """What waits to be written of one database, and what was noted in the running quarter of an hour."""

    waiting: list[dict[str, Any]] = field(default_factory=list)
    slot: int = 0
    noted: set[tuple[Any, ...]] = field(default_factory=set)


_books: dict[str, _Book] = {}


def is_on(session: Session) -> bool:
    """Whether the workspace notes looks at personal data; it does unless an administrator switched it off."""
    wanted = select(_POLICY.c.log_reads).limit(1)
    return shared(session, "reads are noted", ("audit_policy",), lambda: session.execute(wanted).scalar()) is not False


def personal(session: Session, actor: Actor, entity_key: str, fields: Collection[str] = ()) -> bool:
    """Whether records of a kind (or these fields of it) tell the actor anything personal: what is masked for them they do not see."""
    specs: Mapping[str, Any] = registry(session, entity_key)
    return any(spec.pii and not actor.masked(entity_key, key) for key, spec in specs.items() if not fields or key in fields)


def looked(
    session: Session, actor: Actor, entity_key: str, record_id: int, *, way: ReadWay = ReadWay.PAGE, fields: Collection[str] = ()
) -> None:
    """Note that somebody saw the personal data of one record."""
    if actor.user_id is None or not personal(session, actor, entity_key, fields) or not is_on(session):
        return
    now = utcnow()
    slot = int(now.timestamp()) // SLOT_SECONDS
    seen = (actor.user_id, entity_key, record_id, way)
    with _lock:
        book = _book()
        if book.slot != slot:
            book.slot, book.noted = slot, set()
        if seen in book.noted:
            return
        book.noted.add(seen)
        book.waiting.append(_line(actor, entity_key, way, now, record_id=record_id))


def took(session: Session, actor: Actor, entity_key: str, ids: Iterable[int], *, fields: Collection[str] = ()) -> None:
    """Note that somebody read a list through the API: one line that knows its records."""
    known = list(ids)
    if actor.user_id is None or not known or not personal(session, actor, entity_key, fields) or not is_on(session):
        return
    with _lock:
        _book().waiting.append(_line(actor, entity_key, ReadWay.API, utcnow(), **_many(known)))


def exported(
    session: Session, actor: Actor, entity_key: str, ids: Iterable[int], *, words: str, fields: Collection[str] = ()
) -> None:
    """Write down, with the export itself, which records left the house."""
    known = list(ids)
    if actor.user_id is not None and known and personal(session, actor, entity_key, fields) and is_on(session):
        line = _line(actor, entity_key, ReadWay.EXPORT, utcnow(), **_many(known), words=words[:200])
        session.execute(insert(_TABLE).values(**line))


def _many(ids: list[int]) -> dict[str, Any]:
    return {"count": len(ids), "ids": f",{','.join(map(str, ids))},"}


def _line(actor: Actor, entity_key: str, way: ReadWay, now: datetime, **more: Any) -> dict[str, Any]:
    slot = int(now.timestamp()) // SLOT_SECONDS
    blank = {"record_id": None, "count": 1, "ids": None, "words": ""}
    return {**blank, "at": now, "slot": slot, "user_id": actor.user_id, "entity": entity_key, "way": way, "via": actor.via, **more}


def _book() -> _Book:
    return _books.setdefault(settings().url, _Book())


# --- writing it down -------------------------------------------------------------------------------------------------------


def flush() -> int:
    """Write down what waits; gives how many lines. What could not be written waits on."""
    with _lock:
        book = _book()
        lines, book.waiting = book.waiting, []
    if not lines:
        return 0
    try:
        with write_session() as session:
            _write(session, lines)
    except CrmError as error:
        _keep(lines, error)
        return 0
    return len(lines)


def _write(session: Session, lines: list[dict[str, Any]]) -> None:
    """Another process may have noted the same look: once is enough."""
    kind = sqlite.insert if is_sqlite(session) else postgresql.insert
    session.execute(kind(_TABLE).on_conflict_do_nothing(), lines)


def _keep(lines: list[dict[str, Any]], error: Exception) -> None:
    with _lock:
        book = _book()
        book.waiting = lines + book.waiting
        lost, book.waiting = len(book.waiting) - MOST_WAITING, book.waiting[-MOST_WAITING:]
    if lost > 0:
        log.error("%s looks at personal data could not be written down and are lost: %s", lost, error)
    else:
        log.warning("looks at personal data wait to be written down: %s", error)


_end = threading.Event()


def begin() -> None:
    """Let a thread of this process write the book down every few seconds, until ``end``."""
    _end.clear()
    threading.Thread(target=_keep_writing, name="reads", daemon=True).start()


def end() -> None:
    """Write down the rest, before the process goes."""
    _end.set()
    flush()


def _keep_writing() -> None:
    while not _end.wait(EVERY_SECONDS):
        try:
            flush()
        except Exception:  # the thread must outlive whatever happens to a database
            log.exception("looks at personal data could not be written down")
