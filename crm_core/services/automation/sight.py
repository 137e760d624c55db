"""Which records an automation is about: those that its owner sees and that match a filter of its."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import Session

from crm_core import filters
from crm_core.access import Actor, visible
from crm_core.entities import entity


def wanted(
    session: Session, actor: Actor, key: str, ast: Mapping[str, Any] | None, now: datetime | None = None
) -> list[ColumnElement[bool]]:
    """The clauses of a query on the table of that kind of record."""
    table = entity(key).table
    seen = visible(actor, key, table)
    return [seen, filters.where(session, key, ast, actor, table, now=now)] if ast else [seen]
