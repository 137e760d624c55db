"""The database: one engine for reading, one for writing, sessions that commit once, and the versions of tables.

On SQLite a write session begins IMMEDIATE (a deferred read-then-write fails under load whatever the timeout), a read session begins
DEFERRED and may not write. On PostgreSQL both are the same engine. Every writing transaction raises the version of each table that it
touched; pages use those versions as cache keys.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, create_engine, event, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import ORMExecuteState
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session

from crm_core.errors import Conflict, Invalid, Unavailable
from crm_core.kit.text import sort_key
from crm_core.models import TableVersion
from crm_core.settings import settings

T = TypeVar("T")

READS = "reads_only"
"""Mark in ``session.info`` of a session that will never write: what it reads may be shared with others under the tables' versions."""

SEEN = "records_seen"
"""Where a session finds the records that an earlier one of the same run has read already (``crm_core.records.get``)."""

_KNOWN = "table_versions"
_VERSIONS = TableVersion.__table__  # type: ignore[attr-defined]
_ALL_VERSIONS = select(_VERSIONS.c.name, _VERSIONS.c.version)


def _fold_lower(text: str | None) -> str | None:
    return text.lower() if isinstance(text, str) else text


@lru_cache(maxsize=50_000)
def _sort_key(text: str | None) -> str | None:
    return sort_key(text) if isinstance(text, str) else text


