"""New work without an owner: the assignment rules are asked by a job that is queued with the record itself. What an import brings did not just come in."""

from typing import Any

from sqlalchemy import ColumnElement, exists, select
from sqlmodel import Session

from crm_core import jobs
from crm_core.models import Event, RoutingRule
from crm_core.vocabulary import Via

JOB = "routing.route"


def route_later(session: Session, entity_key: str, record: Any) -> None:
    """Let the rules find an owner when the session commits, once; whoever was chosen by hand stays. Costs one statement while there is no rule."""
    if record.owner_id is not None or not any_rule(session, entity_key):
        return
    jobs.enqueue(session, JOB, entity_key, record.id, job_id=f"route:{entity_key}:{record.id}")


def any_rule(session: Session, entity_key: str) -> bool:
    """Whether an active rule is about such records."""
    table = RoutingRule.__table__  # type: ignore[attr-defined]
    return bool(
        session.execute(select(exists(select(table.c.id).where(table.c.entity == entity_key, table.c.is_active)))).scalar_one()
    )


def came_in(entity_key: str, table: Any) -> ColumnElement[bool]:
    """Records that somebody waits for an answer about since they were made: not those that an import brought, which may be years old."""
    log: Any = Event.__table__  # type: ignore[attr-defined]
    made = (log.c.entity == entity_key, log.c.record_id == table.c.id, log.c.type == f"{entity_key}.created")
    return ~exists(select(log.c.id).where(*made, log.c.via == Via.IMPORT))
