"""A use case in a transaction of its own, as a screen or a job runs it."""

from collections.abc import Callable
from typing import Any

from crm_core.db import read_session, write_session


def do(verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a service with a session that writes, and commit."""
    with write_session() as session:
        return verb(session, *args, **kwargs)


def look(verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a service with a session that reads."""
    with read_session() as session:
        return verb(session, *args, **kwargs)
