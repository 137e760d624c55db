"""Engines for tests: what an earlier test had compiled is not compiled again.

A process of the app has one engine as long as it lives, and compiles each statement once. Each test has a database of its own, so engines of
its own too, and would compile all of them again: a fifth of what a test at the database costs.
"""

from typing import Any

import sqlalchemy
from sqlalchemy import Engine, event
from sqlalchemy.util import LRUCache

_KEPT: dict[str, tuple[Any, LRUCache]] = {}
"""The dialect, as the first connection left it (it is a part of the key of what is compiled), and what was compiled for it, by kind of database."""


def install(db: Any) -> None:
    """Let ``crm_core.db`` make its engines here. Processes that a test starts make theirs as in earnest."""
    db.create_engine = create_engine


def create_engine(url: str, **options: Any) -> Engine:
    """As SQLAlchemy's own, with the compiled statements of all engines of this kind in this process."""
    engine = sqlalchemy.create_engine(url, **options)
    kind = engine.url.drivername
    if kind in _KEPT:
        engine.dialect, engine._compiled_cache = _KEPT[kind]
    else:
        own = engine.dialect, engine._compiled_cache
        event.listen(engine, "connect", lambda *_: _KEPT.setdefault(kind, own))
    return engine