def _on_sqlite_connect(connection: sqlite3.Connection, read_only: bool) -> None:
    connection.isolation_level = None
    connection.create_function("rapport_lower", 1, _fold_lower, deterministic=True)
    connection.create_function("rapport_sort_key", 1, _sort_key, deterministic=True)
    cursor = connection.cursor()
    for pragma in (
        "foreign_keys=ON",
        "busy_timeout=30000",
        "synchronous=NORMAL",
        # The system keeps the file in memory once for all; a cache or a mapping per connection only repeats that (docs/decisions/0016).
        "cache_size=-8192",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute("PRAGMA query_only=ON" if read_only else "PRAGMA journal_mode=WAL")
    cursor.close()


def _sqlite_engine(url: str, read_only: bool) -> Engine:
    path = make_url(url).database
    if path and path != ":memory:" and not path.startswith("file:"):  # SQLite's own kind of address names a file that exists
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    kept = 8 if read_only else 2  # there is one writer at a time; who reads holds a connection for a few milliseconds
    engine = create_engine(
        url, pool_size=kept, max_overflow=64 - kept, connect_args={"timeout": 30, "check_same_thread": False}, pool_use_lifo=True
    )
    event.listen(engine, "connect", lambda connection, _: _on_sqlite_connect(connection, read_only))
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


_limits = {"statement_seconds": 0}


def limit_statements(seconds: int) -> None:
    """Let no statement of this process run longer on PostgreSQL; 0 means no limit. For the process that draws pages, before it connects."""
    _limits["statement_seconds"] = seconds


def _postgresql_options(url: str) -> dict[str, str]:
    """Limits that hold for each of our connections, whatever the server's own are; an address with options of its own keeps those."""
    if "options" in make_url(url).query:
        return {}
    limits = {
        "statement_timeout": _limits["statement_seconds"],
        "lock_timeout": settings().lock_timeout_seconds,
        "idle_in_transaction_session_timeout": settings().idle_transaction_seconds,
    }
    return {"options": " ".join(f"-c {name}={seconds * 1000}" for name, seconds in limits.items())}


@lru_cache(maxsize=8)
def _engines(url: str) -> tuple[Engine, Engine]:
    if url.startswith("sqlite"):
        writer = _sqlite_engine(url, read_only=False)
        return _sqlite_engine(url, read_only=True), writer
    engine = create_engine(
        url, pool_size=10, max_overflow=20, pool_pre_ping=True, pool_use_lifo=True, connect_args=_postgresql_options(url)
    )
    return engine.execution_options(postgresql_readonly=True), engine


def read_engine() -> Engine:
    """The engine for queries; it refuses to write."""
    return _engines(settings().url)[0]


def write_engine() -> Engine:
    """The engine for units of work that change something."""
    return _engines(settings().url)[1]


def dispose() -> None:
    """Close all connections (before a restore, between tests)."""
    for engine in _engines(settings().url):
        engine.dispose()
    _engines.cache_clear()


def is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


_held = threading.local()


@contextmanager
def one_connection() -> Iterator[None]:
    """Let all read sessions that this thread opens inside share one transaction, so that a page begins once, and on SQLite shows one moment. It is
    taken up by the first of them and given back by ``let_go``, by the end of a write session, by an error of the database, and at the end."""
    if getattr(_held, "wanted", False):
        yield
        return
    _held.wanted = True
    try:
        yield
    finally:
        _held.wanted = False
        let_go()


def let_go() -> None:
    """Give the shared connection of ``one_connection`` back: what is read next is read anew. To be called before waiting for others."""
    connection: Connection | None = getattr(_held, "connection", None)
    _held.connection = None
    if connection is not None:
        connection.close()


def _reads_from() -> Engine | Connection:
    engine = read_engine()
    if not getattr(_held, "wanted", False):
        return engine
    connection: Connection | None = getattr(_held, "connection", None)
    if connection is not None and (connection.engine is not engine or connection.closed or connection.invalidated):
        let_go()
        connection = None
    if connection is None:
        connection = _held.connection = engine.connect()
        connection.begin()  # a session that finds a transaction leaves it as it is
    return connection


@contextmanager
def read_session(known: Mapping[str, int] | None = None, seen: dict[Hashable, Any] | None = None) -> Iterator[Session]:
    """A session for one load. Never keep it across a drawing call. ``known``: versions of the tables that the caller has read already;
    ``seen``: records that it has, to which this session adds its own."""
    try:
        with Session(_reads_from(), expire_on_commit=False) as session:
            session.info[READS] = True
            if known is not None:
                session.info[_KNOWN] = known
            if seen is not None:
                session.info[SEEN] = seen
            yield session
    except DBAPIError as error:
        let_go()  # PostgreSQL answers nothing more in a transaction that failed
        raise _translated(error) from error


@contextmanager
def write_session() -> Iterator[Session]:
    """A session for one use case: commits once at the end, or leaves nothing behind."""
    try:
        with Session(write_engine(), expire_on_commit=False) as session:
            yield session
            session.commit()
            _bump_after_commit(session)
    except StaleDataError as error:
        raise Conflict("Somebody else changed this record at the same moment. Look at the new state and try again.") from error
    except IntegrityError as error:
        raise _integrity(error) from error
    except DBAPIError as error:
        raise _translated(error) from error
    finally:
        let_go()


def _integrity(error: IntegrityError) -> Conflict:
    text = str(error.orig).lower()
    if "unique" in text or "duplicate" in text:
        return Conflict("There is already a record with this value, so nothing was saved.", reason="unique")
    if "foreign" in text:
        return Conflict(
            "A linked record no longer exists, or others still depend on this one. Nothing was saved.",
            reason="foreign_key",
        )
    return Conflict("The database refused a value that is out of range. Nothing was saved.", reason="check")


def busy(error: BaseException) -> bool:
    """Whether only somebody else's work at the same rows was in the way: tried again, it may well succeed. The words of a refused value may hold
    anything, those of an operation that could not be done are the database's own."""
    words = ("locked", "deadlock", "serialize", "lock timeout", "could not obtain lock")
    return isinstance(error, OperationalError) and any(word in str(error.orig).lower() for word in words)


def _translated(error: DBAPIError) -> Exception:
    if isinstance(error, DataError):
        return Invalid("A value is too long or out of range for the database, so nothing was saved.")
    text = str(error.orig).lower()
    if "readonly" in text or "read-only" in text or "query_only" in text:
        return Unavailable(
            "The database can't be written to, so nothing was saved. Ask the administrator to check its file permissions.",
            permanent=True,
        )
    if "full" in text and ("disk" in text or "space" in text):
        return Unavailable("The disk is full, so nothing was saved. Free some space and try again.")
    if "statement timeout" in text:
        return Unavailable(
            "This took the database too long, so it was stopped and nothing was saved. Narrow it down, or try again later."
        )
    if busy(error):
        return Unavailable("The database is busy. Nothing was saved; please try again.")
    if (isinstance(error, OperationalError) and error.connection_invalidated) or "connection" in text or "unable to open" in text:
        return Unavailable("The database does not answer right now. Nothing was saved; please try again.")
    return error


# --- versions of tables -------------------------------------------------------------------------------------------------


def bump(session: Session, *tables: str) -> None:
    """Mark tables as changed by this transaction; needed only beside statements that bypass the ORM (bulk inserts, raw SQL)."""
    session.info.setdefault("touched", set()).update(tables)


def all_versions(session: Session) -> Mapping[str, int]:
    """The version of every table. A session that only reads asks the database once."""
    known = session.info.get(_KNOWN)
    if known is None:
        known = dict(session.connection().execute(_ALL_VERSIONS).tuples().all())
        if READS in session.info:
            session.info[_KNOWN] = known
    return known


def versions(session: Session, tables: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Name and version of each table, as a cache key."""
    return versions_of(all_versions(session), tables)


def versions_of(known: Mapping[str, int], tables: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """The same out of versions that were read before."""
    return tuple((name, known[name]) for name in sorted(set(tables)) if name in known)


_SHARED: WeakKeyDictionary[Any, dict[Hashable, tuple[Any, float, Any]]] = WeakKeyDictionary()
SHARED_SECONDS = 60.0
"""Backstop: on PostgreSQL a process may die between a commit and the raise of the version that tells of it."""


def shared(session: Session, what: Hashable, tables: Iterable[str], make: Callable[[], T]) -> T:
    """What ``make`` reads, kept for all reading sessions of this process until one of the tables changes; others read it themselves.

    For few, small things that nearly every page needs and that look the same to everybody; nobody may change them.
    """
    if READS not in session.info:
        return make()
    kept, current, now = _SHARED.setdefault(session.get_bind().engine, {}), versions(session, tables), time.monotonic()
    found = kept.get(what)
    if found is None or found[0] != current or found[1] < now:
        found = kept[what] = (current, now + SHARED_SECONDS, make())
    return found[2]


def _raise_versions(connection: Any, names: set[str]) -> None:
    ordered = sorted(names - {"table_version"})
    connection.execute(update(_VERSIONS).where(_VERSIONS.c.name.in_(ordered)).values(version=_VERSIONS.c.version + 1))


@event.listens_for(Session, "after_flush")
def _note_flushed(session: Session, _context: Any) -> None:
    for instance in (*session.new, *session.dirty, *session.deleted):
        bump(session, instance.__table__.name)


@event.listens_for(Session, "do_orm_execute")
def _note_bulk(state: ORMExecuteState) -> None:
    if (state.is_insert or state.is_update or state.is_delete) and state.bind_mapper is not None:
        bump(state.session, state.bind_mapper.local_table.name)  # type: ignore[arg-type,attr-defined]


@event.listens_for(Session, "before_commit")
def _bump_before_commit(session: Session) -> None:
    """On SQLite (one writer anyway) the versions rise in the very transaction; a savepoint leaves it to the transaction around it."""
    if session.get_bind().dialect.name != "sqlite" or session.in_nested_transaction():
        return
    session.flush()
    touched = session.info.pop("touched", None)
    if touched:
        _raise_versions(session.connection(), touched)


def _bump_after_commit(session: Session) -> None:
    """On PostgreSQL right after it: one row per table would otherwise line up all writers of that table."""
    touched = session.info.pop("touched", None)
    if touched:
        with write_engine().begin() as connection:
            _raise_versions(connection, touched)


from crm_core import automation_inbox as automation_inbox  # noqa: E402
from crm_core import contact_marks as contact_marks  # noqa: E402
from crm_core import summary_marks as summary_marks  # noqa: E402  (its listeners belong to every session)
