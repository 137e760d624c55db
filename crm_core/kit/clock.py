"""The one clock. Everything inside is UTC; ``frozen`` lets a test or the demo choose the instant."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

_frozen: ContextVar[datetime | None] = ContextVar("frozen_clock", default=None)


def utcnow() -> datetime:
    """The present instant, aware, in UTC, whole microseconds."""
    return _frozen.get() or datetime.now(UTC)


def today(timezone: str = "UTC") -> date:
    """The calendar day of the present instant in an IANA time zone."""
    return utcnow().astimezone(ZoneInfo(timezone)).date()


@contextmanager
def frozen(instant: datetime) -> Iterator[None]:
    """Hold the clock at an aware instant inside the block."""
    if instant.tzinfo is None:
        raise ValueError("the clock needs an aware instant")
    token = _frozen.set(instant.astimezone(UTC))
    try:
        yield
    finally:
        _frozen.reset(token)
