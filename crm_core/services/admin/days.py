"""Days as somebody means them, as bounds of an instant."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement


def between(column: Any, since: date | None, until: date | None, zone: ZoneInfo) -> list[ColumnElement[bool]]:
    """Clauses for the days from ``since`` to ``until`` in a time zone, both inclusive."""

    def start(day: date) -> datetime:
        return datetime.combine(day, time.min, zone).astimezone(UTC)

    after = [column >= start(since)] if since else []
    return after + ([column < start(until + timedelta(days=1))] if until else [])
