"""New work without an owner: the assignment rules are asked by a job that is queued with the record itself."""

from typing import Any

from sqlalchemy import exists, select
from sqlmodel import Session

from crm_core import jobs
from crm_core.models import RoutingRule

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
