"""Figures that many reruns and many people share: kept under what the asker may see and the versions of the tables behind them."""

import hashlib
import pickle
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from crm_core.access import Actor
from crm_core.db import let_go, read_engine, read_session, versions, versions_of
from crm_core.entities import ENTITIES
from crm_core.kit import clock
from ui import run
from ui.actions import load
from ui.session import current_actor

T = TypeVar("T")
KEPT_SECONDS = 600.0
OWN_TABLES = ("role", "role_permission", "role_field_mask", "user_role")
ROOM_BYTES = 64 * 2**20
LARGEST_BYTES = ROOM_BYTES // 8


def cached(
    query: Callable[..., T], *args: Any, entities: tuple[str, ...], tables: tuple[str, ...], own: bool = False, **kwargs: Any
) -> T:
    """``load(query, *args)``, remembered.

    ``entities``: whose visibility the figure depends on; ``tables``: whose change makes it stale (names of tables). Arguments must be small
    and say what they are when written out: never a frame. The calendar day is part of the key, since "this month" moves. ``own``: the answer
    is each person's own, and hangs on what their roles allow beyond reading.
    """
    actor = current_actor()
    written = repr((query.__module__, query.__qualname__, args, sorted(kwargs.items())))
    if " at 0x" in written:
        raise TypeError(f"{query.__qualname__} is asked with something that has no words of its own, so it can't be remembered")
    # "@me" in a filter means somebody else for each asker, however much they see.
    asker = (actor.user_id, actor.team_id, actor.session_id) if own else (actor.user_id, actor.team_id) if "@m" in written else ()
    reads = (actor.locale, actor.first_weekday)  # sentences hold numbers, and weeks begin with some day
    today = clock.today(actor.timezone).isoformat()
    names = (*tables, "app_user", "user_closure", *(OWN_TABLES if own else ()))
    known = run.drawer().get("versions")
    behind = versions_of(known, names) if known is not None else load(_versions, names)
    key = hashlib.sha256(
        repr((written, actor.fingerprint(*entities), asker, reads, behind, today, id(read_engine()))).encode()
    ).digest()
    return load(_kept, key, query, args, kwargs)


def clear() -> None:
    """Forget all figures."""
    _SHELF.clear()


def _versions(session: Any, _actor: Actor, tables: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    return versions(session, tables)


BEYOND = ("'agg'", "'segment'", "'mark'", "'event'", ".")
"""Signs in a filter that it looks beyond the table it filters."""


def behind(entity_key: str, ast: Any) -> dict[str, Any]:
    """``entities`` and ``tables`` of ``cached`` for a figure over a filtered list: all of them when the filter looks beyond this one."""
    wide = any(sign in str(ast) for sign in BEYOND)
    keys = tuple(ENTITIES) if wide else (entity_key,)
    tables = (*(ENTITIES[key].table.name for key in keys), "search_document", "custom_field")
    if "'idle'" in str(ast):  # reckoned from the days of the stages and the working hours
        tables = (*tables, "stage", "organisation")
    return {
        "entities": keys,
        "tables": (*tables, "order_line", "segment_member", "analysis_mark", "event_log", "touchpoint") if wide else tables,
    }


def _kept(_session: Any, actor: Actor, key: bytes, query: Callable[..., T], args: Any, kwargs: Any) -> T:
    def make() -> T:
        with read_session(*run.known()) as session:
            return query(session, actor, *args, **kwargs)

    return _SHELF.get(key, make)  # through ``load``, which turns errors into words


def _written(value: Any) -> bytes:
    """A value as bytes. A first page without figures need not wait for Plotly: as long as nobody loaded it, nothing can hold a figure."""
    if "plotly.basedatatypes" not in sys.modules:
        return pickle.dumps(value, protocol=5)
    from ui.drawn import dumps

    return dumps(value)


class Shelf:
    """Values as bytes, so that nobody changes what others get; the least used go when the room is full. One asker computes, the others wait.
    A Plotly figure comes back ``Drawn``: it can be shown, not changed."""

    def __init__(self, room: int = ROOM_BYTES, largest: int = LARGEST_BYTES) -> None:
        self.room, self.largest, self.filled = room, largest, 0
        self._lock = Lock()
        self._kept: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._making: dict[bytes, Lock] = {}

    def get(self, key: bytes, make: Callable[[], T]) -> T:
        found = self._find(key)
        if found is None:
            let_go()  # who waits for somebody's long computation holds no connection meanwhile
            with self._lock:
                gate = self._making.setdefault(key, Lock())
            try:
                with gate:
                    found = self._find(key)
                    if found is None:
                        value = make()
                        self._put(key, _written(value))
                        return value
            finally:
                with self._lock:
                    self._making.pop(key, None)
        return pickle.loads(found)  # noqa: S301  (written by this very process)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self.filled = 0

    def _find(self, key: bytes) -> bytes | None:
        with self._lock:
            until, data = self._kept.get(key, (0.0, b""))
            if until < time.monotonic():
                return None
            self._kept.move_to_end(key)
            return data

    def _put(self, key: bytes, data: bytes) -> None:
        if len(data) > self.largest:
            return
        with self._lock:
            self.filled -= len(self._kept.pop(key, (0.0, b""))[1])
            self._kept[key] = (time.monotonic() + KEPT_SECONDS, data)
            self.filled += len(data)
            while self.filled > self.room:
                self.filled -= len(self._kept.popitem(last=False)[1][1])


_SHELF = Shelf()
